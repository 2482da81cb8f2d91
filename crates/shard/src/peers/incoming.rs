//! What comes over one peer's link, turned into inputs of the machine.

use std::task::Poll;

use antiphon_mix::{BatchKey, Input};
use antiphon_transport::{BulkReceiver, CloseReason, Incoming, LinkReceiver, LinkSender};
use antiphon_wire::{BatchHeader, Decode as _, IdentityKey, PeerMessage};
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::poll_once::poll_once;

/// The longest frame of a batch, in bytes: senders cut them to 128 KiB at most, unless one item is longer.
const MOST_CHUNK_BYTES: usize = 256 << 10;
/// No onion is longer than this, in bytes, whatever the geometry.
const MOST_ITEM_BYTES: u64 = 32 << 10;

/// What a peer did that no shard does. It costs it the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Malformed {
    #[error("a message that cannot be read")]
    Message,
    #[error("a batch header outside a batch")]
    LooseHeader,
    #[error("a batch without a readable header")]
    Header,
    #[error("a batch of more items than one may have")]
    TooMany,
    #[error("a batch in pieces of unreasonable size")]
    Piece,
}

/// Receives until the link is gone.
pub(super) async fn receive(
    peer: IdentityKey,
    link: &LinkSender,
    mut receiver: LinkReceiver,
    inputs: mpsc::Sender<Input>,
    most_items: u32,
) {
    let close = move |link: &LinkSender, error: Malformed| {
        tracing::warn!(%peer, %error, "closing the link of a peer");
        link.close(CloseReason::Protocol);
    };
    // As many at once as the link's limits allow.
    let mut bulks = JoinSet::new();
    loop {
        let incoming = tokio::select! {
            incoming = receiver.recv() => incoming,
            Some(_) = bulks.join_next() => continue,
        };
        match incoming {
            Ok(Some(Incoming::Frame(frame))) => match control(&frame) {
                Ok(message) => {
                    if inputs.send(Input::Peer { from: peer, message }).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    close(link, error);
                    return;
                }
            },
            Ok(Some(Incoming::Bulk(bulk))) => {
                // A small batch is there as a whole.
                match poll_once(batch(peer, bulk, inputs.clone(), most_items)) {
                    (_, Poll::Ready(Ok(()))) => {}
                    (_, Poll::Ready(Err(error))) => close(link, error),
                    (rest, Poll::Pending) => {
                        let link = link.clone();
                        bulks.spawn(async move {
                            if let Err(error) = rest.await {
                                close(&link, error);
                            }
                        });
                    }
                }
            }
            Ok(None) | Err(_) => break,
        }
    }
    // What has arrived of batches is still there to be taken.
    while bulks.join_next().await.is_some() {}
}

fn control(frame: &[u8]) -> Result<PeerMessage, Malformed> {
    match PeerMessage::from_bytes(frame) {
        Ok(PeerMessage::Batch { .. }) => Err(Malformed::LooseHeader),
        Ok(message) => Ok(message),
        Err(_) => Err(Malformed::Message),
    }
}

/// The header in a batch's first frame.
fn header(frame: &[u8], most_items: u32) -> Result<(PeerMessage, BatchHeader), Malformed> {
    let message = PeerMessage::from_bytes(frame).map_err(|_| Malformed::Header)?;
    let PeerMessage::Batch { header } = &message else { return Err(Malformed::Header) };
    let header = *header.claimed();
    if header.count > most_items {
        return Err(Malformed::TooMany);
    }
    Ok((message, header))
}

/// Hands a batch on, the header first. A batch that is cut short stays incomplete; the machine
/// knows from the header. `Ok` also when the link or this shard is gone.
async fn batch(
    from: IdentityKey,
    mut bulk: BulkReceiver,
    inputs: mpsc::Sender<Input>,
    most_items: u32,
) -> Result<(), Malformed> {
    let Ok(Some(first)) = bulk.next().await else { return Ok(()) };
    let (message, header) = header(&first, most_items)?;
    let batch = BatchKey::of(&header);
    if inputs.send(Input::Peer { from, message }).await.is_err() {
        return Ok(());
    }
    let mut room = u64::from(header.count) * MOST_ITEM_BYTES;
    while let Ok(Some(chunk)) = bulk.next().await {
        room = take(room, &chunk)?;
        if inputs.send(Input::PeerChunk { from, batch, bytes: chunk }).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// What is left of `room` bytes after `chunk`.
fn take(room: u64, chunk: &Bytes) -> Result<u64, Malformed> {
    if chunk.is_empty() || chunk.len() > MOST_CHUNK_BYTES {
        return Err(Malformed::Piece);
    }
    room.checked_sub(chunk.len() as u64).ok_or(Malformed::TooMany)
}

#[cfg(test)]
mod tests {
    use antiphon_wire::{Direction, Encode as _, Epoch, Round, SignedHeader};
    use ed25519_dalek::SigningKey;
    use proptest::prelude::*;

    use super::*;
    use crate::test_header;

    fn header_frame(count: u32) -> Vec<u8> {
        let header = BatchHeader { count, ..test_header::header(1, 1, Direction::Forward) };
        let header = SignedHeader::new(header, &SigningKey::from_bytes(&[1; 32]));
        PeerMessage::Batch { header }.to_bytes()
    }

    #[test]
    fn headers_belong_at_the_head_of_batches_and_nowhere_else() {
        assert_eq!(control(&header_frame(1)), Err(Malformed::LooseHeader));
        assert!(header(&header_frame(10), 10).is_ok());
        assert_eq!(header(&header_frame(11), 10).err(), Some(Malformed::TooMany));
        let question = PeerMessage::AskStatements { epoch: Epoch(1), round: Round(1) }.to_bytes();
        assert!(control(&question).is_ok());
        assert_eq!(header(&question, 10).err(), Some(Malformed::Header));
    }

    #[test]
    fn a_batch_brings_no_more_than_its_header_can_mean() {
        let chunk = Bytes::from(vec![0; 1000]);
        assert_eq!(take(1500, &chunk), Ok(500));
        assert_eq!(take(500, &chunk), Err(Malformed::TooMany));
        assert_eq!(take(500, &Bytes::new()), Err(Malformed::Piece));
        assert_eq!(take(1 << 40, &vec![0; MOST_CHUNK_BYTES + 1].into()), Err(Malformed::Piece));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = control(&bytes);
            let _ = header(&bytes, 10);
        }
    }
}
