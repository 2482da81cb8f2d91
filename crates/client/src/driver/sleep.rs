//! Sleep: the link goes, and is dialled again at a time that nothing moves.

use std::time::Duration;

use antiphon_client_core::SleepError;
use antiphon_process::clock::SystemClock;
use antiphon_wire::Timestamp;

use super::{Driver, Moment};
use crate::event::Event;

/// How often a client that sleeps looks at the clock: where a device stands still, the runtime's timers do too.
const LOOKS_EVERY: Duration = Duration::from_secs(5);

impl Driver {
    /// Leaves rounds to the gateway, to sleep through them. A turn to another gateway waits until the client is back:
    /// what is left stays where it was left.
    pub(super) async fn sleep(&mut self, time: Duration) -> Result<(), SleepError> {
        let moment = Moment::now();
        let for_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.core().sleep(moment.time, for_ms)?;
        (self.next, self.turn_by) = (None, None);
        self.drain(moment).await;
        Ok(())
    }

    /// The gateway acts for this client until then.
    pub(super) fn fall_asleep(&mut self, until: Timestamp) {
        self.asleep_until = Some(until);
        (self.before, self.next, self.turn_by) = (None, None, None);
        self.departures.clear();
        if let Some(gateway) = self.line.gateway() {
            let reason = "the client sleeps".to_owned();
            self.emit(Event::Disconnected { gateway, reason });
        }
        self.rest();
    }

    /// Ends the sleep of the link, because a person says so.
    pub(super) fn wake_up(&mut self) {
        if self.asleep_until.take().is_some() {
            self.line.wait(Duration::ZERO);
        }
    }

    /// Waits on if the time has not come. Returns whether it does.
    pub(super) fn rest(&mut self) -> bool {
        let left_ms = self.asleep_until.map_or(0, |until| until.ms_since(SystemClock::now()));
        if left_ms == 0 {
            self.asleep_until = None;
            return false;
        }
        self.line.wait(LOOKS_EVERY.min(Duration::from_millis(left_ms)));
        true
    }
}
