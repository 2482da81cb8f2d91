//! What a byte costs on a link between two shards, over QUIC and over TCP: four peers send batches
//! to one server over loopback. Processor time is that of each side's threads, so that what else
//! runs on the machine matters little; the best of several runs counts. Linux only.
//!
//! `cargo run --release -p antiphon-transport --example links -- [--json PATH]`

#![expect(clippy::unwrap_used, reason = "a measurement ends when something goes wrong")]

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use antiphon_transport::{
    Accept, BulkReceiver, Dialer, Identity, Incoming, Limits, Link, Server, Transport,
};
use bytes::Bytes;
use clap::Parser;
use serde::Serialize;
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

/// Measures the links between shards.
#[derive(Parser)]
struct Args {
    /// Where to write the figures as JSON; `-` is standard output.
    #[arg(long, value_name = "PATH")]
    json: Option<PathBuf>,
    /// Megabytes that each peer sends in a run.
    #[arg(long, default_value_t = 256)]
    megabytes: usize,
    /// Runs of each kind, of which the best counts.
    #[arg(long, default_value_t = 5)]
    runs: usize,
}

const PEERS: u8 = 4;

/// The longest wait for the threads of a run to end.
const SHUTDOWN: Duration = Duration::from_secs(10);

/// Bytes of a batch and of its frames.
const SHAPES: [(usize, usize); 4] =
    [(1 << 20, 64 << 10), (5 << 20, 64 << 10), (1 << 20, 128 << 10), (5 << 20, 128 << 10)];

/// What one kind of link gives.
#[derive(Clone, Serialize)]
struct Figures {
    transport: &'static str,
    batch_bytes: usize,
    frame_bytes: usize,
    gigabytes_per_second: f64,
    send_cpu_ns_per_byte: f64,
    receive_cpu_ns_per_byte: f64,
    cpu_ns_per_byte: f64,
}

fn main() {
    let args = Args::parse();
    let mut out: Box<dyn Write> = match &args.json {
        Some(path) if path != Path::new("-") => Box::new(fs::File::create(path).unwrap()),
        _ => Box::new(io::stdout()),
    };
    let mut all = Vec::new();
    for (batch_bytes, frame_bytes) in SHAPES {
        for (transport, limits) in [("quic", Limits::peers()), ("tcp", Limits::shards())] {
            assert_eq!(limits.transport == Transport::Tcp, transport == "tcp");
            let runs = (0..args.runs.max(1))
                .map(|_| run(transport, &limits, batch_bytes, frame_bytes, args.megabytes));
            let best = runs.min_by(|a, b| a.cpu_ns_per_byte.total_cmp(&b.cpu_ns_per_byte)).unwrap();
            eprintln!(
                "{transport:4} batches of {:4} kB in frames of {:3} kB: {:5.2} GB/s, CPU ns/byte: \
                 {:.3} sending + {:.3} receiving = {:.3}",
                batch_bytes >> 10,
                frame_bytes >> 10,
                best.gigabytes_per_second,
                best.send_cpu_ns_per_byte,
                best.receive_cpu_ns_per_byte,
                best.cpu_ns_per_byte,
            );
            all.push(best);
        }
    }
    if args.json.is_some() {
        serde_json::to_writer_pretty(&mut out, &all).unwrap();
        writeln!(out).unwrap();
    }
}

