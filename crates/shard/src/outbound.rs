//! A link that this shard dialled to another shard, to send over. It is dialled again when lost.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use antiphon_process::backoff::Backoff;
use antiphon_process::entropy::entropy;
use antiphon_transport::{
    BulkReceipt, CloseReason, Dialer, Link, LinkSender, PeerIdentity, SendError,
};
use antiphon_wire::IdentityKey;
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use crate::poll_once::poll_once;
use crate::server::WAITS;

/// Control frames that wait for a peer at most.
const FRAMES: usize = 256;
/// Batches that wait for a peer at most. A round has one for each layer and direction.
const BATCHES: usize = 128;
/// Batches under way to a peer at once.
const AT_ONCE: usize = 12;
/// Bytes of one frame of a batch, at most, unless one item is longer: what a link sends in one go.
const CHUNK_BYTES: usize = 128 << 10;

/// The link to one peer. Nothing here ever waits for the peer.
#[derive(Debug)]
pub(crate) struct Outbound {
    pub(crate) address: SocketAddr,
    frames: mpsc::Sender<Bytes>,
    batches: mpsc::Sender<Vec<Bytes>>,
    task: JoinHandle<()>,
}

/// The queue to a peer is full: the message is lost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueFull;

impl Outbound {
    /// Starts dialling the shard `identity` at `address`.
    pub(crate) fn start(dialer: Arc<Dialer>, identity: IdentityKey, address: SocketAddr) -> Self {
        let (frames, frames_out) = mpsc::channel(FRAMES);
        let (batches, batches_out) = mpsc::channel(BATCHES);
        let queues = Queues { frames: frames_out, batches: batches_out };
        let task = tokio::spawn(run(dialer, identity, address, queues));
        Self { address, frames, batches, task }
    }

    /// Queues a control frame.
    pub(crate) fn send(&self, frame: Bytes) -> Result<(), QueueFull> {
        self.frames.try_send(frame).map_err(|_| QueueFull)
    }

    /// Queues a batch: the header's frame, then whole items.
    pub(crate) fn send_batch(
        &self,
        header: Bytes,
        items: Bytes,
        item_bytes: usize,
    ) -> Result<(), QueueFull> {
        self.batches.try_send(batch_frames(header, items, item_bytes)).map_err(|_| QueueFull)
    }

    /// Sends what is queued, waits until the peer has received it, and closes the link; gives up
    /// after `within`.
    pub(crate) async fn finish(self, within: Duration) {
        let Self { frames, batches, mut task, .. } = self;
        drop((frames, batches));
        if timeout(within, &mut task).await.is_err() {
            task.abort();
        }
    }
}

/// A batch as frames. The items are cut, not copied.
fn batch_frames(header: Bytes, mut rest: Bytes, item_bytes: usize) -> Vec<Bytes> {
    let item_bytes = item_bytes.max(1);
    let chunk = (CHUNK_BYTES / item_bytes).max(1) * item_bytes;
    let mut frames = Vec::with_capacity(2 + rest.len() / chunk);
    frames.push(header);
    while !rest.is_empty() {
        frames.push(rest.split_to(chunk.min(rest.len())));
    }
    frames
}

struct Queues {
    frames: mpsc::Receiver<Bytes>,
    batches: mpsc::Receiver<Vec<Bytes>>,
}

/// Whether the link is still wanted.
#[derive(PartialEq, Eq)]
enum Ended {
    Lost,
    Finished,
}

async fn run(dialer: Arc<Dialer>, identity: IdentityKey, address: SocketAddr, mut queues: Queues) {
    let mut rng = entropy();
    let mut backoff = Backoff::new(WAITS);
    loop {
        match dialer.dial(address, PeerIdentity(identity.0)).await {
            Ok(link) => {
                let since = Instant::now();
                tracing::debug!(peer = %identity, "linked to a peer");
                if carry(link, &mut queues).await == Ended::Finished {
                    return;
                }
                backoff.link_lived(since.elapsed());
                tracing::info!(peer = %identity, "lost the link to a peer");
            }
            Err(error) => tracing::debug!(peer = %identity, %error, "cannot reach a peer"),
        }
        if queues.frames.is_closed() {
            // No longer wanted, and not reachable: what is queued is lost.
            return;
        }
        sleep(backoff.next_wait(&mut rng)).await;
    }
}

