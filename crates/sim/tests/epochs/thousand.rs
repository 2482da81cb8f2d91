//! An epoch of a thousand shards is planned, checked and signed.
//!
//! Real are the coordinator, with everything that it computes; the keys and proofs of all shards; and two shards,
//! which fetch all contributions and check them. The work of those two is the same as that of every other, so that
//! the rest sign without it: they serve what they have, some of them wrongly, and count for the coordinator as
//! much as the two. Work takes virtual time, 100 µs for each key, five times what it does.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hint::black_box;
use std::sync::Arc;

use antiphon_coordinator_core::{Coordinator, Input, Output, State};
use antiphon_fixture::{START, Setup, entropy, new_shard};
use antiphon_mix::{Input as ShardInput, Output as ShardOutput, Shard, SignerState, WorkDone};
use antiphon_routing::ProposalCheck;
use antiphon_wire::{
    Contribution, Digest, Encode as _, EpochDocument, IdentityKey, PeerMessage, ShardIndex,
    SignedDocument, Timestamp, ToCoordinator, ToShard,
};
use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::scalar::Scalar;
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

const SHARDS: usize = 1000;
const OPERATORS: usize = 100;
const ROUNDS: u32 = 120;
/// Shards that do all of their work.
const REAL: [usize; 2] = [0, 700];
/// One in so many of the others sends wrong contributions.
const LIARS: usize = 10;
/// Time of a message on its way, in milliseconds.
const DELAY_MS: u64 = 50;
/// Time that checking a contribution takes, in milliseconds.
const CHECK_MS: u64 = ROUNDS as u64 / 10;

enum Event {
    ToCoordinator(usize, ToCoordinator),
    ToShard(usize, Arc<ToShard>),
    Peer { from: usize, to: usize, message: PeerMessage },
    Checked(usize, Box<WorkDone>),
    Computed(Box<antiphon_coordinator_core::WorkDone>),
}

struct World {
    now: Timestamp,
    events: BTreeMap<(Timestamp, u64), Event>,
    last: u64,
    coordinator: Coordinator,
    shards: Vec<Shard>,
    positions: HashMap<IdentityKey, usize>,
    /// What each shard that does not work was handed, and its own.
    held: Vec<BTreeMap<Digest, Arc<Contribution>>>,
    /// Contributions that came to each real shard and are not checked.
    unchecked: BTreeMap<usize, u64>,
    /// Bytes from the coordinator to all shards.
    egress: usize,
    /// Questions of the real shards that nobody else answered.
    asked_coordinator: usize,
    /// Who asked whom.
    questions: BTreeSet<(usize, usize)>,
    published: Option<Arc<SignedDocument>>,
    notices: Vec<String>,
}

impl World {
    fn new(setup: &Setup) -> Self {
        let file = Arc::new(setup.network());
        let mut rng = ChaCha20Rng::seed_from_u64(setup.seed);
        let shards: Vec<_> = (0..SHARDS)
            .map(|i| new_shard(setup, &file, i, SignerState::default(), entropy(&mut rng)))
            .collect();
        let positions = shards.iter().enumerate().map(|(i, shard)| (shard.identity(), i)).collect();
        let config = setup.coordinator.clone();
        Self {
            now: START,
            events: BTreeMap::new(),
            last: 0,
            coordinator: Coordinator::new(config, (*file).clone(), State::default(), START),
            shards,
            positions,
            held: vec![BTreeMap::new(); SHARDS],
            unchecked: BTreeMap::new(),
            egress: 0,
            asked_coordinator: 0,
            questions: BTreeSet::new(),
            published: None,
            notices: Vec::new(),
        }
    }

    fn after(&mut self, ms: u64, event: Event) {
        self.last += 1;
        self.events.insert((self.now.plus_ms(ms), self.last), event);
    }

    /// Everybody registers, and an epoch comes about.
    fn run(&mut self) {
        for i in 0..SHARDS {
            let identity = self.shards[i].identity();
            self.coordinator.handle(self.now, Input::Connected { identity });
            self.tell(i, ShardInput::CoordinatorLinked(Setup::coordinator_identity(0)));
        }
        self.carry_out();
        while self.published.is_none() {
            let deadlines = REAL.iter().filter_map(|i| self.shards[*i].next_deadline());
            let due = deadlines.chain(self.coordinator.next_deadline()).min();
            let next = self.events.first_key_value().map(|((at, _), _)| *at);
            if let Some(due) = due.filter(|due| next.is_none_or(|next| *due < next)) {
                self.now = self.now.max(due);
                REAL.iter().for_each(|i| self.tell(*i, ShardInput::Tick));
                self.coordinator.handle(self.now, Input::Tick);
            } else {
                let ((at, _), event) = self.events.pop_first().expect("something is to come");
                self.now = at;
                self.take(event);
            }
            self.carry_out();
            assert!(self.now < START.plus_ms(120_000), "{:?}", self.notices);
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::ToCoordinator(from, message) => {
                let asks = matches!(message, ToCoordinator::AskContribution { .. });
                self.asked_coordinator += usize::from(asks);
                let identity = self.shards[from].identity();
                self.coordinator.handle(self.now, Input::Message { identity, message });
            }
            Event::ToShard(to, message) => self.hear(to, &message),
            Event::Peer { from, to, message } if REAL.contains(&to) => {
                self.count(to, matches!(message, PeerMessage::Contribution { .. }));
                let from = self.shards[from].identity();
                self.tell(to, ShardInput::Peer { from, message });
            }
            Event::Peer { from, to, message } => self.serve(from, to, &message),
            Event::Checked(shard, done) => self.tell(shard, ShardInput::WorkDone(*done)),
            Event::Computed(done) => self.coordinator.handle(self.now, Input::WorkDone(*done)),
        }
    }

