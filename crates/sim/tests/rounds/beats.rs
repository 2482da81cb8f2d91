//! Beats: cells that follow the onions of a round, whoever is late, gone or lying.

mod sleep;
mod world;

use antiphon_wire::{Direction, Round};

use world::{CLIENTS, SHARDS, Spoil, World};

/// The beats of the first round.
const BEATS: u64 = world::BEATS as u64;

#[test]
fn cells_reach_the_partner_in_every_beat_and_come_back_to_who_is_alone() {
    let mut world = World::new();
    world.open_round(1);
    world.run_to_end(1);
    for client in 0..CLIENTS {
        for beat in 0..BEATS {
            let back = world.clients[client].back(1, beat).expect("cells come back in every beat");
            // The first circuits of 0 and 1 met, and those of 2 and 3; the second ones are alone.
            assert_eq!(back[0], world::content(client ^ 1, 0, 1, beat), "{client} in {beat}");
            assert_eq!(back[1], world::content(client, 1, 1, beat), "{client} in {beat}");
        }
    }
    world.assert_each_batch_was_sent_once();
}

/// The coordinator says nothing after the opening, and its link is cut before the first beat.
#[test]
fn beats_run_without_the_coordinator() {
    let mut world = World::new();
    world.open_round(1);
    world.run_until(world.first_beat(1));
    world.lose_coordinator();
    world.run_to_end(1);
    for beat in 0..BEATS {
        let back = world.clients[0].back(1, beat).expect("cells come back");
        assert_eq!(back[0], world::content(1, 0, 1, beat));
    }
}

#[test]
fn sizes_and_numbers_of_batches_are_the_rounds_whatever_is_missing() {
    let view = |spoil: Spoil, silent: bool| {
        let mut world = World::new();
        world.drop_cells(spoil);
        if silent {
            world.clients[1].is_silent = true;
        }
        world.open_round(1);
        world.run_to_end(1);
        for client in 0..CLIENTS {
            for beat in 0..BEATS {
                assert!(world.clients[client].back(1, beat).is_some(), "{client} in {beat}");
            }
        }
        world.assert_each_batch_was_sent_once();
        world.sizes()
    };
    let all = view(|_, _| false, false);
    let spoilt: [(Spoil, bool); 4] = [
        (|batch, from| from == 1 && batch.beat == 2, false),
        (|batch, _| batch.layer.0 == 2 && batch.direction == Direction::Forward, false),
        (|batch, from| from == 0 && batch.direction == Direction::Reply, false),
        (|_, _| false, true),
    ];
    for (spoil, silent) in spoilt {
        assert_eq!(view(spoil, silent), all);
    }
}

#[test]
fn a_beat_that_loses_cells_leaves_the_next_ones_as_they_were() {
    let mut world = World::new();
    world.drop_cells(|batch, _| batch.beat == 2);
    world.open_round(1);
    world.run_to_end(1);
    for client in 0..CLIENTS {
        for beat in 0..BEATS {
            let back = world.clients[client].back(1, beat).expect("cells come back");
            let expected = world::content(client ^ 1, 0, 1, beat);
            assert_eq!(back[0] == expected, beat != 2, "{client} in {beat}");
        }
    }
}

#[test]
fn a_batch_that_comes_again_changed_is_not_processed_again() {
    let mut world = World::new();
    // Each batch of one beat comes twice, the second time with a cell flipped.
    world.repeat_cells(|batch, _| batch.beat == 1);
    world.open_round(1);
    world.run_to_end(1);
    world.assert_each_batch_was_sent_once();
    for client in 0..CLIENTS {
        let back = world.clients[client].back(1, 1).expect("cells come back");
        assert_eq!(back[0], world::content(client ^ 1, 0, 1, 1));
    }
}

/// What leaves an honest shard is new wherever it is seen: cells that were sent before, in another beat, at another
/// place or with a bit flipped, meet a permutation that has not been used.
#[test]
fn no_two_cells_between_shards_are_equal_whatever_is_repeated_replayed_or_dropped() {
    let acts: [fn(&mut World); 5] = [
        |_| {},
        |world| world.repeat_cells(|batch, from| from == 1 || batch.layer.0 == 2),
        |world| world.replay_cells(|batch, from| from == 1 && batch.beat > 0),
        |world| world.flip_first_cell(|_, from| from == 2),
        |world| world.drop_cells(|batch, from| from == 0 && batch.beat.is_multiple_of(2)),
    ];
    for act in acts {
        let mut world = World::new();
        act(&mut world);
        world.open_round(1);
        world.run_to_end(1);
        let (cells, distinct) = world.cells_seen();
        assert!(cells > 1000);
        assert_eq!(distinct, cells);
    }
}

