//! The catalogue: every metric that a process of Antiphon counts, declared once.
//!
//! A declaration has the metric's name, kind and unit, its labels with all values that they can have, what it means, and
//! why it tells nothing about users. Recording goes through the declaration, and no other crate depends on
//! the library that collects metrics: what is not declared here is not counted. Label values are variants of
//! enumerations, so there are as many time series as the declarations say, however many clients there are.
//!
//! Metrics are the process's: with several shards in one process they add up or overwrite each other.

mod busyness;
pub mod controller;
pub mod coordinator;
mod declaration;
mod instrument;
pub mod labels;
pub mod network;
pub mod process;
pub mod shard;

use std::fmt;

pub use busyness::Busyness;
pub use declaration::{Declaration, Kind, LabelSet};
pub use instrument::{Counter, Gauge, Histogram};

/// A program whose metrics are in the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// A shard.
    Shard,
    /// A coordinator.
    Coordinator,
    /// A controller, which looks after shards in a cluster.
    Controller,
}

impl Program {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Shard, Self::Coordinator, Self::Controller];

    /// Everything that the program counts: its own metrics, those of the network if it takes part in one, and those of
    /// every process.
    pub fn catalogue(self) -> impl Iterator<Item = &'static Declaration> {
        let (own, network): (_, &[&Declaration]) = match self {
            Self::Shard => (shard::SHARD, network::NETWORK),
            Self::Coordinator => (coordinator::COORDINATOR, network::NETWORK),
            Self::Controller => (controller::CONTROLLER, &[]),
        };
        own.iter().chain(network).chain(process::PROCESS).copied()
    }

    /// Describes all metrics to whatever collects them, and begins counts and histograms at zero: a count that is not
    /// there cannot be told from one that nobody reads.
    pub fn begin(self) {
        self.catalogue().for_each(Declaration::begin);
        process::begin();
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shard => "shard",
            Self::Coordinator => "coordinator",
            Self::Controller => "controller",
        })
    }
}

/// Declares metrics, and the list of them. Each is a line of its static's name, kind and labels; its name on the
/// page; what is counted; and two sentences: what it means, and why it tells nothing about users.
macro_rules! catalogue {
    ($(#[$list_doc:meta])* $list:ident: $(
        $name:ident: $instrument:ident<$labels:ty> = $shown:literal, $unit:literal $(in $buckets:ident)?,
            $meaning:literal, $harmless:expr;
    )+) => {
        $(
            #[doc = $meaning]
            pub static $name: $crate::metrics::$instrument<$labels> = $crate::metrics::$instrument::declared(
                $shown, $unit, catalogue!(@ $($buckets)?), $meaning, $harmless,
            );
        )+
        $(#[$list_doc])*
        pub static $list: &[&$crate::metrics::Declaration] = &[$(&$name.declaration),+];
    };
    (@) => { &[] };
    (@ $buckets:ident) => { &$buckets };
}
use catalogue;

#[cfg(test)]
mod tests;
