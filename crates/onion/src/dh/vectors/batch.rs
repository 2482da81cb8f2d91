//! Batches of any length, cut into vectors.

use zeroize::{Zeroize, Zeroizing};

use super::edwards::{multiply, signed_digits};
use super::field::{LANES, load, words};
use super::ladder::ladder;
use super::quotients::{BATCH, finish, none, push};
use super::table::Table;

/// Whose scalar multiplies each point.
#[derive(Clone, Copy)]
pub(super) enum Secrets<'a> {
    One(&'a [u8; 32]),
    Each(&'a [[u8; 32]]),
}

vectorised! {
    pub(super) fn ladders(secrets: Secrets<'_>, points: &[[u8; 32]], shared: &mut [[u8; 32]]) {
        let mut quotients = none();
        for (start, shared) in (0..).step_by(BATCH).zip(shared.chunks_mut(BATCH)) {
            for start in (start..start + shared.len()).step_by(LANES) {
                let k = match secrets {
                    Secrets::One(secret) => words(&Zeroizing::new([*secret; LANES])),
                    Secrets::Each(secrets) => words(&padded(&secrets[start..])),
                };
                push(&mut quotients, ladder(&k, &load(&padded(&points[start..]))));
            }
            finish(&mut quotients, |vector, mut lanes| {
                for (shared, lane) in shared[vector * LANES..].iter_mut().zip(&lanes) {
                    *shared = *lane;
                }
                lanes.zeroize();
            });
        }
    }

    pub(super) fn multiples(
        secrets: &[[u8; 32]],
        jobs: &[(usize, &Table)],
        results: &mut [[u8; 32]],
    ) {
        let mut quotients = none();
        let mut tables: Vec<(u8, &Table)> = Vec::with_capacity(LANES);
        for jobs in jobs.chunks(BATCH) {
            for jobs in jobs.chunks(LANES) {
                let mut digits = Zeroizing::new([[0; 32]; LANES]);
                tables.clear();
                for (lane, (job, table)) in jobs.iter().enumerate() {
                    digits[lane] = signed_digits(&secrets[*job]);
                    match tables.last_mut() {
                        Some((lanes, last)) if core::ptr::eq(*last, *table) => *lanes |= 1 << lane,
                        _ => tables.push((1 << lane, table)),
                    }
                }
                // The lanes without a job go along with the last that has one.
                if let Some((lanes, _)) = tables.last_mut() {
                    *lanes |= !0 << (jobs.len() - 1) << 1;
                }
                push(&mut quotients, multiply(&words(&digits), &tables));
            }
            finish(&mut quotients, |vector, mut lanes| {
                for ((job, _), lane) in jobs[vector * LANES..].iter().zip(&lanes) {
                    results[*job] = *lane;
                }
                lanes.zeroize();
            });
        }
    }
}

/// The first of them, or as many as there are and zeros.
fn padded(values: &[[u8; 32]]) -> Zeroizing<[[u8; 32]; LANES]> {
    let mut lanes = Zeroizing::new([[0; 32]; LANES]);
    for (lane, value) in lanes.iter_mut().zip(values) {
        *lane = *value;
    }
    lanes
}
