//! The machine alone: epochs that are announced, and what the clock does with them.

use antiphon_wire::{Announcement, Reason, RoundOutcome, ShardIndex};

use super::*;
use crate::samples::{START, announced, config, rules, shard, shards};
use crate::settings::CoordinatorConfig;
use crate::state::State;

const SHARDS: u8 = 5;

fn at(ms: u64) -> Timestamp {
    START.plus_ms(ms)
}

/// A clock with nothing to go on from.
fn clock(config: CoordinatorConfig) -> RoundClock {
    RoundClock::new(rules(SHARDS, config), Marks::default(), START)
}

/// One with an epoch of these rounds.
fn with_epoch(config: CoordinatorConfig, rounds: (u64, u64)) -> RoundClock {
    let mut clock = clock(config);
    announce(&mut clock, 1, rounds);
    clock
}

fn announce(clock: &mut RoundClock, epoch: u64, rounds: (u64, u64)) {
    let document = announced(&clock.rules, epoch, rounds, &shards(SHARDS));
    clock.announce(document);
}

/// Does all that is due.
fn run(clock: &mut RoundClock, now: Timestamp) -> Vec<Tick> {
    while clock.step(now) {}
    clock.drain()
}

fn opened(ticks: &[Tick]) -> Vec<(u64, u64)> {
    let opened = ticks.iter().filter_map(|tick| match tick {
        Tick::Open { announcement, .. } => Some((announcement.epoch.0, announcement.round.0)),
        _ => None,
    });
    opened.collect()
}

fn all_ready(clock: &mut RoundClock, epoch: u64, round: u64) {
    (0..SHARDS).for_each(|i| clock.ready(shard(i), Epoch(epoch), Round(round)));
}

/// All shards report that the round was delivered.
fn end(clock: &mut RoundClock, now: Timestamp, epoch: u64, round: u64) {
    for i in 0..SHARDS {
        let report = (RoundOutcome::Delivered, RoundCounts::default());
        clock.reported(now, shard(i), (Epoch(epoch), Round(round)), report);
    }
}

/// All shards report that they withheld their keys.
fn fail(clock: &mut RoundClock, now: Timestamp, epoch: u64, round: u64) {
    for i in 0..SHARDS {
        let outcome =
            RoundOutcome::Withheld { reason: Reason::MissingFilter { shard: ShardIndex(0) } };
        let report = (outcome, RoundCounts::default());
        clock.reported(now, shard(i), (Epoch(epoch), Round(round)), report);
    }
}

#[test]
fn a_number_is_durable_before_any_shard_hears_of_it() {
    let mut clock = with_epoch(config(), (5, 9));
    all_ready(&mut clock, 1, 5);
    let ticks = run(&mut clock, at(0));
    assert!(matches!(
        ticks[..],
        [
            Tick::Persist,
            Tick::Open { announcement: Announcement { round: Round(5), .. }, .. },
            Tick::Notice(_)
        ]
    ));
    assert_eq!(clock.marks().last_round, Round(5));
}

#[test]
fn a_round_waits_for_shards_that_are_not_ready_but_not_for_ever() {
    let mut clock = with_epoch(config(), (1, 9));
    clock.ready(shard(0), Epoch(1), Round(1));
    assert_eq!(opened(&run(&mut clock, at(0))), []);
    assert!(clock.deadlines().any(|due| due == at(1500)));
    assert_eq!(opened(&run(&mut clock, at(1499))), []);
    let ticks = run(&mut clock, at(1500));
    assert_eq!(opened(&ticks), [(1, 1)]);
    let late = ticks.iter().find_map(|tick| match tick {
        Tick::Notice(Notice::RoundOpened { late, .. }) => Some(late.len()),
        _ => None,
    });
    assert_eq!(late, Some(4));
}

