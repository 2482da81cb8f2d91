//! One batch on its way in: it has to be what its header says.

use antiphon_wire::BatchHeader;

/// The fault of a batch, which counts as missing then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BatchFault {
    #[error("a second batch for the same layer")]
    Twice,
    #[error("a batch for a layer whose turn cannot have come")]
    Early,
    #[error("part of a batch without a header")]
    NoHeader,
    #[error("a batch of more items than one may have")]
    TooMany,
    #[error("a chunk that is no whole number of items")]
    Ragged,
    #[error("more than the header says")]
    TooLong,
    #[error("a reply batch of another length than what is to be answered")]
    OtherCount,
    #[error("other bytes than the header's hash says")]
    OtherHash,
}

/// One sender's batch for one layer.
#[derive(Debug, Default)]
pub(crate) struct Inbound {
    header: Option<BatchHeader>,
    /// While it comes in: there are many batches, and a hash in the making takes 2 kB.
    hasher: Option<Box<blake3::Hasher>>,
    received: u32,
    complete: bool,
    broken: bool,
}

impl Inbound {
    /// Starts the batch. Returns whether it is complete already, because it is empty.
    pub(crate) fn open(&mut self, header: &BatchHeader, most: u32) -> Result<bool, BatchFault> {
        if self.header.is_some() {
            return Err(BatchFault::Twice);
        }
        self.header = Some(*header);
        if header.count > most {
            return self.fail(BatchFault::TooMany);
        }
        self.finish_if_all_there()
    }

    /// Takes in the next chunk. Returns the position of its first item, and whether it is the last.
    pub(crate) fn take(&mut self, bytes: &[u8], item_bytes: usize) -> Result<u32, BatchFault> {
        let Some(header) = self.header else {
            return Err(BatchFault::NoHeader);
        };
        if self.broken || self.complete {
            return Err(BatchFault::TooLong);
        }
        if bytes.is_empty() || !bytes.len().is_multiple_of(item_bytes) {
            return self.fail(BatchFault::Ragged);
        }
        let first = self.received;
        let items = bytes.len() / item_bytes;
        // More than was announced: the batch is not what its header says.
        if items > (header.count - first) as usize {
            return self.fail(BatchFault::TooLong);
        }
        self.hasher.get_or_insert_default().update(bytes);
        self.received += items as u32;
        self.finish_if_all_there()?;
        Ok(first)
    }

    /// A batch of `items` items from this very shard, which needs no check.
    pub(crate) fn take_own(&mut self, items: u32) {
        self.received = items;
        self.complete = true;
    }

    /// Counts the batch as missing, whatever comes of it.
    pub(crate) fn refuse(&mut self, fault: BatchFault) -> Result<(), BatchFault> {
        self.complete = false;
        self.fail(fault)
    }

    fn finish_if_all_there(&mut self) -> Result<bool, BatchFault> {
        let Some(header) = self.header.filter(|header| header.count == self.received) else {
            return Ok(false);
        };
        let hasher = self.hasher.take().unwrap_or_default();
        if *hasher.finalize().as_bytes() != header.hash.0 {
            return self.fail(BatchFault::OtherHash);
        }
        self.complete = true;
        Ok(true)
    }

    fn fail<T>(&mut self, fault: BatchFault) -> Result<T, BatchFault> {
        self.broken = true;
        self.hasher = None;
        Err(fault)
    }

    /// Returns true if nothing that can still come changes it.
    pub(crate) fn is_settled(&self) -> bool {
        self.complete || self.broken
    }

    /// Returns true if all is in and is what the header says.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Items of the batch, as its header says; 0 if it never came complete.
    pub(crate) fn count(&self) -> u32 {
        if self.complete { self.received } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use antiphon_wire::{Digest, Direction, Epoch, Layer, Round, ShardIndex};

    use super::*;

    fn header(bytes: &[u8], count: u32) -> BatchHeader {
        BatchHeader {
            version: 1,
            epoch: Epoch(1),
            round: Round(1),
            layer: Layer(1),
            direction: Direction::Forward,
            sender: ShardIndex(0),
            receiver: ShardIndex(1),
            count,
            hash: Digest::of(bytes),
        }
    }

    #[test]
    fn a_batch_is_complete_when_its_hash_is_right() {
        let mut batch = Inbound::default();
        assert_eq!(batch.open(&header(&[7; 12], 3), 10), Ok(false));
        assert_eq!(batch.take(&[7; 4], 4), Ok(0));
        assert!(!batch.is_complete() && batch.count() == 0);
        assert_eq!(batch.take(&[7; 8], 4), Ok(1));
        assert!(batch.is_complete() && batch.count() == 3);
        assert_eq!(batch.take(&[7; 4], 4), Err(BatchFault::TooLong));
    }

    #[test]
    fn an_empty_batch_is_complete_at_once() {
        assert_eq!(Inbound::default().open(&header(&[], 0), 10), Ok(true));
    }

    #[test]
    fn what_differs_from_the_header_never_completes() {
        for (chunk, fault) in [
            (&[8; 12][..], BatchFault::OtherHash),
            (&[7; 16], BatchFault::TooLong),
            (&[7; 5], BatchFault::Ragged),
        ] {
            let mut batch = Inbound::default();
            assert_eq!(batch.open(&header(&[7; 12], 3), 10), Ok(false));
            assert_eq!(batch.take(chunk, 4), Err(fault));
            assert!(!batch.is_complete());
            assert!(batch.take(&[7; 12], 4).is_err(), "a broken batch stays broken");
        }
        assert_eq!(Inbound::default().open(&header(&[], 11), 10), Err(BatchFault::TooMany));
        assert_eq!(Inbound::default().take(&[7; 4], 4), Err(BatchFault::NoHeader));
    }
}
