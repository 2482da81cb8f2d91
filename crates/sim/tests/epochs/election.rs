//! Several coordinators, of which shards elect one: no round number is opened twice, and rounds go on.

use std::collections::BTreeMap;

use antiphon_coordinator_core::{Notice, RoundResult};
use antiphon_sim::adversary::{Adversary, Keys};
use antiphon_sim::scenario::{log, quick};
use antiphon_sim::{Network, Party, Payload, Sent, Setup};
use antiphon_wire::{
    Announcement, Epoch, Round, Standing, Term, Timestamp, ToCoordinator, ToShard,
};

/// The longest time without a new round after a leader is lost, in milliseconds, beside a round.
const GAP_MS: u64 = 5000;
const SHARDS: usize = 5;

fn setup() -> Setup {
    let mut setup = quick(SHARDS);
    setup.clients = 0;
    setup.coordinators = 3;
    setup.coordinator.epoch_rounds = 100;
    setup
}

/// Sees that no promise is broken, and that no two coordinators ever lead in one term.
#[derive(Default)]
struct Terms(BTreeMap<Term, usize>);

impl Terms {
    fn two_in_one(&mut self, network: &Network) -> Option<Term> {
        let leaders = network.leaders().into_iter();
        let mut taken =
            leaders.filter(|(leader, term)| *self.0.entry(*term).or_insert(*leader) != *leader);
        taken.next().map(|(_, term)| term)
    }
}

fn run(network: &mut Network, ms: u64) {
    let mut terms = Terms::default();
    let broken = network.run_until(ms, |network| {
        network.record.promises.broken().is_some() || terms.two_in_one(network).is_some()
    });
    assert!(!broken, "{:?}\n{}", network.record.promises.broken(), log(network));
}

fn leader(network: &mut Network) -> usize {
    let found = network.run_until(10_000, |network| !network.leaders().is_empty());
    assert!(found, "nobody leads\n{}", log(network));
    network.leaders()[0].0
}

fn until_rounds(network: &mut Network, rounds: usize) {
    let opened = network.run_until(20_000, |network| openings(network).len() >= rounds);
    assert!(opened, "no rounds\n{}", log(network));
}

/// When each round was first opened at a shard.
fn openings(network: &Network) -> BTreeMap<Round, Timestamp> {
    let mut openings = BTreeMap::new();
    for (at, _, round) in &network.record.opened {
        openings.entry(*round).or_insert(*at);
    }
    openings
}

/// The longest time between the openings of two rounds, from the last one before `since` until now.
fn longest_gap(network: &Network, since: Timestamp) -> u64 {
    let times: Vec<_> = openings(network).into_values().chain([network.now()]).collect();
    let apart = times.windows(2).filter(|pair| pair[1] >= since);
    apart.map(|pair| pair[1].ms_since(pair[0])).max().unwrap_or(u64::MAX)
}

fn epochs(network: &Network) -> Vec<Epoch> {
    network.record.epochs().map(|(epoch, ..)| epoch).collect()
}

#[test]
fn of_three_coordinators_one_leads_and_rounds_go_through() {
    let mut network = Network::new(setup());
    leader(&mut network);
    until_rounds(&mut network, 3);
    run(&mut network, 5_000);
    assert_eq!(network.leaders().len(), 1);
    assert_eq!(epochs(&network).len(), 1);
    let delivered = network.record.rounds().filter(|r| r.result == RoundResult::Delivered).count();
    assert!(delivered >= 4, "{}", log(&network));
}

#[test]
fn a_leader_that_is_killed_at_any_time_costs_no_epoch_and_five_seconds_at_most() {
    // From before it is elected to well into rounds, in steps that hit other moments of every round.
    for at_ms in (0..9_000).step_by(877) {
        let mut network = Network::new(setup());
        run(&mut network, at_ms);
        let killed = network.now();
        let leader = network.leaders().first().map(|(leader, _)| *leader);
        let began = !openings(&network).is_empty();
        network.stop_coordinator(leader.unwrap_or(0));
        run(&mut network, 15_000);
        let interval = u64::from(setup().coordinator.interval_ms);
        if began {
            let gap = longest_gap(&network, killed);
            assert!(gap <= GAP_MS + interval, "killed at {at_ms}: {gap} ms\n{}", log(&network));
            assert_eq!(epochs(&network).len(), 1, "killed at {at_ms}\n{}", log(&network));
        } else {
            let first = openings(&network).into_values().next();
            let waited = first.map(|at| at.ms_since(killed));
            assert!(waited < Some(12_000), "killed at {at_ms}: {waited:?}\n{}", log(&network));
        }
    }
}

