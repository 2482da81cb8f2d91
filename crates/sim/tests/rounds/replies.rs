//! Replies that are lost, late or garbled on their way back.

use antiphon_client_core::Outcome;
use antiphon_coordinator_core::RoundResult;
use antiphon_sim::adversary::{
    Adversary, Corrupt, Delay, DropOnions, HeaderLie, InRounds, LyingHeader, Part, Target, Which,
};
use antiphon_sim::scenario::{Talk, quick};
use antiphon_wire::{Layer, Round};

const ROUND: Round = Round(3);

/// Sees that a round whose replies are hurt is not aborted and loses nobody's message, and that only
/// those in a conversation are charged.
fn hurt(attack: impl Adversary + 'static, what: &str) {
    let verdict = Talk::start(quick(3), InRounds::one(ROUND, attack)).judge(ROUND);
    assert_eq!(verdict.report.result, RoundResult::Delivered, "{what}");
    assert_eq!(verdict.deposits(), verdict.onions(), "{what}: the seal is open, all is deposited");
    let harmless = [Some(Outcome::Undisturbed), Some(Outcome::Disturbed)];
    assert!(verdict.clients.iter().all(|outcome| harmless.contains(outcome)), "{what} {verdict:?}");
}

fn targets() -> [Target; 4] {
    [1, 2, 3, 4].map(|layer| Target::replies(2, 0, Layer(layer)))
}

#[test]
fn missing_replies_are_filled_in() {
    for target in targets() {
        hurt(Delay::forever(target), "never");
    }
}

#[test]
fn late_replies_are_filled_in() {
    for target in targets() {
        hurt(Delay { target, ms: Some(2500) }, "late");
    }
}

#[test]
fn short_batches_of_replies_are_filled_in() {
    for target in targets() {
        for which in [Which::First(1), Which::All] {
            hurt(DropOnions { target, which }, "short");
        }
    }
}

#[test]
fn garbled_replies_are_noticed_by_whom_they_concern() {
    for target in targets() {
        hurt(Corrupt { target, part: Part::Tag, real_ones_follow: false }, "garbled");
        hurt(Corrupt { target, part: Part::Tag, real_ones_follow: true }, "too many");
        hurt(LyingHeader { target, lie: HeaderLie::Bytes }, "other bytes");
    }
}

#[test]
fn late_replies_within_the_deadline_hurt_nobody() {
    for target in targets() {
        let attack = Delay { target, ms: Some(150) };
        let verdict = Talk::start(quick(3), InRounds::one(ROUND, attack)).judge(ROUND);
        verdict.all_clients(Outcome::Undisturbed);
    }
}

/// Their sender could have signed the same bytes.
#[test]
fn replies_whose_header_is_not_signed_are_replies_all_the_same() {
    for target in targets() {
        let attack = LyingHeader { target, lie: HeaderLie::Signature };
        let mut talk = Talk::start(quick(3), InRounds::one(ROUND, attack));
        let verdict = talk.judge(ROUND);
        assert_eq!(verdict.report.result, RoundResult::Delivered);
        verdict.all_clients(Outcome::Undisturbed);
        let spoiler = format!("{:?}", talk.network.identity(2));
        let faults: Vec<_> = talk.network.record.faults(0).collect();
        let what = "has not signed the header of the replies";
        assert!(matches!(faults[..], [one] if one.contains(what) && one.contains(&spoiler)));
    }
}

/// How long the round takes.
fn latency_ms(attack: impl Adversary + 'static) -> u64 {
    let verdict = Talk::start(quick(3), InRounds::one(ROUND, attack)).judge(ROUND);
    assert_eq!(verdict.report.result, RoundResult::Delivered);
    verdict.report.latency_ms
}

/// Waiting for the deadline would only show for longer that something is missing.
#[test]
fn replies_that_are_known_to_be_useless_are_not_waited_for() {
    use HeaderLie::*;
    for target in targets() {
        let whole = latency_ms(Delay { target, ms: Some(0) });
        let never = latency_ms(Delay::forever(target));
        assert!(never > whole + 200, "{never} ms instead of {whole}");
        for lie in [Bytes, CountTooLow, Ragged] {
            let spoilt = latency_ms(LyingHeader { target, lie });
            assert!(spoilt.abs_diff(whole) < 50, "{lie:?}: {spoilt} ms instead of {whole}");
        }
        let short = latency_ms(DropOnions { target, which: Which::First(1) });
        assert!(short.abs_diff(whole) < 50, "{short} ms instead of {whole}");
    }
}
