//! Between the last batch and the open seal: filters, verdicts, seal keys.

use std::collections::BTreeSet;

use antiphon_verify::{
    FilterKey, FilterPrecision, SealBoard, SealFilter, SealKeeper, Standing, VerdictBoard,
    VerdictError, filters_digest,
};
use antiphon_wire::{
    Blob, FilterStatement, Finding, IdentityKey, Reason, Round, SealStatement, ShardIndex, Signed,
    Verdict,
};

use crate::noise::Checked;
use crate::round::EpochContext;

/// What one shard knows about a round's seal.
#[derive(Debug)]
pub(crate) struct Sealing {
    filters: Vec<Option<(FilterStatement, SealFilter)>>,
    verdicts: Option<VerdictBoard>,
    /// Verdicts that came before this shard had all filters; at most one from each.
    early: Vec<Signed<Verdict>>,
    pub(crate) seals: SealBoard,
    /// Until the key is released or withheld.
    pub(crate) keeper: Option<SealKeeper>,
    /// What this shard looks for in the filters.
    pub(crate) checked: Option<Checked>,
    /// What it sent to each shard for the seal layer.
    pub(crate) sent: Vec<Vec<u8>>,
    /// Peers whose question for statements has been answered.
    answered: BTreeSet<ShardIndex>,
}

impl Sealing {
    pub(crate) fn new(keeper: SealKeeper, seals: SealBoard, shards: usize) -> Self {
        Self {
            filters: (0..shards).map(|_| None).collect(),
            verdicts: None,
            early: Vec::new(),
            seals,
            keeper: Some(keeper),
            checked: None,
            sent: Vec::new(),
            answered: BTreeSet::new(),
        }
    }

    /// This shard's own filter, over its sealed onions.
    pub(crate) fn own_filter(
        &mut self,
        context: &EpochContext,
        round: Round,
        sealed: &[u8],
        onion_bytes: usize,
    ) -> Option<FilterStatement> {
        let key = filter_key(context, round, context.me)?;
        let filter = SealFilter::build(key, sealed, onion_bytes).ok()?;
        let statement = FilterStatement {
            epoch: context.epoch.epoch(),
            round,
            shard: context.me,
            onions: filter.onions(),
            bits: Blob(filter.as_bytes().to_vec()),
        };
        self.filters[context.me.position()] = Some((statement.clone(), filter));
        Some(statement)
    }

    /// Takes in another shard's filter. `Err` is the reason to withhold.
    pub(crate) fn take_filter(
        &mut self,
        context: &EpochContext,
        statement: &FilterStatement,
        most_onions: u32,
    ) -> Result<(), Reason> {
        let shard = statement.shard;
        let place = &mut self.filters[shard.position()];
        if place.is_some() {
            return Ok(());
        }
        let bad = Reason::BadFilter { shard };
        let key = filter_key(context, statement.round, shard).ok_or(bad)?;
        let filter = SealFilter::parse(key, statement.onions, most_onions, &statement.bits.0)
            .map_err(|_| bad)?;
        *place = Some((statement.clone(), filter));
        Ok(())
    }

    pub(crate) fn first_missing_filter(&self) -> Option<ShardIndex> {
        let position = self.filters.iter().position(Option::is_none)?;
        Some(ShardIndex(position as u16))
    }

    pub(crate) fn has_filter_of(&self, shard: ShardIndex) -> bool {
        self.filters[shard.position()].is_some()
    }

    /// Bytes of all filters received.
    pub(crate) fn filter_bytes(&self) -> usize {
        self.filters.iter().flatten().map(|(statement, _)| statement.bits.0.len()).sum()
    }

    /// Tests this shard's checked noise, and everything it sent to the seal layer, in exactly the
    /// filters where each must be. Call it once all filters are in.
    pub(crate) fn judge(&mut self, context: &EpochContext, onion_bytes: usize) -> Finding {
        let checked = self.checked.take().unwrap_or_else(Checked::none);
        let mut finding = None;
        for (position, (statement, filter)) in self.filters.iter().flatten().enumerate() {
            let at = ShardIndex(position as u16);
            let own = checked
                .at
                .iter()
                .zip(checked.sealed.chunks_exact(onion_bytes))
                .filter(|(seal, _)| **seal == at)
                .map(|(_, onion)| onion);
            let sent = self.sent.get(position).map(Vec::as_slice).unwrap_or_default();
            let missing = own
                .chain(sent.chunks_exact(onion_bytes))
                .filter(|onion| !filter.contains(onion))
                .count();
            // Whoever declares fewer onions than it was sent has a filter of smaller size, in which
            // a false positive is likelier.
            let missing = missing.max(undeclared(sent, onion_bytes, statement.onions as usize));
            if missing > 0 && finding.is_none() {
                finding = Some(Finding::Complaint { at, missing: missing as u32 });
            }
        }
        let filters = filters_digest(self.filters.iter().flatten().map(|(statement, _)| statement));
        self.sent = Vec::new();
        let (epoch, shards) = (context.epoch.epoch(), self.filters.len());
        if let Some(keeper) = &self.keeper {
            self.verdicts = Some(VerdictBoard::new(epoch, keeper.round, filters, shards));
        }
        finding.unwrap_or(Finding::Satisfied { filters })
    }

    /// Takes in a verdict, and says what it comes to. Verdicts that come before this shard has
    /// judged wait, one for each shard.
    pub(crate) fn take_verdict(
        &mut self,
        verdict: &Signed<Verdict>,
        identities: &[IdentityKey],
    ) -> Result<Standing, VerdictError> {
        match &mut self.verdicts {
            Some(board) => board.record(verdict, identities),
            None => {
                let shard = verdict.claimed().shard;
                let new = self.early.iter().all(|early| early.claimed().shard != shard);
                if new && self.early.len() < self.filters.len() {
                    self.early.push(verdict.clone());
                }
                Ok(Standing::Waiting)
            }
        }
    }

    /// The verdicts that were waiting.
    pub(crate) fn early_verdicts(&mut self) -> Vec<Signed<Verdict>> {
        std::mem::take(&mut self.early)
    }

    pub(crate) fn first_missing_verdict(&self) -> Option<ShardIndex> {
        self.verdicts.as_ref().and_then(VerdictBoard::first_missing)
    }

    /// The statements to answer `peer`'s question with; once.
    pub(crate) fn answer(&mut self, peer: ShardIndex) -> Option<Vec<Signed<SealStatement>>> {
        self.answered.insert(peer).then(|| self.seals.statements().to_vec())
    }
}

/// By how many a filter over `declared` onions falls short of the distinct onions in `sent`.
fn undeclared(sent: &[u8], onion_bytes: usize, declared: usize) -> usize {
    if sent.len() / onion_bytes <= declared {
        return 0;
    }
    let distinct: BTreeSet<&[u8]> = sent.chunks_exact(onion_bytes).collect();
    distinct.len().saturating_sub(declared)
}

fn filter_key(context: &EpochContext, round: Round, owner: ShardIndex) -> Option<FilterKey> {
    let precision = FilterPrecision::new(context.epoch.parameters().filter_bits)?;
    Some(FilterKey::new(context.epoch.epoch(), round, owner, precision))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_must_declare_what_was_sent_but_no_copy_twice() {
        let sent = b"aabbaacc";
        assert_eq!(undeclared(sent, 2, 4), 0);
        assert_eq!(undeclared(sent, 2, 3), 0, "three of the four differ");
        assert_eq!(undeclared(sent, 2, 1), 2);
        assert_eq!(undeclared(&[], 2, 0), 0);
    }
}
