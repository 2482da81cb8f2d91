//! Counts and gauges of a running shard, and a small HTTP server that shows them to Prometheus.
//!
//! All of them are aggregates that anyone who watches the network could count: nothing about single
//! clients, and nothing about how noise is split. They are the process's: with several shards in one
//! process they add up or overwrite each other.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use antiphon_mix::RoundTrace;
use antiphon_transport::ServerStats;
use antiphon_wire::RoundOutcome;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::error::Elapsed;
use tokio::time::{interval, sleep, timeout};

const ROUNDS: &str = "antiphon_shard_rounds_total";
const ROUND_SECONDS: &str = "antiphon_shard_round_seconds";
const PHASE_SECONDS: &str = "antiphon_shard_phase_seconds";
const CPU_SECONDS: &str = "antiphon_shard_cpu_seconds";
const LINKS: &str = "antiphon_shard_endpoint_links";
const HALF_OPEN: &str = "antiphon_shard_endpoint_half_open";
const ACCEPTED: &str = "antiphon_shard_endpoint_accepted_total";
const REFUSED: &str = "antiphon_shard_endpoint_refused_total";
const FAILED: &str = "antiphon_shard_endpoint_failed_total";
const CLIENTS: &str = "antiphon_shard_clients";
const CLIENTS_DROPPED: &str = "antiphon_shard_clients_dropped_total";
const PEER_LINKS: &str = "antiphon_shard_peer_links";
const WORK_QUEUED: &str = "antiphon_shard_work_queued";
const MESSAGES_LOST: &str = "antiphon_shard_messages_lost_total";

/// The longest request that is read, in bytes.
const MOST_REQUEST_BYTES: usize = 8 << 10;
/// Where the metrics are.
const PATH: &str = "/metrics";
/// How long one request may take.
const REQUEST_TIME: Duration = Duration::from_secs(5);
/// Requests that are answered at once.
const AT_ONCE: usize = 16;
/// How long to wait when the system gives no more sockets.
const PAUSE: Duration = Duration::from_millis(100);
/// How often old values are folded together.
const UPKEEP: Duration = Duration::from_secs(5);

/// Upper bounds of the buckets for round latencies, in seconds.
const ROUND_BUCKETS: [f64; 12] = [0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 20.0];
/// Upper bounds of the buckets for the phases of a round, and what computing takes in one, in seconds.
const PHASE_BUCKETS: [f64; 12] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// Why metrics cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The address cannot be used.
    #[error("cannot serve metrics on TCP {address}: {source}: is another process there?")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Something else collects this process's metrics already.
    #[error("cannot collect metrics: {0}")]
    Recorder(String),
}

/// Collects this process's metrics and serves them over HTTP, as text for Prometheus, under
/// `/metrics`, until the returned task is aborted. Call it once, before the shard starts. Gives the
/// address that it listens on.
///
/// # Errors
/// If the address is taken or something else collects metrics already.
pub async fn serve(address: SocketAddr) -> Result<(SocketAddr, JoinHandle<()>), MetricsError> {
    let bind = |source| MetricsError::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(bind)?;
    let local = listener.local_addr().map_err(bind)?;
    let handle = PrometheusBuilder::new()
        .set_buckets(&PHASE_BUCKETS)
        .and_then(|builder| {
            builder.set_buckets_for_metric(Matcher::Full(ROUND_SECONDS.to_owned()), &ROUND_BUCKETS)
        })
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|error| MetricsError::Recorder(error.to_string()))?;
    describe();
    Ok((local, tokio::spawn(answer_all(listener, handle))))
}

fn describe() {
    describe_counter!(ROUNDS, "Rounds that ended here, by outcome");
    describe_histogram!(ROUND_SECONDS, "Time from a round's opening to its end here");
    describe_histogram!(
        PHASE_SECONDS,
        "Time of a round in one phase; once a layer where it has layers"
    );
    describe_histogram!(CPU_SECONDS, "Time of threads spent on a round, by kind of work");
    describe_gauge!(LINKS, "Links held, by endpoint");
    describe_gauge!(HALF_OPEN, "Handshakes in progress, by endpoint");
    describe_counter!(ACCEPTED, "Links let in, by endpoint");
    describe_counter!(REFUSED, "Links not let in, by endpoint and why");
    describe_counter!(FAILED, "Handshakes that failed or took too long, by endpoint");
    describe_gauge!(CLIENTS, "Clients linked");
    describe_counter!(CLIENTS_DROPPED, "Clients whose link was closed here, by why");
    describe_gauge!(PEER_LINKS, "Other shards linked to this one");
    describe_gauge!(WORK_QUEUED, "Pieces of work that wait for a thread, by urgency");
    describe_counter!(MESSAGES_LOST, "Messages to other shards lost with a link or a full queue");
}

async fn answer_all(listener: TcpListener, handle: PrometheusHandle) {
    let mut upkeep = interval(UPKEEP);
    let mut answering: VecDeque<AbortOnDropHandle> = VecDeque::new();
    loop {
        tokio::select! {
            _ = upkeep.tick() => handle.run_upkeep(),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    answering.retain(|task| !task.0.is_finished());
                    // Whoever has said nothing for longest goes first.
                    if answering.len() >= AT_ONCE {
                        answering.pop_front();
                    }
                    let handle = handle.clone();
                    let answer = async move { timeout(REQUEST_TIME, answer(stream, &handle)).await };
                    answering.push_back(AbortOnDropHandle(tokio::spawn(answer)));
                }
                // No descriptors are left: others will give theirs back.
                Err(_) => sleep(PAUSE).await,
            },
        }
    }
}

/// A request that is answered, until this is dropped.
struct AbortOnDropHandle(JoinHandle<Result<io::Result<()>, Elapsed>>);

