use std::collections::{BTreeMap, BTreeSet};

use antiphon_mock_mix::{Mix, Plan};
use antiphon_wire::Round;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::client::tests::mix::{mix, mix_of_operators};
use crate::{ConversationId, DocumentRefusal, Outcome, PartnerError};

/// Two operators of equal weight, one with a shard and one with five.
fn uneven() -> Mix {
    mix_of_operators(&[1, 5])
}

#[test]
fn an_operator_is_drawn_by_its_weight_however_many_shards_it_runs() {
    const EPOCHS: u32 = 4000;
    let mix = uneven();
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut drawn = BTreeMap::new();
    for _ in 0..EPOCHS {
        let gateway = GatewayPolicy::default().gateway(mix.epoch(), &mut rng).unwrap();
        *drawn.entry(gateway).or_insert(0) += 1;
    }
    let mut shares: Vec<_> =
        drawn.into_values().map(|n| f64::from(n) / f64::from(EPOCHS)).collect();
    shares.sort_by(f64::total_cmp);
    let expected = [0.1, 0.1, 0.1, 0.1, 0.1, 0.5];
    assert_eq!(shares.len(), expected.len());
    for (share, expected) in shares.into_iter().zip(expected) {
        assert!((share - expected).abs() < 0.03, "{share} for {expected}");
    }
}

#[test]
fn each_epoch_has_a_draw_of_its_own() {
    let mixes = [mix(1, 0, 1), mix(2, 200, 1)];
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let mut pairs = BTreeMap::new();
    for _ in 0..900 {
        let mut policy = GatewayPolicy::default();
        let drawn = mixes.each_ref().map(|mix| policy.gateway(mix.epoch(), &mut rng).unwrap());
        *pairs.entry(drawn).or_insert(0) += 1;
    }
    // Three shards in either: all nine pairs are as likely.
    assert_eq!(pairs.len(), 9);
    assert!(pairs.values().all(|n| (60..140).contains(n)), "{pairs:?}");
}

#[test]
fn whoever_takes_gateways_away_has_two_draws_an_epoch_and_no_more() {
    let mix = uneven();
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    // The shard that is its operator's only one is the adversary's: half of the weight.
    let of = |gateway: &IdentityKey| mix.epoch().index_of(gateway).unwrap();
    let operator = |gateway: &IdentityKey| mix.epoch().operator_of(of(gateway)).unwrap();
    let shards_of = |wanted| mix.epoch().shards().iter().filter(|s| s.operator == wanted).count();
    let malicious = |gateway: &IdentityKey| shards_of(operator(gateway)) == 1;
    const EPOCHS: u32 = 4000;
    let mut caught = 0;
    for _ in 0..EPOCHS {
        let mut policy = GatewayPolicy::default();
        let mut seen = BTreeSet::new();
        for _ in 0..20 {
            let gateway = policy.gateway(mix.epoch(), &mut rng).unwrap();
            assert_eq!(policy.gateway(mix.epoch(), &mut rng), Some(gateway));
            seen.insert(gateway);
            // It cuts every link to an honest one, and some others.
            if !malicious(&gateway) || rng.random_ratio(1, 10) {
                policy.lost();
            }
        }
        assert!(seen.len() <= 2);
        caught += u32::from(seen.iter().any(malicious));
    }
    // A half, and of the other half those whose second draw is the adversary's: 0.5 of 0.9, as the
    // shard that was lost is not drawn again.
    let share = f64::from(caught) / f64::from(EPOCHS);
    assert!((share - (0.5 + 0.5 * 0.5 / 0.9)).abs() < 0.03, "{share}");
}

/// A coordinator that ends each epoch after six rounds, unless the gateway that one client drew is its own.
#[test]
fn epochs_that_end_by_one_clients_draw_are_even_for_all_others() {
    const EPOCHS: u32 = 4000;
    const ROUNDS: [u32; 2] = [6, 720];
    let mix = uneven();
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let of = |gateway: &IdentityKey| mix.epoch().index_of(gateway).unwrap();
    let operator = |gateway: &IdentityKey| mix.epoch().operator_of(of(gateway)).unwrap();
    let its_own = operator(&mix.epoch().shards()[0].identity);
    let (mut all, mut aimed_at, mut another, mut restarted) = (0, 0, 0, 0);
    for _ in 0..EPOCHS {
        let mut draws_its_own = || {
            let gateway = GatewayPolicy::default().gateway(mix.epoch(), &mut rng).unwrap();
            operator(&gateway) == its_own
        };
        let long = draws_its_own();
        let rounds = ROUNDS[usize::from(long)];
        all += rounds;
        aimed_at += if long { rounds } else { 0 };
        another += if draws_its_own() { rounds } else { 0 };
        // Half-way, and a draw for either part.
        restarted += (0..2).filter(|_| draws_its_own()).count() as u32 * rounds / 2;
    }
    let share = |rounds: u32| f64::from(rounds) / f64::from(all);
    let computed = f64::from(ROUNDS[1]) / f64::from(ROUNDS[0] + ROUNDS[1]);
    assert!((share(aimed_at) - computed).abs() < 0.005, "{}", share(aimed_at));
    for share in [share(another), share(restarted)] {
        assert!((share - 0.5).abs() < 0.05, "{share}");
    }
}

