//! Rounds and beats, for people.

use super::beats::{BeatFigures, Month};
use super::text::{Table, short};

/// The figures with a line of explanation each.
pub(super) fn render(figures: &BeatFigures) -> String {
    let mut table = Table::default();
    latency(figures, &mut table);
    against_delay(figures, &mut table);
    machines(figures, &mut table);
    month(&figures.month, &mut table);
    total(figures, &mut table);
    table.render()
}

fn latency(figures: &BeatFigures, table: &mut Table) {
    let beat = &figures.beat;
    table.section(&format!(
        "A beat, predicted: {} after each round, one every {} s",
        figures.per_round,
        f64::from(figures.interval_ms) / 1000.0
    ));
    let passed = format!("from when cells leave until the last are back: {} links", {
        beat.beat_link_delays
    });
    table.row("latency", &ms(beat.latency_ms), passed);
    for (name, part) in beat.phases.named() {
        let about = format!("{:>4.1} %  {}", 100.0 * part / beat.latency_ms, explained(name));
        table.row(&format!("  {name}"), &ms(part), about);
    }
    let late = if beat.beat_slowest_stop_ms > f64::from(figures.layer_ms) {
        "more: cells are lost, see --beat-layer-ms"
    } else {
        "in time"
    };
    let slowest = format!("of {} ms that the schedule has; {late}", figures.layer_ms);
    table.row("slowest layer", &ms(beat.beat_slowest_stop_ms), slowest);
    let more = format!("to a beat, and {} to a round", ms(figures.round_ms_per_hop));
    table.row("a hop more adds", &ms(figures.beat_ms_per_hop), more);
}

fn against_delay(figures: &BeatFigures, table: &mut Table) {
    if figures.by_delay.is_empty() {
        return;
    }
    table.section("Latency against the links' delay");
    for each in &figures.by_delay {
        let round = format!("a beat; {} a round", ms(each.round_latency_ms));
        table.row(&format!("at {} ms", each.delay_ms), &ms(each.beat_latency_ms), round);
    }
}

fn machines(figures: &BeatFigures, table: &mut Table) {
    let beat = &figures.beat;
    table.section("A shard");
    for each in &figures.by_suite {
        table.row(
            &format!("round, suite {}", each.suite),
            &format!("{:.3} s", each.round_cpu_s_per_shard),
            format!("of a core, noise included; {:.2} % of one", 100.0 * each.rounds_cpu_share),
        );
    }
    let share = figures.by_suite.first().map_or(0.0, |each| each.beats_cpu_share);
    let why = format!("of a core; {:.2} % of one", 100.0 * share);
    table.row("beat", &format!("{:.4} s", beat.beat_cpu_s_per_shard), why);
    let load = format!("{:.1} %", 100.0 * figures.load_of_both);
    table.row("load", &load, "of the cores' time, rounds and beats together");
    let bandwidth = format!("{:.3} Gbit/s", beat.beat_bandwidth_per_shard_gbps);
    table.row("beats' bandwidth", &bandwidth, "in each direction, over the interval of beats");
    table.row("circuit tables", &mb(beat.circuit_tables_bytes_per_shard), "of one round");
    let held = format!("tables of two rounds, and {} beats under way", beat.beats_in_flight);
    table.row("memory for beats", &mb(beat.beat_memory_per_shard_bytes), held);
}

fn month(month: &Month, table: &mut Table) {
    table.section("A user's month of 30 days");
    table.row(
        "on the own link",
        &mb(month.client_bytes),
        "up and down together, the sum of these:",
    );
    let parts = [
        ("  rounds", month.client_rounds_bytes, month.rounds, ""),
        ("  beats", month.client_beats_bytes, month.beats, ""),
        ("  mailbox rounds", month.client_mailbox_bytes, month.mailbox_rounds, ", boxes included"),
    ];
    for (label, bytes, count, more) in parts {
        table.row(label, &mb(bytes), format!("{count:.0} of them{more}"));
    }
    table.row("sent by all shards", &mb(month.egress_bytes), "for each user, the sum of these:");
    for (label, bytes) in [
        ("  rounds", month.egress_rounds_bytes),
        ("  beats", month.egress_beats_bytes),
        ("  mailbox rounds", month.egress_mailbox_bytes),
    ] {
        table.row(label, &mb(bytes), "");
    }
}

fn total(figures: &BeatFigures, table: &mut Table) {
    let delta = &figures.delta;
    table.section("Where delta goes");
    table.row("in all", &short(delta.total), "as above; paid for rounds, whatever beats follow");
    for (label, part, about) in [
        ("  noise", delta.noise, "over the disturbed rounds"),
        ("  mixing, disturbed", delta.disturbed, "over these and the attempts"),
        ("  mixing, undisturbed", delta.undisturbed, "over all rounds that the interval allows"),
        ("  peek", delta.peek, "over the same"),
        ("  early rounds", delta.early, "mixing and peek over all that the policy allows besides"),
    ] {
        table.row(label, &short(part), about);
    }
    for each in &figures.by_total {
        table.row(
            &format!("for {}", short(each.total)),
            &format!("{} hops", each.hops),
            format!("a beat {}, a round {}", ms(each.beat_latency_ms), ms(each.round_latency_ms)),
        );
    }
}

fn explained(name: &str) -> &'static str {
    match name {
        "gateway" => "from the client's sending until its gateway closes, by the schedule",
        "delay" => "on the way from shard to shard, and home",
        "transfer" => "until the last batch is in",
        "receive" => "links and batches beyond that",
        _ => "cells moved, and the cipher",
    }
}

fn ms(value: f64) -> String {
    format!("{value:.0} ms")
}

fn mb(bytes: f64) -> String {
    format!("{:.1} MB", bytes * 1e-6)
}
