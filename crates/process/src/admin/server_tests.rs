use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;

use super::*;
use crate::requests::{Requests, Wanted};

const FILTERS: [&str; 1] = ["antiphon_mix"];

struct Running {
    address: SocketAddr,
    shown_at: SocketAddr,
    readiness: watch::Sender<Readiness>,
    task: JoinHandle<()>,
    requests: Requests,
}

impl Running {
    async fn start() -> Self {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let section = AdminSection { listen: any, show: Some(any) };
        let server = AdminServer::bind(section, MetricsPage::empty()).await.unwrap();
        let (address, shown_at) = (server.address(), server.shown_at().unwrap());
        let starts = Readiness::NotReady("no epoch yet".to_owned());
        let (readiness, watched) = watch::channel(starts);
        let (asker, requests) = crate::requests::channel();
        let task = server.serve(watched, LogLevel::unheard("info", &FILTERS), asker);
        Self { address, shown_at, readiness, task, requests }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn ask(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn get(&self, path: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await
    }

    async fn put(&self, filter: &str) -> String {
        let length = filter.len();
        let head = format!("PUT /log-level HTTP/1.1\r\nHost: x\r\nContent-Length: {length}");
        self.ask(&format!("{head}\r\n\r\n{filter}")).await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn has_status(answer: &str, status: u16) -> bool {
    answer.starts_with(&format!("HTTP/1.1 {status} "))
}

#[tokio::test]
async fn requests_are_answered_by_the_process_itself_and_refused_in_its_words() {
    let mut server = Running::start().await;
    for (asked, wanted) in [
        ("GET /status", Wanted::Status),
        ("POST /drain", Wanted::Drain),
        ("DELETE /drain", Wanted::Undo),
    ] {
        for said in [Ok("{\"epoch\":7}"), Err("it stops")] {
            let mut stream = server.connect().await;
            let request = format!("{asked} HTTP/1.1\r\nHost: x\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let request = server.requests.next().await;
            assert_eq!(request.wanted, wanted);
            request.answer(said.map(str::to_owned).map_err(str::to_owned));
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            match said {
                Ok(json) => assert!(has_status(&answer, 200) && answer.ends_with(json), "{answer}"),
                Err(why) => assert!(has_status(&answer, 409) && answer.contains(why), "{answer}"),
            }
        }
    }
}

#[tokio::test]
async fn where_it_is_only_shown_nothing_is_changed_or_counted() {
    let mut server = Running::start().await;
    let admin = std::mem::replace(&mut server.address, server.shown_at);
    assert!(has_status(&server.get("/live").await, 200));
    assert!(server.get("/ready").await.contains("no epoch yet"));
    for asked in [
        "GET /metrics",
        "GET /log-level",
        "PUT /log-level",
        "POST /drain",
        "DELETE /drain",
        "POST /status",
    ] {
        let head = format!("{asked} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\noff");
        let answer = server.ask(&head).await;
        assert!(has_status(&answer, 404), "{asked}: {answer}");
    }
    let nothing = timeout(Duration::from_millis(10), server.requests.next()).await;
    assert!(nothing.is_err(), "{nothing:?}");
    server.address = admin;
    assert!(server.get("/log-level").await.ends_with("\r\ninfo\n"));
}

#[tokio::test]
async fn the_page_for_people_takes_nothing_from_elsewhere_and_puts_no_markup_together() {
    let server = Running::start().await;
    let answer = server.get("/").await;
    assert!(has_status(&answer, 200) && answer.contains("text/html"), "{answer}");
    assert!(answer.contains("default-src 'none'") && answer.contains("connect-src 'self'"));
    let (_, page) = answer.split_once("\r\n\r\n").unwrap();
    for foreign in
        ["://", " src=", "<link", "url(", "@import", "innerHTML", "document.write", "eval("]
    {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert_eq!(page.matches("fetch(").count(), 1);
}

#[tokio::test]
async fn a_page_in_a_browser_changes_nothing() {
    let mut server = Running::start().await;
    for asked in ["POST /drain", "DELETE /drain", "PUT /log-level"] {
        let head = format!("{asked} HTTP/1.1\r\nHost: x\r\nOrigin: http://x\r\n");
        let answer = server.ask(&format!("{head}Content-Length: 3\r\n\r\noff")).await;
        assert!(has_status(&answer, 403), "{asked}: {answer}");
    }
    assert!(server.get("/log-level").await.ends_with("\r\ninfo\n"));
    let nothing = timeout(Duration::from_millis(10), server.requests.next()).await;
    assert!(nothing.is_err(), "{nothing:?}");
}

#[tokio::test]
async fn readiness_is_told_in_words_and_as_a_status() {
    let server = Running::start().await;
    assert!(has_status(&server.get("/live").await, 200));
    let answer = server.get("/ready").await;
    assert!(has_status(&answer, 503) && answer.ends_with("\r\nnot ready: no epoch yet\n"));
    server.readiness.send_replace(Readiness::Ready("in epoch 3".to_owned()));
    let answer = server.get("/ready").await;
    assert!(has_status(&answer, 200) && answer.ends_with("\r\nready: in epoch 3\n"), "{answer}");
}

#[tokio::test]
async fn the_log_filter_is_shown_and_set_and_a_bad_one_refused_by_its_wrong_part() {
    let server = Running::start().await;
    assert!(server.get("/log-level").await.ends_with("\r\ninfo\n"));
    let answer = server.put("antiphon_mix=debug,warn\n").await;
    assert!(has_status(&answer, 200), "{answer}");
    assert!(server.get("/log-level").await.ends_with("\r\nantiphon_mix=debug,warn\n"));
    for (filter, wrong) in [("info,antiphon_mx=debug", "`antiphon_mx`"), ("loud", "`loud`")] {
        let answer = server.put(filter).await;
        assert!(has_status(&answer, 400) && answer.contains(wrong), "{answer}");
    }
    let long = server.put(&"a".repeat(100_000)).await;
    assert!(long.is_empty() || has_status(&long, 413), "{long}");
    assert!(server.get("/log-level").await.ends_with("\r\nantiphon_mix=debug,warn\n"));
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused() {
    let server = Running::start().await;
    for (request, status) in [
        ("GET /status/ HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        ("GET /metrics/ HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        ("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        ("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 405),
        ("DELETE /log-level HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        ("GET /metrics\r\n\r\n", 400),
        ("GET /metrics HTTP/2.0\r\n\r\n", 400),
    ] {
        let answer = server.ask(request).await;
        assert!(has_status(&answer, status), "{request}: {answer}");
    }
}

#[tokio::test]
async fn idle_connections_delay_nobody() {
    let server = Running::start().await;
    let mut idle = Vec::new();
    for _ in 0..10 * AT_ONCE {
        idle.push(server.connect().await);
    }
    let answer = timeout(Duration::from_secs(2), server.get("/metrics")).await.unwrap();
    assert!(has_status(&answer, 200), "{answer}");
}

#[tokio::test]
async fn a_request_that_does_not_come_within_a_second_is_closed() {
    let server = Running::start().await;
    let put = "PUT /log-level HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nin";
    for begun in ["", "GET /metr", put] {
        let mut stream = server.connect().await;
        stream.write_all(begun.as_bytes()).await.unwrap();
        let began = Instant::now();
        let mut answer = String::new();
        let closed = timeout(CONNECTION_WITHIN, stream.read_to_string(&mut answer)).await;
        assert!(closed.is_ok(), "{begun:?}: left open");
        assert!(began.elapsed() >= HEAD_WITHIN / 2, "{begun:?}: {answer}");
        assert!(answer.is_empty() || has_status(&answer, 408), "{begun:?}: {answer}");
    }
}
