//! The figures of an account.

use antiphon_dp_noise::{Account, Mechanism, PairDistribution, Step};
use serde::Serialize;

use super::noise::{Kind, NoiseArguments};
use super::{AccountArguments, AccountCommandError, Question};

/// An epsilon that no finite loss reaches: the delta there is what shows outright.
const BEYOND_ALL: f64 = 1e12;

/// All that is handed over. Fields that do not apply are left out.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    /// Name of the computed figure: epsilon, delta, rounds or volume.
    pub(super) computed: &'static str,
    pub(super) mechanism: Kind,
    pub(super) honest: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sigma: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) volume: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mean: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mean_pairs: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scale: Option<f64>,
    /// Noise deposits of the honest shards in a round, exactly or on average.
    pub(super) honest_noise: f64,
    /// `true` if a shard's cut lies at four sigma or beyond, as documents must have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cut_beyond_four_sigma: Option<bool>,
    /// K: as given, or the most that keep the budget.
    pub(super) disturbed: u32,
    pub(super) epsilon: f64,
    pub(super) delta: f64,
    /// One pattern of conversations against another; nothing if there is no such epsilon.
    pub(super) epsilon_two_step: Option<f64>,
    /// The delta at `epsilon` between patterns.
    pub(super) delta_two_step: f64,
    /// The rounds, when they were asked for; the same as `disturbed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rounds: Option<u32>,
    /// The rounds that keep the budget between patterns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rounds_two_step: Option<u32>,
    pub(super) lost_noise: u32,
    pub(super) left_out_attempts: u32,
    /// Pairs of onions in a conversation.
    pub(super) pairs: u8,
    pub(super) attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) false_positive: Option<f64>,
    /// The epsilon of the noise alone, where there are attempts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) epsilon_of_noise: Option<f64>,
    /// Part of epsilon that would go without any false positives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) epsilon_of_false_positives: Option<f64>,
    /// Vuvuzela's theorem for one honest shard and one round, in place of an exact computation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) vuvuzela_epsilon: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) vuvuzela_delta: Option<f64>,
}

impl Answer {
    pub(super) fn of(
        question: Question,
        account: &Account,
        arguments: &AccountArguments,
    ) -> Result<Self, AccountCommandError> {
        let (computed, disturbed, epsilon, delta) = figures(question, account)?;
        let asked_for_rounds = computed == "rounds";
        let noise = &arguments.noise;
        let tried = Tried::of(account, arguments, (disturbed, epsilon, delta));
        let shard = first_shard(account);
        let formula = formula(account);
        Ok(Self {
            computed,
            mechanism: noise.mechanism,
            honest: account.mechanism().shards(),
            sigma: noise.sigma.or(shard.map(|shard| shard.sigma().pairs())),
            volume: shard.map(|shard| shard.volume()),
            mean: noise.mean,
            mean_pairs: mean_pairs(noise),
            scale: noise.scale,
            honest_noise: account.mechanism().volume(),
            cut_beyond_four_sigma: cut_beyond_four_sigma(account),
            disturbed,
            epsilon,
            delta,
            epsilon_two_step: finite(account.epsilon(delta, disturbed, Step::Two)),
            delta_two_step: account.delta(epsilon, disturbed, Step::Two),
            rounds: asked_for_rounds.then_some(disturbed),
            rounds_two_step: asked_for_rounds.then(|| rounds(account, epsilon, delta, Step::Two)),
            lost_noise: arguments.lost_noise,
            left_out_attempts: arguments.left_out_attempts,
            pairs: arguments.pairs,
            attempts: arguments.attempts,
            false_positive: (arguments.attempts > 0).then(|| arguments.false_positive()),
            epsilon_of_noise: tried.without_attempts,
            epsilon_of_false_positives: tried.of_false_positives,
            vuvuzela_epsilon: formula.map(|(epsilon, _)| epsilon),
            vuvuzela_delta: formula.map(|(_, delta)| delta),
        })
    }
}

/// The name of the computed figure, and disturbed rounds, epsilon and delta.
fn figures(
    question: Question,
    account: &Account,
) -> Result<(&'static str, u32, f64, f64), AccountCommandError> {
    Ok(match question {
        Question::Epsilon { disturbed, delta } => {
            let epsilon = account.epsilon(delta, disturbed, Step::One);
            // No epsilon does when events that only one of the worlds has are likelier than delta.
            if epsilon.is_infinite() {
                return Err(no_epsilon(account, delta, disturbed));
            }
            ("epsilon", disturbed, epsilon, delta)
        }
        Question::Delta { disturbed, epsilon } => {
            ("delta", disturbed, epsilon, account.delta(epsilon, disturbed, Step::One))
        }
        Question::Volume { disturbed, delta, .. } => {
            ("volume", disturbed, account.epsilon(delta, disturbed, Step::One), delta)
        }
        Question::Rounds { epsilon, delta } => {
            let rounds = rounds(account, epsilon, delta, Step::One);
            if rounds == 0 {
                return Err(no_round(account, epsilon, delta));
            }
            ("rounds", rounds, epsilon, delta)
        }
    })
}

