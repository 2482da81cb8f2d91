//! The admission of links: how many there are, in total and from each source, and how fast they come.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::limits::Limits;
use crate::prefix::Prefix;

/// Sources of IPv6 links, in bits, with the number of single shares of each: a host chooses from a /64, a
/// household from a /56, a site from a /48.
const V6_SOURCES: [(u8, usize); 3] = [(64, 1), (56, 4), (48, 16)];
/// Time in which a source may make its share of new links, and some; twice as many after a pause.
const SHARE_WITHIN: Duration = Duration::from_secs(60);
/// New links that a source may make beside its share: small shares must not keep anybody waiting who links
/// again.
const BESIDES: usize = 8;
/// Number of remembered sources from which on those are looked for that may be forgotten.
const SOURCES: usize = 4096;
/// Number of sources from which on newcomers have to prove their address first.
const CROWD: usize = 32_768;

/// Reason why a link is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There are as many as there may be, and nobody has more of them than the newcomer.
    Full,
    /// Its source has its share.
    Share,
    /// Its source makes new ones too fast.
    Pace,
}

/// Closes a link.
type Closer = Box<dyn FnOnce() + Send>;

/// Counts links and hands out permits for them.
pub(crate) struct Admission {
    max_links: usize,
    share: usize,
    trusted: Vec<Prefix>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    last: u64,
    links: BTreeMap<u64, HeldLink>,
    sources: HashMap<Prefix, Source>,
    /// Links that may be displaced: those of each single source that is not trusted, oldest first.
    by_source: HashMap<Prefix, BTreeSet<u64>>,
    /// The same sources by the number of their links.
    ranking: BTreeSet<(usize, Prefix)>,
    /// Addresses for which there is always a place.
    reserved: HashSet<IpAddr>,
}

struct HeldLink {
    ip: IpAddr,
    closer: Option<Closer>,
}

/// Links of one source, and its allowance of new ones.
struct Source {
    links: usize,
    /// New links that it may make at `at`.
    allowed: f64,
    at: Instant,
}

/// Room for one link. Given back when dropped.
pub(crate) struct Permit {
    admission: Arc<Admission>,
    id: u64,
}

impl Permit {
    /// Sets how the link is closed if others need its place more.
    pub(crate) fn closes_by(&self, closer: impl FnOnce() + Send + 'static) {
        if let Some(link) = self.admission.lock().links.get_mut(&self.id) {
            link.closer = Some(Box::new(closer));
        } else {
            // The place was given away before the link was made.
            closer();
        }
    }
}

