use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::frame::FrameDecoder;

/// Chunks in `pieces`, in order.
fn chunks(pieces: &[Bytes]) -> Vec<Chunk> {
    let stream = pieces.concat();
    let mut stream = &stream[..];
    let mut decoder = FrameDecoder::new(usize::MAX);
    let mut chunks = Vec::new();
    while !stream.is_empty() {
        let frame = decoder.decode(&mut stream).unwrap().expect("whole frames");
        chunks.push(Chunk::from_frame(frame).unwrap());
    }
    chunks
}

fn batch(chunks: usize, bytes: usize) -> Vec<Bytes> {
    vec![Bytes::from(vec![7; bytes]); chunks]
}

#[test]
fn batches_take_turns_whatever_their_length() {
    let mut turns = Turns::default();
    turns.begin(batch(1000, TURN_BYTES));
    let mut order = Vec::new();
    for turn in 0..6 {
        if turn == 2 {
            // Those that come later do not wait for the first to end.
            turns.begin(batch(1, 100));
            turns.begin(batch(2, TURN_BYTES));
        }
        order.extend(chunks(&turns.take(1)).into_iter().map(|chunk| (chunk.batch, chunk.is_last)));
    }
    let more = false;
    assert_eq!(order, [(0, more), (0, more), (0, more), (1, true), (2, more), (0, more)]);
}

#[test]
fn small_chunks_go_together_and_long_ones_are_not_copied() {
    let mut turns = Turns::default();
    for _ in 0..10 {
        turns.begin(batch(1, 100));
    }
    assert_eq!(turns.take(TURN_BYTES).len(), 1);
    let long = batch(1, 100_000);
    let start = long[0].as_ptr();
    turns.begin(long);
    assert_eq!(turns.take(TURN_BYTES)[1].as_ptr(), start);
}

#[test]
fn a_peer_cannot_begin_more_batches_than_allowed_nor_go_on_with_one_that_ended() {
    let mut begun = Begun::default();
    assert_eq!(begun.take(1), Err(OutOfTurn), "the first is number 0");
    for batch in 0..BATCHES_AT_ONCE as u32 {
        assert_eq!(begun.take(batch), Ok(None));
        begun.put(batch, batch);
    }
    let next = BATCHES_AT_ONCE as u32;
    assert_eq!(begun.take(next), Err(OutOfTurn), "one too many");
    assert_eq!(begun.take(3), Ok(Some(3)));
    // It ended with that chunk: there is room for another, and none for more of it.
    assert_eq!(begun.take(3), Err(OutOfTurn));
    assert_eq!(begun.take(next), Ok(None));
}

proptest! {
    #[test]
    fn every_batch_arrives_whole_and_in_order(
        sizes in proptest::collection::vec(
            proptest::collection::vec(prop_oneof![0..64_usize, 4000..9000_usize], 1..6),
            0..BATCHES_AT_ONCE,
        ),
        bytes in 1..30_000_usize,
    ) {
        let sent: Vec<Vec<Bytes>> = sizes
            .iter()
            .enumerate()
            .map(|(i, sizes)| sizes.iter().map(|n| Bytes::from(vec![i as u8; *n])).collect())
            .collect();
        let mut turns = Turns::default();
        sent.iter().for_each(|batch| turns.begin(batch.clone()));
        let mut begun = Begun::default();
        let mut received = vec![Vec::new(); sent.len()];
        loop {
            let pieces = turns.take(bytes);
            if pieces.is_empty() {
                break;
            }
            for chunk in chunks(&pieces) {
                let mut known: Vec<Bytes> = begun.take(chunk.batch).unwrap().unwrap_or_default();
                known.push(chunk.bytes);
                if chunk.is_last {
                    received[chunk.batch as usize] = known;
                } else {
                    begun.put(chunk.batch, known);
                }
            }
        }
        prop_assert_eq!(received, sent);
    }

    #[test]
    fn any_frame_is_one_chunk_in_its_only_form_or_none(
        frame in proptest::collection::vec(0..4_u8, 0..20),
    ) {
        if let Some(chunk) = Chunk::from_frame(frame.clone().into()) {
            let mut again = chunk.batch.to_be_bytes().to_vec();
            again.push(u8::from(chunk.is_last));
            again.extend_from_slice(&chunk.bytes);
            prop_assert_eq!(again, frame);
        }
    }
}
