//! The two sides of a hop, in terms of X25519 and of multiples of known points.

use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::montgomery::MontgomeryPoint;
use curve25519_dalek::traits::BasepointTable;

use super::{Kernel, Multiplier, avx2, clamped, ifma, portable};
use crate::HopKey;

/// Multiples of a hop's key, in the layout of the kernel that they were made for.
pub(crate) enum KeyTable {
    Ifma(ifma::Table),
    Avx2(avx2::Table),
    Portable(Box<portable::Table>),
}

impl KeyTable {
    pub(crate) fn new(kernel: Kernel, point: &EdwardsPoint) -> Self {
        match kernel {
            Kernel::Ifma => Self::Ifma(ifma::Table::new(point)),
            Kernel::Avx2 => Self::Avx2(avx2::Table::new(point)),
            Kernel::Portable => Self::Portable(Box::new(portable::Table::create(point))),
        }
    }
}

/// The receiver's side. Sets `shared[i]` to the u-coordinate of k times `ephemerals[i]`, all-zero if that is
/// the identity.
pub(crate) fn receive_batch(
    kernel: Kernel,
    multiplier: &Multiplier,
    ephemerals: &[[u8; 32]],
    shared: &mut [[u8; 32]],
) {
    match multiplier.clamped() {
        Some(clamped) => super::one_secret(kernel, clamped, ephemerals, shared),
        // Two multipliers in 2^127 are no X25519 scalar: the plain ladder over 256 bits serves them.
        None => {
            let k = multiplier.bytes();
            for (ephemeral, shared) in ephemerals.iter().zip(shared) {
                let bits = (0..256).rev().map(|i| k[i / 8] >> (i % 8) & 1 == 1);
                *shared = MontgomeryPoint(*ephemeral).mul_bits_be(bits).to_bytes();
            }
        }
    }
}

/// The sender's side. Sets, for each ephemeral secret, its public key and the secret that it shares with its
/// hop.
pub(crate) fn send_batch<'a>(
    kernel: Kernel,
    secrets: &[[u8; 32]],
    keys: impl Iterator<Item = &'a HopKey>,
    ephemerals: &mut [[u8; 32]],
    shared: &mut [[u8; 32]],
) {
    assert!(secrets.len() == ephemerals.len() && secrets.len() == shared.len());
    let secrets = clamped(secrets);
    match kernel {
        Kernel::Ifma => ifma::send(&secrets, keys, ephemerals, shared),
        Kernel::Avx2 => avx2::send(&secrets, keys, ephemerals, shared),
        Kernel::Portable => portable::send(&secrets, keys, ephemerals, shared),
    }
}
