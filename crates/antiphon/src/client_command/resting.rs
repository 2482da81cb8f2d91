//! Reasons for which conversations rest.

use antiphon_client::{Budget, Status};

/// The budget that is used up, and the way to go on. A round in flight may turn out to cost nothing, so a
/// reserve for it is not used up yet.
pub(super) fn resting(status: &Status) -> Option<&'static str> {
    let used_up = |budget: Budget| budget.left + budget.reserved == 0;
    if used_up(status.budget) {
        Some("the ledger is used up; `antiphon status --allow` goes on at a price")
    } else if used_up(status.attempts) {
        Some(
            "as many rounds were aborted as the guarantee allows for; `antiphon status \
             --allow-aborts` goes on at a price",
        )
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use antiphon_client::Ledger;

    use super::*;

    fn status(left: u32, attempts_left: u32, reserved: u32) -> Status {
        let budget = |left| Budget { total: 9, spent: 9 - left - reserved, reserved, left };
        Status {
            ledger: Ledger::new(18, 9 - left - reserved, 0),
            budget: budget(left),
            attempts: budget(attempts_left),
            pace: None,
            epoch: None,
            last_round: None,
            gateway: None,
            clock_ahead_ms: None,
            next_call: None,
        }
    }

    #[test]
    fn each_budget_that_is_used_up_is_named_with_the_way_to_go_on() {
        let words = |left, attempts| resting(&status(left, attempts, 0));
        assert_eq!(words(1, 1), None);
        assert!(words(0, 1).unwrap().contains("the ledger is used up"));
        let aborts = words(1, 0).unwrap();
        assert!(aborts.contains("aborted") && aborts.contains("--allow-aborts"), "{aborts}");
        assert_eq!(resting(&status(0, 0, 1)), None, "the round in flight may be free");
    }
}
