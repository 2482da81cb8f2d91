//! A radix-2 Fourier transform that gives the same bits on every machine.
//!
//! Verifiers of one document must agree to the last bit, so neither vector units that fuse
//! multiply and add nor the platform's sine may decide. The accountant's transforms are small
//! enough for the textbook algorithm (Cooley and Tukey 1965).

/// A complex number, multiplied in the same order on every machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Complex {
    pub(crate) re: f64,
    pub(crate) im: f64,
}

impl Complex {
    pub(crate) const ZERO: Self = Self { re: 0.0, im: 0.0 };
    const ONE: Self = Self { re: 1.0, im: 0.0 };

    pub(crate) fn mul(self, other: Self) -> Self {
        Self {
            re: self.re * other.re - self.im * other.im,
            im: self.re * other.im + self.im * other.re,
        }
    }

    /// The power by repeated squaring.
    pub(crate) fn pow(self, mut exponent: u32) -> Self {
        let (mut base, mut result) = (self, Self::ONE);
        while exponent > 0 {
            if exponent & 1 == 1 {
                result = result.mul(base);
            }
            base = base.mul(base);
            exponent >>= 1;
        }
        result
    }
}

/// Replaces `values`, a power of two of them, by the unnormalised sum over j of
/// values\[j\] exp(-2 pi i j k / n). Applied twice it gives n times the input, reversed in place
/// (index k becomes n - k).
pub(crate) fn transform(values: &mut [Complex]) {
    let n = values.len();
    assert!(n.is_power_of_two(), "transform length is a power of two");
    if n < 2 {
        return;
    }
    let shift = usize::BITS - n.trailing_zeros();
    for i in 0..n {
        let j = i.reverse_bits() >> shift;
        if i < j {
            values.swap(i, j);
        }
    }
    butterflies(values, &twiddles(n));
}

/// exp(-2 pi i k / 2, 4, 8, ... n), for the k of half a turn each, the coarsest first: so that a step
/// reads its own from one place.
fn twiddles(n: usize) -> Vec<Vec<Complex>> {
    let finest = (0..n / 2)
        .map(|k| {
            let angle = -2.0 * core::f64::consts::PI * k as f64 / n as f64;
            Complex { re: libm::cos(angle), im: libm::sin(angle) }
        })
        .collect();
    let mut steps: Vec<Vec<Complex>> = vec![finest];
    while let Some(finer) = steps.last().filter(|finer| finer.len() > 1) {
        steps.push(finer.iter().step_by(2).copied().collect());
    }
    steps.reverse();
    steps
}

/// Does all steps, of one half after the other before those of the whole: a part that fits into a cache is
/// finished while it is there. The additions and products are the same as step by step over all values.
fn butterflies(values: &mut [Complex], steps: &[Vec<Complex>]) {
    let Some((last, before)) = steps.split_last() else { return };
    let (low, high) = values.split_at_mut(last.len());
    butterflies(low, before);
    butterflies(high, before);
    for ((a, b), &w) in low.iter_mut().zip(high).zip(last) {
        let turned = b.mul(w);
        *b = Complex { re: a.re - turned.re, im: a.im - turned.im };
        *a = Complex { re: a.re + turned.re, im: a.im + turned.im };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_definition_and_inverts() {
        let n = 16_usize;
        let input: Vec<Complex> =
            (0..n).map(|j| Complex { re: (j * j % 7) as f64, im: (j % 3) as f64 - 1.0 }).collect();
        let mut output = input.clone();
        transform(&mut output);
        for (k, value) in output.iter().enumerate() {
            let mut sum = Complex::ZERO;
            for (j, x) in input.iter().enumerate() {
                let angle = -2.0 * core::f64::consts::PI * (j * k) as f64 / n as f64;
                let turned = x.mul(Complex { re: angle.cos(), im: angle.sin() });
                sum = Complex { re: sum.re + turned.re, im: sum.im + turned.im };
            }
            assert!((value.re - sum.re).abs() + (value.im - sum.im).abs() < 1e-12);
        }
        transform(&mut output);
        for (k, x) in input.iter().enumerate() {
            assert!((output[(n - k) % n].re / n as f64 - x.re).abs() < 1e-14);
        }
    }

    #[test]
    fn powers_multiply() {
        let z = Complex { re: 0.6, im: 0.8 };
        let mut product = Complex::ONE;
        for _ in 0..13 {
            product = product.mul(z);
        }
        let power = z.pow(13);
        assert!((power.re - product.re).abs() + (power.im - product.im).abs() < 1e-14);
    }
}
