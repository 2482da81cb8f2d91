//! The patience of a gateway with onions: as long as recent experience says, and no longer.

/// Steps that a submission window is divided into.
const STEPS: u64 = 64;
/// Weight of one arrival. All fade by an eighth with each round, so the last ten or so count.
const WEIGHT: u64 = 1 << 10;
/// Of so many parts of the arrivals, all but one decide: fewer clients than that stretch nothing.
const PARTS: u64 = 20;
/// A message that was lost on the way is sent again after one and a half round trips (RFC 9002, section
/// 6.2: the round trip, four times its variation, and the time that the other end keeps an
/// acknowledgement) ...
const AGAIN_HALF_TRIPS: u64 = 3;
/// ... and so many milliseconds.
const AGAIN_MS: u64 = 50;
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

    /// Milliseconds of `window_ms` to wait for clients that are expected, within bounds: as long as nineteen
    /// in twenty took, and so much longer that what was lost once has been sent again. From the opening to
    /// the onions is a round trip at least. Without experience, all of the window.
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
                let again_ms = took_ms * AGAIN_HALF_TRIPS / 2 + AGAIN_MS;
                (took_ms + again_ms).clamp(window_ms / LEAST_PART, window_ms)
            }
            _ => window_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;

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
        // Within 406 ms, and 659 more.
        assert_eq!(after(5, &[400; 3]).wait_ms(WINDOW_MS), 1065);
        assert_eq!(after(5, &[1900; 3]).wait_ms(WINDOW_MS), WINDOW_MS);
        // Too late by any length counts as the end of the window.
        assert_eq!(after(5, &[u64::MAX; 3]).wait_ms(WINDOW_MS), WINDOW_MS);
    }

    #[test]
    fn one_client_in_twenty_stretches_nothing_and_more_do() {
        let mut arrivals = [100; 40];
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
        assert!(rounds <= 24, "{rounds}");
    }

    /// The way from an opening to the onions on links that take `delay_ms` and up to 30 ms more, and of a
    /// million packets lose `loss_ppm`: the opening is one packet, the onions three. What is lost is sent
    /// again as QUIC does it.
    fn arrival(delay_ms: u64, loss_ppm: u64, rng: &mut impl Rng) -> u64 {
        let mut took = 0;
        for packets in [1, 3] {
            took += delay_ms + rng.next_u64() % 31;
            while (0..packets).filter(|_| rng.next_u64() % 1_000_000 < loss_ppm).count() > 0 {
                took += 3 * delay_ms + 50;
            }
        }
        took
    }

    #[test]
    fn onions_that_were_lost_once_on_the_way_are_waited_for() {
        const ROUNDS: u64 = 2000;
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for (clients, delay_ms, loss_ppm) in [2, 20].into_iter().flat_map(|clients| {
            let links = [(50, 5_000), (50, 20_000), (100, 10_000), (150, 5_000), (150, 20_000)];
            links.map(|(delay_ms, loss_ppm)| (clients, delay_ms, loss_ppm))
        }) {
            let mut patience = Patience::default();
            let mut late = 0;
            for _ in 0..ROUNDS {
                patience.fade();
                let wait_ms = patience.wait_ms(WINDOW_MS);
                for _ in 0..clients {
                    let took = arrival(delay_ms, loss_ppm, &mut rng);
                    late += u64::from(took > wait_ms);
                    patience.note(took, WINDOW_MS);
                }
            }
            // Of ten thousand. Lost twice is too late, and nobody waits for it.
            let share = late * 10_000 / (ROUNDS * clients);
            assert!(share <= 40, "{share} with {clients} clients, {delay_ms} ms, {loss_ppm} ppm");
        }
    }
}
