//! What becomes of an epoch that was called: its document is put together, signed and published.

use std::collections::BTreeSet;
use std::sync::Arc;

use antiphon_routing::{Draft, Offer};
use antiphon_wire::{SignedDocument, ToShard};

use super::{Coordinator, Output, Work, identities};
use crate::core::attempt::{Attempt, Phase, Proposed};
use crate::core::documents::{Done, Fault, Job, Proposal, WorkDone};
use crate::core::notice::Notice;
use crate::core::quorum::{self, Presence};

/// Shards that a failure names at most.
const TOLD: usize = 8;
/// What planning is taken to need at most, in milliseconds.
const LONGEST_PLANNING_MS: u64 = 120_000;

impl Coordinator {
    /// Moves the epoch on its way forward, if it is time.
    pub(super) fn step_attempt(&mut self) -> bool {
        let Some(attempt) = &self.attempt else { return false };
        // What an attempt that failed left behind ends first: one work at a time.
        if self.working || !attempt.is_answered() && self.now < attempt.deadline {
            return false;
        }
        match &attempt.phase {
            Phase::Composing { .. } | Phase::Verifying { .. } => return false,
            Phase::Calling { .. } => self.compose(),
            Phase::Proposing { proposal } => match proposal.signed() {
                Some(signed) => {
                    let work = self.work(Job::Verify(Box::new(signed)));
                    self.enter(Phase::Verifying { work });
                }
                None => {
                    let unsigned = proposal.unsigned();
                    if self.is_overtaken() {
                        self.overtaken();
                        return true;
                    }
                    let reason = unsigned
                        .first()
                        .map(|(shard, reason)| format!("shard {shard} {reason}"))
                        .unwrap_or_default();
                    let spare = self.suspend_if_spare(&unsigned);
                    self.fail(&reason, spare);
                }
            },
        }
        true
    }

    /// Whether rounds went on past where the epoch was to begin: shards cannot sign it any more.
    fn is_overtaken(&self) -> bool {
        let last = self.state.last_round();
        self.attempt.as_ref().is_some_and(|attempt| !attempt.urgent && attempt.first_round <= last)
    }

    /// Tries again with more time.
    fn overtaken(&mut self) {
        self.planning_ms = self.planning_ms.saturating_mul(2).min(LONGEST_PLANNING_MS);
        self.fail("its first round was opened before it was signed", true);
    }

    /// Gives out work, and returns its number.
    fn work(&mut self, job: Job) -> u64 {
        debug_assert!(!self.working);
        self.working = true;
        self.works += 1;
        let (number, network) = (self.works, self.network.clone());
        self.outputs.push_back(Output::Work(Work { number, network, job }));
        number
    }

    fn enter(&mut self, phase: Phase) {
        if let Some(attempt) = &mut self.attempt {
            attempt.phase = phase;
        }
    }

    /// Work has been done. What is of no use any more is dropped.
    pub(super) fn work_done(&mut self, done: WorkDone) {
        if done.number != self.works {
            return;
        }
        self.working = false;
        if self.attempt.as_ref().and_then(Attempt::work) != Some(done.number) {
            return;
        }
        match done.result {
            Done::Composed(Ok(proposal)) => self.send_proposal(*proposal),
            Done::Composed(Err(fault)) => self.blame(fault),
            Done::Verified(Ok(signed)) => self.publish(*signed),
            Done::Verified(Err(reason)) => self.fail(&reason, false),
        }
    }

