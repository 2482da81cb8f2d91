//! Headers that their senders have not signed, at a shard that hears of it late.

#[path = "../examples/round/costs.rs"]
#[expect(dead_code, reason = "the example prints more")]
mod costs;
#[path = "../examples/round/network.rs"]
#[expect(dead_code, reason = "the example measures more")]
mod network;

use std::collections::VecDeque;

use antiphon_mix::{Input, Notice, Output, Priority, Shard, Work, WorkDone};
use antiphon_wire::{
    BatchHeader, Direction, IdentityKey, Layer, PeerMessage, Policy, Reason, Round, RoundOutcome,
    ShardIndex, SignedHeader,
};
use costs::Costs;
use ed25519_dalek::SigningKey;
use network::{NOW, Network, first_shard};

const SHARDS: usize = 3;
const CLIENTS: usize = 6;
const POLICY: Policy = Policy {
    malicious_ppm: 0,
    epsilon: 8.0,
    delta: 0.01,
    disturbed_rounds: 20,
    least_mixing_hops: 3,
    least_round_interval_ms: 500,
    trusts_heavy_operators: true,
    total_delta: 1.0,
    ..Policy::DEFAULT
};
const LAST: Layer = Layer(4);

/// The first shard of a network, alone, told what it was told there, but for signatures.
struct Alone {
    shard: Shard,
    done: VecDeque<WorkDone>,
    /// Work that only idle moments are for, of rounds.
    held: Vec<(Priority, Work)>,
    faults: Vec<(IdentityKey, String)>,
    ended: Vec<(Round, RoundOutcome)>,
}

impl Alone {
    fn new() -> Self {
        let shard = first_shard(SHARDS, POLICY).expect("a network file");
        let (faults, ended) = (Vec::new(), Vec::new());
        Self { shard, done: VecDeque::new(), held: Vec::new(), faults, ended }
    }

    /// Headers that `unsigned` is true of come with a signature of somebody else.
    fn hear(&mut self, events: &[Option<Input>], unsigned: impl Fn(&BatchHeader) -> bool) {
        for event in events {
            let input = event.as_ref().and_then(network::copy);
            let Some(mut input) = input.or_else(|| self.done.pop_front().map(Input::WorkDone))
            else {
                continue;
            };
            if let Input::Peer { message: PeerMessage::Batch { header }, .. } = &mut input
                && unsigned(header.claimed())
            {
                *header = SignedHeader::new(*header.claimed(), &SigningKey::from_bytes(&[9; 32]));
            }
            self.handle(input);
        }
    }

    fn handle(&mut self, input: Input) {
        self.shard.handle(NOW, input);
        while let Some(output) = self.shard.poll() {
            match output {
                Output::Work(work) if work.name() == "headers" => match work.priority() {
                    Priority::Round(_) => self.done.push_back(work.run()),
                    later => self.held.push((later, work)),
                },
                Output::Work(work) => self.done.push_back(work.run()),
                Output::Notice(Notice::PeerFault { peer, what }) => self.faults.push((peer, what)),
                Output::Notice(Notice::RoundEnded { round, outcome, .. }) => {
                    self.ended.push((round, outcome));
                }
                _ => {}
            }
        }
    }
}

/// What the first shard of a network hears before the first round, and in each of `rounds`.
fn heard(rounds: usize) -> (Vec<Option<Input>>, Vec<Vec<Option<Input>>>) {
    let mut network = Network::new(CLIENTS, SHARDS, rounds + 1, POLICY).expect("a network");
    assert_eq!(network.layers(), usize::from(LAST.0));
    let setup = std::mem::take(&mut network.first_hears);
    network.records = true;
    let rounds = (1..=rounds).map(|round| {
        let entries = network.build_onions(round).expect("a round of the epoch");
        assert_eq!(network.run(round, entries, &mut Costs::default()), CLIENTS);
        std::mem::take(&mut network.first_hears)
    });
    let rounds = rounds.collect();
    (setup, rounds)
}

#[test]
fn what_is_unsigned_after_the_seal_is_reported_however_late() {
    let (setup, rounds) = heard(4);
    let after_the_seal = |header: &BatchHeader| {
        header.round == Round(1)
            && header.sender.0 == 1
            && (header.direction == Direction::Reply || header.layer == LAST)
    };
    let mut alone = Alone::new();
    alone.hear(&setup, |_| false);
    for events in &rounds {
        alone.hear(events, after_the_seal);
    }
    // No round is the worse for it, or waits for anything.
    let delivered = (1..=4).map(|round| (Round(round), RoundOutcome::Delivered));
    assert_eq!(alone.ended, delivered.collect::<Vec<_>>());
    assert!(alone.faults.is_empty());
    let held = std::mem::take(&mut alone.held);
    let priorities: Vec<_> = held.iter().map(|(priority, _)| *priority).collect();
    // Before noise for rounds to come, or it would be put off for ever.
    assert_eq!(priorities, [1, 2, 3, 4].map(|round| Priority::Noise(Round(round))));
    for (_, work) in held {
        alone.handle(Input::WorkDone(work.run()));
    }
    // The onions of layer L, and the replies of every layer.
    assert_eq!(alone.faults.len(), 1 + usize::from(LAST.0));
    let me = alone.shard.identity();
    assert!(alone.faults.iter().all(|(peer, _)| *peer == alone.faults[0].0 && *peer != me));
    let (_, what) = &alone.faults[0];
    assert_eq!(what, "has not signed the header of the onions that it sent for layer 4 of round 1");
    assert!(alone.held.is_empty());
}

#[test]
fn what_is_unsigned_before_the_seal_withholds_the_key() {
    for layer in [1, 2, 3].map(Layer) {
        let (setup, rounds) = heard(1);
        let before_the_seal = |header: &BatchHeader| {
            header.sender.0 == 2 && header.direction == Direction::Forward && header.layer >= layer
        };
        let mut alone = Alone::new();
        alone.hear(&setup, |_| false);
        alone.hear(&rounds[0], before_the_seal);
        assert!(!alone.faults.is_empty());
        let reason = Reason::MissingBatch { layer, sender: ShardIndex(2) };
        let [(Round(1), outcome)] = alone.ended[..] else { panic!("{:?}", alone.ended) };
        assert_eq!(outcome, RoundOutcome::Withheld { reason });
        // What came of the round afterwards is not looked at.
        assert!(alone.held.is_empty());
    }
}