impl Admission {
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            max_links: limits.max_links,
            share: limits.max_links_per_ip,
            trusted: limits.trusted.clone(),
            held: Mutex::default(),
        })
    }

    /// Gives room to a link from `ip`. If there is none, the source with the most links loses its oldest,
    /// unless it has no more than the newcomer's.
    pub(crate) fn admit(self: &Arc<Self>, ip: IpAddr, now: Instant) -> Result<Permit, Refusal> {
        let ip = ip.to_canonical();
        let mut held = self.lock();
        let counts = !self.has_no_share(&held, ip);
        let mut closer = None;
        if counts {
            // All sources are asked before any is charged: a refusal costs nothing.
            let sources = sources_of(ip).map(|(source, shares)| (source, shares * self.share));
            for (source, share) in sources.clone() {
                held.sources
                    .entry(source)
                    .or_insert_with(|| Source::new(share, now))
                    .may(share, now)?;
            }
            if held.links.len() >= self.max_links {
                closer = held.displace(single(ip)).ok_or(Refusal::Full)?;
            }
            for (source, _) in sources {
                if let Some(source) = held.sources.get_mut(&source) {
                    source.links += 1;
                    source.allowed -= 1.0;
                }
            }
        } else if held.links.len() >= self.max_links {
            closer = held.displace(single(ip)).ok_or(Refusal::Full)?;
        }
        held.last += 1;
        let id = held.last;
        held.links.insert(id, HeldLink { ip, closer: None });
        debug_assert!(held.links.len() <= self.max_links, "more links than there may be");
        if counts {
            held.rank(single(ip), |links| links.insert(id));
        }
        held.prune(self.share, now);
        drop(held);
        // Not before: it may give back a permit.
        if let Some(close) = closer {
            close();
        }
        Ok(Permit { admission: Arc::clone(self), id })
    }

    fn has_no_share(&self, held: &Held, ip: IpAddr) -> bool {
        held.reserved.contains(&ip) || self.trusted.iter().any(|prefix| prefix.contains(ip))
    }

    /// Returns `true` if there is always a place for `ip`.
    pub(crate) fn is_trusted(&self, ip: IpAddr) -> bool {
        self.has_no_share(&self.lock(), ip.to_canonical())
    }

    /// Changes the addresses for which there is always a place.
    pub(crate) fn reserve(&self, change: impl FnOnce(&mut HashSet<IpAddr>)) {
        change(&mut self.lock().reserved);
    }

    /// Returns `true` if a link from `ip` should prove its address first. A forged one must not use up its
    /// owner's share, or make this side remember many sources.
    pub(crate) fn is_doubtful(&self, ip: IpAddr) -> bool {
        let held = self.lock();
        let source = held.sources.get(&single(ip.to_canonical()));
        let busy = source.is_some_and(|source| {
            source.links * 2 >= self.share || source.allowed <= self.share as f64
        });
        busy || held.sources.len() >= CROWD
    }

    pub(crate) fn links(&self) -> usize {
        self.lock().links.len()
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        // Nothing panics while holding it.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Displaces the oldest link of the source that has the most, if those are more than `newcomer` would
    /// have. Returns how to close it.
    fn displace(&mut self, newcomer: Prefix) -> Option<Option<Closer>> {
        let &(most, source) = self.ranking.last()?;
        let its_own = self.by_source.get(&newcomer).map_or(0, BTreeSet::len);
        // Else two sources with equally many would displace each other without end.
        if most <= its_own + 1 {
            return None;
        }
        let oldest = *self.by_source.get(&source)?.first()?;
        Some(self.remove(oldest)?.closer)
    }

    fn remove(&mut self, id: u64) -> Option<HeldLink> {
        let link = self.links.remove(&id)?;
        let mut counted = false;
        self.rank(single(link.ip), |links| counted = links.remove(&id));
        if counted {
            for (source, _) in sources_of(link.ip) {
                if let Some(source) = self.sources.get_mut(&source) {
                    source.links = source.links.saturating_sub(1);
                }
            }
        }
        Some(link)
    }

    /// Changes the links of a source that may lose some.
    fn rank<T>(&mut self, source: Prefix, change: impl FnOnce(&mut BTreeSet<u64>) -> T) {
        let links = self.by_source.entry(source).or_default();
        let before = links.len();
        change(links);
        let after = links.len();
        if after == 0 {
            self.by_source.remove(&source);
        }
        self.ranking.remove(&(before, source));
        if after > 0 {
            self.ranking.insert((after, source));
        }
        debug_assert_eq!(self.ranking.len(), self.by_source.len(), "each source is ranked once");
    }

    /// Forgets, now and then, sources of which there is nothing to remember.
    fn prune(&mut self, share: usize, now: Instant) {
        if self.sources.len() >= SOURCES && self.last.is_multiple_of(SOURCES as u64) {
            self.sources.retain(|_, source| {
                source.refill(share, now);
                source.links > 0 || source.allowed < 2.0 * (share + BESIDES) as f64
            });
        }
    }
}

impl Source {
    fn new(share: usize, at: Instant) -> Self {
        Self { links: 0, allowed: 2.0 * (share + BESIDES) as f64, at }
    }

    fn refill(&mut self, share: usize, now: Instant) {
        let share = (share + BESIDES) as f64;
        let passed = now.saturating_duration_since(self.at).div_duration_f64(SHARE_WITHIN);
        self.allowed = (self.allowed + passed * share).min(2.0 * share);
        self.at = now;
    }

