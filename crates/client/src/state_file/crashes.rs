//! Crashes at every step of every write, restarts, and an adversary that repeats rounds meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use antiphon_client_core::{
    Client, ClientConfig, ConversationSecret, EntropySource, Event, Input, Opening, Outcome,
    Output, Role, RoundRefusal, Start,
};
use antiphon_mock_mix::{Mix, Plan};
use antiphon_process::kept_file::FailingDisk;
use antiphon_wire::{Blob, Epoch, Round, ToClient};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

use super::*;

mod beats;

/// Schedules of crashes tried, and rounds of each.
const SCHEDULES: u64 = 16;
const LENGTH: u64 = 60;

/// A disk and a witness that lose power together.
#[derive(Clone, Debug)]
struct Machine {
    disk: FailingDisk,
    witness: Arc<Mutex<Option<Witnessed>>>,
}

impl Machine {
    fn new(seed: u64) -> Self {
        Self { disk: FailingDisk::new(seed), witness: Arc::default() }
    }

    fn open(&self, mix: &Mix, now: Timestamp, seed: u64) -> Result<Opened, OpenError> {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let witness: Arc<dyn StateWitness> = Arc::new(self.clone());
        Records::open(KeptFile::on(self.disk.clone()), &witness, &mix.network, now, &mut rng)
    }
}

type Opened = (Records<FailingDisk>, StartState);

impl StateWitness for Machine {
    fn recall(&self) -> io::Result<Option<Witnessed>> {
        Ok(self.witness.lock().unwrap().clone())
    }

    fn keep(&self, witnessed: &Witnessed) -> io::Result<()> {
        self.disk.step(|| *self.witness.lock().unwrap() = Some(witnessed.clone()))
    }
}

/// The adversary's and an honest bookkeeper's record of a client, over all its lives.
struct World {
    mix: Mix,
    rng: ChaCha20Rng,
    /// Every round submitted, with its bytes.
    submitted: BTreeMap<u64, Vec<u8>>,
    /// Rounds in flight of this life in which a conversation could meet.
    counting: BTreeSet<Round>,
    /// Rounds disturbed in which a conversation met, and such rounds aborted for free.
    disturbed: u32,
    aborted: u32,
    /// Rounds reserved in what was written last.
    reserve: u32,
    /// Rounds charged that ended well or never left, as a crash came too soon.
    lost: u32,
    /// Rounds whose outcome a crash may have kept from the count of aborted ones.
    reserved: u32,
}

/// One life of a client.
struct Life {
    core: Client,
    records: Records<FailingDisk>,
}

impl Life {
    fn write(&self, checkpoint: &Checkpoint) -> io::Result<()> {
        self.records.write(checkpoint, &[], &mut ChaCha20Rng::seed_from_u64(1))
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut plan = Plan::new(1, 10, Timestamp(1_000_000_000));
        plan.policy.least_round_interval_ms = 0;
        Self {
            mix: Mix::new(&plan),
            rng: ChaCha20Rng::seed_from_u64(seed),
            submitted: BTreeMap::new(),
            counting: BTreeSet::new(),
            disturbed: 0,
            aborted: 0,
            reserve: 0,
            lost: 0,
            reserved: 0,
        }
    }

    fn time(&self, round: u64) -> Timestamp {
        let document = &self.mix.signed.document;
        let since = round - document.first_round.0;
        document.starts_at.plus_ms(since * u64::from(document.parameters.interval_ms))
    }

    fn begin(&mut self, opened: Opened, now: Timestamp) -> Life {
        let (records, start) = opened;
        let entropy = EntropySource::new(ChaCha20Rng::seed_from_u64(self.rng.random()));
        let config = ClientConfig::new(self.mix.network.clone());
        let mut core = Client::new(config, start.checkpoint, entropy);
        core.handle(now, Input::from(ToClient::Document { document: self.mix.signed.clone() }));
        while core.poll().is_some() {}
        Life { core, records }
    }

    /// Opens a round and carries out the client's outputs, as the driver does. Returns the onions that left,
    /// and `true` if something could not be written.
    fn open(&mut self, life: &mut Life, now: Timestamp, round: u64) -> (Option<Vec<u8>>, bool) {
        let input = Input::from(ToClient::Opened {
            epoch: Epoch(1),
            round: Round(round),
            closes_in_ms: 500,
        });
        life.core.handle(now, input);
        let (mut left, mut failed) = (None, false);
        while let Some(output) = life.core.poll() {
            match output {
                Output::Persist(checkpoint) => failed = life.write(&checkpoint).is_err(),
                Output::Submit { round: Round(round), onions, .. } if !failed => {
                    let before = self.submitted.entry(round).or_insert_with(|| onions.clone());
                    assert_eq!(*before, onions, "round {round} is used twice");
                    left = Some(onions);
                }
                Output::Event(Event::RoundEnded { round, outcome }) => self.ended(round, outcome),
                _ => {}
            }
        }
        (left, failed)
    }

