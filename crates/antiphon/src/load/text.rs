//! Report of a load test, for people.

use std::fmt::Write as _;

use antiphon_load::{BeatsReport, Percentiles, Report, Round};

/// The figures as a compact table.
pub(super) fn render(report: &Report) -> String {
    let mut text = heading(report);
    text += "   round  outcome       latency   answered   late   messages   lost\n";
    for round in &report.rounds {
        text += &line(round);
    }
    text.push('\n');
    let rows = times(report).into_iter().chain(costs(report)).chain(clients(report));
    for (name, value) in rows {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name:<22}{value}");
    }
    if let Some(beats) = &report.beats {
        text.push('\n');
        for (name, value) in of_beats(beats) {
            let _ = writeln!(text, "{name:<22}{value}");
        }
    }
    if let Some(round) = report.median_round()
        && let Some(phases) = &round.phases
    {
        text += &slowest(round, phases);
    }
    text
}

/// Heading with the run, after whatever went otherwise than it was asked for.
fn heading(report: &Report) -> String {
    let mut text = String::new();
    if report.interrupted {
        text += "INTERRUPTED: these are the rounds that were measured by then.\n\n";
    }
    if report.absent > 0 {
        let why = report.link_refusal.as_deref().unwrap_or("links broke");
        let rounds = report.rounds.len().max(1) as u64;
        let _ = writeln!(
            text,
            "NOT THE LOAD THAT WAS ASKED FOR: {} of {} clients had no link on average: {why}\n",
            report.absent.div_ceil(rounds),
            report.clients
        );
    }
    let _ = write!(
        text,
        "{} clients ({} talking) against {} shards{}: {} mixing hops, suite {}, {} noise onions a round\n\n",
        report.clients,
        report.talking,
        report.shards,
        in_this_process(report),
        report.hops,
        report.suite,
        report.noise_per_round,
    );
    text
}

/// Where the shards are, for behind them.
fn in_this_process(report: &Report) -> &'static str {
    match report.shard_links {
        Some("memory") => " in this process, linked in its memory",
        _ if report.embedded => " in this process",
        _ => "",
    }
}

