//! The bytes of a state file and of its witness: written in one form, and read in no other.

use std::fmt;

use antiphon_client_core::Checkpoint;
use antiphon_wire::{Decode as _, Digest, Encode as _};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Number of a state file's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Drawn at random when a state file is begun.
    pub instance: [u8; 16],
    /// Counts what was written to it.
    pub number: u64,
}

/// Key that one content of a state file is sealed with, 32 bytes.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct StateKey(pub [u8; 32]);

impl fmt::Debug for StateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StateKey(..)")
    }
}

/// What a witness remembers of a state file: its newest content, and the keys without which nobody reads that one or
/// the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witnessed {
    /// Number of the newest content.
    pub newest: Record,
    /// Key of the newest content.
    pub key: StateKey,
    /// Key of the content after it, which may be on disk already.
    pub next: StateKey,
}

/// The last character is the version of the format.
const STATE_MAGIC: [u8; 8] = *b"antiphc6";
/// Magic, the network file's id, instance and number, the checkpoint, and the hash behind what is sealed.
pub(crate) const STATE_BYTES: usize = 8 + 32 + 16 + 8 + 384 + HASH_BYTES;
const HASH_BYTES: usize = 32;

/// Content of a state file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StateContent {
    /// The id of the network file that the state belongs to.
    pub(crate) network: Digest,
    pub(crate) record: Record,
    pub(crate) checkpoint: Checkpoint,
    /// Conversations and circuits, sealed with a key that the witness has.
    pub(crate) sealed: Vec<u8>,
}

impl StateContent {
    /// What is sealed goes with this.
    pub(crate) fn head(&self) -> Vec<u8> {
        let mut bytes = STATE_MAGIC.to_vec();
        self.network.encode(&mut bytes);
        bytes.extend(self.record.instance);
        bytes.extend(self.record.number.to_be_bytes());
        self.checkpoint.encode(&mut bytes);
        bytes
    }

    pub(crate) fn render(&self) -> Vec<u8> {
        let mut bytes = self.head();
        bytes.extend(&self.sealed);
        Digest::of(&bytes).encode(&mut bytes);
        bytes
    }

    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let content = hashed(bytes)?;
        let (head, sealed) = content.split_at_checked(STATE_BYTES - HASH_BYTES)?;
        let rest = head.strip_prefix(&STATE_MAGIC)?;
        let (network, rest) = rest.split_first_chunk::<32>()?;
        let (instance, rest) = rest.split_first_chunk::<16>()?;
        let (number, checkpoint) = rest.split_first_chunk::<8>()?;
        let record = Record { instance: *instance, number: u64::from_be_bytes(*number) };
        let checkpoint = Checkpoint::from_bytes(checkpoint).ok()?;
        Some(Self { network: Digest(*network), record, checkpoint, sealed: sealed.to_vec() })
    }
}

const SLOT_MAGIC: [u8; 8] = *b"antiphw2";
/// Magic, origin, instance, number, two keys, and a hash of them.
pub(crate) const SLOT_BYTES: usize = 8 + 24 + 16 + 8 + 32 + 32 + 32;

/// One of the two places of a [`FileWitness`](crate::FileWitness).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Mark that a copy of the witness's file does not share with it.
    pub(crate) origin: [u8; 24],
    pub(crate) witnessed: Witnessed,
}

impl Slot {
    pub(crate) fn render(&self) -> Zeroizing<Vec<u8>> {
        let Witnessed { newest, key, next } = &self.witnessed;
        let mut bytes = Zeroizing::new(Vec::with_capacity(SLOT_BYTES));
        bytes.extend(SLOT_MAGIC);
        bytes.extend(self.origin);
        bytes.extend(newest.instance);
        bytes.extend(newest.number.to_be_bytes());
        bytes.extend(key.0);
        bytes.extend(next.0);
        Digest::of(&bytes).encode(&mut bytes);
        bytes
    }

    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let rest = hashed(bytes)?.strip_prefix(&SLOT_MAGIC)?;
        let (origin, rest) = rest.split_first_chunk::<24>()?;
        let (instance, rest) = rest.split_first_chunk::<16>()?;
        let (number, rest) = rest.split_first_chunk::<8>()?;
        let (key, rest) = rest.split_first_chunk::<32>()?;
        let next: &[u8; 32] = rest.try_into().ok()?;
        let newest = Record { instance: *instance, number: u64::from_be_bytes(*number) };
        let witnessed = Witnessed { newest, key: StateKey(*key), next: StateKey(*next) };
        Some(Self { origin: *origin, witnessed })
    }
}

/// Bytes before the hash at the end, if it is the right one.
fn hashed(bytes: &[u8]) -> Option<&[u8]> {
    let (content, hash) = bytes.split_last_chunk::<HASH_BYTES>()?;
    (Digest::of(content).0 == *hash).then_some(content)
}

#[cfg(test)]
#[path = "formats_tests.rs"]
mod tests;
