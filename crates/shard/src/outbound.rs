//! The two links that this shard dials to another shard, to send over: one for messages and one for
//! batches. Each is dialled again when lost.

use std::sync::Arc;
use std::time::Duration;

use antiphon_process::backoff::Backoff;
use antiphon_process::entropy::entropy;
use antiphon_process::metrics::shard::MESSAGES_LOST;
use antiphon_transport::{BatchSender, Lane, PeerDialer, PeerIdentity, PeerSender};
use antiphon_wire::{Addresses, IdentityKey};
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::redial::WAITS;

/// Control frames that wait for a peer at most.
const FRAMES: usize = 256;
/// Batches that wait for a peer at most. A round has one for each layer and direction, and so has a beat.
const BATCHES: usize = 512;
/// Control frames that are sent in one go at most.
const TOGETHER: usize = 64;
/// Longest time that a peer that is there may take to receive the last of what was sent.
const FAREWELL: Duration = Duration::from_secs(30);
/// Bytes of one chunk of a batch, at most, unless one item is longer: what a link sends in one go.
const CHUNK_BYTES: usize = 128 << 10;

/// The links to one peer. Nothing here ever waits for the peer.
#[derive(Debug)]
pub(crate) struct Outbound {
    pub(crate) addresses: Addresses,
    frames: mpsc::Sender<Bytes>,
    batches: mpsc::Sender<Vec<Bytes>>,
    tasks: [JoinHandle<()>; 2],
}

/// The queue to a peer is full: the message is lost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueFull;

impl Outbound {
    /// Starts dialling the shard `identity` at `addresses`.
    pub(crate) fn start(
        dialer: &Arc<PeerDialer>,
        identity: IdentityKey,
        addresses: Addresses,
    ) -> Self {
        let (frames, frames_out) = mpsc::channel(FRAMES);
        let (batches, batches_out) = mpsc::channel(BATCHES);
        let tasks = [Queue::Frames(frames_out), Queue::Batches(batches_out)]
            .map(|queue| tokio::spawn(run(Arc::clone(dialer), identity, addresses.clone(), queue)));
        Self { addresses, frames, batches, tasks }
    }

    /// Queues a control frame.
    pub(crate) fn send(&self, frame: Bytes) -> Result<(), QueueFull> {
        self.frames.try_send(frame).map_err(|_| QueueFull)
    }

    /// Queues a batch: the header, then whole items.
    pub(crate) fn send_batch(
        &self,
        header: Bytes,
        items: Bytes,
        item_bytes: usize,
    ) -> Result<(), QueueFull> {
        self.batches.try_send(batch_chunks(header, items, item_bytes)).map_err(|_| QueueFull)
    }

    /// Numbers of control frames and of batches that wait.
    pub(crate) fn queued(&self) -> (usize, usize) {
        let Self { frames, batches, .. } = self;
        (frames.max_capacity() - frames.capacity(), batches.max_capacity() - batches.capacity())
    }

    /// Sends what is queued, waits until the peer has received it, and closes the links; gives up
    /// after `within`.
    pub(crate) async fn finish(self, within: Duration) {
        let Self { frames, batches, tasks, .. } = self;
        // Each task sends what its queue still has, and then ends.
        drop((frames, batches));
        let until = Instant::now() + within;
        for mut task in tasks {
            if timeout_at(until, &mut task).await.is_err() {
                task.abort();
            }
        }
    }
}

/// Cuts a batch into chunks, the header first. The items are not copied.
fn batch_chunks(header: Bytes, mut rest: Bytes, item_bytes: usize) -> Vec<Bytes> {
    let item_bytes = item_bytes.max(1);
    // Receivers take whole items only.
    let most = (CHUNK_BYTES / item_bytes).max(1) * item_bytes;
    let mut chunks = Vec::with_capacity(2 + rest.len() / most);
    chunks.push(header);
    while !rest.is_empty() {
        chunks.push(rest.split_to(most.min(rest.len())));
    }
    chunks
}

/// Queue of one of the links.
enum Queue {
    Frames(mpsc::Receiver<Bytes>),
    Batches(mpsc::Receiver<Vec<Bytes>>),
}

/// End of a link, or of the need for it.
#[derive(PartialEq, Eq)]
enum Ended {
    Lost,
    Finished,
}

impl Queue {
    fn lane(&self) -> Lane {
        match self {
            Self::Frames(_) => Lane::Control,
            Self::Batches(_) => Lane::Batches,
        }
    }

