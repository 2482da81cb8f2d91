//! How a shard takes part in epochs: keys offered, documents checked and signed, secrets erased.

use std::sync::Arc;

use antiphon_routing::{CheckedProposal, DocumentError, ProposalError, VerifiedEpoch};
use antiphon_wire::{
    Blob, Contribution, Epoch, EpochDocument, PROTOCOL_VERSION, Registration, Round, ShardEntry,
    SignedDocument, Timestamp, ToCoordinator,
};

use crate::epoch_keys::{KeyRequest, OfferedKeys};
use crate::io::{Notice, Output};
use crate::shard::Shard;
use crate::work::{Job, ProposalJob, Work};

/// Epochs for which a shard keeps offered keys at most.
const OFFERS: usize = 2;

/// How far a proposal's start may lie from this shard's clock, in milliseconds. Only a hint against
/// mistakes: what counts is the expiry.
const LATEST_START_MS: u64 = 24 * 3600 * 1000;

impl Shard {
    pub(super) fn register(&mut self) {
        let registration = Registration {
            version: PROTOCOL_VERSION,
            list: self.config.list.clone(),
            peer_address: self.config.peer_address,
            client_address: self.config.client_address,
        };
        self.say(ToCoordinator::Register { registration });
    }

    /// Offers keys for an epoch. Asked again, it offers the same keys.
    pub(super) fn call(&mut self, epoch: Epoch, first: Round, last: Round) {
        if epoch <= self.state.signed_epoch || first <= self.state.served_round {
            return;
        }
        if let Some(keys) = self.offered.get(&epoch).filter(|keys| keys.are_for(first, last)) {
            let contribution = keys.contribution.clone();
            return self.say(ToCoordinator::Contribute { contribution });
        }
        let request = KeyRequest {
            network: self.config.network.id(),
            operator: self.config.list.claimed().operator,
            identity: self.me,
            epoch,
            first,
            last,
        };
        let rng = self.entropy.generator();
        self.outputs.push_back(Output::Work(Work(Job::Keys(Box::new((request, rng))))));
    }

    pub(super) fn keys_made(&mut self, epoch: Epoch, keys: Option<OfferedKeys>) {
        let Some(keys) = keys.filter(|_| epoch > self.state.signed_epoch) else { return };
        let contribution = keys.contribution.clone();
        self.offered.insert(epoch, keys);
        while self.offered.len() > OFFERS {
            self.offered.pop_first();
        }
        self.say(ToCoordinator::Contribute { contribution });
    }

    /// Has a proposal checked, unless it is out of the question.
    pub(super) fn propose(
        &mut self,
        now: Timestamp,
        document: EpochDocument,
        contributions: Vec<Contribution>,
    ) {
        if let Err(why) = self.consider(now, &document, &contributions) {
            return self.refuse(document.epoch, why.to_owned());
        }
        let job = ProposalJob {
            document,
            contributions,
            network: Arc::clone(&self.config.network),
            rng: self.entropy.generator(),
        };
        self.outputs.push_back(Output::Work(Work(Job::Proposal(Box::new(job)))));
    }

