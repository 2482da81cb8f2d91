//! The page of the book on capacity and cost.

use std::path::Path;

use serde_json::Value;

use crate::done;

const PAGE: &str = include_str!("../../../../docs/src/capacity.md");

#[test]
fn every_command_of_the_page_works() {
    let folder = tempfile::tempdir().unwrap();
    let blocks = PAGE.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let commands: Vec<_> = blocks.flat_map(str::lines).collect();
    assert!(commands.len() > 5, "{commands:?}");
    for command in commands {
        done(folder.path(), command.strip_prefix("antiphon ").unwrap());
    }
}

#[test]
fn the_table_has_what_the_plan_prints() {
    let rows: Vec<_> = PAGE.lines().filter(|line| line.starts_with("| `--shards")).collect();
    assert!(rows.len() > 3, "{PAGE}");
    for row in rows {
        let arguments = row.split('`').nth(1).unwrap();
        let text = done(Path::new("."), &format!("plan {arguments} --json -"));
        let plan: Value = serde_json::from_str(&text).unwrap();
        let figure = |name: &str| plan[name].as_f64().unwrap();
        let made = format!(
            "| `{arguments}` | {:.1} kB | {:.1} GB | {:.1} TB | {:.2} Gbit/s | {:.1} s | {:.2} GB |",
            figure("egress_bytes_per_user_and_round") * 1e-3,
            figure("egress_bytes_per_user_and_month") * 1e-9,
            figure("bytes_sent_per_shard") * figure("rounds_per_month") * 1e-12,
            figure("bandwidth_per_shard_gbps"),
            figure("cpu_s_per_shard"),
            figure("memory_per_shard_bytes") * 1e-9,
        );
        assert_eq!(row, made);
    }
}

#[test]
fn the_table_of_beats_has_what_the_plan_prints_and_bytes_hardly_change() {
    let rows: Vec<_> = PAGE.lines().filter(|line| line.starts_with("| `--beats")).collect();
    assert!(rows.len() > 1, "{PAGE}");
    for row in rows {
        let arguments = row.split('`').nth(1).unwrap();
        let plan = |arguments: &str| -> Value {
            let text = done(Path::new("."), &format!("plan {arguments} --json -"));
            serde_json::from_str(&text).unwrap()
        };
        let (with, classic) = (plan(arguments), plan(&arguments.replace("--beats ", "")));
        let number = |of: &Value, name: &str| of[name].as_f64().unwrap();
        let (beats, month) = (&with["beats"], &with["beats"]["month"]);
        let users: f64 = arguments.rsplit(' ').next().unwrap().parse().unwrap();
        let egress = number(month, "egress_bytes");
        // Rounds five minutes apart, and beats of four seconds.
        let processor = number(&with, "cpu_s_per_shard")
            / number(&with["assumptions"], "interval_s")
            + number(beats, "beat_cpu_s_per_shard") / number(beats, "interval_ms") * 1000.0;
        let made = format!(
            "| `{arguments}` | {:.1} GB | {:.1} GB | {:.1} GB | {:.1} TB | {:.1} GB | {:.2} s | {:.1} s |",
            egress * 1e-9,
            number(month, "egress_rounds_bytes") * 1e-9,
            number(month, "egress_beats_bytes") * 1e-9,
            egress * users / number(&with, "shards") * 1e-12,
            number(month, "client_bytes") * 1e-9,
            processor,
            number(beats, "beat_latency_ms") * 1e-3,
        );
        assert_eq!(row, made);
        let before = number(&classic, "egress_bytes_per_user_and_month");
        assert!((0.8..1.0).contains(&(egress / before)), "{egress} beside {before}");
        assert!(processor < 0.65 * number(&classic, "cpu_s_per_shard") / 5.0, "{processor}");
    }
}
