//! Buffers that go from layer to layer and from round to round, instead of being allocated anew.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use zeroize::Zeroize as _;

/// The smallest buffer, in bytes.
const LEAST_BYTES: usize = 4 << 10;

/// Source of buffers, which come back to it. Never holds more, together with what is in use, than was
/// in use at once since [`forget`](Self::forget).
#[derive(Clone, Debug, Default)]
pub(crate) struct BufferPool {
    shelf: Arc<Mutex<Shelf>>,
}

#[derive(Debug, Default)]
struct Shelf {
    /// By capacity.
    free: BTreeMap<usize, Vec<Vec<u8>>>,
    free_bytes: usize,
    used_bytes: usize,
    most_used_bytes: usize,
    /// Counts how often all was forgotten.
    generation: u64,
}

/// A buffer that goes back to its pool when it is no longer needed, or is erased if it has none.
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    home: Option<Home>,
}

/// The pool that a buffer comes from, and goes back to when it is dropped.
struct Home {
    pool: BufferPool,
    /// The capacity that the pool counts the buffer with.
    size: usize,
    generation: u64,
}

impl BufferPool {
    fn lock(&self) -> MutexGuard<'_, Shelf> {
        // Nothing panics while holding it.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An empty buffer with room for `bytes` bytes.
    pub(crate) fn take(&self, bytes: usize) -> Buffer {
        let size = size_class(bytes);
        let mut shelf = self.lock();
        let (size, bytes) = match shelf.take(size) {
            Some(found) => found,
            None => (size, Vec::new()),
        };
        shelf.used_bytes += size;
        shelf.most_used_bytes = shelf.most_used_bytes.max(shelf.used_bytes);
        let trimmed = shelf.trim();
        let home = Home { pool: self.clone(), size, generation: shelf.generation };
        drop(shelf);
        // Erasing takes long, and other threads wait for the lock.
        trimmed.into_iter().for_each(|mut bytes| bytes.zeroize());
        let mut buffer = Buffer { bytes, home: Some(home) };
        buffer.bytes.reserve_exact(size);
        buffer
    }

    /// Erases and frees all that is not in use, and what is as soon as it comes back: at the end of
    /// an epoch.
    pub(crate) fn forget(&self) {
        let mut shelf = self.lock();
        let free = std::mem::take(&mut shelf.free);
        shelf.free_bytes = 0;
        shelf.most_used_bytes = shelf.used_bytes;
        shelf.generation += 1;
        drop(shelf);
        free.into_values().flatten().for_each(|mut bytes| bytes.zeroize());
    }

    /// Bytes of all buffers, in use or free.
    pub(crate) fn bytes(&self) -> usize {
        let shelf = self.lock();
        shelf.used_bytes + shelf.free_bytes
    }
}

impl Shelf {
    /// A free buffer of at least `size` bytes, and not much more, with its size.
    fn take(&mut self, size: usize) -> Option<(usize, Vec<u8>)> {
        let (&found, buffers) = self.free.range_mut(size..=2 * size).next()?;
        let buffer = buffers.pop()?;
        if buffers.is_empty() {
            self.free.remove(&found);
        }
        self.free_bytes -= found;
        Some((found, buffer))
    }

    /// Takes out the largest buffers until the bound holds.
    fn trim(&mut self) -> Vec<Vec<u8>> {
        let mut trimmed = Vec::new();
        while self.free_bytes + self.used_bytes > self.most_used_bytes {
            let Some(mut largest) = self.free.last_entry() else { break };
            self.free_bytes -= *largest.key();
            trimmed.extend(largest.get_mut().pop());
            if largest.get().is_empty() {
                largest.remove();
            }
        }
        trimmed
    }
}

/// `bytes` rounded up by at most an eighth, so that sizes meet again.
fn size_class(bytes: usize) -> usize {
    let bytes = bytes.max(LEAST_BYTES);
    bytes.next_multiple_of((bytes.next_power_of_two() / 16).max(1))
}

impl Buffer {
    /// The buffer as shared bytes; it goes back when the last of them is dropped.
    pub(crate) fn into_bytes(self) -> Bytes {
        if self.bytes.is_empty() { Bytes::new() } else { Bytes::from_owner(self) }
    }
}

impl From<Vec<u8>> for Buffer {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, home: None }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let Some(Home { pool, size, generation }) = self.home.take() else {
            return self.bytes.zeroize();
        };
        let mut bytes = std::mem::take(&mut self.bytes);
        let mut shelf = pool.lock();
        shelf.used_bytes -= size;
        if shelf.generation == generation {
            bytes.clear();
            shelf.free_bytes += size;
            shelf.free.entry(size).or_default().push(bytes);
        } else {
            drop(shelf);
            bytes.zeroize();
        }
    }
}

impl Deref for Buffer {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.bytes
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Buffer").field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back() {
        let pool = BufferPool::default();
        let mut buffer = pool.take(100_000);
        buffer.extend_from_slice(&[1; 1000]);
        let start = buffer.as_ptr();
        let bytes = buffer.into_bytes();
        let part = bytes.slice(10..20);
        drop(bytes);
        assert_ne!(pool.take(100_000).as_ptr(), start, "a slice is still in use");
        drop(part);
        let again: Vec<_> = (0..2).map(|_| pool.take(99_000)).collect();
        assert!(again.iter().any(|buffer| buffer.as_ptr() == start && buffer.is_empty()));
    }

    #[test]
    fn what_is_kept_is_bounded_by_what_was_in_use() {
        let pool = BufferPool::default();
        for round in 0..100 {
            // Other sizes every time, so that little fits.
            let sizes = (1..20).map(|i| i * 5000 + (round * 7919) % 300_000);
            let held: Vec<_> = sizes.map(|size| pool.take(size)).collect();
            let shelf = pool.lock();
            assert!(shelf.used_bytes + shelf.free_bytes <= shelf.most_used_bytes);
            drop(shelf);
            drop(held);
            let shelf = pool.lock();
            assert!(shelf.used_bytes == 0 && shelf.free_bytes <= shelf.most_used_bytes);
        }
        pool.forget();
        assert_eq!(pool.bytes(), 0);
    }

    #[test]
    fn no_buffer_is_much_larger_than_asked_for() {
        for bytes in (0..3_000_000).step_by(997) {
            let size = size_class(bytes);
            assert!(size >= bytes && (size - bytes) * 8 <= bytes.max(LEAST_BYTES * 8), "{bytes}");
        }
    }
}
