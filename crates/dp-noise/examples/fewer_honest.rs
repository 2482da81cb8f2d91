//! What is left of a guarantee when fewer shards are honest than was assumed: with the four-sigma
//! rule, and with the cut wherever the volume is least.

use antiphon_dp_noise::{Account, Budget, Cut, Mechanism, OperatorShare, Step, solve_beyond};

/// Beyond every finite loss: the delta there is what the cut shows outright.
const NO_EPSILON: f64 = 1e9;

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let rules = [("four", 16), ("two and a half", 10), ("two", 8), ("any", 0)];
    for (name, epsilon, delta, rounds) in
        [("ln 2, 1e-6", 2.0_f64.ln(), 1e-6, 1000), ("ln 4, 1e-4", 4.0_f64.ln(), 1e-4, 245)]
    {
        let budget = Budget::new(epsilon, delta, rounds)?;
        println!(
            "| guarantee | nearest cut, sigmas | V | sigma | honest | epsilon of a round | of all | shows outright |"
        );
        let shares = [OperatorShare { weight: 1, shards: 1 }; 100];
        for (rule, quarters) in rules {
            let nearest = Cut::from_quarters(quarters).ok_or("no such cut")?;
            let each = solve_beyond(&budget, &shares, 20, nearest)?.per_operator[0];
            for honest in [80, 40, 20, 10, 5, 2, 1] {
                let account = Account::new(Mechanism::ConstantVolume(vec![each; honest]))?;
                let at = |rounds| account.epsilon(delta, rounds, Step::One);
                println!(
                    "| {name}, K = {rounds} | {rule} | {} | {} | {honest} | {:.3} | {:.3} | {:.1e} |",
                    each.volume(),
                    each.sigma(),
                    at(1),
                    at(rounds),
                    account.delta(NO_EPSILON, rounds, Step::One),
                );
            }
        }
    }
    Ok(())
}