fn run(
    transport: &'static str,
    limits: &Limits,
    batch_bytes: usize,
    frame_bytes: usize,
    megabytes: usize,
) -> Figures {
    let runtime = |name: &str| {
        Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name(name)
            .enable_all()
            .build()
            .unwrap()
    };
    let (sending, receiving): (Runtime, Runtime) = (runtime("sending"), runtime("receiving"));
    let server = Identity::from_seed(&[100; 32]);
    let (addr, receivers) = receiving.block_on(async {
        let any = "127.0.0.1:0".parse().unwrap();
        let mut listening =
            Server::bind(any, &server, Accept::AnyIdentity, limits.clone()).unwrap();
        let addr = listening.local_addr().unwrap();
        let (links, receivers) = std::sync::mpsc::channel();
        tokio::spawn(async move {
            while let Some(link) = listening.accept().await {
                links.send(link).unwrap();
            }
        });
        (addr, receivers)
    });
    let dial = |peer: u8, addr: SocketAddr| {
        let dialer = Dialer::new(Some(&Identity::from_seed(&[peer; 32])), limits.clone());
        let server = server.public();
        sending.block_on(async move { (dialer.dial(addr, server).await.unwrap(), dialer) })
    };
    let links: Vec<_> = (0..PEERS)
        .map(|peer| {
            let (link, dialer) = dial(peer, addr);
            (link, receivers.recv().unwrap(), dialer)
        })
        .collect();
    let batches = (megabytes << 20) / batch_bytes;
    let batch = vec![Bytes::from(vec![7; frame_bytes]); batch_bytes / frame_bytes];

    let before = (cpu("sending"), cpu("receiving"));
    let start = Instant::now();
    let mut tasks = Vec::new();
    let mut dialers = Vec::new();
    for (theirs, ours, dialer) in links {
        dialers.push(dialer);
        tasks.push(sending.spawn(send(theirs, batch.clone(), batches)));
        tasks.push(receiving.spawn(receive(ours, batches, batch_bytes)));
    }
    for task in tasks {
        sending.block_on(task).unwrap();
    }
    let seconds = start.elapsed().as_secs_f64();
    let bytes = (batches * batch_bytes * usize::from(PEERS)) as f64;
    let send = (cpu("sending") - before.0) as f64 / bytes;
    let receive = (cpu("receiving") - before.1) as f64 / bytes;
    // Threads that go away later would be taken off the next run's time.
    sending.shutdown_timeout(SHUTDOWN);
    receiving.shutdown_timeout(SHUTDOWN);
    Figures {
        transport,
        batch_bytes,
        frame_bytes,
        gigabytes_per_second: bytes / seconds / 1e9,
        send_cpu_ns_per_byte: send,
        receive_cpu_ns_per_byte: receive,
        cpu_ns_per_byte: send + receive,
    }
}

async fn send(link: Link, batch: Vec<Bytes>, batches: usize) {
    let (sender, _receiver) = link.split();
    for _ in 0..batches {
        let mut bulk = sender.open_bulk().await.unwrap();
        bulk.send(batch.clone()).await.unwrap();
        bulk.finish();
    }
    // Until the other side has all of it.
    sender.closed().await;
}

async fn receive(link: Link, batches: usize, batch_bytes: usize) {
    let (sender, mut receiver) = link.split();
    let mut tasks = Vec::new();
    for _ in 0..batches {
        let Ok(Some(Incoming::Bulk(bulk))) = receiver.recv().await else { panic!("no batch") };
        tasks.push(tokio::spawn(drain(bulk)));
    }
    let mut total = 0;
    for task in tasks {
        total += task.await.unwrap();
    }
    assert_eq!(total, batches * batch_bytes);
    sender.close(antiphon_transport::CloseReason::Done);
}

async fn drain(mut bulk: BulkReceiver) -> usize {
    let mut total = 0;
    while let Some(frame) = bulk.next().await.unwrap() {
        total += frame.len();
    }
    total
}

/// Processor time that the threads named `name` have had, in nanoseconds.
fn cpu(name: &str) -> u64 {
    let of = |task: &Path| {
        let comm = fs::read_to_string(task.join("comm")).ok()?;
        let times = fs::read_to_string(task.join("schedstat")).ok()?;
        (comm.trim() == name).then(|| times.split(' ').next()?.parse::<u64>().ok())?
    };
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    tasks.filter_map(|task| of(&task.ok()?.path())).sum()
}
