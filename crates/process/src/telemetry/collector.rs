//! The way of rounds to the collector: a bounded queue, and one request at a time.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{RoundSpans, Teller, otlp};
use crate::metrics::labels::Telling;
use crate::metrics::network::TRACES;

/// Rounds that wait for the collector; more are forgotten.
const WAITING: usize = 64;
/// Rounds in one request.
const AT_ONCE: usize = 8;
/// How long a request may take in all.
const WITHIN: Duration = Duration::from_secs(3);
/// The answer of a collector that has taken everything begins like this; all else is a failure, and nobody reads it.
const TAKEN: &[u8; 12] = b"HTTP/1.1 200";

/// Takes rounds for the collector.
#[derive(Debug)]
pub(super) struct Collector(mpsc::Sender<RoundSpans>);

impl Collector {
    /// Sends what it is offered to the collector at this host and port, on the runtime that this is called in.
    pub(super) fn start(host: String, teller: Teller) -> Self {
        let (offers, taken) = mpsc::channel(WAITING);
        tokio::spawn(send_on(host, teller, taken));
        Self(offers)
    }

    /// Takes a round, or counts it as lost.
    pub(super) fn offer(&self, round: RoundSpans) {
        if self.0.try_send(round).is_err() {
            TRACES.add(Telling::Lost, 1);
        }
    }
}

/// Whatever has come meanwhile goes with one request, and is not sent twice.
async fn send_on(host: String, teller: Teller, mut taken: mpsc::Receiver<RoundSpans>) {
    let mut rounds = Vec::new();
    while taken.recv_many(&mut rounds, AT_ONCE).await > 0 {
        let body = otlp::request(&teller, &rounds).to_string();
        let count = rounds.drain(..).count() as u64;
        match timeout(WITHIN, post(&host, &body)).await {
            Ok(Ok(())) => TRACES.add(Telling::Sent, count),
            Ok(Err(error)) => {
                TRACES.add(Telling::Failed, count);
                tracing::debug!(%error, "the collector took no traces");
            }
            Err(_) => TRACES.add(Telling::Failed, count),
        }
    }
}

async fn post(host: &str, body: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect(host).await?;
    let length = body.len();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    let mut begins = [0; TAKEN.len()];
    stream.read_exact(&mut begins).await?;
    if begins == *TAKEN { Ok(()) } else { Err(io::Error::other("it answers with an error")) }
}

#[cfg(test)]
mod tests {
    use antiphon_wire::{Digest, IdentityKey, Round, Timestamp};
    use ed25519_dalek::SigningKey;
    use tokio::net::TcpListener;

    use super::*;
    use crate::metrics::Program;
    use crate::telemetry::Span;

    fn teller() -> Teller {
        let identity = IdentityKey::of(&SigningKey::from_bytes(&[1; 32]));
        Teller { program: Program::Coordinator, network: Digest([2; 32]), identity }
    }

    fn round(round: u64) -> RoundSpans {
        let whole = Span::new("round", Duration::from_millis(1));
        RoundSpans { round: Round(round), ended: Timestamp(1), whole, failed: None }
    }

    /// Takes one request, and returns its head and its body.
    async fn take(collector: &TcpListener, answer: &str) -> (String, serde_json::Value) {
        let (mut stream, _) = collector.accept().await.unwrap();
        let mut read = Vec::new();
        loop {
            let mut more = [0; 4096];
            let count = stream.read(&mut more).await.unwrap();
            read.extend_from_slice(&more[..count]);
            let text = String::from_utf8_lossy(&read);
            if let Some((head, body)) = text.split_once("\r\n\r\n")
                && let Ok(body) = serde_json::from_str(body)
            {
                let _ = stream.write_all(answer.as_bytes()).await;
                return (head.to_owned(), body);
            }
            assert!(count > 0, "it ended: {text}");
        }
    }

    #[tokio::test]
    async fn rounds_come_to_the_collector_by_the_published_path_and_type_and_go_on_after_a_failure()
    {
        let collector = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let taker = Collector::start(collector.local_addr().unwrap().to_string(), teller());
        for (number, answer) in [
            (1, "HTTP/1.1 503 x\r\n\r\n"),
            (2, ""),
            (3, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
        ] {
            taker.offer(round(number));
            let (head, body) = take(&collector, answer).await;
            assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
            assert!(head.contains("\r\nContent-Type: application/json"), "{head}");
            let span = &body["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
            let trace = span["traceId"].as_str().unwrap();
            assert!(trace.ends_with(&format!("{number:016x}")), "{trace}");
        }
    }

    #[tokio::test]
    async fn a_collector_that_takes_nothing_holds_up_nobody_and_costs_a_bounded_queue() {
        // It accepts and never answers.
        let collector = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let taker = Collector::start(collector.local_addr().unwrap().to_string(), teller());
        // None of this awaits, so that nothing is sent meanwhile.
        (0..10 * WAITING as u64).for_each(|number| taker.offer(round(number)));
        assert_eq!((taker.0.capacity(), taker.0.max_capacity()), (0, WAITING));
    }
}
