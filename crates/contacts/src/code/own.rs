//! The codes that a user has given out: many, each for somebody, and each to be taken back alone.

use antiphon_wire::Timestamp;
use rand::CryptoRng;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{
    BoxAddress, CODE_BYTES, CodeBytesError, ContactCode, Expiry, KNOCK_TAG_BYTES, NetworkMark,
};
use crate::KEPT_MS;
use crate::agreement::{AgreementSecret, KEY_BYTES};

/// Codes of one user at most: each is tried against every invitation in the user's box.
pub const MOST_CODES: usize = 64;
/// Bytes of a label at most.
const MOST_LABEL_BYTES: usize = 64;

const VERSION: u8 = 1;
/// Version, secret key, code, and the length of the label.
const FIXED_BYTES: usize = 1 + KEY_BYTES + CODE_BYTES + 1;

/// A code of the user, with its secret key and the label that only the user sees.
#[derive(Clone)]
pub struct OwnCode {
    secret: AgreementSecret,
    code: ContactCode,
    label: String,
}

impl std::fmt::Debug for OwnCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OwnCode(..)")
    }
}

/// Reason why a label is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// Nothing to see.
    #[error("a code needs a label, such as the name of whom it is for: only you see it")]
    Empty,
    /// More than can be kept.
    #[error("a label has at most {MOST_LABEL_BYTES} bytes, and this has {0}")]
    Long(usize),
    /// Characters that move the cursor or begin a line.
    #[error("a label is one line without control characters")]
    Control,
}

/// Reason why a code is not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MakeError {
    /// The label cannot be kept.
    #[error(transparent)]
    Label(#[from] LabelError),
    /// Another code has it.
    #[error("there is a code \"{0}\" already: revoke it first, or take another label")]
    Taken(String),
    /// More codes than are tried against every invitation.
    #[error("there are {MOST_CODES} codes, which is the most: revoke one that nobody needs")]
    TooMany,
}

/// Reason why a kept code cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A version that this program does not know.
    #[error("this record of a contact code has version {0}: a newer program wrote it")]
    Version(u8),
    /// The code itself.
    #[error(transparent)]
    Code(#[from] CodeBytesError),
    /// The label.
    #[error(transparent)]
    Label(#[from] LabelError),
    /// A secret key that belongs to another code.
    #[error("this record of a contact code has a secret key that is another code's")]
    Secret,
    /// Too short, too long, or no text.
    #[error("this record of a contact code is damaged")]
    Damaged,
}

impl OwnCode {
    /// The code itself, to give away.
    #[must_use]
    pub fn code(&self) -> &ContactCode {
        &self.code
    }

    /// The label by which the user knows the code, for instance "for Carol".
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    pub(crate) fn secret(&self) -> &AgreementSecret {
        &self.secret
    }

    /// Returns `true` if an invitation of a round at `time` that repeats `tag` was made for this code in time.
    pub(crate) fn admits(&self, tag: &[u8; KNOCK_TAG_BYTES], time: Timestamp) -> bool {
        let same: bool = self.code.knock_tag.ct_eq(tag).into();
        same && !self.code.expiry.is_over(time)
    }

    /// The record to keep: version, secret key, code, and the label behind its length.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(FIXED_BYTES + MOST_LABEL_BYTES));
        bytes.push(VERSION);
        bytes.extend_from_slice(self.secret.bytes());
        bytes.extend_from_slice(&self.code.to_bytes());
        bytes.push(u8::try_from(self.label.len()).expect("a label has at most 64 bytes"));
        bytes.extend_from_slice(self.label.as_bytes());
        bytes
    }

    /// The code that a record holds.
    ///
    /// # Errors
    /// [`RecordError`] if nobody can have written it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let (version, rest) = bytes.split_first().ok_or(RecordError::Damaged)?;
        if *version != VERSION {
            return Err(RecordError::Version(*version));
        }
        let (secret, rest) = rest.split_first_chunk::<KEY_BYTES>().ok_or(RecordError::Damaged)?;
        let (code, rest) = rest.split_first_chunk::<CODE_BYTES>().ok_or(RecordError::Damaged)?;
        let (length, label) = rest.split_first().ok_or(RecordError::Damaged)?;
        if usize::from(*length) != label.len() {
            return Err(RecordError::Damaged);
        }
        let label = std::str::from_utf8(label).map_err(|_| RecordError::Damaged)?;
        check_label(label)?;
        let code = ContactCode::from_bytes(code)?;
        let secret = AgreementSecret::from_bytes(*secret);
        if secret.public() != code.key {
            return Err(RecordError::Secret);
        }
        Ok(Self { secret, code, label: label.to_owned() })
    }
}

fn check_label(label: &str) -> Result<(), LabelError> {
    if label.trim().is_empty() {
        return Err(LabelError::Empty);
    }
    if label.len() > MOST_LABEL_BYTES {
        return Err(LabelError::Long(label.len()));
    }
    if label.contains(char::is_control) { Err(LabelError::Control) } else { Ok(()) }
}

/// All codes of a user.
#[derive(Clone, Debug, Default)]
pub struct OwnCodes(Vec<OwnCode>);

impl OwnCodes {
    /// The codes that have been kept, which may be none.
    #[must_use]
    pub fn new(mut kept: Vec<OwnCode>) -> Self {
        kept.truncate(MOST_CODES);
        Self(kept)
    }

    /// The codes, the oldest first.
    #[must_use]
    pub fn all(&self) -> &[OwnCode] {
        &self.0
    }

    /// Makes a code with a key and a knock tag of its own, so that two who compare theirs find nothing in common
    /// but the box.
    ///
    /// # Errors
    /// [`MakeError`] for a label that cannot be kept or is taken, and for too many codes.
    pub fn make(
        &mut self,
        label: &str,
        network: NetworkMark,
        address: BoxAddress,
        expiry: Expiry,
        rng: &mut impl CryptoRng,
    ) -> Result<&OwnCode, MakeError> {
        check_label(label)?;
        if self.0.iter().any(|code| code.label == label) {
            return Err(MakeError::Taken(label.to_owned()));
        }
        if self.0.len() >= MOST_CODES {
            return Err(MakeError::TooMany);
        }
        let secret = AgreementSecret::draw(rng);
        let mut knock_tag = [0; KNOCK_TAG_BYTES];
        rng.fill_bytes(&mut knock_tag);
        let code = ContactCode { network, address, key: secret.public(), knock_tag, expiry };
        self.0.push(OwnCode { secret, code, label: label.to_owned() });
        Ok(&self.0[self.0.len() - 1])
    }

    /// Erases the code with this label and its secret key, and returns `true` if there was one. Whoever has the
    /// code can still send invitations, and nobody can read them.
    pub fn revoke(&mut self, label: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|code| code.label != label);
        self.0.len() < before
    }

    /// Erases codes that ended so long before `now` that no box from before their end is kept anywhere.
    pub fn forget(&mut self, now: Timestamp) {
        let over = Timestamp(now.0.saturating_sub(KEPT_MS));
        self.0.retain(|code| !code.code.expiry.is_over(over));
    }
}
