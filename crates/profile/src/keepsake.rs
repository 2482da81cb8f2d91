//! What a user keeps beside messages: bytes of a kind under a name, which only their owner can read.

use std::fmt;

use antiphon_wire::{Decode, DecodeError, Encode, Reader};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::message::ContactId;
use crate::text::{self, Blob, Text};

/// Most bytes of a keepsake's name.
pub const MOST_NAME_BYTES: usize = 256;
/// Most bytes of a keepsake or of a session's state.
pub const MOST_KEEPSAKE_BYTES: usize = 64 << 10;

/// Kinds of keepsakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeepsakeKind {
    /// Identity of the user.
    Identity,
    /// Contact, under a name that the user gave.
    Contact,
    /// Root from which a contact can be called after a restore.
    RecoveryRoot,
    /// Contact code that was handed out, under its label.
    Code,
    /// Setting.
    Setting,
}

impl KeepsakeKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 5] =
        [Self::Identity, Self::Contact, Self::RecoveryRoot, Self::Code, Self::Setting];

    /// Name for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Contact => "contact",
            Self::RecoveryRoot => "recovery_root",
            Self::Code => "code",
            Self::Setting => "setting",
        }
    }
}

/// Something that a user keeps until it is deleted, and that goes into a backup.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Keepsake {
    /// Kind of it.
    #[zeroize(skip)]
    pub kind: KeepsakeKind,
    /// Name, which no other of the kind has.
    pub name: String,
    /// Version of the bytes' form, for whoever reads them.
    pub version: u16,
    /// Bytes that only their owner reads.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Keepsake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keepsake({}, {} bytes)", self.kind.name(), self.bytes.len())
    }
}

/// State of a session: queue, windows, key trees, ratchet. It is no [`Keepsake`], and no backup takes it: whoever goes on
/// with an old one would use its keys twice.
///
/// ```compile_fail
/// # use antiphon_profile::{BackupItem, ContactId, SessionState};
/// let state = SessionState { contact: ContactId([0; 16]), version: 1, bytes: vec![] };
/// let item: BackupItem = state.into();
/// ```
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct SessionState {
    /// Contact at the other end.
    pub contact: ContactId,
    /// Version of the bytes' form.
    pub version: u16,
    /// Bytes that only the session reads.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for SessionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionState({}, {} bytes)", self.contact, self.bytes.len())
    }
}

impl Encode for KeepsakeKind {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(*self as u8 + 1);
    }
}

impl Decode for KeepsakeKind {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let tag = u8::decode(input)?;
        let kind = usize::from(tag).checked_sub(1).and_then(|kind| Self::ALL.get(kind));
        kind.copied().ok_or(DecodeError::UnknownTag { what: "kind of a keepsake", tag })
    }
}

impl Encode for Keepsake {
    fn encode(&self, out: &mut Vec<u8>) {
        self.kind.encode(out);
        Text(&self.name).encode(out);
        self.version.encode(out);
        Blob(&self.bytes).encode(out);
    }
}

impl Decode for Keepsake {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let kind = Decode::decode(input)?;
        let name = text::string(input, MOST_NAME_BYTES)?;
        let version = Decode::decode(input)?;
        Ok(Self { kind, name, version, bytes: text::bytes(input, MOST_KEEPSAKE_BYTES)? })
    }
}

impl Encode for SessionState {
    fn encode(&self, out: &mut Vec<u8>) {
        self.contact.encode(out);
        self.version.encode(out);
        Blob(&self.bytes).encode(out);
    }
}

impl Decode for SessionState {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (contact, version) = (Decode::decode(input)?, Decode::decode(input)?);
        Ok(Self { contact, version, bytes: text::bytes(input, MOST_KEEPSAKE_BYTES)? })
    }
}
