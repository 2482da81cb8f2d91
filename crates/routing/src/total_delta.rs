//! All that one conversation adds to delta, in one figure.

use std::time::Duration;

use antiphon_wire::Policy;

use crate::{Honest, MOST_MIXING_HOPS, PathLengthError, Ppm};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Rounds and pairs that a total is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Horizon {
    /// K: disturbed and charged rounds.
    pub disturbed: u32,
    /// Aborted rounds and other attempts beside them: whoever aborts by what it saw of the routes
    /// selects the rounds that it opens.
    pub attempts: u32,
    /// All rounds, these included.
    pub rounds: u64,
    /// Pairs of onions of each end of a conversation in a round.
    pub pairs: u8,
}

/// Gains of an adversary beside epsilon over all rounds together, each part a probability or a total
/// variation. They add up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TotalDelta {
    /// The noise's part over the disturbed rounds: the budget's delta.
    pub noise: f64,
    /// Mixing's part over the disturbed rounds and attempts, onions dropped half-way: Theorem 3.
    pub disturbed: f64,
    /// Mixing's part over all other rounds: Theorem 2.
    pub undisturbed: f64,
    /// Gain of an adversary that looks first and then disturbs a round: Theorem 4.
    pub peek: f64,
}

impl Horizon {
    /// Horizon of a policy's total, with so many pairs: as many rounds as its least interval lets happen in
    /// its time, and all early ones.
    pub fn of(policy: &Policy, pairs: u8) -> Self {
        let interval = Duration::from_millis(policy.least_round_interval_ms.into());
        let early = Self::early_rounds(policy);
        Self {
            disturbed: policy.disturbed_rounds,
            attempts: policy.attempts,
            rounds: Self::rounds_of(DAY * policy.total_over_days, interval).saturating_add(early),
            pairs,
        }
    }

    /// Rounds among them that may come sooner than the interval.
    pub fn early_rounds(policy: &Policy) -> u64 {
        u64::from(policy.early_rounds_a_day) * u64::from(policy.total_over_days)
    }

    /// The rounds of `time`, one every `interval`. An interval of zero has no end of them.
    pub fn rounds_of(time: Duration, interval: Duration) -> u64 {
        let rounds = time.as_nanos().checked_div(interval.as_nanos()).unwrap_or(u128::MAX);
        u64::try_from(rounds).unwrap_or(u64::MAX)
    }
}

impl TotalDelta {
    /// The total of a conversation among what is `honest`, with paths of so many mixing hops of which a
    /// share `f` is malicious, beside the noise's own `delta`.
    pub fn of(honest: &Honest, f: Ppm, hops: u8, delta: f64, horizon: Horizon) -> Self {
        let population = honest.population(f);
        let deviation = honest.most_deviation;
        let pairs = f64::from(horizon.pairs);
        let attempts = f64::from(horizon.disturbed) + f64::from(horizon.attempts);
        let halfway = population.disturbed_halfway_given(deviation, hops).proven;
        let in_round = population.conversation_given(deviation, hops).proven;
        // A union bound: each part counts for every pair in every round, and cannot exceed 1.
        let in_all = |each: f64, rounds: f64| (each * pairs * rounds).min(1.0);
        Self {
            noise: delta,
            disturbed: in_all(halfway, attempts),
            undisturbed: in_all(in_round, horizon.rounds as f64),
            peek: in_all(population.peek(hops), horizon.rounds as f64),
        }
    }

    /// All of it, at most 1.
    pub fn sum(&self) -> f64 {
        (self.noise + self.disturbed + self.undisturbed + self.peek).min(1.0)
    }

    /// Mixing's part in rounds that the adversary disturbs after it saw all routes of all rounds, chosen among
    /// them: Theorem 5. Users' onions are dropped where they enter, and noise is not. Proven, and no part
    /// of the total, whose disturbed rounds are chosen without a look.
    pub fn of_chosen(honest: &Honest, f: Ppm, hops: u8, horizon: Horizon) -> f64 {
        honest.population(f).chosen(honest.least_volume, hops, horizon.rounds, horizon.pairs)
    }

    /// The least number of mixing hops, from `fewest` on, with a total of at most `target`.
    ///
    /// # Errors
    /// If [`MOST_MIXING_HOPS`] hops are not enough.
    pub fn least_hops(
        honest: &Honest,
        f: Ppm,
        fewest: u8,
        delta: f64,
        horizon: Horizon,
        target: f64,
    ) -> Result<u8, PathLengthError> {
        // A total of 1 promises nothing, and every path keeps it.
        let meets =
            |hops| target >= 1.0 || Self::of(honest, f, hops, delta, horizon).sum() <= target;
        if meets(fewest) {
            return Ok(fewest);
        }
        if !meets(MOST_MIXING_HOPS) {
            return Err(PathLengthError::OutOfReach { f, target });
        }
        // More hops never raise the total.
        let (mut short, mut long) = (fewest, MOST_MIXING_HOPS);
        while long - short > 1 {
            let middle = u8::midpoint(short, long);
            if meets(middle) { long = middle } else { short = middle }
        }
        Ok(long)
    }
}