    /// A message of the coordinator reaches a shard.
    fn hear(&mut self, to: usize, message: &ToShard) {
        match message {
            ToShard::Propose { document, .. } if !REAL.contains(&to) => {
                let endorse = ToCoordinator::Endorse {
                    epoch: document.epoch,
                    document: document.digest(),
                    signature: document.endorse(&Setup::shard_key(to)),
                };
                self.after(DELAY_MS, Event::ToCoordinator(to, endorse));
            }
            ToShard::Contribution { contribution } if !REAL.contains(&to) => {
                self.held[to].insert(contribution.digest(), Arc::clone(contribution));
            }
            message => {
                self.count(to, matches!(message, ToShard::Contribution { .. }));
                let from = Setup::coordinator_identity(0);
                self.tell(to, ShardInput::Coordinator { from, message: message.clone() });
            }
        }
    }

    fn count(&mut self, shard: usize, is_contribution: bool) {
        *self.unchecked.entry(shard).or_default() += u64::from(is_contribution);
    }

    /// A shard that does no work answers a real one.
    fn serve(&mut self, from: usize, to: usize, message: &PeerMessage) {
        let PeerMessage::AskContribution { digest } = message else { return };
        assert!(self.questions.insert((from, to)) || !is_liar(to), "a liar is asked once");
        let message = match self.held[to].get(digest) {
            Some(contribution) if is_liar(to) => {
                let wrong = Contribution { proof: [7; 64], ..Contribution::clone(contribution) };
                PeerMessage::Contribution { contribution: Arc::new(wrong) }
            }
            Some(contribution) => {
                PeerMessage::Contribution { contribution: Arc::clone(contribution) }
            }
            None => PeerMessage::NoContribution,
        };
        self.after(DELAY_MS, Event::Peer { from: to, to: from, message });
    }

    fn tell(&mut self, i: usize, input: ShardInput) {
        self.shards[i].handle(self.now, input);
        while let Some(output) = self.shards[i].poll() {
            match output {
                ShardOutput::Coordinator { message, .. } => {
                    if let ToCoordinator::Contribute { contribution } = &message {
                        let own = Arc::new(contribution.clone());
                        self.held[i].insert(own.digest(), own);
                    }
                    self.after(DELAY_MS, Event::ToCoordinator(i, message));
                }
                ShardOutput::Peer { to, message } => {
                    let to = self.positions[&to];
                    self.after(DELAY_MS, Event::Peer { from: i, to, message });
                }
                ShardOutput::Work(work) => {
                    let contributions = self.unchecked.insert(i, 0).unwrap_or(0);
                    let ms = 200 + CHECK_MS * contributions;
                    self.after(ms, Event::Checked(i, Box::new(work.run())));
                }
                _ => {}
            }
        }
    }

    fn carry_out(&mut self) {
        let mut encoded: Option<(Arc<ToShard>, usize)> = None;
        while let Some(output) = self.coordinator.poll() {
            match output {
                Output::Send { to, message } => {
                    let bytes = match &encoded {
                        Some((last, bytes)) if Arc::ptr_eq(last, &message) => *bytes,
                        _ => message.to_bytes().len(),
                    };
                    encoded = Some((Arc::clone(&message), bytes));
                    self.egress += bytes;
                    let to = self.positions[&to];
                    self.after(DELAY_MS, Event::ToShard(to, message));
                }
                Output::Work(work) => {
                    let ms = CHECK_MS * SHARDS as u64;
                    self.after(ms, Event::Computed(Box::new(work.run())));
                }
                Output::Publish(signed) => self.published = Some(signed),
                Output::Notice(notice) => self.notices.push(notice.to_string()),
                Output::Persist(_) => {}
            }
        }
    }
}

fn is_liar(shard: usize) -> bool {
    shard % LIARS == 3
}

