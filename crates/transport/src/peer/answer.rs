//! Answers of a shard that was dialled: a byte each.

use crate::close::CloseReason;

/// An answer of one byte, with a meaning for each value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The link is established. The first answer, and none of the others.
    LetIn,
    /// Nothing is new.
    StillHere,
    /// The link is over. The last answer.
    Closing(CloseReason),
}

/// The first byte of those that close.
const CLOSING: u8 = 2;

impl Answer {
    pub(crate) fn encode(self) -> u8 {
        match self {
            Self::LetIn => 0,
            Self::StillHere => 1,
            Self::Closing(reason) => {
                CLOSING + u8::try_from(reason.number()).unwrap_or(u8::MAX).min(u8::MAX - CLOSING)
            }
        }
    }

    pub(crate) fn decode(byte: u8) -> Self {
        match byte {
            0 => Self::LetIn,
            1 => Self::StillHere,
            closing => Self::Closing(CloseReason::from_number(u32::from(closing - CLOSING))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_one_answer() {
        for byte in 0..=u8::MAX {
            assert_eq!(Answer::decode(byte).encode(), byte);
        }
    }
}
