//! Records of a TCP link: any bytes are one record in its only form, or none.
#![no_main]

use libfuzzer_sys::fuzz_target;

// Compiled in from its source: it does no input or output, and so no TLS has to be built here.
#[allow(dead_code)]
#[path = "../../crates/transport/src/tcp/record.rs"]
mod record;

use record::{MAX_DATA_BYTES, RECORD_BYTES, Record};

fuzz_target!(|bytes: [u8; RECORD_BYTES]| {
    if let Some(record) = Record::decode(bytes) {
        assert_eq!(record.encode(), bytes);
        if let Record::Data { len, .. } = record {
            assert!((1..=MAX_DATA_BYTES).contains(&len));
        }
    }
});
