//! One request to an admin server, which closes the connection after its answer.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::str::FromStr;
use std::time::Duration;

/// How long linking and each piece of the answer may take.
const WITHIN: Duration = Duration::from_secs(5);
/// The longest answer that is read, in bytes: that of some ten thousand shards.
const MOST_BYTES: u64 = 4 << 20;

/// Where an admin server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AdminUrl {
    host: String,
    port: u16,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("cannot reach {url}: {source}: does the process run, with a section [admin]?")]
    Link { url: AdminUrl, source: io::Error },
    #[error("{url} answers: {answer}")]
    Refused { url: AdminUrl, answer: String },
}

impl FromStr for AdminUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || "give it as http://HOST:PORT".to_owned();
        let rest = text.strip_prefix("http://").ok_or_else(wanted)?;
        let authority = rest.strip_suffix("/status").unwrap_or(rest).trim_end_matches('/');
        let (host, port) = authority.rsplit_once(':').ok_or_else(wanted)?;
        let port = port.parse().map_err(|_| wanted())?;
        if host.is_empty() || host.contains(['/', '@', ' ']) {
            return Err(wanted());
        }
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { host, port })
    }
}

impl fmt::Display for AdminUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') {
            write!(f, "http://[{host}]:{port}")
        } else {
            write!(f, "http://{host}:{port}")
        }
    }
}

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
    Delete,
}

impl Method {
    const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

/// The body of the answer to a request.
pub(crate) fn fetch(url: &AdminUrl, method: Method, path: &str) -> Result<String, FetchError> {
    let asked = format!("{} {path}", method.name());
    let answer =
        ask(url, &asked).map_err(|source| FetchError::Link { url: url.clone(), source })?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1);
    if status == Some("200") {
        return Ok(body.to_owned());
    }
    let first = if body.is_empty() { head } else { body };
    let answer = first.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control());
    Err(FetchError::Refused { url: url.clone(), answer: answer.take(200).collect() })
}

fn ask(url: &AdminUrl, asked: &str) -> io::Result<String> {
    let mut last = io::Error::other("the name has no address");
    for address in (url.host.as_str(), url.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, WITHIN) {
            Ok(stream) => return exchange(stream, &url.host, asked),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn exchange(mut stream: TcpStream, host: &str, asked: &str) -> io::Result<String> {
    stream.set_read_timeout(Some(WITHIN))?;
    stream.set_write_timeout(Some(WITHIN))?;
    let head = "Content-Length: 0\r\nConnection: close";
    let request = format!("{asked} HTTP/1.1\r\nHost: {host}\r\n{head}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.take(MOST_BYTES).read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn urls_are_taken_as_people_write_them_and_others_are_refused_in_words() {
        let url = |text: &str| text.parse::<AdminUrl>().map(|url| url.to_string());
        assert_eq!(url("http://mix:9000"), Ok("http://mix:9000".to_owned()));
        assert_eq!(url("http://127.0.0.1:9000/status"), Ok("http://127.0.0.1:9000".to_owned()));
        assert_eq!(url("http://[::1]:9000/"), Ok("http://[::1]:9000".to_owned()));
        for wrong in ["mix:9000", "https://mix:9000", "http://mix", "http://:1", "http://a/b:1"] {
            assert!(url(wrong).unwrap_err().contains("http://HOST:PORT"), "{wrong}");
        }
    }

    /// An admin server that answers one request like this.
    fn answering(answer: &'static str) -> AdminUrl {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                asked.extend(byte);
            }
            stream.write_all(answer.as_bytes()).unwrap();
        });
        AdminUrl { host: "127.0.0.1".to_owned(), port }
    }

    #[test]
    fn the_body_of_an_answer_comes_back_and_a_refusal_in_its_own_words() {
        let url = answering("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"a\":1}");
        assert_eq!(fetch(&url, Method::Get, "/status").unwrap(), "{\"a\":1}");
        let url = answering("HTTP/1.1 503 Service Unavailable\r\n\r\nit is too busy\nto say\n");
        let error = fetch(&url, Method::Get, "/status").unwrap_err().to_string();
        assert!(error.ends_with("answers: it is too busy"), "{error}");
        let nobody = AdminUrl { host: "127.0.0.1".to_owned(), port: 1 };
        assert!(
            fetch(&nobody, Method::Get, "/status").unwrap_err().to_string().contains("[admin]")
        );
    }
}