#[test]
fn a_shard_that_leaves_is_let_go_by_the_next_leader_whenever_it_lets_that_one_lead() {
    // Some let it lead before a quorum does, and others after that.
    for shard in 0..SHARDS {
        let mut network = Network::new(setup());
        until_rounds(&mut network, 2);
        network.ask_to_leave(shard);
        run(&mut network, 50);
        let killed = leader(&mut network);
        network.stop_coordinator(killed);
        let released = network.run_until(40_000, |network| network.is_released(shard));
        assert!(released, "shard {shard} waits in vain\n{}", log(&network));
        let aborted = network.record.rounds().find(|r| r.result != RoundResult::Delivered);
        assert!(aborted.is_none(), "{aborted:?}");
    }
}

#[test]
fn every_leader_that_is_killed_has_a_successor_while_one_is_left() {
    let mut network = Network::new(setup());
    until_rounds(&mut network, 2);
    for _ in 0..2 {
        let killed = leader(&mut network);
        network.stop_coordinator(killed);
        let opened = openings(&network).len();
        until_rounds(&mut network, opened + 3);
    }
    assert_eq!(epochs(&network).len(), 1, "{}", log(&network));
    // None is left, until one comes back without a state of its own.
    let last = leader(&mut network);
    network.stop_coordinator(last);
    run(&mut network, 10_000);
    let opened = openings(&network).len();
    network.replace_coordinator_state(0, Default::default());
    network.restart_coordinator(0);
    until_rounds(&mut network, opened + 3);
    assert!(network.record.promises.broken().is_none());
    assert_eq!(epochs(&network).len(), 1, "{}", log(&network));
}

#[test]
fn a_leader_that_is_asked_to_stop_hands_over_within_an_interval() {
    let mut setup = setup();
    setup.coordinator.interval_ms = 3000;
    for at_ms in (12_000..15_000).step_by(431) {
        let mut network = Network::new(setup.clone());
        run(&mut network, at_ms);
        let asked = network.now();
        let leader = leader(&mut network);
        network.ask_coordinator_to_stop(leader);
        run(&mut network, 9_000);
        let gap = longest_gap(&network, asked);
        assert!(gap <= 3000 + 100, "asked at {at_ms}: {gap} ms\n{}", log(&network));
        let aborted = network.record.rounds().find(|r| r.result != RoundResult::Delivered);
        assert!(aborted.is_none(), "{aborted:?}");
        assert_ne!(network.leaders()[0].0, leader);
    }
}

#[test]
fn a_leader_that_is_cut_off_from_a_quorum_opens_nothing_more_and_stands_by_when_it_is_back() {
    for reached in [0, 1, 2] {
        let mut network = Network::new(setup());
        until_rounds(&mut network, 3);
        let old = leader(&mut network);
        (reached..SHARDS).for_each(|shard| network.unlink_coordinator(old, shard));
        let cut = network.now();
        run(&mut network, 12_000);
        let leaders = network.leaders();
        assert!(leaders.len() == 1 && leaders[0].0 != old, "{leaders:?}\n{}", log(&network));
        let gap = longest_gap(&network, cut);
        assert!(gap <= GAP_MS + 1000, "{gap} ms\n{}", log(&network));
        (reached..SHARDS).for_each(|shard| network.relink_coordinator(old, shard));
        run(&mut network, 5_000);
        assert_eq!(network.leaders(), leaders, "{}", log(&network));
    }
}

/// Has one shard let a coordinator lead that does not want to, for once.
struct Seduces {
    shard: usize,
    coordinator: usize,
    term: Option<Term>,
}

impl Adversary for Seduces {
    fn on_message(&mut self, _: Timestamp, sent: Sent, _: &Keys) -> Vec<(u64, Sent)> {
        let campaign = self.term.take().map(|term| Sent {
            from: Party::Coordinator(self.coordinator),
            to: Party::Shard(self.shard),
            payload: Payload::ToShard(ToShard::Campaign { term }),
        });
        std::iter::once(sent).chain(campaign).map(|sent| (0, sent)).collect()
    }
}

