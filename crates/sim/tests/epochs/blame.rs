//! Shards that lie to the coordinator about rounds, or spoil rounds so that others seem to have.

use antiphon_coordinator_core::{Notice, RoundReport, RoundResult};
use antiphon_sim::adversary::{
    Adversary, FalseComplaint, FalseFilter, FilterLie, InRounds, Keys, SealPlay, SealSpoiler,
};
use antiphon_sim::scenario::{log, quick};
use antiphon_sim::{Network, Party, Payload, Sent, Setup};
use antiphon_wire::{
    Announcement, Layer, PeerMessage, Reason, Round, RoundOutcome, ShardIndex, Timestamp,
    ToCoordinator, ToShard,
};

const LIAR: usize = 2;

/// The first round in which anybody lies.
const FIRST: Round = Round(3);

/// Five operators, one of which may be malicious.
fn fifth() -> Setup {
    quick(5).with_malicious_fifth()
}

/// From `FIRST` on.
fn ever<A: Adversary>(attack: A) -> InRounds<A> {
    InRounds { first: FIRST, last: Round(u64::MAX), attack }
}

/// How often each shard was made to sit out, by position in the setup.
fn suspended(network: &Network) -> Vec<usize> {
    let times = |shard: usize| {
        let identity = network.identity(shard);
        let record = network.record.coordinator.iter();
        record
            .filter(|(_, notice)| {
                matches!(notice, Notice::ShardSuspended { shard, .. } if *shard == identity)
            })
            .count()
    };
    (0..network.record.shards.len()).map(times).collect()
}

fn assert_only_the_liar(network: &Network) {
    for (shard, times) in suspended(network).into_iter().enumerate() {
        assert_eq!(times > 0, shard == LIAR, "{shard}: {times} times\n{}", log(network));
    }
}

fn delivered(network: &Network) -> usize {
    network.record.rounds().filter(|report| report.result == RoundResult::Delivered).count()
}

/// Instead of what the liar's program reports, `says`, and at once.
fn report(
    says: impl Fn(Round) -> RoundOutcome,
) -> impl FnMut(Timestamp, Sent, &Keys) -> Vec<(u64, Sent)> {
    move |_, sent, _| match (&sent.payload, sent.to, sent.from) {
        (
            Payload::ToShard(ToShard::Open { announcement: Announcement { epoch, round, .. } }),
            Party::Shard(LIAR),
            _,
        ) if *round >= FIRST => {
            let ended = ToCoordinator::Ended {
                epoch: *epoch,
                round: *round,
                outcome: says(*round),
                counts: Default::default(),
            };
            let report = Sent {
                from: Party::Shard(LIAR),
                to: Party::Coordinator(0),
                payload: Payload::ToCoordinator(ended),
            };
            vec![(0, sent), (0, report)]
        }
        (Payload::ToCoordinator(ToCoordinator::Ended { round, .. }), _, Party::Shard(LIAR))
            if *round >= FIRST =>
        {
            vec![]
        }
        _ => vec![(0, sent)],
    }
}

/// Names another shard in every round.
fn another(round: Round) -> ShardIndex {
    // Whichever index the liar has, the other of two is not its own.
    ShardIndex((round.0 % 2) as u16)
}

#[test]
fn a_lie_told_early_in_a_round_that_goes_through_costs_the_liar_alone() {
    for setup in [quick(4), fifth()] {
        let mut lie = report(|round| {
            let reason = Reason::MissingBatch { layer: Layer::FIRST, sender: another(round) };
            RoundOutcome::Withheld { reason }
        });
        let slow_liar = move |now, sent: Sent, keys: &Keys| {
            // In time for every deadline, and long after a round that was given up would be over.
            let slows =
                sent.from == Party::Shard(LIAR) && matches!(sent.payload, Payload::Batch { .. });
            let mut travels = lie(now, sent, keys);
            if slows {
                travels.iter_mut().for_each(|(ms, _)| *ms += 350);
            }
            travels
        };
        let mut network = Network::with_adversary(setup, slow_liar);
        // Rounds this long are few in an epoch, and a hand-over may skip the first of them.
        let lied = |ended: &&RoundReport| ended.round >= FIRST;
        let judged = |network: &Network| network.record.rounds().any(|ended| lied(&ended));
        assert!(network.run_until(60_000, judged), "{}", log(&network));
        let ended = network.record.rounds().find(lied).unwrap();
        let missing = vec![network.identity(LIAR)];
        assert_eq!(ended.result, RoundResult::Partial { missing });
        network.run_ms(60_000);
        assert_only_the_liar(&network);
        assert!(delivered(&network) > 10, "{}", log(&network));
    }
}

