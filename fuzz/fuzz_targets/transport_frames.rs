//! The bytes of a link, cut anywhere: the frames do not depend on where, none is longer than
//! allowed, and put together again they are the bytes that came.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

// Compiled in from its source: it does no input or output, and so no TLS has to be built here.
#[allow(dead_code)]
#[path = "../../crates/transport/src/frame.rs"]
mod frame;

use frame::{FrameDecoder, encode_frames};

const MAX: usize = 1000;

/// The frames in `pieces`, and whether the stream could be read to its end.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Bytes>, bool) {
    let mut decoder = FrameDecoder::new(MAX);
    let mut frames = Vec::new();
    for mut piece in pieces {
        loop {
            match decoder.decode(&mut piece) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(_) => return (frames, false),
            }
        }
        assert!(piece.is_empty());
    }
    let whole = decoder.is_between_frames();
    (frames, whole)
}

fuzz_target!(|input: (u8, &[u8])| {
    let (cut, bytes) = input;
    let (frames, whole) = read(std::iter::once(bytes));
    assert_eq!(read(bytes.chunks(usize::from(cut).max(1))), (frames.clone(), whole));
    assert!(frames.iter().all(|frame| frame.len() <= MAX));
    let again = encode_frames(&frames, MAX).expect("frames that were accepted").concat();
    assert!(bytes.starts_with(&again));
    assert!(!whole || again == bytes);
});
