#![doc = include_str!("../README.md")]
#![allow(
    clippy::disallowed_methods,
    reason = "processes are watched by the clock, with a deadline"
)]

mod child;
mod links;
mod misbehave;
mod network;
mod page;
mod rounds;
mod row;
mod rows;
mod setup;
mod talkers;

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::network::Program;
use crate::row::{Row, Seen, Verdict};

/// Break networks of separate processes in every way known, and say what became of them.
#[derive(Debug, Parser)]
#[command(
    version,
    after_long_help = "\
Exit codes:
  0  every row that ran ended as expected
  1  at least one did not, or nothing could be run
  2  the command line is wrong"
)]
struct Arguments {
    /// Rows to run, by name [default: all]
    #[arg(value_name = "ROW")]
    rows: Vec<String>,
    /// Only the rows of the short form
    #[arg(long, conflicts_with = "rows")]
    short: bool,
    /// Only the hour of beats, with the program as it is built for release
    #[arg(long, conflicts_with_all = ["rows", "short"])]
    hour: bool,
    /// With --hour: for so many minutes, with less calm between the faults
    #[arg(long, value_name = "MINUTES", requires = "hour")]
    minutes: Option<u64>,
    /// Run a shard that misbehaves, in place of any row
    #[arg(long, value_name = "CONFIG", hide = true)]
    misbehaving_shard: Option<PathBuf>,
    /// Print the rows' names and what they do, and run nothing
    #[arg(long)]
    list: bool,
    /// The program to run [default: antiphon beside this program]
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// The first of the ports on 127.0.0.1 that the processes use
    #[arg(long, value_name = "PORT", default_value_t = 17_000)]
    ports: u16,
    /// Write the matrix as a page of the book to this file
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// What an earlier run saw, as JSON: for rows that are not run now
    #[arg(long, value_name = "FILE")]
    before: Option<PathBuf>,
    /// Write what was seen as JSON to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Keep the folders of rows that failed, with the processes' logs
    #[arg(long)]
    keep: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::from(2)
        }
    }
}

/// Runs what is asked for. Returns whether all rows that ran ended as expected.
fn run(arguments: &Arguments) -> Result<bool, String> {
    if let Some(config) = &arguments.misbehaving_shard {
        return misbehave::run(config).map(|()| true);
    }
    let chosen = chosen(arguments)?;
    if arguments.list {
        for row in chosen {
            println!("{:28} {}", row.name, row.done);
        }
        return Ok(true);
    }
    let program = Program::new(program(arguments)?, arguments.ports, arguments.keep)
        .for_minutes(arguments.minutes);
    let mut seen = Vec::new();
    for (number, row) in (1..).zip(&chosen) {
        println!("[{number}/{}] {}: {}", chosen.len(), row.name, row.done);
        let result = row.run(&program);
        println!("    {result}");
        seen.push(result);
    }
    write(arguments, &seen)?;
    let count =
        |verdict: Verdict| seen.iter().filter(|seen: &&Seen| seen.verdict == verdict).count();
    let (held, failed, skipped) =
        (count(Verdict::Held), count(Verdict::Failed), count(Verdict::Skipped));
    println!("{held} passed, {failed} failed, {skipped} skipped");
    // Rows that were skipped prove nothing.
    Ok(failed == 0 && held > 0)
}

/// Writes the page and the JSON, with what was seen before of other rows.
fn write(arguments: &Arguments, seen: &[Seen]) -> Result<(), String> {
    let mut all = match &arguments.before {
        Some(path) => seen_before(path)?,
        None => Vec::new(),
    };
    // A row that was run now takes the place of its earlier record.
    all.retain(|earlier| seen.iter().all(|seen| seen.row != earlier.row));
    all.extend_from_slice(seen);
    if let Some(path) = &arguments.page {
        fs::write(path, page::render(&[rows::all(), vec![rows::HOUR]].concat(), &all))
            .map_err(|why| cannot_write(path, &why))?;
    }
    if let Some(path) = &arguments.json {
        let text = serde_json::to_string_pretty(&all).map_err(|why| why.to_string())?;
        fs::write(path, text + "\n").map_err(|why| cannot_write(path, &why))?;
    }
    Ok(())
}

fn seen_before(path: &std::path::Path) -> Result<Vec<Seen>, String> {
    let cannot_read =
        |why: &dyn std::fmt::Display| format!("cannot read {}: {why}", path.display());
    let text = fs::read_to_string(path).map_err(|why| cannot_read(&why))?;
    serde_json::from_str(&text).map_err(|why| cannot_read(&why))
}

fn cannot_write(path: &std::path::Path, why: &std::io::Error) -> String {
    format!("cannot write {}: {why}", path.display())
}

fn chosen(arguments: &Arguments) -> Result<Vec<Row>, String> {
    let all = rows::all();
    if arguments.hour {
        return Ok(vec![rows::HOUR]);
    }
    if arguments.short {
        return Ok(all.into_iter().filter(|row| row.short).collect());
    }
    if let Some(name) = arguments.rows.iter().find(|name| all.iter().all(|row| row.name != **name))
    {
        return Err(format!("there is no row `{name}`: --list prints all"));
    }
    let named =
        |row: &Row| arguments.rows.is_empty() || arguments.rows.iter().any(|n| n == row.name);
    Ok(all.into_iter().filter(named).collect())
}

fn program(arguments: &Arguments) -> Result<PathBuf, String> {
    let beside = || Some(env::current_exe().ok()?.with_file_name("antiphon"));
    let path = arguments.program.clone().or_else(beside).unwrap_or_default();
    let path = fs::canonicalize(&path).map_err(|why| {
        format!("{}: {why}: build it (cargo build -p antiphon) or give --program", path.display())
    })?;
    Ok(path)
}
