//! Lists that tell which onion is which.

use std::fmt;
use std::ops::{Deref, DerefMut};

use zeroize::optimization_barrier;

/// A list that is overwritten when it is dropped. What outgrows its room leaves a copy behind.
pub(crate) struct Erased<T: Copy + Default>(Vec<T>);

impl<T: Copy + Default> Erased<T> {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }
}

impl<T: Copy + Default> Clone for Erased<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Copy + Default> Default for Erased<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Copy + Default> From<Vec<T>> for Erased<T> {
    fn from(list: Vec<T>) -> Self {
        Self(list)
    }
}

impl<T: Copy + Default> FromIterator<T> for Erased<T> {
    /// The iterator has to know its length.
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self(items.into_iter().collect())
    }
}

impl<T: Copy + Default> Drop for Erased<T> {
    fn drop(&mut self) {
        let room = self.0.capacity();
        self.0.clear();
        self.0.resize(room, T::default());
        optimization_barrier(&self.0[..]);
    }
}

impl<T: Copy + Default> Deref for Erased<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.0
    }
}

impl<T: Copy + Default> DerefMut for Erased<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        &mut self.0
    }
}

impl<T: Copy + Default> fmt::Debug for Erased<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Erased").field("items", &self.0.len()).finish_non_exhaustive()
    }
}
