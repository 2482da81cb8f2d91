//! A link that is dialled again whenever it is lost.

use std::ops::ControlFlow;

use tokio::time::{Instant, sleep};

use crate::backoff::{Backoff, Waits};
use crate::entropy::entropy;

/// A peer that is dialled again and again, and the use that is made of the link to it.
pub trait Peer {
    /// The link that dialling gives.
    type Link: Send;
    /// Error of dialling.
    type Error: Send;

    /// Dials the peer once.
    fn dial(&mut self) -> impl Future<Output = Result<Self::Link, Self::Error>> + Send;

    /// Uses a link until it is lost, or wanted no more.
    fn carry(&mut self, link: Self::Link) -> impl Future<Output = ControlFlow<()>> + Send;

    /// Takes note that dialling failed, and decides whether to try again.
    fn failed(&mut self, error: Self::Error) -> impl Future<Output = ControlFlow<()>> + Send;
}

/// Dials a peer, with growing and random waits between links, until it is wanted no more.
pub async fn keep_linked(mut peer: impl Peer, waits: Waits) {
    let mut rng = entropy();
    let mut backoff = Backoff::new(waits);
    loop {
        let goes_on = match peer.dial().await {
            Ok(link) => {
                let since = Instant::now();
                let goes_on = peer.carry(link).await;
                backoff.link_lived(since.elapsed());
                goes_on
            }
            Err(error) => peer.failed(error).await,
        };
        if goes_on.is_break() {
            return;
        }
        // Others may have lost the same peer: they do not all come back at once.
        sleep(backoff.next_wait(&mut rng)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const WAITS: Waits =
        Waits { first: Duration::from_micros(10), longest: Duration::from_millis(1) };

    /// What happens at each dial: it fails, or a link is had; and what was seen.
    struct Scripted {
        script: Vec<bool>,
        seen: Vec<&'static str>,
    }

    impl Peer for &mut Scripted {
        type Link = ();
        type Error = ();

        async fn dial(&mut self) -> Result<(), ()> {
            if self.script.remove(0) { Ok(()) } else { Err(()) }
        }

        async fn carry(&mut self, (): ()) -> ControlFlow<()> {
            self.goes_on("carried")
        }

        async fn failed(&mut self, (): ()) -> ControlFlow<()> {
            self.goes_on("failed")
        }
    }

    impl Scripted {
        fn goes_on(&mut self, what: &'static str) -> ControlFlow<()> {
            self.seen.push(what);
            if self.script.is_empty() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }

    #[tokio::test]
    async fn a_lost_link_and_a_failure_are_dialled_again_until_the_peer_is_wanted_no_more() {
        for last in [true, false] {
            let mut peer = Scripted { script: vec![false, true, false, last], seen: Vec::new() };
            keep_linked(&mut peer, WAITS).await;
            let end = if last { "carried" } else { "failed" };
            assert_eq!(peer.seen, ["failed", "carried", "failed", end]);
        }
    }
}
