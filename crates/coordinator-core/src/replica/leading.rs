//! Leading: the machine that plans epochs and opens rounds, for the shards that let it.

use std::collections::BTreeSet;
use std::sync::Arc;

use antiphon_wire::{
    EpochDocument, IdentityKey, OperatorIndex, Round, Term, Timestamp, ToCoordinator, ToShard,
};

use super::beats::Beats;
use super::campaign::Standby;
use super::word::{Ear, Word};
use super::{Elected, Role};
use crate::coordinator::{Coordinator, Input, Output};
use crate::notice::Notice;
use crate::planner::{SLACK, WorkDone};
use crate::rules::Rules;
use crate::state::State;

/// Time for which a coordinator has to have led before it makes way for the sake of a shard that cannot follow it, in
/// milliseconds: one that lies must not have coordinators elected all the time.
const MAKES_WAY_AFTER_MS: u64 = 20_000;

/// A coordinator that leads.
#[derive(Debug)]
pub(super) struct Leader {
    pub(super) term: Term,
    pub(super) coordinator: Coordinator,
    since: Timestamp,
    /// The shards that let it lead.
    granted: BTreeSet<IdentityKey>,
    /// Shards that follow another meanwhile. They count as lost with the next beat, if it still leads then.
    estranged: BTreeSet<IdentityKey>,
    beats: Beats,
    /// True while work of this term is computed; what an earlier term computed is of no use.
    awaits_work: bool,
    is_stopping: bool,
    /// The state to be kept first.
    state: Option<State>,
}

impl Leader {
    pub(super) fn new(
        rules: &Rules,
        term: Term,
        (since, now): (Timestamp, Timestamp),
        state: State,
    ) -> Self {
        let (config, network) = (rules.config.clone(), rules.network.clone());
        Self {
            term,
            coordinator: Coordinator::take_over(config, network, state.clone(), now),
            since,
            granted: BTreeSet::new(),
            estranged: BTreeSet::new(),
            beats: Beats::new(since, now),
            awaits_work: false,
            is_stopping: false,
            state: Some(state),
        }
    }

    pub(super) fn has(&self, shard: &IdentityKey) -> bool {
        self.granted.contains(shard)
    }

    /// The shards that let it lead.
    pub(super) fn followers(&self) -> impl Iterator<Item = &IdentityKey> {
        self.granted.iter()
    }

    /// The term for which a shard is to be asked to let it lead, unless it is asked already.
    pub(super) fn ask(&mut self, now: Timestamp, shard: IdentityKey) -> Option<Term> {
        self.beats.asks(shard, now).then_some(self.term)
    }

    /// A shard that may have been asked follows another.
    pub(super) fn declined(&mut self, shard: &IdentityKey) {
        self.beats.declined(shard);
    }

    /// A shard lets it lead, perhaps again.
    pub(super) fn granted(&mut self, now: Timestamp, shard: IdentityKey, word: &Word) {
        self.beats.granted(shard, self.since);
        self.estranged.remove(&shard);
        if self.granted.insert(shard) {
            self.coordinator.handle(now, Input::Connected { identity: shard });
        }
        self.register(now, shard, word);
        if word.leaves {
            let message = ToCoordinator::Leaving;
            self.coordinator.handle(now, Input::Message { identity: shard, message });
        }
    }

    pub(super) fn register(&mut self, now: Timestamp, shard: IdentityKey, word: &Word) {
        self.coordinator.handle(now, Input::Message { identity: shard, message: word.register() });
    }

    pub(super) fn gone(&mut self, now: Timestamp, shard: &IdentityKey) {
        self.beats.forget(shard);
        self.estranged.remove(shard);
        if self.granted.remove(shard) {
            self.coordinator.handle(now, Input::Disconnected { identity: *shard });
        }
    }

    /// A shard follows another.
    pub(super) fn estranged(&mut self, shard: IdentityKey) {
        self.beats.forget(&shard);
        self.estranged.insert(shard);
    }

    pub(super) fn message(&mut self, now: Timestamp, shard: IdentityKey, message: ToCoordinator) {
        if !self.has(&shard) {
            return;
        }
        match message {
            ToCoordinator::Beat { number } => self.beats.answer(shard, number),
            message => self.coordinator.handle(now, Input::Message { identity: shard, message }),
        }
    }

    pub(super) fn work_done(&mut self, now: Timestamp, done: WorkDone) {
        if std::mem::take(&mut self.awaits_work) {
            self.coordinator.handle(now, Input::WorkDone(done));
        }
    }

    pub(super) fn stop(&mut self) {
        self.is_stopping = true;
        self.coordinator.stop();
    }

    pub(super) fn deadline(&self) -> Timestamp {
        let beats = self.beats.deadline();
        self.coordinator.next_deadline().map_or(beats, |at| at.min(beats))
    }

    /// Returns `true` if nothing is lost when another leads from now on.
    fn may_make_way(&self, now: Timestamp) -> bool {
        now >= self.since.plus_ms(MAKES_WAY_AFTER_MS)
            && self.coordinator.open_rounds().next().is_none()
            && self.coordinator.status().planned.is_none()
    }