#[test]
fn a_shard_that_let_one_of_a_higher_term_lead_who_was_not_elected_is_back_within_a_minute() {
    let mut network = Network::new(setup());
    until_rounds(&mut network, 3);
    let (leader, term) = network.leaders()[0];
    network.unlink_coordinator(leader, 4);
    run(&mut network, 6_000);
    assert_eq!(network.leaders(), [(leader, term)], "{}", log(&network));
    let seduces = Seduces { shard: 4, coordinator: (leader + 1) % 3, term: Some(Term(term.0 + 1)) };
    network.set_adversary(seduces);
    run(&mut network, 6_000);
    network.relink_coordinator(leader, 4);
    let since = network.now();
    let is_back = |network: &Network| {
        network.record.coordinator.iter().any(|(at, notice)| match notice {
            Notice::EpochPublished { presence, .. } => *at >= since && presence.shards == SHARDS,
            _ => false,
        })
    };
    assert!(network.run_until(60_000, is_back), "{}", log(&network));
    let aborted = network.record.rounds().filter(|r| r.result != RoundResult::Delivered).count();
    // The one that ran when the link broke, if one did.
    assert!(aborted <= 1, "{}", log(&network));
    run(&mut network, 30_000);
    assert!(longest_gap(&network, since) <= GAP_MS, "{}", log(&network));
    assert!(network.leaders()[0].1 <= Term(term.0 + 2), "{:?}", network.leaders());
}

/// Says what a coordinator says later by so much.
struct Slow {
    coordinator: usize,
    ms: u64,
}

impl Adversary for Slow {
    fn on_message(&mut self, _: Timestamp, sent: Sent, _: &Keys) -> Vec<(u64, Sent)> {
        let slow = sent.from == Party::Coordinator(self.coordinator);
        vec![(if slow { self.ms } else { 0 }, sent)]
    }
}

#[test]
fn what_a_slow_leader_said_before_it_was_deposed_opens_no_round_twice() {
    for ms in [1000, 2000, 3500, 5000, 9000] {
        let mut network = Network::new(setup());
        until_rounds(&mut network, 3);
        let coordinator = leader(&mut network);
        network.set_adversary(Slow { coordinator, ms });
        let slow = network.now();
        run(&mut network, 20_000);
        let gap = longest_gap(&network, slow);
        assert!(gap <= GAP_MS + 1000 + ms.min(3000), "{ms}: {gap}\n{}", log(&network));
    }
}

#[test]
fn each_round_that_was_opened_is_counted_as_one_that_ended_or_whose_end_a_deposed_leader_did_not_hear()
 {
    let mut network = Network::new(setup());
    until_rounds(&mut network, 3);
    let coordinator = leader(&mut network);
    network.set_adversary(Slow { coordinator, ms: 9000 });
    run(&mut network, 20_000);
    let notices = || network.record.coordinator.iter().map(|(_, notice)| notice);
    let opened = notices().filter(|it| matches!(it, Notice::RoundOpened { .. })).count();
    let ended = notices().filter(|it| matches!(it, Notice::RoundEnded(_))).count();
    let unheard: usize = notices()
        .filter_map(|it| match it {
            Notice::Deposed { open_rounds, .. } => Some(*open_rounds),
            _ => None,
        })
        .sum();
    assert!(unheard > 0, "{}", log(&network));
    assert_eq!(opened, ended + unheard + network.open_rounds(), "{}", log(&network));
}

/// A coordinator that leads for ever as it believes, whatever its clock and the shards say: it opens a next round
/// every time that another coordinator does.
struct NeverStops {
    coordinator: usize,
}

impl Adversary for NeverStops {
    fn on_message(&mut self, _: Timestamp, sent: Sent, _: &Keys) -> Vec<(u64, Sent)> {
        let Payload::ToShard(ToShard::Open { announcement }) = &sent.payload else {
            return vec![(0, sent)];
        };
        let Announcement { epoch, round, .. } = *announcement;
        let open = |round| {
            Payload::ToShard(ToShard::Open { announcement: Announcement::classic(epoch, round) })
        };
        let from = Party::Coordinator(self.coordinator);
        let same = Sent { from, to: sent.to, payload: open(round) };
        let next = Sent { from, to: sent.to, payload: open(round.next()) };
        vec![(0, same), (0, next), (0, sent)]
    }
}

#[test]
fn a_coordinator_that_does_not_stop_leading_is_not_heeded() {
    let mut network = Network::new(setup());
    until_rounds(&mut network, 2);
    let old = leader(&mut network);
    network.stop_coordinator(old);
    run(&mut network, 4_500);
    let new = leader(&mut network);
    assert_ne!(new, old);
    network.set_adversary(NeverStops { coordinator: old });
    let before = openings(&network).len();
    until_rounds(&mut network, before + 5);
    assert!(network.record.promises.broken().is_none(), "{:?}", network.record.promises.broken());
}