#[cfg(test)]
mod tests {
    use antiphon_dp_noise::{OperatorShare, PairDistribution, Sigma};

    use super::*;

    /// So many equal operators, a fifth of them malicious.
    fn network(operators: usize, volume: u32, sigma: f64) -> (Honest, Ppm) {
        let units = (sigma * f64::from(Sigma::UNITS_PER_PAIR)) as u32;
        let each = PairDistribution::new(volume, Sigma::from_units(units).unwrap()).unwrap();
        let shares = vec![OperatorShare { weight: 1, shards: 1 }; operators];
        let malicious = operators as u64 / 5;
        (Honest::of(&shares, &vec![each; operators], malicious), Ppm::new(200_000).unwrap())
    }

    fn horizon() -> Horizon {
        Horizon::of(&Policy::default(), 1)
    }

    #[test]
    fn the_default_networks_total_is_what_another_program_finds_and_what_the_policy_allows() {
        let (honest, f) = network(5, 1616, 101.0);
        let total = TotalDelta::of(&honest, f, 14, 1e-6, horizon());
        assert_eq!(horizon().rounds, 31_536_000 + 365 * 24);
        for (found, written) in
            [(total.disturbed, 0.269), (total.undisturbed, 7.38e-3), (total.peek, 2.07e-2)]
        {
            assert!((found / written - 1.0).abs() < 0.01, "{found:e}, not {written:e}");
        }
        let parts = total.noise + total.disturbed + total.undisturbed + total.peek;
        assert!((total.sum() - parts).abs() < 1e-12);
        assert!(total.sum() <= Policy::default().total_delta && total.sum() > 0.25, "{total:?}");
    }

    #[test]
    fn a_hundred_shards_promise_nothing_at_the_hops_of_five() {
        let (honest, f) = network(100, 364, 22.7);
        let total = |hops| TotalDelta::of(&honest, f, hops, 1e-6, horizon()).sum();
        assert_eq!(total(14), 1.0);
        assert!(total(26) < 2e-4);
    }

    #[test]
    fn more_hops_meet_a_smaller_total_and_the_least_are_found() {
        let (honest, f) = network(5, 1616, 101.0);
        let total = |hops| TotalDelta::of(&honest, f, hops, 1e-6, horizon()).sum();
        let least =
            |fewest, target| TotalDelta::least_hops(&honest, f, fewest, 1e-6, horizon(), target);
        let mut before = 2;
        for target in [0.3, 0.1, 1e-2, 1e-3, 1e-4] {
            let hops = least(2, target).unwrap();
            assert!(total(hops) <= target && total(hops - 1) > target && hops >= before);
            before = hops;
        }
        assert_eq!(least(20, 0.3), Ok(20), "no fewer than are asked for");
        assert_eq!(least(2, 1.0), Ok(2), "everybody keeps a total of 1");
        // The noise alone adds more.
        assert!(least(2, 1e-7).is_err());
    }

    #[test]
    fn rounds_chosen_after_a_look_count_by_their_squares() {
        let (honest, f) = network(5, 1616, 101.0);
        let chosen = |hops, horizon| TotalDelta::of_chosen(&honest, f, hops, horizon);
        let blind = |hops| {
            1000.0 * honest.population(f).disturbed_given(honest.most_deviation, hops).proven
        };
        for hops in [14, 16, 18, 20, 24] {
            // As many rounds as are disturbed: less than their sum, whatever is seen first.
            let few = Horizon { rounds: 1000, ..horizon() };
            assert!(chosen(hops, few) < 0.3 * blind(hops), "{hops}");
            let found = chosen(hops, horizon());
            assert!(found < 0.2 && found < 0.3 * chosen(hops - 2, horizon()), "{hops}: {found}");
            // Four times the rounds have twice the root.
            let more = Horizon { rounds: 4000, ..horizon() };
            let growth = chosen(hops, more) / chosen(hops, few);
            assert!((2.0..2.1).contains(&growth), "{hops}: {growth}");
        }
        // Too little noise in a shard to hide anything.
        let (honest, f) = network(100, 364, 22.7);
        assert_eq!(TotalDelta::of_chosen(&honest, f, 14, horizon()), 1.0);
    }

    #[test]
    fn pairs_attempts_and_faster_rounds_add_to_the_total() {
        let (honest, f) = network(5, 1616, 101.0);
        let policy = Policy::default();
        let total = |horizon| TotalDelta::of(&honest, f, 16, 1e-6, horizon).sum();
        let usual = total(horizon());
        assert!(total(Horizon::of(&policy, 2)) > 1.9 * usual);
        let more = Policy { attempts: 2 * policy.attempts, ..policy.clone() };
        assert!(total(Horizon::of(&more, 1)) > 1.3 * usual);
        let early = Policy { early_rounds_a_day: u16::MAX, ..policy.clone() };
        assert!(total(Horizon::of(&early, 1)) > usual);
        let faster = Policy { least_round_interval_ms: 10, ..policy.clone() };
        assert!(total(Horizon::of(&faster, 1)) > 1.3 * usual);
        let endless = Policy { least_round_interval_ms: 0, ..policy };
        assert_eq!(total(Horizon::of(&endless, 1)), 1.0);
    }
}
