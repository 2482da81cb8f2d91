//! The epochs of a shard: keys offered, documents checked and signed, secrets erased.

use std::mem::replace;
use std::sync::Arc;

use antiphon_routing::{CheckedProposal, DocumentError, ProposalError, VerifiedEpoch};
use antiphon_wire::{
    Addresses, Blob, Contribution, Epoch, HeldEpoch, IdentityKey, OperatorIndex, OperatorList,
    PROTOCOL_VERSION, Registration, Round, SignedDocument, Standing, Timestamp, ToCoordinator,
};

use crate::epoch_keys::{KeyRequest, OfferedKeys};
use crate::io::{Notice, Output};
use crate::round::RoundMachine;
use crate::shard::{Departure, Shard};
use crate::work::{Job, Work};

/// Epochs for which a shard keeps offered keys at most.
const OFFERS: usize = 2;

impl Shard {
    /// Registers with a coordinator.
    pub(super) fn register(&mut self, now: Timestamp, coordinator: IdentityKey) {
        let registration = Registration {
            version: PROTOCOL_VERSION,
            list: self.lists.in_use().clone(),
            peer_addresses: self.config.peer_addresses.clone(),
            client_addresses: self.config.client_addresses.clone(),
        };
        let standing = self.standing(now);
        self.say_to(coordinator, ToCoordinator::Register { registration, standing });
        self.repeat_leaving(coordinator);
    }

    /// Tells a coordinator that leads that this shard leaves, if it does.
    pub(super) fn repeat_leaving(&mut self, coordinator: IdentityKey) {
        if *self.departure() != Departure::Staying && self.allegiance.leader() == Some(coordinator)
        {
            self.say_to(coordinator, ToCoordinator::Leaving);
        }
    }

    /// Registers with new addresses, if they are new.
    pub(super) fn move_to(&mut self, now: Timestamp, peers: Addresses, clients: Addresses) {
        let own = (&mut self.config.peer_addresses, &mut self.config.client_addresses);
        if (&peers, &clients) == (&*own.0, &*own.1) {
            return;
        }
        self.former = Some((replace(own.0, peers), replace(own.1, clients)));
        self.register_with_all(now);
    }

    /// The facts that a coordinator without a state needs in order to go on.
    pub(super) fn standing(&self, now: Timestamp) -> Standing {
        let held = self.epochs.iter().map(|(&epoch, keys)| {
            let document = keys.context.epoch.digest();
            HeldEpoch { epoch, document }
        });
        Standing {
            signed_epoch: self.state.signed_epoch,
            served_round: self.state.served_round,
            held: held.collect(),
            clock: now,
        }
    }

    fn operator(&self) -> OperatorIndex {
        self.lists.in_use().claimed().operator
    }

    /// Offers keys for an epoch, or says why not. Asked again, it offers the same keys.
    pub(super) fn call(&mut self, epoch: Epoch, first: Round, last: Round) {
        if let Err(error) = self.state.may_sign(epoch, first) {
            return self.refuse_call(epoch, error.to_string());
        }
        // Asked again, a shard offers the same keys: they may be in a proposal already.
        if let Some(keys) = self.offered.get(&epoch).filter(|keys| keys.are_for(first, last)) {
            let contribution = Contribution::clone(&keys.contribution);
            return self.say(ToCoordinator::Contribute { contribution });
        }
        let request = KeyRequest {
            network: self.config.network.id(),
            operator: self.operator(),
            identity: self.me,
            epoch,
            first,
            last,
            suite: self.config.network.policy.suite,
        };
        let rng = self.entropy.generator();
        self.outputs.push_back(Output::Work(Work(Job::Keys(Box::new((request, rng))))));
    }

