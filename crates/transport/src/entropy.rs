//! Randomness, for the binaries to pass into the protocol.

use rand::SeedableRng;
use rand::rngs::SysRng;
use rand_chacha::ChaCha20Rng;

/// A fresh ChaCha20 generator seeded with 256 bits from the operating system.
///
/// # Panics
///
/// If the operating system has no randomness to give: no key made then would be worth anything.
pub fn entropy() -> ChaCha20Rng {
    // Invariant: a process without a working system generator must not go on.
    ChaCha20Rng::try_from_rng(&mut SysRng).expect("the operating system provides randomness")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn two_generators_differ() {
        assert_ne!(entropy().next_u64(), entropy().next_u64());
    }
}
