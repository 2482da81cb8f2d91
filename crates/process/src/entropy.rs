//! Randomness, for the binaries to pass into the protocol.

use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;

/// The operating system's generator. It has no state in the process: what it gave cannot be found again
/// from what the process holds, and what it will give cannot be foreseen.
///
/// Drawing from it panics if the operating system has no randomness to give: no key made then would be
/// worth anything.
pub type SystemRng = UnwrapErr<SysRng>;

/// Gives access to the operating system's generator.
pub fn entropy() -> SystemRng {
    UnwrapErr(SysRng)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn two_generators_differ() {
        assert_ne!(entropy().next_u64(), entropy().next_u64());
    }

    #[test]
    fn nothing_is_kept_in_the_process() {
        assert_eq!(size_of::<SystemRng>(), 0);
    }
}
