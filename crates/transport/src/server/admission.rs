//! How many links there are, in total and from each address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts links and hands out permits for them.
#[derive(Debug)]
pub(crate) struct Admission {
    max_links: usize,
    max_per_source: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    total: usize,
    by_source: HashMap<IpAddr, usize>,
}

/// Room for one link. Given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    admission: Arc<Admission>,
    source: IpAddr,
}

impl Admission {
    pub(crate) fn new(max_links: usize, max_per_source: usize) -> Arc<Self> {
        Arc::new(Self { max_links, max_per_source, held: Mutex::default() })
    }

    /// Room for a link from `ip`, if there is any.
    pub(crate) fn admit(self: &Arc<Self>, ip: IpAddr) -> Option<Permit> {
        let source = source_of(ip);
        let mut held = self.lock();
        let from_source = held.by_source.get(&source).copied().unwrap_or(0);
        if held.total >= self.max_links || from_source >= self.max_per_source {
            return None;
        }
        held.total += 1;
        held.by_source.insert(source, from_source + 1);
        Some(Permit { admission: Arc::clone(self), source })
    }

    /// Whether `ip` holds half of what one source may, or more.
    pub(crate) fn is_half_used(&self, ip: IpAddr) -> bool {
        let from_source = self.lock().by_source.get(&source_of(ip)).copied().unwrap_or(0);
        from_source * 2 >= self.max_per_source
    }

    pub(crate) fn links(&self) -> usize {
        self.lock().total
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        // Nothing panics while holding it.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut held = self.admission.lock();
        held.total -= 1;
        if let Some(count) = held.by_source.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                held.by_source.remove(&self.source);
            }
        }
    }
}

/// What counts as one source: an IPv4 address, or the /64 that an IPv6 host chooses from.
fn source_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_and_permits_come_back() {
        let admission = Admission::new(3, 2);
        let [a, b] = ["10.0.0.1", "2001:db8::1"].map(|ip| ip.parse().unwrap());
        let a_mapped = "::ffff:10.0.0.1".parse().unwrap();
        let b_neighbour = "2001:db8::ffff:2".parse().unwrap();
        let first = admission.admit(a).unwrap();
        let second = admission.admit(a_mapped).unwrap();
        assert!(admission.admit(a).is_none(), "one source");
        let third = admission.admit(b).unwrap();
        assert!(admission.admit(b_neighbour).is_none(), "total");
        drop(first);
        let fourth = admission.admit(b_neighbour).unwrap();
        drop((second, third, fourth));
        assert_eq!(admission.links(), 0);
        assert!(admission.lock().by_source.is_empty());
    }
}