/// The copy has a slot where it came in and none where it would go on: one key is never used for two cells of a beat.
#[test]
fn a_refused_onion_leaves_no_circuit_and_its_slot_is_answered_at_random() {
    let mut world = World::new();
    world.clients[3].copies_its_onion = true;
    world.open_round(1);
    world.run_to_end(1);
    let mut answers = std::collections::BTreeSet::new();
    for beat in 0..BEATS {
        let back = world.clients[3].back(1, beat).expect("as many cells come back as were sent");
        let partners = world::content(2, 0, 1, beat);
        // Which of the two was taken as the copy is up to the shuffle.
        let (taken, refused) = if back[0] == partners { (0, 1) } else { (1, 0) };
        assert_eq!(back[taken], partners, "one of them was taken");
        let sent = [world::content(3, 0, 1, beat), world::content(3, 1, 1, beat)];
        assert!(!sent.contains(&back[refused]) && back[refused] != partners, "no echo");
        assert!(answers.insert(back[refused].clone()), "and none comes twice");
        let partner = world.clients[2].back(1, beat).expect("cells come back");
        assert_eq!(partner[0], sent[taken]);
    }
    let (cells, distinct) = world.cells_seen();
    assert_eq!(distinct, cells);
}

#[test]
fn what_a_shard_holds_for_beats_does_not_grow_with_them() {
    let mut world = World::with_beats(120);
    world.open_round(1);
    let mut most_in = |beats: std::ops::Range<u64>| {
        world.run_until(world.announced(1).begins(beats.start));
        let mut most = 0;
        while world.now() < world.announced(1).begins(beats.end) {
            world.run_until(world.now().plus_ms(5));
            most = most.max(world.buffer_bytes());
        }
        most
    };
    let (early, late) = (most_in(5..15), most_in(105..115));
    assert!(0 < late && late <= early, "{early} bytes at first, {late} in the end");
    for beat in [0, 60, 114] {
        if let Some(back) = world.clients[0].back(1, beat) {
            assert_eq!(back[0], world::content(1, 0, 1, beat));
        }
    }
    assert!(world.clients[0].back(1, 110).is_some());
}

#[test]
fn a_flipped_bit_makes_noise_of_one_cell_and_of_nothing_else() {
    let mut world = World::new();
    world.flip_first_cell(|batch, from| {
        batch.beat == 1 && from == 0 && batch.layer.0 == 2 && batch.direction == Direction::Forward
    });
    world.open_round(1);
    world.run_to_end(1);
    let mut spoilt = 0;
    for client in 0..CLIENTS {
        let back = world.clients[client].back(1, 1).expect("cells come back");
        for (circuit, found) in back.iter().enumerate() {
            let partner = if circuit == 0 { client ^ 1 } else { client };
            let expected = world::content(partner, circuit, 1, 1);
            if *found != expected {
                spoilt += 1;
                let same = found.iter().zip(&expected).filter(|(a, b)| a == b).count();
                assert!(same < 16, "a flipped bit arrived as one");
            }
        }
    }
    // One cell to each of the other shards and to itself: noise is among them.
    assert!(spoilt <= 3 * 2, "{spoilt}");
}

#[test]
fn a_late_batch_is_filled_and_a_slow_peer_is_waited_for_no_longer_than_the_schedule() {
    let mut world = World::new();
    // Nothing of shard 2 comes in beats 1 to 5.
    world.drop_cells(|batch, from| from == 2 && (1..6).contains(&batch.beat));
    world.open_round(1);
    world.run_to_end(1);
    let took: Vec<_> = (0..BEATS).map(|beat| world.took_ms(1, beat)).collect();
    let (quick, full) = (took[0], world.passage_ms());
    assert!(quick < full / 2, "{took:?}");
    // While it is waited for, a beat takes as long as the schedule; once three were missed, no longer.
    assert!(took[1] >= full - 2 * world::LAYER_MS, "{took:?}");
    assert!(took[4].max(took[5]) < full / 2, "{took:?}");
    // One batch in time, and it is waited for again.
    for (client, beat) in [(0, 7), (1, 7), (2, 8), (3, 8)] {
        let back = world.clients[client].back(1, beat).expect("cells come back");
        assert_eq!(back[0], world::content(client ^ 1, 0, 1, beat), "{client} in {beat}");
    }
}

