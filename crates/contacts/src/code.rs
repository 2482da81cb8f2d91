//! Contact codes: what a person gives to whoever may invite them.

mod locate;
mod own;
mod refusal;
mod symbols;
mod text;

use antiphon_wire::{Digest, Timestamp};

use crate::agreement::{AgreementKey, KEY_BYTES};

pub use own::{LabelError, MOST_CODES, MakeError, OwnCode, OwnCodes, RecordError};
pub use refusal::CodeRefusal;
pub use text::{CodeError, Slip};

/// Bytes of a contact code.
pub const CODE_BYTES: usize = 57;
/// Characters of a contact code as text.
pub const CODE_CHARACTERS: usize = symbols::PREFIX.len() + symbols::SYMBOLS;
/// Bytes of a knock tag.
pub const KNOCK_TAG_BYTES: usize = 16;

const VERSION: u8 = 1;
const HOUR_MS: u64 = 3_600_000;
/// In the place of the last hour of a code that has no end.
const NO_END: u32 = 0xff_ffff;

/// Mark of a network: the first four bytes of its file's id. It tells a mistake, and proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkMark(pub [u8; 4]);

impl NetworkMark {
    /// The mark of the network whose file has this id.
    #[must_use]
    pub fn of(network: &Digest) -> Self {
        let [a, b, c, d, ..] = network.0;
        Self([a, b, c, d])
    }
}

/// Where a user listens: the box with number `address * boxes / 256`, for as many boxes as the network has.
///
/// One byte is all that the codes of one user have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoxAddress(pub u8);

impl BoxAddress {
    /// The number of the box in which the address is, of `boxes` that the network has.
    #[must_use]
    pub fn number(self, boxes: u16) -> u16 {
        antiphon_wire::box_of_address(self.0, boxes)
    }
}

/// Whole hour since 1970 in which a code ends, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry(u32);

impl Expiry {
    /// The code has no end.
    pub const NEVER: Self = Self(NO_END);

    /// The end of the hour in which `time` lies; [`Self::NEVER`] for times more than 1900 years ahead.
    #[must_use]
    pub fn at(time: Timestamp) -> Self {
        Self(u32::try_from(time.0 / HOUR_MS).unwrap_or(NO_END).min(NO_END))
    }

    /// The first moment at which the code is no longer good.
    #[must_use]
    pub fn ends(self) -> Option<Timestamp> {
        (self.0 != NO_END).then(|| Timestamp((u64::from(self.0) + 1) * HOUR_MS))
    }

    /// Returns `true` if a code with this expiry is over by `now`.
    #[must_use]
    pub fn is_over(self, now: Timestamp) -> bool {
        self.ends().is_some_and(|ends| ends <= now)
    }
}

/// A contact code: whoever has it can send its owner invitations, and learns no more than the owner's box.
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 1 | version, 1 |
/// | 1 | 4 | network mark |
/// | 5 | 1 | the owner's box address |
/// | 6 | 32 | X25519 key of this code alone |
/// | 38 | 16 | knock tag |
/// | 54 | 3 | last hour since 1970, or `ffffff` |
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ContactCode {
    /// The network in which the code is good.
    pub network: NetworkMark,
    /// Where its owner listens.
    pub address: BoxAddress,
    /// The key for invitations.
    pub key: AgreementKey,
    /// Bytes that an invitation has to repeat.
    pub knock_tag: [u8; KNOCK_TAG_BYTES],
    /// When the code ends.
    pub expiry: Expiry,
}

impl std::fmt::Debug for ContactCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Whoever has a code may use it, so logs don't get it.
        f.write_str("ContactCode(..)")
    }
}

/// Reason why 57 bytes are no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeBytesError {
    /// A version that this program does not know.
    #[error(
        "this contact code has version {0}, and this program knows version 1: update the program"
    )]
    Version(u8),
    /// A key with which nothing secret can be agreed on.
    #[error("this contact code has a key that protects nothing: no honest program makes it")]
    Key,
}

impl ContactCode {
    /// The code's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; CODE_BYTES] {
        let mut bytes = [0; CODE_BYTES];
        bytes[0] = VERSION;
        bytes[1..5].copy_from_slice(&self.network.0);
        bytes[5] = self.address.0;
        bytes[6..38].copy_from_slice(self.key.bytes());
        bytes[38..54].copy_from_slice(&self.knock_tag);
        bytes[54..].copy_from_slice(&self.expiry.0.to_be_bytes()[1..]);
        bytes
    }

    /// The code with these bytes.
    ///
    /// # Errors
    /// [`CodeBytesError`] for another version and for a key that is none.
    pub fn from_bytes(bytes: &[u8; CODE_BYTES]) -> Result<Self, CodeBytesError> {
        if bytes[0] != VERSION {
            return Err(CodeBytesError::Version(bytes[0]));
        }
        let mut key = [0; KEY_BYTES];
        key.copy_from_slice(&bytes[6..38]);
        let mut knock_tag = [0; KNOCK_TAG_BYTES];
        knock_tag.copy_from_slice(&bytes[38..54]);
        Ok(Self {
            network: NetworkMark([bytes[1], bytes[2], bytes[3], bytes[4]]),
            address: BoxAddress(bytes[5]),
            key: AgreementKey::from_bytes(key).ok_or(CodeBytesError::Key)?,
            knock_tag,
            expiry: Expiry(u32::from_be_bytes([0, bytes[54], bytes[55], bytes[56]])),
        })
    }

    /// The code as text of [`CODE_CHARACTERS`] lower-case characters, `antiphon1...`.
    #[must_use]
    pub fn to_text(&self) -> String {
        text::write(&self.to_bytes())
    }

    /// Reads a code that a person typed, pasted or scanned: in upper or in lower case, with spaces and line
    /// breaks anywhere.
    ///
    /// # Errors
    /// [`CodeError`] says what is wrong, with the place of a wrong character and what it may have to be.
    pub fn parse(text: &str) -> Result<Self, CodeError> {
        Ok(Self::from_bytes(&text::read(text)?)?)
    }

    /// Returns the code if an invitation to it makes sense: it is of this network, not over at `now`, and of
    /// somebody else.
    ///
    /// # Errors
    /// [`CodeRefusal`] says why not.
    pub fn admit(
        self,
        network: NetworkMark,
        now: Timestamp,
        own: &OwnCodes,
    ) -> Result<Self, CodeRefusal> {
        refusal::check(&self, network, now, own)?;
        Ok(self)
    }
}

#[cfg(test)]
mod tests;
