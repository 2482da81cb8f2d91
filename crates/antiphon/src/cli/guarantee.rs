//! The guarantee that a network is to give, as several commands take it.

use antiphon_routing::Ppm;
use antiphon_wire::Policy;
use clap::Args;

use super::values;

/// f, epsilon, delta, K and p.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct GuaranteeArguments {
    /// The share of the operators' weight that may be malicious: from 0 to below 0.5
    #[arg(
        long,
        value_name = "FRACTION",
        default_value = "0.2",
        value_parser = values::malicious
    )]
    pub(crate) malicious: Ppm,
    /// How far an adversary's belief may move over all disturbed rounds: a number, or ln2, ln4, ...
    #[arg(long, value_name = "EPSILON", default_value = "ln2", value_parser = values::epsilon)]
    epsilon: f64,
    /// The probability with which epsilon may fail
    #[arg(
        long,
        value_name = "PROBABILITY",
        default_value = "1e-6",
        value_parser = values::delta
    )]
    delta: f64,
    /// K: the disturbed rounds of a conversation that epsilon and delta cover together
    #[arg(
        long,
        value_name = "K",
        default_value_t = 1000,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    disturbed: u32,
    /// What everything together may add to delta over a year: longer paths keep a smaller total, and 1 is no
    /// limit [default: no limit; in a network file 0.3]
    #[arg(long, value_name = "PROBABILITY", value_parser = values::total)]
    total_delta: Option<f64>,
    /// The most pairs of onions that a client may be asked for in a round: a conversation of as many is hidden
    #[arg(
        long,
        value_name = "P",
        default_value_t = 1,
        value_parser = clap::value_parser!(u8).range(1..=i64::from(Policy::MOST_PAIRS))
    )]
    pairs: u8,
}

impl GuaranteeArguments {
    /// The policy that asks for it, its other parts as in `policy`.
    pub(crate) fn policy(&self, mut policy: Policy) -> Policy {
        policy.malicious_ppm = self.malicious.parts();
        policy.epsilon = self.epsilon;
        policy.delta = self.delta;
        policy.disturbed_rounds = self.disturbed;
        policy.total_delta = self.total_delta.unwrap_or(policy.total_delta);
        policy.most_pairs = self.pairs;
        policy
    }
}
