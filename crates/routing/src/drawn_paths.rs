//! Paths that have been drawn for onions.

use std::ops::{Deref, DerefMut};

use antiphon_onion::Hop;
use zeroize::optimization_barrier;

/// The hops of paths, one path after the other: who knows them can follow the onions. Overwritten when
/// dropped.
#[derive(Debug)]
pub struct DrawnPaths<'k>(Vec<Hop<'k>>);

impl DrawnPaths<'_> {
    /// No paths yet, and room for so many hops. What outgrows it leaves a copy behind.
    pub fn with_capacity(hops: usize) -> Self {
        Self(Vec::with_capacity(hops))
    }
}

impl Drop for DrawnPaths<'_> {
    fn drop(&mut self) {
        // A hop has a key, so there is no zero to write; the first one says the least.
        if let Some(&first) = self.0.first() {
            self.0.fill(first);
        }
        optimization_barrier(&self.0[..]);
    }
}

impl<'k> Deref for DrawnPaths<'k> {
    type Target = Vec<Hop<'k>>;

    fn deref(&self) -> &Vec<Hop<'k>> {
        &self.0
    }
}

impl<'k> DerefMut for DrawnPaths<'k> {
    fn deref_mut(&mut self) -> &mut Vec<Hop<'k>> {
        &mut self.0
    }
}