#[test]
fn a_pinned_gateway_is_the_only_one_and_missed_where_it_is_not() {
    let mix = mix(1, 0, 1);
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    let pin = mix.epoch().shards()[1].identity;
    let mut policy = GatewayPolicy::pinned(pin);
    for _ in 0..3 {
        assert_eq!(policy.gateway(mix.epoch(), &mut rng), Some(pin));
        policy.lost();
    }
    let mut elsewhere = GatewayPolicy::pinned(IdentityKey([7; 32]));
    assert_eq!(elsewhere.gateway(mix.epoch(), &mut rng), None);
}

const NOW: Timestamp = Timestamp(1_000_000);

fn unanswered(policy: &mut GatewayPolicy, rounds: std::ops::Range<u64>) {
    for round in rounds.map(Round) {
        policy.heed(&Event::Unanswered { round });
        policy.heed(&Event::RoundEnded { round, outcome: Outcome::Disturbed });
    }
}

#[test]
fn a_gateway_is_left_for_what_everybody_sees_and_never_for_what_replies_hold() {
    let gateway = IdentityKey([7; 32]);
    let mut policy = GatewayPolicy::default();
    policy.linked(gateway, NOW, 5000);
    // Replies that are disturbed, round after round, or a partner that breaks the rules.
    for round in (0..50).map(Round) {
        policy.opened(Epoch(1), NOW, 5000);
        policy.heed(&Event::RoundEnded { round, outcome: Outcome::Disturbed });
        let conversation = ConversationId(0);
        policy.heed(&Event::PartnerFailed { conversation, error: PartnerError::Acknowledgement });
    }
    assert_eq!(policy.fault(NOW), None);

    unanswered(&mut policy, 50..52);
    policy.heed(&Event::RoundEnded { round: Round(52), outcome: Outcome::Undisturbed });
    unanswered(&mut policy, 53..55);
    assert_eq!(policy.fault(NOW), None, "not in a row");
    unanswered(&mut policy, 55..56);
    assert_eq!(policy.fault(NOW), Some(GatewayFault::Silent));
    policy.lost();
    assert_eq!(policy.fault(NOW), None, "the next one begins with nothing against it");

    policy.linked(gateway, NOW, 5000);
    assert_eq!(policy.quiet_at(), Some(NOW.plus_ms(60_000)));
    policy.opened(Epoch(1), NOW.plus_ms(9), 6000);
    assert_eq!(policy.fault(NOW.plus_ms(72_008)), None);
    assert_eq!(policy.fault(NOW.plus_ms(72_009)), Some(GatewayFault::Quiet));

    policy.linked(gateway, NOW, 5000);
    for _ in 0..8 {
        assert_eq!(policy.fault(NOW), None);
        policy.heed(&Event::DocumentRefused { error: DocumentRefusal::Expired });
    }
    assert_eq!(policy.fault(NOW), Some(GatewayFault::Documents));
}

#[test]
fn a_link_that_breaks_is_made_again_three_times_before_the_next_gateway() {
    let mix = Mix::new(&Plan::new(1, 0, NOW));
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let mut policy = GatewayPolicy::default();
    let first = policy.gateway(mix.epoch(), &mut rng).unwrap();
    for _ in 0..2 {
        policy.linked(first, NOW, 5000);
        let broken = [(); 3].map(|()| {
            policy.linked(first, NOW, 5000);
            policy.link_broke()
        });
        assert_eq!(broken, [true; 3]);
        assert_eq!(policy.gateway(mix.epoch(), &mut rng), Some(first));
        policy.opened(Epoch(1), NOW, 5000);
    }
    assert_eq!([(); 4].map(|()| policy.link_broke()), [true, true, true, false]);
    assert_ne!(policy.gateway(mix.epoch(), &mut rng), Some(first));
}

#[test]
fn a_client_with_one_gateway_stays_with_it_though_it_brings_nothing() {
    let mut policy = GatewayPolicy::pinned(IdentityKey([7; 32]));
    policy.linked(IdentityKey([7; 32]), NOW, 5000);
    unanswered(&mut policy, 0..9);
    assert_eq!(policy.fault(NOW), None);
}

