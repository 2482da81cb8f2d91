//! Whoever asks, over real connections to a daemon whose network is not there.

mod schemathesis;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use antiphon_client::{ClientConfig, Coordinator, IdentityKey};
use antiphon_contacts::{BoxAddress, Expiry, NetworkMark, OwnCodes};
use antiphon_process::clock::SystemClock;
use antiphon_process::entropy::entropy;
use antiphon_profile::{KeyCost, Profile, StoreLimits, Unlock};
use antiphon_wire::{NetworkFile, Operator, Policy, Timestamp};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

use super::describe::openapi;
use super::{Server, Token};
use crate::messenger::Messenger;

/// As cheap as argon2 can be.
const CHEAP: KeyCost = KeyCost { memory_kib: 8, passes: 1, lanes: 1 };
const SOMEWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

struct Daemon {
    messenger: Arc<Messenger>,
    server: Server,
    token: Token,
    folder: TempDir,
    network: NetworkMark,
}

/// An answer: status, head, and content.
struct Answer(u16, String, Value);

impl Daemon {
    async fn start() -> Self {
        // Ten thousand writes are quick in memory.
        let memory = Path::new("/dev/shm");
        let folder = match memory.is_dir() {
            true => tempfile::tempdir_in(memory).unwrap(),
            false => tempfile::tempdir().unwrap(),
        };
        let path = folder.path().join("profile");
        let (unlock, now) = (Unlock::passphrase("correct horse"), SystemClock::now());
        let profile = Profile::create(&path, &unlock, CHEAP, now, &mut entropy()).unwrap();
        let operator = Operator { name: "a".into(), key: IdentityKey([1; 32]), weight: 1 };
        let policy = Policy { trusts_heavy_operators: true, ..Policy::DEFAULT };
        let file = NetworkFile::new(vec![operator], policy).unwrap();
        // Nobody is there.
        let address = "127.0.0.1:9".to_owned();
        let coordinator = Coordinator { address, identity: IdentityKey([2; 32]) };
        let network = NetworkMark::of(&file.id());
        let config = ClientConfig::new(file, vec![coordinator]);
        let messenger = Arc::new(Messenger::start(profile, config).unwrap());
        let server = Server::start(Arc::clone(&messenger), &path, SOMEWHERE).await.unwrap();
        let token = Token::read(&Server::token_file(&path)).unwrap();
        Self { messenger, server, token, folder, network }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("profile")
    }

    /// A code that somebody else made.
    fn strangers_code(&self) -> String {
        code_of(self.network, Expiry::NEVER)
    }

    /// Asks with these lines for a head.
    async fn ask_with(&self, line: &str, head: &str, body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.server.address()).await.unwrap();
        let length = body.len();
        let request = format!("{line} HTTP/1.0\r\n{head}Content-Length: {length}\r\n\r\n");
        stream.write_all(&[request.as_bytes(), body].concat()).await.unwrap();
        answer(stream).await
    }

    fn head(&self) -> String {
        format!("Host: localhost\r\nAuthorization: Bearer {}\r\n", self.token.text())
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask_with(&format!("GET {path}"), &self.head(), b"").await
    }

    async fn post(&self, path: &str, value: &Value) -> Answer {
        let head = format!("{}Content-Type: application/json\r\n", self.head());
        self.ask_with(&format!("POST {path}"), &head, value.to_string().as_bytes()).await
    }

    /// A contact, by its id.
    async fn contact(&self) -> String {
        let new = json!({ "name": "bob", "code": self.strangers_code() });
        let Answer(status, _, contact) = self.post("/v1/contacts", &new).await;
        assert_eq!(status, 201, "{contact}");
        contact["id"].as_str().unwrap().to_owned()
    }
}

fn code_of(network: NetworkMark, expiry: Expiry) -> String {
    let mut codes = OwnCodes::default();
    let made = codes.make("x", network, BoxAddress(1), expiry, &mut entropy()).unwrap();
    made.code().to_text()
}

