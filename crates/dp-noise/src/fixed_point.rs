//! Unsigned fixed-point numbers with 192 fractional bits: just enough for the sampler's table.

/// A number below 2^64 in units of 2^-192, least significant limb first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fixed {
    // Compared most significant first, so that the derived order is the numeric one.
    high: u128,
    low: u128,
}

impl Fixed {
    pub(crate) const ZERO: Self = Self { high: 0, low: 0 };
    pub(crate) const ONE: Self = Self { high: 1 << 64, low: 0 };
    const FRACTION_BITS: u32 = 192;

    fn limbs(self) -> [u64; 4] {
        [self.low as u64, (self.low >> 64) as u64, self.high as u64, (self.high >> 64) as u64]
    }

    fn from_limbs(limbs: [u64; 4]) -> Self {
        let join = |low: u64, high: u64| u128::from(low) | (u128::from(high) << 64);
        Self { low: join(limbs[0], limbs[1]), high: join(limbs[2], limbs[3]) }
    }

    pub(crate) fn add(self, other: Self) -> Self {
        let (low, carry) = self.low.overflowing_add(other.low);
        Self { low, high: self.high + other.high + u128::from(carry) }
    }

    pub(crate) fn sub(self, other: Self) -> Self {
        let (low, borrow) = self.low.overflowing_sub(other.low);
        Self { low, high: self.high - other.high - u128::from(borrow) }
    }

    /// The product, rounded down; it has to stay below 2^64.
    pub(crate) fn mul(self, other: Self) -> Self {
        let (a, b) = (self.limbs(), other.limbs());
        let mut product = [0_u64; 8];
        for (i, &x) in a.iter().enumerate() {
            let mut carry = 0_u128;
            for (j, &y) in b.iter().enumerate() {
                let sum = u128::from(x) * u128::from(y) + u128::from(product[i + j]) + carry;
                product[i + j] = sum as u64;
                carry = sum >> 64;
            }
            product[i + 4] = carry as u64;
        }
        debug_assert_eq!(product[7], 0, "product of at least 2^64");
        Self::from_limbs([product[3], product[4], product[5], product[6]])
    }

    /// The quotient by a non-zero integer, rounded down.
    pub(crate) fn div_int(self, divisor: u64) -> Self {
        let mut limbs = self.limbs();
        let mut rest = 0_u128;
        for limb in limbs.iter_mut().rev() {
            let value = (rest << 64) | u128::from(*limb);
            *limb = (value / u128::from(divisor)) as u64;
            rest = value % u128::from(divisor);
        }
        Self::from_limbs(limbs)
    }

    fn double(self) -> Self {
        self.add(self)
    }

    /// 1 / self, rounded down, for numbers in [1, 2^62).
    pub(crate) fn reciprocal(self) -> Self {
        debug_assert!(self >= Self::ONE);
        if self == Self::ONE {
            return Self::ONE;
        }
        // Long division, one bit at a time: the rest stays below the divisor.
        let (mut rest, mut quotient) = (Self::ONE, Self::ZERO);
        let ulp = Self { high: 0, low: 1 };
        for _ in 0..Self::FRACTION_BITS {
            rest = rest.double();
            quotient = quotient.double();
            if rest >= self {
                rest = rest.sub(self);
                quotient = quotient.add(ulp);
            }
        }
        quotient
    }

    /// exp(-numerator/denominator) within 2^-170, for a quotient below 2^12.
    pub(crate) fn exp_neg(numerator: u64, denominator: u64) -> Self {
        let mut argument = Self::ONE.mul_int(numerator).div_int(denominator);
        let mut squarings = 0;
        while argument >= Self::ONE {
            argument = argument.div_int(2);
            squarings += 1;
        }
        // Horner's form of the Taylor series; 1/60! is below 2^-270.
        let mut value = Self::ONE;
        for n in (1..=60).rev() {
            value = Self::ONE.sub(argument.mul(value).div_int(n));
        }
        // Each squaring at most doubles the error: 2^-182 after twelve of them.
        for _ in 0..squarings {
            value = value.mul(value);
        }
        value
    }

    fn mul_int(self, factor: u64) -> Self {
        self.mul(Self { high: u128::from(factor) << 64, low: 0 })
    }

    /// The number times 2^128, rounded down, for numbers below one.
    pub(crate) fn times_two_to_the_128(self) -> u128 {
        debug_assert!(self < Self::ONE);
        (self.high << 64) | (self.low >> 64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_digits_of_e() {
        // floor(2^128 exp(-1)) and floor(2^128 exp(-32)), from mpmath at 400 bits.
        let bits = |n, d| Fixed::exp_neg(n, d).times_two_to_the_128();
        assert_eq!(bits(1, 1), E_MINUS_1);
        assert_eq!(bits(32, 1), E_MINUS_32);
        assert_eq!(bits(1, 3), E_MINUS_THIRD);
    }

    #[test]
    fn reciprocal_inverts() {
        let three = Fixed::ONE.mul_int(3);
        let back = three.reciprocal().mul(three);
        assert!(Fixed::ONE.sub(back) < Fixed { high: 0, low: 4 });
        assert_eq!(three.reciprocal().times_two_to_the_128(), u128::MAX / 3);
    }

    const E_MINUS_1: u128 = 0x5e2d58d8b3bcdf1abadec7829054f90d;
    const E_MINUS_32: u128 = 0x000000000003908c9eec2c8d03c53340;
    const E_MINUS_THIRD: u128 = 0xb76e989179752689c5984c9c50ebe4c9;
}
