//! Declared metrics as what they are recorded with.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use metrics::{Key, Label as Pair, with_recorder};

use super::declaration::{Declaration, Kind, METADATA};
use super::labels::Labels;

macro_rules! instrument {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub struct $name<L> {
            pub(super) declaration: Declaration,
            labels: PhantomData<fn(L)>,
        }

        impl<L: Labels> $name<L> {
            pub(super) const fn declared(
                name: &'static str,
                unit: &'static str,
                buckets: &'static [f64],
                meaning: &'static str,
                harmless: &'static str,
            ) -> Self {
                let (kind, labels) = (Kind::$name, L::SETS);
                let declaration =
                    Declaration { name, kind, unit, labels, buckets, meaning, harmless };
                Self { declaration, labels: PhantomData }
            }

            /// The name that it is shown under.
            pub const fn name(&self) -> &'static str {
                self.declaration.name
            }

            fn key(&self, labels: L) -> Key {
                let values = labels.values();
                if values.is_empty() {
                    return Key::from_static_name(self.declaration.name);
                }
                let pairs = L::SETS.iter().zip(values);
                let pairs = pairs.map(|((name, _), value)| Pair::from_static_parts(name, value));
                Key::from_parts(self.declaration.name, pairs.collect::<Vec<_>>())
            }
        }

        impl<L> fmt::Debug for $name<L> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.declaration.name)
            }
        }
    };
}

instrument! {
    /// A count that only rises, for each value of `L`.
    Counter
}
instrument! {
    /// A value that rises and falls, for each value of `L`.
    Gauge
}
instrument! {
    /// Values by size, for each value of `L`.
    Histogram
}

impl<L: Labels> Counter<L> {
    /// Counts `count` more.
    pub fn add(&self, labels: L, count: u64) {
        with_recorder(|to| to.register_counter(&self.key(labels), &METADATA).increment(count));
    }

    /// Takes over a count that is kept elsewhere.
    pub fn take_over(&self, labels: L, total: u64) {
        with_recorder(|to| to.register_counter(&self.key(labels), &METADATA).absolute(total));
    }
}

impl<L: Labels> Gauge<L> {
    /// Sets the value.
    pub fn set(&self, labels: L, value: f64) {
        with_recorder(|to| to.register_gauge(&self.key(labels), &METADATA).set(value));
    }

    /// Sets the value to a number of things.
    pub fn set_count(&self, labels: L, count: usize) {
        self.set(labels, count as f64);
    }

    /// Sets the value to 1 if something is so, and to 0 if not.
    pub fn set_whether(&self, labels: L, is_so: bool) {
        self.set(labels, f64::from(u8::from(is_so)));
    }
}

impl<L: Labels> Histogram<L> {
    /// Counts a time.
    pub fn record(&self, labels: L, took: Duration) {
        let seconds = took.as_secs_f64();
        with_recorder(|to| to.register_histogram(&self.key(labels), &METADATA).record(seconds));
    }
}