#[test]
fn whoever_withholds_first_and_reports_otherwise_is_found_at_once() {
    let denials: [fn(Round) -> RoundOutcome; 3] = [
        |_| RoundOutcome::Delivered,
        |round| RoundOutcome::NotOpened { missing: another(round) },
        |round| RoundOutcome::NotOpened { missing: ShardIndex(3 + (round.0 % 2) as u16) },
    ];
    for denial in denials {
        let mut lie = report(denial);
        let mut attack = ever(SealSpoiler { shard: LIAR, play: SealPlay::WithholdEarly });
        let adversary = move |now, sent: Sent, keys: &Keys| {
            let spoilt = attack.on_message(now, sent, keys);
            spoilt.into_iter().flat_map(|(_, sent)| lie(now, sent, keys)).collect()
        };
        let mut network = Network::with_adversary(fifth(), adversary);
        network.run_ms(60_000);
        let ended = network.record.rounds().find(|ended| ended.round == FIRST).unwrap();
        let named = matches!(&ended.result, RoundResult::Aborted { missing, .. }
            if *missing == [network.identity(LIAR)]);
        assert!(named, "{ended:?}\n{}", log(&network));
        assert_only_the_liar(&network);
    }
}

#[test]
fn whoever_withholds_first_and_names_ever_others_is_left_out() {
    let mut lie = report(|round| {
        let reason =
            Reason::MissingBatch { layer: Layer::FIRST, sender: ShardIndex((round.0 % 5) as u16) };
        RoundOutcome::Withheld { reason }
    });
    let mut attack = ever(SealSpoiler { shard: LIAR, play: SealPlay::WithholdEarly });
    let adversary = move |now, sent: Sent, keys: &Keys| {
        let spoilt = attack.on_message(now, sent, keys);
        spoilt.into_iter().flat_map(|(_, sent)| lie(now, sent, keys)).collect()
    };
    let mut network = Network::with_adversary(fifth(), adversary);
    network.run_ms(90_000);
    assert_only_the_liar(&network);
}

#[test]
fn a_late_report_of_an_aborted_round_is_no_failure() {
    const LATE: usize = 0;
    let mut attack = ever(SealSpoiler { shard: LIAR, play: SealPlay::WithholdEarly });
    let adversary = move |now, sent: Sent, keys: &Keys| {
        let late = sent.from == Party::Shard(LATE)
            && matches!(sent.payload, Payload::ToCoordinator(ToCoordinator::Ended { .. }));
        let mut travels = attack.on_message(now, sent, keys);
        if late {
            travels.iter_mut().for_each(|(ms, _)| *ms += 2_500);
        }
        travels
    };
    let mut network = Network::with_adversary(fifth(), adversary);
    network.run_ms(90_000);
    let silent = [network.identity(LATE)];
    let late = network.record.rounds().any(|ended| ended.silent == silent);
    assert!(late, "{}", log(&network));
    assert_eq!(suspended(&network)[LATE], 0, "{}", log(&network));
}

/// False complaints in every round, about a shard that depends on the round. How often each shard
/// sat out.
fn complaints(about: fn(u64) -> u16) -> Vec<usize> {
    let complains = move |now, sent: Sent, keys: &Keys| {
        let Payload::Peer(PeerMessage::Verdict { verdict }) = &sent.payload else {
            return vec![(0, sent)];
        };
        let about = ShardIndex(about(verdict.claimed().round.0));
        ever(FalseComplaint { shard: LIAR, about }).on_message(now, sent, keys)
    };
    let mut network = Network::with_adversary(quick(5), complains);
    network.run_ms(120_000);
    assert!(delivered(&network) > 20, "{}", log(&network));
    suspended(&network)
}

#[test]
fn false_complaints_about_ever_others_cost_the_liar_alone() {
    let times = complaints(|round| (round % 2) as u16);
    assert!(times[LIAR] >= 2, "{times:?}");
    assert_eq!(times.iter().sum::<usize>(), times[LIAR], "{times:?}");
}

#[test]
fn false_complaints_about_one_shard_cost_the_liar_as_much() {
    let times = complaints(|_| 0);
    assert!(times[LIAR] >= times[0], "{times:?}");
    assert_eq!(times.iter().sum::<usize>(), times[LIAR] + times[0], "{times:?}");
}

/// Which shard is lied about cannot be told from who lies as long as it is always the same.
#[test]
fn different_filters_for_different_shards_push_out_nobody_twice() {
    let shows = |now, sent: Sent, keys: &Keys| {
        let Payload::Peer(PeerMessage::Filter { filter }) = &sent.payload else {
            return vec![(0, sent)];
        };
        let victim = [0, 1, 3, 4][filter.claimed().round.0 as usize % 4];
        let lie = FilterLie::OtherTo(victim);
        ever(FalseFilter { shard: LIAR, lie }).on_message(now, sent, keys)
    };
    let mut network = Network::with_adversary(quick(5), shows);
    network.run_ms(180_000);
    let times = suspended(&network);
    assert!(times[LIAR] >= 2, "{times:?}\n{}", log(&network));
    for (shard, times) in times.iter().enumerate() {
        assert!(shard == LIAR || *times <= 1, "{shard}: {times}\n{}", log(&network));
    }
}