#[test]
fn rounds_open_an_interval_apart_and_overlap_once_one_was_delivered() {
    let mut clock = with_epoch(config(), (1, 9));
    let mut times = Vec::new();
    for ms in (0..6000).step_by(100) {
        (1..9).for_each(|round| all_ready(&mut clock, 1, round));
        if ms >= 2500 {
            end(&mut clock, at(ms), 1, 1);
        }
        times.extend(opened(&run(&mut clock, at(ms))).into_iter().map(|(_, round)| (round, ms)));
    }
    // The second waits for the first, and the third overlaps it.
    assert_eq!(times, [(1, 0), (2, 2500), (3, 3500)]);
}

#[test]
fn a_broken_epoch_opens_no_round_and_its_successor_does() {
    let mut clock = with_epoch(config(), (1, 9));
    all_ready(&mut clock, 1, 1);
    run(&mut clock, at(0));
    assert!(clock.break_epoch("a shard is lost", None));
    end(&mut clock, at(700), 1, 1);
    let ticks = run(&mut clock, at(5000));
    assert_eq!(opened(&ticks), []);
    let decided =
        |tick: &Tick| matches!(tick, Tick::Ended(ended) if ended.weight == Weight::Decided);
    assert!(ticks.iter().any(decided), "what goes wrong in it counts no more");
    announce(&mut clock, 2, (2, 9));
    all_ready(&mut clock, 2, 2);
    assert_eq!(opened(&run(&mut clock, at(6000))), [(2, 2)]);
}

#[test]
fn an_epoch_is_complete_when_its_last_round_is_over_and_not_if_it_was_cut_short() {
    let ends = |first_of_next, completed| {
        let config = CoordinatorConfig { rounds_in_flight: 1, ..config() };
        let mut clock = with_epoch(config, (1, 2));
        announce_next(&mut clock, first_of_next);
        let mut found = 0;
        for round in 1..=3 {
            let now = at(10_000 * round);
            let epoch = if round < first_of_next { 1 } else { 2 };
            all_ready(&mut clock, epoch, round);
            let mut ticks = run(&mut clock, now);
            assert_eq!(opened(&ticks), [(epoch, round)]);
            end(&mut clock, now, epoch, round);
            ticks.extend(run(&mut clock, now));
            found += ticks.iter().filter(|tick| matches!(tick, Tick::Completed(_))).count();
        }
        assert_eq!(found, completed);
    };
    ends(3, 1);
    ends(2, 0);
}

/// Begins the epoch that was announced, and announces another.
fn announce_next(clock: &mut RoundClock, first: u64) {
    run(clock, START);
    announce(clock, 2, (first, first + 5));
}

#[test]
fn a_restored_epoch_waits_for_its_shards_and_goes_on_above_what_they_served() {
    let rules = rules(SHARDS, config());
    let current = Some(announced(&rules, 4, (10, 90), &shards(SHARDS)));
    let marks =
        Marks { last_round: Round(20), last_open: Some(START), current, ..Marks::default() };
    let mut clock = RoundClock::new(rules, marks, START);
    assert_eq!(clock.conduct(), Conduct::Resuming);
    assert_eq!(opened(&run(&mut clock, at(60_000))), []);
    clock.resume(at(60_000), Round(23));
    all_ready(&mut clock, 4, 24);
    assert_eq!(opened(&run(&mut clock, at(60_999))), [], "it may have been opened just now");
    assert_eq!(opened(&run(&mut clock, at(61_000))), [(4, 24)]);
}

#[test]
fn nobody_is_awaited_once_the_only_epoch_to_go_on_with_is_given_up() {
    let rules = rules(SHARDS, config());
    let next = Some(announced(&rules, 4, (10, 90), &shards(SHARDS)));
    let marks = Marks { next, ..Marks::default() };
    let mut clock = RoundClock::new(rules, marks, START);
    assert_eq!(clock.conduct(), Conduct::Resuming);
    clock.drop_next();
    assert_eq!(clock.conduct(), Conduct::Going);
}

