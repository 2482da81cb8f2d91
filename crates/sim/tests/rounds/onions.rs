//! Onions that are repeated, garbled or replayed.

use antiphon_client_core::Outcome;
use antiphon_coordinator_core::RoundResult;
use antiphon_sim::adversary::{
    Corrupt, Duplicate, InRounds, Kind, Part, Place, Replay, Target, Wrapping,
};
use antiphon_sim::scenario::{Talk, Verdict, named, quick};
use antiphon_wire::{Layer, Reason, Round};

const ROUND: Round = Round(3);

/// Sees that the round went through with every deposit once, as if nothing had been added. Replies
/// through the shard that added something are its own to lose.
fn once_each(verdict: &Verdict, what: &str) {
    assert_eq!(verdict.report.result, RoundResult::Delivered, "{what}");
    assert_eq!(verdict.deposits(), verdict.onions(), "{what}");
}

#[test]
fn an_onion_sent_twice_makes_one_deposit() {
    for layer in [1, 2, 3, 4].map(Layer) {
        let target = Target::onions(2, 0, layer);
        for place in [Place::SameBatch, Place::Shard(1)] {
            let target =
                if place == Place::SameBatch { target } else { Target { to: Some(0), ..target } };
            let attack = Duplicate::new(target, place);
            let verdict = Talk::start(quick(3), InRounds::one(ROUND, attack)).judge(ROUND);
            once_each(&verdict, &format!("{layer} {place:?}"));
        }
    }
}

#[test]
fn garbled_onions_are_missed_and_nothing_opens() {
    for layer in [1, 2, 3].map(Layer) {
        for part in [Part::Ephemeral, Part::Tag, Part::Ciphertext] {
            let target = Target::onions(2, 0, layer);
            let attack = Corrupt { target, part, real_ones_follow: false };
            let verdict = Talk::start(quick(3), InRounds::one(ROUND, attack)).judge(ROUND);
            let (_, reason) = named(&verdict.report);
            assert!(matches!(reason, Some(Reason::MissingOnions { .. })), "{reason:?}");
            verdict.nothing_opened(&[]);
            verdict.all_clients(Outcome::FreeAbort);
        }
    }
}

#[test]
fn garbage_with_the_same_ephemeral_key_does_not_shadow_the_real_onion() {
    for layer in [1, 2, 3, 4].map(Layer) {
        for part in [Part::Tag, Part::Ciphertext] {
            let target = Target::onions(2, 0, layer);
            let attack = Corrupt { target, part, real_ones_follow: true };
            let verdict = Talk::start(quick(3), InRounds::one(ROUND, attack)).judge(ROUND);
            once_each(&verdict, &format!("{layer} {part:?}"));
        }
    }
}

#[test]
fn garbled_onions_at_the_last_layer_disturb_only() {
    let target = Target::all(1, Kind::Onions(Layer(4)));
    let attack = Corrupt { target, part: Part::Ciphertext, real_ones_follow: false };
    let verdict = Talk::start(quick(2), InRounds::one(ROUND, attack)).judge(ROUND);
    assert_eq!(verdict.report.result, RoundResult::Delivered);
    assert!(verdict.clients.contains(&Some(Outcome::Disturbed)));
}

/// Where replays come from: the round itself at another layer, an earlier round of the epoch, and a
/// round of the epoch before.
fn sources(layer: Layer) -> [((Layer, Round), Round); 3] {
    let other = if layer == Layer(1) { Layer(2) } else { Layer(1) };
    let at = Round(12);
    [
        ((other, if other < layer { at } else { Round(11) }), at),
        ((layer, Round(11)), at),
        ((layer, Round(3)), at),
    ]
}

fn replayed(layer: Layer, wrapping: Wrapping, check: impl Fn(&Verdict, &str)) {
    for ((from_layer, from), at) in sources(layer) {
        let source = (Target::onions(2, 0, from_layer), from);
        let attack = Replay::new(source, (Target::onions(2, 0, layer), at), wrapping);
        let mut talk = Talk::start(quick(3), attack);
        talk.network.run_ms(11_000);
        let verdict = talk.judge(at);
        assert_eq!(verdict.report.epoch.0, 2, "the attack is to be in the second epoch");
        check(&verdict, &format!("layer {from_layer} of {from} at {layer} of {at}, {wrapping:?}"));
    }
}

#[test]
fn onions_replayed_beside_the_real_ones_change_nothing() {
    for layer in [Layer(1), Layer(3)] {
        replayed(layer, Wrapping::Added, once_each);
    }
}

#[test]
fn onions_replayed_instead_of_the_real_ones_are_noticed() {
    replayed(Layer(2), Wrapping::NewHeader, |verdict, what| {
        let (_, reason) = named(&verdict.report);
        assert!(matches!(reason, Some(Reason::MissingOnions { .. })), "{what} {reason:?}");
        verdict.nothing_opened(&[]);
        verdict.all_clients(Outcome::FreeAbort);
    });
}

#[test]
fn a_batch_of_another_time_or_place_is_no_batch() {
    replayed(Layer(2), Wrapping::AsItWas, |verdict, what| {
        let (_, reason) = named(&verdict.report);
        let missing = matches!(reason, Some(Reason::MissingBatch { layer: Layer(2), .. }));
        assert!(missing, "{what} {reason:?}");
        verdict.nothing_opened(&[]);
        verdict.all_clients(Outcome::FreeAbort);
    });
}
