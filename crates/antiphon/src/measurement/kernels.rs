//! Speed of each kernel of the processor at peeling.

use antiphon_model::KernelSpeed;
use antiphon_onion::{Kernel, Peeled, dh, peel_batch};
use antiphon_process::entropy::entropy;
use antiphon_wire::Layer;
use rand::Rng as _;

use super::MeasurementError;
use super::fixture::{Fixture, ONIONS};
use super::onions::micros;
use super::stopwatch::Stopwatch;

/// Every kernel, measured if this machine has it. The one that is selected stays so.
pub(super) fn measure(
    stopwatch: &Stopwatch,
    fixture: &Fixture,
) -> Result<Vec<KernelSpeed>, MeasurementError> {
    let usual = Kernel::selected();
    let measured =
        Kernel::ALL.iter().map(|&kernel| measure_one(stopwatch, fixture, kernel)).collect();
    usual.select()?;
    measured
}

fn measure_one(
    stopwatch: &Stopwatch,
    fixture: &Fixture,
    kernel: Kernel,
) -> Result<KernelSpeed, MeasurementError> {
    let mut speed = KernelSpeed {
        name: kernel.name().to_owned(),
        available: kernel.is_available(),
        dh_us: None,
        peel_us: None,
    };
    if speed.available {
        kernel.select()?;
        // Checked before it is timed: the speed of a kernel that computes wrongly is worth nothing.
        check(fixture, kernel.name())?;
        speed.dh_us = Some(dh_us(stopwatch, kernel));
        speed.peel_us = Some(peel_us(stopwatch, fixture));
    }
    Ok(speed)
}

/// That the kernel does what it is measured for.
fn check(fixture: &Fixture, kernel: &'static str) -> Result<(), MeasurementError> {
    let mut peeled = Peeled::with_capacity(ONIONS);
    let mut onions = fixture.onions.clone();
    peel_batch(&fixture.peel, fixture.context, Layer::FIRST, &mut onions, &mut peeled)?;
    match peeled.opened_count() {
        ONIONS => Ok(()),
        opened => Err(MeasurementError::Wrong { kernel, opened, onions: ONIONS }),
    }
}

/// Microseconds of one Diffie-Hellman of a batch: one secret, many public keys.
fn dh_us(stopwatch: &Stopwatch, kernel: Kernel) -> f64 {
    let rng = &mut entropy();
    let mut secrets = vec![[0; 32]; ONIONS];
    secrets.iter_mut().for_each(|secret| rng.fill_bytes(secret));
    let mut publics = vec![[0; 32]; ONIONS];
    dh::public_keys(kernel, &secrets, &mut publics);
    let mut shared = vec![[0; 32]; ONIONS];
    let seconds = stopwatch.seconds(|| dh::one_secret(kernel, &secrets[0], &publics, &mut shared));
    micros(seconds, ONIONS)
}

/// Microseconds to peel one onion of a batch, with the kernel that is selected.
pub(super) fn peel_us(stopwatch: &Stopwatch, fixture: &Fixture) -> f64 {
    let mut peeled = Peeled::with_capacity(ONIONS);
    let seconds = stopwatch.prepared(
        || fixture.onions.clone(),
        |mut onions| {
            let (key, context) = (&fixture.peel, fixture.context);
            // The very onions that opened in the check.
            let _ = peel_batch(key, context, Layer::FIRST, &mut onions, &mut peeled);
            onions
        },
    );
    micros(seconds, ONIONS)
}
