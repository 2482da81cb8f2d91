//! An onion as its client hands it in.

use crate::{Geometry, NEXT_HOP_BYTES, ShardIndex};

/// An onion, and the shard at layer 1 that it goes to first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Shard at layer 1 that the onion goes to.
    pub first: ShardIndex,
    /// The onion as it enters layer 1.
    pub onion: &'a [u8],
}

impl<'a> Entry<'a> {
    /// Reads the bytes of one entry; `None` if they are too short for the shard's index.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (first, onion) = bytes.split_first_chunk::<NEXT_HOP_BYTES>()?;
        Some(Self { first: ShardIndex(u16::from_be_bytes(*first)), onion })
    }

    /// All entries that stand behind each other in `bytes`. A rest that is too short for another one is left
    /// out.
    pub fn all(bytes: &'a [u8], geometry: Geometry) -> impl Iterator<Item = Self> {
        bytes.chunks_exact(geometry.entry_bytes()).filter_map(Self::read)
    }

    /// Appends the shard's index, big-endian, and the onion.
    pub fn append_to(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.first.0.to_be_bytes());
        out.extend_from_slice(self.onion);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layer;

    #[test]
    fn entries_are_read_as_they_were_written() {
        let geometry = Geometry::new(4, 256).unwrap();
        let onions = [1, 2, 3].map(|byte| vec![byte; geometry.onion_bytes(Layer::FIRST)]);
        let entries: Vec<_> = (7..)
            .zip(&onions)
            .map(|(first, onion)| Entry { first: ShardIndex(first), onion })
            .collect();
        let mut bytes = Vec::new();
        entries.iter().for_each(|entry| entry.append_to(&mut bytes));
        assert_eq!(bytes.len(), 3 * geometry.entry_bytes());
        assert_eq!(Entry::all(&bytes, geometry).collect::<Vec<_>>(), entries);
        bytes.pop();
        assert_eq!(Entry::all(&bytes, geometry).count(), 2);
        assert_eq!(Entry::read(&[1]), None);
    }
}