async fn answer(mut stream: impl tokio::io::AsyncRead + Unpin) -> Answer {
    let mut bytes = Vec::new();
    // A refused request's rest is not read, and the connection may end with an error behind the answer.
    let _ = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer(status, head.to_lowercase(), serde_json::from_str(body).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn web_pages_other_names_and_whoever_lacks_the_token_are_refused() {
    let daemon = Daemon::start().await;
    let own = daemon.head();
    let token = daemon.token.text();
    let refused = [
        (401, "Host: localhost\r\n".to_owned()),
        (401, format!("Host: localhost\r\nAuthorization: Bearer {}\r\n", "0".repeat(64))),
        (401, format!("Host: localhost\r\nAuthorization: Basic {token}\r\n")),
        (403, format!("Host: evil.example\r\nAuthorization: Bearer {token}\r\n")),
        (403, format!("Authorization: Bearer {token}\r\n")),
        (403, format!("{own}Host: evil.example\r\n")),
        (403, format!("{own}Origin: https://evil.example\r\n")),
        (403, format!("{own}Origin: null\r\n")),
        (403, format!("{own}Origin: http://127.0.0.1:{}\r\n", daemon.server.address().port())),
    ];
    for (status, head) in refused {
        for path in ["/v1/status", "/v1/openapi.json", "/nowhere"] {
            let Answer(found, said, problem) =
                daemon.ask_with(&format!("GET {path}"), &head, b"").await;
            assert_eq!(found, status, "{head}");
            assert!(!said.contains("access-control"), "{said}");
            assert!(!problem["message"].as_str().unwrap().is_empty());
        }
    }
    let preflight =
        format!("{own}Access-Control-Request-Method: POST\r\nOrigin: https://a.example\r\n");
    assert_eq!(daemon.ask_with("OPTIONS /v1/codes", &preflight, b"").await.0, 403);
    assert_eq!(daemon.get("/v1/status").await.0, 200);
    let new = json!({ "label": "carol" }).to_string();
    for kind in
        ["", "Content-Type: text/plain\r\n", "Content-Type: application/x-www-form-urlencoded\r\n"]
    {
        let head = format!("{own}{kind}");
        let Answer(status, _, problem) =
            daemon.ask_with("POST /v1/codes", &head, new.as_bytes()).await;
        assert_eq!((status, &problem["kind"]), (415, &json!("content_type")));
    }
    assert_eq!(daemon.get("/v1/codes").await.2["codes"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_token_and_the_socket_are_their_owners_alone_and_the_socket_answers_too() {
    use std::os::unix::fs::PermissionsExt as _;

    let daemon = Daemon::start().await;
    let path = daemon.path();
    for file in [Server::token_file(&path), Server::socket(&path), Server::url_file(&path)] {
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
    let mut stream = UnixStream::connect(Server::socket(&path)).await.unwrap();
    let request = format!("GET /v1/status HTTP/1.0\r\n{}\r\n", daemon.head());
    stream.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(answer(stream).await.0, 200);
    let url = fs::read_to_string(Server::url_file(&path)).unwrap();
    assert_eq!(url, format!("http://{}\n", daemon.server.address()));
    drop(daemon.server);
    assert!(!Server::socket(&path).exists() && Server::token_file(&path).exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_idempotency_key_a_hundred_times_at_once_makes_one_message() {
    let daemon = Daemon::start().await;
    let contact = daemon.contact().await;
    let head = format!("{}Content-Type: application/json\r\nIdempotency-Key: 7\r\n", daemon.head());
    let path = format!("POST /v1/contacts/{contact}/messages");
    let mut ids = Vec::new();
    // As many at once as the server takes.
    for _ in 0..4 {
        let mut asked = tokio::task::JoinSet::new();
        for _ in 0..25 {
            let (path, head, address) = (path.clone(), head.clone(), daemon.server.address());
            asked.spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                let body = r#"{"text":"hello"}"#;
                let length = body.len();
                let request =
                    format!("{path} HTTP/1.0\r\n{head}Content-Length: {length}\r\n\r\n{body}");
                stream.write_all(request.as_bytes()).await.unwrap();
                answer(stream).await
            });
        }
        ids.extend(asked.join_all().await.into_iter().map(|Answer(status, _, taken)| {
            assert_eq!(status, 202, "{taken}");
            (taken["id"].as_str().unwrap().to_owned(), taken["is_new"] == json!(true))
        }));
    }
    assert_eq!(ids.len(), 100);
    assert_eq!(ids.iter().filter(|(_, is_new)| *is_new).count(), 1);
    assert!(ids.iter().all(|(id, _)| *id == ids[0].0));
    let other = daemon.ask_with(&path, &head, br#"{"text":"other"}"#).await;
    assert_eq!((other.0, &other.2["kind"]), (409, &json!("conflict")));
    let messages = daemon.get(&format!("/v1/contacts/{contact}/messages")).await.2;
    assert_eq!(messages["messages"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_sends_that_nobody_fetches_end_in_busy_and_nothing_grows() {
    let daemon = Daemon::start().await;
    let contact = daemon.contact().await;
    let path = format!("/v1/contacts/{contact}/messages");
    let id: antiphon_profile::ContactId = contact.parse().unwrap();
    let most = StoreLimits::default().open_messages;
    assert_eq!(most, 10_000);
    for number in 0..most - 10 {
        daemon.messenger.send(id, format!("message {number}").into_bytes(), None).await.unwrap();
    }
    let store = daemon.path().join("store");
    let (mut statuses, mut bytes) = (Vec::new(), 0);
    for number in 0..60 {
        let Answer(status, head, problem) =
            daemon.post(&path, &json!({ "text": format!("message {number}") })).await;
        if status == 429 {
            assert!(head.contains("retry-after: 60"), "{head}");
            let words = problem["message"].as_str().unwrap();
            assert!(words.contains("10000 messages wait"), "{words}");
            let now = fs::metadata(&store).unwrap().len();
            assert!(bytes == 0 || bytes == now, "the store grows from {bytes} to {now}");
            bytes = now;
        }
        statuses.push(status);
    }
    assert_eq!(statuses, [vec![202; 10], vec![429; 50]].concat());
    let status = daemon.get("/v1/status").await.2;
    assert_eq!((&status["open_messages"], &status["events"]), (&json!(most), &json!(most)));
    // A recalled one makes room, and says so.
    let first = daemon.get(&path).await.2["messages"][0]["id"].as_str().unwrap().to_owned();
    let recall = format!("/v1/messages/{first}/recall");
    assert_eq!(daemon.post(&recall, &json!({})).await.2["state"], json!("recalled"));
    assert_eq!(daemon.post(&recall, &json!({})).await.0, 409);
    assert_eq!(daemon.post(&path, &json!({ "text": "one more" })).await.0, 202);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_long_is_refused_with_the_limit() {
    let daemon = Daemon::start().await;
    let contact = daemon.contact().await;
    let path = format!("/v1/contacts/{contact}/messages");
    // Characters that JSON takes six for, and just as many as fit.
    let longest = "\u{1}".repeat(65_536);
    let Answer(status, _, taken) = daemon.post(&path, &json!({ "text": longest })).await;
    assert_eq!(status, 202, "{taken}");
    for text in ["a".repeat(65_537), "a".repeat(1 << 20)] {
        let Answer(status, _, problem) = daemon.post(&path, &json!({ "text": text })).await;
        assert_eq!(status, 413);
        assert!(problem["limit"].as_u64().unwrap() >= 65_536, "{problem}");
    }
    let head = format!("{}Content-Type: application/octet-stream\r\n", daemon.head());
    let line = format!("POST {path}");
    assert_eq!(daemon.ask_with(&line, &head, &[0xff; 65_536]).await.0, 202);
    assert_eq!(daemon.ask_with(&line, &head, &[0xff; 65_537]).await.2["limit"], json!(65_536));
    assert_eq!(daemon.get("/v1/status").await.2["open_messages"], json!(2));
}

/// An application that keeps the number of the last event together with what it did, and is killed at any moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_killed_a_thousand_times_sees_each_event_once() {
    use rand::{RngExt as _, SeedableRng as _};

    let daemon = Daemon::start().await;
    let contact = daemon.contact().await;
    let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(11);
    let (mut seen, mut kills, mut sent) = (Vec::new(), 0, 0);
    let id: antiphon_profile::ContactId = contact.parse().unwrap();
    while kills < 1000 {
        if sent < 100 && rng.random_ratio(1, 5) {
            let body = format!("message {sent}").into_bytes();
            daemon.messenger.send(id, body, None).await.unwrap();
            sent += 1;
        }
        let last = seen.last().copied().unwrap_or(0);
        let mut stream = TcpStream::connect(daemon.server.address()).await.unwrap();
        let head = daemon.head();
        let request =
            format!("GET /v1/events/stream HTTP/1.0\r\n{head}Last-Event-ID: {last}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        // Killed after so many bytes: in the head, between two events, or in the middle of one.
        let mut left = rng.random_range(1..700_usize);
        let mut text = Vec::new();
        while left > 0 {
            let mut bytes = vec![0; left];
            let read = stream.read(&mut bytes);
            let read = tokio::time::timeout(std::time::Duration::from_millis(2), read).await;
            let Ok(Ok(read @ 1..)) = read else { break };
            text.extend(&bytes[..read]);
            left -= read;
        }
        kills += 1;
        seen.extend(whole_events(&text));
    }
    let events = daemon.messenger.events_after(antiphon_profile::EventId(0), 1000).await.unwrap();
    let all: Vec<_> = events.iter().map(|event| event.id.0).collect();
    // What it has not come to yet is still there.
    let rest =
        daemon.messenger.events_after(antiphon_profile::EventId(*seen.last().unwrap()), 1000);
    seen.extend(rest.await.unwrap().iter().map(|event| event.id.0));
    assert_eq!(seen, all);
    assert_eq!(all.len(), 100);
}

/// The ids of the events that are whole.
fn whole_events(text: &[u8]) -> Vec<u64> {
    let text = String::from_utf8_lossy(text);
    let Some((_, body)) = text.split_once("\r\n\r\n") else { return Vec::new() };
    let Some((whole, _)) = body.rsplit_once("\n\n") else { return Vec::new() };
    let events = whole.split("\n\n");
    let id = |event: &str| event.lines().find_map(|line| line.strip_prefix("id: ")?.parse().ok());
    events.filter_map(id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_codes_are_refused_in_words_that_say_what_to_do() {
    let daemon = Daemon::start().await;
    let add = async |name: &str, code: &str| {
        let Answer(status, _, problem) =
            daemon.post("/v1/contacts", &json!({ "name": name, "code": code })).await;
        (status, problem["message"].as_str().unwrap_or_default().to_owned())
    };
    let code = daemon.strangers_code();
    let mut wrong = code.clone();
    let meant = wrong.remove(30);
    wrong.insert(30, if meant == 'q' { 'p' } else { 'q' });
    let (status, words) = add("bob", &wrong).await;
    assert_eq!(status, 400);
    assert!(words.contains("character 31") && words.contains(&format!("\"{meant}\"")), "{words}");
    let own = daemon.post("/v1/codes", &json!({ "label": "for carol" })).await.2;
    let (status, words) = add("bob", own["code"].as_str().unwrap()).await;
    assert!(status == 400 && words.contains("your own contact code, \"for carol\""), "{words}");
    let yesterday = Expiry::at(Timestamp(SystemClock::now().0 - 86_400_000));
    let (status, words) = add("bob", &code_of(daemon.network, yesterday)).await;
    assert!(status == 400 && words.contains("ask its owner for a new one"), "{words}");
    let elsewhere = code_of(NetworkMark([9; 4]), Expiry::NEVER);
    let (status, words) = add("bob", &elsewhere).await;
    assert!(status == 400 && words.contains("of another network"), "{words}");
    assert_eq!(add("bob", &code).await.0, 201);
    let (status, words) = add("robert", &code).await;
    assert!(status == 409 && words.contains("\"bob\" already"), "{words}");
    let (status, words) = add("bob", &daemon.strangers_code()).await;
    assert!(status == 409 && words.contains("take another name"), "{words}");
    let (status, words) = add("b\nob", &daemon.strangers_code()).await;
    assert!(status == 400 && words.contains("one line"), "{words}");
    // A code that a contact is known by stays.
    let head = daemon.head();
    assert_eq!(daemon.ask_with("DELETE /v1/codes/bob", &head, b"").await.0, 409);
    assert_eq!(daemon.ask_with("DELETE /v1/codes/for%20carol", &head, b"").await.0, 204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_contact_gets_nothing_and_a_wrong_safety_number_is_no_verification() {
    let daemon = Daemon::start().await;
    let contact = daemon.contact().await;
    let path = format!("/v1/contacts/{contact}");
    let shown = daemon.get(&path).await.2;
    let number = shown["safety_number"].as_str().unwrap();
    let wrong = number.replace(['0', '1'], "2");
    let verify = format!("{path}/verify");
    let Answer(status, _, problem) = daemon.post(&verify, &json!({ "safety_number": wrong })).await;
    assert!(status == 400 && problem["message"].as_str().unwrap().contains("stand between you"));
    assert_eq!(daemon.get(&path).await.2["verified"], json!(false));
    let spaced = number.replace(' ', "-");
    let verified = daemon.post(&verify, &json!({ "safety_number": spaced })).await.2;
    assert_eq!(verified["verified"], json!(true));
    assert_eq!(daemon.post(&format!("{path}/block"), &json!({})).await.2["blocked"], json!(true));
    let send = format!("{path}/messages");
    assert_eq!(daemon.post(&send, &json!({ "text": "hello" })).await.0, 409);
    daemon.post(&format!("{path}/unblock"), &json!({})).await;
    assert_eq!(daemon.post(&send, &json!({ "text": "hello" })).await.0, 202);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_description_lists_is_there_and_whatever_it_names_is_defined() {
    let daemon = Daemon::start().await;
    let Answer(status, _, described) = daemon.get("/v1/openapi.json").await;
    assert_eq!(status, 200);
    assert_eq!(described, openapi());
    assert_eq!(described["openapi"], json!("3.1.0"));
    let mut count = 0;
    for (path, operations) in described["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys().filter(|_| !path.ends_with("stream")) {
            let filled = path.replace("{contact}", "0").replace("{message}", "0");
            let line = format!("{} {}", method.to_uppercase(), filled.replace("{label}", "x"));
            let Answer(status, _, answer) = daemon.ask_with(&line, &daemon.head(), b"").await;
            assert_ne!(answer["kind"], json!("no_such_path"), "{line}: {status}");
            let known = &operations[method]["responses"][status.to_string()];
            assert!(known.is_object(), "{line} answers {status}, which is not described");
            count += 1;
        }
    }
    assert!(count > 15, "{count}");
    let schemas = &described["components"]["schemas"];
    let text = described.to_string();
    for named in text.split("#/components/schemas/").skip(1) {
        let name = named.split('"').next().unwrap();
        assert!(schemas[name].is_object(), "{name}");
    }
    assert_eq!(daemon.get("/v2/status").await.2["kind"], json!("no_such_path"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_link_the_status_says_why_in_words_and_a_self_test_finds_nothing() {
    let daemon = Daemon::start().await;
    let patience = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    let words = loop {
        let status = daemon.get("/v1/status").await.2;
        assert_eq!(status["online"], json!(false));
        let words = status["warnings"][0].as_str().unwrap().to_owned();
        assert!(words.starts_with("no link to a gateway: "), "{words}");
        if !words.contains("being looked for") {
            break words;
        }
        assert!(tokio::time::Instant::now() < patience, "{words}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert!(words.contains("no link to the coordinator"), "{words}");
    let Answer(status, _, test) = daemon.get("/v1/self-test?rounds=64").await;
    assert_eq!((status, &test["alive"], &test["rounds"]), (200, &json!(false), &json!(0)));
    assert_eq!(daemon.get("/v1/self-test?rounds=x").await.0, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_cannot_sleep_says_why_and_nothing_follows_from_being_woken() {
    let daemon = Daemon::start().await;
    let Answer(status, _, problem) = daemon.post("/v1/sleep", &json!({ "seconds": 600 })).await;
    assert_eq!((status, &problem["kind"]), (409, &json!("conflict")));
    let words = problem["message"].as_str().unwrap();
    assert!(words.contains("no round has opened yet"), "{words}");
    assert_eq!(daemon.post("/v1/sleep", &json!({ "seconds": -1 })).await.0, 400);
    let Answer(status, _, standing) = daemon.post("/v1/wake", &json!({})).await;
    assert_eq!((status, &standing["asleep_until_ms"]), (200, &Value::Null));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_others_reach_is_refused() {
    let daemon = Daemon::start().await;
    let everywhere = "0.0.0.0:0".parse().unwrap();
    let refused = Server::start(Arc::clone(&daemon.messenger), &daemon.path(), everywhere).await;
    assert!(refused.unwrap_err().to_string().contains("other machines"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_is_told_who_has_the_profile() {
    let daemon = Daemon::start().await;
    let path = daemon.path();
    let refused = open(&path).unwrap_err().to_string();
    assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
    daemon.messenger.shut_down().await;
}

fn open(path: &Path) -> Result<Profile, antiphon_profile::ProfileError> {
    Profile::open(path, &Unlock::passphrase("correct horse"), SystemClock::now(), &mut entropy())
}
