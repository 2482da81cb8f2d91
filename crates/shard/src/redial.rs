//! Dialling again.

use std::time::Duration;

use antiphon_process::backoff::Waits;

/// Waits before a link to a peer or the coordinator is dialled again. The first is short: when an epoch
/// begins, a peer may learn of this shard a moment after this shard dials it.
pub(crate) const WAITS: Waits =
    Waits { first: Duration::from_millis(50), longest: Duration::from_secs(5) };