/// As where a shard stands still for a moment: it is behind with everybody, and everybody is with it.
#[test]
fn shards_that_missed_everybody_wait_again_once_batches_are_in_time() {
    let mut world = World::with_beats(20);
    world.drop_cells(|batch, _| (1..6).contains(&batch.beat));
    world.open_round(1);
    world.run_to_end(1);
    for (client, beat) in (0..CLIENTS).flat_map(|client| [(client, 12), (client, 19)]) {
        let back = world.clients[client].back(1, beat).expect("cells come back");
        assert_eq!(back[0], world::content(client ^ 1, 0, 1, beat), "{client} in {beat}");
    }
}

#[test]
fn a_client_has_one_message_a_beat_and_none_for_another() {
    let mut world = World::new();
    world.open_round(1);
    world.run_until(world.first_beat(1).plus_ms(10));
    // Beat 1 is open: the first message counts, and no other replaces it. Neither does a client's cells of another
    // size, of a beat long over, or far ahead.
    world.say_cells(0, 1, 1, world.wrapped(0, 1, 1));
    world.say_cells(0, 1, 1, vec![9; world::CELL * 2]);
    world.say_cells(2, 1, 1, vec![9; world::CELL]);
    world.say_cells(3, 1, 0, vec![9; world::CELL * 2]);
    world.say_cells(3, 1, 5, vec![9; world::CELL * 2]);
    world.run_to_end(1);
    assert_eq!(world.clients[1].back(1, 1).unwrap()[0], world::content(0, 0, 1, 1));
    assert_eq!(world.clients[2].back(1, 0).unwrap()[0], world::content(3, 0, 1, 0));
    assert_eq!(world.clients[2].back(1, 5).unwrap()[0], world::content(3, 0, 1, 5));
    assert_eq!(world.clients[3].back(1, 1).unwrap()[0], world::content(2, 0, 1, 1));
}

/// No round opens any more, and tables and documents are gone: cells go on all the same.
#[test]
fn cells_that_go_on_without_a_successor_are_no_flood_and_many_at_once_are() {
    let mut world = World::new();
    world.open_round(1);
    world.run_to_end(1);
    let say = |world: &mut World, beat| {
        world.say_cells(0, 1, beat, vec![9; world::CELL * 2]);
    };
    for beat in BEATS + 3..8 * BEATS {
        world.run_until(world.announced(1).begins(beat));
        say(&mut world, beat);
    }
    assert!(world.dropped.is_empty());
    (0..100).for_each(|_| say(&mut world, 8 * BEATS));
    assert_eq!(world.dropped.len(), 1);
}

#[test]
fn a_client_goes_on_over_another_link_with_its_ticket() {
    let mut world = World::new();
    world.open_round(1);
    world.run_until(world.first_beat(1).plus_ms(10));
    world.relink(0, 1);
    world.run_to_end(1);
    let last = BEATS - 1;
    assert_eq!(world.clients[0].back(1, last).unwrap()[0], world::content(1, 0, 1, last));
    assert_eq!(world.clients[1].back(1, last).unwrap()[0], world::content(0, 0, 1, last));
}

#[test]
fn a_round_that_opens_takes_over_at_the_beat_that_was_announced() {
    let mut world = World::new();
    world.open_round(1);
    world.run_until(world.first_beat(1).plus_ms(10));
    world.open_round(2);
    world.run_to_end(2);
    let (first, second) = (world.announced(1), world.announced(2));
    let before = first.beats_before(&second);
    assert!((3..BEATS).contains(&before), "{before}");
    for beat in 0..BEATS {
        let back = world.clients[0].back(1, beat);
        assert_eq!(back.is_some(), beat < before, "beat {beat} of the first round");
        let back = world.clients[0].back(2, beat).expect("the second round's beats run");
        assert_eq!(back[0], world::content(1, 0, 2, beat));
    }
    world.assert_each_batch_was_sent_once();
}