    /// Returns `true` if it was told to stop and no round of it is open.
    fn is_done(&self) -> bool {
        self.is_stopping && self.coordinator.open_rounds().next().is_none()
    }
}

impl Elected {
    /// The state to lead from: above all that the shards know that let it, with the documents in force.
    pub(super) fn taken_over(&self, granted: &BTreeSet<IdentityKey>) -> State {
        let (epoch, round) = self.electorate.numbers(|shard| granted.contains(shard));
        let documents = self.library.in_force(round.next(), &self.electorate);
        // An epoch that goes on needs all its shards, and all of them know what was opened. Without one, rounds
        // may have been opened that nobody here knows of.
        let skipped = match documents {
            (None, None) if round > Round(0) => SLACK.1,
            _ => 0,
        };
        let round = Round(round.0.saturating_add(skipped));
        let opened = self.electorate.words().filter(|(shard, _)| granted.contains(shard));
        let opened = opened.filter_map(|(_, word)| word.opened).max();
        // Clients take no two rounds too close to each other.
        let last_open = opened.or((round > Round(0)).then_some(self.now));
        let current = documents.0.as_deref();
        let lost = current.and_then(|current| self.lost_before(&current.document, round));
        self.kept.clone().taken_over((epoch, round), last_open, documents, lost)
    }

    /// Whose shard is gone from the epoch of the last round, if none of the one after it has been opened: the circuits in
    /// use are cut then.
    fn lost_before(&self, current: &EpochDocument, last: Round) -> Option<OperatorIndex> {
        let is_cut = current.first_round > last && !current.parameters.beats.is_classic();
        let before = self.library.before(current.epoch, last).filter(|_| is_cut)?;
        let mut shards = before.document.shards.iter();
        let gone = shards.find(|shard| self.electorate.word(&shard.identity).is_none());
        gone.map(|shard| shard.operator)
    }

    /// Stops leading unless a quorum has answered lately.
    pub(super) fn check_lease(&mut self) {
        let Role::Leader(leader) = &mut self.role else { return };
        if !leader.beats.are_over(self.now) {
            return;
        }
        renew(leader, &self.electorate);
        if leader.beats.are_over(self.now) {
            let (term, is_stopping) = (leader.term, leader.is_stopping);
            let open_rounds = leader.coordinator.open_rounds().count();
            // Those that hear it, wait for it no longer.
            let shards: Vec<_> = leader.followers().copied().collect();
            shards.into_iter().for_each(|shard| self.send(shard, ToShard::Resign));
            self.role = if is_stopping { Role::Stopped } else { Role::Standby(Standby::default()) };
            let reason = "it is not heard by a quorum of shards".to_owned();
            self.notice(Notice::Deposed { term, reason, open_rounds });
        }
    }

    /// Makes way for a leader of a higher term, this one perhaps, if a shard hears nobody and let one of a higher term lead,
    /// who was not elected: it lets nobody lead in a lower one.
    fn make_way(&mut self) {
        let Role::Leader(leader) = &mut self.role else { return };
        let most = self.electorate.term();
        let is_stranded = self.electorate.words().any(|(shard, word)| {
            let hears_nobody = !leader.has(shard) && word.ear == Ear::Nobody;
            hears_nobody && word.term > leader.term && word.term <= most
        });
        if !is_stranded || leader.is_stopping || !leader.may_make_way(self.now) {
            return;
        }
        let term = leader.term;
        let shards: Vec<_> = leader.followers().copied().collect();
        shards.into_iter().for_each(|shard| self.send(shard, ToShard::Resign));
        self.role = Role::Standby(Standby::default());
        let reason = "a shard cannot follow it, and can follow one of a higher term".to_owned();
        // It makes way when none is open.
        self.notice(Notice::Deposed { term, reason, open_rounds: 0 });
    }

    /// Does what is due, and passes on what the machine wants done.
    pub(super) fn lead_on(&mut self) {
        self.make_way();
        let now = self.now;
        let Role::Leader(leader) = &mut self.role else { return };
        let beat = leader.beats.due(now);
        if beat.is_some() {
            for shard in std::mem::take(&mut leader.estranged) {
                leader.gone(now, &shard);
            }
            renew(leader, &self.electorate);
        }
        leader.coordinator.handle(now, Input::Tick);
        self.outputs.extend(leader.state.take().map(Output::Persist));
        while let Some(output) = leader.coordinator.poll() {
            match &output {
                Output::Publish(signed) => self.library.add(Arc::clone(signed)),
                Output::Persist(state) => self.kept = state.clone(),
                Output::Work(_) => leader.awaits_work = true,
                Output::Send { .. } | Output::Notice(_) => {}
            }
            self.outputs.push_back(output);
        }
        let message = match beat {
            _ if leader.is_done() => ToShard::Resign,
            Some(number) => ToShard::Beat { number },
            None => return,
        };
        let message = Arc::new(message);
        let to_all = leader
            .followers()
            .map(|shard| Output::Send { to: *shard, message: Arc::clone(&message) });
        self.outputs.extend(to_all);
        if leader.is_done() {
            self.role = Role::Stopped;
        }
    }
}

fn renew(leader: &mut Leader, electorate: &super::electorate::Electorate) {
    leader.beats.renew(|counts| electorate.is_quorum(|shard, _| counts(shard)));
}
