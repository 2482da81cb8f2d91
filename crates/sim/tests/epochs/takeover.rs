//! How soon those who talk do so again after shards are lost, with the parameters that a network with beats has by default.

mod restarts;

use antiphon_client_core::{ConversationId, ConversationSecret, Event, Opening, Role, Start};
use antiphon_coordinator_core::{CoordinatorConfig, Notice, RoundReport, RoundResult};
use antiphon_sim::adversary::{Honest, Keys};
use antiphon_sim::scenario::log;
use antiphon_sim::{LinkModel, Network, Party, Sent, Setup};
use antiphon_wire::Timestamp;

/// Talking again, from the moment at which the last shard stops.
const AGAIN_MS: u64 = 15_000;
/// Time after which the other end of a link that is not closed is taken for dead.
const NOTICED_MS: u64 = 4000;
/// Time for which one that leads in the place of another waits for shards of the epoch, and that until beats begin where nobody
/// knows how long rounds take.
const ELECTION_MS: u64 = 10_000;
/// The same of a coordinator that is started again.
const AWAY_MS: u64 = 25_000;
const INTERVAL_MS: u32 = 300_000;

/// Shards of as many operators, with the deadlines, rounds and beats of a network that `keygen network --beats` makes, whose
/// links take 50 ms and more.
fn setup(shards: usize, coordinators: usize) -> Setup {
    let mut setup = Setup::small(shards, 4).with_little_noise();
    setup.policy.least_round_interval_ms = INTERVAL_MS;
    setup.coordinators = coordinators;
    setup.link = LinkModel { delay_ms: 50, jitter_ms: 20, loss_ppm: 0 };
    setup.coordinator = CoordinatorConfig {
        interval_ms: INTERVAL_MS,
        epoch_rounds: 12,
        prepare_ahead_rounds: 3,
        beats: 150,
        ..CoordinatorConfig::default()
    };
    setup
}

/// A network in which clients 0 and 1 talk in beats.
struct Talk {
    network: Network,
    from: ConversationId,
}

impl Talk {
    fn start(setup: Setup) -> Self {
        let mut network = Network::new(setup);
        let opening = |role| Opening {
            verified: true,
            ..Opening::new(ConversationSecret([7; 32]), role, Start::Dense)
        };
        let from = network.client(0).open_conversation(&opening(Role::First)).expect("room");
        network.client(1).open_conversation(&opening(Role::Second)).expect("there is room");
        assert!(network.run_until(900_000, cells_come), "{}", log(&network));
        network.run_ms(10_000);
        Self { network, from }
    }

    /// Milliseconds from now until a message that is written now has arrived, over more than the bodies of a round; `None` if
    /// that takes longer than two intervals.
    fn silence_ms(&mut self) -> Option<u64> {
        let lost = self.network.now();
        let before = self.network.record.received(1).count();
        self.network.client(0).send(self.from, vec![5; 700]).expect("there is room");
        let arrived = |network: &Network| network.record.received(1).count() > before;
        let arrives = self.network.run_until(2 * u64::from(INTERVAL_MS), arrived);
        arrives.then(|| self.network.now().ms_since(lost))
    }

    fn count(&self, of: impl Fn(&Notice) -> bool) -> usize {
        self.network.record.coordinator.iter().filter(|(_, notice)| of(notice)).count()
    }

    fn epochs(&self) -> usize {
        self.network.record.epochs().count()
    }
}

fn cells_come(network: &Network) -> bool {
    let beats = network.record.events[0].iter().rev();
    let arrived = beats.filter_map(|(_, event)| match event {
        Event::BeatEnded { arrived, .. } => Some(*arrived),
        _ => None,
    });
    arrived.take(1).eq([2])
}