#[test]
fn candidates_that_split_the_vote_do_not_do_so_for_ever() {
    let mut split = 0;
    for seed in 0..12 {
        let mut setup = setup();
        setup.seed = seed;
        setup.coordinators = 5;
        // Slow links, so that candidates do not hear of each other in time.
        setup.link.delay_ms = 150;
        setup.link.jitter_ms = 150;
        let mut network = Network::new(setup);
        until_rounds(&mut network, 2);
        let killed = leader(&mut network);
        network.stop_coordinator(killed);
        let at = network.now();
        run(&mut network, 14_000);
        let failed = |(_, notice): &&(_, Notice)| matches!(notice, Notice::NotElected { .. });
        split += network.record.coordinator.iter().filter(failed).count();
        let gap = longest_gap(&network, at);
        assert!(gap <= 9_000, "seed {seed}: {gap} ms\n{}", log(&network));
    }
    assert!(split > 0, "no vote was split: the test shows nothing");
}

/// Restarts all shards while the leader is cut off from them. Returns whether two coordinators led in one term.
fn two_lead_in_one_term(forgets: bool) -> bool {
    let mut network = Network::new(setup());
    let mut terms = Terms::default();
    let mut found = false;
    network.run_until(5_000, |network| {
        found |= terms.two_in_one(network).is_some();
        false
    });
    let old = leader(&mut network);
    for shard in 0..SHARDS {
        network.unlink_coordinator(old, shard);
        network.crash(shard);
        if forgets {
            network.forget_grant(shard);
        }
        network.restart(shard);
    }
    network.run_until(5_000, |network| {
        found |= terms.two_in_one(network).is_some();
        false
    });
    found
}

#[test]
fn shards_that_forget_the_term_let_two_lead_in_it_and_shards_that_keep_it_do_not() {
    assert!(!two_lead_in_one_term(false));
    assert!(two_lead_in_one_term(true), "nothing was to be seen of the fault");
}

/// A shard that claims to be far beyond what it is.
struct Boasts {
    shard: usize,
}

impl Adversary for Boasts {
    fn on_message(&mut self, _: Timestamp, mut sent: Sent, _: &Keys) -> Vec<(u64, Sent)> {
        if sent.from == Party::Shard(self.shard)
            && let Payload::ToCoordinator(message) = &mut sent.payload
        {
            match message {
                ToCoordinator::Granted { standing, .. }
                | ToCoordinator::Register { standing, .. } => boast(standing),
                ToCoordinator::Follows { term, standing }
                | ToCoordinator::Leaderless { term, standing } => {
                    boast(standing);
                    *term = Term(u64::MAX - 1);
                }
                _ => {}
            }
        }
        vec![(0, sent)]
    }
}

fn boast(standing: &mut Standing) {
    standing.signed_epoch = Epoch(u64::MAX - 1);
    standing.served_round = Round(u64::MAX - 1);
}

#[test]
fn one_shard_that_boasts_uses_up_no_numbers_and_keeps_nobody_from_leading() {
    let mut setup = setup().with_malicious_fifth();
    setup.coordinators = 2;
    let mut network = Network::with_adversary(setup, Boasts { shard: 4 });
    until_rounds(&mut network, 3);
    let killed = leader(&mut network);
    network.stop_coordinator(killed);
    let opened = openings(&network).len();
    until_rounds(&mut network, opened + 3);
    let last = openings(&network).into_keys().last();
    assert!(last < Some(Round(100)), "{last:?}");
    let terms = network.leaders();
    assert!(terms.iter().all(|(_, term)| *term < Term(100)), "{terms:?}");
}

/// A standby that campaigns all the time, for terms as high as they get.
struct Campaigns {
    coordinator: usize,
}

impl Adversary for Campaigns {
    fn on_message(&mut self, _: Timestamp, sent: Sent, _: &Keys) -> Vec<(u64, Sent)> {
        let Payload::ToShard(ToShard::Beat { number }) = &sent.payload else {
            return vec![(0, sent)];
        };
        let terms = [u64::MAX, u64::MAX - 1, 2, number + 2];
        let campaign = |term: u64| Sent {
            from: Party::Coordinator(self.coordinator),
            to: sent.to,
            payload: Payload::ToShard(ToShard::Campaign { term: Term(term) }),
        };
        let mut said: Vec<_> = terms.into_iter().map(|term| (0, campaign(term))).collect();
        said.push((0, sent));
        said
    }
}

#[test]
fn campaigns_while_a_leader_is_heard_change_nothing_and_use_up_no_terms() {
    let mut network = Network::new(setup());
    until_rounds(&mut network, 2);
    let first = leader(&mut network);
    let term = network.leaders()[0].1;
    network.set_adversary(Campaigns { coordinator: (first + 1) % 3 });
    run(&mut network, 10_000);
    assert_eq!(network.leaders(), [(first, term)], "{}", log(&network));
    assert!(longest_gap(&network, network.now()) <= 1500);
}
