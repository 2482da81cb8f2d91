//! Two ends of a conversation in beats, each of which may lose power at any step of any write.

use antiphon_client_core::ConversationId;
use antiphon_mock_mix::Circuits;
use antiphon_wire::Announcement;
use rand::Rng as _;

use super::*;

const SCHEDULES: u64 = 8;
const MESSAGES: usize = 12;
const CELLS: usize = 2 * 256;
/// Rounds are four seconds apart, as long as their beats last, and a round's first beat begins a second after it.
const APART_MS: u64 = 4000;
const FIRST_MS: u64 = 1000;
const BEAT_MS: u64 = 100;

/// The messages of one end, in order.
fn message(role: Role, number: usize) -> Vec<u8> {
    let length = (number * 263 + usize::from(role == Role::First) * 17) % 700;
    vec![number as u8; length]
}

/// A person's device: what is on its disk, and what the application there has stored.
struct Device {
    role: Role,
    machine: Machine,
    life: Option<Life>,
    conversation: ConversationId,
    /// Messages that the application has stored, in order.
    stored: Vec<Vec<u8>>,
    /// Cells that left, over all lives.
    left: BTreeMap<(Round, u64), Vec<u8>>,
    lives: u64,
}

/// A round whose beats run or will.
struct Running {
    announced: Announcement,
    circuits: Circuits,
    /// The devices that took part, in the order of the circuits.
    parts: Vec<usize>,
}

struct Net {
    mix: Mix,
    rng: ChaCha20Rng,
    devices: [Device; 2],
    running: Vec<Running>,
    /// Devices lose power at times.
    is_shaky: bool,
}

impl Net {
    fn new(seed: u64) -> Self {
        let mut plan = Plan::new(1, 10, Timestamp(1_000_000_000)).with_beats();
        plan.policy.least_round_interval_ms = 0;
        let device = |role, seed| Device {
            role,
            machine: Machine::new(seed),
            life: None,
            conversation: ConversationId(0),
            stored: Vec::new(),
            left: BTreeMap::new(),
            lives: 0,
        };
        Self {
            mix: Mix::new(&plan),
            rng: ChaCha20Rng::seed_from_u64(seed),
            devices: [device(Role::First, 2 * seed), device(Role::Second, 2 * seed + 1)],
            running: Vec::new(),
            is_shaky: true,
        }
    }

    /// Starts a device again that has lost its power, for as long as it has some.
    fn start(&mut self, i: usize, now: Timestamp) {
        let steps = self.is_shaky.then(|| self.rng.random_range(0..90));
        let seed = self.rng.random();
        let device = &mut self.devices[i];
        device.machine.disk.crash(steps);
        device.lives += 1;
        let (records, start) = match device.machine.open(&self.mix, now, seed) {
            Ok(opened) => opened,
            Err(OpenError::Storage(_) | OpenError::Witness(_)) => return,
            Err(error) => panic!("{error:?}"),
        };
        assert_ne!(start.origin, StateOrigin::Restored, "no backup was restored");
        let config =
            ClientConfig { kept_bytes: 4000, ..ClientConfig::new(self.mix.network.clone()) };
        let entropy = EntropySource::new(ChaCha20Rng::seed_from_u64(self.rng.random()));
        let mut core = Client::new(config, start.checkpoint, entropy);
        if let Some(kept) = start.kept {
            core.resume(&kept).unwrap();
        }
        core.continue_at_a_price(1000);
        core.handle(now, Input::from(ToClient::Document { document: self.mix.signed.clone() }));
        let secret = ConversationSecret([9; 32]);
        let opening = Opening { verified: true, ..Opening::new(secret, device.role, Start::Dense) };
        device.conversation = core.open_conversation(&opening).unwrap();
        device.life = Some(Life { core, records });
        for at in 0..self.running.len() {
            let evidence = self.mix.evidence(self.running[at].announced);
            self.tell(i, now, Input::from(evidence));
        }
    }

    /// Tells a device of an event and carries out what its client wants, as the driver does, until its power goes.
    /// Returns onions that left.
    fn tell(&mut self, i: usize, now: Timestamp, input: Input) -> Option<Vec<u8>> {
        let device = &mut self.devices[i];
        let life = device.life.as_mut()?;
        life.core.handle(now, input);
        let mut onions_left = None;
        while let Some(output) = life.core.poll() {
            match output {
                Output::Persist(checkpoint) => {
                    let kept = life.core.kept();
                    let mut rng = ChaCha20Rng::seed_from_u64(self.rng.next_u64());
                    if life.records.write(&checkpoint, &kept, &mut rng).is_err() {
                        device.life = None;
                        return None;
                    }
                }
                Output::Submit { onions, .. } => onions_left = Some(onions),
                Output::Cells { round, beat, cells, .. } => {
                    let before = device.left.insert((round, beat), cells);
                    assert_eq!(before, None, "cells of a beat are made once");
                }
                Output::Event(Event::Restarted { .. } | Event::PartnerFailed { .. }) => {
                    panic!("the partner noticed")
                }
                _ => {}
            }
        }
        onions_left
    }