/// Nothing comes from these parties any more, nor gets to them.
fn mute(parties: Vec<Party>) -> impl FnMut(Timestamp, Sent, &Keys) -> Vec<(u64, Sent)> {
    move |_, sent, _| {
        let is_mute = parties.contains(&sent.from) || parties.contains(&sent.to);
        if is_mute { vec![] } else { vec![(0, sent)] }
    }
}

/// A shard is gone without a word, which nobody notices for a while. It runs on until then, and is not heard.
fn kill(network: &mut Network, shard: usize) {
    network.set_adversary(mute(vec![Party::Shard(shard)]));
}

/// The shard is noticed to be gone.
fn notice(network: &mut Network, shard: usize) {
    network.set_adversary(Honest);
    network.crash(shard);
}

/// Has a message written that is to arrive in spite of what `trouble` does meanwhile.
fn silence_in(talk: &mut Talk, trouble: impl FnOnce(&mut Network)) -> u64 {
    trouble(&mut talk.network);
    talk.silence_ms().unwrap_or_else(|| panic!("{}", log(&talk.network)))
}

#[test]
fn who_talks_does_so_again_within_fifteen_seconds_of_a_shard_that_is_killed() {
    let mut talk = Talk::start(setup(5, 1));
    let silence = silence_in(&mut talk, |network| {
        kill(network, 4);
        network.run_ms(NOTICED_MS);
        notice(network, 4);
    });
    assert!(
        silence + NOTICED_MS <= AGAIN_MS,
        "{silence} ms after it was noticed\n{}",
        log(&talk.network)
    );
    // For as long as that takes, nobody who talks is charged more than the two rounds that may be under way.
    assert!(talk.network.client(0).ledger().charged() <= 2);
}

#[test]
fn a_second_loss_while_an_epoch_without_the_first_is_planned_takes_no_longer() {
    let mut slowest = 0;
    for after_ms in [20, 150, 300, 600, 1200, 2500, 5000] {
        let mut talk = Talk::start(setup(7, 1));
        let silence = silence_in(&mut talk, |network| {
            notice(network, 4);
            network.run_ms(after_ms);
            kill(network, 5);
            network.run_ms(NOTICED_MS);
            notice(network, 5);
        });
        slowest = slowest.max(silence);
    }
    assert!(slowest + NOTICED_MS <= AGAIN_MS, "{slowest} ms");
}

#[test]
fn a_loss_during_a_hand_over_takes_no_longer() {
    let mut talk = Talk::start(setup(5, 1));
    // The next epoch is published, and has not begun.
    let published = |network: &Network| network.record.epochs().count() == 2;
    assert!(talk.network.run_until(12 * u64::from(INTERVAL_MS), published));
    talk.network.run_ms(20_000);
    let silence = silence_in(&mut talk, |network| {
        kill(network, 4);
        network.run_ms(NOTICED_MS);
        notice(network, 4);
    });
    assert!(silence + NOTICED_MS <= AGAIN_MS, "{silence} ms\n{}", log(&talk.network));
    assert_eq!(talk.epochs(), 3, "{}", log(&talk.network));
}

#[test]
fn a_leading_coordinator_that_dies_with_the_shard_costs_an_election_more() {
    let mut talk = Talk::start(setup(5, 3));
    let silence = silence_in(&mut talk, |network| {
        let leader = network.leaders()[0].0;
        network.set_adversary(mute(vec![Party::Shard(4), Party::Coordinator(leader)]));
        network.run_ms(NOTICED_MS);
        network.stop_coordinator(leader);
        notice(network, 4);
    });
    assert!(silence + NOTICED_MS <= AGAIN_MS + ELECTION_MS, "{silence} ms\n{}", log(&talk.network));
}

/// It waits for the lost shard, which may come back as the others do.
#[test]
fn a_coordinator_that_is_started_again_meanwhile_waits_for_shards_no_longer_than_one_that_was_away()
{
    let mut talk = Talk::start(setup(5, 1));
    let silence = silence_in(&mut talk, |network| {
        kill(network, 4);
        network.run_ms(NOTICED_MS);
        notice(network, 4);
        network.run_ms(150);
        network.restart_coordinator(0);
    });
    assert!(silence + NOTICED_MS <= AGAIN_MS + AWAY_MS, "{silence} ms\n{}", log(&talk.network));
}

