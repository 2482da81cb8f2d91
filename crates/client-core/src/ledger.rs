//! The count of rounds that a client's conversations have cost.

/// Counts rounds of one kind, up to a bound beyond which conversations rest. A client has two: of the
/// rounds that revealed something, up to half of the network's K, and of those that were aborted with
/// nothing revealed, up to half of the attempts that its guarantee allows for. Each end of a
/// conversation holds a half, as the two can be charged in different rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ledger {
    charged: u32,
    covered: u32,
    extended: u32,
}

impl Ledger {
    /// A ledger under a policy that covers `both` ends' rounds, with `charged` units used of the half
    /// and of the `extended` that were allowed beyond it.
    pub const fn new(both: u32, charged: u32, extended: u32) -> Self {
        Self { charged, covered: both / 2, extended }
    }

    /// Units charged so far.
    pub const fn charged(&self) -> u32 {
        self.charged
    }

    /// Units that the application allowed beyond what the guarantee covers.
    pub const fn extended(&self) -> u32 {
        self.extended
    }

    /// Units that may be charged before conversations rest.
    pub const fn allowance(&self) -> u32 {
        self.covered.saturating_add(self.extended)
    }

    /// Units that are left before conversations rest.
    pub const fn left(&self) -> u32 {
        self.allowance().saturating_sub(self.charged)
    }

    /// State of the ledger while `in_flight` rounds may be charged yet.
    pub(crate) fn budget(&self, in_flight: u32) -> Budget {
        let reserved = in_flight.min(self.left());
        let total = self.allowance();
        Budget { total, spent: total - self.left(), reserved, left: self.left() - reserved }
    }

    /// Charges a round. Returns `true` if that used the ledger up.
    pub fn charge(&mut self) -> bool {
        let had = self.left();
        self.charged = self.charged.saturating_add(u32::from(had > 0));
        debug_assert_eq!(self.left(), had.saturating_sub(1), "a charge takes one unit");
        had == 1
    }

    /// Allows `units` more than the guarantee covers.
    pub(crate) fn extend(&mut self, units: u32) {
        self.extended = self.extended.saturating_add(units);
    }

    /// Units charged if `rounds` more turn out to be charged.
    pub(crate) fn charged_with_reserve(&self, rounds: u32) -> u32 {
        self.charged + rounds.min(self.left())
    }
}

/// State of a ledger: `total == spent + reserved + left`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Rounds that may be charged before conversations rest: half of what the network's guarantee
    /// covers, and what the application allowed beyond it.
    pub total: u32,
    /// Rounds that were charged.
    pub spent: u32,
    /// Rounds in flight, each charged unless it turns out to be free. A crash charges them.
    pub reserved: u32,
    /// Rounds that can be charged yet. At zero, conversations rest.
    pub left: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_k_can_be_charged_and_no_more() {
        let mut ledger = Ledger::new(7, 0, 0);
        assert_eq!((ledger.charge(), ledger.charge(), ledger.charge()), (false, false, true));
        assert_eq!((ledger.charge(), ledger.charged(), ledger.left()), (false, 3, 0));
        ledger.extend(1);
        assert_eq!((ledger.left(), ledger.charge(), ledger.charged()), (1, true, 4));
    }

    #[test]
    fn a_reserve_counts_as_charged_until_its_outcome_is_known() {
        let mut ledger = Ledger::new(8, 0, 0);
        ledger.charge();
        assert_eq!(ledger.charged_with_reserve(2), 3);
        assert_eq!(ledger.charged_with_reserve(9), 4);
        assert_eq!(Ledger::new(8, 3, 2).left(), 3);
    }
}
