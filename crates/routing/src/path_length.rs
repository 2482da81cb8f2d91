//! Karaoke's rule for the number of mixing hops that a path needs.

use crate::Ppm;

/// The largest probability of a path with fewer than two honest mixing hops that the default
/// rule accepts.
pub const FEW_HONEST_TARGET: f64 = 1e-8;

/// The most mixing hops a path can have: one less than the most layers of a geometry.
pub const MOST_MIXING_HOPS: u8 = 99;

/// Reason why no path length satisfies a rule.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum PathLengthError {
    /// Even the longest path allowed misses the target.
    #[error(
        "no path of at most {MOST_MIXING_HOPS} mixing hops reaches {target:e} with a malicious \
         fraction of {f}: raise the target, or list fewer malicious operators"
    )]
    OutOfReach {
        /// The malicious fraction of the path weight.
        f: Ppm,
        /// The target that was missed.
        target: f64,
    },
}

/// The probability that fewer than two of `m` mixing hops are honest, each being honest
/// independently with probability 1-f: f^m + m (1-f) f^(m-1).
pub fn p_fewer_than_two_honest(m: u8, f: Ppm) -> f64 {
    if m == 0 {
        return 1.0;
    }
    let f = f.as_f64();
    // Products alone: IEEE 754 rounds them alike everywhere, and signers compare the outcome.
    let all_but_one = (1..m).fold(1.0, |power, _| power * f);
    all_but_one * f + f64::from(m) * (1.0 - f) * all_but_one
}

/// The least number of mixing hops, m = L-1, with [`p_fewer_than_two_honest`] at most `target`
/// (by default [`FEW_HONEST_TARGET`]). 14 at f = 0.2.
///
/// # Errors
/// If [`MOST_MIXING_HOPS`] hops are not enough.
pub fn mixing_hops(f: Ppm, target: f64) -> Result<u8, PathLengthError> {
    (2..=MOST_MIXING_HOPS)
        .find(|&m| p_fewer_than_two_honest(m, f) <= target)
        .ok_or(PathLengthError::OutOfReach { f, target })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ppm(parts: u32) -> Ppm {
        Ppm::new(parts).unwrap()
    }

    #[test]
    fn karaokes_path_length() {
        assert_eq!(mixing_hops(ppm(200_000), FEW_HONEST_TARGET), Ok(14));
    }

    #[test]
    fn lengths_are_least_and_grow_with_the_malicious_fraction() {
        let mut longest = 0;
        for parts in (0..700_000).step_by(10_000) {
            let f = ppm(parts);
            let m = mixing_hops(f, FEW_HONEST_TARGET).unwrap();
            assert!(p_fewer_than_two_honest(m, f) <= FEW_HONEST_TARGET);
            assert!(p_fewer_than_two_honest(m - 1, f) > FEW_HONEST_TARGET);
            assert!(m >= longest);
            longest = m;
        }
    }

    #[test]
    fn the_formula_agrees_with_counting_every_path() {
        // One malicious operator of four equal ones: 4^m paths.
        let m = 6;
        let few = (0..4u32.pow(m))
            .filter(|path| (0..m).filter(|hop| path >> (2 * hop) & 3 != 0).count() < 2)
            .count();
        let counted = few as f64 / 4f64.powi(6);
        assert!((p_fewer_than_two_honest(6, ppm(250_000)) - counted).abs() < 1e-15);
    }

    #[test]
    fn a_fully_malicious_network_has_no_path_length() {
        assert!(mixing_hops(ppm(Ppm::WHOLE), FEW_HONEST_TARGET).is_err());
        assert_eq!(p_fewer_than_two_honest(0, ppm(0)), 1.0);
        assert_eq!(p_fewer_than_two_honest(1, ppm(0)), 1.0);
    }
}
