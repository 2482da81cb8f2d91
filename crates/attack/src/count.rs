//! Probabilities of counts of pairs.

use antiphon_dp_noise::PairDistribution;

/// The law of a number of pairs: 0, 1, 2 and so on.
#[derive(Clone, Debug, PartialEq)]
pub struct PairCountLaw(Vec<f64>);

impl PairCountLaw {
    /// The law of the pairs that honest shards add together.
    pub fn honest_sum(shards: impl IntoIterator<Item = PairDistribution>) -> Self {
        let mut sum = Self::none().0;
        for noise in shards {
            let one = noise.pmf();
            let mut next = vec![0.0; sum.len() + one.len() - 1];
            for (i, p) in sum.iter().enumerate() {
                for (q, to) in one.iter().zip(&mut next[i..]) {
                    *to += p * q;
                }
            }
            sum = next;
        }
        Self(sum)
    }

    /// No pairs at all.
    pub fn none() -> Self {
        Self(vec![1.0])
    }

    /// The same with `pairs` more.
    #[must_use]
    pub fn plus(&self, pairs: u32) -> Self {
        let mut law = vec![0.0; pairs as usize];
        law.extend(&self.0);
        Self(law)
    }

    /// The same with one pair more, with this probability.
    #[must_use]
    pub fn plus_perhaps(&self, probability: f64) -> Self {
        let more = self.plus(1).0;
        let rest = self.0.iter().chain(std::iter::repeat(&0.0));
        Self(
            more.iter().zip(rest).map(|(a, b)| probability * a + (1.0 - probability) * b).collect(),
        )
    }

    /// Every pair is seen with this probability, on its own.
    #[must_use]
    pub fn thinned(&self, seen: f64) -> Self {
        // Horner's rule: the generating function at 1 - seen + seen z.
        let mut law = vec![0.0; self.0.len()];
        for p in self.0.iter().rev() {
            for k in (0..law.len()).rev() {
                let below = if k == 0 { 0.0 } else { law[k - 1] };
                law[k] = law[k] * (1.0 - seen) + below * seen;
            }
            law[0] += p;
        }
        Self(law)
    }

    /// The probability of a count.
    pub fn of(&self, pairs: u32) -> f64 {
        self.0.get(pairs as usize).copied().unwrap_or(0.0)
    }
}

/// ln(one / zero), never infinite: what cannot be in either world says nothing, and what cannot be in
/// one of them settles it.
pub(super) fn log_ratio(one: f64, zero: f64) -> f64 {
    const LEAST: f64 = 1e-300;
    libm::log(one.max(LEAST)) - libm::log(zero.max(LEAST))
}

#[cfg(test)]
mod tests {
    use antiphon_dp_noise::Sigma;

    use super::*;

    #[test]
    fn thinning_is_binomial() {
        let law = PairCountLaw(vec![0.0, 0.0, 0.0, 1.0]).thinned(0.25);
        for (k, p) in [27.0, 27.0, 9.0, 1.0].into_iter().enumerate() {
            assert!((law.of(k as u32) - p / 64.0).abs() < 1e-15);
        }
        assert_eq!(PairCountLaw::none().plus(2).of(2), 1.0);
        assert_eq!(PairCountLaw::none().plus_perhaps(0.25).of(1), 0.25);
    }

    #[test]
    fn the_sum_has_the_shards_mean() {
        let noise = PairDistribution::new(16, Sigma::from_units(1024).unwrap()).unwrap();
        let law = PairCountLaw::honest_sum([noise; 3]);
        let mean: f64 = (0..25).map(|k| f64::from(k) * law.of(k)).sum();
        assert!((mean - 12.0).abs() < 1e-12);
    }
}
