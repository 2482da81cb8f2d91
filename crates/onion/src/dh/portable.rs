//! The Diffie-Hellman of one point at a time, for every machine.
//!
//! Points that are met once take the ladder of aws-lc, points known in advance the tables of
//! curve25519-dalek.

use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use curve25519_dalek::edwards::{EdwardsBasepointTable, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::BasepointTable;
use zeroize::{Zeroize, Zeroizing};

use super::hops::KeyTable;
use crate::HopKey;

pub(super) type Table = EdwardsBasepointTable;

/// X25519 of one secret with every point.
pub(super) fn one_secret(secret: &[u8; 32], points: &[[u8; 32]], shared: &mut [[u8; 32]]) {
    let secret = private_key(secret);
    for (point, shared) in points.iter().zip(shared) {
        *shared = x25519(&secret, point);
    }
}

/// X25519 of every pair.
pub(super) fn pairs(secrets: &[[u8; 32]], points: &[[u8; 32]], shared: &mut [[u8; 32]]) {
    for ((secret, point), shared) in secrets.iter().zip(points).zip(shared) {
        *shared = x25519(&private_key(secret), point);
    }
}

/// The public keys of secrets.
pub(super) fn public_keys(secrets: &[[u8; 32]], publics: &mut [[u8; 32]]) {
    for (secret, public) in secrets.iter().zip(publics) {
        *public = public_key(&private_key(secret));
    }
}

/// Public keys of clamped secrets, and what each shares with its hop.
pub(super) fn send<'a>(
    secrets: &[[u8; 32]],
    keys: impl Iterator<Item = &'a HopKey>,
    publics: &mut [[u8; 32]],
    shared: &mut [[u8; 32]],
) {
    let (mut hops, mut points) = (Vec::new(), Vec::new());
    for (i, (secret, key)) in secrets.iter().zip(keys).enumerate() {
        let private = private_key(secret);
        publics[i] = public_key(&private);
        if let Some(KeyTable::Portable(table)) = key.table() {
            // Scalars may be reduced here: hop keys are torsion-free.
            let scalar = Zeroizing::new(Scalar::from_bytes_mod_order(*secret));
            hops.push(i);
            points.push(table.mul_base(&scalar));
        } else {
            shared[i] = x25519(&private, key.u());
        }
    }
    let mut montgomery = EdwardsPoint::to_montgomery_batch(&points);
    points.zeroize();
    for (hop, point) in hops.iter().zip(&montgomery) {
        shared[*hop] = point.to_bytes();
    }
    montgomery.zeroize();
}

fn private_key(secret: &[u8; 32]) -> PrivateKey {
    // Any 32 bytes are a private key of X25519.
    PrivateKey::from_private_key(&X25519, secret).expect("memory for a key")
}

fn public_key(private: &PrivateKey) -> [u8; 32] {
    // Computed when the key was made.
    let public = private.compute_public_key().expect("every private key has a public key");
    let mut bytes = [0; 32];
    bytes.copy_from_slice(public.as_ref());
    bytes
}

/// An all-zero result is an error there, and zeros here.
fn x25519(private: &PrivateKey, point: &[u8; 32]) -> [u8; 32] {
    let mut shared = [0; 32];
    let agreed = agree(private, UnparsedPublicKey::new(&X25519, point), (), |bytes| {
        shared.copy_from_slice(bytes);
        Ok(())
    });
    // Nothing is copied on an error.
    debug_assert_eq!(agreed.is_err(), shared == [0; 32]);
    shared
}