impl Drop for AbortOnDropHandle {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn answer(mut stream: TcpStream, handle: &PrometheusHandle) -> io::Result<()> {
    let mut request = Vec::with_capacity(1024);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if request.len() > MOST_REQUEST_BYTES || stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let (status, body) = match what(&request) {
        Ok(()) => ("200 OK", handle.render()),
        Err(status) => (status, format!("{status}: metrics are at GET {PATH}\n")),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nAllow: GET\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

/// Whether a request is for the metrics; otherwise what to say instead.
fn what(request: &[u8]) -> Result<(), &'static str> {
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err("400 Bad Request");
    };
    let path = target.split(|byte| *byte == b'?').next();
    if !version.starts_with(b"HTTP/1.") {
        Err("505 HTTP Version Not Supported")
    } else if path != Some(PATH.as_bytes()) {
        Err("404 Not Found")
    } else if method != b"GET" {
        Err("405 Method Not Allowed")
    } else {
        Ok(())
    }
}

pub(crate) fn round_ended(outcome: &RoundOutcome, took_ms: u64) {
    let outcome = match outcome {
        RoundOutcome::Delivered => "delivered",
        RoundOutcome::Withheld { .. } => "withheld",
        RoundOutcome::NotOpened { .. } => "not_opened",
    };
    counter!(ROUNDS, "outcome" => outcome).increment(1);
    histogram!(ROUND_SECONDS).record(took_ms as f64 / 1000.0);
}

pub(crate) fn round_traced(trace: &RoundTrace) {
    let phase = |phase: &'static str, took: Duration| {
        histogram!(PHASE_SECONDS, "phase" => phase).record(took.as_secs_f64());
    };
    phase("submit", trace.submit);
    for layer in &trace.layers {
        phase("wait", layer.wait);
        phase("receive", layer.receive);
        phase("peel", layer.peel);
        phase("shuffle", layer.shuffle);
        phase("send", layer.send);
    }
    phase("verification", trace.verification);
    phase("exchange", trace.exchange);
    phase("replies", trace.replies);
    let cpu = |work: &'static str, took: Duration| {
        histogram!(CPU_SECONDS, "work" => work).record(took.as_secs_f64());
    };
    cpu("peel", trace.layers.iter().map(|layer| layer.peel_cpu).sum());
    cpu("noise", trace.noise_cpu);
}

pub(crate) fn endpoint(endpoint: &'static str, stats: &ServerStats) {
    gauge!(LINKS, "endpoint" => endpoint).set(stats.links as f64);
    gauge!(HALF_OPEN, "endpoint" => endpoint).set(stats.half_open as f64);
    counter!(ACCEPTED, "endpoint" => endpoint).absolute(stats.accepted);
    counter!(FAILED, "endpoint" => endpoint).absolute(stats.failed);
    for (why, count) in [
        ("full", stats.refused_full),
        ("share", stats.refused_share),
        ("pace", stats.refused_pace),
        ("handshakes", stats.pushed_out),
    ] {
        counter!(REFUSED, "endpoint" => endpoint, "why" => why).absolute(count);
    }
}

pub(crate) fn clients(linked: usize) {
    gauge!(CLIENTS).set(linked as f64);
}

pub(crate) fn client_dropped(why: &'static str) {
    counter!(CLIENTS_DROPPED, "why" => why).increment(1);
}

pub(crate) fn peer_links(links: usize) {
    gauge!(PEER_LINKS).set(links as f64);
}

pub(crate) fn work_queued(urgent: usize, background: usize) {
    gauge!(WORK_QUEUED, "urgency" => "urgent").set(urgent as f64);
    gauge!(WORK_QUEUED, "urgency" => "background").set(background as f64);
}

pub(crate) fn message_lost() {
    counter!(MESSAGES_LOST).increment(1);
}

#[cfg(test)]
mod tests {
    use antiphon_mix::LayerTrace;

    use super::*;

    #[tokio::test]
    async fn what_is_counted_is_served() {
        let (address, task) = serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
        round_ended(&RoundOutcome::Delivered, 300);
        clients(3);
        let layer = LayerTrace { wait: Duration::from_millis(3), ..LayerTrace::default() };
        round_traced(&RoundTrace { layers: vec![layer; 2], ..RoundTrace::default() });
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"));
        assert!(answer.contains("antiphon_shard_rounds_total{outcome=\"delivered\"} "));
        assert!(answer.contains("antiphon_shard_round_seconds_bucket{le=\"0.4\"} "));
        assert!(answer.contains("antiphon_shard_clients "));
        assert!(answer.contains("antiphon_shard_phase_seconds_count{phase=\"wait\"} 2"));
        assert!(answer.contains("antiphon_shard_cpu_seconds_count{work=\"peel\"} 1"));
        task.abort();
    }

    async fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn idle_connections_do_not_delay_a_scrape_and_other_paths_are_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let handle = PrometheusBuilder::new().build_recorder().handle();
        let task = tokio::spawn(answer_all(listener, handle));
        let mut idle = Vec::new();
        for _ in 0..10 * AT_ONCE {
            idle.push(TcpStream::connect(address).await.unwrap());
        }
        let scrape = ask(address, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        let answer = timeout(Duration::from_secs(2), scrape).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        for (request, status) in [
            ("GET / HTTP/1.1\r\n\r\n", "404"),
            ("GET /metrics/ HTTP/1.1\r\n\r\n", "404"),
            ("POST /metrics HTTP/1.1\r\n\r\n", "405"),
            ("GET /metrics\r\n\r\n", "400"),
            ("GET /metrics HTTP/2.0\r\n\r\n", "505"),
        ] {
            let answer = ask(address, request).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        }
        task.abort();
    }
}
