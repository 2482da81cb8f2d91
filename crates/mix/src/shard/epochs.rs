//! How a shard takes part in epochs: keys offered, documents checked and signed, secrets erased.

use std::sync::Arc;

use antiphon_routing::{VerifiedEpoch, check_proposal};
use antiphon_wire::{
    Blob, Contribution, Epoch, EpochDocument, PROTOCOL_VERSION, Registration, Round,
    SignedDocument, Timestamp, ToCoordinator,
};

use crate::epoch_keys::OfferedKeys;
use crate::io::{Notice, Output};
use crate::shard::Shard;

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
        let known = self.offered.get(&epoch).filter(|keys| {
            keys.contribution.first_round == first
                && last.0.checked_sub(first.0) == Some(keys.contribution.seal_keys.len() as u64 - 1)
        });
        if known.is_none() {
            let network = self.config.network.id();
            let operator = self.config.list.claimed().operator;
            let rounds = (first, last);
            let keys =
                OfferedKeys::generate(&network, operator, &self.me, epoch, rounds, &mut self.rng);
            let Some(keys) = keys else { return };
            self.offered.insert(epoch, keys);
            while self.offered.len() > OFFERS {
                self.offered.pop_first();
            }
        }
        if let Some(keys) = self.offered.get(&epoch) {
            let contribution = keys.contribution.clone();
            self.say(ToCoordinator::Contribute { contribution });
        }
    }

    /// Signs a proposal if everything in it is in order, and says why if not.
    pub(super) fn propose(
        &mut self,
        now: Timestamp,
        document: EpochDocument,
        contributions: &[Contribution],
    ) {
        let epoch = document.epoch;
        if let Err(why) = self.endorse(now, document, contributions) {
            let reason = Blob(why.clone().into_bytes());
            self.say(ToCoordinator::Refuse { epoch, reason });
            self.notice(Notice::ProposalRefused { why });
        }
    }

    fn endorse(
        &mut self,
        now: Timestamp,
        document: EpochDocument,
        contributions: &[Contribution],
    ) -> Result<(), String> {
        let epoch = document.epoch;
        if now >= document.expires_at || document.starts_at > now.plus_ms(LATEST_START_MS) {
            return Err("the document's times are far from this shard's clock".to_owned());
        }
        let offered = self.offered.get(&epoch);
        if !offered.is_some_and(|keys| keys.are_in(&document, contributions)) {
            return Err("this shard's keys are not in the document as they were offered".to_owned());
        }
        let own = document.shards.iter().find(|shard| shard.identity == self.me);
        if own.is_none_or(|shard| {
            shard.peer_address != self.config.peer_address
                || shard.client_address != self.config.client_address
        }) {
            return Err("this shard's addresses are not in the document as registered".to_owned());
        }
        let checked = check_proposal(document, contributions, &self.config.network, &mut self.rng)
            .map_err(|error| error.to_string())?;
        let state = self.state.sign(checked.document()).map_err(|error| error.to_string())?;
        let digest = checked.document().digest();
        let signature = checked.document().endorse(&self.config.identity);
        self.state = state;
        self.outputs.push_back(Output::Persist(state));
        if let Some(keys) = self.offered.get_mut(&epoch) {
            keys.signed = Some((digest, checked.into_seal_keys()));
        }
        self.say(ToCoordinator::Endorse { epoch, document: digest, signature });
        Ok(())
    }

    /// Takes over a document that all its shards have signed.
    pub(super) fn publish(&mut self, now: Timestamp, document: SignedDocument) {
        let epoch = document.document.epoch;
        if self.epochs.contains_key(&epoch) {
            // A coordinator that was away hears again what is ready.
            return self.prepare(now, self.next_round());
        }
        let verified = match VerifiedEpoch::verify(document, &self.config.network) {
            Ok(verified) => Arc::new(verified.with_tables()),
            Err(error) => {
                return self.notice(Notice::DocumentRefused { why: error.to_string() });
            }
        };
        let offered = self.offered.remove(&epoch);
        let keys =
            offered.and_then(|keys| keys.publish(Arc::clone(&verified), &self.config.identity));
        let Some(keys) = keys else {
            let why = format!("epoch {epoch} is not the document that this shard signed");
            return self.notice(Notice::DocumentRefused { why });
        };
        self.epochs.insert(epoch, keys);
        self.outputs.push_back(Output::Roster(Arc::clone(&verified)));
        self.pass_on_document(&verified);
        self.prepare(now, self.next_round());
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
            }
        }
    }
}
