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
