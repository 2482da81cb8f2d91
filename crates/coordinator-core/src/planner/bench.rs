//! The one thing at a time that is computed beside the deciding.

/// State of the bench: free, or busy for the attempt or for one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bench {
    /// Nothing; the last work had this number.
    Free { last: u64 },
    /// The work of this number.
    Busy { number: u64 },
}

impl Default for Bench {
    fn default() -> Self {
        Self::Free { last: 0 }
    }
}

impl Bench {
    /// Returns `true` while something is being computed.
    pub(super) fn is_busy(self) -> bool {
        matches!(self, Self::Busy { .. })
    }

    /// Takes on the next work, and returns its number.
    pub(super) fn take_on(&mut self) -> u64 {
        let Self::Free { last } = *self else { unreachable!("one work at a time") };
        let number = last + 1;
        *self = Self::Busy { number };
        number
    }

    /// The work of this number is done. Returns whether it was being done.
    pub(super) fn finish(&mut self, number: u64) -> bool {
        let is_done = *self == Self::Busy { number };
        if is_done {
            *self = Self::Free { last: number };
        }
        is_done
    }
}