#[test]
fn an_epoch_that_was_broken_by_mistake_goes_on() {
    let mut clock = with_epoch(config(), (1, 9));
    announce_next(&mut clock, 8);
    let next = clock.marks().next.clone();
    clock.break_epoch("links were lost", None);
    assert_eq!(clock.marks().next, None);
    clock.mend(Some(Epoch(1)), next.clone());
    assert_eq!((clock.conduct(), clock.marks().next.clone()), (Conduct::Going, next));
    clock.break_epoch("links were lost", None);
    clock.mend(Some(Epoch(7)), None);
    assert_eq!(clock.conduct(), Conduct::Broken, "it was another one");
}

#[test]
fn rounds_of_an_epoch_that_was_given_up_wait_for_another_and_open_in_no_other() {
    let mut clock = with_epoch(config(), (1, 9));
    announce_next(&mut clock, 3);
    clock.drop_next();
    let mut rounds = Vec::new();
    for ms in (0..6000).step_by(500) {
        (1..9).for_each(|round| all_ready(&mut clock, 1, round));
        rounds.extend(opened(&run(&mut clock, at(ms))));
        let open: Vec<_> = clock.open_rounds().collect();
        open.into_iter().for_each(|round| end(&mut clock, at(ms), 1, round.0));
    }
    assert_eq!(rounds, [(1, 1), (1, 2)]);
    assert_eq!(clock.course().gap_from, Some(Round(3)));
    // A coordinator that starts again knows of it.
    let (_, marks, _) = State::of(Default::default(), clock.marks(), Default::default()).parts();
    let again = RoundClock::new(rules(SHARDS, config()), marks, at(6000));
    assert_eq!(again.course().gap_from, Some(Round(3)));
    announce(&mut clock, 3, (3, 9));
    all_ready(&mut clock, 3, 3);
    assert_eq!(opened(&run(&mut clock, at(6000))), [(3, 3)]);
    assert_eq!(clock.course().gap_from, None);
}

/// The next number is of a mailbox round, and a successor begins with one that sets circuits up.
#[test]
fn a_successor_that_passes_over_a_number_has_the_broken_epoch_open_no_round_of_it() {
    let mut clock = with_epoch(with_rare_rounds(), (1, 20));
    all_ready(&mut clock, 1, 1);
    run(&mut clock, at(0));
    end(&mut clock, at(1000), 1, 1);
    run(&mut clock, at(1000));
    clock.break_epoch("a shard is lost", None);
    announce(&mut clock, 2, (3, 20));
    all_ready(&mut clock, 1, 2);
    all_ready(&mut clock, 2, 3);
    run(&mut clock, at(20_000));
    all_ready(&mut clock, 2, 3);
    assert_eq!(clock.marks().last_round, Round(3));
}

#[test]
fn documents_expire_by_the_clocks_of_most_shards() {
    let expired_at = |behind_ms: u64| {
        let mut clock = with_epoch(config(), (1, 9));
        run(&mut clock, at(0));
        // No round is left to be opened.
        clock.marks.last_round = Round(9);
        for i in 0..SHARDS {
            clock.registered(at(0), shard(i), OperatorIndex(i.into()), at(behind_ms));
        }
        run(&mut clock, at(0));
        let expires = |ms: &u64| {
            let ticks = run(&mut clock, at(*ms));
            let broken = |tick: &Tick| matches!(tick, Tick::Notice(Notice::EpochBroken { .. }));
            ticks.iter().any(broken)
        };
        // Without a round that is delivered, an interval before the end.
        (900_000..1_000_000).step_by(500).find(expires)
    };
    assert_eq!(expired_at(0), Some(999_000));
    assert_eq!(expired_at(30_000), Some(969_000));
    assert_eq!(expired_at(1500), Some(999_000), "links explain that much");
}

