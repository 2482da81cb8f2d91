//! A proposal at a shard: its contributions are fetched one by one, each is checked when it comes, and the
//! document is signed once all of them were in order.

use std::sync::Arc;

use antiphon_routing::{CheckedProposal, ProposalCheck, ProposalError};
use antiphon_wire::{
    Addresses, Contribution, Digest, Epoch, EpochDocument, IdentityKey, PeerMessage, ShardEntry,
    ShardIndex, Timestamp, ToCoordinator,
};

use super::fetch::{Fetch, Source};
use crate::io::Output;
use crate::shard::Shard;
use crate::work::{Job, ProposalJob, ProposalStep, Work};

/// Milliseconds by which a proposal's start may lie ahead of this shard's clock. Only a hint against
/// mistakes: what counts is the expiry.
const LATEST_START_MS: u64 = 24 * 3600 * 1000;

/// A proposal that is being checked. It stays for others to fetch from until the document is published.
#[derive(Debug)]
pub(super) struct Proposal {
    /// Tells it from others: what is computed for those is of no use.
    number: u64,
    epoch: Epoch,
    fetch: Fetch,
    /// The other shards, once the document's own rules hold. Until then nobody is asked.
    peers: Option<Vec<(IdentityKey, Addresses)>>,
    /// The check so far; `None` while it goes on elsewhere, and when it is over.
    check: Option<Box<ProposalCheck>>,
    /// Contributions that are to be checked.
    fresh: Vec<(ShardIndex, Arc<Contribution>)>,
}

impl Proposal {
    /// Returns `true` if it is for this epoch or one before.
    pub(super) fn is_for(&self, epoch: Epoch) -> bool {
        self.epoch <= epoch
    }
}

impl Shard {
    /// Has a proposal checked, unless it is out of the question.
    pub(super) fn propose(
        &mut self,
        now: Timestamp,
        document: EpochDocument,
        digests: Vec<Digest>,
        spread: u16,
    ) {
        self.proposal = None;
        let own = match self.consider(now, &document) {
            Ok(own) => own,
            Err(why) => return self.refuse(document.epoch, why.to_owned()),
        };
        let shards: Vec<_> = document.shards.iter().map(|shard| shard.identity).collect();
        let fetch = Fetch::new(now, &own, shards, digests, spread.into());
        let Some(fetch) = fetch else {
            let why = "this shard's keys are not in the document as they were offered, or the list of \
                       contributions does not fit it";
            return self.refuse(document.epoch, why.to_owned());
        };
        self.proposals += 1;
        let number = self.proposals;
        let me = document.shards.iter().position(|shard| shard.identity == self.me);
        let fresh = me.map(|me| (ShardIndex(me as u16), own)).into_iter().collect();
        let epoch = document.epoch;
        self.proposal = Some(Proposal { number, epoch, fetch, peers: None, check: None, fresh });
        let network = Arc::clone(&self.config.network);
        let step = ProposalStep::Document(Box::new(document), network);
        self.outputs.push_back(Output::Work(Work(Job::Proposal(ProposalJob { number, step }))));
    }

