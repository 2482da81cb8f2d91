//! What a client's link shows over real QUIC: the same whether its user talks or not.

use std::net::SocketAddr;
use std::time::Duration;

use antiphon_client_core::{
    Client as Core, ClientConfig as CoreConfig, EntropySource, Input, Opening, Output,
};
use antiphon_process::clock::SystemClock;
use antiphon_transport::{Dialer, Limits};
use antiphon_wire::{
    Blob, Decode as _, Encode as _, FromClient, PROTOCOL_VERSION, Round, ToClient,
};
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;
use tokio::time::{Instant, sleep_until};

use super::{Role, options};
use crate::relay::Capture;
use crate::world::{Served, World, within};

const INTERVAL: Duration = Duration::from_millis(90);
/// Rounds before connections have settled.
const SETTLING: u64 = 15;
/// The chance of an alarm by chance, per comparison.
const LEVEL: f64 = 1e-7;

/// What is measured of each round.
const MEASURES: [&str; 8] = [
    "datagrams up",
    "bytes up",
    "largest datagram up",
    "datagrams down",
    "bytes down",
    "opening to onions, ms",
    "opening to last datagram up, ms",
    "opening to first datagram up, ms",
];

/// The onions are in datagrams of at least so many bytes.
const LARGE: usize = 400;

/// For each measure, a sample for each round of each of some clients.
type Samples = [Vec<f64>; MEASURES.len()];

/// Plays rounds, in each with the clients in an order of its own, and returns when each began.
async fn play(
    world: &World,
    served: &mut [Served],
    rounds: u64,
    mut lose: impl FnMut(u64, usize) -> bool,
) -> Vec<Instant> {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let mut order: Vec<_> = (0..served.len()).collect();
    let mut begun = Vec::new();
    for round in 10..10 + rounds {
        let start = Instant::now();
        begun.push(start);
        order.shuffle(&mut rng);
        for &client in &order {
            served[client].open(1, round).await;
        }
        let mut submitted = vec![Vec::new(); served.len()];
        for &client in &order {
            submitted[client] = loop {
                match served[client].next().await {
                    FromClient::Submit { round: of, onions, .. } if of == Round(round) => {
                        break onions.0;
                    }
                    _ => {}
                }
            };
        }
        let mut replies = world.mix.exchange(Round(round), &submitted);
        for &client in &order {
            let mut reply = std::mem::take(&mut replies[client]);
            if lose(round, client) {
                rng.fill(&mut reply[..]);
            }
            served[client].reply(1, round, reply).await;
        }
        sleep_until(start + INTERVAL).await;
    }
    begun.push(Instant::now());
    begun
}

fn measure(capture: &Capture, clients: &[SocketAddr], begun: &[Instant]) -> Samples {
    let mut samples = Samples::default();
    let all = capture.all();
    for client in clients {
        let of: Vec<_> = all.iter().filter(|datagram| datagram.client == *client).collect();
        for window in begun.windows(2).skip(SETTLING as usize) {
            let seen: Vec<_> =
                of.iter().filter(|d| window[0] <= d.at && d.at < window[1]).collect();
            let bytes = |up| seen.iter().filter(move |d| d.up == up).map(|d| d.bytes);
            let opened = seen.iter().find(|d| !d.up).map_or(window[0], |d| d.at);
            let since = |at: Option<Instant>| {
                at.map_or(-1.0, |at| at.duration_since(opened).as_secs_f64() * 1e3)
            };
            let ups = || seen.iter().filter(|d| d.up && d.at >= opened);
            let measured = [
                bytes(true).count() as f64,
                bytes(true).sum::<usize>() as f64,
                bytes(true).max().unwrap_or(0) as f64,
                bytes(false).count() as f64,
                bytes(false).sum::<usize>() as f64,
                since(ups().find(|d| d.bytes >= LARGE).map(|d| d.at)),
                since(ups().next_back().map(|d| d.at)),
                since(ups().next().map(|d| d.at)),
            ];
            for (samples, value) in samples.iter_mut().zip(measured) {
                samples.push(value);
            }
        }
    }
    samples
}

/// The chance that two samples of one distribution differ as much as these: the two-sample
/// Kolmogorov-Smirnov test, by its limit. Ties make it larger.
fn likelihood(a: &[f64], b: &[f64]) -> f64 {
    let share = |of: &[f64], at: f64| {
        of.iter().filter(|value| **value <= at).count() as f64 / of.len() as f64
    };
    let distance =
        a.iter().chain(b).map(|&at| (share(a, at) - share(b, at)).abs()).fold(0.0, f64::max);
    let root = ((a.len() * b.len()) as f64 / (a.len() + b.len()) as f64).sqrt();
    let lambda = (root + 0.12 + 0.11 / root) * distance;
    if lambda < 0.3 {
        return 1.0;
    }
    let term = |k: i32| (-2.0 * f64::from(k * k) * lambda * lambda).exp();
    (1..=50).map(|k| if k % 2 == 1 { 2.0 * term(k) } else { -2.0 * term(k) }).sum()
}

/// What tells the two apart, and how unlikely that is to be chance.
fn differences(a: &Samples, b: &Samples) -> Vec<(&'static str, f64)> {
    let all = MEASURES.iter().zip(a.iter().zip(b));
    let all = all.map(|(name, (a, b))| (*name, likelihood(a, b)));
    all.filter(|(_, chance)| *chance < LEVEL).collect()
}

