//! Links that were lost at about the same time. If they are those of so many operators that no
//! quorum is left, the coordinator itself was away: nobody is to blame.

use std::collections::BTreeSet;
use std::sync::Arc;

use antiphon_wire::{Epoch, IdentityKey, NetworkFile, OperatorIndex, SignedDocument, Timestamp};

use super::suspensions::Record;

/// Links that go down within this many milliseconds went down together: as long as it takes to
/// notice that one is dead, and a moment.
const TOGETHER_MS: u64 = 5000;

/// A link that was lost, and what was on record about its shard before.
#[derive(Debug)]
pub(crate) struct Loss {
    at: Timestamp,
    pub(crate) shard: IdentityKey,
    operator: OperatorIndex,
    pub(crate) record: Option<Record>,
    /// The epoch that ran, and the document that was to follow.
    pub(crate) before: (Option<Epoch>, Option<Arc<SignedDocument>>),
}

impl Loss {
    pub(crate) fn new(
        at: Timestamp,
        (shard, operator): (IdentityKey, OperatorIndex),
        record: Option<Record>,
        before: (Option<Epoch>, Option<Arc<SignedDocument>>),
    ) -> Self {
        Self { at, shard, operator, record, before }
    }
}

/// The links lost lately, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    lately: Vec<Loss>,
    /// When there were last so many that no quorum was left.
    many_at: Option<Timestamp>,
}

impl Losses {
    /// Notes a loss. Returns all that came together if they leave no quorum.
    pub(crate) fn note(&mut self, loss: Loss, network: &NetworkFile) -> Option<Vec<Loss>> {
        let now = loss.at;
        self.lately.retain(|earlier| now.ms_since(earlier.at) <= TOGETHER_MS);
        self.lately.push(loss);
        let operators = self.lately.iter().map(|loss| loss.operator);
        leave_no_quorum(network, operators).then(|| {
            self.many_at = Some(now);
            std::mem::take(&mut self.lately)
        })
    }

    /// Returns `true` if a link that is lost now goes with many before it.
    pub(crate) fn are_many(&self, now: Timestamp) -> bool {
        self.many_at.is_some_and(|at| now.ms_since(at) <= TOGETHER_MS)
    }
}

/// Returns `true` if these operators hold more than (1-f)/2 of the weight: what an epoch can do without.
pub(crate) fn leave_no_quorum(
    network: &NetworkFile,
    operators: impl IntoIterator<Item = OperatorIndex>,
) -> bool {
    let operators: BTreeSet<_> = operators.into_iter().collect();
    let weight_of = |operator: &OperatorIndex| {
        network.operator(*operator).map_or(0, |known| u128::from(known.weight))
    };
    let lost: u128 = operators.iter().map(weight_of).sum();
    let honest = 1_000_000 - u128::from(network.policy.malicious_ppm.min(1_000_000));
    2_000_000 * lost > honest * u128::from(network.total_weight())
}
