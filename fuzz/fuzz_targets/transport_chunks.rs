//! The lane on which shards send batches: any bytes are frames of chunks in their only form, and no
//! peer has more batches under way than it may.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

// Compiled in from their sources: they do no input or output, and so no TLS has to be built here.
#[allow(dead_code)]
#[path = "../../crates/transport/src/batches/begun.rs"]
mod begun;
#[allow(dead_code)]
#[path = "../../crates/transport/src/batches/chunk.rs"]
mod chunk;
#[allow(dead_code)]
#[path = "../../crates/transport/src/frame.rs"]
mod frame;

use begun::{BATCHES_AT_ONCE, Begun};
use chunk::{CHUNK_HEAD_BYTES, Chunk};
use frame::FrameDecoder;

fuzz_target!(|bytes: &[u8]| {
    let mut decoder = FrameDecoder::new(1000).believing_up_to(1000);
    let mut rest = bytes;
    let mut begun = Begun::default();
    let mut under_way = 0;
    while let Ok(Some(frame)) = decoder.decode(&mut rest) {
        let Some(chunk) = Chunk::from_frame(frame.clone()) else { continue };
        let head = [&chunk.batch.to_be_bytes()[..], &[u8::from(chunk.is_last)]].concat();
        assert_eq!(head.len(), CHUNK_HEAD_BYTES);
        assert_eq!([&head[..], &chunk.bytes[..]].concat(), frame);
        // What is known of a batch is what its chunks so far were.
        let Ok(known) = begun.take(chunk.batch) else { return };
        let goes_on = known.is_some();
        let mut known: Vec<Bytes> = known.unwrap_or_default();
        assert!(!goes_on || !known.is_empty());
        known.push(chunk.bytes);
        under_way += usize::from(!goes_on);
        if chunk.is_last {
            under_way -= 1;
        } else {
            begun.put(chunk.batch, known);
        }
        assert!(under_way <= BATCHES_AT_ONCE);
    }
});
