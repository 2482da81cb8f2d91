//! Networks small enough that their bounds show in a few thousand trials.

use antiphon_dp_noise::{PairDistribution, Sigma};

use crate::ideal::IdealSetup;

/// A volume with a width of a sixteenth of it: cut at four sigma.
pub(super) fn noise(volume: u32) -> PairDistribution {
    let units = volume * Sigma::UNITS_PER_PAIR / 16;
    // Volumes here are small multiples of 16.
    let sigma = Sigma::from_units(units).expect("a sixteenth of a volume is a width");
    PairDistribution::new(volume, sigma).expect("a small multiple of 16 is a volume")
}

/// Five operators, one of them malicious, three mixing hops.
pub(super) fn counting(volume: u32) -> IdealSetup {
    IdealSetup::equal(5, 1, 3, noise(volume))
}

/// Five operators, two of them malicious.
pub(super) fn two_of_five(volume: u32, mixing_hops: u8) -> IdealSetup {
    IdealSetup::equal(5, 2, mixing_hops, noise(volume))
}

/// Four operators, one of them malicious, with so little noise that onions can be followed jointly.
pub(super) fn one_of_four(mixing_hops: u8) -> IdealSetup {
    IdealSetup::equal(4, 1, mixing_hops, noise(16))
}
