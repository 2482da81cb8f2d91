//! Clients that leave rounds to their gateway, with cells for all beats.

use antiphon_wire::{Blob, FromClient};

use super::BEATS;
use super::world::{self, CLIENTS, World};

/// One that sleeps in the first round, and its partner.
const SLEEPER: usize = 1;
const PARTNER: usize = 0;

/// A world whose sleeper has left the first round, and has no link.
fn asleep() -> World {
    let mut world = World::new();
    world.clients[SLEEPER].sleeps = true;
    world.open_round(1);
    world.unlink(SLEEPER);
    world
}

#[test]
fn what_a_sleeper_left_arrives_and_what_came_for_it_is_fetched_as_a_whole() {
    let mut world = asleep();
    world.run_to_end(1);
    for beat in 0..BEATS {
        let back = world.clients[PARTNER].back(1, beat).expect("cells come back");
        assert_eq!(back[0], world::content(SLEEPER, 0, 1, beat), "{beat}");
        assert!(world.clients[SLEEPER].back(1, beat).is_none(), "nothing goes to where nobody is");
    }
    // Tables are erased, and another round has run its course.
    world.open_round(2);
    world.run_to_end(2);
    world.relink(SLEEPER, 1);
    world.run_until(world.now().plus_ms(100));
    for beat in 0..BEATS {
        let back = world.clients[SLEEPER].back(1, beat).expect("all of it was kept");
        assert_eq!(back[0], world::content(PARTNER, 0, 1, beat), "{beat}");
        assert_eq!(back[1], world::content(SLEEPER, 1, 1, beat), "{beat}");
    }
}

#[test]
fn between_shards_a_round_with_a_sleeper_looks_like_any() {
    let mut awake = World::new();
    awake.open_round(1);
    awake.run_to_end(1);
    let mut asleep = asleep();
    asleep.run_to_end(1);
    assert_eq!(asleep.sizes(), awake.sizes());
    asleep.assert_each_batch_was_sent_once();
}

#[test]
fn cells_of_a_link_are_nothing_in_a_round_that_was_left() {
    let mut world = asleep();
    let back_early = world.announced(1).begins(4);
    world.run_until(world::before(back_early, 60));
    world.relink(SLEEPER, 1);
    for beat in 4..BEATS {
        // What it would say if it went on by itself: anything else.
        let cells = world.wrapped(SLEEPER, 1, beat ^ 1);
        world.run_until(world::before(world.announced(1).begins(beat), 40));
        world.say_cells(SLEEPER, 1, beat, cells);
    }
    world.run_to_end(1);
    for beat in 0..BEATS {
        let left = world.clients[PARTNER].back(1, beat).expect("cells come back");
        assert_eq!(left[0], world::content(SLEEPER, 0, 1, beat), "{beat}");
        // The first ones at once, and the others as they come; none twice.
        let came = world.clients[SLEEPER].back(1, beat).expect("cells come back");
        assert_eq!(came[0], world::content(PARTNER, 0, 1, beat), "{beat}");
    }
    world.assert_each_batch_was_sent_once();
}

#[test]
fn what_is_left_has_the_rounds_sizes_and_comes_before_it_opens() {
    let mut world = World::new();
    world.open_round(1);
    world.run_to_end(1);
    let whole = world.onions(SLEEPER, 2);
    let refused = |world: &mut World, message: &FromClient, beats: u64| {
        world.leave(SLEEPER, message, beats);
        world.run_until(world.now().plus_ms(20));
        std::mem::take(&mut world.clients[SLEEPER].refused)
    };
    let mut short = whole.clone();
    if let FromClient::Submit { onions: Blob(onions), .. } = &mut short {
        onions.pop();
    }
    assert_eq!(refused(&mut world, &short, BEATS), 1, "onions");
    assert_eq!(refused(&mut world, &whole, BEATS - 1), 1, "fewer cells");
    assert_eq!(refused(&mut world, &whole, BEATS + 1), 1, "more cells");
    let over = world.onions(SLEEPER, 1);
    assert_eq!(refused(&mut world, &over, BEATS), 1, "a round that is open");
    assert_eq!(refused(&mut world, &whole, BEATS), 0);
    assert_eq!(refused(&mut world, &whole, BEATS), 0, "the same again");
    let other = world.onions(SLEEPER, 2);
    assert_eq!(refused(&mut world, &other, BEATS), 1, "others under the same ticket");
    assert!(world.dropped.is_empty() && CLIENTS > SLEEPER);
}