    /// What only this shard can know about a proposal.
    fn consider(
        &self,
        now: Timestamp,
        document: &EpochDocument,
        contributions: &[Contribution],
    ) -> Result<(), &'static str> {
        if now >= document.expires_at || document.starts_at > now.plus_ms(LATEST_START_MS) {
            return Err("the document's times are far from this shard's clock");
        }
        let offered = self.offered.get(&document.epoch);
        if !offered.is_some_and(|keys| keys.are_in(document, contributions)) {
            return Err("this shard's keys are not in the document as they were offered");
        }
        let own = document.shards.iter().find(|shard| shard.identity == self.me);
        let registered = |shard: &ShardEntry| {
            shard.peer_address == self.config.peer_address
                && shard.client_address == self.config.client_address
        };
        if !own.is_some_and(registered) {
            return Err("this shard's addresses are not in the document as registered");
        }
        Ok(())
    }

    /// Signs a proposal if everything in it is in order, and says why if not.
    pub(super) fn proposal_checked(
        &mut self,
        epoch: Epoch,
        checked: Result<CheckedProposal, ProposalError>,
    ) {
        if let Err(why) = self.endorse(epoch, checked) {
            self.refuse(epoch, why);
        }
    }

    fn endorse(
        &mut self,
        epoch: Epoch,
        checked: Result<CheckedProposal, ProposalError>,
    ) -> Result<(), String> {
        let checked = checked.map_err(|error| error.to_string())?;
        let document = checked.document();
        let offered = self.offered.get_mut(&epoch).filter(|keys| keys.are_listed(document));
        let Some(keys) = offered else {
            return Err("this shard has offered other keys since".to_owned());
        };
        let state = self.state.sign(document).map_err(|error| error.to_string())?;
        let digest = document.digest();
        let signature = document.endorse(&self.config.identity);
        keys.signed = Some((digest, checked.into_seal_keys()));
        self.state = state;
        self.outputs.push_back(Output::Persist(state));
        self.say(ToCoordinator::Endorse { epoch, document: digest, signature });
        Ok(())
    }

    fn refuse(&mut self, epoch: Epoch, why: String) {
        let reason = Blob(why.clone().into_bytes());
        self.say(ToCoordinator::Refuse { epoch, reason });
        self.notice(Notice::ProposalRefused { why });
    }

    /// Has a published document verified.
    pub(super) fn publish(&mut self, now: Timestamp, document: SignedDocument) {
        let epoch = document.document.epoch;
        if self.epochs.contains_key(&epoch) {
            self.repeat_ready();
            return self.prepare_from(now, self.next_round());
        }
        let network = Arc::clone(&self.config.network);
        self.outputs.push_back(Output::Work(Work(Job::Document(Box::new(document), network))));
    }

    /// Takes over a document that all its shards have signed.
    pub(super) fn document_verified(
        &mut self,
        now: Timestamp,
        epoch: Epoch,
        verified: Result<Arc<VerifiedEpoch>, DocumentError>,
    ) {
        if self.epochs.contains_key(&epoch) {
            return;
        }
        let verified = match verified {
            Ok(verified) => verified,
            Err(error) => {
                return self.notice(Notice::DocumentRefused { why: error.to_string() });
            }
        };
        if verified.index_of(&self.me).is_none() {
            return self.left_out(verified);
        }
        let offered = self.offered.remove(&epoch);
        let keys =
            offered.and_then(|keys| keys.publish(Arc::clone(&verified), &self.config.identity));
        let Some(keys) = keys else { return self.not_the_one_signed(epoch) };
        self.epochs.insert(epoch, keys);
        self.drop_taken_over();
        self.outputs.push_back(Output::Roster(Arc::clone(&verified)));
        self.pass_on_document(&verified);
        self.prepare_from(now, self.next_round());
        // Its rounds may come next: a shard cannot know whether those before are still to be opened.
        let first = verified.document().first_round;
        if first > self.opened {
            self.prepare(now, first);
        }
    }

    /// Tells clients of an epoch that this shard is not part of, so that they find another gateway.
    fn left_out(&mut self, epoch: Arc<VerifiedEpoch>) {
        let newest = self.epochs.keys().next_back().copied();
        let known = newest.max(self.elsewhere.as_ref().map(|known| known.epoch()));
        if known.is_some_and(|known| known >= epoch.epoch()) {
            return;
        }
        self.pass_on_document(&epoch);
        self.elsewhere = Some(epoch);
    }

    fn not_the_one_signed(&mut self, epoch: Epoch) {
        let why = format!("epoch {epoch} is not the document that this shard signed");
        self.notice(Notice::DocumentRefused { why });
    }

    /// The round that the coordinator is to open next.
    pub(super) fn next_round(&self) -> Round {
        let newest = self.epochs.values().next_back();
        let first = newest.map_or(Round(0), |keys| keys.context.epoch.document().first_round);
        let next = self.opened.next();
        if self.epoch_of(next).is_some() { next } else { first }
    }

    /// The epoch that serves `round`: the newest that covers it.
    pub(super) fn epoch_of(&self, round: Round) -> Option<Epoch> {
        self.epochs.iter().rev().find(|(_, keys)| keys.covers(round)).map(|(epoch, _)| *epoch)
    }

    /// Erases the secrets of epochs that are over: expired by this shard's own clock, or with no
    /// round left to serve.
    pub(super) fn expire(&mut self, now: Timestamp) {
        let mut over = Vec::new();
        // From the newest to the oldest: each serves rounds only until the next one takes over.
        let mut taken_over = Round(u64::MAX);
        for (&epoch, keys) in self.epochs.iter().rev() {
            let document = keys.context.epoch.document();
            let running = self
                .rounds
                .values()
                .any(|round| !round.has_ended() && round.context().epoch.epoch() == epoch);
            let next = self.opened.next();
            let rounds_left = next <= document.last_round && next < taken_over;
            if now >= document.expires_at || !(rounds_left || running) {
                over.push(epoch);
            }
            taken_over = taken_over.min(document.first_round);
        }
        for epoch in over {
            if let Some(keys) = self.epochs.remove(&epoch) {
                // Rounds hold the epoch's keys too.
                self.rounds.retain(|_, round| round.context().epoch.epoch() != keys.epoch());
                self.noise.retain(|_, (of, _)| *of != epoch);
                self.pool.forget();
            }
        }
    }
}
