//! The ledgers of clients, kept once more from what they were told, to compare.

use std::collections::BTreeMap;

use antiphon_client_core::{Budget, Checkpoint, Event, Outcome};
use antiphon_wire::Round;

/// One client's ledger and attempts, as they have to be.
#[derive(Clone, Debug, Default)]
pub(super) struct LedgerModel {
    charged: u32,
    attempts: u32,
    /// The newest round that onions were made for.
    last: Option<Round>,
    /// Rounds in flight, and whether a conversation meets in them.
    open: BTreeMap<Round, bool>,
    /// Meetings that were under way when the client last made something durable.
    last_open: u32,
}

impl LedgerModel {
    /// Units charged so far, as the client's own ledger should have them.
    pub(super) fn charged(&self) -> u32 {
        self.charged
    }

    /// A client makes something durable: before the onions of a round leave, or before cells do of beats that were not
    /// reserved. Returns whether a conversation meets in the round for the first time, and sees that all in flight counts
    /// as charged.
    pub(super) fn persisted(&mut self, kept: &Checkpoint) -> Result<bool, String> {
        let in_flight = self.meetings();
        let is_of_beats = Some(kept.mark.round) <= self.last;
        self.last = self.last.max(Some(kept.mark.round));
        // All in flight counts as charged, so what is on disk is above the sum by this meeting or by nothing.
        let meets = kept.charged.checked_sub(self.charged + in_flight);
        let counted = kept.attempts.checked_sub(self.attempts + in_flight);
        if !is_of_beats {
            self.open.insert(kept.mark.round, meets == Some(1));
        }
        self.last_open = self.meetings();
        match (meets, counted) {
            (Some(0), Some(0)) => Ok(false),
            (Some(1), Some(1)) if !is_of_beats => Ok(true),
            _ => Err(format!(
                "{} units and {} attempts on disk, and {} and {} charged with {in_flight} in flight",
                kept.charged, kept.attempts, self.charged, self.attempts
            )),
        }
    }

    /// The application is told something. Returns the outcome of a meeting.
    pub(super) fn told(&mut self, event: &Event) -> Option<(Round, Outcome)> {
        let Event::RoundEnded { round, outcome } = event else { return None };
        let met = self.open.remove(round).unwrap_or(false);
        match outcome {
            Outcome::Disturbed | Outcome::ChargedAbort => self.charged += u32::from(met),
            Outcome::FreeAbort => self.attempts += u32::from(met),
            Outcome::Undisturbed => {}
        }
        met.then_some((*round, *outcome))
    }

    /// The client is started again from what was on disk.
    pub(super) fn restarted(&mut self, kept: Option<Checkpoint>) -> Result<(), String> {
        let kept = kept.unwrap_or_default();
        let before = (self.charged, self.attempts);
        self.last = (kept.mark.round > Round(0)).then_some(kept.mark.round);
        self.open.clear();
        (self.charged, self.attempts) = (kept.charged, kept.attempts);
        let fits = |kept: u32, before: u32| (before..=before + self.last_open).contains(&kept);
        if fits(kept.charged, before.0) && fits(kept.attempts, before.1) {
            return Ok(());
        }
        Err(format!("started with {kept:?}, and {before:?} were charged and counted"))
    }

    /// Sees that a client's own books say the same.
    pub(super) fn compare(&self, ledger: Budget, attempts: Budget) -> Result<(), String> {
        for (budget, spent) in [(ledger, self.charged), (attempts, self.attempts)] {
            let adds_up = budget.total == budget.spent + budget.reserved + budget.left;
            if !adds_up || budget.spent != spent || budget.reserved != self.meetings() {
                return Err(format!("{budget:?}, and {spent} were charged"));
            }
        }
        Ok(())
    }

    fn meetings(&self) -> u32 {
        self.open.values().filter(|meets| **meets).count() as u32
    }
}

#[cfg(test)]
mod tests {
    use antiphon_client_core::RoundMark;
    use antiphon_wire::Epoch;

    use super::*;

    fn kept(round: u64, charged: u32, attempts: u32) -> Checkpoint {
        let mark = RoundMark { epoch: Epoch(1), round: Round(round) };
        Checkpoint { mark, charged, attempts, ..Checkpoint::default() }
    }

    fn ended(round: u64, outcome: Outcome) -> Event {
        Event::RoundEnded { round: Round(round), outcome }
    }

    fn budget(spent: u32, reserved: u32) -> Budget {
        Budget { total: 9, spent, reserved, left: 9 - spent - reserved }
    }

    #[test]
    fn a_round_is_charged_if_somebody_was_met_and_it_was_disturbed() {
        let mut ledger = LedgerModel::default();
        assert_eq!(ledger.persisted(&kept(1, 1, 1)), Ok(true));
        assert_eq!(ledger.persisted(&kept(2, 1, 1)), Ok(false));
        assert_eq!(ledger.persisted(&kept(3, 2, 2)), Ok(true));
        ledger.told(&ended(1, Outcome::Disturbed));
        ledger.told(&ended(2, Outcome::Disturbed));
        assert_eq!(ledger.compare(budget(1, 1), budget(0, 1)), Ok(()));
        ledger.told(&ended(3, Outcome::FreeAbort));
        assert_eq!(ledger.compare(budget(1, 0), budget(1, 0)), Ok(()));
        assert!(ledger.compare(budget(0, 0), budget(1, 0)).is_err());
        assert!(ledger.compare(budget(2, 0), budget(1, 0)).is_err());
    }

    #[test]
    fn beats_are_reserved_on_disk_at_no_charge() {
        let mut ledger = LedgerModel::default();
        assert_eq!(ledger.persisted(&kept(1, 1, 1)), Ok(true));
        assert_eq!(ledger.persisted(&kept(1, 1, 1)), Ok(false));
        assert!(ledger.clone().persisted(&kept(1, 2, 2)).is_err());
        assert_eq!(ledger.compare(budget(0, 1), budget(0, 1)), Ok(()));
        ledger.told(&ended(1, Outcome::Undisturbed));
        assert_eq!(ledger.persisted(&kept(1, 0, 0)), Ok(false));
        assert_eq!(ledger.compare(budget(0, 0), budget(0, 0)), Ok(()));
    }

    #[test]
    fn what_is_on_disk_counts_what_is_in_flight() {
        let mut ledger = LedgerModel::default();
        assert_eq!(ledger.persisted(&kept(1, 1, 1)), Ok(true));
        assert!(ledger.clone().persisted(&kept(2, 0, 1)).is_err());
        assert!(ledger.clone().persisted(&kept(2, 3, 3)).is_err());
        assert!(ledger.clone().restarted(Some(kept(1, 2, 1))).is_err());
        assert_eq!(ledger.restarted(Some(kept(1, 1, 1))), Ok(()));
        ledger.told(&ended(1, Outcome::Disturbed));
        assert_eq!(ledger.compare(budget(1, 0), budget(1, 0)), Ok(()));
    }
}
