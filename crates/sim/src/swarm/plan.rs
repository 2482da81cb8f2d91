//! A network and its trouble, drawn from a seed.

mod beats;

use std::fmt;

use antiphon_coordinator_core::CoordinatorConfig;

use super::draw::Draw;
use super::fault::{Fault, Kept};
use super::play::{Play, Span};
use crate::party::Party;
use crate::{Gateways, LinkModel, Setup};

/// Largest error of a clock, in milliseconds. It is small because epochs of a few seconds soon end by any
/// clock.
const CLOCK_MS: u64 = 3000;

/// One run of the swarm in full: the same plan gives the same run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Seed that the plan was drawn from.
    pub seed: u64,
    /// The network, its sizes and its times.
    pub setup: Setup,
    /// Who has conversations, and how many messages each end sends.
    pub talks: Vec<(usize, usize, usize)>,
    /// Length of the time of trouble, in milliseconds.
    pub trouble_ms: u64,
    /// Faults, each with the milliseconds from the start at which it strikes.
    pub faults: Vec<(u64, Fault)>,
    /// The shard that is not honest, if one is.
    pub malicious: Option<usize>,
    /// Spans of time in which the adversary acts.
    pub plays: Vec<Span>,
    /// The shard that leaves when all is well and all shards are there again, if it is waited for
    /// that: nobody may notice.
    pub leaves: Option<usize>,
}

impl Plan {
    /// The plan of a seed.
    pub fn new(seed: u64) -> Self {
        let mut draw = Draw::new(seed);
        let mut setup = setup(&mut draw, seed);
        // Streams of their own, so that what seeds stood for before there were several coordinators, and before there
        // were beats, stays as it was.
        let mut coordinators = Draw::new(seed.wrapping_add(2));
        let mut of_beats = Draw::new(seed.wrapping_add(3));
        beats::draw_beats(&mut of_beats, &mut setup);
        let talks = talks(&mut draw, &setup);
        let trouble_ms = draw.between(8, 40) * 1000;
        setup.coordinators = coordinators.one(&[1, 1, 2, 3]);
        let faults = faults(&mut draw, &mut coordinators, &setup, trouble_ms);
        let malicious = draw.chance(50).then(|| draw.below(setup.shards));
        let mut plays = plays(&mut draw, &setup, trouble_ms, malicious);
        plays.extend(beats::plays(&mut of_beats, &setup, trouble_ms, malicious));
        let leaves = draw.chance(25).then(|| draw.below(setup.shards));
        Self { seed, setup, talks, trouble_ms, faults, malicious, plays, leaves }
    }
}

fn setup(draw: &mut Draw, seed: u64) -> Setup {
    // Work grows with the square of the shards.
    let shards = draw.one(&[3, 3, 3, 4, 4, 5, 7]);
    let clients = draw.between(2, 6) as usize;
    let gateways = Gateways::Drawn;
    let mut setup = Setup { seed, gateways, ..Setup::small(shards, clients).with_little_noise() };
    setup.operators = draw.between(3, shards as u64) as usize;
    // Its guarantee is worth nothing; its rounds are quick.
    setup.policy.epsilon = 60.0;
    setup.policy.delta = 0.3;
    if setup.operators > 4 && draw.chance(25) {
        setup = setup.with_malicious_fifth();
    }
    setup.policy.least_mixing_hops = draw.between(2, 3) as u8;
    setup.policy.disturbed_rounds = draw.one(&[6, 20, 40]);
    setup.policy.attempts = draw.one(&[6, 40, 400]);
    setup.policy.most_pairs = 2;
    setup.coordinator.pairs_per_client = draw.between(1, 2) as u8;
    setup.coordinator.epoch_rounds = draw.between(6, 25) as u32;
    setup.coordinator.prepare_ahead_rounds = draw.between(2, 5) as u32;
    setup.coordinator.rounds_in_flight = draw.between(1, 4) as u8;
    setup.coordinator.interval_ms = draw.between(500, 1500) as u32;
    setup.coordinator.hand_over_ms = draw.between(1, 10) as u32 * 1000;
    setup.link = LinkModel {
        delay_ms: draw.between(2, 40),
        jitter_ms: draw.between(0, 30),
        loss_ppm: draw.one(&[0, 0, 1000, 10_000]),
    };
    setup
}

fn talks(draw: &mut Draw, setup: &Setup) -> Vec<(usize, usize, usize)> {
    let pairs = usize::from(setup.coordinator.pairs_per_client);
    let mut room = vec![pairs; setup.clients];
    let mut talks = Vec::new();
    for _ in 0..draw.between(1, setup.clients as u64) {
        let (a, b) = (draw.below(setup.clients), draw.below(setup.clients));
        // No client has more conversations than pairs of onions.
        if a != b && room[a] > 0 && room[b] > 0 {
            room[a] -= 1;
            room[b] -= 1;
            talks.push((a, b, draw.between(1, 12) as usize));
        }
    }
    talks
}

