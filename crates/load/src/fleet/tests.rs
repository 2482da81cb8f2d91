#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::num::NonZeroUsize;
use std::time::Duration;

use antiphon_mock_mix::{Mix, Place, Plan, shard_key};
use antiphon_process::clock::SystemClock;
use antiphon_transport::{Accept, Identity, LinkReceiver, LinkSender, Server};
use antiphon_wire::{Decode as _, Encode as _, Epoch, FromClient, PROTOCOL_VERSION, ToClient};
use tokio::time::timeout;

use super::*;

const CLIENTS: u32 = 8;
/// Longer than anything takes.
const LONG: Duration = Duration::from_secs(20);

fn listen(number: u8) -> Server {
    let identity = Identity::new(shard_key(number));
    let address = "127.0.0.1:0".parse().unwrap();
    let server = Server::bind(address, &identity, Accept::Anonymous, Limits::clients()).unwrap();
    server.accept_up_to(1 << 20);
    server
}

/// An epoch of all gateways, from now on.
fn epoch(number: u64, first_round: u64, gateways: &[Server; 3]) -> Arc<VerifiedEpoch> {
    let mut plan = Plan::new(number, first_round, SystemClock::now());
    let places = (0..).zip(gateways);
    plan.shards = places
        .map(|(i, gateway)| Place {
            number: i,
            operator: i,
            address: gateway.local_addr().unwrap(),
        })
        .collect();
    let mix = Mix::new(&plan);
    Arc::new(VerifiedEpoch::verify(mix.signed, &mix.network).unwrap())
}

fn fleet(epoch: &Arc<VerifiedEpoch>) -> Fleet {
    let population = Population::new(CLIENTS, 0.0, 0.0, 1);
    let builder = Builder::start(NonZeroUsize::MIN, population.clone(), 1, false).unwrap();
    let window = Window::new(std::sync::mpsc::channel().0);
    Fleet::start(population, builder, window, Arrivals::AtOnce, epoch, 1)
}

/// A client's link, as its gateway has it.
struct Served {
    sender: LinkSender,
    receiver: LinkReceiver,
}

impl Served {
    /// The next one, at whichever gateway.
    async fn next(gateways: &mut [Server; 3]) -> Self {
        let [a, b, c] = gateways;
        let accepted = async {
            tokio::select! {
                link = a.accept() => link,
                link = b.accept() => link,
                link = c.accept() => link,
            }
        };
        let (sender, receiver) = timeout(LONG, accepted).await.unwrap().unwrap().split();
        Self { sender, receiver }
    }

    async fn says_hello(&mut self) {
        let said = timeout(LONG, self.receiver.recv()).await.unwrap().unwrap().unwrap();
        let hello = FromClient::Hello { version: PROTOCOL_VERSION };
        assert_eq!(FromClient::from_bytes(&said).unwrap(), hello);
    }

    async fn says_nothing_for(&mut self, time: Duration) {
        assert!(timeout(time, self.receiver.recv()).await.is_err());
    }

    async fn open(&self, epoch: u64, round: u64) {
        let (epoch, round) = (Epoch(epoch), Round(round));
        let opened = ToClient::Opened { epoch, round, closes_in_ms: 500 };
        self.sender.send(opened.to_bytes().into()).await.unwrap();
    }
}

/// All gateways serve the next epoch, in which some clients have drawn another one.
#[tokio::test]
async fn clients_say_hello_to_their_next_gateway_between_two_rounds_of_its_epoch() {
    let mut gateways = [0, 1, 2].map(listen);
    let fleet = fleet(&epoch(1, 10, &gateways));
    let mut present = Vec::new();
    for _ in 0..CLIENTS {
        let mut served = Served::next(&mut gateways).await;
        served.says_hello().await;
        present.push(served);
    }
    fleet.shared.add_epoch(epoch(2, 12, &gateways));
    // The epoch before is not over yet, as its rounds are late, and nobody is to wait for them elsewhere.
    for served in &present {
        served.open(1, 11).await;
    }
    let dials = timeout(Duration::from_secs(3), Served::next(&mut gateways)).await;
    assert!(dials.is_err(), "somebody dials before the epoch begins");
    for served in &present {
        served.open(2, 12).await;
    }
    let mut ahead = Served::next(&mut gateways).await;
    // As long as rounds open again and again, nobody says hello.
    for round in 13..28 {
        for served in &present {
            served.open(2, round).await;
        }
        ahead.says_nothing_for(Duration::from_millis(100)).await;
    }
    ahead.says_hello().await;
    assert!(fleet.shared.turns() > 0);
}
