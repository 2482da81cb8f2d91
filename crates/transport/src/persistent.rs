//! A link to one peer that is opened again whenever it is lost.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use rand::CryptoRng;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep};

use crate::close::{CloseReason, LinkLost};
use crate::dialer::{DialError, Dialer};
use crate::identity::PeerIdentity;
use crate::link::{Link, LinkReceiver};

/// Events kept for the owner; when full, the link waits for the owner.
const EVENTS: usize = 16;

/// How long to wait before dialling again, and how much to keep meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Persistence {
    /// The first wait. Each further one is twice as long, and half of each is random.
    pub first_wait: Duration,
    /// The longest wait. A link that lived longer than this starts again from the first.
    pub longest_wait: Duration,
    /// Frames and bulks that may be waiting or under way.
    pub queue: usize,
}

impl Default for Persistence {
    fn default() -> Self {
        Self {
            first_wait: Duration::from_millis(100),
            longest_wait: Duration::from_secs(10),
            queue: 256,
        }
    }
}

/// What happens to a persistent link.
#[derive(Debug)]
pub enum PeerEvent {
    /// The link is up; what the peer sends comes out here.
    Up(LinkReceiver),
    /// The link is lost and will be dialled again.
    Down(LinkLost),
    /// Dialling failed and will be tried again.
    DialFailed(DialError),
}

/// The queue is full: the message was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the queue to this peer is full, the message was dropped: is the peer reachable?")]
pub struct QueueFull;

enum Outgoing {
    Frame(Bytes),
    Bulk(Vec<Bytes>),
}

/// A message and its room in the queue, held until it is sent or lost.
struct Queued {
    what: Outgoing,
    room: OwnedSemaphorePermit,
}

/// A link to one peer that outlives losses. What was under way when a link was lost is not
/// repeated, and counted in [`Persistent::lost`]. Dropping this closes the link.
pub struct Persistent {
    queue: mpsc::UnboundedSender<Queued>,
    room: Arc<Semaphore>,
    lost: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Persistent {
    /// Starts dialling `host` (`host:port`), expecting `expected` there; events come out of the
    /// returned channel and have to be taken. `rng` spreads the waits. Must be called within a
    /// tokio runtime.
    pub fn start(
        dialer: Arc<Dialer>,
        host: String,
        expected: impl Into<PeerIdentity>,
        persistence: Persistence,
        rng: impl CryptoRng + Send + 'static,
    ) -> (Self, mpsc::Receiver<PeerEvent>) {
        let (queue, queued) = mpsc::unbounded_channel();
        let (events, events_out) = mpsc::channel(EVENTS);
        let lost = Arc::new(AtomicU64::new(0));
        let peer = Peer { dialer, host, expected: expected.into(), persistence };
        let task = tokio::spawn(peer.run(queued, events, Arc::clone(&lost), rng));
        let room = Arc::new(Semaphore::new(persistence.queue));
        (Self { queue, room, lost, task }, events_out)
    }

    /// Queues a control frame.
    ///
    /// # Errors
    ///
    /// [`QueueFull`], counted in [`Persistent::lost`].
    pub fn send(&self, frame: Bytes) -> Result<(), QueueFull> {
        self.enqueue(Outgoing::Frame(frame))
    }

    /// Queues a batch for a stream of its own.
    ///
    /// # Errors
    ///
    /// [`QueueFull`], counted in [`Persistent::lost`].
    pub fn send_bulk(&self, frames: Vec<Bytes>) -> Result<(), QueueFull> {
        self.enqueue(Outgoing::Bulk(frames))
    }

    /// Frames and bulks dropped so far: for want of room, or under way when a link was lost.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    fn enqueue(&self, what: Outgoing) -> Result<(), QueueFull> {
        let room = Arc::clone(&self.room).try_acquire_owned().ok();
        room.and_then(|room| self.queue.send(Queued { what, room }).ok()).ok_or_else(|| {
            self.lost.fetch_add(1, Ordering::Relaxed);
            QueueFull
        })
    }
}

impl fmt::Debug for Persistent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Persistent").field("lost", &self.lost()).finish_non_exhaustive()
    }
}

impl Drop for Persistent {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Peer {
    dialer: Arc<Dialer>,
    host: String,
    expected: PeerIdentity,
    persistence: Persistence,
}

impl Peer {
    async fn run(
        self,
        mut queue: mpsc::UnboundedReceiver<Queued>,
        events: mpsc::Sender<PeerEvent>,
        lost: Arc<AtomicU64>,
        mut rng: impl CryptoRng,
    ) {
        let mut failures = 0;
        loop {
            let event = match self.dialer.dial_host(&self.host, self.expected).await {
                Ok(link) => {
                    let since = Instant::now();
                    let ended = carry(link, &mut queue, &events, &lost).await;
                    if since.elapsed() > self.persistence.longest_wait {
                        failures = 0;
                    }
                    PeerEvent::Down(ended)
                }
                Err(error) => PeerEvent::DialFailed(error),
            };
            if events.send(event).await.is_err() {
                return;
            }
            sleep(self.persistence.wait(failures, rng.next_u32())).await;
            failures += 1;
        }
    }
}

impl Persistence {
    /// The wait after `failures` failures, between half of it and all of it as `random` says.
    fn wait(&self, failures: u32, random: u32) -> Duration {
        let doubled = self.first_wait.saturating_mul(2_u32.saturating_pow(failures));
        doubled.min(self.longest_wait).mul_f64(0.5 + 0.5 * f64::from(random) / f64::from(u32::MAX))
    }
}

/// Sends what is queued over one link until it is gone.
async fn carry(
    link: Link,
    queue: &mut mpsc::UnboundedReceiver<Queued>,
    events: &mpsc::Sender<PeerEvent>,
    lost: &AtomicU64,
) -> LinkLost {
    let (sender, receiver) = link.split();
    let mut bulks = JoinSet::new();
    if events.send(PeerEvent::Up(receiver)).await.is_err() {
        sender.close(CloseReason::Done);
    }
    let count = |sent: bool| {
        if !sent {
            lost.fetch_add(1, Ordering::Relaxed);
        }
    };
    let ended = loop {
        tokio::select! {
            biased;
            ended = sender.closed() => break ended,
            Some(sent) = bulks.join_next(), if !bulks.is_empty() => count(matches!(sent, Ok(true))),
            Some(Queued { what, room }) = queue.recv() => match what {
                Outgoing::Frame(frame) => count(sender.send(frame).await.is_ok()),
                Outgoing::Bulk(frames) => {
                    let sender = sender.clone();
                    bulks.spawn(async move {
                        let _room = room;
                        sender.send_bulk(frames).await.is_ok()
                    });
                }
            },
        }
    };
    // They all fail at once, as the link is gone.
    while let Some(sent) = bulks.join_next().await {
        count(matches!(sent, Ok(true)));
    }
    ended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let persistence = Persistence::default();
        assert_eq!(persistence.wait(0, u32::MAX), Duration::from_millis(100));
        assert_eq!(persistence.wait(0, 0), Duration::from_millis(50));
        assert_eq!(persistence.wait(3, u32::MAX), Duration::from_millis(800));
        assert_eq!(persistence.wait(u32::MAX, u32::MAX), Duration::from_secs(10));
    }
}
