//! A host whose entropy the test knows, and whoever seizes a process does not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use antiphon_mix::EntropySource;
use antiphon_onion::ErasingRng;
use rand::rand_core::Infallible;
use rand::{Rng as _, SeedableRng as _, TryCryptoRng, TryRng};
use rand_chacha::ChaCha20Rng;
use zeroize::Zeroizing;

use crate::memory::Needles;

/// All hosts of a network.
#[derive(Clone, Default)]
pub(crate) struct Hosts {
    /// What they have given out.
    pub(crate) given: Arc<Mutex<Needles>>,
    /// From when on they give something else than those of a network with the same seeds.
    pub(crate) departed: Arc<AtomicBool>,
    departs_by: u8,
    seed: u64,
}

impl Hosts {
    /// Hosts that give something else after they have departed. Tests run at once, in one memory: each
    /// has a seed of its own.
    pub(crate) fn new(seed: u64, departs_by: u8) -> Self {
        Self { departs_by, seed, ..Self::default() }
    }

    /// One more host.
    pub(crate) fn next(&mut self) -> EntropySource {
        self.seed += 1;
        let rng = ErasingRng::drawn_from(&mut ChaCha20Rng::seed_from_u64(self.seed));
        EntropySource::new(Host { hosts: self.clone(), rng })
    }
}

/// Keeps nothing of what it gives.
struct Host {
    hosts: Hosts,
    rng: ErasingRng,
}

impl TryRng for Host {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("machines ask for 32 bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("machines ask for 32 bytes")
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.rng.fill_bytes(bytes);
        if self.hosts.departed.load(Ordering::Relaxed) {
            bytes[0] ^= self.hosts.departs_by;
        }
        let bytes = (&*bytes).try_into().expect("machines ask for 32 bytes");
        self.hosts.given.lock().unwrap().add(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Host {}

/// Gives 32 bytes, once.
pub(crate) struct Once(pub(crate) Zeroizing<[u8; 32]>);

impl TryRng for Once {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("a generator asks for 32 bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("a generator asks for 32 bytes")
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.copy_from_slice(&self.0[..]);
        Ok(())
    }
}

impl TryCryptoRng for Once {}
