//! Whether a shard's work grows with the network when shards and clients grow together:
//! `cargo run --release -p antiphon-load --example work_per_shard -- [NOISE] [RUNS]`.
//!
//! Networks of 5, 10 and 20 shards, with a thousand clients a shard, take turns, each in a process of its
//! own. NOISE is what every shard adds in a round, so that it does not change from one network to the
//! next: 1616 deposits unless said otherwise, the default guarantee's with 5 shards. `planned` is the
//! default guarantee in every network, with less noise for each shard the more there are.
//!
//! Work is the processor time of all shards and the coordinator in the measured rounds, links included.
//! This machine's speed differs from run to run, so that it is given in peelings of the same run, too.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example")]

use std::env;
use std::error::Error;
use std::future::pending;
use std::num::NonZeroUsize;
use std::process::{Command, ExitCode, Stdio};
use std::thread::available_parallelism;

use antiphon_coordinator::CoordinatorConfig;
use antiphon_dp_noise::{Budget, OperatorShare, solve};
use antiphon_load::{Arrivals, LoadOptions, Silent, Target, run};
use antiphon_testnet::{EmbeddedNetwork, EmbeddedOptions};
use antiphon_wire::Policy;

const SHARDS: [u16; 3] = [5, 10, 20];
const CLIENTS_PER_SHARD: u32 = 1000;
/// Measured in each run.
const ROUNDS: u32 = 3;
const LINKS_PER_CONNECTION: u32 = 256;
/// How one run of a network is asked for, in a process of its own.
const ONE: &str = "--one";

type Failed = Box<dyn Error>;

