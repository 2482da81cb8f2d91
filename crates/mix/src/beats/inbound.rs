//! The cells of one stop on their way in.

use std::ops::Range;

use antiphon_wire::ShardIndex;

use crate::buffers::{Buffer, BufferPool};

/// Cells that come in at one stop, each sender's into its place. The round fixed how many come from whom.
#[derive(Debug)]
pub(crate) struct Inbound {
    /// Made when the first cell comes.
    cells: Option<Buffer>,
    /// The first byte of each sender's cells, and the end of all.
    starts: Vec<usize>,
    senders: Vec<Sender>,
}

/// How far a sender's batch is.
#[derive(Clone, Copy, Debug)]
enum Sender {
    /// None has begun, or none ever does.
    Nothing,
    /// So many bytes are in.
    Begun(usize),
    /// All is in: the first whole batch counts.
    Whole,
}

impl Inbound {
    /// A stop where senders' cells begin at `starts`, with one more at the end.
    pub(crate) fn new(starts: &[u32], cell_bytes: usize) -> Self {
        let starts: Vec<_> = starts.iter().map(|start| *start as usize * cell_bytes).collect();
        let senders = vec![Sender::Nothing; starts.len().saturating_sub(1)];
        Self { cells: None, starts, senders }
    }

    fn place(&self, sender: usize) -> Range<usize> {
        self.starts[sender]..self.starts[sender + 1]
    }

    /// A sender announces a batch of `bytes` bytes. One of another size than the round's, or one that comes again
    /// once it is whole, is none; one that was cut short begins anew.
    pub(crate) fn begin(&mut self, sender: usize, bytes: usize) {
        let fits = self.senders.get(sender).is_some() && self.place(sender).len() == bytes;
        if fits && !matches!(self.senders[sender], Sender::Whole) {
            self.senders[sender] = Sender::Begun(0);
        }
    }

    /// Takes in part of a batch that was announced, and returns `true` if that makes it whole. What is too much is
    /// not taken.
    pub(crate) fn take(&mut self, sender: usize, bytes: &[u8], pool: &BufferPool) -> bool {
        let Some(Sender::Begun(filled)) = self.senders.get(sender).copied() else { return false };
        let place = self.place(sender);
        if bytes.len() > place.len() - filled {
            self.senders[sender] = Sender::Nothing;
            return false;
        }
        let total = self.starts.last().copied().unwrap_or(0);
        let cells = self.cells.get_or_insert_with(|| room(pool, total));
        let at = place.start + filled;
        cells[at..at + bytes.len()].copy_from_slice(bytes);
        let filled = filled + bytes.len();
        let is_whole = filled == place.len();
        self.senders[sender] = if is_whole { Sender::Whole } else { Sender::Begun(filled) };
        is_whole
    }

    /// A whole batch at once.
    pub(crate) fn take_whole(&mut self, sender: usize, bytes: &[u8], pool: &BufferPool) -> bool {
        self.begin(sender, bytes.len());
        self.take(sender, bytes, pool)
    }

    /// The senders whose cells have not all come.
    pub(crate) fn missing(&self) -> impl Iterator<Item = ShardIndex> {
        let missing = self.senders.iter().enumerate().filter(|(position, sender)| {
            !self.place(*position).is_empty() && !matches!(sender, Sender::Whole)
        });
        missing.map(|(position, _)| ShardIndex(position as u16))
    }

    /// All cells, and the places of those to fill in: a batch that is not whole is filled whole.
    pub(crate) fn close(self, pool: &BufferPool) -> (Buffer, Vec<Range<usize>>) {
        let missing: Vec<_> = self.missing().map(|sender| self.place(sender.position())).collect();
        let total = self.starts.last().copied().unwrap_or(0);
        (self.cells.unwrap_or_else(|| room(pool, total)), missing)
    }
}

fn room(pool: &BufferPool, bytes: usize) -> Buffer {
    let mut cells = pool.take(bytes);
    cells.resize(bytes, 0);
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    const CELL: usize = 4;

    #[test]
    fn the_first_whole_batch_of_the_rounds_size_counts() {
        let pool = BufferPool::default();
        let mut inbound = Inbound::new(&[0, 2, 2, 5], CELL);
        // Sender 1 has no circuits here, and nobody waits for it.
        assert_eq!(inbound.missing().collect::<Vec<_>>(), [ShardIndex(0), ShardIndex(2)]);
        for (sender, bytes) in [(0, 12), (0, 4), (1, 4), (2, 8), (9, 4)] {
            assert!(!inbound.take_whole(sender, &vec![7; bytes], &pool), "{sender} {bytes}");
        }
        // Cut short, begun again, and too much.
        inbound.begin(0, 8);
        assert!(!inbound.take(0, &[1; 4], &pool));
        inbound.begin(0, 8);
        assert!(!inbound.take(0, &[2; 4], &pool));
        assert!(inbound.take(0, &[3; 4], &pool));
        assert!(!inbound.take_whole(0, &[9; 8], &pool), "a second one is none");
        inbound.begin(2, 12);
        assert!(!inbound.take(2, &[4; 16], &pool));
        assert!(!inbound.take(2, &[4; 4], &pool));
        let (cells, missing) = inbound.close(&pool);
        assert_eq!(cells[..8], [2, 2, 2, 2, 3, 3, 3, 3]);
        assert_eq!((missing.len(), missing[0].clone()), (1, 8..20));
    }
}
