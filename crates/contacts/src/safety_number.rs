//! The number that two people compare to be sure that nobody stands between them.

use std::fmt;

use subtle::ConstantTimeEq as _;

use crate::kdf::expand;

/// Digits of a safety number.
pub const DIGITS: usize = 60;
/// Bytes of a safety number's QR code.
pub const QR_BYTES: usize = 1 + 32;

const VERSION: u8 = 1;
const GROUP_DIGITS: usize = 5;
const GROUPS: usize = DIGITS / GROUP_DIGITS;
/// Random bytes per group: their remainder of 100,000 is even to one part in ten million.
const GROUP_BYTES: usize = 5;

const CONTEXT: &str = "Antiphon 2026 safety number";

/// Public keys by which a contact knows a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// The key with which sessions are agreed on (Curve25519).
    pub agreement: [u8; 32],
    /// The key that signs (Ed25519).
    pub signing: [u8; 32],
}

/// Hash of all that both ends said before they told their identities: [`Mixed`](crate::Mixed) has it.
///
/// It stays that of a contact's first session, since later sessions follow from it through the call root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionBinding(pub [u8; 32]);

/// A safety number: the same at both ends if both know the same two identities, from the same session.
#[derive(Clone, PartialEq, Eq)]
pub struct SafetyNumber {
    groups: [u32; GROUPS],
    fingerprint: [u8; 32],
}

/// Result of scanning a partner's safety number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Nobody stands between the two.
    Same,
    /// Somebody may.
    Different,
}

/// Reason why a scanned code cannot be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// Another kind of QR code.
    #[error(
        "this is not the QR code of a safety number: let the partner show the one beside the 60 digits"
    )]
    NotOne,
    /// Of a later program.
    #[error(
        "this safety number has version {0}, and this program knows version 1: update the older program"
    )]
    Version(u8),
}

impl SafetyNumber {
    /// The number of two identities, in either order, and of the session in which they were told.
    #[must_use]
    pub fn new(one: &Identity, other: &Identity, session: &SessionBinding) -> Self {
        // The order must not depend on whose screen it is.
        let (first, second) = if one <= other { (one, other) } else { (other, one) };
        let mut digits = [0; GROUPS * GROUP_BYTES];
        let mut fingerprint = [0; 32];
        let inputs: [&[u8]; 5] =
            [&first.agreement, &first.signing, &second.agreement, &second.signing, &session.0];
        expand(CONTEXT, &inputs, &mut [&mut digits, &mut fingerprint]);
        let group = |at: usize| {
            let bytes = &digits[at * GROUP_BYTES..][..GROUP_BYTES];
            let number = bytes.iter().fold(0, |sum: u64, &byte| sum << 8 | u64::from(byte));
            (number % 100_000) as u32
        };
        Self { groups: std::array::from_fn(group), fingerprint }
    }

    /// Bytes to show as a QR code: a version, and a fingerprint from which the digits say nothing more.
    #[must_use]
    pub fn qr_bytes(&self) -> [u8; QR_BYTES] {
        let mut bytes = [VERSION; QR_BYTES];
        bytes[1..].copy_from_slice(&self.fingerprint);
        bytes
    }

    /// Compares with what was scanned from the partner's screen.
    ///
    /// # Errors
    /// [`ScanError`] if it is no safety number that this program knows.
    pub fn compare(&self, scanned: &[u8]) -> Result<Comparison, ScanError> {
        let scanned: &[u8; QR_BYTES] = scanned.try_into().map_err(|_| ScanError::NotOne)?;
        if scanned[0] != VERSION {
            return Err(ScanError::Version(scanned[0]));
        }
        let same: bool = self.fingerprint[..].ct_eq(&scanned[1..]).into();
        Ok(if same { Comparison::Same } else { Comparison::Different })
    }
}

impl fmt::Display for SafetyNumber {
    /// Twelve groups of five digits, four in a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, group) in self.groups.iter().enumerate() {
            let before = match i {
                0 => "",
                _ if i % 4 == 0 => "\n",
                _ => " ",
            };
            write!(f, "{before}{group:05}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for SafetyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Tells who talks to whom.
        f.write_str("SafetyNumber(..)")
    }
}

#[cfg(test)]
mod tests;
