//! A controller as a process of its own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::api::Api;

/// The longest that anything may take on a busy machine.
const DEADLINE: Duration = Duration::from_secs(30);
/// Time between two questions.
const AGAIN: Duration = Duration::from_millis(100);

/// A controller that runs, and stops when this is dropped.
pub(crate) struct Controller {
    process: Child,
    admin: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Controller {
    /// Starts a controller by the name of `one` for the namespace `space`.
    pub(crate) fn start(api: &Api) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        std::fs::write(&file, kubeconfig(api.address).to_string()).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_antiphon-operator"))
            .args(["run", "--namespace", "space", "--name", "one", "--admin", "127.0.0.1:0"])
            .env("KUBECONFIG", &file)
            .env_remove("HTTP_PROXY")
            .env_remove("http_proxy")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let admin = address_in(&mut log);
        // What is logged later is read, so that it holds up nobody.
        thread::spawn(move || log.lines().map_while(Result::ok).for_each(drop));
        Self { process, admin, _folder: folder }
    }

    pub(crate) fn get(&self, path: &str) -> String {
        self.ask("GET", path, "")
    }

    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(self.admin).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    pub(crate) fn status(&self) -> Value {
        let answer = self.get("/status");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap()
    }

    /// Asks until the answer has this code and these words.
    pub(crate) fn wait_for(&self, path: &str, code: &str, words: &str) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let answer = self.get(path);
            if answer.split(' ').nth(1) == Some(code) && answer.contains(words) {
                return;
            }
            assert!(Instant::now() < deadline, "no {code} with {words}: {answer}");
            thread::sleep(AGAIN);
        }
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The admin server's address, as the log tells it.
fn address_in(log: &mut impl std::io::BufRead) -> SocketAddr {
    loop {
        let mut line = String::new();
        assert!(log.read_line(&mut line).unwrap() > 0, "it ended before it listened");
        if let Some((_, address)) = line.trim_end().split_once("address=") {
            return address.parse().unwrap();
        }
    }
}

fn kubeconfig(address: SocketAddr) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "test", "cluster": { "server": format!("http://{address}") } }],
        "users": [{ "name": "test", "user": {} }],
        "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test", "namespace": "space" } }],
        "current-context": "test",
    })
}
