//! The door of a server, whatever its links go over: places, shares and handshakes in progress.

mod admission;
mod half_open;

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::limits::Limits;
use crate::rules::Rules;

use admission::{Admission, Refusal};
use half_open::{HalfOpen, Slot};

pub(crate) use admission::Permit;

/// Links let in and not yet accepted by the server's owner.
pub(crate) const BACKLOG: usize = 64;

/// Counts since a server started, and its load at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerStats {
    /// Links held at the moment.
    pub links: usize,
    /// Handshakes in progress.
    pub half_open: usize,
    /// Links let in.
    pub accepted: u64,
    /// Attempts turned away since there were as many links as there may be.
    pub refused_full: u64,
    /// Attempts turned away since their source had its share.
    pub refused_share: u64,
    /// Attempts turned away since they came too fast from one source.
    pub refused_pace: u64,
    /// Handshakes that failed or took too long.
    pub failed: u64,
    /// Handshakes that were given up for later ones.
    pub pushed_out: u64,
}

impl ServerStats {
    /// Attempts turned away, for whatever reason.
    pub const fn refused(&self) -> u64 {
        self.refused_full + self.refused_share + self.refused_pace
    }
}

#[derive(Default)]
struct Counters {
    accepted: AtomicU64,
    full: AtomicU64,
    share: AtomicU64,
    pace: AtomicU64,
    failed: AtomicU64,
}

impl Counters {
    fn refused(&self, why: Refusal) {
        let counter = match why {
            Refusal::Full => &self.full,
            Refusal::Share => &self.share,
            Refusal::Pace => &self.pace,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Decides who may link to a server.
pub(crate) struct Door {
    limits: Limits,
    admission: Arc<Admission>,
    half_open: Arc<HalfOpen>,
    rules: Rules,
    counters: Counters,
}

impl Door {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            admission: Admission::new(&limits),
            half_open: HalfOpen::new(limits.max_handshakes),
            rules: Rules::of_endpoint(&limits),
            counters: Counters::default(),
            limits,
        })
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Rules that all links keep to until their other sides are trusted.
    pub(crate) fn rules(&self) -> Rules {
        self.rules.clone()
    }

    /// Returns `true` if a newcomer from `ip` should prove that the address is its own.
    pub(crate) fn is_doubtful(&self, ip: IpAddr) -> bool {
        self.half_open.counts().0 >= self.limits.retry_above || self.admission.is_doubtful(ip)
    }

    /// A place for a link from `ip`. A refusal is counted.
    pub(crate) fn admit(&self, ip: IpAddr) -> Option<Permit> {
        let admitted = self.admission.admit(ip, Instant::now());
        admitted.inspect_err(|why| self.counters.refused(*why)).ok()
    }

    /// Counts a refusal of one who has its share.
    pub(crate) fn refuse_share(&self) -> Option<Permit> {
        self.counters.refused(Refusal::Share);
        None
    }

    /// A place for a handshake with `ip`.
    pub(crate) fn begin(&self, ip: IpAddr) -> Option<Slot> {
        self.half_open.begin(ip, self.admission.is_trusted(ip), Instant::now())
    }

    /// Carries out a handshake and hands the link over, unless later handshakes need its place. A place is
    /// held until the link is taken: a caller that accepts slowly slows handshakes down. Returns what the
    /// handshake gave beside the link.
    pub(crate) async fn unless_pushed_out<T, L>(
        &self,
        mut slot: Slot,
        handshake: impl Future<Output = Option<(T, L)>>,
        links: &mpsc::Sender<L>,
    ) -> Option<T> {
        let established = async {
            let Some((rest, link)) = handshake.await else {
                self.count_failed();
                return None;
            };
            // Fails only when the server is gone, and the link with it.
            links.send(link).await.ok()?;
            self.count_accepted();
            Some(rest)
        };
        tokio::select! {
            biased;
            established = established => established,
            () = slot.pushed_out() => None,
        }
    }

    pub(crate) fn count_failed(&self) {
        self.counters.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_accepted(&self) {
        self.counters.accepted.fetch_add(1, Ordering::Relaxed);
    }
}

/// Handle to a server's counts and limits, for those who do not accept links.
#[derive(Clone)]
pub struct Endpoint(Arc<Door>);

impl Endpoint {
    pub(crate) fn new(door: Arc<Door>) -> Self {
        Self(door)
    }

    /// Counts for metrics.
    pub fn stats(&self) -> ServerStats {
        let Door { counters, admission, half_open, .. } = &*self.0;
        let (half_open, pushed_out) = half_open.counts();
        ServerStats {
            links: admission.links(),
            half_open,
            accepted: counters.accepted.load(Ordering::Relaxed),
            refused_full: counters.full.load(Ordering::Relaxed),
            refused_share: counters.share.load(Ordering::Relaxed),
            refused_pace: counters.pace.load(Ordering::Relaxed),
            failed: counters.failed.load(Ordering::Relaxed),
            pushed_out,
        }
    }

    /// From now on, takes frames of up to `bytes` from everybody whose link has no limit of its own.
    pub fn accept_up_to(&self, bytes: usize) {
        self.0.rules.set_max(bytes);
    }

    /// Keeps places for these addresses, whoever else wants in, and for no others.
    pub fn reserve(&self, addresses: HashSet<IpAddr>) {
        let addresses = addresses.into_iter().map(|ip| ip.to_canonical()).collect();
        self.0.admission.reserve(|reserved| *reserved = addresses);
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("stats", &self.stats()).finish()
    }
}
