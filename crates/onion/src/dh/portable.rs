//! The Diffie-Hellman in Edwards coordinates, for every machine.

use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::montgomery::MontgomeryPoint;
use curve25519_dalek::scalar::{Scalar, clamp_integer};
use curve25519_dalek::traits::Identity;
use zeroize::{Zeroize, Zeroizing};

use super::Multiplier;
use crate::HopKey;

/// k E = (s/8 mod l) (8 E): multiplying by 8 first leaves a point of the prime-order group, where
/// scalars may be reduced. Either sign of E will do, for both have the same u-coordinate.
pub(super) fn receive_batch(
    multiplier: &Multiplier,
    ephemerals: &[[u8; 32]],
    shared: &mut [[u8; 32]],
) {
    let mut points: Vec<EdwardsPoint> = Vec::with_capacity(ephemerals.len());
    points.extend(ephemerals.iter().map(|ephemeral| {
        MontgomeryPoint(*ephemeral).to_edwards(0).map_or_else(EdwardsPoint::identity, |point| {
            point.mul_by_cofactor() * multiplier.eighth()
        })
    }));
    write_montgomery(&points, shared);
    points.zeroize();
}

/// Clamped scalars may be reduced here: hop keys and the base point are torsion-free.
pub(super) fn send_batch<'a>(
    secrets: &[[u8; 32]],
    keys: impl Iterator<Item = &'a HopKey>,
    ephemerals: &mut [[u8; 32]],
    shared: &mut [[u8; 32]],
) {
    let mut points: Vec<EdwardsPoint> = Vec::with_capacity(2 * secrets.len());
    for (secret, key) in secrets.iter().zip(keys) {
        let scalar = Zeroizing::new(Scalar::from_bytes_mod_order(clamp_integer(*secret)));
        points.push(EdwardsPoint::mul_base(&scalar));
        points.push(key.multiply(&scalar));
    }
    let mut montgomery = EdwardsPoint::to_montgomery_batch(&points);
    points.zeroize();
    for (pair, (ephemeral, shared)) in
        montgomery.chunks_exact(2).zip(ephemerals.iter_mut().zip(shared))
    {
        *ephemeral = pair[0].to_bytes();
        *shared = pair[1].to_bytes();
    }
    montgomery.zeroize();
}

/// The identity becomes all zeros.
fn write_montgomery(points: &[EdwardsPoint], out: &mut [[u8; 32]]) {
    let mut montgomery = EdwardsPoint::to_montgomery_batch(points);
    for (out, point) in out.iter_mut().zip(&montgomery) {
        *out = point.to_bytes();
    }
    montgomery.zeroize();
}
