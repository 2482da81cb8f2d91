//! The bytes of a state file and of its witness: written in one form, and read in no other.

use antiphon_client_core::Checkpoint;
use antiphon_wire::{Decode as _, Digest, Encode as _};

/// Number of the newest content of a state file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Witnessed {
    /// Drawn at random when a state file is begun.
    pub instance: [u8; 16],
    /// Counts what was written to it.
    pub number: u64,
}

/// The last character is the version of the format.
const STATE_MAGIC: [u8; 8] = *b"antiphc4";
/// Magic, the network file's id, instance and number, the checkpoint, and a hash of all that.
pub(crate) const STATE_BYTES: usize = 8 + 32 + 16 + 8 + 184 + 32;

/// Content of a state file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StateContent {
    /// The id of the network file that the state belongs to.
    pub(crate) network: Digest,
    pub(crate) record: Witnessed,
    pub(crate) checkpoint: Checkpoint,
}

impl StateContent {
    pub(crate) fn render(&self) -> Vec<u8> {
        let mut bytes = STATE_MAGIC.to_vec();
        self.network.encode(&mut bytes);
        bytes.extend(self.record.instance);
        bytes.extend(self.record.number.to_be_bytes());
        self.checkpoint.encode(&mut bytes);
        Digest::of(&bytes).encode(&mut bytes);
        bytes
    }

    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let rest = hashed(bytes)?.strip_prefix(&STATE_MAGIC)?;
        let (network, rest) = rest.split_first_chunk::<32>()?;
        let (instance, rest) = rest.split_first_chunk::<16>()?;
        let (number, checkpoint) = rest.split_first_chunk::<8>()?;
        let record = Witnessed { instance: *instance, number: u64::from_be_bytes(*number) };
        let checkpoint = Checkpoint::from_bytes(checkpoint).ok()?;
        Some(Self { network: Digest(*network), record, checkpoint })
    }
}

const SLOT_MAGIC: [u8; 8] = *b"antiphw1";
/// Magic, origin, instance, number, and a hash of them.
pub(crate) const SLOT_BYTES: usize = 8 + 24 + 16 + 8 + 32;

/// One of the two places of a [`FileWitness`](crate::FileWitness).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Mark that a copy of the witness's file does not share with it.
    pub(crate) origin: [u8; 24],
    pub(crate) newest: Witnessed,
}

impl Slot {
    pub(crate) fn render(&self) -> Vec<u8> {
        let mut bytes = SLOT_MAGIC.to_vec();
        bytes.extend(self.origin);
        bytes.extend(self.newest.instance);
        bytes.extend(self.newest.number.to_be_bytes());
        Digest::of(&bytes).encode(&mut bytes);
        bytes
    }

    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let rest = hashed(bytes)?.strip_prefix(&SLOT_MAGIC)?;
        let (origin, rest) = rest.split_first_chunk::<24>()?;
        let (instance, rest) = rest.split_first_chunk::<16>()?;
        let number: &[u8; 8] = rest.try_into().ok()?;
        let newest = Witnessed { instance: *instance, number: u64::from_be_bytes(*number) };
        Some(Self { origin: *origin, newest })
    }
}

/// Bytes before the hash at the end, if it is the right one.
fn hashed(bytes: &[u8]) -> Option<&[u8]> {
    let (content, hash) = bytes.split_last_chunk::<32>()?;
    (Digest::of(content).0 == *hash).then_some(content)
}

#[cfg(test)]
#[path = "formats_tests.rs"]
mod tests;