/// Parts of epsilon that attempts and their false positives make, at the same delta; none without attempts.
struct Tried {
    without_attempts: Option<f64>,
    of_false_positives: Option<f64>,
}

impl Tried {
    fn of(
        account: &Account,
        arguments: &AccountArguments,
        (disturbed, epsilon, delta): (u32, f64, f64),
    ) -> Self {
        let tried = arguments.attempts > 0;
        // Computed again, because some questions give epsilon, and parts are only comparable at one delta.
        let reached = if tried { account.epsilon(delta, disturbed, Step::One) } else { epsilon };
        let without = |account: Result<Account, _>| {
            let asked = tried && reached.is_finite();
            account.ok().filter(|_| asked).map(|it| it.epsilon(delta, disturbed, Step::One))
        };
        let exact = without(account.clone().with_attempts(arguments.attempts, 0.0));
        Self {
            without_attempts: without(account.clone().with_attempts(0, 0.0)),
            of_false_positives: exact.map(|exact| (reached - exact).max(0.0)),
        }
    }
}

/// Epsilon and delta of Vuvuzela's theorem, which is about a single shard.
fn formula(account: &Account) -> Option<(f64, f64)> {
    match account.mechanism() {
        Mechanism::Laplace { shards: 1, each } => Some(each.vuvuzela_bound()),
        _ => None,
    }
}

fn first_shard(account: &Account) -> Option<&PairDistribution> {
    match account.mechanism() {
        Mechanism::ConstantVolume(shards) => shards.first(),
        Mechanism::Poisson { .. } | Mechanism::Laplace { .. } => None,
    }
}

fn finite(epsilon: f64) -> Option<f64> {
    Some(epsilon).filter(|epsilon| epsilon.is_finite())
}

fn cut_beyond_four_sigma(account: &Account) -> Option<bool> {
    match account.mechanism() {
        Mechanism::ConstantVolume(shards) => {
            Some(shards.iter().all(|shard| shard.cut_beyond_four_sigma()))
        }
        Mechanism::Poisson { .. } | Mechanism::Laplace { .. } => None,
    }
}

fn mean_pairs(noise: &NoiseArguments) -> Option<f64> {
    match noise.mechanism {
        Kind::Gaussian => None,
        Kind::Poisson => noise.mean_pairs.or(noise.mean.map(|mean| mean / 2.0)),
        Kind::Laplace => noise.mean.map(|mean| mean / 2.0),
    }
}

/// The command line lets only budgets through, so that there is a number.
fn rounds(account: &Account, epsilon: f64, delta: f64, step: Step) -> u32 {
    account.rounds(epsilon, delta, step).unwrap_or(0)
}

fn no_epsilon(account: &Account, delta: f64, disturbed: u32) -> AccountCommandError {
    // As many ways out as there are: a delta of a half or more is no guarantee worth naming.
    let least = account.delta(BEYOND_ALL, disturbed, Step::One);
    let mut ways = Vec::new();
    if least < 0.5 {
        ways.push(format!("a delta above {least:.2e}"));
    }
    // An epsilon of 100 stands for any at all, which leaves delta alone to bound the rounds.
    let fewer = rounds(account, 100.0, delta, Step::One);
    if fewer > 0 {
        ways.push(format!("at most {fewer} disturbed rounds"));
    }
    ways.push("more volume or more shards".to_owned());
    let instead = format!("Possible instead: {}", ways.join("; "));
    AccountCommandError::NoEpsilon { delta, disturbed, least, instead }
}

fn no_round(account: &Account, epsilon: f64, delta: f64) -> AccountCommandError {
    let one = account.epsilon(delta, 1, Step::One);
    let instead = if one.is_finite() {
        format!("one takes {one:.5}. Ask for at least that, or add noise")
    } else {
        let least = account.delta(BEYOND_ALL, 1, Step::One);
        format!("one shows outright with probability {least:.2e}. Allow more delta, or add volume")
    };
    AccountCommandError::NoRound { epsilon, delta, instead }
}
