//! The bytes of the key file's slots and of a backup's header: written in one form, and read in no other.

use std::fmt;

use antiphon_wire::Digest;

/// The least memory, in KiB for each lane, that argon2 works with.
const LEAST_KIB_A_LANE: u32 = 8;
/// The most that is taken from a file: a forged one must not take all memory, or a day.
const MOST_KIB: u32 = 1 << 20;
const MOST_PASSES: u32 = 64;
const MOST_LANES: u32 = 16;

/// Cost of deriving a key from a passphrase by argon2id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyCost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes of the memory.
    pub lanes: u32,
}

impl Default for KeyCost {
    /// 64 MiB and three passes: about 0.2 s of one core.
    fn default() -> Self {
        Self { memory_kib: 64 << 10, passes: 3, lanes: 1 }
    }
}

impl KeyCost {
    /// Bytes of its form.
    const BYTES: usize = 12;

    fn render(self, out: &mut Vec<u8>) {
        out.extend(self.memory_kib.to_be_bytes());
        out.extend(self.passes.to_be_bytes());
        out.extend(self.lanes.to_be_bytes());
    }

    fn parse(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let (words, _) = bytes.as_chunks::<4>();
        let [memory_kib, passes, lanes] = [0, 1, 2].map(|i| u32::from_be_bytes(words[i]));
        let in_bounds = (1..=MOST_LANES).contains(&lanes)
            && (1..=MOST_PASSES).contains(&passes)
            && (LEAST_KIB_A_LANE * lanes..=MOST_KIB).contains(&memory_kib);
        in_bounds.then_some(Self { memory_kib, passes, lanes })
    }
}

/// Way in which the key is made that opens a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// From a passphrase, at a cost.
    Passphrase(KeyCost),
    /// From the 32 random bytes of a key file.
    KeyFile,
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passphrase(_) => "a passphrase, not with a key file",
            Self::KeyFile => "a key file, not with a passphrase",
        })
    }
}

impl KeySource {
    /// Bytes of its form.
    const BYTES: usize = 1 + KeyCost::BYTES;

    fn render(self, out: &mut Vec<u8>) {
        match self {
            Self::Passphrase(cost) => {
                out.push(1);
                cost.render(out);
            }
            Self::KeyFile => out.extend([2; 1].into_iter().chain([0; KeyCost::BYTES])),
        }
    }

    fn parse(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let (kind, cost) = bytes.split_first()?;
        match kind {
            1 => KeyCost::parse(cost.try_into().ok()?).map(Self::Passphrase),
            2 => cost.iter().all(|byte| *byte == 0).then_some(Self::KeyFile),
            _ => None,
        }
    }
}

/// The last character is the version of the format.
const SLOT_MAGIC: [u8; 8] = *b"antiphk1";
/// Bytes of a slot's head, which the seal of its body is bound to.
const HEAD_BYTES: usize = 8 + 8 + 16 + KeySource::BYTES + 16;
/// Bytes of a slot's body: a nonce, a generation, its root, the mark and the root of the next, and a tag.
pub(crate) const SLOT_BODY_BYTES: usize = 24 + SLOT_SECRET_BYTES + 16;
/// Bytes of a slot's body, opened.
pub(crate) const SLOT_SECRET_BYTES: usize = 8 + 32 + 1 + 32;
/// Head, body, and a hash of both.
pub(crate) const KEY_SLOT_BYTES: usize = HEAD_BYTES + SLOT_BODY_BYTES + 32;

/// One of the two slots of the key file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeySlot {
    /// Counts what was written to the file. The higher of two is the newer.
    pub(crate) number: u64,
    /// Drawn when the profile was made.
    pub(crate) profile: [u8; 16],
    /// Way to the key that opens the body.
    pub(crate) source: KeySource,
    /// Salt of that key.
    pub(crate) salt: [u8; 16],
    /// The roots, sealed.
    pub(crate) body: [u8; SLOT_BODY_BYTES],
}

impl KeySlot {
    /// The bytes that the body's seal is bound to.
    pub(crate) fn head(&self) -> Vec<u8> {
        let mut head = SLOT_MAGIC.to_vec();
        head.extend(self.number.to_be_bytes());
        head.extend(self.profile);
        self.source.render(&mut head);
        head.extend(self.salt);
        head
    }

    pub(crate) fn render(&self) -> Vec<u8> {
        let mut bytes = self.head();
        bytes.extend(self.body);
        bytes.extend(Digest::of(&bytes).0);
        bytes
    }

    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let (content, hash) = bytes.split_last_chunk::<32>()?;
        if Digest::of(content).0 != *hash {
            return None;
        }
        let rest = content.strip_prefix(&SLOT_MAGIC)?;
        let (number, rest) = rest.split_first_chunk::<8>()?;
        let (profile, rest) = rest.split_first_chunk::<16>()?;
        let (source, rest) = rest.split_first_chunk()?;
        let (salt, body) = rest.split_first_chunk::<16>()?;
        Some(Self {
            number: u64::from_be_bytes(*number),
            profile: *profile,
            source: KeySource::parse(source)?,
            salt: *salt,
            body: body.try_into().ok()?,
        })
    }
}

const BACKUP_MAGIC: [u8; 8] = *b"antiphbk";
/// Version of the backups that are written.
pub(crate) const BACKUP_VERSION: u16 = 1;
/// Bytes of a backup's header.
pub(crate) const BACKUP_HEADER_BYTES: usize = 8 + 2 + KeySource::BYTES + 16 + 19;

/// Header of a backup, which every frame's seal is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BackupHeader {
    /// Way to the key that opens the frames.
    pub(crate) source: KeySource,
    /// Salt of that key.
    pub(crate) salt: [u8; 16],
    /// Beginning of every frame's nonce.
    pub(crate) nonce: [u8; 19],
}

/// Reason why bytes are no header of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoHeader {
    /// Something else, or damaged.
    Unknown,
    /// A header of a later version.
    Newer(u16),
}

impl BackupHeader {
    pub(crate) fn render(&self) -> Vec<u8> {
        let mut bytes = BACKUP_MAGIC.to_vec();
        bytes.extend(BACKUP_VERSION.to_be_bytes());
        self.source.render(&mut bytes);
        bytes.extend(self.salt);
        bytes.extend(self.nonce);
        bytes
    }

    /// Reads a header. That of a later version is told by its first ten bytes, whatever follows.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, NoHeader> {
        let rest = bytes.strip_prefix(&BACKUP_MAGIC).ok_or(NoHeader::Unknown)?;
        let (version, rest) = rest.split_first_chunk::<2>().ok_or(NoHeader::Unknown)?;
        match u16::from_be_bytes(*version) {
            BACKUP_VERSION => Self::first(rest).ok_or(NoHeader::Unknown),
            0 => Err(NoHeader::Unknown),
            newer => Err(NoHeader::Newer(newer)),
        }
    }

    /// Reads what follows the number of the first version.
    fn first(bytes: &[u8]) -> Option<Self> {
        let (source, rest) = bytes.split_first_chunk()?;
        let (salt, nonce) = rest.split_first_chunk::<16>()?;
        let nonce = nonce.try_into().ok()?;
        Some(Self { source: KeySource::parse(source)?, salt: *salt, nonce })
    }
}
