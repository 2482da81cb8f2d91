//! Malicious clients, and gateways that do not serve theirs.

use antiphon_client_core::Outcome;
use antiphon_coordinator_core::RoundResult;
use antiphon_sim::Setup;
use antiphon_sim::adversary::{ClientPlay, InRounds, MaliciousClient};
use antiphon_sim::scenario::{Talk, Verdict, quick};
use antiphon_wire::Round;

const ROUND: Round = Round(3);
/// Client 3 shares gateway 0 with client 0.
const SPOILER: usize = 3;

fn play(client: usize, play: ClientPlay) -> (Talk, Verdict) {
    let attack = MaliciousClient { client, play };
    let mut talk = Talk::start(quick(3), InRounds::one(ROUND, attack));
    let verdict = talk.judge(ROUND);
    (talk, verdict)
}

/// Sees that a client's play had the outcome `own` for it, and none for anybody else.
fn nobody_else(how: ClientPlay, own: Outcome) {
    let what = format!("{how:?}");
    let (_, verdict) = play(SPOILER, how);
    assert_eq!(verdict.report.result, RoundResult::Delivered, "{what}");
    let undisturbed = Some(Outcome::Undisturbed);
    assert_eq!(verdict.clients, [undisturbed, undisturbed, undisturbed, Some(own)], "{what}");
}

/// Points of small order on the curve and its twist, non-canonical forms, and a point of the twist.
fn bad_points() -> Vec<[u8; 32]> {
    let of = |hex: &str| {
        let digit =
            |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("it is hexadecimal");
        std::array::from_fn(|i| digit(2 * i))
    };
    let mut one = [0; 32];
    one[0] = 1;
    let mut two = [0; 32];
    two[0] = 2;
    vec![
        [0; 32],
        one,
        two,
        [0xff; 32],
        of("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
        of("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
        of("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        of("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        of("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    ]
}

#[test]
fn ephemeral_keys_of_small_order_or_off_the_curve_open_nothing() {
    for point in bad_points() {
        nobody_else(ClientPlay::Ephemeral(point), Outcome::Disturbed);
    }
}

#[test]
fn garbage_costs_only_its_sender() {
    for byte in [0, 0x5a, 0xff] {
        nobody_else(ClientPlay::Garbage(byte), Outcome::Disturbed);
    }
    nobody_else(ClientPlay::SameOnionTwice, Outcome::Disturbed);
}

#[test]
fn what_is_no_submission_is_refused_and_costs_only_its_sender() {
    for how in [ClientPlay::Short, ClientPlay::Empty, ClientPlay::UnknownHop, ClientPlay::Late(450)]
    {
        nobody_else(how, Outcome::Disturbed);
    }
}

#[test]
fn one_submission_counts() {
    let (_, verdict) = play(SPOILER, ClientPlay::AndAnother);
    assert_eq!(verdict.report.totals.user_onions, 8);
    assert_eq!(verdict.report.result, RoundResult::Delivered);
    assert!(verdict.clients[..3].iter().all(|outcome| *outcome == Some(Outcome::Undisturbed)));
    // The same onions again are no second submission.
    nobody_else(ClientPlay::Times(3), Outcome::Undisturbed);
}

#[test]
fn whoever_floods_is_dropped_and_nobody_else_notices() {
    let (talk, verdict) = play(SPOILER, ClientPlay::Times(100));
    assert_eq!(verdict.report.result, RoundResult::Delivered);
    assert_eq!(verdict.clients[SPOILER], Some(Outcome::Disturbed));
    assert!(verdict.clients[..3].iter().all(|outcome| *outcome == Some(Outcome::Undisturbed)));
    let dropped = |(_, notice): &(_, String)| notice.contains("Floods");
    assert_eq!(talk.network.record.shards[0].iter().filter(|notice| dropped(notice)).count(), 1);
}

#[test]
fn a_client_whose_gateway_lost_its_onions_knows_and_loses_nothing() {
    for how in [ClientPlay::Lost, ClientPlay::Late(2000)] {
        let (_, verdict) = play(0, how);
        assert_eq!(verdict.report.result, RoundResult::Delivered);
        // Its partner deposited alone.
        let ours = [Some(Outcome::Disturbed), Some(Outcome::Disturbed)];
        assert_eq!(verdict.clients[..2], ours);
        assert_eq!(verdict.clients[2..], [Some(Outcome::Undisturbed); 2]);
    }
}

#[test]
fn a_gateway_that_never_carries_a_conversation_charges_it_to_the_end_and_no_further() {
    let attack = InRounds {
        first: ROUND,
        last: Round(u64::MAX),
        attack: MaliciousClient { client: 0, play: ClientPlay::Lost },
    };
    let mut setup: Setup = quick(3);
    setup.policy.disturbed_rounds = 8;
    let mut talk = Talk::start(setup, attack);
    talk.network.run_ms(80_000);
    let ledger = *talk.network.client(0).ledger();
    assert!(ledger.charged() <= ledger.allowance(), "{ledger:?}");
    assert!(ledger.charged() >= 3, "{ledger:?}");
    assert_eq!(talk.network.record.received(1).count(), 0);
}
