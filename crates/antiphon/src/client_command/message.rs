//! What the two ends say to each other, each in a message of the conversation.
//!
//! ```text
//! start     1 | length u64 | BLAKE3 of the content, 32 bytes | name, UTF-8
//! data      2 | the next bytes of the file
//! finished  3
//! ```
//!
//! Numbers are big-endian. Messages of another kind are ignored.

/// Bytes of a file in one message: a dozen rounds, so that progress shows.
pub(super) const DATA_BYTES: usize = 4096;
/// The longest name that is read, in bytes.
const MAX_NAME_BYTES: usize = 4096;

const START: u8 = 1;
const DATA: u8 = 2;
const FINISHED: u8 = 3;

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message<'a> {
    /// A file follows.
    Start {
        /// Bytes of the file.
        length: u64,
        /// BLAKE3 of the file.
        digest: [u8; 32],
        /// The name that the sender gives, not to be trusted.
        name: &'a str,
    },
    /// The next bytes of the file.
    Data(&'a [u8]),
    /// The sender has sent and received all that it is there for.
    Finished,
}

impl<'a> Message<'a> {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::Start { length, digest, name } => {
                let mut bytes = vec![START];
                bytes.extend_from_slice(&length.to_be_bytes());
                bytes.extend_from_slice(&digest);
                bytes.extend_from_slice(name.as_bytes());
                bytes
            }
            Self::Data(data) => [&[DATA], data].concat(),
            Self::Finished => vec![FINISHED],
        }
    }

    /// Reads a message; `None` if it makes no sense.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        match *kind {
            START => {
                let (length, rest) = rest.split_first_chunk()?;
                let (digest, name) = rest.split_first_chunk()?;
                let name = str::from_utf8(name).ok().filter(|name| name.len() <= MAX_NAME_BYTES)?;
                Some(Self::Start { length: u64::from_be_bytes(*length), digest: *digest, name })
            }
            DATA => Some(Self::Data(rest)),
            FINISHED if rest.is_empty() => Some(Self::Finished),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_is_read_is_written_alike(bytes: Vec<u8>, kind in 0..5_u8) {
            let bytes = [&[kind][..], &bytes].concat();
            if let Some(message) = Message::read(&bytes) {
                prop_assert_eq!(message.to_bytes(), bytes);
            }
        }

        #[test]
        fn what_is_written_is_read_alike(length: u64, digest: [u8; 32], name: String, data: Vec<u8>) {
            for message in
                [Message::Start { length, digest, name: &name }, Message::Data(&data), Message::Finished]
            {
                let bytes = message.to_bytes();
                prop_assert_eq!(Message::read(&bytes), Some(message));
            }
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let long = "x".repeat(MAX_NAME_BYTES + 1);
        let long = Message::Start { length: 0, digest: [0; 32], name: &long }.to_bytes();
        for bytes in [&[][..], &[0], &[START; 40], &[FINISHED, 0], &[9, 9], &long] {
            assert_eq!(Message::read(bytes), None);
        }
    }
}