#[test]
fn rounds_that_open_before_their_first_beats_take_none_from_those_that_run() {
    let mut world = World::new();
    for round in 1..=4 {
        world.open_round(round);
        world.run_until(world.now().plus_ms(100));
    }
    world.run_to_end(4);
    for (round, beat) in [(1, 0), (4, 0), (4, BEATS - 1)] {
        let back = world.clients[0].back(round, beat).expect("cells come back");
        assert_eq!(back[0], world::content(1, 0, round, beat));
    }
}

#[test]
fn all_clients_get_the_same_evidence_and_it_names_every_shard() {
    let mut world = World::new();
    world.open_round(1);
    world.run_until(world.first_beat(1));
    let announcement = world.announced(1);
    for client in &world.clients {
        let (shown, statements) = client.evidence.first().expect("evidence was shown");
        assert_eq!(*shown, announcement);
        let mut shards: Vec<_> = statements
            .iter()
            .map(|statement| world.released_for(statement, &announcement))
            .collect();
        shards.sort_unstable();
        assert_eq!(shards, (0..SHARDS as u16).collect::<Vec<_>>());
    }
    // Whoever links later is shown it as well, until the beats are over.
    assert_eq!(world.evidence_for_a_stranger(), 1);
    world.run_to_end(1);
    assert_eq!(world.evidence_for_a_stranger(), 0, "tables and evidence are gone");
}

#[test]
fn a_round_that_two_shards_were_announced_differently_does_not_open() {
    let mut world = World::new();
    let other = world.announcement(1).first_beat.plus_ms(1);
    world.open_round_as(1, |shard, announcement| {
        if shard == 1 {
            announcement.first_beat = other;
        }
    });
    world.run_until(world.now().plus_ms(20_000));
    assert!(world.clients.iter().all(|client| client.evidence.is_empty()));
    assert_eq!(world.delivered(Round(1)), 0);
    assert!(world.sizes().is_empty());
}

#[test]
fn a_shard_that_was_started_again_sends_nothing_and_its_cells_are_filled() {
    let mut world = World::new();
    world.open_round(1);
    world.run_until(world.first_beat(1).plus_ms(world.passage_ms()));
    let at = world.now();
    world.restart(2);
    world.run_to_end(1);
    assert!(!world.sent_since(2, at), "a shard without tables sends nothing");
    let last = BEATS - 1;
    // Clients of other gateways still get cells, of the size of any others.
    assert!(world.clients[0].back(1, last).is_some());
}

/// The keys of all come to a gateway after its time for them.
#[test]
fn clients_of_a_gateway_that_could_not_open_learn_all_the_same_whose_beats_run() {
    let mut world = World::new();
    world.hold_up_statements(0);
    world.open_round(1);
    world.run_to_end(1);
    assert_eq!(world.delivered(Round(1)), SHARDS - 1);
    for client in &world.clients {
        assert_eq!(client.evidence.len(), 1, "each once");
    }
    assert!(world.sizes().iter().all(|(from, ..)| *from != 0), "it has no part in them");
    // Clients of the others are home in each beat.
    assert!(world.clients[1].back(1, BEATS - 1).is_some());
}

#[test]
fn a_gateway_that_knows_of_no_beats_yet_takes_no_cells_for_a_flood() {
    let mut world = World::new();
    world.open_round(1);
    world.run_until(world.first_beat(1));
    world.restart(0);
    world.relink(0, 1);
    for beat in 0..40 * BEATS {
        world.say_cells(0, 1, beat, vec![9; world::CELL * 2]);
    }
    assert!(world.dropped.is_empty());
}

#[test]
fn a_shard_is_needed_until_its_rounds_beats_have_passed() {
    let mut world = World::new();
    world.open_round(1);
    world.run_until(world.first_beat(1));
    assert!(world.is_busy(0));
    world.run_to_end(1);
    assert!(!world.is_busy(0));
}

#[test]
fn what_is_told_of_beats_is_how_many_there_were_and_what_was_late() {
    let mut world = World::new();
    world.drop_cells(|batch, from| from == 1 && batch.beat == 2);
    world.open_round(1);
    world.run_to_end(1);
    assert_eq!(world.told.len() as u64, BEATS * SHARDS as u64);
    let late = world.told.iter().filter(|(filled, late)| *late > 0 && *filled > 0).count();
    assert_eq!(late, SHARDS - 1, "at those to which it sends");
}