/// What goes wrong, each with how it ends. Long, as it is one table of chances.
fn faults(
    draw: &mut Draw,
    coordinators: &mut Draw,
    setup: &Setup,
    trouble_ms: u64,
) -> Vec<(u64, Fault)> {
    let mut faults = of_coordinators(coordinators, setup, trouble_ms);
    for _ in 0..draw.between(0, 16) {
        let at = draw.between(0, trouble_ms);
        let later = at + draw.between(50, 12_000);
        let shard = draw.below(setup.shards);
        let client = draw.below(setup.clients);
        let coordinator = coordinators.below(setup.coordinators);
        let clock = draw.between(0, 2 * CLOCK_MS) as i64 - CLOCK_MS as i64;
        match draw.below(18) {
            0..=3 => faults.extend([(at, Fault::Crash(shard)), (later, Fault::Restart(shard))]),
            4 => faults.extend([(at, Fault::Leave(shard)), (later, Fault::Restart(shard))]),
            5 | 6 => {
                let kept = draw.one(&[Kept::All, Kept::All, Kept::Old, Kept::Nothing]);
                let back = if draw.chance(50) { at } else { later };
                faults.push((at, Fault::CoordinatorStops(coordinator)));
                faults.push((back, Fault::CoordinatorStarts(coordinator, kept)));
            }
            7 => faults.push((at, Fault::Power)),
            8 | 9 => {
                let back = if draw.chance(50) { at } else { later };
                faults.push((at, Fault::ClientStops(client)));
                faults.push((back, Fault::ClientStarts(client)));
            }
            10 => faults.push((at, Fault::ClientRelinks(client))),
            11 | 12 => faults.push((at, Fault::ClientMoves(client))),
            13 => faults.push((at, Fault::Silence(shard))),
            14 | 15 => {
                let back = if draw.chance(50) { at } else { later };
                faults.push((at, Fault::Unlinks(coordinator, shard)));
                faults.push((back, Fault::Links(coordinator, shard)));
            }
            _ => {
                let parties =
                    [Party::Coordinator(coordinator), Party::Shard(shard), Party::Client(client)];
                faults.push((at, Fault::Clock(draw.one(&parties), clock)));
            }
        }
    }
    // What was drawn first comes first of what happens at one moment.
    faults.sort_by_key(|(at, _)| *at);
    faults
}

/// Coordinators come and go where there are several.
fn of_coordinators(draw: &mut Draw, setup: &Setup, trouble_ms: u64) -> Vec<(u64, Fault)> {
    let mut faults = Vec::new();
    if setup.coordinators == 1 {
        return faults;
    }
    for _ in 0..draw.between(1, 6) {
        let i = draw.below(setup.coordinators);
        let at = draw.between(0, trouble_ms);
        let back = at + draw.between(50, 12_000);
        let kept = draw.one(&[Kept::All, Kept::Old, Kept::Nothing]);
        match draw.below(3) {
            0 => faults.push((at, Fault::CoordinatorLeaves(i))),
            1 => faults.push((at, Fault::CoordinatorStops(i))),
            _ => {
                // Cut off from some shards, or from all.
                let reached = draw.below(setup.shards);
                let shards = reached..setup.shards;
                faults.extend(shards.clone().map(|shard| (at, Fault::Unlinks(i, shard))));
                faults.extend(shards.map(|shard| (back, Fault::Links(i, shard))));
                continue;
            }
        }
        faults.push((back, Fault::CoordinatorStarts(i, kept)));
    }
    faults
}

fn plays(draw: &mut Draw, setup: &Setup, trouble_ms: u64, malicious: Option<usize>) -> Vec<Span> {
    let layers = setup.policy.least_mixing_hops + 2;
    let mut plays = Vec::new();
    for _ in 0..draw.below(6) {
        let from_ms = draw.between(0, trouble_ms);
        let until_ms = (from_ms + draw.between(500, 20_000)).min(trouble_ms);
        let play = match (draw.below(7), malicious) {
            (0..=2, _) | (3, None) => Play::of_links(draw, setup.shards),
            (4, _) => Play::of_coordinator(draw, setup.shards),
            (3, Some(shard)) => Play::of_shard(draw, shard, setup.shards, layers),
            (_, Some(shard)) if draw.chance(50) => {
                Play::of_shard(draw, shard, setup.shards, layers)
            }
            _ => {
                let client = draw.below(setup.clients);
                Play::of_client(draw, client)
            }
        };
        plays.push(Span { from_ms, until_ms, play, seed: draw.seed() });
    }
    plays
}

impl fmt::Display for Plan {
    /// Long, as it is one account of all that was drawn.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Setup { shards, operators, coordinators, clients, policy, coordinator, link, .. } =
            &self.setup;
        let all_for = self.trouble_ms;
        writeln!(
            f,
            "{shards} shards of {operators} operators, {coordinators} coordinators, {clients} clients with {} pairs, \
             f = {}",
            coordinator.pairs_per_client,
            f64::from(policy.malicious_ppm) / 1e6
        )?;
        writeln!(
            f,
            "epochs of {} rounds every {} ms, {} in flight, K = {}, {} attempts",
            coordinator.epoch_rounds,
            coordinator.interval_ms,
            coordinator.rounds_in_flight,
            policy.disturbed_rounds,
            policy.attempts
        )?;
        writeln!(
            f,
            "links of {} ms and up to {} ms more, {} messages in a million lost",
            link.delay_ms, link.jitter_ms, link.loss_ppm
        )?;
        if coordinator.beats > 0 {
            let CoordinatorConfig { beats, beat_ms, beat_layer_ms, first_beat_ms, .. } =
                coordinator;
            writeln!(
                f,
                "{beats} beats after each round, every {beat_ms} ms from {first_beat_ms} ms on, {beat_layer_ms} ms a layer"
            )?;
        }
        for (a, b, messages) in &self.talks {
            writeln!(f, "clients {a} and {b} send each other {messages} messages")?;
        }
        writeln!(f, "trouble for {all_for} ms, with")?;
        for (at, fault) in &self.faults {
            writeln!(f, "  {at} ms: {fault}")?;
        }
        if let Some(shard) = self.malicious {
            writeln!(f, "  shard {shard} is not honest")?;
        }
        for span in &self.plays {
            writeln!(f, "  {span}")?;
        }
        if let Some(shard) = self.leaves {
            writeln!(f, "when all shards are there again, shard {shard} leaves")?;
        }
        Ok(())
    }
}