/// Sends what is queued over one link until it is gone, or until the queues are closed and empty.
async fn carry(link: Link, queues: &mut Queues) -> Ended {
    // Peers say nothing on links that they did not dial.
    let (sender, _receiver) = link.split();
    let mut closed = pin!(sender.closed());
    let mut sending = Batches::default();
    let (mut frames_open, mut batches_open) = (true, true);
    while frames_open || batches_open {
        tokio::select! {
            biased;
            _ = closed.as_mut() => return Ended::Lost,
            Some(sent) = sending.waiting.join_next() => sending.sent(sent.ok()),
            frame = queues.frames.recv(), if frames_open => match frame {
                Some(frame) => {
                    if sender.send(frame).await.is_err() {
                        crate::metrics::message_lost();
                    }
                }
                None => frames_open = false,
            },
            batch = queues.batches.recv(), if batches_open && sending.has_room() => {
                let mut next = batch;
                batches_open = next.is_some();
                while let Some(batch) = next {
                    sending.send(&sender, batch);
                    next = sending.has_room().then(|| queues.batches.try_recv().ok()).flatten();
                }
            }
        }
    }
    sending.finish().await;
    // If the link is gone instead, there is nothing left to do either.
    let _ = sender.finish().await;
    sender.close(CloseReason::Done);
    Ended::Finished
}

/// Batches on their way over one link.
#[derive(Default)]
struct Batches {
    /// Those for which there was no room at once.
    waiting: JoinSet<Result<BulkReceipt, SendError>>,
    /// Of those that are sent. No more than the peer has room for.
    receipts: VecDeque<BulkReceipt>,
}

impl Batches {
    fn has_room(&self) -> bool {
        self.waiting.len() < AT_ONCE
    }

    /// Mostly there is room, and no task is needed.
    fn send(&mut self, sender: &LinkSender, frames: Vec<Bytes>) {
        match poll_once(send_batch(sender.clone(), frames)) {
            (_, Poll::Ready(sent)) => self.sent(Some(sent)),
            (rest, Poll::Pending) => drop(self.waiting.spawn(rest)),
        }
    }

    fn sent(&mut self, sent: Option<Result<BulkReceipt, SendError>>) {
        match sent {
            Some(Ok(receipt)) => self.receipts.push_back(receipt),
            _ => crate::metrics::message_lost(),
        }
        while self.receipts.front().is_some_and(BulkReceipt::is_there) {
            self.receipts.pop_front();
        }
    }

    /// Done only when the peer has received all of it, so that a link is never closed over a batch.
    async fn finish(mut self) {
        while let Some(sent) = self.waiting.join_next().await {
            self.sent(sent.ok());
        }
        for receipt in self.receipts {
            if receipt.wait().await.is_err() {
                crate::metrics::message_lost();
            }
        }
    }
}

async fn send_batch(sender: LinkSender, frames: Vec<Bytes>) -> Result<BulkReceipt, SendError> {
    let mut bulk = sender.open_bulk().await?;
    bulk.send(frames).await?;
    Ok(bulk.finish_for_receipt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_cut_between_items_and_never_copied() {
        for (items, item_bytes) in [(0, 300), (1, 300), (1000, 300), (7, 170_000)] {
            let bytes: Vec<u8> = (0..items * item_bytes).map(|i| i as u8).collect();
            let frames =
                batch_frames(Bytes::from_static(b"header"), bytes.clone().into(), item_bytes);
            assert_eq!(frames[0], b"header"[..]);
            assert!(frames[1..].iter().all(|f| !f.is_empty() && f.len() % item_bytes == 0));
            assert!(frames[1..].iter().all(|f| f.len() <= CHUNK_BYTES.max(item_bytes)));
            assert_eq!(frames[1..].concat(), bytes);
        }
        let bytes = vec![1; 600];
        let start = bytes.as_ptr();
        let frames = batch_frames(Bytes::new(), bytes.into(), 300);
        assert_eq!(frames[1].as_ptr(), start);
    }
}
