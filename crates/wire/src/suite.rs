//! The cryptography of an epoch's onions.

/// Bytes of an ML-KEM-768 ciphertext (FIPS 203).
const KEM_CIPHERTEXT_BYTES: usize = 1088;

/// The cryptographic suite of an epoch: what a hop's secret comes of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suite {
    /// Suite 1: X25519.
    #[default]
    Classic,
    /// Suite 2: X25519 and ML-KEM-768, so that a quantum computer alone opens nothing.
    Hybrid,
}

/// A number that no suite has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no suite {0}: suites are 1 (X25519) and 2 (X25519 and ML-KEM-768)")]
pub struct UnknownSuite(pub u8);

impl Suite {
    /// Every suite there is.
    pub const ALL: [Self; 2] = [Self::Classic, Self::Hybrid];

    /// The number that an epoch document names it by.
    pub const fn number(self) -> u8 {
        match self {
            Self::Classic => 1,
            Self::Hybrid => 2,
        }
    }

    /// The suite with this number.
    ///
    /// # Errors
    /// If there is none.
    pub fn of_number(number: u8) -> Result<Self, UnknownSuite> {
        Self::ALL.into_iter().find(|suite| suite.number() == number).ok_or(UnknownSuite(number))
    }

    /// Bytes of the ML-KEM ciphertext in each layer of an onion: 0 or 1088.
    pub const fn kem_bytes(self) -> usize {
        match self {
            Self::Classic => 0,
            Self::Hybrid => KEM_CIPHERTEXT_BYTES,
        }
    }
}

impl std::fmt::Display for Suite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.number().fmt(f)
    }
}

impl std::str::FromStr for Suite {
    type Err = UnknownSuite;

    fn from_str(text: &str) -> Result<Self, UnknownSuite> {
        Self::of_number(text.parse().unwrap_or(0))
    }
}
