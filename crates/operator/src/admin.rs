//! Questions to admin servers, which close the connection after their answer.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an answer may take in all.
const WITHIN: Duration = Duration::from_secs(4);
/// The longest answer that is read, in bytes.
const MOST_BYTES: u64 = 4 << 20;

/// The body of the answer to a GET; an error if it is not 200.
pub(crate) async fn get(host_and_port: &str, path: &str) -> io::Result<String> {
    let answer = timeout(WITHIN, exchange(host_and_port, path)).await??;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.split(' ').nth(1) == Some("200") => Ok(body.to_owned()),
        _ => Err(io::Error::other("it answers with an error")),
    }
}

async fn exchange(host_and_port: &str, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(host_and_port).await?;
    let asked =
        format!("GET {path} HTTP/1.1\r\nHost: {host_and_port}\r\nConnection: close\r\n\r\n");
    stream.write_all(asked.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(MOST_BYTES).read_to_string(&mut answer).await?;
    Ok(answer)
}

/// The value of a gauge in a page of metrics.
pub(crate) fn gauge(page: &str, name: &str) -> Option<f64> {
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok();
    page.lines().find_map(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_is_found_among_others_whose_names_begin_alike() {
        let page = "# TYPE a gauge\na_b 7\na 3\n";
        assert_eq!(
            (gauge(page, "a"), gauge(page, "a_"), gauge(page, "b")),
            (Some(3.0), None, None)
        );
    }
}
