//! Batches that come late, never, or not as their headers say.

use antiphon_client_core::Outcome;
use antiphon_coordinator_core::RoundResult;
use antiphon_sim::adversary::{Adversary, Delay, HeaderLie, InRounds, Kind, LyingHeader, Target};
use antiphon_sim::scenario::{Talk, index_of, log, named, quick};
use antiphon_wire::{Layer, Reason, Round};

const ROUND: Round = Round(3);
const SPOILER: usize = 2;

/// What a shard says of one that has not signed a header.
const UNSIGNED: &str = "has not signed the header of the onions that it sent for layer";

/// Sees that the round is aborted for want of the spoiler's batch, at no cost, and that everybody
/// names the spoiler and nobody else.
fn missed(layer: Layer, attack: impl Adversary + 'static, what: &str) -> Talk {
    let mut talk = Talk::start(quick(4), InRounds::one(ROUND, attack));
    talk.network.run_until(60_000, |network| network.record.outcome(0, Round(1)).is_some());
    let sender = index_of(&mut talk.network, SPOILER);
    let verdict = talk.judge(ROUND);
    let spoiler = talk.network.identity(SPOILER);
    let (who, reason) = named(&verdict.report);
    let log = log(&talk.network);
    assert_eq!(reason, Some(Reason::MissingBatch { layer, sender }), "{what}\n{log}");
    assert_eq!(who, [spoiler], "{what}");
    verdict.nothing_opened(&[]);
    verdict.all_clients(Outcome::FreeAbort);
    talk
}

#[test]
fn a_batch_that_never_comes_names_its_sender() {
    for layer in [1, 2, 3].map(Layer) {
        let target = Target::onions(SPOILER, 0, layer);
        missed(layer, Delay::forever(target), "never");
    }
}

#[test]
fn a_batch_after_the_deadline_is_no_batch() {
    for layer in [1, 3].map(Layer) {
        let attack = Delay { target: Target::onions(SPOILER, 0, layer), ms: Some(3000) };
        missed(layer, attack, "late");
    }
}

#[test]
fn a_batch_before_the_deadline_is_waited_for() {
    for layer in [1, 2, 3, 4].map(Layer) {
        let attack = Delay { target: Target::onions(SPOILER, 0, layer), ms: Some(150) };
        let verdict = Talk::start(quick(3), InRounds::one(ROUND, attack)).judge(ROUND);
        assert_eq!(verdict.report.result, RoundResult::Delivered);
        assert_eq!(verdict.deposits(), verdict.onions());
        verdict.all_clients(Outcome::Undisturbed);
    }
}

#[test]
fn a_batch_that_is_not_what_its_header_says_is_missing() {
    use HeaderLie::*;
    for lie in [Bytes, CountTooHigh, CountTooLow, CountAbsurd, Ragged] {
        let layer = Layer(2);
        let attack = LyingHeader { target: Target::onions(SPOILER, 0, layer), lie };
        missed(layer, attack, &format!("{lie:?}"));
    }
}

#[test]
fn a_header_that_is_not_for_this_batch_is_no_header() {
    use HeaderLie::*;
    for lie in [Receiver, Version] {
        let layer = Layer(3);
        let attack = LyingHeader { target: Target::onions(SPOILER, 0, layer), lie };
        missed(layer, attack, &format!("{lie:?}"));
    }
}

/// Nobody could be blamed for what it holds. Every layer before the seal is looked at, in time.
#[test]
fn a_header_that_its_sender_has_not_signed_keeps_the_seal_closed() {
    for layer in [1, 2, 3].map(Layer) {
        let target = Target::onions(SPOILER, 0, layer);
        let talk = missed(layer, LyingHeader { target, lie: HeaderLie::Signature }, "unsigned");
        let spoiler = format!("{:?}", talk.network.identity(SPOILER));
        let faults: Vec<_> = talk.network.record.faults(0).collect();
        assert!(matches!(faults[..], [one] if one.contains(UNSIGNED) && one.contains(&spoiler)));
    }
}

/// Its sender could have signed the same onions.
#[test]
fn a_header_that_is_not_signed_after_the_seal_is_held_against_its_sender_alone() {
    let target = Target::onions(SPOILER, 0, Layer(4));
    let attack = LyingHeader { target, lie: HeaderLie::Signature };
    let mut talk = Talk::start(quick(3), InRounds::one(ROUND, attack));
    let verdict = talk.judge(ROUND);
    assert_eq!(verdict.report.result, RoundResult::Delivered);
    assert_eq!(verdict.deposits(), verdict.onions());
    verdict.all_clients(Outcome::Undisturbed);
    let spoiler = format!("{:?}", talk.network.identity(SPOILER));
    let faults: Vec<_> = talk.network.record.faults(0).collect();
    assert!(matches!(faults[..], [one] if one.contains(UNSIGNED) && one.contains(&spoiler)));
}

/// A shard that took the word of a peer for the next round's opening would refuse to sign for that
/// round under the next epoch, for ever.
#[test]
fn a_header_of_the_next_round_strands_nobody() {
    let layer = Layer(3);
    let target = Target::onions(SPOILER, 0, layer);
    missed(layer, LyingHeader { target, lie: HeaderLie::Round }, "next round");
}

/// A listed shard could otherwise have all layers' onions kept before the first is peeled.
#[test]
fn a_batch_two_layers_ahead_is_not_taken() {
    let layer = Layer(1);
    let target = Target::onions(SPOILER, 0, layer);
    let talk = missed(layer, LyingHeader { target, lie: HeaderLie::Ahead }, "ahead");
    let spoiler = format!("{:?}", talk.network.identity(SPOILER));
    let early = |fault: &&str| fault.contains("turn cannot have come") && fault.contains(&spoiler);
    assert!(talk.network.record.faults(0).any(|fault| early(&fault)), "{}", log(&talk.network));
}

#[test]
fn a_batch_sent_twice_counts_once() {
    for layer in [1, 3, 4].map(Layer) {
        let target = Target::onions(SPOILER, 0, layer);
        let attack = LyingHeader { target, lie: HeaderLie::Twice };
        let verdict = Talk::start(quick(3), InRounds::one(ROUND, attack)).judge(ROUND);
        assert_eq!(verdict.report.result, RoundResult::Delivered);
        assert_eq!(verdict.deposits(), verdict.onions());
        verdict.all_clients(Outcome::Undisturbed);
    }
}

#[test]
fn a_missing_batch_at_the_last_layer_counts_as_empty() {
    let attack = Delay::forever(Target::all(1, Kind::Onions(Layer(4))));
    let verdict = Talk::start(quick(2), InRounds::one(ROUND, attack)).judge(ROUND);
    assert_eq!(verdict.report.result, RoundResult::Delivered);
    assert!(verdict.deposits() < verdict.onions());
    assert!(verdict.clients.contains(&Some(Outcome::Disturbed)));
}