    pub(super) fn keys_made(&mut self, epoch: Epoch, keys: Option<OfferedKeys>) {
        let Some(keys) = keys else {
            return self.refuse_call(epoch, "no epoch can have so many rounds".to_owned());
        };
        if epoch <= self.state.signed_epoch {
            return;
        }
        let contribution = Contribution::clone(&keys.contribution);
        self.offered.insert(epoch, keys);
        while self.offered.len() > OFFERS {
            self.offered.pop_first();
        }
        self.say(ToCoordinator::Contribute { contribution });
    }

    /// Signs a proposal if everything in it is in order, and says why if not.
    pub(super) fn endorse(
        &mut self,
        epoch: Epoch,
        checked: Result<CheckedProposal, ProposalError>,
    ) -> Result<(), String> {
        let checked = checked.map_err(|error| error.to_string())?;
        let document = checked.document();
        let operator = self.operator();
        let offered = self.offered.get_mut(&epoch).filter(|keys| keys.are_listed(document));
        let Some(keys) = offered else {
            return Err("this shard has offered other keys since".to_owned());
        };
        let state = self.state.sign(document, operator).map_err(|error| error.to_string())?;
        let digest = document.digest();
        let signature = document.endorse(&self.config.identity);
        keys.signed = Some((digest, checked.into_keys()));
        self.state = state;
        // In this order: the state is on disk before the signature leaves.
        self.outputs.push_back(Output::Persist(state));
        self.say(ToCoordinator::Endorse { epoch, document: digest, signature });
        Ok(())
    }

    pub(super) fn refuse(&mut self, epoch: Epoch, why: String) {
        self.say(refusal(epoch, &why));
        self.notice(Notice::ProposalRefused { why });
    }

    /// Unlike silence, it lets the coordinator go on at once, and its operator find out why.
    fn refuse_call(&mut self, epoch: Epoch, why: String) {
        self.say(refusal(epoch, &why));
        self.notice(Notice::CallRefused { why });
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
        self.judge_list(epoch);
        // All have signed, and so fetched what they needed.
        self.proposal = self.proposal.take().filter(|proposal| !proposal.is_for(epoch));
        if verified.index_of(&self.me).is_none() {
            return self.left_out(verified);
        }
        let offered = self.offered.remove(&epoch);
        if offered.is_none() {
            return self.notice(Notice::KeysGone { epoch });
        }
        let keys =
            offered.and_then(|keys| keys.publish(Arc::clone(&verified), &self.config.identity));
        let Some(keys) = keys else { return self.not_the_one_signed(epoch) };
        self.epochs.insert(epoch, keys);
        self.tell_others(now);
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

    /// Says in time that the operator has to sign a new list: nobody else here would notice.
    fn judge_list(&mut self, epoch: Epoch) {
        let OperatorList { first_epoch, last_epoch, .. } = *self.lists.newest().claimed();
        let span = last_epoch.0.saturating_sub(first_epoch.0);
        if last_epoch.0.saturating_sub(epoch.0) <= span / 10 {
            self.notice(Notice::ListEnds { last_epoch, epoch });
        }
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
            if self.epochs.remove(&epoch).is_some() {
                self.end_rounds_of(now, epoch);
                self.noise.retain(|_, (of, _)| *of != epoch);
                self.pool.forget();
            }
        }
    }

    /// Ends and forgets the rounds of an epoch that is over: they hold its keys too.
    fn end_rounds_of(&mut self, now: Timestamp, epoch: Epoch) {
        let of_epoch = |round: &RoundMachine| round.context().epoch.epoch() == epoch;
        let rounds: Vec<_> =
            self.rounds.iter().filter(|(_, round)| of_epoch(round)).map(|(r, _)| *r).collect();
        for round in rounds {
            self.with_round(now, round, |machine, outputs| machine.expire(now, outputs));
        }
        self.rounds.retain(|_, round| !of_epoch(round));
    }
}

fn refusal(epoch: Epoch, why: &str) -> ToCoordinator {
    ToCoordinator::Refuse { epoch, reason: Blob(why.as_bytes().to_vec()) }
}