    /// Opens a round, and notes it if it counts.
    fn open_and_count(
        &mut self,
        life: &mut Life,
        now: Timestamp,
        round: u64,
    ) -> (Option<Vec<u8>>, bool) {
        // Rounds that are overdue end first.
        life.core.handle(now, Input::Tick);
        self.drain(life);
        let (before, mark) = (life.core.budget().reserved, life.core.last_round());
        let (onions, failed) = self.open(life, now, round);
        let reserved = life.core.budget().reserved;
        if reserved > before {
            self.counting.insert(Round(round));
        }
        if life.core.last_round() != mark {
            self.reserve = reserved.max(if failed { self.reserve } else { 0 });
        }
        (onions, failed)
    }

    /// Ends a round in one of several ways.
    fn end(&mut self, life: &mut Life, now: Timestamp, round: u64, onions: Vec<u8>) {
        let (epoch, round) = (Epoch(1), Round(round));
        match self.rng.random_range(0..5) {
            0 => {
                let replies = Vec::new();
                life.core.handle(
                    now,
                    Input::from(ToClient::Replies { epoch, round, replies: Blob(replies) }),
                );
            }
            1 => life.core.handle(
                now,
                Input::from(ToClient::Refused { epoch, round, reason: Blob(Vec::new()) }),
            ),
            // Nothing comes of it, or only later.
            2 => {}
            3 => {
                let statements = (0..3).map(|shard| self.mix.withheld(round, shard)).collect();
                life.core.handle(now, Input::from(ToClient::Aborted { epoch, round, statements }));
            }
            _ => {
                let replies = self.mix.exchange(round, &[onions]).remove(0);
                life.core.handle(
                    now,
                    Input::from(ToClient::Replies { epoch, round, replies: Blob(replies) }),
                );
            }
        }
        self.drain(life);
    }

    /// What a new life has charged and counted is what happened in those before it, and no more than a
    /// crash may have kept from them.
    fn compare(&self, life: &Life, seed: u64) {
        let (charged, aborted) = (life.core.ledger().charged(), life.core.attempts().spent);
        assert!(charged >= self.disturbed, "seed {seed}: {charged} < {}", self.disturbed);
        assert!(charged <= self.disturbed + self.lost, "seed {seed}: too much is charged");
        assert!(aborted >= self.aborted, "seed {seed}: {aborted} < {}", self.aborted);
        assert!(aborted <= self.aborted + self.reserved, "seed {seed}: too much is counted");
    }

    /// Plays some rounds from `round` on, each after an earlier one once more. Returns `false` as soon as
    /// something could not be written.
    fn play(&mut self, life: &mut Life, round: &mut u64) -> bool {
        for _ in 0..self.rng.random_range(1..12) {
            let now = self.time(*round);
            let again = self.rng.random_range(10..=*round);
            if self.open_and_count(life, now, again).1 {
                return false;
            }
            let (onions, failed) = self.open_and_count(life, now, *round);
            if failed {
                return false;
            }
            if let Some(onions) = onions {
                assert_eq!(onions.len(), 2 * self.mix.entry_bytes());
                self.end(life, now, *round, onions);
            }
            *round += 1;
        }
        true
    }

    fn drain(&mut self, life: &mut Life) {
        while let Some(output) = life.core.poll() {
            if let Output::Event(Event::RoundEnded { round, outcome }) = output {
                self.ended(round, outcome);
            }
        }
    }

    /// Ends a life's rounds without an outcome: they are disturbed if the adversary wants, and charged for
    /// sure. Returns how many had left.
    fn strand(&mut self) -> u32 {
        let counting = std::mem::take(&mut self.counting);
        let left =
            counting.iter().filter(|round| self.submitted.contains_key(&round.0)).count() as u32;
        self.disturbed += left;
        left
    }

    fn ended(&mut self, round: Round, outcome: Outcome) {
        let counts = self.counting.remove(&round);
        match outcome {
            _ if !counts => {}
            Outcome::Undisturbed => {}
            Outcome::FreeAbort => self.aborted += 1,
            Outcome::Disturbed | Outcome::ChargedAbort => self.disturbed += 1,
        }
    }
}

