//! What a shard holds, by counting every byte that it asks the system for.

#[path = "../examples/round/costs.rs"]
#[expect(dead_code, reason = "the example prints more")]
mod costs;
#[path = "../examples/round/network.rs"]
#[expect(dead_code, reason = "the example prints more")]
mod network;

use std::collections::VecDeque;
use std::sync::Mutex;

use antiphon_mix::{BatchKey, Input, Output, Shard, WorkDone};
use antiphon_wire::{Direction, IdentityKey, PeerMessage, Policy};
use bytes::Bytes;
use costs::Costs;
use network::{NOW, Network, first_shard};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Held by the test that measures: the allocator counts for the whole process.
static MEASURING: Mutex<()> = Mutex::new(());

const SHARDS: usize = 3;
/// What a slot of a layer needs for the way back: a reply key, and where the onion went.
const REPLY_STATE_BYTES: usize = 32 + 4;

/// Little noise, so that it is clients' onions that count.
fn policy(least_mixing_hops: u8) -> Policy {
    Policy {
        malicious_ppm: 0,
        epsilon: 8.0,
        delta: 0.01,
        disturbed_rounds: 20,
        least_mixing_hops,
        least_round_interval_ms: 500,
        trusts_heavy_operators: true,
        total_delta: 1.0,
        ..Policy::DEFAULT
    }
}

/// The first shard of a network, alone, hearing what it heard there when it was the slowest.
struct Replay {
    shard: Shard,
    done: VecDeque<WorkDone>,
    sending: Vec<Sending>,
}

/// A batch that a link still holds.
struct Sending {
    to: IdentityKey,
    batch: BatchKey,
    _bytes: Bytes,
}

impl Sending {
    /// Whether a peer that sends `next` must have this batch, since it could not have got that far
    /// without.
    fn is_needed_for(&self, next: BatchKey) -> bool {
        let Self { batch, .. } = self;
        batch.round < next.round
            || match (batch.direction, next.direction) {
                (Direction::Forward, Direction::Forward) => batch.layer < next.layer,
                (Direction::Forward, Direction::Reply) => true,
                (Direction::Reply, Direction::Reply) => batch.layer > next.layer,
                (Direction::Reply, Direction::Forward) => false,
            }
    }
}

impl Replay {
    fn new(policy: Policy) -> Self {
        let shard = first_shard(SHARDS, policy).expect("a network file");
        Self { shard, done: VecDeque::new(), sending: Vec::new() }
    }

    fn hear(&mut self, events: &[Option<Input>]) {
        for event in events {
            let input = event.as_ref().and_then(network::copy);
            let done = || self.done.pop_front().map(Input::WorkDone);
            let input = input.or_else(done).expect("as much work as in the network");
            if let Input::Peer { from, message: PeerMessage::Batch { header } } = &input {
                let next = BatchKey::of(header.claimed());
                self.sending.retain(|sent| sent.to != *from || !sent.is_needed_for(next));
            }
            self.shard.handle(NOW, input);
            while let Some(output) = self.shard.poll() {
                match output {
                    Output::Work(work) => self.done.push_back(work.run()),
                    Output::Batch { to, header, bytes, .. } => {
                        let batch = BatchKey::of(header.claimed());
                        self.sending.push(Sending { to, batch, _bytes: bytes });
                    }
                    _ => {}
                }
            }
        }
    }
}

/// The most bytes that a shard holds in each round, and what it holds before the first; with them
/// the bytes of a layer's onions and of the reply state of all its layers.
struct Measured {
    idle: usize,
    peaks: Vec<usize>,
    layer: usize,
    reply_state: usize,
}

fn measure(clients: usize, rounds: usize, least_mixing_hops: u8) -> Measured {
    let mut network =
        Network::new(clients, SHARDS, rounds + 1, policy(least_mixing_hops)).expect("a network");
    let setup = std::mem::take(&mut network.first_hears);
    network.records = true;
    let mut heard = Vec::new();
    for round in 1..=rounds {
        let entries = network.build_onions(round).expect("a round of the epoch");
        assert_eq!(network.run(round, entries, &mut Costs::default()), clients);
        heard.push(std::mem::take(&mut network.first_hears));
    }
    let onions = network.onions() / SHARDS;
    let layer = onions * network.onion_bytes();
    let reply_state = onions * network.layers() * REPLY_STATE_BYTES;
    drop(network);

    let before = MEMORY.current_usage();
    let mut replay = Replay::new(policy(least_mixing_hops));
    replay.hear(&setup);
    let idle = MEMORY.current_usage() - before;
    let peaks = heard
        .iter()
        .map(|events| {
            MEMORY.reset_peak_usage();
            replay.hear(events);
            MEMORY.peak_usage() - before
        })
        .collect();
    Measured { idle, peaks, layer, reply_state }
}

#[test]
fn a_round_takes_at_most_four_layers_beside_the_reply_state() {
    let _measuring = MEASURING.lock().unwrap();
    let Measured { idle, peaks, layer, reply_state } = measure(1500, 2, 14);
    // Keys, documents and the first round's noise; were it more, the bound would say little.
    assert!(idle <= layer / 2, "{idle} bytes before the first round, {layer} a layer");
    for peak in peaks {
        assert!(peak <= idle + reply_state + 4 * layer, "{peak} bytes, {layer} a layer");
    }
}

#[test]
fn a_hundredth_round_takes_no_more_than_the_first_twenty() {
    let _measuring = MEASURING.lock().unwrap();
    let peaks = measure(8, 100, 3).peaks;
    let most = |rounds: &[usize]| rounds.iter().max().copied().unwrap();
    // What the sizes of batches vary by from round to round is not growth. The answers of sixteen rounds are
    // kept for clients that lost their link: that many rounds in, nothing is left to grow.
    let (first, later) = (most(&peaks[..20]), most(&peaks[20..]));
    assert!(later <= first + first / 100, "{peaks:?}");
}
