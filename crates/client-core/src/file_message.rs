//! Files in a conversation: the messages of the two ends of `antiphon client` about them.
//!
//! ```text
//! offer      1 | number u32 | length u64 | BLAKE3 of the content, 32 bytes | name, UTF-8
//! accepted   2 | number u32
//! waiting    3 | number u32 | reason, UTF-8
//! data       4 | the next bytes of the file accepted last
//! stored     5 | number u32
//! refused    6 | number u32 | reason, UTF-8
//! failed     7 | number u32 | reason, UTF-8
//! withdrawn  8 | number u32
//! begun anew 9
//! ```
//!
//! Numbers are big-endian; each end numbers the files that it offers. Bytes of a file follow once it is
//! accepted, and stop while the receiver is waiting for room. Every offer that is not withdrawn ends in one
//! of *stored*, *refused* and *failed*, or with either end's program: when it starts again, it says that it has *begun
//! anew*, and knows of no file in either direction. Messages of another kind are ignored.

/// Bytes of a file in one message: with the byte for its kind, what eight bodies of 256 bytes carry.
pub const DATA_BYTES: usize = 8 * 222 - 1;
/// The longest name that is read, in bytes.
const MAX_NAME_BYTES: usize = 4096;
/// The longest reason that is written or read, in bytes: it fits into one body.
const MAX_REASON_BYTES: usize = 200;

/// A message about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// The sender has a file.
    Offer {
        /// Number that counts the sender's offers.
        number: u32,
        /// Bytes of the file.
        length: u64,
        /// BLAKE3 of the file.
        digest: [u8; 32],
        /// The name that the sender gives, not to be trusted.
        name: &'a str,
    },
    /// The next bytes of the file.
    Data(&'a [u8]),
    /// News of the file with this number.
    About(u32, Fate<'a>),
    /// The program that speaks was started again, and knows nothing of files that were on their way.
    BegunAnew,
}

/// News of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate<'a> {
    /// The receiver takes bytes, from now on or again.
    Accepted,
    /// The receiver keeps what it has and takes no more for now.
    Waiting(&'a str),
    /// The receiver has all of it on disk.
    Stored,
    /// The receiver takes nothing of it.
    Refused(&'a str),
    /// The receiver began and cannot finish; nothing is kept.
    Failed(&'a str),
    /// The sender takes the offer back.
    Withdrawn,
}

const OFFER: u8 = 1;
const ACCEPTED: u8 = 2;
const WAITING: u8 = 3;
const DATA: u8 = 4;
const STORED: u8 = 5;
const REFUSED: u8 = 6;
const FAILED: u8 = 7;
const WITHDRAWN: u8 = 8;
const BEGUN_ANEW: u8 = 9;

impl<'a> Message<'a> {
    /// The message as the conversation carries it.
    pub fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::Offer { number, length, digest, name } => [
                &[OFFER][..],
                &number.to_be_bytes(),
                &length.to_be_bytes(),
                &digest,
                name.as_bytes(),
            ]
            .concat(),
            Self::Data(data) => [&[DATA], data].concat(),
            Self::BegunAnew => vec![BEGUN_ANEW],
            Self::About(number, fate) => {
                let (kind, reason) = fate.parts();
                [&[kind][..], &number.to_be_bytes(), shortened(reason).as_bytes()].concat()
            }
        }
    }

    /// Reads a message; `None` if it makes no sense.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        if *kind == DATA {
            return Some(Self::Data(rest));
        }
        if *kind == BEGUN_ANEW && rest.is_empty() {
            return Some(Self::BegunAnew);
        }
        let (number, rest) = rest.split_first_chunk()?;
        let number = u32::from_be_bytes(*number);
        if *kind == OFFER {
            let (length, rest) = rest.split_first_chunk()?;
            let (digest, name) = rest.split_first_chunk()?;
            let name = str::from_utf8(name).ok().filter(|name| name.len() <= MAX_NAME_BYTES)?;
            let length = u64::from_be_bytes(*length);
            return Some(Self::Offer { number, length, digest: *digest, name });
        }
        let reason = str::from_utf8(rest).ok().filter(|it| it.len() <= MAX_REASON_BYTES)?;
        let fate = match *kind {
            WAITING => Fate::Waiting(reason),
            REFUSED => Fate::Refused(reason),
            FAILED => Fate::Failed(reason),
            ACCEPTED if reason.is_empty() => Fate::Accepted,
            STORED if reason.is_empty() => Fate::Stored,
            WITHDRAWN if reason.is_empty() => Fate::Withdrawn,
            _ => return None,
        };
        Some(Self::About(number, fate))
    }
}

impl<'a> Fate<'a> {
    fn parts(self) -> (u8, &'a str) {
        match self {
            Self::Accepted => (ACCEPTED, ""),
            Self::Waiting(reason) => (WAITING, reason),
            Self::Stored => (STORED, ""),
            Self::Refused(reason) => (REFUSED, reason),
            Self::Failed(reason) => (FAILED, reason),
            Self::Withdrawn => (WITHDRAWN, ""),
        }
    }
}

fn shortened(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(MAX_REASON_BYTES)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_is_read_is_written_alike(bytes: Vec<u8>, kind in 0..10_u8) {
            let bytes = [&[kind][..], &bytes].concat();
            if let Some(message) = Message::read(&bytes) {
                prop_assert_eq!(message.to_bytes(), bytes);
            }
        }

        #[test]
        fn what_is_written_is_read_alike(
            number: u32, length: u64, digest: [u8; 32], name: String, reason in ".{0,50}", data: Vec<u8>,
        ) {
            let fates = [
                Fate::Accepted, Fate::Waiting(&reason), Fate::Stored, Fate::Refused(&reason),
                Fate::Failed(&reason), Fate::Withdrawn,
            ];
            let offer = Message::Offer { number, length, digest, name: &name };
            let others = [offer, Message::Data(&data), Message::BegunAnew];
            for message in fates.map(|fate| Message::About(number, fate)).into_iter().chain(others) {
                let bytes = message.to_bytes();
                prop_assert_eq!(Message::read(&bytes), Some(message));
            }
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let long = "x".repeat(MAX_NAME_BYTES + 1);
        let long = Message::Offer { number: 0, length: 0, digest: [0; 32], name: &long }.to_bytes();
        for bytes in [&[][..], &[0; 5], &[OFFER; 40], &[STORED, 0, 0, 0, 1, 0], &[9; 9], &long] {
            assert_eq!(Message::read(bytes), None);
        }
    }

    #[test]
    fn a_long_reason_is_cut_between_letters() {
        let long = "ü".repeat(150);
        let bytes = Message::About(1, Fate::Failed(&long)).to_bytes();
        assert_eq!(Message::read(&bytes), Some(Message::About(1, Fate::Failed(&long[..200]))));
    }
}
