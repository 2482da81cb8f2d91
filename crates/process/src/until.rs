//! Waits that may have no end.

use tokio::time::{Instant, sleep_until};

/// Waits until a moment; for ever if there is none.
pub async fn until(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => std::future::pending().await,
    }
}
