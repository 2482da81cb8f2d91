//! Measures our peel and build beside those of other mix formats, in one run and on one thread.

mod measure;
mod nacl;
mod ours;
mod outfox;
mod published;
mod report;
mod sphinx;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use antiphon_onion::Kernel;
use clap::Parser;

use crate::measure::{Contender, Failure, take_turns};
use crate::nacl::Nacl;
use crate::ours::{Building, Ours};
use crate::outfox::Outfox;
use crate::report::{KernelReport, Ratios, Report};
use crate::sphinx::Sphinx;

/// Measures Antiphon's peel and build beside those of sphinx-packet, nym-outfox and an onion of
/// NaCl boxes: the same payload, taking turns in one run on one thread, CPU time, best repetition.
///
/// Ours is everything that a shard does to an onion of a layer: Diffie-Hellman, key derivation,
/// decryption, duplicate check, shuffle and grouping by next hop. Theirs is the library alone.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Write the figures as JSON to this file; `-` is standard output, without the table
    #[arg(long, value_name = "PATH")]
    json: Option<PathBuf>,
    /// CPU seconds to measure for, after one warm-up; every step is repeated at least three times
    #[arg(long, default_value_t = 10.0, value_parser = seconds)]
    seconds: f64,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("a number of seconds, from 0 to 86400".to_owned()),
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let report = measure(Duration::from_secs_f64(arguments.seconds))?;
    let mut out = std::io::stdout().lock();
    match &arguments.json {
        None => writeln!(out, "{report}")?,
        Some(path) => {
            let json = serde_json::to_string_pretty(&report)?;
            if path.as_os_str() == "-" {
                writeln!(out, "{json}")?;
            } else {
                std::fs::write(path, json + "\n")
                    .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
                writeln!(out, "{report}")?;
            }
        }
    }
    Ok(())
}

fn measure(budget: Duration) -> Result<Report, Failure> {
    let ours = Ours::new()?;
    let payload_bytes = ours.geometry().deposit_bytes();
    let sphinx = Sphinx::new(payload_bytes)?;
    let outfox = Outfox::new(payload_bytes)?;
    let nacl = Nacl::new(payload_bytes);

    let kernels: Vec<Kernel> =
        Kernel::ALL.iter().copied().filter(|kernel| kernel.is_available()).collect();
    let buildings = kernels.iter().map(|kernel| Building::new(*kernel));
    let buildings: Vec<_> = buildings.collect::<Result<_, _>>()?;
    let mut contenders: Vec<Contender<'_>> = vec![
        sphinx.process(),
        sphinx.build(),
        outfox.decode(),
        outfox.build(),
        nacl.open(),
        nacl.build(),
    ];
    for (&kernel, building) in kernels.iter().zip(&buildings) {
        contenders.extend([ours.dh(kernel), ours.peel(kernel), building.build()]);
    }
    let repetitions = take_turns(&mut contenders, budget)?;
    let best: Vec<f64> = contenders.iter().map(Contender::best_us).collect();

    let kernels: Vec<(Kernel, KernelReport)> = kernels
        .into_iter()
        .zip(best[6..].chunks_exact(3))
        .map(|(kernel, best_of_kernel)| {
            let &[dh_us, peel_us, build_us_per_hop] = best_of_kernel else {
                unreachable!("chunks of three");
            };
            let report = KernelReport {
                name: kernel.name(),
                dh_us,
                peel_us,
                build_us_per_hop,
                peel_over_dh: peel_us / dh_us,
                vs_sphinx_packet: best[0] / peel_us,
                vs_outfox: best[2] / peel_us,
                vs_nacl_box: best[4] / peel_us,
                build_vs_sphinx_packet: best[1] / build_us_per_hop,
            };
            (kernel, report)
        })
        .collect();
    let fastest = kernels.iter().min_by(|(_, a), (_, b)| a.peel_us.total_cmp(&b.peel_us));
    let Some((kernel, fastest)) = fastest else {
        return Err("none of our kernels runs on this machine".into());
    };
    kernel.select()?;
    Ok(Report {
        layers: ours.geometry().layers(),
        payload_bytes,
        repetitions,
        best_kernel: fastest.name,
        ours_peel_us: fastest.peel_us,
        ours_build_us_per_hop: fastest.build_us_per_hop,
        sphinx_packet_us: best[0],
        sphinx_packet_build_us_per_hop: best[1],
        outfox_us: best[2],
        outfox_build_us_per_hop: best[3],
        nacl_box_us: best[4],
        nacl_box_build_us_per_hop: best[5],
        ratios: Ratios {
            peel_over_dh: fastest.peel_over_dh,
            peel_vs_sphinx_packet: fastest.vs_sphinx_packet,
            peel_vs_nacl_box: fastest.vs_nacl_box,
            peel_vs_outfox: fastest.vs_outfox,
            build_vs_sphinx_packet: fastest.build_vs_sphinx_packet,
            build_vs_nacl_box: best[5] / fastest.build_us_per_hop,
            build_vs_outfox: best[3] / fastest.build_us_per_hop,
        },
        vuvuzela_three_hops: published::three_hops()?,
        kernels: kernels.into_iter().map(|(_, report)| report).collect(),
    })
}