    /// The application stores what it finds, each message with its number, and at times takes it.
    fn store(&mut self, i: usize) {
        let device = &mut self.devices[i];
        let Some(life) = &mut device.life else { return };
        let (first, messages) = life.core.untaken(device.conversation);
        for (number, message) in (first as usize..).zip(messages) {
            match device.stored.get(number) {
                Some(stored) => assert_eq!(*stored, message, "the same message once more"),
                None => {
                    assert_eq!(number, device.stored.len(), "none is left out");
                    device.stored.push(message);
                }
            }
        }
        if self.rng.random() {
            life.core.taken(device.conversation, device.stored.len() as u64);
        }
        // It sends on from the first message that its client does not know.
        let (next, _) = life.core.unacknowledged(device.conversation);
        if (next.0 as usize) < MESSAGES {
            let message = message(device.role, next.0 as usize);
            life.core.send(device.conversation, message).unwrap();
        }
    }

    fn open(&mut self, now: Timestamp, round: Round) {
        let (mut parts, mut submitted) = (Vec::new(), Vec::new());
        for i in 0..2 {
            let input = Input::from(ToClient::Opened { epoch: Epoch(1), round, closes_in_ms: 500 });
            if let Some(onions) = self.tell(i, now, input) {
                parts.push(i);
                submitted.push(onions);
            }
        }
        if submitted.is_empty() {
            return;
        }
        let announced = self.mix.announce(round, now.plus_ms(FIRST_MS));
        for (&i, replies) in parts.iter().zip(self.mix.exchange(round, &submitted)) {
            let epoch = Epoch(1);
            self.tell(
                i,
                now,
                Input::from(ToClient::Replies { epoch, round, replies: Blob(replies) }),
            );
        }
        let circuits = self.mix.circuits(round, &submitted);
        self.running.push(Running { announced, circuits, parts });
        for i in 0..2 {
            let evidence = self.mix.evidence(announced);
            self.tell(i, now, Input::from(evidence));
        }
    }

    /// The beat that begins at `begins`, if a round's does.
    fn beat(&mut self, begins: Timestamp) {
        let made = Timestamp(begins.0 - 60);
        (0..2).for_each(|i| drop(self.tell(i, made, Input::Tick)));
        let runs = |running: &&Running| running.announced.first_beat <= begins;
        let Some(running) = self.running.iter().rev().find(runs) else { return };
        let Announcement { epoch, round, first_beat, .. } = running.announced;
        let beat = begins.ms_since(first_beat) / BEAT_MS;
        let mut random = || {
            let mut cells = vec![0; CELLS];
            self.rng.fill_bytes(&mut cells);
            cells
        };
        let cells = running.parts.iter().map(|i| {
            let left = self.devices[*i].left.get(&(round, beat)).cloned();
            left.unwrap_or_else(&mut random)
        });
        let replies = running.circuits.pass(beat, &cells.collect::<Vec<_>>());
        for (i, cells) in running.parts.clone().into_iter().zip(replies) {
            let cells = ToClient::Cells { epoch, round, beat, cells: Blob(cells) };
            self.tell(i, begins.plus_ms(30), Input::from(cells));
        }
    }

    /// Plays the round number `number` of the schedule, and the beats until the next one.
    fn play(&mut self, number: u64) {
        // Two intervals of the mock epoch's rounds are one of these.
        let opens = self.mix.signed.document.starts_at.plus_ms(APART_MS * number);
        self.open(opens, Round(10 + 2 * number));
        for slot in 0..APART_MS / BEAT_MS {
            let begins = opens.plus_ms(slot * BEAT_MS);
            for i in 0..2 {
                if self.devices[i].life.is_none() {
                    self.start(i, Timestamp(begins.0 - 70));
                }
                self.store(i);
            }
            self.beat(begins);
        }
    }

    fn is_done(&self) -> bool {
        self.devices.iter().all(|device| device.stored.len() == MESSAGES)
    }
}

#[test]
fn whenever_power_goes_each_message_arrives_once_and_no_beat_has_two_cells() {
    let mut lives = 0;
    for seed in 0..SCHEDULES {
        let mut net = Net::new(seed);
        for number in 0.. {
            if net.is_done() {
                break;
            }
            assert!(number < 8, "seed {seed}: {} of {MESSAGES}", net.devices[0].stored.len());
            net.is_shaky = number < 4;
            net.play(number);
        }
        for (device, partner) in [(0, Role::Second), (1, Role::First)] {
            let sent: Vec<_> = (0..MESSAGES).map(|number| message(partner, number)).collect();
            assert_eq!(net.devices[device].stored, sent, "seed {seed}");
            lives += net.devices[device].lives;
        }
    }
    assert!(lives > 6 * SCHEDULES, "{lives}");
}
