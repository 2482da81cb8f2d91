//! As much of an API server as a controller needs to look at one resource that it refuses: its network file is missing.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

/// An API server of one namespace.
pub(crate) struct Api {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    away: bool,
    lease: Option<Value>,
    writes: usize,
}

impl Api {
    /// Answers until the test ends.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let kept = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, state) = (stream.unwrap(), Arc::clone(&kept));
                thread::spawn(move || serve(stream, &state));
            }
        });
        Self { address, state }
    }

    /// Whether it can answer.
    pub(crate) fn answers(&self, answers: bool) {
        self.state.lock().unwrap().away = !answers;
    }

    /// Has the Lease held by somebody who goes on renewing it for the length of a test.
    pub(crate) fn held_by(&self, holder: &str) {
        self.state.lock().unwrap().lease = Some(lease(&json!({ "holderIdentity": holder })));
    }

    /// How often something was written.
    pub(crate) fn writes(&self) -> usize {
        self.state.lock().unwrap().writes
    }
}

fn lease(spec: &Value) -> Value {
    let metadata =
        json!({ "name": "antiphon-operator", "namespace": "space", "resourceVersion": "1" });
    json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec })
}

fn mix() -> Value {
    json!({
        "apiVersion": "antiphon.dev/v1alpha1",
        "kind": "MixNetwork",
        "metadata": { "name": "mix", "namespace": "space", "uid": "u", "resourceVersion": "1", "generation": 1 },
        "spec": {
            "operator": "alpha",
            "network": { "configMap": "net", "id": "00".repeat(32) },
            "operatorKey": { "secret": "alpha-key" },
            "coordinator": { "run": {} },
            "image": format!("localhost/antiphon@sha256:{}", "1".repeat(64)),
        },
    })
}

/// Answers one request and closes the connection.
fn serve(mut stream: TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut line, mut length) = (String::new(), 0);
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return;
    }
    let (method, path) = (word(&line, 0), word(&line, 1));
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header).unwrap_or(0) == 0 || header == "\r\n" {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let (code, answer) = answer(&mut state.lock().unwrap(), &method, &path, &body);
    let answer = answer.to_string();
    let head = format!(
        "HTTP/1.1 {code} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        answer.len()
    );
    // A controller that was stopped meanwhile reads nothing more.
    let _ = stream.write_all(format!("{head}{answer}").as_bytes());
}

fn word(line: &str, at: usize) -> String {
    line.split(' ').nth(at).unwrap_or_default().to_owned()
}

fn answer(state: &mut State, method: &str, path: &str, body: &[u8]) -> (u16, Value) {
    if state.away {
        return (503, refusal(503, "the server is currently unable to handle the request"));
    }
    let path = path.split('?').next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    if method != "GET" {
        state.writes += 1;
    }
    match (method, name) {
        ("GET", "antiphon-operator") => match &state.lease {
            Some(lease) => (200, lease.clone()),
            None => (404, refusal(404, "there is no such Lease")),
        },
        ("POST" | "PUT", "leases" | "antiphon-operator") => {
            let written: Value = serde_json::from_slice(body).unwrap();
            let kept = lease(&written["spec"]);
            state.lease = Some(kept.clone());
            (200, kept)
        }
        ("GET", "mixnetworks") => (200, list("MixNetworkList", &json!([mix()]))),
        ("PATCH", "status") => (200, mix()),
        ("GET", "pods") => (200, list("PodList", &json!([]))),
        ("GET", "persistentvolumeclaims") => (200, list("PersistentVolumeClaimList", &json!([]))),
        _ => (404, refusal(404, "there is no such object")),
    }
}

fn list(kind: &str, items: &Value) -> Value {
    let version = if kind == "MixNetworkList" { "antiphon.dev/v1alpha1" } else { "v1" };
    json!({ "apiVersion": version, "kind": kind, "metadata": { "resourceVersion": "1" }, "items": items })
}

fn refusal(code: u16, message: &str) -> Value {
    let reason = if code == 404 { "NotFound" } else { "ServiceUnavailable" };
    json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure", "message": message, "reason": reason,
        "code": code,
    })
}
