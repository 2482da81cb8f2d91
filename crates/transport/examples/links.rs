//! What a byte costs on a link between two shards, over TCP, and what it would cost over QUIC, in frames
//! on a link of a client: four peers send to one server over loopback. Processor time is that of each side's threads, so that what else
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
    Accept, BatchSender, Chunk, CloseReason, Dialer, Identity, Lane, Limits, Link, LinkLost,
    PeerDialer, PeerReceiver, PeerServer, Server,
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
        for transport in ["quic", "tcp"] {
            let runs = (0..args.runs.max(1))
                .map(|_| run(transport, batch_bytes, frame_bytes, args.megabytes));
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
    let batches = (megabytes << 20) / batch_bytes;
    let batch = vec![Bytes::from(vec![7; frame_bytes]); batch_bytes / frame_bytes];
    let links: Vec<Pair> = match transport {
        "quic" => over_quic(&sending, &receiving),
        _ => over_tcp(&sending, &receiving),
    };

    let before = (cpu("sending"), cpu("receiving"));
    let start = Instant::now();
    let mut tasks = Vec::new();
    for pair in links {
        let batch = batch.clone();
        match pair {
            Pair::Quic(theirs, ours) => {
                tasks.push(sending.spawn(send_frames(theirs, batch, batches)));
                tasks.push(receiving.spawn(receive_frames(ours, batches * batch_bytes)));
            }
            Pair::Tcp(theirs, ours) => {
                tasks.push(sending.spawn(send_batches(theirs, batch, batches)));
                tasks.push(receiving.spawn(receive_batches(ours, batches * batch_bytes)));
            }
        }
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

/// Both ends of a link, the sender first.
enum Pair {
    Quic(Link, Link),
    Tcp(BatchSender, PeerReceiver),
}

fn identity(seed: u8) -> Identity {
    Identity::from_seed(&[seed; 32])
}

fn over_quic(sending: &Runtime, receiving: &Runtime) -> Vec<Pair> {
    let limits = Limits { max_received_bytes: 1 << 20, ..Limits::coordinator() };
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let mut server = receiving
        .block_on(async { Server::bind(any, &identity(100), Accept::AnyIdentity, limits.clone()) })
        .unwrap();
    let dialer = Dialer::new(Some(&identity(1)), limits);
    let addr = server.local_addr().unwrap();
    (0..PEERS)
        .map(|_| {
            let dialled = sending.block_on(dialer.dial(addr, identity(100).public())).unwrap();
            Pair::Quic(dialled, receiving.block_on(server.accept()).unwrap())
        })
        .collect()
}

fn over_tcp(sending: &Runtime, receiving: &Runtime) -> Vec<Pair> {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let mut server = receiving
        .block_on(async { PeerServer::bind(any, &identity(100), |_| true, Limits::shards()) })
        .unwrap();
    let dialer = PeerDialer::new(&identity(1), Limits::shards());
    let addr = server.local_addr();
    (0..PEERS)
        .map(|_| {
            let dialled = dialer.dial(addr, identity(100).public(), Lane::Batches);
            let dialled = sending.block_on(dialled).unwrap();
            Pair::Tcp(BatchSender::new(dialled), receiving.block_on(server.accept()).unwrap())
        })
        .collect()
}

async fn send_frames(link: Link, batch: Vec<Bytes>, batches: usize) {
    let (sender, _receiver) = link.split();
    for _ in 0..batches {
        sender.send_all(&batch).await.unwrap();
    }
    // Until the other side has all of it.
    sender.closed().await;
}

async fn receive_frames(link: Link, bytes: usize) {
    let (sender, mut receiver) = link.split();
    let mut total = 0;
    while total < bytes {
        total += receiver.recv().await.unwrap().unwrap().len();
    }
    sender.close(CloseReason::Done);
}

async fn send_batches(mut link: BatchSender, batch: Vec<Bytes>, mut batches: usize) {
    while batches > 0 || link.under_way() > 0 {
        while batches > 0 && link.has_room() {
            link.begin(batch.clone());
            batches -= 1;
        }
        link.send_some().await.unwrap();
    }
    // Until the other side has all of it.
    assert_eq!(link.idle().await, LinkLost::ByPeer { reason: CloseReason::Done });
}

async fn receive_batches(mut link: PeerReceiver, bytes: usize) {
    let mut total = 0;
    while total < bytes {
        total += Chunk::from_frame(link.recv().await.unwrap().unwrap()).unwrap().bytes.len();
    }
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