/// Two shards that do not hear each other look lost to each other alone. Beats are filled in where they are cut, and nobody's
/// beats say who is to be left out: no early round is spent. Circuits without that link go on.
#[test]
fn a_pair_that_is_parted_spends_no_early_round() {
    let mut talk = Talk::start(setup(5, 1));
    let rounds = talk.network.record.rounds().count();
    talk.network.set_adversary(|_: Timestamp, sent: Sent, _: &Keys| {
        let pair = [Party::Shard(2), Party::Shard(3)];
        let is_cut = pair.contains(&sent.from) && pair.contains(&sent.to);
        if is_cut { vec![] } else { vec![(0, sent)] }
    });
    let failed = move |network: &Network| network.record.rounds().count() > rounds;
    assert!(talk.network.run_until(2 * u64::from(INTERVAL_MS), failed));
    let silence = talk.silence_ms();
    assert!(silence.is_some_and(|ms| ms <= AGAIN_MS), "{silence:?}\n{}", log(&talk.network));
    let broken = |notice: &Notice| matches!(notice, Notice::EpochBroken { .. });
    assert_eq!((talk.count(broken), early(&talk.network)), (0, 0), "{}", log(&talk.network));
}

/// A shard is back, an epoch with it is published, and it is lost before that begins: those that have its document serve no
/// round of it under the one that runs.
#[test]
fn an_epoch_that_is_given_up_before_it_begins_is_followed_by_another_and_no_round_fails() {
    let mut talk = Talk::start(setup(5, 1));
    silence_in(&mut talk, |network| notice(network, 4));
    talk.network.restart(4);
    let epochs = talk.epochs();
    let with_it = move |network: &Network| network.record.epochs().count() > epochs;
    assert!(talk.network.run_until(2 * u64::from(INTERVAL_MS), with_it), "{}", log(&talk.network));
    let (_, begins, _, shards) = talk.network.record.epochs().last().expect("it is published");
    assert_eq!(shards, 5);
    let (rounds, early_rounds) = (talk.network.record.rounds().count(), early(&talk.network));
    talk.network.run_ms(5000);
    notice(&mut talk.network, 4);
    talk.network.run_ms(10_000);
    let (_, first, _, shards) = talk.network.record.epochs().last().expect("another is");
    assert!(shards == 4 && first <= begins, "{first} {begins}\n{}", log(&talk.network));
    // For as long as the one given up would have run, and longer.
    for _ in 0..4 {
        let silence = talk.silence_ms();
        assert!(silence.is_some_and(|ms| ms <= AGAIN_MS), "{silence:?}\n{}", log(&talk.network));
        talk.network.run_ms(u64::from(INTERVAL_MS) - AGAIN_MS);
    }
    let failed: Vec<_> = talk.network.record.rounds().skip(rounds).filter(fails).collect();
    assert!(failed.is_empty(), "{failed:?}");
    assert!(talk.network.record.rounds().count() >= rounds + 3, "{}", log(&talk.network));
    assert_eq!(early(&talk.network), early_rounds, "none is needed for it");
}

fn fails(report: &&RoundReport) -> bool {
    report.result != RoundResult::Delivered
}

/// Rounds that opened sooner after the one before them than the interval says.
fn early(network: &Network) -> usize {
    let opened = network.record.coordinator.iter();
    let opened = opened.filter(|(_, notice)| matches!(notice, Notice::RoundOpened { .. }));
    let opened: Vec<_> = opened.map(|(at, _)| *at).collect();
    opened.windows(2).filter(|two| two[1].ms_since(two[0]) < u64::from(INTERVAL_MS)).count()
}
