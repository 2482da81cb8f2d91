//! Shards that drop onions.

use antiphon_client_core::Outcome;
use antiphon_coordinator_core::RoundResult;
use antiphon_sim::Network;
use antiphon_sim::Sent;
use antiphon_sim::adversary::InRounds;
use antiphon_sim::adversary::{Adversary, DropOnions, Keys, Kind, Target, Which, round_of};
use antiphon_sim::scenario::{Talk, named, quick};
use antiphon_wire::{Layer, Reason, Round, Timestamp};

const ROUND: Round = Round(3);

/// With three mixing hops, layer 3 is the seal layer and layer 4 the last.
#[test]
fn a_dropped_batch_is_missed_before_the_seal_opens() {
    for layer in [1, 2, 3] {
        let attack = DropOnions { target: Target::onions(2, 0, Layer(layer)), which: Which::All };
        let verdict = Talk::start(quick(3), InRounds::one(ROUND, attack)).judge(ROUND);
        let (_, reason) = named(&verdict.report);
        assert!(matches!(reason, Some(Reason::MissingOnions { .. })), "{layer}: {reason:?}");
        verdict.nothing_opened(&[]);
        verdict.all_clients(Outcome::FreeAbort);
    }
}

#[test]
fn what_is_dropped_after_the_seal_disturbs_and_aborts_nothing() {
    let target = Target::all(1, Kind::Onions(Layer(4)));
    let attack = DropOnions { target, which: Which::All };
    let verdict = Talk::start(quick(2), InRounds::one(ROUND, attack)).judge(ROUND);
    assert_eq!(verdict.report.result, RoundResult::Delivered);
    assert!(verdict.deposits() < verdict.onions());
    let disturbed = |outcome: &Option<Outcome>| *outcome == Some(Outcome::Disturbed);
    assert!(verdict.clients.iter().any(disturbed), "{verdict:?}");
}

/// Attacks every other round, so that rounds in between show a network that works.
struct EveryOther(DropOnions);

impl Adversary for EveryOther {
    fn on_message(&mut self, now: Timestamp, sent: Sent, keys: &Keys) -> Vec<(u64, Sent)> {
        match round_of(&sent.payload) {
            Some(round) if round.0 % 2 == 0 => self.0.on_message(now, sent, keys),
            _ => vec![(0, sent)],
        }
    }
}

/// Rounds in which `count` of shard 0's noise onions vanished at shard 2, and how many of them were
/// aborted. There are no clients, so all that shard 0 sends for layer 1 is its noise.
fn detected(count: usize) -> (usize, usize) {
    let mut setup = quick(3);
    setup.clients = 0;
    // Enough noise that there are always so many onions to lose.
    setup.policy.epsilon = 2.0;
    setup.coordinator.epoch_rounds = 64;
    let target = Target::onions(0, 2, Layer(1));
    let which = Which::Random(count, 5);
    let mut network = Network::with_adversary(setup, EveryOther(DropOnions { target, which }));
    network.run_ms(96_000);
    let attacked: Vec<_> =
        network.record.rounds().filter(|report| report.round.0 % 2 == 0).collect();
    let aborted = |result: &RoundResult| matches!(result, RoundResult::Aborted { .. });
    for report in network.record.rounds().filter(|report| report.round.0 % 2 == 1) {
        assert_eq!(report.result, RoundResult::Delivered);
    }
    (attacked.len(), attacked.iter().filter(|report| aborted(&report.result)).count())
}

#[test]
fn losing_k_noise_onions_goes_unnoticed_with_two_to_the_minus_k() {
    for (count, least, most) in [(1, 0.3, 0.7), (4, 0.85, 1.0)] {
        let (attacked, aborted) = detected(count);
        let share = aborted as f64 / attacked as f64;
        println!("{count} onions: noticed in {aborted} of {attacked} rounds");
        assert!(attacked > 20, "{attacked}");
        assert!((least..=most).contains(&share), "{count}: {aborted} of {attacked}");
    }
}
