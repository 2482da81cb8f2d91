//! X25519 of batches, a point in every lane of a vector: all that does not depend on how a kernel's
//! field does its arithmetic. Compiled once for each kernel.
//!
//! Fields bound the limbs of their elements differently, and agree on this: `mul!` and `square!` take
//! operands and give products; `operand` makes an operand of a product or of the sum or difference of
//! two; `carry` makes one of longer sums, too, which may be added and subtracted like a product.
//!
//! Lanes without a point of their own multiply zeros. No branch and no address depends on a scalar.

mod batch;
mod edwards;
mod ladder;
mod powers;
mod quotients;
mod table;

use core::ptr;
use std::sync::LazyLock;

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use zeroize::Zeroizing;

use super::{KERNEL, field, is_available, table_of};
use crate::HopKey;
use batch::Secrets;
pub(crate) use table::Table;

static BASE: LazyLock<Table> = LazyLock::new(|| Table::new(&ED25519_BASEPOINT_POINT));

fn assert_available() {
    assert!(is_available(), "this processor cannot run the kernel {KERNEL}");
}

/// X25519 of one clamped secret with every point.
pub(in crate::dh) fn one_secret(secret: &[u8; 32], points: &[[u8; 32]], shared: &mut [[u8; 32]]) {
    assert_available();
    // SAFETY: the processor has every feature the function is compiled for.
    unsafe { batch::ladders(Secrets::One(secret), points, shared) }
}

/// X25519 of every pair; secrets are clamped.
pub(in crate::dh) fn pairs(secrets: &[[u8; 32]], points: &[[u8; 32]], shared: &mut [[u8; 32]]) {
    assert_available();
    // SAFETY: the processor has every feature the function is compiled for.
    unsafe { batch::ladders(Secrets::Each(secrets), points, shared) }
}

/// The public keys of clamped secrets.
pub(in crate::dh) fn public_keys(secrets: &[[u8; 32]], publics: &mut [[u8; 32]]) {
    let jobs: Vec<_> = (0..secrets.len()).map(|i| (i, &*BASE)).collect();
    multiples(secrets, &jobs, publics);
}

/// Public keys of clamped secrets, and what each shares with its hop.
///
/// Hops to the same shard go next to each other, so that vectors of them share a table; those without
/// a table go together.
pub(in crate::dh) fn send<'a>(
    secrets: &[[u8; 32]],
    keys: impl Iterator<Item = &'a HopKey>,
    publics: &mut [[u8; 32]],
    shared: &mut [[u8; 32]],
) {
    public_keys(secrets, publics);
    let mut jobs = Vec::with_capacity(secrets.len());
    let mut rest = Vec::new();
    let mut rest_secrets = Zeroizing::new(Vec::with_capacity(secrets.len()));
    let mut rest_points = Vec::new();
    for (i, (secret, key)) in secrets.iter().zip(keys).enumerate() {
        if let Some(table) = key.table().and_then(table_of) {
            jobs.push((i, table));
        } else {
            rest.push(i);
            rest_secrets.push(*secret);
            rest_points.push(*key.u());
        }
    }
    jobs.sort_unstable_by_key(|(_, table)| ptr::from_ref(*table).addr());
    multiples(secrets, &jobs, shared);

    let mut rest_shared = Zeroizing::new(vec![[0; 32]; rest.len()]);
    pairs(&rest_secrets, &rest_points, &mut rest_shared);
    for (i, result) in rest.iter().zip(rest_shared.iter()) {
        shared[*i] = *result;
    }
}

/// X25519 of the points that tables belong to: for every job `(i, table)`, `results[i]` comes of the
/// clamped `secrets[i]`. Fastest if jobs with the same table are next to each other.
fn multiples(secrets: &[[u8; 32]], jobs: &[(usize, &Table)], results: &mut [[u8; 32]]) {
    assert_available();
    // SAFETY: the processor has every feature the function is compiled for.
    unsafe { batch::multiples(secrets, jobs, results) }
}
