//! Records: what the two ends of a TCP link say to each other. A byte for the kind and two `u32`
//! big-endian values; [`Record::Data`] is followed by that many bytes.

/// Bytes of a record, without what follows [`Record::Data`].
pub(crate) const RECORD_BYTES: usize = 9;

/// The most bytes that follow one record.
pub(crate) const MAX_DATA_BYTES: u32 = 256 << 10;

/// A record. Streams are numbered by their senders: 0 is the control stream, the bulks follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// The first record of each side: bytes that it takes ahead of reading on each stream, and bulks
    /// that it takes at once.
    Hello { window: u32, max_bulks: u32 },
    /// The sender opens this bulk, the next in order.
    Open { stream: u32 },
    /// `len` bytes of a stream follow.
    Data { stream: u32, len: u32 },
    /// The stream is complete.
    Finish { stream: u32 },
    /// The sender gave the stream up.
    Reset { stream: u32, code: u32 },
    /// The receiver wants no more of the stream.
    Stop { stream: u32, code: u32 },
    /// The receiver has read this many bytes more of the stream.
    Credit { stream: u32, bytes: u32 },
    /// All of the stream has arrived.
    Received { stream: u32 },
    /// The receiver is through with the stream: there is room for another.
    Released { stream: u32 },
    /// To be answered with `Pong` at once, after all that has been put off: so that both know that the
    /// other is there, and what it has.
    Ping,
    /// The answer.
    Pong,
    /// The link is over.
    Close { code: u32 },
}

impl Record {
    pub(crate) fn encode(self) -> [u8; RECORD_BYTES] {
        let (kind, a, b) = match self {
            Self::Hello { window, max_bulks } => (0_u8, window, max_bulks),
            Self::Data { stream, len } => (1, stream, len),
            Self::Finish { stream } => (2, stream, 0),
            Self::Reset { stream, code } => (3, stream, code),
            Self::Stop { stream, code } => (4, stream, code),
            Self::Credit { stream, bytes } => (5, stream, bytes),
            Self::Received { stream } => (6, stream, 0),
            Self::Released { stream } => (7, stream, 0),
            Self::Ping => (8, 0, 0),
            Self::Pong => (9, 0, 0),
            Self::Close { code } => (10, 0, code),
            Self::Open { stream } => (11, stream, 0),
        };
        let mut bytes = [kind; RECORD_BYTES];
        bytes[1..5].copy_from_slice(&a.to_be_bytes());
        bytes[5..9].copy_from_slice(&b.to_be_bytes());
        bytes
    }

    /// `None` if it is no record in its only form.
    pub(crate) fn decode(bytes: [u8; RECORD_BYTES]) -> Option<Self> {
        let [kind, a @ .., b0, b1, b2, b3] = bytes;
        let (a, b) = (u32::from_be_bytes(a), u32::from_be_bytes([b0, b1, b2, b3]));
        let record = match kind {
            0 => Self::Hello { window: a, max_bulks: b },
            1 if (1..=MAX_DATA_BYTES).contains(&b) => Self::Data { stream: a, len: b },
            2 => Self::Finish { stream: a },
            3 => Self::Reset { stream: a, code: b },
            4 => Self::Stop { stream: a, code: b },
            5 => Self::Credit { stream: a, bytes: b },
            6 => Self::Received { stream: a },
            7 => Self::Released { stream: a },
            8 => Self::Ping,
            9 => Self::Pong,
            10 => Self::Close { code: b },
            11 => Self::Open { stream: a },
            _ => return None,
        };
        (record.encode() == bytes).then_some(record)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_one_record_or_none(kind in 0..13_u8, rest: [u8; 8]) {
            let mut bytes = [kind; RECORD_BYTES];
            bytes[1..].copy_from_slice(&rest);
            if let Some(record) = Record::decode(bytes) {
                prop_assert_eq!(record.encode(), bytes);
            }
        }
    }
}
