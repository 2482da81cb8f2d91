//! How long a session stands: until it has been quiet for a while, or its partner has been away for an hour.

use antiphon_client::Level;
use antiphon_wire::Timestamp;

/// Time without a message after which a session is closed by agreement.
const QUIET_MS: u64 = 30 * 60_000;
/// The same while another contact waits for the place.
const QUIET_IF_WANTED_MS: u64 = 2 * 60_000;
/// Time for which the partner may be away before the session ends without a word.
const AWAY_MS: u64 = 60 * 60_000;
/// Time for which a partner who was never heard in the session may be away: it has not seen the box that opened it.
const UNHEARD_MS: u64 = 5 * 60_000;

/// What is to become of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The partner is to be asked to close it.
    Close,
    /// It ends now: nobody is there who could agree.
    Sleep,
}

/// The rhythm of one session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rhythm {
    heard: bool,
    /// The time since when meetings have been failing.
    away_since: Option<Timestamp>,
    /// The time of the last thing that was said.
    said_at: Timestamp,
    began_at: Timestamp,
    asked: bool,
}

impl Rhythm {
    /// A session that begins, or one that goes on after a restart, in which the partner was `heard` before.
    pub(crate) const fn new(now: Timestamp, heard: bool) -> Self {
        Self { heard, away_since: None, said_at: now, began_at: now, asked: false }
    }

    /// Takes note that the partner was heard.
    pub(crate) fn heard(&mut self) {
        self.heard = true;
    }

    /// Takes note that something was said, by either end.
    pub(crate) fn said(&mut self, now: Timestamp) {
        self.said_at = now;
    }

    /// Takes note of how often the session meets: less often after each meeting that fails, and more often after one that
    /// does not.
    pub(crate) fn at_level(&mut self, now: Timestamp, before: Level, level: Level) {
        match level > before {
            true => self.away_since = self.away_since.or(Some(now)),
            false => self.away_since = None,
        }
    }

    /// What is due; `is_wanted` says whether another contact waits for the place. Asking is due once.
    pub(crate) fn due(&mut self, now: Timestamp, is_wanted: bool) -> Option<Step> {
        let since = |then: Timestamp| now.ms_since(then);
        let quiet = if is_wanted { QUIET_IF_WANTED_MS } else { QUIET_MS };
        match self.away_since {
            _ if !self.heard => (since(self.began_at) >= UNHEARD_MS).then_some(Step::Sleep),
            Some(then) => (since(then) >= AWAY_MS).then_some(Step::Sleep),
            None if self.asked || since(self.said_at) < quiet => None,
            None => {
                self.asked = true;
                Some(Step::Close)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGINS: Timestamp = Timestamp(1 << 40);

    fn after(minutes: u64) -> Timestamp {
        BEGINS.plus_ms(minutes * 60_000)
    }

    fn heard() -> Rhythm {
        let mut rhythm = Rhythm::new(BEGINS, false);
        rhythm.heard();
        rhythm
    }

    #[test]
    fn a_quiet_session_is_closed_once_and_sooner_if_another_contact_waits() {
        let mut rhythm = heard();
        assert_eq!(rhythm.due(after(29), false), None);
        rhythm.said(after(29));
        assert_eq!(rhythm.due(after(58), false), None);
        assert_eq!(rhythm.due(after(59), false), Some(Step::Close));
        assert_eq!(rhythm.due(after(60), false), None);
        let mut rhythm = heard();
        assert_eq!(rhythm.due(after(1), true), None);
        assert_eq!(rhythm.due(after(2), true), Some(Step::Close));
    }

    #[test]
    fn a_session_whose_partner_is_away_sleeps_after_an_hour_and_not_if_it_comes_back() {
        let (dense, sparse) = (Level::DENSEST, Level::SPARSEST);
        let mut rhythm = heard();
        rhythm.at_level(after(10), dense, sparse);
        assert_eq!(rhythm.due(after(69), true), None);
        rhythm.at_level(after(69), sparse, dense);
        rhythm.said(after(69));
        assert_eq!(rhythm.due(after(70), false), None);
        rhythm.at_level(after(80), dense, sparse);
        assert_eq!(rhythm.due(after(139), false), None);
        assert_eq!(rhythm.due(after(140), false), Some(Step::Sleep));
    }

    #[test]
    fn a_session_in_which_nobody_was_heard_sleeps_soon() {
        let mut rhythm = Rhythm::new(BEGINS, false);
        assert_eq!(rhythm.due(after(4), true), None);
        assert_eq!(rhythm.due(after(5), true), Some(Step::Sleep));
    }
}
