//! The protocol's reference table beside computed values, with the time each took.
#![allow(clippy::disallowed_methods, reason = "an example measures time")]

use std::time::Instant;

use antiphon_dp_noise::{Budget, OperatorShare, check, solve};

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let rows = [
        (5, 1, 245, 4.0_f64.ln(), 1e-4, 304),
        (5, 1, 1000, 2.0_f64.ln(), 1e-6, 1616),
        (10, 2, 1000, 2.0_f64.ln(), 1e-6, 1144),
        (100, 20, 245, 4.0_f64.ln(), 1e-4, 68),
        (100, 20, 1000, 2.0_f64.ln(), 1e-6, 364),
        (2, 1, 1000, 2.0_f64.ln(), 1e-6, 0),
    ];
    println!("  N  f     K   V(ref)  V   sigma  epsilon  delta      two-step   solve    check");
    for (operators, malicious, rounds, epsilon, delta, reference) in rows {
        let budget = Budget::new(epsilon, delta, rounds)?;
        let shares = vec![OperatorShare { weight: 1, shards: 1 }; operators];
        let start = Instant::now();
        let noise = solve(&budget, &shares, malicious)?;
        let solved = start.elapsed();
        let start = Instant::now();
        let achieved = check(&noise, &shares, malicious, &budget)?;
        let checked = start.elapsed();
        let each = noise.per_operator[0];
        println!(
            "{operators:3} {malicious:2} {rounds:5}  {reference:6} {:5} {:7} {:.5} {:.4e} {:.5} {solved:9.1?} {checked:8.1?}",
            each.volume(),
            each.sigma(),
            achieved.epsilon,
            achieved.delta,
            achieved.epsilon_of_patterns,
        );
    }
    Ok(())
}
