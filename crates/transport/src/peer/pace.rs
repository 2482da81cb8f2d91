//! How many links a process opens at the same time. A handshake takes a part of a millisecond of a core,
//! and where hundreds begin at once, links that are there already would wait for them.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Links that are being opened at once, over all of a process.
const AT_ONCE: usize = 32;
/// Whoever takes longer gives the place to the next: those who do not answer hold nobody up.
const HEAD_START: Duration = Duration::from_millis(250);

static PLACES: Semaphore = Semaphore::const_new(AT_ONCE);

/// Opens a link when its turn has come.
pub(super) async fn paced<T>(open: impl Future<Output = T>) -> T {
    // It is never closed.
    let place = PLACES.acquire().await;
    let mut open = pin!(open);
    if let Ok(opened) = timeout(HEAD_START, &mut open).await {
        return opened;
    }
    drop(place);
    open.await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::task::JoinSet;
    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test]
    async fn few_links_are_opened_at_once_and_those_who_do_not_answer_hold_nobody_up() {
        let began = Instant::now();
        let mut opening = JoinSet::new();
        for _ in 0..3 * AT_ONCE {
            opening.spawn(paced(sleep(Duration::from_secs(60))));
        }
        static NOW: AtomicUsize = AtomicUsize::new(0);
        static MOST: AtomicUsize = AtomicUsize::new(0);
        let mut quick = JoinSet::new();
        for _ in 0..10 * AT_ONCE {
            quick.spawn(paced(async {
                MOST.fetch_max(1 + NOW.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
                sleep(Duration::from_millis(1)).await;
                NOW.fetch_sub(1, Ordering::Relaxed);
            }));
        }
        quick.join_all().await;
        assert!(MOST.load(Ordering::Relaxed) <= AT_ONCE);
        assert!(began.elapsed() >= 3 * HEAD_START && began.elapsed() < Duration::from_secs(20));
    }
}
