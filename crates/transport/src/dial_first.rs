//! Several addresses of one process, of which the first that works is taken.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::sleep;

use crate::dial_error::DialError;

/// Time for which an address is tried before the next is tried beside it.
const HEAD_START: Duration = Duration::from_millis(250);

/// Dials one address after the other, each as soon as the one before has failed or has taken a quarter of a
/// second, until one works. `host` names all of them in errors.
pub(crate) async fn dial_first<T, F: Future<Output = Result<T, DialError>>>(
    host: &str,
    mut addresses: impl Iterator<Item = SocketAddr>,
    dial: impl Fn(SocketAddr) -> F,
) -> Result<T, DialError> {
    let mut attempts = Vec::new();
    let mut failures = Vec::new();
    loop {
        let next = addresses.next();
        let last = next.is_none();
        attempts.extend(next.map(|addr| Box::pin(dial(addr))));
        if attempts.is_empty() {
            break;
        }
        tokio::select! {
            ended = first(&mut attempts) => match ended {
                Ok(link) => return Ok(link),
                Err(error) => failures.push(error),
            },
            () = sleep(HEAD_START), if !last => {}
        }
    }
    Err(match (failures.pop(), failures.is_empty()) {
        (None, _) => {
            DialError::Lookup { host: host.to_owned(), source: io::ErrorKind::NotFound.into() }
        }
        (Some(only), true) => only,
        (Some(last), false) => {
            failures.push(last);
            DialError::Host { host: host.to_owned(), failures }
        }
    })
}

/// The first of several futures to end, which is taken out.
async fn first<F: Future + Unpin>(futures: &mut Vec<F>) -> F::Output {
    poll_fn(|cx| {
        for at in 0..futures.len() {
            if let Poll::Ready(output) = Pin::new(&mut futures[at]).poll(cx) {
                drop(futures.swap_remove(at));
                return Poll::Ready(output);
            }
        }
        Poll::Pending
    })
    .await
}
