//! The Diffie-Hellman of whole batches: X25519 (RFC 7748), by the fastest means the machine has.
//!
//! Keys, scalars and results are 32 bytes. Scalars are clamped and u-coordinates read as RFC 7748
//! says: bit 255 ignored, the rest reduced mod p. Whatever the bytes, every [`Kernel`] gives the same
//! results, on the twist too. A result of zeros comes of a point of small order, and must be refused.
//!
//! No branch and no address depends on a secret.

// The vector kernels call what is compiled for particular processors; each call has its reason.
#[allow(unsafe_code)]
#[cfg_attr(any(not(target_arch = "x86_64"), antiphon_no_simd), path = "dh/vectors/stand_in.rs")]
mod avx2;
mod hops;
#[allow(unsafe_code)]
#[cfg_attr(any(not(target_arch = "x86_64"), antiphon_no_simd), path = "dh/vectors/stand_in.rs")]
mod ifma;
mod kernel;
mod multiplier;
mod portable;
mod processor;

use curve25519_dalek::scalar::clamp_integer;
use zeroize::Zeroizing;

pub(crate) use hops::{KeyTable, receive_batch, send_batch};
pub use kernel::{Kernel, KernelUnavailable, UnknownKernel};
pub(crate) use multiplier::Multiplier;

/// Onions that are opened in one call: enough that their shared field inversion costs next to nothing each,
/// few enough that their points stay in the cache.
pub(crate) const ONIONS_AT_ONCE: usize = 128;

/// One secret, many public keys: `shared[i]` is X25519 of the secret and `publics[i]`.
///
/// # Panics
/// If the lengths differ or the kernel is not available.
pub fn one_secret(
    kernel: Kernel,
    secret: &[u8; 32],
    publics: &[[u8; 32]],
    shared: &mut [[u8; 32]],
) {
    assert_eq!(publics.len(), shared.len(), "one result per key");
    let secret = Zeroizing::new(clamp_integer(*secret));
    match kernel {
        Kernel::Ifma => ifma::one_secret(&secret, publics, shared),
        Kernel::Avx2 => avx2::one_secret(&secret, publics, shared),
        Kernel::Portable => portable::one_secret(&secret, publics, shared),
    }
}

/// Many secrets, each with its own public key: `shared[i]` is X25519 of `secrets[i]` and `publics[i]`.
///
/// # Panics
/// If the lengths differ or the kernel is not available.
pub fn pairs(kernel: Kernel, secrets: &[[u8; 32]], publics: &[[u8; 32]], shared: &mut [[u8; 32]]) {
    assert!(secrets.len() == publics.len() && secrets.len() == shared.len(), "one result per pair");
    let secrets = clamped(secrets);
    match kernel {
        Kernel::Ifma => ifma::pairs(&secrets, publics, shared),
        Kernel::Avx2 => avx2::pairs(&secrets, publics, shared),
        Kernel::Portable => portable::pairs(&secrets, publics, shared),
    }
}

/// Many secrets, one base: `publics[i]` is the public key of `secrets[i]`.
///
/// # Panics
/// If the lengths differ or the kernel is not available.
pub fn public_keys(kernel: Kernel, secrets: &[[u8; 32]], publics: &mut [[u8; 32]]) {
    assert_eq!(secrets.len(), publics.len(), "one public key per secret");
    let secrets = clamped(secrets);
    match kernel {
        Kernel::Ifma => ifma::public_keys(&secrets, publics),
        Kernel::Avx2 => avx2::public_keys(&secrets, publics),
        Kernel::Portable => portable::public_keys(&secrets, publics),
    }
}

fn clamped(secrets: &[[u8; 32]]) -> Zeroizing<Vec<[u8; 32]>> {
    let mut clamped = Zeroizing::new(Vec::with_capacity(secrets.len()));
    clamped.extend(secrets.iter().map(|secret| clamp_integer(*secret)));
    clamped
}

#[cfg(test)]
mod tests;