#[test]
fn a_clock_that_is_off_is_told_once_and_again_when_it_is_right() {
    let mut clock = clock(config());
    let told = |clock: &mut RoundClock| {
        let ticks = clock.drain();
        let told = ticks.into_iter().filter_map(|tick| match tick {
            Tick::Notice(Notice::ShardClock { shard, ahead_ms, .. }) => Some((shard, ahead_ms)),
            _ => None,
        });
        told.collect::<Vec<_>>()
    };
    for i in 0..SHARDS {
        let theirs = if i == 1 { at(9000) } else { at(0) };
        clock.registered(at(0), shard(i), OperatorIndex(i.into()), theirs);
    }
    assert_eq!(told(&mut clock).last(), Some(&(shard(1), 9000)));
    (0..5).for_each(|_| clock.clock_read(at(0), shard(1), at(9000)));
    assert_eq!(told(&mut clock), []);
    (0..5).for_each(|_| clock.clock_read(at(0), shard(1), at(0)));
    assert_eq!(told(&mut clock), [(shard(1), 0)]);
}

fn announcements(ticks: &[Tick]) -> Vec<Announcement> {
    let opened = ticks.iter().filter_map(|tick| match tick {
        Tick::Open { announcement, .. } => Some(*announcement),
        _ => None,
    });
    opened.collect()
}

/// Beats are 1000 ms apart, and the first comes 1500 ms after its round.
fn with_beats() -> CoordinatorConfig {
    let of_a_round =
        CoordinatorConfig { beats: 60, beat_ms: 1000, first_beat_ms: 1500, ..config() };
    CoordinatorConfig { beat_layer_ms: 100, ..of_a_round }
}

#[test]
fn beats_of_following_rounds_are_on_one_grid_and_of_classic_ones_nowhere() {
    let mut clock = with_epoch(with_beats(), (1, 9));
    let mut told = Vec::new();
    for ms in (0..9000).step_by(130) {
        (1..9).for_each(|round| all_ready(&mut clock, 1, round));
        let open: Vec<_> = clock.open_rounds().collect();
        open.into_iter().for_each(|round| end(&mut clock, at(ms), 1, round.0));
        told.extend(announcements(&run(&mut clock, at(ms))));
    }
    assert!(told.len() > 3, "{told:?}");
    assert!(told[0].first_beat >= START.plus_ms(1500), "{told:?}");
    for pair in told.windows(2) {
        let apart = pair[1].first_beat.ms_since(pair[0].first_beat);
        assert!(apart > 0 && apart.is_multiple_of(1000), "{pair:?}");
        assert_eq!(pair[0].begins(pair[0].beats_before(&pair[1])), pair[1].first_beat);
    }
    let mut classic = with_epoch(config(), (1, 4));
    all_ready(&mut classic, 1, 1);
    let told = announcements(&run(&mut classic, at(0)));
    assert_eq!(told, [Announcement::classic(Epoch(1), Round(1))]);
}

/// Of what came before the restart, nobody tells it when beats began.
#[test]
fn a_coordinator_that_starts_again_lays_beats_on_the_grid_of_those_before() {
    let first_beat = |marks: Option<Marks>, ms| {
        let marks = Marks { current: None, next: None, ..marks.unwrap_or_default() };
        let mut clock = RoundClock::new(rules(SHARDS, with_beats()), marks, at(ms));
        announce(&mut clock, 1, (1, 90));
        (1..90).for_each(|round| all_ready(&mut clock, 1, round));
        let told = announcements(&run(&mut clock, at(ms + 2000)));
        (told.first().expect("a round opens").first_beat, clock.marks().clone())
    };
    let (before, marks) = first_beat(None, 0);
    for ms in [5010, 5370, 5990] {
        let (after, _) = first_beat(Some(marks.clone()), ms);
        assert!(after.ms_since(before).is_multiple_of(1000), "{before:?} {after:?}");
        // One that has lost its state, or that leads in the place of another, does so as well.
        let (after, _) = first_beat(None, ms);
        assert!(after.ms_since(before).is_multiple_of(1000), "{before:?} {after:?}");
    }
}