    fn may(&mut self, share: usize, now: Instant) -> Result<(), Refusal> {
        self.refill(share, now);
        if self.links >= share {
            Err(Refusal::Share)
        } else if self.allowed < 1.0 {
            Err(Refusal::Pace)
        } else {
            Ok(())
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let removed = self.admission.lock().remove(self.id);
        // Its closer may hold what gives back another permit.
        drop(removed);
    }
}

/// The smallest source that `ip` belongs to.
pub(crate) fn single(ip: IpAddr) -> Prefix {
    Prefix::new(ip, if ip.is_ipv4() { 32 } else { 64 })
}

/// All sources that `ip` belongs to, each with its number of single shares.
fn sources_of(ip: IpAddr) -> impl Iterator<Item = (Prefix, usize)> + Clone {
    let v4 = ip.is_ipv4().then(|| (single(ip), 1));
    let v6 = V6_SOURCES.into_iter().filter(move |_| ip.is_ipv6());
    v4.into_iter().chain(v6.map(move |(bits, shares)| (Prefix::new(ip, bits), shares)))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn admission(max_links: usize, max_links_per_ip: usize) -> Arc<Admission> {
        Admission::new(&Limits { max_links, max_links_per_ip, ..Limits::clients() })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn shares_hold_and_places_come_back() {
        let admission = admission(100, 2);
        let now = Instant::now();
        let [a, b] = ["10.0.0.1", "2001:db8::1"].map(ip);
        let held = [a, ip("::ffff:10.0.0.1"), b].map(|ip| admission.admit(ip, now).unwrap());
        assert_eq!(admission.admit(a, now).err(), Some(Refusal::Share));
        let fourth = admission.admit(ip("2001:db8::ffff:2"), now).unwrap();
        assert_eq!(admission.admit(b, now).err(), Some(Refusal::Share));
        drop((held, fourth));
        assert_eq!(admission.links(), 0);
        let held = admission.lock();
        assert!(held.ranking.is_empty() && held.by_source.is_empty());
    }

    #[tokio::test]
    async fn a_household_and_a_site_have_shares_of_their_own() {
        let admission = admission(1000, 2);
        let now = Instant::now();
        let from = |net: u16, host: u16| ip(&format!("2001:db8:0:{net:x}::{host:x}"));
        let mut held = Vec::new();
        // Within a /56, four times a single share; within a /48, sixteen times.
        let household: Vec<_> = (0..10).map(|net| admission.admit(from(net, 1), now)).collect();
        assert_eq!(household.iter().filter(|admitted| admitted.is_ok()).count(), 8);
        held.extend(household);
        let site: Vec<_> = (1..200).map(|net| admission.admit(from(net << 8, 1), now)).collect();
        assert_eq!(site.iter().filter(|admitted| admitted.is_ok()).count(), 24);
        held.extend(site);
        assert!(admission.admit(ip("2001:db8:1::1"), now).is_ok());
    }

    #[tokio::test]
    async fn links_come_no_faster_than_a_share_and_some_a_minute() {
        let admission = admission(1000, 60);
        let now = Instant::now();
        let [a, b] = ["10.0.0.1", "10.0.0.2"].map(ip);
        let made = |at| (0..1000).filter(|_| admission.admit(a, at).is_ok()).count();
        assert_eq!(made(now), 2 * 68);
        assert_eq!(admission.admit(a, now).err(), Some(Refusal::Pace));
        assert!(admission.admit(b, now).is_ok());
        assert_eq!(made(now + Duration::from_millis(5100)), 5);
        assert_eq!(made(now + Duration::from_secs(600)), 2 * 68);
    }

    #[tokio::test]
    async fn when_all_places_are_taken_the_source_with_the_most_links_loses_one() {
        let admission = admission(10, 9);
        let now = Instant::now();
        let closed = Arc::new(AtomicUsize::new(0));
        let greedy: Vec<_> = (0..9)
            .map(|_| {
                let permit = admission.admit(ip("10.0.0.1"), now).unwrap();
                let closed = Arc::clone(&closed);
                permit.closes_by(move || {
                    closed.fetch_add(1, Ordering::Relaxed);
                });
                permit
            })
            .collect();
        let others =
            |count: u8| (0..count).map(|i| admission.admit(ip(&format!("10.0.1.{i}")), now));
        let others: Vec<_> = others(9).map(|admitted| admitted.ok().unwrap()).collect();
        assert_eq!(closed.load(Ordering::Relaxed), 8);
        assert_eq!(admission.links(), 10);
        // Everybody has one: now there is no room.
        assert_eq!(admission.admit(ip("10.0.2.1"), now).err(), Some(Refusal::Full));
        drop((greedy, others));
        assert_eq!(admission.links(), 0);
    }

    #[tokio::test]
    async fn trusted_ranges_and_the_roster_have_no_share() {
        let limits = Limits {
            max_links: 30,
            max_links_per_ip: 2,
            trusted: vec!["10.1.0.0/16".parse().unwrap()],
            ..Limits::clients()
        };
        let admission = Admission::new(&limits);
        let now = Instant::now();
        admission.reserve(|reserved| {
            reserved.insert(ip("10.2.0.1"));
        });
        for trusted in ["10.1.2.3", "10.2.0.1"].map(ip) {
            assert_eq!((0..10).filter(|_| admission.admit(trusted, now).is_ok()).count(), 10);
        }
        assert!(!admission.is_trusted(ip("10.3.2.1")));
    }
}
