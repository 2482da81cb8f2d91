//! Handshakes in progress. Those that do not finish make place for those that come later.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::admission::single;
use crate::prefix::Prefix;

/// A source that has the most handshakes in progress replaces its own once they are this old: many
/// that begin at once must not all push each other out.
const YOUNG: Duration = Duration::from_secs(1);

/// The places for handshakes.
#[derive(Debug)]
pub(crate) struct HalfOpen {
    most: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    last: u64,
    all: BTreeMap<u64, Handshake>,
    /// Handshakes without a place of their own, by source, oldest first.
    by_source: HashMap<Prefix, BTreeSet<u64>>,
    /// The sources by the number of their handshakes.
    ranking: BTreeSet<(usize, Prefix)>,
    unreserved: usize,
    pushed_out: u64,
}

#[derive(Debug)]
struct Handshake {
    /// `None` if it has a place of its own.
    source: Option<Prefix>,
    began: Instant,
    /// Dropped when the handshake is pushed out, which tells its slot.
    _stays: oneshot::Sender<()>,
}

/// The place of one handshake, given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    places: Arc<HalfOpen>,
    id: u64,
    stays: oneshot::Receiver<()>,
}

impl Slot {
    /// Waits until others have pushed this one out.
    pub(crate) async fn pushed_out(&mut self) {
        // Nothing is ever sent.
        let _ = (&mut self.stays).await;
    }
}

impl HalfOpen {
    /// Places for `most` handshakes.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most: most.max(1), held: Mutex::default() })
    }

    /// Gives a place to a handshake with `ip`. When all are taken, the source that has the most loses its
    /// oldest; if that is the newcomer's own, only if it is not young. Those that are `reserved` have places
    /// of their own.
    pub(crate) fn begin(
        self: &Arc<Self>,
        ip: IpAddr,
        reserved: bool,
        now: Instant,
    ) -> Option<Slot> {
        let source = (!reserved).then(|| single(ip.to_canonical()));
        let mut held = self.lock();
        if let Some(source) = source.filter(|_| held.unreserved >= self.most)
            && !held.make_room(source, now)
        {
            held.pushed_out += 1;
            return None;
        }
        held.last += 1;
        let id = held.last;
        let (sender, stays) = oneshot::channel();
        held.all.insert(id, Handshake { source, began: now, _stays: sender });
        if let Some(source) = source {
            held.unreserved += 1;
            debug_assert!(held.unreserved <= self.most, "more handshakes than places");
            held.rank(source, |own| own.insert(id));
        }
        Some(Slot { places: Arc::clone(self), id, stays })
    }

    /// Number of handshakes in progress, and of those that were given up for others or not begun.
    pub(crate) fn counts(&self) -> (usize, u64) {
        let held = self.lock();
        (held.all.len(), held.pushed_out)
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        // Nothing panics while holding it.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn make_room(&mut self, newcomer: Prefix, now: Instant) -> bool {
        let own = self.by_source.get(&newcomer).map_or(0, BTreeSet::len);
        let Some(&(most, top)) = self.ranking.last() else { return false };
        // A newcomer that has as many as anybody makes place itself.
        let source = if own >= most { newcomer } else { top };
        let oldest = self.by_source.get(&source).and_then(BTreeSet::first).copied();
        let Some(oldest) = oldest else { return false };
        let began = self.all.get(&oldest).map_or(now, |handshake| handshake.began);
        if source == newcomer && now.saturating_duration_since(began) < YOUNG {
            return false;
        }
        self.remove(oldest);
        self.pushed_out += 1;
        true
    }

    /// Changes the handshakes of a source.
    fn rank(&mut self, source: Prefix, change: impl FnOnce(&mut BTreeSet<u64>) -> bool) {
        let own = self.by_source.entry(source).or_default();
        let before = own.len();
        change(own);
        let after = own.len();
        if after == 0 {
            self.by_source.remove(&source);
        }
        self.ranking.remove(&(before, source));
        if after > 0 {
            self.ranking.insert((after, source));
        }
        debug_assert_eq!(self.ranking.len(), self.by_source.len(), "each source is ranked once");
    }

    fn remove(&mut self, id: u64) {
        let Some(handshake) = self.all.remove(&id) else { return };
        if let Some(source) = handshake.source {
            self.unreserved -= 1;
            self.rank(source, |own| own.remove(&id));
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.places.lock().remove(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(net: u8, host: u8) -> IpAddr {
        [10, 0, net, host].into()
    }

    fn is_out(slot: &mut Slot) -> bool {
        slot.stays.try_recv() == Err(oneshot::error::TryRecvError::Closed)
    }

    #[tokio::test]
    async fn whoever_has_the_most_handshakes_in_progress_loses_the_oldest() {
        let places = HalfOpen::new(8);
        let now = Instant::now();
        let mut flood: Vec<_> =
            (0..50).filter_map(|_| places.begin(ip(0, 1), false, now)).collect();
        assert_eq!(flood.len(), 8, "many at once do not push each other out");
        let mut others: Vec<_> =
            (2..6).map(|host| places.begin(ip(0, host), false, now).unwrap()).collect();
        assert!(others.iter_mut().all(|slot| !is_out(slot)));
        let out: Vec<_> = flood.iter_mut().map(is_out).collect();
        assert_eq!(out, [true, true, true, true, false, false, false, false]);
        // Its own, when they are old.
        assert!(places.begin(ip(0, 1), false, now).is_none());
        assert!(places.begin(ip(0, 1), false, now + YOUNG).is_some());
        assert!(others.iter_mut().all(|slot| !is_out(slot)));
        drop((flood, others));
        let held = places.lock();
        assert!(held.all.is_empty() && held.ranking.is_empty() && held.unreserved == 0);
    }

    #[tokio::test]
    async fn the_roster_has_places_of_its_own() {
        let places = HalfOpen::new(8);
        let now = Instant::now();
        let mut roster: Vec<_> =
            (0..3).map(|host| places.begin(ip(9, host), true, now).unwrap()).collect();
        let crowd: Vec<_> = (0..200).map(|host| places.begin(ip(0, host), false, now)).collect();
        let mut newcomer = places.begin(ip(9, 99), true, now).unwrap();
        assert!(roster.iter_mut().all(|slot| !is_out(slot)) && !is_out(&mut newcomer));
        assert_eq!(places.counts().0, 8 + 4);
        drop(crowd);
    }
}
