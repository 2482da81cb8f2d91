//! Gains of a seal shard that leaves onions out of its filter.

use super::AccountError;
use crate::composition::Repeated;
use crate::privacy_loss::PrivacyLoss;

/// Attempts to learn from the silence about left-out onions.
///
/// In an attempt the adversary leaves out k of M onions, u of which belong to the users in
/// question. Every noise onion among the k is checked on a fair coin of its own, so that nobody
/// complains with probability 2^-k, or up to e^(ku/M) times that where some of them are users'; the
/// silence then moves the log-likelihood of any two worlds by at most 2ku/M.
///
/// Whatever k the adversary chooses, delta at e^epsilon = g is then at most b^k (1 - g x^k), with
/// x = e^(-2u/M) and b = e^(u/M)/2. The largest of these lines, one for each k, is the function of
/// a pair of distributions, which therefore dominates an attempt with any k, chosen as late as the
/// adversary likes: lines k and k+1 cross at g_k = (1 - b) / (x^k (1 - b x)), and a loss of
/// ln g_k has probability b^k (1 - b) under P and (b x)^k (1 - b x) under Q. Negative losses
/// mirror them, and the rest tells nothing. (A complaint tells less: where it is the likelier
/// outcome in one world, it is so by the same difference, and it is more frequent than silence.)
///
/// Whoever leaves an onion out of a filter of its own making sees whether the filter claims it all
/// the same, and such an onion is not left out: false positives make no difference. Where onions of
/// unknown makers are dropped instead, they do: a missing noise onion goes unnoticed with
/// probability (1 + p)/2, so that is what b takes the place of 1/2, while a user's onion is then told
/// from noise by a factor of 2/(1 + p) at most, less than 2; x is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LeftOut {
    attempts: u32,
    onions: u64,
    users: u32,
    false_positive: f64,
}

impl LeftOut {
    /// So many attempts among `onions` onions that are certain, `users` of them in question.
    ///
    /// # Errors
    /// [`AccountError::TooFewOnions`] with fewer than 16 onions for each user's.
    pub fn new(attempts: u32, onions: u64, users: u32) -> Result<Self, AccountError> {
        if onions < 16 * u64::from(users) {
            return Err(AccountError::TooFewOnions { onions, users });
        }
        Ok(Self { attempts, onions, users, false_positive: 0.0 })
    }

    /// Onions may also be dropped before filters that claim what they do not hold at this rate.
    ///
    /// # Errors
    /// [`AccountError::FalsePositive`] for a rate that is none or above a quarter.
    pub fn with_false_positives(mut self, rate: f64) -> Result<Self, AccountError> {
        if !(0.0..=0.25).contains(&rate) {
            return Err(AccountError::FalsePositive(rate));
        }
        self.false_positive = rate;
        Ok(self)
    }

    /// The same with another number of onions in question.
    pub(super) fn of_users(self, users: u32) -> Result<Self, AccountError> {
        Ok(Self {
            false_positive: self.false_positive,
            ..Self::new(self.attempts, self.onions, users)?
        })
    }

    /// b: probability, at most, for each onion left out that nobody complains.
    pub(super) fn unnoticed(self) -> f64 {
        let share = f64::from(self.users) / self.onions as f64;
        0.5 * (1.0 + self.false_positive) * libm::exp(share)
    }

    pub(super) fn repeated(self) -> Repeated {
        Repeated { loss: self.loss(), times: self.attempts }
    }

    pub(super) fn loss(self) -> PrivacyLoss {
        let each = 2.0 * f64::from(self.users) / self.onions as f64;
        let (b, x) = (self.unnoticed(), libm::exp(-each));
        let offset = libm::log((1.0 - b) / (1.0 - b * x));
        let (mut positive, mut negative) = (Vec::new(), Vec::new());
        let mut rest = 1.0;
        let (mut p, mut q) = (b, b * x);
        for k in 1..=128 {
            let loss = offset + each * f64::from(k);
            // Up to here another line is above this one for every epsilon.
            if loss > 0.0 {
                positive.push((loss, p * (1.0 - b)));
                negative.push((-loss, q * (1.0 - b * x)));
                rest -= p * (1.0 - b) + q * (1.0 - b * x);
            }
            p *= b;
            q *= b * x;
        }
        // The lines that are left out add up to less than the first of them.
        let infinite = p / (1.0 - b);
        let mut atoms = negative;
        atoms.reverse();
        atoms.push((0.0, (rest - infinite).max(0.0)));
        atoms.append(&mut positive);
        PrivacyLoss { atoms, infinite }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// delta at a ratio e^epsilon of the pair.
    fn delta(loss: &PrivacyLoss, ratio: f64) -> f64 {
        let finite = loss.atoms.iter().map(|&(l, p)| (p - ratio * p * libm::exp(-l)).max(0.0));
        loss.infinite + finite.sum::<f64>()
    }

    #[test]
    fn the_pair_dominates_silence_and_complaint_for_every_number_left_out() {
        for (onions, users, rate) in
            [(64, 4, 0.0), (6464, 4, 0.0), (1000, 2, 0.0), (6464, 4, 0.01), (100, 4, 0.2)]
        {
            let loss = LeftOut::new(1, onions, users).unwrap();
            let loss = loss.with_false_positives(rate).unwrap().loss();
            let share = f64::from(users) / onions as f64;
            for k in 1..=40 {
                // The most and the least that silence can be likely, in one world and the other.
                let high = libm::pow(0.5 * (1.0 + rate) * libm::exp(share), f64::from(k));
                let low = high * libm::exp(-2.0 * share * f64::from(k));
                for (p, q) in [(high, low), (low, high)] {
                    for step in 0..400 {
                        let ratio = libm::exp(f64::from(step) * share / 20.0);
                        let exact =
                            (p - ratio * q).max(0.0) + ((1.0 - p) - ratio * (1.0 - q)).max(0.0);
                        let bound = delta(&loss, ratio);
                        assert!(bound >= exact - 1e-15, "k={k} {ratio}: {bound} for {exact}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_pair_is_one_of_distributions() {
        let loss = LeftOut::new(1, 6464, 4).unwrap().loss();
        let p: f64 = loss.atoms.iter().map(|atom| atom.1).sum::<f64>() + loss.infinite;
        let q: f64 = loss.atoms.iter().map(|atom| atom.1 * libm::exp(-atom.0)).sum();
        assert!((p - 1.0).abs() < 1e-12 && (q - 1.0).abs() < 1e-12, "{p} {q}");
        assert!(loss.atoms.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn few_onions_are_refused() {
        assert!(LeftOut::new(1, 63, 4).is_err());
    }
}
