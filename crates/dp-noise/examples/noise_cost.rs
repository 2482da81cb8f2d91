//! What each mechanism costs for the same guarantee: a table, and a plot into a file.
//!
//!     cargo run --release -p antiphon-dp-noise --example noise_cost -- docs/src/noise-cost.svg

mod noise_cost {
    pub(crate) mod least;
    pub(crate) mod plot;
}

use noise_cost::least::{Guarantee, MECHANISMS, least_total};
use noise_cost::plot::{Panel, svg};

/// Numbers of shards in the plot, one for each operator; those of the table are among them.
const SHARDS: [u32; 4] = [5, 10, 30, 100];
const IN_TABLE: [u32; 3] = [5, 10, 100];

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let guarantees = [
        Guarantee { name: "ln 2, 1e-6, K = 1000", epsilon: 2.0, delta: 1e-6, rounds: 1000 },
        Guarantee { name: "ln 4, 1e-4, K = 245", epsilon: 4.0, delta: 1e-4, rounds: 245 },
    ]
    .map(|guarantee| Guarantee { epsilon: guarantee.epsilon.ln(), ..guarantee });
    println!("| guarantee | shards (honest) | {} |", MECHANISMS.join(" | "));
    println!("|---|---|{}", "---:|".repeat(MECHANISMS.len()));
    let mut panels = Vec::new();
    for guarantee in guarantees {
        let mut lines = vec![Vec::new(); MECHANISMS.len()];
        for shards in SHARDS {
            let honest = shards - shards / 5;
            let totals = least_total(&guarantee, shards, honest);
            eprintln!("{}: {shards} shards done", guarantee.name);
            if IN_TABLE.contains(&shards) {
                let cells: Vec<String> = totals.iter().map(|total| format!("{total:.0}")).collect();
                println!("| {} | {shards} ({honest}) | {} |", guarantee.name, cells.join(" | "));
            }
            for (line, total) in lines.iter_mut().zip(totals) {
                line.push((f64::from(shards), total));
            }
        }
        panels.push(Panel { title: guarantee.name, lines });
    }
    if let Some(path) = std::env::args().nth(1) {
        std::fs::write(path, svg(&panels, &MECHANISMS))?;
    }
    Ok(())
}
