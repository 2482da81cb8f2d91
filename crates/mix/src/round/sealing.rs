//! Between the last batch and the open seal: filters, verdicts, seal keys.

use std::collections::BTreeSet;

use antiphon_verify::{
    FilterError, FilterKey, FilterPrecision, SealBoard, SealFilter, SealKeeper, Standing,
    VerdictBoard, VerdictError, filter_digest,
};
use antiphon_wire::{
    Blob, Digest, FilterSalt, FilterStatement, Finding, IdentityKey, Reason, Round, SealStatement,
    ShardIndex, Signed, Verdict,
};

use bytes::Bytes;

use crate::epoch_context::EpochContext;
use crate::layer::routes::Batch;
use crate::noise::Checked;
use crate::work::{JudgeJob, Judged};

/// What one shard knows about a round's seal.
#[derive(Debug)]
pub(crate) struct Sealing {
    shards: usize,
    /// Of all shards, each with the hash of its statement; none when they have been handed out to be
    /// tested.
    filters: Vec<Option<(Digest, SealFilter)>>,
    verdicts: Option<VerdictBoard>,
    /// Verdicts that came before this shard had all filters; at most one from each.
    early: Vec<Signed<Verdict>>,
    pub(crate) seals: SealBoard,
    /// Until the key is released or withheld.
    pub(crate) keeper: Option<SealKeeper>,
    /// What this shard looks for in the filters.
    pub(crate) checked: Option<Checked>,
    /// What it sent to each shard for the seal layer.
    sent: Vec<Bytes>,
    /// Peers whose question for statements has been answered.
    answered: BTreeSet<ShardIndex>,
}

impl Sealing {
    pub(crate) fn new(keeper: SealKeeper, seals: SealBoard, shards: usize) -> Self {
        Self {
            shards,
            filters: (0..shards).map(|_| None).collect(),
            verdicts: None,
            early: Vec::new(),
            seals,
            keeper: Some(keeper),
            checked: None,
            sent: vec![Bytes::new(); shards],
            answered: BTreeSet::new(),
        }
    }

    /// Takes in this shard's own filter, over its sealed onions.
    pub(crate) fn take_own_filter(
        &mut self,
        context: &EpochContext,
        round: Round,
        salt: FilterSalt,
        filter: SealFilter,
    ) -> FilterStatement {
        let statement = FilterStatement {
            epoch: context.epoch.epoch(),
            round,
            shard: context.me,
            salt,
            onions: filter.onions(),
            bits: Blob(filter.as_bytes().to_vec()),
        };
        if let Some(place) = self.filters.get_mut(context.me.position()) {
            *place = Some((filter_digest(&statement), filter));
        }
        statement
    }

    /// Keeps what is sent for the seal layer, to look for it in the filters.
    pub(crate) fn sent(&mut self, batches: &[Batch]) {
        for batch in batches {
            if let Some(sent) = self.sent.get_mut(batch.to.position()) {
                *sent = batch.bytes.clone();
            }
        }
    }

    /// Keeps nothing of a round that is given up.
    pub(crate) fn forget(&mut self) {
        self.sent = Vec::new();
        self.checked = None;
    }

    /// Takes in another shard's filter. `Err` is the reason to withhold.
    pub(crate) fn take_filter(
        &mut self,
        context: &EpochContext,
        statement: &FilterStatement,
        most_onions: u32,
    ) -> Result<(), Reason> {
        let shard = statement.shard;
        let place = match self.filters.get_mut(shard.position()) {
            Some(place) if place.is_none() => place,
            _ => return Ok(()),
        };
        let bad = Reason::BadFilter { shard };
        let key = filter_key(context, statement.round, shard, statement.salt).ok_or(bad)?;
        let filter = SealFilter::parse(&key, statement.onions, most_onions, &statement.bits.0)
            .map_err(|error| match error {
                FilterError::Size { .. } => bad,
                FilterError::TooManyOnions { .. } | FilterError::TooFull { .. } => {
                    Reason::FullFilter { shard }
                }
            })?;
        *place = Some((filter_digest(statement), filter));
        Ok(())
    }

    pub(crate) fn first_missing_filter(&self) -> Option<ShardIndex> {
        let position = self.filters.iter().position(Option::is_none)?;
        Some(ShardIndex(position as u16))
    }

    pub(crate) fn has_filter_of(&self, shard: ShardIndex) -> bool {
        self.filters.get(shard.position()).is_none_or(Option::is_some)
    }

    /// Bytes of all filters received.
    pub(crate) fn filter_bytes(&self) -> usize {
        self.filters.iter().flatten().map(|(_, filter)| filter.as_bytes().len()).sum()
    }

    /// The work of testing the filters. `None` until all of them are in.
    pub(crate) fn judge(&mut self, onion_bytes: usize) -> Option<JudgeJob> {
        if self.first_missing_filter().is_some() {
            return None;
        }
        let filters = std::mem::take(&mut self.filters).into_iter().flatten().collect();
        Some(JudgeJob {
            filters,
            checked: self.checked.take().unwrap_or_else(Checked::none),
            sent: std::mem::take(&mut self.sent),
            onion_bytes,
        })
    }

    /// What the filters come to, for this shard.
    pub(crate) fn judged(&mut self, context: &EpochContext, judged: &Judged) -> Finding {
        let filters = judged.filters;
        let (epoch, shards) = (context.epoch.epoch(), context.shards());
        if let Some(keeper) = &self.keeper {
            self.verdicts = Some(VerdictBoard::new(epoch, keeper.round, filters, shards));
        }
        match judged.missing {
            Some((at, missing)) => Finding::Complaint { at, missing },
            None => Finding::Satisfied { filters },
        }
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
                if new && self.early.len() < self.shards {
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

/// The key of a shard's filter.
pub(crate) fn filter_key(
    context: &EpochContext,
    round: Round,
    owner: ShardIndex,
    salt: FilterSalt,
) -> Option<FilterKey> {
    let precision = FilterPrecision::new(context.epoch.parameters().filter_bits)?;
    Some(FilterKey::new(context.epoch.epoch(), round, owner, salt, precision))
}
