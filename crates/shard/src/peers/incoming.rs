//! Frames of one peer's links, turned into inputs of the machine.

use antiphon_mix::{BatchKey, Input};
use antiphon_transport::{Begun, CHUNK_HEAD_BYTES, Chunk, OutOfTurn, PeerReceiver};
use antiphon_wire::{CellBatch, Decode as _, Geometry, IdentityKey, PeerMessage};
use bytes::Bytes;
use tokio::sync::mpsc;

/// The longest chunk of a batch, in bytes: senders cut them to 128 KiB at most, unless one item is longer.
const MOST_CHUNK_BYTES: usize = 256 << 10;
/// The longest frame on the lane for batches.
pub(super) const MOST_FRAME_BYTES: usize = CHUNK_HEAD_BYTES + MOST_CHUNK_BYTES;
/// Bytes of the longest item of a batch, in any epoch.
const MOST_ITEM_BYTES: u64 = Geometry::MOST_ONION_BYTES as u64;
// No item is longer than a chunk may be.
const _: () = assert!(Geometry::MOST_ONION_BYTES <= MOST_CHUNK_BYTES);

/// Fault of a peer that no shard has. It costs it the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
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
    #[error(transparent)]
    OutOfTurn(#[from] OutOfTurn),
}

/// Hands messages on until the link is gone, or this shard.
pub(super) async fn messages(
    from: IdentityKey,
    link: &mut PeerReceiver,
    inputs: &mpsc::Sender<Input>,
) -> Result<(), Malformed> {
    while let Ok(Some(frame)) = link.recv().await {
        let message = control(&frame)?;
        if inputs.send(Input::Peer { from, message }).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// Hands batches on as they arrive, until the link is gone, or this shard. A batch that is cut short
/// stays incomplete; the machine knows from the header.
pub(super) async fn batches(
    from: IdentityKey,
    link: &mut PeerReceiver,
    inputs: &mpsc::Sender<Input>,
    most_items: u32,
) -> Result<(), Malformed> {
    let mut batches = Batches { from, most_items, begun: Begun::default() };
    while let Ok(Some(frame)) = link.recv().await {
        if inputs.send(batches.input(frame)?).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// The batches of one peer that have begun.
struct Batches {
    from: IdentityKey,
    most_items: u32,
    begun: Begun<Batch>,
}

/// A batch of which more may come.
struct Batch {
    of: Of,
    /// Bytes that its header leaves room for.
    room: u64,
}

/// What a batch is of.
enum Of {
    /// Onions or replies of a round.
    Round(BatchKey),
    /// Cells of a beat.
    Beat(CellBatch),
}

impl Batches {
    /// Turns the next frame into an input: a header where a batch begins, and items after it.
    fn input(&mut self, frame: Bytes) -> Result<Input, Malformed> {
        let Chunk { batch: number, is_last, bytes } =
            Chunk::from_frame(frame).ok_or(Malformed::Piece)?;
        let (batch, input) = match self.begun.take(number)? {
            None => {
                let (message, of, count) = header(&bytes, self.most_items)?;
                let room = u64::from(count) * MOST_ITEM_BYTES;
                (Batch { of, room }, Input::Peer { from: self.from, message })
            }
            Some(mut batch) => {
                batch.room = take(batch.room, &bytes)?;
                let from = self.from;
                let input = match batch.of {
                    Of::Round(batch) => Input::PeerChunk { from, batch, bytes },
                    Of::Beat(batch) => Input::PeerCells { from, batch, bytes },
                };
                (batch, input)
            }
        };
        if !is_last {
            self.begun.put(number, batch);
        }
        Ok(input)
    }
}

fn control(frame: &[u8]) -> Result<PeerMessage, Malformed> {
    match PeerMessage::from_bytes(frame) {
        Ok(PeerMessage::Batch { .. } | PeerMessage::Cells { .. }) => Err(Malformed::LooseHeader),
        Ok(message) => Ok(message),
        Err(_) => Err(Malformed::Message),
    }
}

/// The header in a batch's first frame, what the batch is of, and how many items it has.
fn header(frame: &[u8], most_items: u32) -> Result<(PeerMessage, Of, u32), Malformed> {
    let message = PeerMessage::from_bytes(frame).map_err(|_| Malformed::Header)?;
    let (of, count) = match &message {
        PeerMessage::Batch { header } => {
            let header = header.claimed();
            (Of::Round(BatchKey::of(header)), header.count)
        }
        PeerMessage::Cells { batch } => (Of::Beat(*batch), batch.count),
        _ => return Err(Malformed::Header),
    };
    // A batch may take as much memory as its count says.
    if count > most_items {
        return Err(Malformed::TooMany);
    }
    Ok((message, of, count))
}

/// Bytes that are left of `room` after `chunk`.
fn take(room: u64, chunk: &Bytes) -> Result<u64, Malformed> {
    if chunk.is_empty() || chunk.len() > MOST_CHUNK_BYTES {
        return Err(Malformed::Piece);
    }
    room.checked_sub(chunk.len() as u64).ok_or(Malformed::TooMany)
}

#[cfg(test)]
mod tests {
    use antiphon_wire::{BatchHeader, Direction, Encode as _, Epoch, Layer, Round, SignedHeader};
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

    fn batches() -> Batches {
        Batches { from: IdentityKey([1; 32]), most_items: 10, begun: Begun::default() }
    }

    fn frame(batch: u32, is_last: bool, chunk: &[u8]) -> Bytes {
        [&batch.to_be_bytes()[..], &[u8::from(is_last)], chunk].concat().into()
    }

    #[test]
    fn batches_that_interleave_are_told_apart_by_their_headers() {
        let mut batches = batches();
        let mut keys = Vec::new();
        for number in 0..2 {
            let header = test_header::header(u64::from(number), 1, Direction::Forward);
            let header = BatchHeader { count: 2, ..header };
            keys.push(BatchKey::of(&header));
            let header = SignedHeader::new(header, &SigningKey::from_bytes(&[1; 32]));
            let header = PeerMessage::Batch { header }.to_bytes();
            let input = batches.input(frame(number, false, &header));
            assert!(matches!(input, Ok(Input::Peer { .. })), "{input:?}");
        }
        for (number, is_last) in [(0, false), (1, true), (0, true)] {
            match batches.input(frame(number, is_last, b"onion")) {
                Ok(Input::PeerChunk { batch, bytes, .. }) => {
                    assert_eq!((batch, &bytes[..]), (keys[number as usize], &b"onion"[..]));
                }
                other => panic!("{other:?}"),
            }
        }
        // Both have ended.
        let input = batches.input(frame(1, false, b"onion"));
        assert_eq!(input.err(), Some(Malformed::OutOfTurn(OutOfTurn)));
    }

    #[test]
    fn cells_go_to_the_beat_that_their_header_names() {
        let cells = |count| CellBatch {
            epoch: Epoch(1),
            round: Round(2),
            beat: 3,
            layer: Layer(4),
            direction: Direction::Reply,
            count,
        };
        let header = |count| PeerMessage::Cells { batch: cells(count) }.to_bytes();
        assert_eq!(control(&header(1)), Err(Malformed::LooseHeader));
        let mut batches = batches();
        let input = batches.input(frame(0, false, &header(2)));
        assert!(matches!(input, Ok(Input::Peer { .. })), "{input:?}");
        match batches.input(frame(0, true, b"cell")) {
            Ok(Input::PeerCells { batch, bytes, .. }) => {
                assert_eq!((batch, &bytes[..]), (cells(2), &b"cell"[..]));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(batches.input(frame(1, false, &header(11))).err(), Some(Malformed::TooMany));
    }

    #[test]
    fn a_frame_that_is_no_piece_of_a_batch_is_refused() {
        assert_eq!(batches().input(Bytes::from_static(b"abc")).err(), Some(Malformed::Piece));
        let no_header = batches().input(frame(0, false, b"onion"));
        assert_eq!(no_header.err(), Some(Malformed::Header));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = control(&bytes);
            let _ = header(&bytes, 10);
            let _ = batches().input(bytes.into());
        }
    }
}