#[test]
fn a_thousand_shards_sign_an_epoch_in_time() {
    let mut setup = Setup::small(SHARDS, 0);
    setup.operators = OPERATORS;
    let usual = antiphon_coordinator_core::CoordinatorConfig::default();
    setup.coordinator.epoch_rounds = ROUNDS;
    setup.coordinator.contribute_ms = usual.contribute_ms;
    setup.coordinator.endorse_ms = usual.endorse_ms;
    setup.coordinator.interval_ms = usual.interval_ms;
    let mut world = World::new(&setup);
    world.run();
    assert!(!world.notices.iter().any(|notice| notice.contains("failed")), "{:?}", world.notices);
    let signed = world.published.clone().unwrap();
    let document = &signed.document;
    assert_eq!((document.shards.len(), document.rounds()), (SHARDS, u64::from(ROUNDS)));
    assert_eq!(signed.signatures.len(), SHARDS);
    let seconds = world.now.ms_since(START) / 1000;
    let held = world.held[1].values().next().unwrap().to_bytes().len();
    sizes_are_as_calculated(&signed, held);

    // Each real shard asked nearly all others once, and the liars no more than that.
    for real in REAL {
        let asked = world.questions.iter().filter(|(asker, _)| *asker == real).count();
        assert!((800..SHARDS).contains(&asked), "{asked}");
    }
    // As if all shards had had as many questions left for the coordinator as the real ones.
    let keys = &world.held[1].values().next().unwrap().clone();
    let asked_for = world.asked_coordinator * SHARDS / REAL.len() * keys.to_bytes().len();
    let egress = world.egress + asked_for;
    assert!(egress < 1 << 30, "{egress} bytes");
    let each = egress / SHARDS;
    let all_to_all = keys.to_bytes().len() * SHARDS;
    assert!(each < all_to_all / 5, "{each} bytes for each shard");
    let mut all: Vec<_> = world.held.iter().flat_map(BTreeMap::values).cloned().collect();
    all.sort_by_key(|keys| keys.identity);
    all.dedup_by_key(|keys| keys.identity);
    let ratio = check_ratio(document, &setup, &all);
    // 60 s are 500 µs for each key: some ten multiplications.
    assert!(ratio < 1.0, "a key takes {ratio:.2} multiplications of a point");
    println!(
        "{seconds} s of virtual time; {} kB from the coordinator for each shard; a key takes {ratio:.2} \
         multiplications of a point",
        each >> 10
    );
}

/// A seal key is 32 bytes, and of a shard a document has an identity, an onion key and a signature besides its addresses and
/// noise; of an operator, a list of its shards with a signature.
fn sizes_are_as_calculated(signed: &SignedDocument, contribution: usize) {
    let keys = 32 * ROUNDS as usize;
    assert!((keys..keys + 512).contains(&contribution), "{contribution} bytes of a contribution");
    let (shard, operator) = (32 + 32 + 64, 32 * SHARDS / OPERATORS + 64);
    let least = keys + SHARDS * shard + OPERATORS * operator;
    let bytes = signed.to_bytes().len();
    let more = SHARDS * 48 + OPERATORS * 64 + 512;
    assert!((least..least + more).contains(&bytes), "{bytes} bytes of a document, not {least}");
    // A thirty-second of what a link to a client takes in one frame.
    assert!(bytes < 1 << 18, "{bytes}");
}

/// Processor time of reading and checking a key, in multiplications of a point by a scalar.
fn check_ratio(document: &EpochDocument, setup: &Setup, all: &[Arc<Contribution>]) -> f64 {
    let mut check = ProposalCheck::new(document.clone(), &setup.network()).unwrap();
    let by_identity: HashMap<_, _> = all.iter().map(|keys| (keys.identity, keys)).collect();
    let few: Vec<_> = document.shards.iter().enumerate().take(200).collect();
    // The best of some tries on either side: a machine that others use as well is never faster than it is.
    let mut least = [f64::MAX; 2];
    let scalar = Scalar::from_bytes_mod_order([0x5a; 32]);
    for part in few.chunks(20) {
        let checked = processor_ms(|| {
            for (position, entry) in part {
                let keys = Arc::clone(by_identity[&entry.identity]);
                check.take(ShardIndex(*position as u16), keys).unwrap();
            }
        });
        let keys = part.len() * ROUNDS as usize;
        least[0] = least[0].min(checked / keys as f64);
        let multiplied = processor_ms(|| {
            for _ in 0..200 {
                black_box(black_box(ED25519_BASEPOINT_POINT) * black_box(scalar));
            }
        });
        least[1] = least[1].min(multiplied / 200.0);
    }
    least[0] / least[1]
}

/// Time that this thread has on a processor, in milliseconds, as Linux counts it.
fn processor_ms(work: impl FnOnce()) -> f64 {
    let count = || {
        let counts = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        counts.split(' ').next().unwrap().parse::<u64>().unwrap()
    };
    let before = count();
    work();
    (count() - before) as f64 / 1e6
}
