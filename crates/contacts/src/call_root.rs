//! The secret of a contact from which the two call each other, and the four ways to one.

use crate::kdf::{Key, expand};
use crate::{
    AgreementKey, BoxAddress, ContactCode, Expiry, Introduction, KNOCK_TAG_BYTES, NetworkMark,
    OwnCode,
};

const PHRASE_CONTEXT: &str = "Antiphon 2026 call root of a phrase";
const CODES_CONTEXT: &str = "Antiphon 2026 call root of two codes";
const INVITATION_CONTEXT: &str = "Antiphon 2026 call root of an invitation";
const ENDS_CONTEXT: &str = "Antiphon 2026 codes of a call root's ends";
const INTRODUCTION_CONTEXT: &str = "Antiphon 2026 call root of an introduction";

/// End of a contact. The two have different ones, from the beginning to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Whoever invited, made the phrase, is named first by the introducer, or has the code with the lower bytes.
    First,
    /// The other end.
    Second,
}

impl Side {
    /// The other end.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }

    pub(crate) fn byte(self) -> u8 {
        match self {
            Self::First => 0,
            Self::Second => 1,
        }
    }
}

/// Two codes of the same key, which is nobody's contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("both contact codes are your own: put in the one that the other person gave you")]
pub struct SameCodeError;

/// The secret of a contact, 32 bytes, from which a [`Keywheel`](crate::Keywheel) begins. Erased when dropped.
#[derive(Clone)]
pub struct CallRoot(pub(crate) Key);

impl std::fmt::Debug for CallRoot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CallRoot(..)")
    }
}

impl CallRoot {
    pub(crate) fn of_phrase(stretched: &Key) -> Self {
        Self(Key::derive(PHRASE_CONTEXT, &[&stretched.0]))
    }

    /// The root that follows from both ends' codes, when each has the other's: nothing has to be sent. It is as
    /// secret as either code's secret key, until it is refreshed.
    ///
    /// # Errors
    /// [`SameCodeError`] for two codes of one key.
    pub fn of_codes(own: &OwnCode, other: &ContactCode) -> Result<(Self, Side), SameCodeError> {
        let (mine, others) = (own.code().to_bytes(), other.to_bytes());
        let (side, first, second) = match own.code().key == other.key {
            true => return Err(SameCodeError),
            false if mine < others => (Side::First, mine, others),
            false => (Side::Second, others, mine),
        };
        let shared = own.secret().agree(&other.key);
        Ok((Self(Key::derive(CODES_CONTEXT, &[&shared.0, &first, &second])), side))
    }

    /// The root of an introduction; the introducer knows it as well, until it is refreshed.
    #[must_use]
    pub fn of_introduction(introduction: &Introduction) -> Self {
        Self(Key::derive(INTRODUCTION_CONTEXT, &[&introduction.secret.0]))
    }

    /// From an invitation's secret, the code that it is for, and where the inviter listens.
    pub(crate) fn of_invitation(secret: &Key, code: &ContactCode, inviter: BoxAddress) -> Self {
        let said: [&[u8]; 3] = [&secret.0, &code.to_bytes(), &[inviter.0]];
        Self(Key::derive(INVITATION_CONTEXT, &said))
    }

    /// The codes by which two ends know each other that have nothing but this root in common, the first's and the second's.
    /// They are to be called at box address 0. Nobody can be invited by them, and the ends are not who the codes say until a
    /// session has bound them.
    ///
    /// # Panics
    /// For one root of 2^250, whose keys are among the twelve that protect nothing.
    #[must_use]
    pub fn codes(&self, network: NetworkMark) -> [ContactCode; 2] {
        [Side::First, Side::Second].map(|side| {
            let (mut key, mut knock_tag) = ([0; 32], [0; KNOCK_TAG_BYTES]);
            let outputs: &mut [&mut [u8]] = &mut [&mut key, &mut knock_tag];
            expand(ENDS_CONTEXT, &[&self.0.0, &[side.byte()]], outputs);
            let key = AgreementKey::from_bytes(key).expect("twelve keys of 2^255 protect nothing");
            ContactCode { network, address: BoxAddress(0), key, knock_tag, expiry: Expiry::NEVER }
        })
    }

    /// The confirmation that the end at `side` holds this root.
    pub(crate) fn confirmation(&self, context: &str, side: Side) -> Key {
        let mut confirmation = Key([0; 32]);
        expand(context, &[&self.0.0, &[side.byte()]], &mut [&mut confirmation.0]);
        confirmation
    }
}

#[cfg(test)]
mod tests;