/// A client's lives up to the end of an epoch. Returns units charged, at the end and at least.
fn lives(seed: u64) -> (u32, u32) {
    let mut world = World::new(seed);
    let machine = Machine::new(seed);
    let mut round = 10;
    let mut charged = 0;
    while round < 10 + LENGTH {
        let steps = world.rng.random_range(0..60);
        machine.disk.crash(Some(steps));
        let now = world.time(round);
        let opened = match machine.open(&world.mix, now, seed ^ round) {
            Ok(opened) => opened,
            Err(OpenError::Storage(_) | OpenError::Witness(_)) => {
                round += 1;
                continue;
            }
            Err(error) => panic!("seed {seed}: {error:?}"),
        };
        assert_ne!(opened.1.origin, StateOrigin::Restored, "seed {seed}: no backup was restored");
        let mut life = world.begin(opened, now);
        charged = life.core.ledger().charged();
        world.compare(&life, seed);
        if world.rng.random_ratio(3, 4) {
            let secret = ConversationSecret([9; 32]);
            let opening = Opening::new(secret, Role::First, Start::Dense);
            life.core.open_conversation(&opening).unwrap();
        }
        let mut down = !world.play(&mut life, &mut round);
        let left = world.strand();
        if !down && world.rng.random() {
            life.core.handle(world.time(round), Input::LinkLost);
            down = life.write(&life.core.checkpoint().unwrap_or_default()).is_err();
        } else {
            down = true;
        }
        // Rounds that ended well, but not on disk, or that were on disk and never left.
        world.lost += if down { world.reserve.saturating_sub(left) } else { 0 };
        world.reserved += if down { world.reserve } else { 0 };
        world.reserve = 0;
    }
    (charged, world.disturbed)
}

#[test]
fn no_crash_forgets_a_disturbed_or_aborted_round_or_uses_a_round_twice() {
    let mut charged_most = 0;
    for seed in 0..SCHEDULES {
        let (charged, _) = lives(seed);
        charged_most = charged_most.max(charged);
    }
    assert_eq!(charged_most, 10, "some use their ledger up");
}

#[test]
fn a_crash_at_any_step_of_a_write_leaves_the_old_or_the_new_and_never_a_backup() {
    let world = World::new(1);
    let now = world.time(10);
    let write = |records: &Records<FailingDisk>, charged: u32| {
        let mut rng = ChaCha20Rng::seed_from_u64(charged.into());
        let checkpoint = Checkpoint { charged, ..Checkpoint::default() };
        records.write(&checkpoint, &charged.to_be_bytes(), &mut rng)
    };
    for (steps, seed) in (0..7).flat_map(|steps| (0..8).map(move |seed| (steps, seed))) {
        let machine = Machine::new(seed);
        let (records, ..) = machine.open(&world.mix, now, 1).unwrap();
        write(&records, 1).unwrap();
        machine.disk.power_for(Some(steps));
        let written = write(&records, 2).is_ok();
        assert_eq!(written, steps > 5);
        machine.disk.crash(None);
        let (records, start) = machine.open(&world.mix, now, 2).unwrap();
        assert_eq!(start.origin, StateOrigin::Newest, "{steps} steps");
        let charged = start.checkpoint.unwrap().charged;
        assert!(charged == 2 || charged == 1 && !written, "{steps} steps");
        assert_eq!(&start.kept.unwrap()[..], charged.to_be_bytes(), "both are of one moment");
        // And it goes on from there.
        write(&records, 3).unwrap();
        let (_, start) = machine.open(&world.mix, now, 4).unwrap();
        assert_eq!(start.checkpoint.unwrap().charged, 3);
    }
}

#[test]
fn a_backup_put_back_is_used_up_and_takes_no_part_in_rounds_that_may_be_used() {
    let mut world = World::new(5);
    let machine = Machine::new(5);
    let opened = machine.open(&world.mix, world.time(10), 1).unwrap();
    let mut life = world.begin(opened, world.time(10));
    let secret = ConversationSecret([9; 32]);
    life.core.open_conversation(&Opening::new(secret, Role::First, Start::Dense)).unwrap();
    world.open(&mut life, world.time(10), 10);
    let backup = machine.disk.content();
    for round in 11..14 {
        assert!(world.open(&mut life, world.time(round), round).0.is_some());
    }
    machine.disk.restore(backup);
    for seed in 2..4 {
        let opened = machine.open(&world.mix, world.time(14), seed).unwrap();
        // Put back once, it stays what it is.
        let origin = if seed == 2 { StateOrigin::Restored } else { StateOrigin::Newest };
        assert_eq!(opened.1.origin, origin);
        let mut life = world.begin(opened, world.time(14));
        assert_eq!((life.core.budget().spent, life.core.budget().left), (10, 0));
        let input =
            Input::from(ToClient::Opened { epoch: Epoch(1), round: Round(12), closes_in_ms: 500 });
        life.core.handle(world.time(14), input);
        let outputs: Vec<_> = std::iter::from_fn(|| life.core.poll()).collect();
        let error = RoundRefusal::AfterRestore;
        let refused = Event::RoundRefused { epoch: Epoch(1), round: Round(12), error };
        assert_eq!(outputs, [Output::Event(refused)]);
    }
}
