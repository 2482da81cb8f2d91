//! Search for the largest load that fits into a time or a machine.

use super::{MachineFigures, Scenario, ScenarioError, predict};

/// No search goes beyond so many users.
const MOST_USERS: u64 = 100_000_000_000;
/// The answer is this near to the largest load, as a share of it.
const PRECISION: f64 = 1e-3;

/// Reason for which there is no largest load.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum SearchError {
    /// The network or its machines make no sense.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// A single user takes too long.
    #[error("a round takes {least_s:.2} s with a single user: {target_s} s cannot be reached")]
    Unreachable {
        /// Seconds that were asked for.
        target_s: f64,
        /// The least that there is.
        least_s: f64,
    },
}

/// The most users of `scenario`, to within a thousandth, whose round takes at most `target_s`
/// seconds. Its own number of users is of no meaning.
///
/// # Errors
/// If the scenario makes no sense, or one user is too many.
pub fn largest_users(
    scenario: &Scenario,
    figures: &MachineFigures,
    target_s: f64,
) -> Result<u64, SearchError> {
    let takes = |users| {
        predict(&Scenario { users, ..*scenario }, figures).map(|round| round.latency_ms * 1e-3)
    };
    let least_s = takes(1)?;
    if least_s > target_s {
        return Err(SearchError::Unreachable { target_s, least_s });
    }
    largest(|users| Ok(takes(users)? <= target_s))
}

/// The most users of `scenario`, to within a thousandth, that its machines can serve at its interval:
/// the cores have at most the share `most_load` of the time between two rounds to do in one, and the
/// links no more than they carry. Rounds overlap where one takes longer. 0 if the noise alone is too
/// much.
///
/// # Errors
/// If the scenario makes no sense.
pub fn users_of_machine(
    scenario: &Scenario,
    figures: &MachineFigures,
    most_load: f64,
) -> Result<u64, SearchError> {
    largest(|users| {
        let round = predict(&Scenario { users, ..*scenario }, figures)?;
        Ok(round.load <= most_load && round.bandwidth_per_shard_gbps <= scenario.link_gbps)
    })
}

/// The largest number that `bears` still allows, if it allows all smaller ones; 0 if none.
fn largest(mut bears: impl FnMut(u64) -> Result<bool, ScenarioError>) -> Result<u64, SearchError> {
    let (mut low, mut high) = (0, 1);
    while high < MOST_USERS && bears(high)? {
        low = high;
        high *= 2;
    }
    while high - low > 1 && (high - low) as f64 > PRECISION * low as f64 {
        let middle = low.midpoint(high);
        if bears(middle)? {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok(low)
}
