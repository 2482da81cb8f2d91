//! Bytes that a client's links have carried, for the data use that its user pays for.

use std::ops::AddAssign;
use std::sync::{Arc, Mutex, PoisonError};

use antiphon_transport::ByteCounter;

/// Bytes of UDP payload on the links that came about, with all that QUIC adds and sends again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes sent.
    pub sent: u64,
    /// Bytes received.
    pub received: u64,
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, more: Self) {
        self.sent = self.sent.saturating_add(more.sent);
        self.received = self.received.saturating_add(more.received);
    }
}

impl Traffic {
    /// What came since `before`.
    pub fn since(self, before: Self) -> Self {
        let sent = self.sent.saturating_sub(before.sent);
        Self { sent, received: self.received.saturating_sub(before.received) }
    }
}

impl From<(u64, u64)> for Traffic {
    fn from((sent, received): (u64, u64)) -> Self {
        Self { sent, received }
    }
}

/// Sum over all links of a client: those that are there, and those that are gone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter(Arc<Mutex<Counters>>);

#[derive(Debug, Default)]
struct Counters {
    gone: Traffic,
    /// As many as there are lines: three at most.
    there: Vec<ByteCounter>,
}

/// A link that is counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Metered {
    meter: Meter,
    counter: ByteCounter,
}

impl Meter {
    /// Counts what a link carries.
    pub(crate) fn add(&self, counter: ByteCounter) -> Metered {
        self.counters(|counters| counters.there.push(counter.clone()));
        Metered { meter: self.clone(), counter }
    }

    /// Bytes so far.
    pub(crate) fn read(&self) -> Traffic {
        self.counters(|counters| {
            let mut all = counters.gone;
            counters.there.iter().for_each(|counter| all += counter.read().into());
            all
        })
    }

    fn counters<T>(&self, work: impl FnOnce(&mut Counters) -> T) -> T {
        // Nothing panics while holding it.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        self.meter.counters(|counters| {
            counters.gone += self.counter.read().into();
            let found = counters.there.iter().position(|counter| *counter == self.counter);
            found.map(|at| counters.there.swap_remove(at));
        });
    }
}
