//! The origin of the secrets of each epoch and each round.

use rand::CryptoRng;

use crate::ErasingRng;

/// The host's entropy. A shard or a client holds it instead of a generator: it takes 32 fresh bytes for
/// every epoch and every round, and keeps nothing from which those of another one would follow.
pub struct EntropySource(Box<dyn CryptoRng + Send>);

impl EntropySource {
    /// A process passes the operating system's generator itself: whatever is kept in the process can be
    /// seized with it. Tests and simulations pass a seeded one.
    pub fn new(host: impl CryptoRng + Send + 'static) -> Self {
        Self(Box::new(host))
    }

    /// A generator for one epoch, one round or one job, from fresh entropy.
    pub fn generator(&mut self) -> ErasingRng {
        ErasingRng::drawn_from(&mut *self.0)
    }
}

impl std::fmt::Debug for EntropySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EntropySource(..)")
    }
}
