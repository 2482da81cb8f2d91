//! Two ends, sessions that break, and power that goes at any step.

use std::collections::VecDeque;

use rand::{RngExt as _, SeedableRng as _};

use super::*;
use crate::event::{EventId, EventKind};
use crate::exchange::{Arrival, ArrivalError, Exchange};

/// One end: a machine, the store while there is power, and an application that sends numbered messages.
struct End {
    machine: Machine,
    store: Option<Store<Machine>>,
    exchange: Exchange,
    /// Messages that the application was told are taken.
    taken: usize,
    /// Times that the power went.
    kills: u32,
}

/// Two ends, and the pieces on their way between them.
struct World {
    rng: ChaCha20Rng,
    ends: [End; 2],
    on_the_way: [VecDeque<Vec<u8>>; 2],
}

/// Steps after which the power goes: a write takes between five and a hundred.
const MOST_STEPS: u32 = 200;

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut end = |seed| {
            let machine = Machine::new(seed);
            let store = Some(create(&machine, &mut rng));
            End { machine, store, exchange: Exchange::new(CONTACT), taken: 0, kills: 0 }
        };
        let ends = [end(2 * seed), end(2 * seed + 1)];
        Self { rng, ends, on_the_way: Default::default() }
    }

    /// The power of an end goes, and comes again. Its session is over at both ends, or goes on with what is on its way.
    fn kill(&mut self, who: usize) {
        self.reopen(who);
        if self.rng.random() {
            self.break_session();
        } else {
            self.ends[who].exchange = Exchange::new(CONTACT);
        }
    }

    fn reopen(&mut self, who: usize) {
        let end = &mut self.ends[who];
        end.kills += 1;
        end.store = None;
        // It may go again while the store is opened.
        end.machine.crash(Some(self.rng.random_range(1..MOST_STEPS)));
        while end.store.is_none() {
            match open(&end.machine, &mut self.rng) {
                Ok(store) => end.store = Some(store),
                Err(StoreError::Io(_)) => {
                    end.kills += 1;
                    end.machine.crash(Some(self.rng.random_range(1..MOST_STEPS)));
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn break_session(&mut self) {
        for (end, pieces) in self.ends.iter_mut().zip(&mut self.on_the_way) {
            end.exchange = Exchange::new(CONTACT);
            pieces.clear();
        }
    }

    /// The application sends its next message, again if it was not told that it is taken.
    fn submit(&mut self, who: usize) {
        let end = &mut self.ends[who];
        let (text, key) = (format!("message {}", end.taken), format!("key {}", end.taken));
        let submission = Submission { contact: CONTACT, body: text.as_bytes(), key: Some(&key) };
        match end.store.as_mut().unwrap().submit(NOW, submission, &mut self.rng) {
            Ok(_) => end.taken += 1,
            Err(SubmitError::Store(StoreError::Io(_))) => self.kill(who),
            Err(error) => panic!("{error}"),
        }
    }

    fn hand_over(&mut self, who: usize) {
        let end = &mut self.ends[who];
        match end.exchange.next(NOW, end.store.as_mut().unwrap(), &mut self.rng) {
            // Sometimes killed between the commit and the send.
            Ok(Some(_)) if self.rng.random_ratio(1, 30) => self.kill(who),
            Ok(Some(piece)) => self.on_the_way[who].push_back(piece.bytes),
            Ok(None) => {}
            Err(StoreError::Io(_)) => self.kill(who),
            Err(error) => panic!("{error}"),
        }
    }

    fn deliver(&mut self, to: usize) {
        let Some(bytes) = self.on_the_way[1 - to].pop_front() else { return };
        let end = &mut self.ends[to];
        match end.exchange.arrived(NOW, end.store.as_mut().unwrap(), &bytes, &mut self.rng) {
            Ok(_) => {}
            Err(ArrivalError::Room(RoomError::Store(StoreError::Io(_)))) => {
                // A session that goes on gives it once more.
                self.on_the_way[1 - to].push_front(bytes);
                self.kill(to);
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Plays until each end has sent so many messages and all have arrived.
    fn play(&mut self, messages: usize) {
        let mut turns = 0;
        while !self.is_done(messages) {
            let who = usize::from(self.rng.random::<bool>());
            match self.rng.random_range(0..100) {
                0 => self.break_session(),
                1 => self.kill(who),
                2..10 if self.ends[who].taken < messages => self.submit(who),
                10..55 => self.hand_over(who),
                _ => self.deliver(who),
            }
            turns += 1;
            assert!(turns < 3000 * messages, "it does not get on");
        }
    }

    fn is_done(&self, messages: usize) -> bool {
        self.ends.iter().all(|end| {
            let counts = end.store.as_ref().unwrap().counts();
            end.taken == messages && counts.open_messages == 0
        })
    }

    /// Each end's messages are at the other once and in order, in its rows and in its events.
    fn check(&self, messages: usize) {
        for (who, end) in self.ends.iter().enumerate() {
            end.machine.power_for(None);
            let store = end.store.as_ref().unwrap();
            let rows = store.messages(CONTACT, 0, usize::MAX).unwrap();
            let expected: Vec<_> = (0..messages).map(|i| format!("message {i}")).collect();
            for state in [true, false] {
                let of = rows.iter().filter(|row| (row.state == MessageState::Received) == state);
                let texts: Vec<_> =
                    of.map(|row| String::from_utf8(row.body.clone()).unwrap()).collect();
                assert_eq!(texts, expected, "end {who}, received: {state}");
            }
            let sent = rows.iter().filter(|row| row.state != MessageState::Received);
            assert!(sent.clone().all(|row| matches!(row.state, MessageState::Delivered { .. })));
            let events = store.events_after(EventId(0), usize::MAX).unwrap();
            let told: Vec<_> = events
                .iter()
                .filter_map(|event| match event.kind {
                    EventKind::Received(id) => Some(id),
                    _ => None,
                })
                .collect();
            let received: Vec<_> = rows
                .iter()
                .filter(|row| row.state == MessageState::Received)
                .map(|row| row.id)
                .collect();
            assert_eq!(told, received);
        }
    }

    fn kills(&self) -> u32 {
        self.ends.iter().map(|end| end.kills).sum()
    }
}

#[test]
fn each_message_arrives_once_and_in_order_whenever_the_power_goes() {
    let mut kills = 0;
    for seed in 0..5 {
        let mut world = World::new(seed);
        world.play(20);
        world.check(20);
        kills += world.kills();
    }
    assert!(kills > 100, "{kills}");
}

#[test]
#[ignore = "ten thousand kills take too long for every run; the short form above runs always"]
fn ten_thousand_kills_lose_and_double_nothing() {
    let (mut kills, mut seed) = (0, 100);
    while kills < 10_000 {
        let mut world = World::new(seed);
        world.play(200);
        world.check(200);
        kills += world.kills();
        seed += 1;
    }
    println!("{kills} kills in {} runs", seed - 100);
}

/// Moves everything that is to be said, until nothing is left.
fn settle(world: &mut World) {
    for _ in 0..1000 {
        for who in 0..2 {
            let end = &mut world.ends[who];
            let store = end.store.as_mut().unwrap();
            if let Some(piece) = end.exchange.next(NOW, store, &mut world.rng).unwrap() {
                world.on_the_way[who].push_back(piece.bytes);
            }
            world.deliver(1 - who);
        }
    }
}

#[test]
fn a_store_put_back_from_a_copy_loses_and_doubles_nothing_that_the_partner_has() {
    let mut world = World::new(50);
    for _ in 0..3 {
        world.submit(0);
        world.submit(1);
    }
    settle(&mut world);
    let copy = world.ends[0].machine.copy();
    for _ in 0..4 {
        world.submit(0);
    }
    settle(&mut world);
    // The newer messages are gone here, and their numbers are used again.
    let end = &mut world.ends[0];
    end.store = None;
    end.machine.put_back(copy);
    end.store = Some(open(&end.machine, &mut world.rng).unwrap());
    world.break_session();
    world.ends[0].taken = 7;
    for _ in 0..4 {
        world.submit(0);
        world.submit(1);
    }
    settle(&mut world);
    let [old, other] = [0, 1].map(|who| {
        let rows = world.ends[who].store.as_ref().unwrap().messages(CONTACT, 0, 100).unwrap();
        let received = rows.iter().filter(|row| row.state == MessageState::Received);
        let open = rows.iter().filter(|row| row.is_open()).count();
        assert_eq!(open, 0, "end {who}");
        received.map(|row| String::from_utf8(row.body.clone()).unwrap()).collect::<Vec<_>>()
    });
    let numbered = |range: std::ops::Range<u32>| range.map(|i| format!("message {i}"));
    assert_eq!(other, numbered(0..11).collect::<Vec<_>>());
    assert_eq!(old, numbered(0..7).collect::<Vec<_>>());
}

#[test]
fn what_is_given_up_or_deleted_under_way_holds_nothing_up() {
    let mut world = World::new(51);
    for _ in 0..5 {
        world.submit(0);
    }
    let ids: Vec<_> = {
        let end = &mut world.ends[0];
        let store = end.store.as_mut().unwrap();
        // The numbering and three messages leave, and are lost with their session.
        for _ in 0..4 {
            end.exchange.next(NOW, store, &mut world.rng).unwrap().unwrap();
        }
        store.messages(CONTACT, 0, 9).unwrap().iter().map(|message| message.id).collect()
    };
    world.break_session();
    let store = world.ends[0].store.as_mut().unwrap();
    assert!(!store.recall(NOW, ids[0], &mut world.rng).unwrap(), "it has left");
    assert!(store.fail(NOW, ids[0], "given up", &mut world.rng).unwrap());
    assert!(store.delete_message(NOW, ids[2], &mut world.rng).unwrap());
    assert!(store.recall(NOW, ids[3], &mut world.rng).unwrap());
    settle(&mut world);
    let received = texts(world.ends[1].store.as_ref().unwrap(), CONTACT);
    assert_eq!(received, ["message 1", "message 4"]);
    assert_eq!(world.ends[0].store.as_ref().unwrap().counts().open_messages, 0);
}

#[test]
fn a_full_store_keeps_messages_at_their_sender() {
    let mut world = World::new(52);
    for _ in 0..5 {
        world.submit(0);
    }
    let full = StoreLimits { records: 5, ..StoreLimits::default() };
    world.ends[1].store.as_mut().unwrap().set_limits(full);
    let refused = loop {
        let [sender, receiver] = &mut world.ends;
        let store = sender.store.as_mut().unwrap();
        let piece = sender.exchange.next(NOW, store, &mut world.rng).unwrap().unwrap();
        let store = receiver.store.as_mut().unwrap();
        if let Err(error) = receiver.exchange.arrived(NOW, store, &piece.bytes, &mut world.rng) {
            break error;
        }
    };
    assert!(refused.to_string().starts_with("the store holds 5 records"), "{refused}");
    world.break_session();
    world.ends[1].store.as_mut().unwrap().set_limits(StoreLimits::default());
    settle(&mut world);
    assert_eq!(texts(world.ends[1].store.as_ref().unwrap(), CONTACT).len(), 5);
}

#[test]
fn a_contact_that_breaks_the_rules_changes_nothing() {
    let mut world = World::new(53);
    let end = &mut world.ends[0];
    let store = end.store.as_mut().unwrap();
    let before = store.counts();
    let begin_at_zero = [&[1][..], &[3; 16], &[0; 8]].concat();
    let receipt = [&[4][..], &[0, 0, 0, 0, 0, 0, 0, 9], &[5; 16]].concat();
    for bytes in [&[][..], &[9], &[&[2][..], &[1; 3]].concat(), &begin_at_zero] {
        let mut exchange = Exchange::new(CONTACT);
        let arrived = exchange.arrived(NOW, store, bytes, &mut world.rng);
        assert!(matches!(arrived, Err(ArrivalError::Contact(_))), "{bytes:?}: {arrived:?}");
    }
    assert_eq!(store.counts(), before);
    // Messages before their numbering are left out, and asked for once.
    let mut exchange = Exchange::new(CONTACT);
    let mut asked = 0;
    for _ in 0..20 {
        let message = [&[2][..], &[1; 20]].concat();
        let arrived = exchange.arrived(NOW, store, &message, &mut world.rng).unwrap();
        assert_eq!(arrived, Arrival::default());
        let said = exchange.next(NOW, store, &mut world.rng).unwrap();
        asked += usize::from(said.is_some_and(|said| said.bytes == [5]));
    }
    assert_eq!((asked, store.counts().messages), (1, 0));
    // Receipts that are for nothing: the numbering is begun anew once, and then the session is of no use.
    let mut exchange = Exchange::new(CONTACT);
    let outcomes = (0..200).map(|_| exchange.arrived(NOW, store, &receipt, &mut world.rng));
    assert!(outcomes.filter(Result::is_err).count() > 10);
    assert_eq!(store.counts().messages, 0);
}
