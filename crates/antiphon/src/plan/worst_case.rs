//! What is certain to be honest, whichever operators of limited weight are malicious.

/// An operator, as far as its share in paths and noise goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contributor {
    /// Path weight.
    pub(super) weight: u32,
    /// Noise onions that all its shards add in a round.
    pub(super) noise: u64,
}

/// Bounds that hold for every set of malicious operators that nobody could be added to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Honest {
    /// No fewer operators are honest than this.
    pub(super) fewest_operators: usize,
    /// No more operators are honest than this.
    pub(super) most_operators: usize,
    /// No fewer honest noise onions are in a round than this.
    pub(super) least_noise: u64,
}

impl Honest {
    /// The bounds for operators of weight up to `malicious`. Exact for equal operators.
    pub(super) fn of(operators: &[Contributor], malicious: u64) -> Self {
        let mut weights: Vec<u64> = operators.iter().map(|each| u64::from(each.weight)).collect();
        weights.sort_unstable();
        let most_malicious = fitting(weights.iter(), malicious);
        // As long as the heaviest fit together, any smaller number of operators leaves room.
        let fewest_malicious = fitting(weights.iter().rev(), malicious);
        let total: u64 = operators.iter().map(|each| each.noise).sum();
        let taken = by_weight(operators, malicious).min(by_number(operators, most_malicious));
        Self {
            fewest_operators: operators.len() - most_malicious,
            most_operators: operators.len() - fewest_malicious,
            least_noise: total - taken.min(total),
        }
    }
}

/// How many of the first `weights` fit into `room` together.
fn fitting<'a>(weights: impl Iterator<Item = &'a u64>, mut room: u64) -> usize {
    weights
        .take_while(|&&weight| {
            let fits = weight <= room;
            room = room.saturating_sub(weight);
            fits
        })
        .count()
}

/// The most noise in a set of weight up to `room`, if a part of an operator could be taken: the
/// bound of the fractional knapsack.
fn by_weight(operators: &[Contributor], mut room: u64) -> u64 {
    let mut densest = operators.to_vec();
    densest.sort_by(|a, b| {
        let (a_over_b, b_over_a) = (a.noise * u64::from(b.weight), b.noise * u64::from(a.weight));
        b_over_a.cmp(&a_over_b)
    });
    let mut taken = 0;
    for operator in densest {
        let weight = u64::from(operator.weight);
        if weight > room {
            return taken + (operator.noise * room).div_ceil(weight);
        }
        room -= weight;
        taken += operator.noise;
    }
    taken
}

/// The most noise in a set of so many operators.
fn by_number(operators: &[Contributor], number: usize) -> u64 {
    let mut noise: Vec<u64> = operators.iter().map(|each| each.noise).collect();
    noise.sort_unstable();
    noise.iter().rev().take(number).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn equal(count: usize, weight: u32) -> Vec<Contributor> {
        vec![Contributor { weight, noise: 1000 }; count]
    }

    #[test]
    fn equal_operators_are_counted_exactly() {
        for (weight, malicious) in [(1, 2), (3, 6), (3, 8)] {
            let honest = Honest::of(&equal(10, weight), malicious);
            let expected = Honest { fewest_operators: 8, most_operators: 8, least_noise: 8000 };
            assert_eq!(honest, expected);
        }
        assert_eq!(Honest::of(&equal(3, 1), 0).least_noise, 3000);
    }

    #[test]
    fn the_bounds_hold_for_every_set_that_nobody_fits_into() {
        let operators: Vec<_> = [(1, 400), (2, 570), (2, 560), (3, 700), (5, 900), (9, 1200)]
            .map(|(weight, noise)| Contributor { weight, noise })
            .into();
        for malicious in 0..=21 {
            let honest = Honest::of(&operators, malicious);
            for mask in 0_u32..1 << operators.len() {
                let split = |wanted: bool| {
                    operators
                        .iter()
                        .enumerate()
                        .filter(move |(at, _)| (mask >> at & 1 == 1) == wanted)
                        .map(|(_, each)| each)
                };
                let weight: u64 = split(true).map(|each| u64::from(each.weight)).sum();
                let another_fits =
                    split(false).any(|each| weight + u64::from(each.weight) <= malicious);
                if weight > malicious || another_fits {
                    continue;
                }
                let left = split(false).count();
                assert!((honest.fewest_operators..=honest.most_operators).contains(&left));
                assert!(honest.least_noise <= split(false).map(|each| each.noise).sum());
            }
        }
    }
}
