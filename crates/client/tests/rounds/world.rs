//! A coordinator and three gateways on the loopback interface, led by the test.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use antiphon_client::{Client, ClientConfig, Coordinator, Event, Events, Gateway, IdentityKey};
use antiphon_mock_mix::{Mix, Place, Plan, shard_key};
use antiphon_process::clock::SystemClock;
use antiphon_transport::{Accept, CloseReason, Identity, Limits, LinkReceiver, LinkSender, Server};
use antiphon_wire::{
    Blob, Decode as _, Digest, Encode as _, Epoch, FromClient, PROTOCOL_VERSION, Round,
    SignedDocument, Ticket, Timestamp, ToClient,
};
use tokio::time::timeout;

/// Longer than anything takes.
const LONG: Duration = Duration::from_secs(20);

/// The coordinator's key, as if it were a shard's.
const COORDINATOR: u8 = 49;

pub(crate) struct World {
    pub(crate) coordinator: Server,
    pub(crate) gateways: [Server; 3],
    pub(crate) mix: Mix,
}

/// The server's side of a client's link.
pub(crate) struct Served {
    pub(crate) sender: LinkSender,
    receiver: LinkReceiver,
}

/// Epoch `epoch`, from now on, of those of the three shards that are listening at `addresses`.
pub(crate) fn mix(epoch: u64, first_round: u64, addresses: &[Option<SocketAddr>; 3]) -> Mix {
    mix_from(epoch, first_round, SystemClock::now(), addresses)
}

/// The same from another time on.
pub(crate) fn mix_from(
    epoch: u64,
    first_round: u64,
    starts_at: Timestamp,
    addresses: &[Option<SocketAddr>; 3],
) -> Mix {
    mix_of(Plan::new(epoch, first_round, starts_at), addresses)
}

/// The same from now on, with rounds that open `interval_ms` apart.
pub(crate) fn mix_every(
    interval_ms: u32,
    epoch: u64,
    first_round: u64,
    addresses: &[Option<SocketAddr>; 3],
) -> Mix {
    let plan = Plan::new(epoch, first_round, SystemClock::now());
    mix_of(Plan { interval_ms, ..plan }, addresses)
}

fn mix_of(mut plan: Plan, addresses: &[Option<SocketAddr>; 3]) -> Mix {
    // The test opens rounds as fast as they go.
    plan.policy.least_round_interval_ms = 0;
    let places = (0..).zip(addresses);
    plan.shards = places
        .filter_map(|(i, address)| address.map(|address| Place { number: i, operator: i, address }))
        .collect();
    Mix::new(&plan)
}

fn listen(number: u8, limits: Limits) -> Server {
    let address = "127.0.0.1:0".parse().unwrap();
    let identity = Identity::new(shard_key(number));
    let server = Server::bind(address, &identity, Accept::Anonymous, limits).unwrap();
    // As much as any geometry asks for.
    server.accept_up_to(1 << 20);
    server
}

impl World {
    pub(crate) fn new() -> Self {
        Self::behind(|address| address)
    }

    /// Gateways that clients reach at the addresses that `relay` gives for theirs.
    pub(crate) fn behind(relay: impl Fn(SocketAddr) -> SocketAddr) -> Self {
        let gateways = [0, 1, 2].map(|number| listen(number, Limits::clients()));
        let addresses = [0, 1, 2].map(|i: usize| Some(relay(gateways[i].local_addr().unwrap())));
        Self {
            coordinator: listen(COORDINATOR, Limits::documents()),
            mix: mix(1, 10, &addresses),
            gateways,
        }
    }

    /// Rounds that beats follow, 300 ms apart.
    pub(crate) fn with_beats() -> Self {
        let mut world = Self::new();
        let mut plan = Plan::new(1, 10, SystemClock::now()).with_beats();
        plan.beats.beat_ms = 300;
        world.mix = mix_of(plan, &world.addresses());
        world
    }

    pub(crate) fn addresses(&self) -> [Option<SocketAddr>; 3] {
        [0, 1, 2].map(|i: usize| Some(self.gateways[i].local_addr().unwrap()))
    }

    pub(crate) fn identity(shard: usize) -> IdentityKey {
        IdentityKey::of(&shard_key(shard as u8))
    }

    pub(crate) fn config(&self, gateway: Option<usize>, state: Option<&Path>) -> ClientConfig {
        let coordinator = Coordinator {
            address: self.coordinator.local_addr().unwrap().to_string(),
            identity: IdentityKey::of(&shard_key(COORDINATOR)),
        };
        let mut config = ClientConfig::new(self.mix.network.clone(), vec![coordinator]);
        if let Some(shard) = gateway {
            config.gateway = Gateway::Shard(Self::identity(shard));
        }
        config.state = state.map(Path::to_owned);
        config.connect_within = LONG;
        config
    }