/// What one run found.
#[derive(Clone, Copy)]
struct Found {
    noise: f64,
    /// Milliseconds a shard and round, without the building of noise.
    work_ms: f64,
    /// The same with it.
    all_ms: f64,
    peel_us: f64,
    hops: f64,
}

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [ONE, shards, disturbed] => one(shards, disturbed),
        [] => compare("1616", "3"),
        [noise] => compare(noise, "3"),
        [noise, runs] => compare(noise, runs),
        _ => Err("give the noise deposits of a shard or `planned`, and a number of runs".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(noise: &str, runs: &str) -> Result<(), Failed> {
    let runs: usize = runs.parse().map_err(|_| format!("{runs} is no number of runs"))?;
    let mut disturbed = [Policy::default().disturbed_rounds; SHARDS.len()];
    if noise != "planned" {
        for (disturbed, shards) in disturbed.iter_mut().zip(SHARDS) {
            *disturbed = disturbed_for(shards, noise)?;
        }
    }
    let mut found = SHARDS.map(|_| Vec::new());
    for number in 1..=runs {
        for ((shards, disturbed), found) in SHARDS.into_iter().zip(disturbed).zip(&mut found) {
            eprintln!("run {number} of {runs}: {shards} shards");
            found.push(in_its_own_process(shards, disturbed)?);
        }
    }
    println!("medians of {runs} runs, a shard and round each");
    println!("shards  noise   all ms   less building ms   in peelings      us/hop  peel us");
    let mut first = None;
    for (shards, found) in SHARDS.iter().zip(&found) {
        let middle = |of: fn(&Found) -> f64| median(found.iter().map(of).collect());
        let peelings = middle(|of| of.work_ms * 1e3 / of.peel_us);
        let work = middle(|of| of.work_ms);
        // How many times that of the first network.
        let (first_work, first_peelings) = *first.get_or_insert((work, peelings));
        println!(
            "{shards:6} {:6.0} {:8.1} {work:12.1} {:5.3} {peelings:9.0} {:5.3} {:8.2} {:8.2}",
            middle(|of| of.noise),
            middle(|of| of.all_ms),
            work / first_work,
            peelings / first_peelings,
            middle(|of| of.work_ms * 1e3 / of.hops),
            middle(|of| of.peel_us),
        );
    }
    Ok(())
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of.get(of.len() / 2).copied().unwrap_or(f64::NAN)
}

/// For how many disturbed rounds the default epsilon and delta take `volume` deposits of each of so
/// many shards, nearly.
fn disturbed_for(shards: u16, volume: &str) -> Result<u32, Failed> {
    let wanted: u32 = volume.parse().map_err(|_| format!("{volume} is no number of deposits"))?;
    let policy = Policy::default();
    let equals = vec![OperatorShare { weight: 1, shards: 1 }; shards.into()];
    let malicious = u64::from(shards) * u64::from(policy.malicious_ppm) / 1_000_000;
    let takes = |disturbed: u32| -> Result<u32, Failed> {
        let budget = Budget::new(policy.epsilon, policy.delta, disturbed)?;
        let noise = solve(&budget, &equals, malicious)?;
        Ok(noise.per_operator.first().map_or(0, |shard| shard.volume()))
    };
    let (mut low, mut high) = (1, 10_000);
    while low < high {
        let middle = (low + high) / 2;
        if takes(middle)? < wanted { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}

fn in_its_own_process(shards: u16, disturbed: u32) -> Result<Found, Failed> {
    let mut command = Command::new(env::current_exe()?);
    command.args([ONE, &shards.to_string(), &disturbed.to_string()]);
    let output = command.stderr(Stdio::inherit()).output()?;
    let text = String::from_utf8(output.stdout)?;
    let figures: Result<Vec<f64>, _> = text.split_whitespace().map(str::parse).collect();
    match figures?[..] {
        [noise, work_ms, all_ms, peel_us, hops] => {
            Ok(Found { noise, work_ms, all_ms, peel_us, hops })
        }
        _ => Err(format!("the run with {shards} shards failed").into()),
    }
}

fn one(shards: &str, disturbed: &str) -> Result<(), Failed> {
    let (shards, disturbed_rounds) = (shards.parse()?, disturbed.parse()?);
    let clients = u32::from(shards) * CLIENTS_PER_SHARD;
    let policy = Policy { disturbed_rounds, total_delta: 1.0, ..Policy::default() };
    // Noise and onions for the next round are built before it opens, so that no round waits.
    let interval_ms = 2000 + clients / 2;
    let coordinator = CoordinatorConfig {
        epoch_rounds: 300,
        interval_ms,
        submit_ms: 2000 + clients,
        layer_ms: 60_000,
        verify_ms: 60_000,
        reply_ms: 60_000,
        ready_ms: 240_000,
        ..CoordinatorConfig::default()
    };
    let mut options = EmbeddedOptions::new(shards, policy, coordinator);
    let room = clients as usize + 64;
    options.limits.clients = room;
    options.limits.clients_per_address = room;
    options.limits.links_per_connection = LINKS_PER_CONNECTION;
    options.limits.rounds.submissions = room;
    let network = EmbeddedNetwork::start(&options, |_| None)?;
    let load = LoadOptions {
        clients,
        rounds: ROUNDS,
        warmup: 1,
        talking: 0.5,
        churn: 0.0,
        arrivals: Arrivals::AtOnce,
        seed: 1,
        threads: available_parallelism().unwrap_or(NonZeroUsize::MIN),
        links_per_connection: LINKS_PER_CONNECTION,
    };
    let report = run(&load, &Target::Embedded(&network), &Silent, || Ok(pending()))?;
    if report.delivered() != report.rounds.len() || report.lost_messages > 0 {
        return Err("rounds were not delivered as they have to be".into());
    }
    let each = f64::from(shards) * report.rounds.len() as f64;
    let phases = report.rounds.iter().filter_map(|round| round.phases.as_ref());
    let building: f64 = phases.map(|phases| phases.noise_cpu_ms).sum();
    let all = report.server_cpu_s.ok_or("this system does not count processor time")? * 1e3;
    let peel_us = report.peel_us_per_onion.ok_or("nothing was peeled")?;
    let noise = report.noise_per_round as f64 / f64::from(shards);
    let hops = report.hop_operations as f64 / each;
    println!("{noise} {} {} {peel_us} {hops}", (all - building) / each, all / each);
    Ok(())
}