    /// Checks of a proposal that only this shard can make. Returns the contribution that it offered.
    fn consider(
        &self,
        now: Timestamp,
        document: &EpochDocument,
    ) -> Result<Arc<Contribution>, &'static str> {
        if now >= document.expires_at || document.starts_at > now.plus_ms(LATEST_START_MS) {
            return Err("the document's times are far from this shard's clock");
        }
        let offered = self.offered.get(&document.epoch).filter(|keys| keys.are_listed(document));
        let Some(offered) = offered else {
            return Err("this shard's keys are not in the document as they were offered");
        };
        let own = document.shards.iter().find(|shard| shard.identity == self.me);
        // The coordinator may have composed it before it heard of newer addresses.
        let registered = |shard: &ShardEntry| {
            let found = (&shard.peer_addresses, &shard.client_addresses);
            let former = self.former.as_ref().map(|(peers, clients)| (peers, clients));
            found == (&self.config.peer_addresses, &self.config.client_addresses)
                || Some(found) == former
        };
        if !own.is_some_and(registered) {
            return Err("this shard's addresses are not in the document as registered");
        }
        Ok(Arc::clone(&offered.contribution))
    }

    /// Part of a proposal's check is done.
    pub(super) fn proposal_checked(
        &mut self,
        now: Timestamp,
        number: u64,
        checked: Result<ProposalStep, ProposalError>,
    ) {
        let Some(proposal) = self.proposal.as_mut().filter(|p| p.number == number) else { return };
        let epoch = proposal.epoch;
        match checked {
            Ok(ProposalStep::Check(check, _)) => {
                proposal.peers.get_or_insert_with(|| check.peers(&self.me));
                proposal.check = Some(check);
                self.go_on_checking();
                self.fetch(now);
            }
            Ok(ProposalStep::Checked(checked)) => self.conclude(now, epoch, Ok(*checked)),
            Ok(ProposalStep::Document(..)) => unreachable!("a document becomes a check"),
            Err(error) => {
                self.proposal = None;
                self.conclude(now, epoch, Err(error));
            }
        }
    }

    fn conclude(
        &mut self,
        now: Timestamp,
        epoch: Epoch,
        checked: Result<CheckedProposal, ProposalError>,
    ) {
        if let Err(why) = self.endorse(epoch, checked) {
            self.refuse(epoch, why);
        }
        self.advance_lists(now, self.state.next_epoch());
    }

    /// Has those contributions checked that came meanwhile.
    fn go_on_checking(&mut self) {
        let Some(proposal) = &mut self.proposal else { return };
        if proposal.fresh.is_empty() {
            return;
        }
        let Some(check) = proposal.check.take() else { return };
        let step = ProposalStep::Check(check, std::mem::take(&mut proposal.fresh));
        let job = ProposalJob { number: proposal.number, step };
        self.outputs.push_back(Output::Work(Work(Job::Proposal(job))));
    }

    /// Asks for contributions that are missing.
    fn fetch(&mut self, now: Timestamp) {
        let Some(proposal) = &mut self.proposal else { return };
        let Some(peers) = &mut proposal.peers else { return };
        let questions = proposal.fetch.ask(now);
        let asks_peers = questions.iter().any(|(source, _)| *source != Source::Coordinator);
        // Told once, before the first question.
        if asks_peers && !peers.is_empty() {
            let (epoch, peers) = (proposal.epoch, std::mem::take(peers));
            self.outputs.push_back(Output::Proposed { epoch, peers });
        }
        for (source, digest) in questions {
            match source {
                Source::Coordinator => self.say(ToCoordinator::AskContribution { digest }),
                Source::Shard(to) => {
                    let message = PeerMessage::AskContribution { digest };
                    self.outputs.push_back(Output::Peer { to, message });
                }
            }
        }
    }

    /// The coordinator hands out a contribution.
    pub(super) fn handed(&mut self, now: Timestamp, contribution: Arc<Contribution>) {
        self.take_contribution(now, Source::Coordinator, contribution);
    }

    /// Another shard asks for a contribution, or answers. Returns the message if it is about a round.
    pub(super) fn peer_about_proposal(
        &mut self,
        now: Timestamp,
        from: IdentityKey,
        message: PeerMessage,
    ) -> Option<PeerMessage> {
        match message {
            PeerMessage::AskContribution { digest } => self.answer(from, digest),
            PeerMessage::Contribution { contribution } => {
                self.take_contribution(now, Source::Shard(from), contribution);
            }
            PeerMessage::NoContribution => {
                if let Some(proposal) = &mut self.proposal {
                    proposal.fetch.refused(from);
                    self.fetch(now);
                }
            }
            other => return Some(other),
        }
        None
    }

    fn answer(&mut self, to: IdentityKey, digest: Digest) {
        // Strangers are told nothing. A shard that hears of a proposal before this one asks again elsewhere.
        let Some(proposal) = self.proposal.as_mut().filter(|p| p.fetch.lists(&to)) else { return };
        let message = match proposal.fetch.answer(to, &digest) {
            Some(contribution) => PeerMessage::Contribution { contribution },
            None => PeerMessage::NoContribution,
        };
        self.outputs.push_back(Output::Peer { to, message });
    }

    fn take_contribution(&mut self, now: Timestamp, from: Source, contribution: Arc<Contribution>) {
        let Some(proposal) = &mut self.proposal else { return };
        if let Some(shard) = proposal.fetch.take(from, Arc::clone(&contribution)) {
            proposal.fresh.push((shard, contribution));
            self.go_on_checking();
        }
        self.fetch(now);
    }

    /// Asks others in the place of those who let questions wait.
    pub(super) fn fetch_on_time(&mut self, now: Timestamp) {
        if let Some(proposal) = &mut self.proposal
            && proposal.fetch.next_deadline().is_some_and(|until| now >= until)
        {
            proposal.fetch.on_time(now);
            self.fetch(now);
        }
    }

    /// When a question has waited for too long.
    pub(super) fn fetch_deadline(&self) -> Option<Timestamp> {
        self.proposal.as_ref()?.fetch.next_deadline()
    }
}