    /// A client that is connected, its gateway and that one's side of the link.
    pub(crate) async fn connect(&mut self, config: ClientConfig) -> (Client, usize, Served) {
        let client = tokio::spawn(Client::connect(config));
        let document = self.mix.signed.clone();
        // Kept until the document has arrived.
        let asked = Served::accept(&mut self.coordinator).await;
        asked.document(document).await;
        let (shard, served) = self.gateway().await;
        (within(client).await.unwrap().unwrap(), shard, served)
    }

    /// The next client's link, at whichever gateway, after its hello.
    pub(crate) async fn gateway(&mut self) -> (usize, Served) {
        let (shard, mut served) = self.gateway_unasked().await;
        served.hello().await;
        (shard, served)
    }

    /// The same, whether it says hello or not.
    pub(crate) async fn gateway_unasked(&mut self) -> (usize, Served) {
        let [a, b, c] = &mut self.gateways;
        within(async {
            tokio::select! {
                served = Served::linked(a) => (0, served),
                served = Served::linked(b) => (1, served),
                served = Served::linked(c) => (2, served),
            }
        })
        .await
    }
}

impl Served {
    /// The next client's link, after its hello.
    pub(crate) async fn accept(server: &mut Server) -> Self {
        let mut served = Self::linked(server).await;
        served.hello().await;
        served
    }

    async fn linked(server: &mut Server) -> Self {
        let (sender, receiver) = server.accept().await.unwrap().split();
        Self { sender, receiver }
    }

    /// The hello that is said next.
    pub(crate) async fn hello(&mut self) {
        assert_eq!(self.next().await, FromClient::Hello { version: PROTOCOL_VERSION });
    }

    pub(crate) async fn next(&mut self) -> FromClient {
        match within(self.receiver.recv()).await {
            Ok(Some(frame)) => FromClient::from_bytes(&frame).unwrap(),
            other => panic!("no message but {other:?}"),
        }
    }

    /// The onions submitted next, which have to be those of `round`.
    pub(crate) async fn onions(&mut self, epoch: u64, round: u64) -> Vec<u8> {
        self.submission(epoch, round).await.1
    }

    /// What is submitted next, which has to be for `round`: the hash of the ticket, and the onions.
    pub(crate) async fn submission(&mut self, epoch: u64, round: u64) -> (Digest, Vec<u8>) {
        match self.next().await {
            FromClient::Submit { epoch: of, round: at, ticket, onions } => {
                assert_eq!((of, at), (Epoch(epoch), Round(round)));
                (ticket, onions.0)
            }
            other => panic!("no onions but {other:?}"),
        }
    }

    /// The ticket that is shown next, which has to be for `round`.
    pub(crate) async fn resumed(&mut self, epoch: u64, round: u64) -> Ticket {
        match self.next().await {
            FromClient::Resume { epoch: of, round: at, ticket } => {
                assert_eq!((of, at), (Epoch(epoch), Round(round)));
                ticket
            }
            other => panic!("no ticket but {other:?}"),
        }
    }

    pub(crate) async fn send(&self, message: ToClient) {
        self.sender.send(message.to_bytes().into()).await.unwrap();
    }

    pub(crate) async fn document(&self, document: SignedDocument) {
        self.send(ToClient::Document { document }).await;
    }

    pub(crate) async fn open(&self, epoch: u64, round: u64) {
        let (epoch, round) = (Epoch(epoch), Round(round));
        self.send(ToClient::Opened { epoch, round, closes_in_ms: 500 }).await;
    }

    pub(crate) async fn reply(&self, epoch: u64, round: u64, replies: Vec<u8>) {
        let (epoch, round, replies) = (Epoch(epoch), Round(round), Blob(replies));
        self.send(ToClient::Replies { epoch, round, replies }).await;
    }

    pub(crate) fn hang_up(self) {
        self.sender.close(CloseReason::ShuttingDown);
    }
}

/// What comes of it, which has to be soon.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(LONG, future).await.expect("nothing happened for a long time")
}

/// The next event that `wanted` makes something of.
pub(crate) async fn event<T>(events: &mut Events, wanted: impl Fn(&Event) -> Option<T>) -> T {
    within(async {
        loop {
            let event = events.next().await.expect("the client goes on");
            if let Some(found) = wanted(&event) {
                return found;
            }
        }
    })
    .await
}