    /// Has a document put together from the keys that came.
    fn compose(&mut self) {
        let Some(attempt) = &self.attempt else { return };
        let Phase::Calling { contributions, refusals } = &attempt.phase else { return };
        let here: BTreeSet<_> = contributions.keys().copied().collect();
        let missing: Vec<_> = attempt
            .members
            .iter()
            .filter(|member| !here.contains(member))
            .map(|member| match refusals.get(member) {
                Some(reason) => (*member, format!("sent no keys: {reason}")),
                None => (*member, "sent no keys in time".to_owned()),
            })
            .collect();
        let selection = self.select(attempt, &here);
        if !selection.is_quorum {
            let missing = missing.iter().map(|(shard, reason)| format!("shard {shard} {reason}"));
            let missing: Vec<_> = missing.take(TOLD).collect();
            let Presence { present_weight, total_weight, .. } = selection.presence;
            let reason = format!(
                "no quorum sent keys, but operators of weight {present_weight} of {total_weight}: {}",
                missing.join("; ")
            );
            return self.fail(&reason, false);
        }
        let lists = quorum::lists(&self.roster, attempt.epoch);
        let mut offers = Vec::with_capacity(selection.shards.len());
        for shard in &selection.shards {
            let (Some(member), Some(keys)) = (self.roster.member(shard), contributions.get(shard))
            else {
                continue;
            };
            let Some(list) = lists.get(&member.operator()) else { continue };
            let mut registration = member.registration.clone();
            registration.list = (*list).clone();
            offers.push(Offer { registration, contribution: keys.clone() });
        }
        // Until an epoch has come about, it may be the numbers of this coordinator that are wrong.
        let settled = self.settled;
        let blamed: Vec<_> = missing
            .into_iter()
            .filter(|(shard, _)| settled || !refusals.contains_key(shard))
            .collect();
        let (draft, contributions) = (self.draft(attempt), contributions.clone());
        let work = self.work(Job::Compose { draft, offers });
        if let Some(attempt) = &mut self.attempt {
            attempt.members.retain(|member| here.contains(member));
        }
        self.enter(Phase::Composing { work, contributions });
        for (shard, reason) in blamed {
            self.suspend(shard, &reason);
        }
    }

    /// No document came of the keys.
    fn blame(&mut self, Fault { shard, reason }: Fault) {
        match shard {
            Some(shard) if self.suspend_if_spare(&[(shard, reason.clone())]) => {
                self.leave_out(&shard, &reason);
            }
            _ => self.fail(&reason, false),
        }
    }

    fn send_proposal(&mut self, (document, contributions): Proposal) {
        if self.is_overtaken() {
            return self.overtaken();
        }
        let deadline = self.now.plus_ms(self.config.endorse_ms.into());
        let Some(attempt) = &mut self.attempt else { return };
        attempt.members = document.shards.iter().map(|shard| shard.identity).collect();
        attempt.deadline = deadline;
        attempt.phase = Phase::Proposing { proposal: Box::new(Proposed::new(document.clone())) };
        let members = attempt.members.clone();
        self.send_all(&members, ToShard::Propose { document, contributions });
    }

    fn draft(&self, attempt: &Attempt) -> Draft {
        let interval = u64::from(self.config.interval_in(&self.network));
        let before = attempt.first_round.0.saturating_sub(self.state.next_round().0);
        Draft {
            epoch: attempt.epoch,
            first_round: attempt.first_round,
            last_round: attempt.last_round,
            starts_at: self
                .by_their_clocks(self.due().max(self.now).plus_ms(before.saturating_mul(interval))),
            previous: self.state.previous(),
            parameters: self.config.parameters(&self.network),
        }
    }

    fn publish(&mut self, signed: SignedDocument) {
        let Some(attempt) = self.attempt.take() else { return };
        let shards = identities(&signed);
        let presence = self.select(&attempt, &shards.iter().copied().collect()).presence;
        let digest = signed.document.digest();
        let signed = Arc::new(signed);
        self.state.announce(Arc::clone(&signed), digest);
        self.faults.published(&shards);
        self.roster.note_held(&signed);
        self.planning_ms = self.now.ms_since(attempt.called_at);
        self.handed_over = if attempt.hand_over { self.handed_over.saturating_add(1) } else { 0 };
        self.settled = true;
        self.broken = false;
        self.resuming = false;
        self.failures = 0;
        self.persist();
        // Shards that are left out hear of it too: their clients have to find other gateways.
        let everybody: Vec<_> = self.roster.members().map(|(identity, _)| *identity).collect();
        self.send_all(&everybody, ToShard::Publish { document: SignedDocument::clone(&signed) });
        self.notice(Notice::EpochPublished {
            epoch: attempt.epoch,
            first_round: attempt.first_round,
            last_round: attempt.last_round,
            layers: signed.document.parameters.layers,
            presence,
        });
        self.outputs.push_back(Output::Publish(signed));
        self.judge_lists(attempt.epoch);
    }
}