#[test]
fn clients_turn_within_four_intervals_of_an_epochs_start_each_at_a_moment_of_its_own() {
    let mix = Mix::new(&Plan::new(1, 0, NOW));
    let epoch = mix.epoch();
    let mut rng = ChaCha20Rng::seed_from_u64(6);
    let here = Some(epoch.shards()[0].identity);
    let early = Timestamp(NOW.0 - 500);
    let turns: BTreeSet<_> = (0..500)
        .map(|_| GatewayPolicy::turns_at(epoch, here, early, &mut rng).ms_since(NOW))
        .collect();
    // Four intervals of two seconds.
    assert!(turns.len() > 400 && turns.iter().all(|after| *after <= 8000));
    assert!(turns.first() < Some(&200) && turns.last() > Some(&7800));
    assert_eq!(GatewayPolicy::turns_at(epoch, None, early, &mut rng), NOW);
    let late = NOW.plus_ms(3000);
    assert_eq!(GatewayPolicy::turns_at(epoch, None, late, &mut rng), late);
}

#[test]
fn the_next_gateway_is_dialled_before_the_epoch_that_the_present_one_does_not_serve() {
    let mix = Mix::new(&Plan::new(1, 0, NOW));
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let gone = Some(IdentityKey([7; 32]));
    // Announced long before, three seconds before, and too late. Four intervals are eight seconds.
    for (ahead_ms, dials_ms) in [(60_000, 4000..=8000), (3000, 1500..=3000), (0, 0..=0)] {
        let now = Timestamp(NOW.0 - ahead_ms);
        let moments: BTreeSet<_> = (0..500)
            .map(|_| GatewayPolicy::turns_at(mix.epoch(), gone, now, &mut rng))
            .map(|at| NOW.ms_since(at))
            .collect();
        assert!(moments.iter().all(|before| dials_ms.contains(before)), "{ahead_ms}");
        assert!(ahead_ms == 0 || moments.len() > 300, "each at a moment of its own");
    }
    let late = NOW.plus_ms(3000);
    assert_eq!(GatewayPolicy::turns_at(mix.epoch(), gone, late, &mut rng), late);
}

#[test]
fn a_client_turns_between_two_rounds_and_once_the_epoch_has_begun() {
    let mut policy = GatewayPolicy::default();
    policy.linked(IdentityKey([7; 32]), NOW, 4000);
    let at = |policy: &GatewayPolicy, after_ms| {
        let turns = policy.turns_between_rounds(Epoch(2), NOW.plus_ms(after_ms));
        turns.map(|at| at.ms_since(NOW))
    };
    assert_eq!(at(&policy, 2500), None, "nobody knows when rounds open");
    // Rounds of the epoch before go on after the time at which the next was to start.
    let mix = Mix::new(&Plan::new(2, 0, NOW));
    let [present, gone] = [mix.epoch().shards()[0].identity, IdentityKey([7; 32])];
    assert!(policy.opened(Epoch(1), NOW, 4000));
    assert_eq!(at(&policy, 2500), None);
    assert!(!policy.may_dial_for(mix.epoch(), &present), "the next one would wait for it");
    assert!(policy.may_dial_for(mix.epoch(), &gone));
    assert!(policy.opened(Epoch(2), NOW, 4000));
    assert!(policy.may_dial_for(mix.epoch(), &present));
    assert!(!policy.opened(Epoch(2), NOW, 4000));
    let turns = [0, 2000, 2600, 3000, 3001, 9000].map(|after| at(&policy, after));
    assert_eq!(turns, [Some(2000), Some(2000), Some(2600), Some(3000), None, None]);
    policy.opened(Epoch(3), NOW.plus_ms(4000), 300_000);
    assert_eq!(at(&policy, 4000), Some(14_000), "submissions take seconds, whatever the interval");
    policy.linked(IdentityKey([8; 32]), NOW, 4000);
    assert_eq!(at(&policy, 14_000), None, "what another gateway opened says nothing of this one");
}

#[test]
fn the_gateway_that_is_dialled_before_its_epoch_is_the_one_that_is_used_in_it() {
    let mixes = [mix(1, 0, 1), mix(2, 200, 1)];
    let mut rng = ChaCha20Rng::seed_from_u64(8);
    for _ in 0..100 {
        let mut policy = GatewayPolicy::default();
        let [present, next] = mixes.each_ref().map(Mix::epoch);
        let mut used = [BTreeSet::new(), BTreeSet::new()];
        // Whoever cuts links before the hand-over, again and again, has two draws in either epoch.
        for _ in 0..8 {
            used[0].insert(policy.gateway(present, &mut rng));
            let ahead = policy.following(next, &mut rng);
            policy.lost();
            assert_eq!(
                policy.following(next, &mut rng),
                ahead,
                "the next has nothing to do with it"
            );
            policy.lost_in(next.epoch());
            used[1].insert(ahead);
        }
        assert!(used.iter().all(|used| used.len() <= 2));
        let ahead = policy.following(next, &mut rng);
        assert_eq!(policy.gateway(next, &mut rng), ahead);
    }
}