#[test]
fn no_beat_is_announced_later_than_shards_take() {
    let beats = BeatParameters { beats: 3, beat_ms: 1000, layer_ms: 100, cell_bytes: 256 };
    let laid = |earliest| on_grid(&beats, Timestamp(earliest), Timestamp(5500)).0;
    assert_eq!([4000, 4001, 5000, 5001, 5500].map(laid), [4000, 5000, 5000, 5000, 5000]);
}

/// Epochs with beats, whose rounds are five minutes apart.
fn with_rare_rounds() -> CoordinatorConfig {
    CoordinatorConfig { interval_ms: 300_000, beats: 600, ..with_beats() }
}

/// Breaks the running epoch at `ms`, and has another follow at once, whose shards are all ready.
fn break_at(clock: &mut RoundClock, ms: u64, epoch: u64, first: u64) {
    clock.break_epoch("a shard is lost", None);
    announce(clock, epoch, (first, first + 20));
    run(clock, at(ms));
    all_ready(clock, epoch, first);
}

#[test]
fn the_first_round_after_a_loss_comes_early_as_often_as_clients_allow() {
    let mut clock = with_epoch(with_rare_rounds(), (1, 20));
    all_ready(&mut clock, 1, 1);
    assert_eq!(announcements(&run(&mut clock, at(0))).len(), 1);
    end(&mut clock, at(1000), 1, 1);
    run(&mut clock, at(1000));
    let mut opened = Vec::new();
    for (loss, ms) in (2..=6).zip((20_000..).step_by(20_000)) {
        break_at(&mut clock, ms, loss, loss);
        let told = announcements(&run(&mut clock, at(ms)));
        opened.push(told.len());
        for announcement in told {
            assert!(announcement.first_beat <= at(ms).plus_ms(3000), "soon: {announcement:?}");
            end(&mut clock, at(ms + 1000), loss, announcement.round.0);
        }
        run(&mut clock, at(ms + 1000));
    }
    assert_eq!(opened, [1, 1, 1, 1, 0], "four an hour");
    // A coordinator that starts again knows of them.
    let (_, marks, _) = State::of(Default::default(), clock.marks(), Default::default()).parts();
    let marks = Marks { current: None, next: None, ..marks };
    let mut again = RoundClock::new(rules(SHARDS, with_rare_rounds()), marks, at(101_000));
    announce(&mut again, 7, (7, 27));
    run(&mut again, at(101_000));
    break_at(&mut again, 102_000, 8, 8);
    assert!(announcements(&run(&mut again, at(102_000))).is_empty());
    // The fifth waits for the interval since the fourth.
    assert!(announcements(&run(&mut clock, at(80_000 + 299_000))).is_empty());
    assert_eq!(announcements(&run(&mut clock, at(80_000 + 300_000))).len(), 1);
}

#[test]
fn a_round_that_came_early_and_failed_is_tried_again_at_once_and_no_other_is() {
    let mut clock = with_epoch(with_rare_rounds(), (1, 20));
    all_ready(&mut clock, 1, 1);
    run(&mut clock, at(0));
    end(&mut clock, at(1000), 1, 1);
    run(&mut clock, at(1000));
    break_at(&mut clock, 20_000, 2, 2);
    assert_eq!(announcements(&run(&mut clock, at(20_000))).len(), 1);
    fail(&mut clock, at(21_000), 2, 2);
    all_ready(&mut clock, 2, 3);
    assert_eq!(announcements(&run(&mut clock, at(21_000))).len(), 1);
    end(&mut clock, at(22_000), 2, 3);
    all_ready(&mut clock, 2, 4);
    assert!(announcements(&run(&mut clock, at(22_000))).is_empty());
    // In its time, and it fails while beats of the one before it go on.
    assert_eq!(announcements(&run(&mut clock, at(321_000))).len(), 1);
    fail(&mut clock, at(322_000), 2, 4);
    all_ready(&mut clock, 2, 5);
    assert!(announcements(&run(&mut clock, at(322_000))).is_empty());
}
