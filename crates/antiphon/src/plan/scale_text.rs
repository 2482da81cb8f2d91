//! A prediction for people.

use antiphon_model::Prediction;

use super::scale::ScaleFigures;
use super::text::Table;

/// The figures with a line of explanation each.
pub(super) fn render(figures: &ScaleFigures) -> String {
    let mut table = Table::default();
    if let (Some(users), Some(round)) = (figures.users, &figures.round) {
        predicted(users, round, figures.assumptions.link_gbps, &mut table);
    }
    if let Some(egress) = &figures.egress {
        let gigabytes = format!("{:.1} GB", egress.egress_bytes_per_user_and_month * 1e-9);
        let (bytes, rounds) = (egress.egress_bytes_per_user_and_round, egress.rounds_per_month);
        let arithmetic = format!(
            "of all shards, a user and month of 30 days: {bytes:.0} B a round, {rounds:.0} rounds"
        );
        table.row("egress", &gigabytes, arithmetic);
    }
    if let (Some(target), Some(users)) =
        (figures.target_latency_s, figures.largest_users_for_target)
    {
        table.section("The largest load");
        table.row("users", &users, format!("the most whose rounds take at most {target} s"));
    }
    assumed(figures, &mut table);
    table.render()
}

fn predicted(users: u64, round: &Prediction, link_gbps: Option<f64>, table: &mut Table) {
    let latency = round.latency_ms;
    table.section(&format!("A round of {users} users, predicted"));
    table.row("latency", &ms(latency), "until the last client has its replies");
    for (name, part) in round.phases.named() {
        table.row(&format!("  {name}"), &ms(part), explained(name, part / latency));
    }
    table.row("onions", &round.onions.round(), "in each layer, noise included");
    let noise =
        format!("of a shard for a round; {:.3} s of it for noise", round.noise_cpu_s_per_shard);
    table.row("processor", &format!("{:.3} s", round.cpu_s_per_shard), noise);
    let load = if round.load > 1.0 {
        "of the cores' time: more than there is, so rounds cannot follow at this interval"
    } else {
        "of the cores' time, with rounds at the interval"
    };
    table.row("load", &format!("{:.1} %", 100.0 * round.load), load);
    let bandwidth = format!("{:.3} Gbit/s", round.bandwidth_per_shard_gbps);
    let over = if link_gbps.is_some_and(|link| round.bandwidth_per_shard_gbps > link) {
        "of a shard: more than its link carries, so rounds cannot follow at this interval"
    } else {
        "of a shard in the busier direction, over the interval"
    };
    table.row("bandwidth", &bandwidth, over);
    let memory = format!("{:.2} GB", round.memory_per_shard_bytes * 1e-9);
    table.row("memory", &memory, "of a shard at the fullest moment, its program apart");
    let client = format!("{:.0} B", round.bytes_per_client_up);
    table.row("client sends", &client, "a round, headers and acknowledgements included");
    let client = format!("{:.0} B", round.bytes_per_client_down);
    table.row("client receives", &client, "the same");
}

fn assumed(figures: &ScaleFigures, table: &mut Table) {
    let assumptions = &figures.assumptions;
    table.section("Assumed");
    let suite = match assumptions.suite {
        1 => "X25519",
        _ => "X25519 and ML-KEM-768",
    };
    table.row("suite", &assumptions.suite, suite);
    table.row(
        "peeling",
        &format!("{:.2} us", assumptions.peel_us),
        format!("an onion; {}", assumptions.machine),
    );
    let cores = if assumptions.one_machine {
        "of one machine for all shards, the coordinator and the clients"
    } else {
        "of each shard's machine"
    };
    table.row("cores", &assumptions.cores, cores);
    if let (Some(gbps), Some(delay)) = (assumptions.link_gbps, assumptions.delay_ms) {
        table.row("link", &format!("{gbps} Gbit/s"), "of each shard, in each direction");
        table.row("delay", &format!("{delay} ms"), "of every message between two machines");
    }
    table.row("interval", &format!("{} s", assumptions.interval_s), "between two rounds");
}

fn explained(name: &str, share: f64) -> String {
    let about = match name {
        "submit" => "announced, the clients' onions in, shuffled",
        "delay" => "layers: on the way",
        "transfer" => "layers: until the last byte is in",
        "peel" => "layers: peeling beyond that",
        "shuffle" => "layers: copies found, shuffled, gathered",
        "verification" => "filters, verdicts, seal keys",
        "exchange" => "dead drops",
        _ => "back to the clients",
    };
    format!("{:>4.1} %  {about}", 100.0 * share)
}

fn ms(value: f64) -> String {
    format!("{value:.0} ms")
}
