//! Many projective results to bytes, with one inversion for all.

use zeroize::Zeroize;

use super::field::{Fe, LANES, is_zero, one, select, store, zero};
use super::powers::{invert, product};

/// Vectors that share an inversion.
const VECTORS: usize = 16;
/// Points that share an inversion.
pub(super) const BATCH: usize = LANES * VECTORS;

/// Numerators and denominators on their way to bytes.
pub(super) struct Quotients {
    count: usize,
    numerators: [Fe; VECTORS],
    denominators: [Fe; VECTORS],
}

vectorised! {
    pub(super) fn none() -> Quotients {
        Quotients { count: 0, numerators: [zero(); VECTORS], denominators: [zero(); VECTORS] }
    }

    /// Adds one vector of fractions of operands. A denominator of 0 makes 0 / 1 of it, at no other
    /// fraction's expense.
    pub(super) fn push(quotients: &mut Quotients, fractions: (Fe, Fe)) {
        let (numerator, denominator) = fractions;
        let undefined = is_zero(&denominator);
        quotients.numerators[quotients.count] =
            select(undefined, &numerator, &zero());
        quotients.denominators[quotients.count] = select(undefined, &denominator, &one());
        quotients.count += 1;
    }

    /// Gives every vector's encodings to `out`, in order, by Montgomery's trick lane by lane.
    /// Nothing remains in `quotients`.
    pub(super) fn finish(quotients: &mut Quotients, mut out: impl FnMut(usize, [[u8; 32]; LANES])) {
        // `before[i]` is the product of the denominators below i.
        let mut running = one();
        let mut before = [one(); VECTORS];
        let denominators = &quotients.denominators[..quotients.count];
        for (before, denominator) in before.iter_mut().zip(denominators) {
            *before = running;
            running = product(&running, denominator);
        }
        // From here on, `inverse` is that of the product of the denominators up to i.
        let mut inverse = invert(&running);
        for i in (0..quotients.count).rev() {
            let this = product(&inverse, &before[i]);
            inverse = product(&inverse, &quotients.denominators[i]);
            out(i, store(&product(&this, &quotients.numerators[i])));
        }
        before.zeroize();
        quotients.numerators.zeroize();
        quotients.denominators.zeroize();
        quotients.count = 0;
    }
}
