//! Noise, bytes and false calls of the two mailbox services, for numbers of operators and boxes.
//!
//! The count of a box is hidden as the count of pairs is: every operator draws from a discrete Gaussian around a
//! quarter of its volume, and what the box does not get of half the volume goes to the null box. So the solver and
//! the accountant of the dead drops hold as they are, with one call for one disturbed round.

use antiphon_contacts::{CallBox, INVITATION_BYTES, Intent, Token};
use antiphon_dp_noise::{Budget, OperatorShare, check, solve};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

const USERS: f64 = 1e6;
const DAY_S: f64 = 86_400.0;

/// One box of a service.
struct Service {
    name: &'static str,
    calls: u32,
    interval_s: f64,
    operators: usize,
    real: usize,
    boxes: usize,
}

fn main() -> Result<(), Box<dyn core::error::Error>> {
    println!(
        "service      K  N  V an operator  sigma  epsilon  mean noise  onions a user's  items  bytes  a day"
    );
    let service = |name, calls, interval_s, operators, real, boxes| Service {
        name,
        calls,
        interval_s,
        operators,
        real,
        boxes,
    };
    for service in [
        service("calls", 1000, 60.0, 5, 2000, 1),
        service("calls", 1000, 60.0, 5, 50_000, 16),
        service("calls", 1000, 60.0, 20, 2000, 1),
        service("calls", 1000, 120.0, 20, 2000, 1),
        service("calls", 26_000, 60.0, 5, 2000, 1),
        service("invitations", 200, 1800.0, 5, 500, 1),
        service("invitations", 200, 1800.0, 20, 500, 1),
    ] {
        row(&service)?;
    }
    let tokens = 4_020.0;
    let looked_for = 100.0 * Intent::ALL.len() as f64;
    let false_calls = looked_for * tokens / 2_f64.powi(40) * DAY_S / 60.0;
    println!(
        "100 contacts, one live root each, {tokens} tokens a box: {false_calls:.1e} false calls a day"
    );
    Ok(())
}

fn row(service: &Service) -> Result<(), Box<dyn core::error::Error>> {
    let epsilon = core::f64::consts::LN_2;
    // The margin of 5e-5 a round leaves nothing of ln 2 at 26,000 calls: as much more is allowed there.
    let margin = 5e-5 * f64::from(service.calls.saturating_sub(1000));
    let budget = Budget::new(epsilon + margin, 1e-6, service.calls)?;
    let shares = vec![OperatorShare { weight: 1, shards: 1 }; service.operators];
    let malicious = service.operators as u64 / 5;
    let noise = solve(&budget, &shares, malicious)?;
    let achieved = check(&noise, &shares, malicious, &budget)?;
    let each = noise.per_operator[0];
    // A quarter of the volume on average, and half of it at most.
    let mean = f64::from(each.volume()) / 4.0 * service.operators as f64;
    let submitted = 2.0 * mean * service.boxes as f64;
    let items = mean as usize + service.real / service.boxes;
    let bytes = if service.name == "calls" { coded(items) } else { items * INVITATION_BYTES + 5 };
    println!(
        "{:11} {:5} {:2} {:6} {:8} {:.5} {:7} {:9.4} {:6} {:8} {:.1} MB",
        service.name,
        service.calls,
        service.operators,
        each.volume(),
        each.sigma(),
        achieved.epsilon - margin,
        mean,
        submitted / USERS,
        items,
        bytes,
        bytes as f64 * DAY_S / service.interval_s / 1e6,
    );
    Ok(())
}

/// Bytes of a box with so many random tokens.
fn coded(tokens: usize) -> usize {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let tokens = (0..tokens).filter_map(|_| Token::new(rng.next_u64() >> 24)).collect();
    CallBox::new(tokens).map_or(0, |published| published.to_bytes().len())
}