#[tokio::test]
async fn a_captured_link_looks_the_same_idle_and_talking() {
    let capture = Capture::default();
    let mut world = World::behind(|address| capture.relay(address));
    let (mut clients, mut served) = (Vec::new(), Vec::new());
    for shard in [0, 1, 2, 0] {
        let (client, _, link) = world.connect(world.config(Some(shard), None)).await;
        clients.push(client);
        served.push(link);
    }
    // The first two are idle, and of the other two one says as much as it can, and one nothing.
    let much = clients[2].open(options(Role::First)).await.unwrap();
    let _nothing = clients[3].open(options(Role::Second)).await.unwrap();
    for _ in 0..40 {
        drop(much.send(vec![7; 20_000]).await.unwrap());
    }
    // Now and then a round goes wrong for one or for all.
    let lose = |round: u64, client: usize| round.is_multiple_of(25) || round % 40 == client as u64;
    let begun = play(&world, &mut served, 110, lose).await;
    let seen = capture.clients();
    assert_eq!(seen.len(), 4);
    assert!(clients.iter().all(|client| client.status().budget.left > 0), "they talk to the end");
    let idle = measure(&capture, &seen[..2], &begun);
    let talking = measure(&capture, &seen[2..], &begun);
    assert!(idle[5].len() > 150 && idle[5].iter().filter(|ms| **ms > 0.0).count() > 150);
    assert_eq!(differences(&idle, &talking), []);
    let (one, other) =
        (measure(&capture, &seen[2..3], &begun), measure(&capture, &seen[3..], &begun));
    assert_eq!(differences(&one, &other), [], "much and nothing");
}

/// How a client gives away that its user talks.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Leak {
    None,
    /// A message more.
    Extra,
    /// Onions that leave later.
    Late,
}

/// A client that takes part in rounds and leaks.
async fn leak(world: Joining, leak: Leak, seed: u64) {
    let entropy = EntropySource::new(ChaCha20Rng::seed_from_u64(seed));
    let mut core = Core::new(CoreConfig::new(world.network), None, entropy);
    core.handle(SystemClock::now(), Input::from(ToClient::Document { document: world.document }));
    let opening: Opening = options(Role::First);
    core.open_conversation(&opening).unwrap();
    let dialer = Dialer::new(None, Limits::clients());
    let link = dialer.dial(world.gateway, World::identity(0).0).await.unwrap();
    let (sender, mut receiver) = link.split();
    let hello = || FromClient::Hello { version: PROTOCOL_VERSION }.to_bytes().into();
    sender.send(hello()).await.unwrap();
    while let Ok(Some(frame)) = receiver.recv().await {
        let (now, arrived) = (SystemClock::now(), Instant::now());
        let input = Input::from(ToClient::from_bytes(&frame).unwrap());
        core.handle(now, input);
        while let Some(output) = core.poll() {
            let Output::Submit { at, epoch, round, ticket, onions } = output else { continue };
            let late = if leak == Leak::Late { 30 } else { 0 };
            sleep_until(arrived + Duration::from_millis(at.ms_since(now) + late)).await;
            let submit = FromClient::Submit { epoch, round, ticket, onions: Blob(onions) };
            sender.send(submit.to_bytes().into()).await.unwrap();
            if leak == Leak::Extra {
                sender.send(hello()).await.unwrap();
            }
        }
    }
}

/// What a leaking client has to know of the world.
struct Joining {
    network: antiphon_client::NetworkFile,
    document: antiphon_wire::SignedDocument,
    gateway: SocketAddr,
}

#[tokio::test]
async fn the_same_measures_catch_clients_that_leak() {
    let capture = Capture::default();
    let mut world = World::behind(|address| capture.relay(address));
    let mut shards = world.mix.signed.document.shards.iter();
    let gateway =
        shards.find(|shard| shard.identity == World::identity(0)).unwrap().client_addresses.first();
    let leaks = [Leak::None, Leak::None, Leak::None, Leak::None, Leak::Extra, Leak::Extra];
    let leaks = [&leaks[..], &[Leak::Late, Leak::Late]].concat();
    let mut served = Vec::new();
    let mut tasks = Vec::new();
    for (seed, how) in (1..).zip(&leaks) {
        let (network, document) = (world.mix.network.clone(), world.mix.signed.clone());
        let task = leak(Joining { network, document, gateway }, *how, seed);
        tasks.push(tokio::spawn(task));
        served.push(within(Served::accept(&mut world.gateways[0])).await);
    }
    let begun = play(&world, &mut served, 75, |_, _| false).await;
    let seen = capture.clients();
    let of = |range: std::ops::Range<usize>| measure(&capture, &seen[range], &begun);
    let honest = of(0..2);
    assert_eq!(differences(&honest, &of(2..4)), [], "two that leak nothing");
    let names = |found: Vec<(&'static str, f64)>| found.iter().map(|f| f.0).collect::<Vec<_>>();
    assert!(names(differences(&honest, &of(4..6))).contains(&"bytes up"));
    assert!(names(differences(&honest, &of(6..8))).contains(&"opening to onions, ms"));
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
}