/// A figure's name, or nothing where it goes on with the one above, and the figure.
type Row = (&'static str, String);

/// Durations of rounds.
fn times(report: &Report) -> Vec<Row> {
    let mut rows = vec![
        ("latency, rounds", percentiles(report.latency_ms)),
        ("latency, clients", percentiles(report.client_latency_ms)),
    ];
    if let (Some(seconds), Some(rate)) = (report.duration_s, report.messages_per_s) {
        let rounds = report.rounds.len();
        let rate = format!("{rounds} rounds in {seconds:.1} s; {rate:.0} messages a second");
        rows.push(("throughput", rate));
    }
    rows
}

/// Beats, apart from the rounds that they follow.
fn of_beats(beats: &BeatsReport) -> Vec<Row> {
    let every = f64::from(beats.interval_ms) / 1000.0;
    let latency = beats.latency_ms.map_or("no cell came back".to_owned(), in_words);
    let mut rows = vec![
        (
            "beats",
            format!("{}, one every {every:.1} s, up to {} a round", beats.count, beats.per_round),
        ),
        ("latency, cells", latency),
        (
            "cells",
            format!("{} of {} bytes, {} lost", beats.cells, beats.cell_bytes, beats.lost_cells),
        ),
    ];
    if let (Some(filled), Some(late)) = (beats.filled_cells, beats.late_batches) {
        let shards = format!("{filled} cells filled in, {late} batches late between shards");
        rows.push(("", shards));
    }
    rows.push(("", format!("ciphered {} times", beats.cell_operations)));
    if let Some(seconds) = beats.server_cpu_s {
        rows.push(("processor time", format!("network {seconds:.2} s of what is said above")));
    }
    if let (Some(cell), Some(onion), Some(times)) =
        (beats.server_us_per_cell, beats.server_us_per_onion, beats.onion_to_cell)
    {
        let each = format!(
            "{cell:.1} us a client's cell, {onion:.0} us an onion: {times:.0} times as much"
        );
        rows.push(("", each));
    }
    rows
}

/// Costs of rounds on this machine.
fn costs(report: &Report) -> Vec<Row> {
    let known = |figure: Option<String>| figure.unwrap_or_else(|| "not known".to_owned());
    let peel = known(report.peel_us_per_onion.map(|us| format!("{us:.1} us each")));
    let cpu = |seconds: Option<f64>| known(seconds.map(|seconds| format!("{seconds:.2} s")));
    let mib = |bytes: u64| bytes >> 20;
    let peak = known(report.peak_rss_bytes.map(|bytes| format!("{} MiB", mib(bytes))));
    let mut rows = vec![
        (
            "onions",
            format!("{}, peeled {} times; {peel}", report.onions_total, report.hop_operations),
        ),
        (
            "processor time",
            format!(
                "network {}, clients {}; building onions took {}",
                cpu(report.server_cpu_s),
                cpu(report.client_cpu_s),
                cpu(report.build_cpu_s)
            ),
        ),
    ];
    rows.extend(report.cpu_unknown.iter().map(|why| ("", why.clone())));
    let expected = mib(report.estimated_bytes);
    rows.push(("memory", format!("{peak} at the peak; {expected} MiB expected")));
    rows.push((
        "wire",
        format!(
            "{:.0} B up and {:.0} B down a client and round{}, over {} connections",
            report.bytes_per_client_up,
            report.bytes_per_client_down,
            if report.beats.is_some() { " with its beats" } else { "" },
            report.connections
        ),
    ));
    rows
}

/// Results for clients.
fn clients(report: &Report) -> Vec<Row> {
    let mut rows = vec![
        ("messages", format!("{} sent, {} lost", report.messages, report.lost_messages)),
        (
            "clients",
            format!(
                "{} times late ({} not linked, {} refused), {} idle rounds disturbed, {} links broken",
                report.late,
                report.absent,
                report.refused,
                report.idle_disturbed,
                report.links_lost
            ),
        ),
    ];
    let refusal = report.refusal.as_ref();
    rows.extend(refusal.map(|why| ("", format!("a gateway took no onions: {why}"))));
    let (ready, kernel, seed) = (report.prebuilt_rounds, &report.kernel, &report.seed);
    let ready = format!("{ready} rounds, with the kernel {kernel}; seed {seed}");
    rows.push(("onions ready before", ready));
    rows
}

fn line(round: &Round) -> String {
    let latency = round.latency_ms.map_or("-".to_owned(), |ms| format!("{:.2} s", ms / 1000.0));
    let mut line = format!(
        "{:>8}  {:<10} {latency:>10} {:>10} {:>6} {:>10} {:>6}\n",
        round.round,
        round.outcome.name(),
        round.answered,
        round.late,
        round.messages,
        round.lost_messages
    );
    if let Some(reason) = &round.reason {
        line += &format!("          {reason}\n");
    }
    line
}

fn percentiles(found: Option<Percentiles>) -> String {
    found.map_or("no round was delivered".to_owned(), in_words)
}

fn in_words(Percentiles { p50, p90, p99, max }: Percentiles) -> String {
    format!("p50 {p50:.0} ms, p90 {p90:.0} ms, p99 {p99:.0} ms, max {max:.0} ms")
}

/// Where the time of one round went.
fn slowest(round: &Round, phases: &antiphon_load::Phases) -> String {
    let layers = |part: fn(&antiphon_load::LayerPhases) -> antiphon_load::Spread| {
        phases.layers.iter().map(|layer| part(layer).median_ms).sum::<f64>()
    };
    let mut text =
        format!("\nwhere the time of round {} went, for the median shard\n", round.round);
    for (name, ms) in [
        ("submit", phases.submit.median_ms),
        ("layers: wait", layers(|layer| layer.wait)),
        ("layers: receive", layers(|layer| layer.receive)),
        ("layers: peel", layers(|layer| layer.peel)),
        ("layers: shuffle", layers(|layer| layer.shuffle)),
        ("layers: send", layers(|layer| layer.send)),
        ("verification", phases.verification.median_ms),
        ("exchange", phases.exchange.median_ms),
        ("replies", phases.replies.median_ms),
    ] {
        let _ = writeln!(text, "  {name:<20}{ms:>9.1} ms");
    }
    text
}
