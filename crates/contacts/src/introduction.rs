//! Introductions: a contact makes two of its contacts known to each other.

use rand::CryptoRng;

use crate::kdf::Key;
use crate::{BoxAddress, Side};

/// Bytes of an introduction, which travels as a message inside a conversation.
pub const INTRODUCTION_BYTES: usize = 1 + 1 + 1 + 32;

const VERSION: u8 = 1;

/// One end's half of an introduction.
#[derive(Clone)]
pub struct Introduction {
    /// The end that its receiver is.
    pub side: Side,
    /// Where the other one listens.
    pub partner: BoxAddress,
    pub(crate) secret: Key,
}

/// Reason why an introduction cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this introduction is damaged, or of a newer program")]
pub struct IntroductionError;

impl std::fmt::Debug for Introduction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Introduction(..)")
    }
}

impl Introduction {
    /// The two halves for contacts that listen at `first` and at `second`, in this order.
    #[must_use]
    pub fn draw(first: BoxAddress, second: BoxAddress, rng: &mut impl CryptoRng) -> [Self; 2] {
        let mut secret = Key([0; 32]);
        rng.fill_bytes(&mut secret.0);
        [
            Self { side: Side::First, partner: second, secret: secret.clone() },
            Self { side: Side::Second, partner: first, secret },
        ]
    }

    /// Version, side, the partner's box address and 32 secret bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; INTRODUCTION_BYTES] {
        let mut bytes = [0; INTRODUCTION_BYTES];
        bytes[..3].copy_from_slice(&[VERSION, self.side.byte(), self.partner.0]);
        bytes[3..].copy_from_slice(&self.secret.0);
        bytes
    }

    /// The introduction with these bytes.
    ///
    /// # Errors
    /// [`IntroductionError`] for any other length, version or side.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, IntroductionError> {
        let bytes: &[u8; INTRODUCTION_BYTES] = bytes.try_into().map_err(|_| IntroductionError)?;
        let side = match (bytes[0], bytes[1]) {
            (VERSION, 0) => Side::First,
            (VERSION, 1) => Side::Second,
            _ => return Err(IntroductionError),
        };
        let mut secret = Key([0; 32]);
        secret.0.copy_from_slice(&bytes[3..]);
        Ok(Self { side, partner: BoxAddress(bytes[2]), secret })
    }
}
