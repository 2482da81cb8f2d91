//! Plots of a round's costs: processor time, bytes, memory.

use antiphon_wire::{Geometry, Layer, Suite};

use super::Plot;
use super::bars::{Bar, bars};
use crate::phases::Phases;
use crate::report::Report;

/// Processor time, by who used it.
pub(super) fn cpu(report: &Report) -> Option<Plot> {
    let client = report.client_cpu_s?;
    let series = [
        ("s2", "peeling"),
        ("s4", "noise"),
        ("s0", "everything else"),
        ("s1", "simulated clients"),
    ];
    let traced = || report.rounds.iter().filter_map(|round| round.phases.as_ref());
    let rounds = report.rounds.len().max(1) as f64;
    let mut rows = Vec::new();
    if let Some(server) = report.server_cpu_s {
        let peel = traced().map(Phases::peel_cpu_ms).sum::<f64>() / 1000.0;
        let noise = traced().map(|phases| phases.noise_cpu_ms).sum::<f64>() / 1000.0;
        let rest = (server - peel - noise).max(0.0);
        let parts = vec![(0, peel / rounds), (1, noise / rounds), (2, rest / rounds)];
        let total = format!("{:.2} s", server / rounds);
        rows.push(Bar { name: "network".to_owned(), parts, total });
    }
    rows.push(Bar {
        name: "clients".to_owned(),
        parts: vec![(3, client / rounds)],
        total: format!("{:.2} s", client / rounds),
    });
    let mut about =
        "Processor time of a measured round, on average, over all cores. The network's parts \
                     are what its shards say they spent on peeling and on noise."
            .to_owned();
    if let Some(peel) = report.peel_us_per_onion {
        about += &format!(" Peeling took {peel:.1} µs an onion and layer.");
    }
    if let Some(build) = report.build_cpu_s {
        about +=
            &format!(" Building the clients' onions took {build:.2} s for all rounds, not shown.");
    }
    let svg = bars("processor time of a round, in seconds", &series, &rows, "seconds a round");
    Some(Plot { name: "cpu", title: "Processor time", about, svg })
}

/// Bytes of one client in one round.
pub(super) fn bytes(report: &Report) -> Option<Plot> {
    let geometry = Geometry::new(report.layers, u16::try_from(report.body_bytes).ok()?).ok()?;
    let geometry = geometry.with_suite(Suite::of_number(report.suite).ok()?);
    let onions = report.onions_per_client as f64;
    let each_up = onions * geometry.onion_bytes(Layer::FIRST) as f64;
    let each_down = onions * geometry.body_bytes() as f64;
    let series = [("s0", "onions and replies"), ("s1", "links and framing")];
    let bar = |name: &str, inner: f64, all: f64| Bar {
        name: name.to_owned(),
        parts: vec![(0, inner.min(all)), (1, (all - inner).max(0.0))],
        total: format!("{all:.0} B"),
    };
    let (up, down) = (report.bytes_per_client_up, report.bytes_per_client_down);
    let rows = [bar("up", each_up, up), bar("down", each_down, down)];
    let svg = bars("bytes of a client in a round", &series, &rows, "bytes a client and round");
    let about = format!(
        "What QUIC put on the wire, divided by clients and rounds, with {} connections for {} clients: a \
         client with a connection of its own sends more acknowledgements.",
        report.connections, report.clients
    );
    Some(Plot { name: "bytes", title: "Bytes on the wire", about, svg })
}

/// Memory of the process at its peak, and as expected before the run.
pub(super) fn memory(report: &Report) -> Option<Plot> {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let peak = mib(report.peak_rss_bytes?);
    let expected = mib(report.estimated_bytes);
    let series = [("s0", "held at the peak"), ("s1", "expected before the run")];
    let bar = |name: &str, part: usize, value: f64| Bar {
        name: name.to_owned(),
        parts: vec![(part, value)],
        total: format!("{value:.0} MiB"),
    };
    let rows = [bar("peak", 0, peak), bar("expected", 1, expected)];
    let whose = if report.embedded { "network and clients together" } else { "the clients alone" };
    let about = format!("The memory of the process: {whose}.");
    let svg = bars("memory of the process, in MiB", &series, &rows, "MiB");
    Some(Plot { name: "memory", title: "Memory", about, svg })
}
