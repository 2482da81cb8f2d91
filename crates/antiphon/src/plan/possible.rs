//! Promises that can be kept, where no noise is enough for the one asked for.

use antiphon_dp_noise::{Budget, MAX_VOLUME, OperatorShare, SolveError, solve};
use antiphon_routing::EpochRules;

/// The most operators of a network file.
const MOST_OPERATORS: usize = 1000;
/// The largest epsilon of a network file.
const MOST_EPSILON: f64 = 100.0;
/// The width of the most noise that a shard adds, in pairs, where its cut lies at six sigma.
const WIDEST: f64 = MAX_VOLUME as f64 / 24.0;
/// Distance that offers keep below the bound, as a factor: noise is looked for in steps of a factor of two in
/// variance.
const MARGIN: f64 = 1.45;
/// Below this delta, what is beyond the cut counts, and no number is offered.
const LEAST_DELTA: f64 = 1e-12;
/// Offer in place of a delta that is too small.
const LARGER_DELTA: f64 = 1e-9;

/// No noise is enough.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "no noise of up to {MAX_VOLUME} deposits a shard keeps epsilon {epsilon} at delta {delta:e} over \
     {disturbed} disturbed rounds with {operators} operators. Possible instead: {instead}"
)]
pub(crate) struct OutOfReach {
    epsilon: f64,
    delta: f64,
    disturbed: u32,
    operators: usize,
    instead: String,
}

impl OutOfReach {
    /// Looks for what is possible in place of a budget that is not.
    pub(super) fn of(rules: &EpochRules, shares: &[OperatorShare]) -> Self {
        let budget = &rules.budget;
        let reach = Reach {
            epsilon: budget.epsilon(),
            delta: budget.delta(),
            disturbed: budget.disturbed_rounds(),
            each: shares[0],
            operators: shares.len(),
            malicious: rules.effective_malicious.as_f64(),
        };
        // Of unequal operators only the heaviest could add more.
        let equal = shares.iter().all(|share| share == &shares[0]);
        let ways = if equal { reach.ways() } else { Vec::new() };
        let instead = if ways.is_empty() {
            "a weaker guarantee in more than one of --epsilon, --delta and --disturbed, or more operators"
                .to_owned()
        } else {
            ways.join(", or ")
        };
        let Reach { epsilon, delta, disturbed, operators, .. } = reach;
        Self { epsilon, delta, disturbed, operators, instead }
    }
}

/// Guarantee that equal operators can keep that all add the most noise.
#[derive(Clone, Copy, Debug)]
struct Reach {
    epsilon: f64,
    delta: f64,
    disturbed: u32,
    each: OperatorShare,
    operators: usize,
    malicious: f64,
}

impl Reach {
    /// Options that would do, each in place of what was asked for.
    fn ways(&self) -> Vec<String> {
        if self.delta < LEAST_DELTA {
            // Only if that alone is enough.
            let larger = Self { delta: LARGER_DELTA, ..*self };
            let way = format!("--delta {LARGER_DELTA:e}");
            return if larger.is_kept() { vec![way] } else { Vec::new() };
        }
        let mut ways = Vec::new();
        let epsilon = rounded_up(self.least_epsilon());
        if epsilon <= MOST_EPSILON {
            ways.push(format!("--epsilon {epsilon}"));
        }
        let keeps = |disturbed: &u32| Self { disturbed: *disturbed, ..*self }.is_kept();
        // Fewer rounds only make it easier.
        let (mut low, mut high) = (0, self.disturbed);
        while high - low > 1 {
            let middle = low.midpoint(high);
            if keeps(&middle) {
                low = middle;
            } else {
                high = middle;
            }
        }
        if low > 0 {
            ways.push(format!("--disturbed {low}"));
        }
        let enough = |operators: &usize| Self { operators: *operators, ..*self }.is_kept();
        if let Some(operators) = (self.operators + 1..=MOST_OPERATORS).find(enough) {
            ways.push(format!("--shards {operators}"));
        }
        ways
    }

    fn is_kept(&self) -> bool {
        self.least_epsilon() <= self.epsilon
    }

    /// An epsilon that is kept: that of a Gaussian as wide as all honest shards' together, by the bound
    /// mu^2 / 2 + mu sqrt(2 ln(1 / delta)), and what the accountant adds for its own rounding.
    fn least_epsilon(&self) -> f64 {
        let malicious = (self.malicious * self.operators as f64 + 1e-9).floor();
        let honest = (self.operators as f64 - malicious) * f64::from(self.each.shards);
        let mu = (f64::from(self.disturbed) / honest).sqrt() / WIDEST;
        let gaussian = mu * mu / 2.0 + mu * (-2.0 * self.delta.ln()).sqrt();
        MARGIN * gaussian + self.rounding()
    }

    /// Part of epsilon that the accountant adds. It says so where that alone is more than is asked for.
    fn rounding(&self) -> f64 {
        match Budget::new(f64::MIN_POSITIVE, self.delta, self.disturbed)
            .map(|budget| solve(&budget, &[self.each, self.each], 0))
        {
            Ok(Err(SolveError::Margin { margin, .. })) => margin,
            _ => 0.0,
        }
    }
}

/// `value` or a little more, with two digits.
fn rounded_up(value: f64) -> f64 {
    let places = (1.0 - value.log10().floor()).max(0.0);
    let unit = 10_f64.powf(places);
    (value * unit).ceil() / unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epsilons_are_rounded_up_to_what_is_short() {
        for (value, text) in [(0.0123456, "0.013"), (0.25, "0.25"), (4.56789, "4.6"), (71.2, "72")]
        {
            assert_eq!(rounded_up(value).to_string(), text);
        }
    }

    #[test]
    fn nothing_is_offered_that_fails_as_well() {
        let reach = Reach {
            epsilon: 0.001,
            delta: 1e-30,
            disturbed: 1_000_000,
            each: OperatorShare { weight: 1, shards: 1 },
            operators: 5,
            malicious: 0.2,
        };
        assert_eq!(reach.ways(), Vec::<String>::new());
        let usual = Reach { epsilon: 0.7, disturbed: 1000, ..reach };
        assert_eq!(usual.ways(), ["--delta 1e-9"]);
    }

    #[test]
    fn what_is_offered_is_kept_and_not_far_beyond_the_bound() {
        let reach = Reach {
            epsilon: 0.01,
            delta: 1e-6,
            disturbed: 1000,
            each: OperatorShare { weight: 1, shards: 1 },
            operators: 5,
            malicious: 0.2,
        };
        assert!(!reach.is_kept());
        let ways = reach.ways();
        assert!(ways.len() >= 2 && ways[0].starts_with("--epsilon 0."), "{ways:?}");
        // The product's own solver agrees, where it is quick.
        let rounds = ways.iter().find_map(|way| way.strip_prefix("--disturbed ")).unwrap();
        let budget = Budget::new(0.01, 1e-6, rounds.parse().unwrap()).unwrap();
        solve(&budget, &[reach.each; 5], 1).unwrap();
    }
}
