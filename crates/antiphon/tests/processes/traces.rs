//! What processes tell a collector of traces, read by a collector of the tests' own.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use serde_json::Value;

use crate::network::{Network, SHARDS, delivered_after};
use crate::process::DEADLINE;

/// Everything that may be counted in a span: nothing of it is about clients.
const COUNTS: &[&str] = &[
    "antiphon.epoch",
    "antiphon.layer",
    "antiphon.noise_cpu_us",
    "antiphon.onions",
    "antiphon.peel_cpu_us",
    "antiphon.round",
    "antiphon.send_us",
    "antiphon.silent_shards",
];
const NAMES: &[&str] = &[
    "round",
    "submit",
    "layer",
    "wait",
    "receive",
    "verification",
    "peel",
    "shuffle",
    "exchange",
    "replies",
];

/// A collector, and the requests that came to it.
struct Collector {
    address: String,
    requests: Receiver<Value>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (sender, requests) = channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, sender) = (stream.unwrap(), sender.clone());
                thread::spawn(move || take(stream, &sender));
            }
        });
        Self { address, requests }
    }
}

/// Takes one request as the specification says that a collector does.
fn take(mut stream: TcpStream, sender: &Sender<Value>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        // A process that is stopped breaks off.
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if line == "\r\n" {
            break;
        }
        head.push(line.trim_end().to_ascii_lowercase());
    }
    assert_eq!(head[0], "post /v1/traces http/1.1");
    assert!(head.contains(&"content-type: application/json".to_owned()), "{head:?}");
    let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    // Fails only when the test is over.
    let _ = sender.send(serde_json::from_slice(&body).unwrap());
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
}

/// A span, and the process that told it.
#[derive(Clone)]
struct Told {
    by: String,
    span: Value,
}

impl Told {
    fn text(&self, key: &str) -> &str {
        self.span[key].as_str().unwrap_or_default()
    }

    fn count(&self, key: &str) -> Option<u64> {
        let attributes = self.span["attributes"].as_array().unwrap();
        let found = attributes.iter().find(|each| each["key"] == key)?;
        found["value"]["intValue"].as_str().unwrap().parse().ok()
    }

    fn time(&self, key: &str) -> u64 {
        self.text(key).parse().unwrap()
    }
}

fn spans(request: &Value) -> Vec<Told> {
    let resource = &request["resourceSpans"][0];
    let attribute = |key: &str| {
        let all = resource["resource"]["attributes"].as_array().unwrap();
        let found = all.iter().find(|each| each["key"] == key).unwrap();
        found["value"]["stringValue"].as_str().unwrap().to_owned()
    };
    let by = format!("{} {}", attribute("service.name"), attribute("service.instance.id"));
    let spans = resource["scopeSpans"][0]["spans"].as_array().unwrap();
    spans.iter().map(|span| Told { by: by.clone(), span: span.clone() }).collect()
}

/// The spans of the first round that all processes have told of.
fn whole_trace(collector: &Collector) -> Vec<Told> {
    let mut traces: BTreeMap<String, Vec<Told>> = BTreeMap::new();
    loop {
        let request = collector.requests.recv_timeout(DEADLINE).expect("a round that all tell of");
        for told in spans(&request) {
            traces.entry(told.text("traceId").to_owned()).or_default().push(told);
        }
        let tellers = |told: &&Vec<Told>| {
            told.iter().map(|told| &told.by).collect::<BTreeSet<_>>().len() == 1 + SHARDS
        };
        if let Some(whole) = traces.values().find(tellers) {
            return whole.clone();
        }
    }
}

#[test]
fn a_round_is_one_trace_of_all_operators_processes_with_its_phases_and_nothing_about_clients() {
    let (network, collector) = (Network::new(), Collector::start());
    for name in ["coordinator", "alpha", "beta", "gamma", "delta"] {
        network.tell(&format!("{name}.toml"), &collector.address);
    }
    let mut coordinator = network.start_coordinator("coordinator");
    let _shards = network.start_shards();
    delivered_after(&mut coordinator, 1);
    let trace = whole_trace(&collector);

    let ids: BTreeSet<_> = trace.iter().map(|told| told.text("spanId")).collect();
    assert_eq!(ids.len(), trace.len(), "every span has an identifier of its own");
    let roots: Vec<_> = trace.iter().filter(|told| told.span["parentSpanId"].is_null()).collect();
    let [root] = roots[..] else { panic!("{} spans without a parent", roots.len()) };
    assert!(root.by.starts_with("antiphon-coordinator "), "{}", root.by);
    let rounds: BTreeSet<_> =
        trace.iter().filter_map(|told| told.count("antiphon.round")).collect();
    assert_eq!(rounds.len(), 1, "{rounds:?}");
    let mut layers: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    let mut verified: BTreeSet<&str> = BTreeSet::new();
    for told in &trace {
        assert!(NAMES.contains(&told.text("name")), "{}", told.span);
        assert!(told.time("endTimeUnixNano") >= told.time("startTimeUnixNano"), "{}", told.span);
        let parent = &told.span["parentSpanId"];
        assert!(parent.is_null() || ids.contains(parent.as_str().unwrap()), "{}", told.span);
        for attribute in told.span["attributes"].as_array().unwrap() {
            assert!(COUNTS.contains(&attribute["key"].as_str().unwrap()), "{attribute}");
        }
        layers.entry(&told.by).or_default().extend(told.count("antiphon.layer"));
        if told.text("name") == "verification" {
            assert!(verified.insert(&told.by), "{} verified twice", told.by);
        }
    }
    layers.remove(root.by.as_str());
    assert_eq!((layers.len(), verified.len()), (SHARDS, SHARDS));
    let all: BTreeSet<_> = layers.into_values().collect();
    assert_eq!(all.len(), 1, "all shards have the same layers: {all:?}");
    let numbers = all.first().unwrap();
    assert!(
        numbers.len() > 3 && numbers.iter().copied().eq(1..=numbers.len() as u64),
        "{numbers:?}"
    );
}
