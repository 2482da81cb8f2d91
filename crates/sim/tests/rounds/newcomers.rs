//! Clients that link themselves while a round is open.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use antiphon_fixture::Scripted;
use antiphon_mix::{ClientId, Input, Output};
use antiphon_routing::VerifiedEpoch;
use antiphon_sim::Setup;
use antiphon_wire::{
    Blob, Digest, Epoch, FromClient, PROTOCOL_VERSION, Round, Timestamp, ToClient, ToShard,
};

const EPOCH: Epoch = Epoch(1);
const ROUND: Round = Round(1);
const EARLY: ClientId = ClientId(1);
const LATE: ClientId = ClientId(2);
/// Where both have their gateway.
const GATEWAY: usize = 0;

/// A shard with one client, whose onions are missing yet in a round that is open.
struct World {
    shards: Scripted,
    epoch: VerifiedEpoch,
}

impl World {
    fn new() -> Self {
        let mut shards = Scripted::new(Setup::small(3, 0).with_little_noise());
        let document = shards.signed(EPOCH.0, (ROUND.0, 4));
        let epoch = VerifiedEpoch::verify(document.clone(), &shards.file).unwrap();
        shards.tell(GATEWAY, ToShard::Publish { document });
        shards.put(GATEWAY, Input::ClientJoined(EARLY));
        let mut world = Self { shards, epoch };
        world.hello(EARLY);
        let announcement = world.epoch.announce(ROUND, Timestamp(0));
        world.shards.tell(GATEWAY, ToShard::Open { announcement });
        world
    }

    /// Puts something into the gateway. Returns `true` if it tells `client` of the round.
    fn tells(&mut self, client: ClientId, input: Input) -> bool {
        let is_told = |output: &Output| {
            matches!(output, Output::Client { to, message } if *to == client
                && matches!(**message, ToClient::Opened { round: ROUND, .. }))
        };
        self.shards.put(GATEWAY, input).iter().any(is_told)
    }

    fn hello(&mut self, from: ClientId) -> bool {
        let message = FromClient::Hello { version: PROTOCOL_VERSION };
        self.tells(from, Input::Client { from, message })
    }

    /// Hands onions in that nobody can open. Returns `true` if they were taken.
    fn hands_in(&mut self, from: ClientId) -> bool {
        let count = self.epoch.onions_per_client(ROUND);
        let onions = Blob(vec![0; count * self.epoch.geometry().entry_bytes()]);
        let ticket = Digest::of(&from.0.to_be_bytes());
        let message = FromClient::Submit { epoch: EPOCH, round: ROUND, ticket, onions };
        let outputs = self.shards.put(GATEWAY, Input::Client { from, message });
        let is_refused = |output: &Output| {
            matches!(output, Output::Client { message, .. }
                if matches!(**message, ToClient::Refused { .. }))
        };
        !outputs.iter().any(is_refused)
    }
}

#[test]
fn whoever_is_told_of_an_open_round_is_waited_for() {
    let mut world = World::new();
    assert!(!world.tells(LATE, Input::ClientJoined(LATE)), "nobody waits for it yet");
    assert!(world.hello(LATE));
    assert!(!world.hello(LATE), "it was told");
    assert!(world.hands_in(EARLY));
    assert!(world.hands_in(LATE), "the round has gone on without it");
}

#[test]
fn whoever_says_hello_when_a_round_has_gone_on_is_not_told_of_it() {
    let mut world = World::new();
    world.tells(LATE, Input::ClientJoined(LATE));
    assert!(world.hands_in(EARLY));
    assert!(!world.hello(LATE));
    assert!(!world.hands_in(LATE));
}
