//! Points in any number, cut into vectors.

use zeroize::{Zeroize, Zeroizing};

use super::edwards::{multiply, signed_digits};
use super::field::{LANES, load, words};
use super::ladder::ladder;
use super::quotients::{BATCH, finish, none, push};
use super::table::Table;

/// Scalars of the points: one for all, or each its own.
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
            // All results of a part share one inversion, which would cost a tenth of a ladder each.
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
                let digits = lanes_of(secrets, jobs, &mut tables);
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

/// The digits of up to [`LANES`] jobs' scalars, one a lane, and in `tables` each table with its lanes.
fn lanes_of<'a>(
    secrets: &[[u8; 32]],
    jobs: &[(usize, &'a Table)],
    tables: &mut Vec<(u8, &'a Table)>,
) -> Zeroizing<[[u8; 32]; LANES]> {
    let mut digits = Zeroizing::new([[0; 32]; LANES]);
    tables.clear();
    for (lane, (job, table)) in jobs.iter().enumerate() {
        digits[lane] = signed_digits(&secrets[*job]);
        // Neighbours with the same table are one permutation for several lanes.
        match tables.last_mut() {
            Some((lanes, last)) if core::ptr::eq(*last, *table) => *lanes |= 1 << lane,
            _ => tables.push((1 << lane, table)),
        }
    }
    // The lanes without a job go along with the last that has one.
    if let Some((lanes, _)) = tables.last_mut() {
        *lanes |= !0 << (jobs.len() - 1) << 1;
    }
    digits
}

/// The first values, one a lane; zeros fill the lanes that have none.
fn padded(values: &[[u8; 32]]) -> Zeroizing<[[u8; 32]; LANES]> {
    let mut lanes = Zeroizing::new([[0; 32]; LANES]);
    for (lane, value) in lanes.iter_mut().zip(values) {
        *lane = *value;
    }
    lanes
}
