//! Newtypes for everything that is counted or indexed, so that no two can be mixed up.

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// An epoch number. Rises by at least one per epoch and is never used twice.
    Epoch(u64)
}

number! {
    /// A round number. Rises over the whole life of a network, across epochs.
    Round(u64)
}

number! {
    /// Number of an election of a coordinator. Shards let one coordinator lead per term, with terms only
    /// rising; 0 is before the first.
    Term(u64)
}

number! {
    /// A position in a path, from 1 to L. Layers 1 to L-1 mix, layer L-1 is the seal layer and
    /// layer L the dead-drop shard.
    Layer(u8)
}

number! {
    /// A shard's position in the epoch document's list of shards.
    ShardIndex(u16)
}

number! {
    /// An operator's position in the network file.
    OperatorIndex(u16)
}

impl Round {
    /// The round after this one; none comes after 2^64 - 1, which no document covers.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl Layer {
    /// The layer at which onions enter.
    pub const FIRST: Self = Self(1);

    /// The layer after this one; none comes after 255, which no geometry has.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl ShardIndex {
    /// The index as a position in a slice.
    pub const fn position(self) -> usize {
        self.0 as usize
    }
}

impl OperatorIndex {
    /// The index as a position in a slice.
    pub const fn position(self) -> usize {
        self.0 as usize
    }
}

/// Milliseconds since the Unix epoch, by the clock of whoever holds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// This moment plus `ms` milliseconds.
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this moment, or 0 if `earlier` is later.
    pub const fn ms_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}
