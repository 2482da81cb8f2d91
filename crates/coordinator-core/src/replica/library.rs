//! The documents in force, which shards hold: a coordinator that stands by hands them to clients, and goes on
//! with them when it leads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use antiphon_wire::{
    Digest, Epoch, HeldEpoch, IdentityKey, NetworkFile, Round, SignedDocument, Timestamp,
};

use super::electorate::Electorate;
use crate::planner;

/// Documents that are kept.
const MOST: usize = 3;
/// Documents of a shard that are asked for, the newest.
const OF_A_SHARD: usize = 2;
/// Time in which a shard has to send a document, in milliseconds.
const ANSWER_MS: u64 = 2000;

#[derive(Debug, Default)]
pub(super) struct Library {
    documents: BTreeMap<Epoch, Arc<SignedDocument>>,
    request: Option<Request>,
    /// Shards that did not show what they said they hold. They are asked again over another link.
    unhelpful: BTreeSet<IdentityKey>,
}

/// A document that a shard was asked for.
#[derive(Clone, Copy, Debug)]
struct Request {
    shard: IdentityKey,
    held: HeldEpoch,
    until: Timestamp,
}

impl Library {
    pub(super) fn add(&mut self, signed: Arc<SignedDocument>) {
        self.documents.insert(signed.document.epoch, signed);
        while self.documents.len() > MOST {
            self.documents.pop_first();
        }
    }

    pub(super) fn gone(&mut self, shard: &IdentityKey) {
        self.request = self.request.filter(|request| request.shard != *shard);
        self.unhelpful.remove(shard);
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.request.map(|request| request.until)
    }

    /// Takes a document that a shard was asked for. What it is, its signatures say and not the shard.
    pub(super) fn take(
        &mut self,
        shard: &IdentityKey,
        document: SignedDocument,
        network: &NetworkFile,
    ) -> Option<Arc<SignedDocument>> {
        let Request { held, .. } = self.request.take_if(|request| request.shard == *shard)?;
        let is_asked_for = document.document.epoch == held.epoch
            && document.document.digest() == held.document
            && planner::verify(&document, network).is_ok();
        if !is_asked_for {
            self.unhelpful.insert(*shard);
            return None;
        }
        let document = Arc::new(document);
        self.add(Arc::clone(&document));
        Some(document)
    }

    /// The next shard to ask, and the epoch of which it holds a document that is lacking.
    pub(super) fn next(
        &mut self,
        now: Timestamp,
        electorate: &Electorate,
    ) -> Option<(IdentityKey, Epoch)> {
        if let Some(late) = self.request.take_if(|request| now >= request.until) {
            self.unhelpful.insert(late.shard);
        }
        if self.request.is_some() {
            return None;
        }
        let (shard, held) = self.lacking(electorate)?;
        self.request = Some(Request { shard, held, until: now.plus_ms(ANSWER_MS) });
        Some((shard, held.epoch))
    }

    /// Returns `true` if no shard is said to hold a document that would have to be asked for.
    pub(super) fn is_complete(&self, electorate: &Electorate) -> bool {
        self.lacking(electorate).is_none()
    }

    fn lacking(&self, electorate: &Electorate) -> Option<(IdentityKey, HeldEpoch)> {
        let helpful = electorate.words().filter(|(shard, _)| !self.unhelpful.contains(shard));
        let held = helpful
            .flat_map(|(shard, word)| newest(&word.standing.held).map(move |held| (*shard, held)));
        held.filter(|(_, held)| self.wants(held)).max_by_key(|(_, held)| held.epoch)
    }

    fn wants(&self, held: &HeldEpoch) -> bool {
        let oldest = self.documents.keys().next().filter(|_| self.documents.len() >= MOST);
        !self.documents.contains_key(&held.epoch)
            && oldest.is_none_or(|oldest| held.epoch > *oldest)
    }

    /// The document for `round`, and one that is to follow. Of several for the round, the newest that all its
    /// shards hold, of those that are here.
    pub(super) fn in_force(
        &self,
        round: Round,
        electorate: &Electorate,
    ) -> (Option<Arc<SignedDocument>>, Option<Arc<SignedDocument>>) {
        let newest = || self.documents.values().rev();
        let serves = |signed: &&Arc<SignedDocument>| {
            (signed.document.first_round..=signed.document.last_round).contains(&round)
        };
        let whole = newest().filter(serves).find(|signed| is_held(signed, electorate));
        let current = whole.or_else(|| newest().find(serves)).cloned();
        let after = current.as_ref().map_or(Epoch(0), |signed| signed.document.epoch);
        let next = newest()
            .find(|signed| signed.document.first_round > round && signed.document.epoch > after);
        (current, next.cloned())
    }

    /// The document by which `round` was opened before `epoch` began, if it is here.
    pub(super) fn before(&self, epoch: Epoch, round: Round) -> Option<&Arc<SignedDocument>> {
        let mut older = self.documents.range(..epoch).map(|(_, signed)| signed);
        older.rfind(|signed| {
            (signed.document.first_round..=signed.document.last_round).contains(&round)
        })
    }
}

/// The newest of the epochs that a shard says it holds.
fn newest(held: &[HeldEpoch]) -> impl Iterator<Item = HeldEpoch> {
    let by_epoch: BTreeMap<Epoch, Digest> =
        held.iter().map(|held| (held.epoch, held.document)).collect();
    by_epoch
        .into_iter()
        .rev()
        .take(OF_A_SHARD)
        .map(|(epoch, document)| HeldEpoch { epoch, document })
}

/// Returns `true` if all shards of the document that are here hold it.
fn is_held(signed: &SignedDocument, electorate: &Electorate) -> bool {
    let held = HeldEpoch { epoch: signed.document.epoch, document: signed.document.digest() };
    let mut here =
        signed.document.shards.iter().filter_map(|shard| electorate.word(&shard.identity));
    here.all(|word| word.standing.held.contains(&held))
}
