//! How long a gateway waits for onions: as long as recent experience says, and no longer.

/// Steps that a submission window is divided into.
const STEPS: u64 = 64;
/// What one arrival weighs. All fade by an eighth with each round, so the last ten or so count.
const WEIGHT: u64 = 1 << 10;
/// Of so many parts of the arrivals, all but one decide: fewer clients than that stretch nothing.
const PARTS: u64 = 10;
/// The least part of a submission window that is waited: quick clients, however many, do not shut
/// out those with ordinary links.
const LEAST_PART: u64 = 4;

/// When onions arrived after the openings of recent rounds, on time or too late, in parts of the
/// submission window. Made of nothing but what anybody on the gateway's line sees: when onions
/// came, not whose they were.
#[derive(Clone, Debug)]
pub(super) struct Patience {
    arrivals: [u64; STEPS as usize],
}

impl Default for Patience {
    fn default() -> Self {
        Self { arrivals: [0; STEPS as usize] }
    }
}

impl Patience {
    /// Takes in that onions came `after_ms` after the opening of a round that takes them for
    /// `window_ms`.
    pub(super) fn note(&mut self, after_ms: u64, window_ms: u64) {
        let step = (after_ms.saturating_mul(STEPS) / window_ms.max(1)).min(STEPS - 1);
        if let Some(arrivals) = self.arrivals.get_mut(step as usize) {
            *arrivals += WEIGHT;
        }
    }

    /// Another round begins: what came before counts less.
    pub(super) fn fade(&mut self) {
        self.arrivals.iter_mut().for_each(|weight| *weight = *weight * 7 / 8);
    }

    /// How many milliseconds of `window_ms` to wait for clients that are expected: twice as long as
    /// nine in ten took, within bounds. Without experience, all of it.
    pub(super) fn wait_ms(&self, window_ms: u64) -> u64 {
        let total: u64 = self.arrivals.iter().sum();
        let mut late = total;
        let decides = self.arrivals.iter().position(|weight| {
            late -= weight;
            late * PARTS <= total
        });
        match decides {
            Some(step) if total > 0 => {
                let took_ms = (step as u64 + 1).saturating_mul(window_ms) / STEPS;
                (2 * took_ms).clamp(window_ms / LEAST_PART, window_ms)
            }
            _ => window_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW_MS: u64 = 2000;

    fn after(rounds: usize, arrivals: &[u64]) -> Patience {
        let mut patience = Patience::default();
        for _ in 0..rounds {
            patience.fade();
            arrivals.iter().for_each(|&ms| patience.note(ms, WINDOW_MS));
        }
        patience
    }

    #[test]
    fn without_experience_the_whole_window_is_waited() {
        assert_eq!(Patience::default().wait_ms(WINDOW_MS), WINDOW_MS);
        let mut faded = after(3, &[100]);
        (0..100).for_each(|_| faded.fade());
        assert_eq!(faded.wait_ms(WINDOW_MS), WINDOW_MS);
    }

    #[test]
    fn quick_clients_leave_a_quarter_of_the_window_and_slow_ones_get_all_of_it() {
        assert_eq!(after(1, &[0; 1000]).wait_ms(WINDOW_MS), 500);
        assert_eq!(after(5, &[400; 3]).wait_ms(WINDOW_MS), 812);
        assert_eq!(after(5, &[1900; 3]).wait_ms(WINDOW_MS), WINDOW_MS);
        // Too late by any length counts as the end of the window.
        assert_eq!(after(5, &[u64::MAX; 3]).wait_ms(WINDOW_MS), WINDOW_MS);
    }

    #[test]
    fn one_client_in_ten_stretches_nothing_and_more_do() {
        let mut arrivals = [100; 20];
        arrivals[..2].fill(1999);
        assert_eq!(after(10, &arrivals).wait_ms(WINDOW_MS), 500);
        arrivals[..3].fill(1999);
        assert_eq!(after(10, &arrivals).wait_ms(WINDOW_MS), WINDOW_MS);
    }

    #[test]
    fn what_has_changed_is_known_after_a_few_rounds() {
        let mut patience = after(50, &[1900; 5]);
        let mut rounds = 0;
        while patience.wait_ms(WINDOW_MS) > 500 {
            patience.fade();
            (0..5).for_each(|_| patience.note(100, WINDOW_MS));
            rounds += 1;
        }
        assert!(rounds <= 20, "{rounds}");
    }
}