    /// Returns `true` if nobody adds to it any more.
    fn is_closed(&self) -> bool {
        match self {
            Self::Frames(queue) => queue.is_closed(),
            Self::Batches(queue) => queue.is_closed(),
        }
    }

    /// Sends the queue over one link until that is gone, or until the queue is closed and empty.
    async fn carry(&mut self, link: PeerSender) -> Ended {
        match self {
            Self::Frames(queue) => carry_frames(link, queue).await,
            Self::Batches(queue) => carry_batches(BatchSender::new(link), queue).await,
        }
    }
}

async fn run(
    dialer: Arc<PeerDialer>,
    identity: IdentityKey,
    addresses: Addresses,
    mut queue: Queue,
) {
    let mut rng = entropy();
    let mut backoff = Backoff::new(WAITS);
    let lane = queue.lane();
    loop {
        match dialer.dial_first(addresses.all(), PeerIdentity(identity.0), lane).await {
            Ok(link) => {
                let since = Instant::now();
                tracing::debug!(peer = %identity, ?lane, "linked to a peer");
                if queue.carry(link).await == Ended::Finished {
                    return;
                }
                backoff.link_lived(since.elapsed());
                tracing::info!(peer = %identity, ?lane, "lost the link to a peer");
            }
            Err(error) => tracing::debug!(peer = %identity, ?lane, %error, "cannot reach a peer"),
        }
        if queue.is_closed() {
            // No longer wanted, and not reachable: what is queued is lost.
            return;
        }
        sleep(backoff.next_wait(&mut rng)).await;
    }
}

async fn carry_frames(mut link: PeerSender, queue: &mut mpsc::Receiver<Bytes>) -> Ended {
    let mut frames = Vec::with_capacity(TOGETHER);
    loop {
        tokio::select! {
            biased;
            _ = link.idle() => return Ended::Lost,
            count = queue.recv_many(&mut frames, TOGETHER) => if count == 0 {
                break;
            }
        }
        if link.send(&frames).await.is_err() {
            MESSAGES_LOST.add((), frames.len() as u64);
        }
        frames.clear();
    }
    // If the link is gone instead, there is nothing left to do either.
    let _ = timeout(FAREWELL, link.finish()).await;
    Ended::Finished
}

async fn carry_batches(mut link: BatchSender, queue: &mut mpsc::Receiver<Vec<Bytes>>) -> Ended {
    loop {
        let room = link.has_room();
        let mut next = if room { queue.try_recv() } else { Err(TryRecvError::Empty) };
        if link.under_way() == 0 && next == Err(TryRecvError::Empty) {
            tokio::select! {
                // With nothing under way, whichever comes first: another batch, or the end of the link.
                biased;
                _ = link.idle() => return Ended::Lost,
                batch = queue.recv() => next = batch.ok_or(TryRecvError::Disconnected),
            }
        }
        while let Ok(batch) = next {
            link.begin(batch);
            next = if link.has_room() { queue.try_recv() } else { Err(TryRecvError::Empty) };
        }
        if link.under_way() == 0 {
            break;
        }
        if link.send_some().await.is_err() {
            MESSAGES_LOST.add((), link.under_way() as u64);
            return Ended::Lost;
        }
    }
    // If the link is gone instead, whoever misses the last batch gives the round up.
    let _ = timeout(FAREWELL, link.finish()).await;
    Ended::Finished
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_cut_between_items_and_never_copied() {
        for (items, item_bytes) in [(0, 300), (1, 300), (1000, 300), (7, 170_000)] {
            let bytes: Vec<u8> = (0..items * item_bytes).map(|i| i as u8).collect();
            let chunks =
                batch_chunks(Bytes::from_static(b"header"), bytes.clone().into(), item_bytes);
            assert_eq!(chunks[0], b"header"[..]);
            assert!(chunks[1..].iter().all(|c| !c.is_empty() && c.len() % item_bytes == 0));
            assert!(chunks[1..].iter().all(|c| c.len() <= CHUNK_BYTES.max(item_bytes)));
            assert_eq!(chunks[1..].concat(), bytes);
        }
        let bytes = vec![1; 600];
        let start = bytes.as_ptr();
        let chunks = batch_chunks(Bytes::new(), bytes.into(), 300);
        assert_eq!(chunks[1].as_ptr(), start);
    }
}
