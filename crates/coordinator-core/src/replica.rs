//! A coordinator among others, of which shards elect one to lead.
//!
//! Shards are the log: each knows the highest epoch and round that it took part in, and holds the documents in
//! force. A coordinator that a quorum of them lets lead goes on above all that they know, so coordinators need
//! no store in common. The machine that plans epochs and opens rounds, [`Coordinator`], is made anew for each
//! term, from what shards say, and is dropped at its end.

mod beats;
mod campaign;
mod electorate;
mod leading;
mod library;
mod word;

use std::collections::VecDeque;
use std::sync::Arc;

use antiphon_wire::{
    Blob, IdentityKey, NetworkFile, Round, SignedDocument, Term, Timestamp, ToCoordinator, ToShard,
};

use crate::coordinator::{Coordinator, Input, Output};
use crate::notice::Notice;
use crate::planner::WorkDone;
use crate::rules::Rules;
use crate::settings::CoordinatorConfig;
use crate::state::State;
use crate::status::{
    EpochStatus, GuaranteeStatus, LeadershipStatus, QuorumStatus, RoundsStatus, Status,
};
use campaign::{Candidate, Standby};
use electorate::Electorate;
use leading::Leader;
use library::Library;
use word::Ear;

/// A coordinator that is the only one, and leads, or one of several.
#[derive(Debug)]
pub enum Replica {
    /// The only one.
    Alone(Box<Coordinator>),
    /// One of several.
    Elected(Box<Elected>),
}

/// A coordinator that leads as long as shards let it.
#[derive(Debug)]
pub struct Elected {
    me: IdentityKey,
    rules: Arc<Rules>,
    now: Timestamp,
    electorate: Electorate,
    library: Library,
    /// The state that was given out last to be kept.
    kept: State,
    /// The last term that it campaigned for.
    last_term: Term,
    role: Role,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
enum Role {
    Standby(Standby),
    Candidate(Candidate),
    Leader(Box<Leader>),
    Stopped,
}

impl Replica {
    /// A coordinator for `network` that continues from `state`, at the time `now`. Shards know it as `me`.
    pub fn new(
        config: CoordinatorConfig,
        network: NetworkFile,
        me: IdentityKey,
        state: State,
        now: Timestamp,
    ) -> Self {
        if config.replicas <= 1 {
            return Self::Alone(Box::new(Coordinator::new(config, network, state, now)));
        }
        let rules = Arc::new(Rules { config, network });
        Self::Elected(Box::new(Elected {
            me,
            now,
            electorate: Electorate::new(Arc::clone(&rules)),
            rules,
            library: Library::default(),
            kept: state,
            last_term: Term(0),
            role: Role::Standby(Standby::default()),
            outputs: VecDeque::new(),
        }))
    }

    /// Takes an input at the time `now`. A time before that of an earlier input counts as that one.
    pub fn handle(&mut self, now: Timestamp, input: Input) {
        match self {
            Self::Alone(coordinator) => coordinator.handle(now, input),
            Self::Elected(elected) => elected.handle(now, input),
        }
    }

    /// The next thing to do, if any.
    pub fn poll(&mut self) -> Option<Output> {
        match self {
            Self::Alone(coordinator) => coordinator.poll(),
            Self::Elected(elected) => elected.outputs.pop_front(),
        }
    }

    /// When [`Input::Tick`] is due if nothing else comes first.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        match self {
            Self::Alone(coordinator) => coordinator.next_deadline(),
            Self::Elected(elected) => elected.next_deadline(),
        }
    }

    /// Opens no more rounds, and lets another coordinator lead when those that are open have ended.
    pub fn stop(&mut self) {
        match self {
            Self::Alone(coordinator) => coordinator.stop(),
            Self::Elected(elected) => elected.stop(),
        }
    }

    /// The rounds that are open, the oldest first.
    pub fn open_rounds(&self) -> impl Iterator<Item = Round> {
        self.coordinator().into_iter().flat_map(Coordinator::open_rounds)
    }

    /// The term in which it leads; `None` if it does not, or needs none.
    pub fn leads_in(&self) -> Option<Term> {
        match self {
            Self::Elected(elected) => elected.leads_in(),
            Self::Alone(_) => None,
        }
    }

    /// `true` if it leads, or is linked to shards enough to be elected.
    pub fn could_lead(&self) -> bool {
        match self {
            Self::Alone(_) => true,
            Self::Elected(elected) => {
                elected.leads_in().is_some() || elected.electorate.is_quorum(|_, _| true)
            }
        }
    }

    /// How it stands, as of the last input.
    pub fn status(&self) -> Status {
        match self {
            Self::Alone(coordinator) => coordinator.status(),
            Self::Elected(elected) => elected.status(),
        }
    }

    fn coordinator(&self) -> Option<&Coordinator> {
        match self {
            Self::Alone(coordinator) => Some(coordinator),
            Self::Elected(elected) => match &elected.role {
                Role::Leader(leader) => Some(&leader.coordinator),
                _ => None,
            },
        }
    }
}

impl Elected {
    fn handle(&mut self, now: Timestamp, input: Input) {
        // Time never runs backwards here, whatever the caller's clock does.
        self.now = self.now.max(now);
        // Before anything else: a process that stood still may not lead any more.
        self.check_lease();
        match input {
            Input::Connected { identity } => {
                self.gone(&identity);
                self.electorate.connect(identity);
            }
            Input::Disconnected { identity } => self.gone(&identity),
            Input::Message { identity, message } => self.message(identity, message),
            Input::WorkDone(done) => self.work_done(done),
            Input::Tick => {}
        }
        self.finish();
    }

    fn gone(&mut self, shard: &IdentityKey) {
        self.electorate.disconnect(shard);
        self.library.gone(shard);
        match &mut self.role {
            Role::Candidate(candidate) => candidate.gone(shard),
            Role::Leader(leader) => leader.gone(self.now, shard),
            Role::Standby(_) | Role::Stopped => {}
        }
    }

    fn message(&mut self, shard: IdentityKey, message: ToCoordinator) {
        match message {
            ToCoordinator::Register { registration, standing } => {
                let taken = self.electorate.register(self.now, shard, registration, standing);
                match taken {
                    Ok(()) => self.registered(shard),
                    Err(error) => self.reject(shard, error.to_string()),
                }
            }
            ToCoordinator::Granted { term, standing, since_opened_ms } => {
                let opened = self.now.0.checked_sub(since_opened_ms).map(Timestamp);
                self.electorate.stands(&shard, term, standing);
                self.electorate.opened(&shard, opened);
                // If it does, it says so next.
                self.electorate.leaves(&shard, false);
                self.granted(shard, term);
            }
            ToCoordinator::Follows { term, standing } => {
                self.electorate.stands(&shard, term, standing);
                self.electorate.hears(&shard, Ear::Leader);
                self.declined(shard, term, Ear::Leader);
            }
            ToCoordinator::Leaderless { term, standing } => {
                self.electorate.stands(&shard, term, standing);
                self.electorate.hears(&shard, Ear::Nobody);
                self.declined(shard, term, Ear::Nobody);
            }
            ToCoordinator::Document { document } => {
                if let Some(document) = self.library.take(&shard, document, &self.rules.network) {
                    self.outputs.push_back(Output::Publish(document));
                }
            }
            message => self.pass_on(shard, message),
        }
    }

    /// What a shard says to whoever leads. That it leaves is kept as well, for one that is about to be elected.
    fn pass_on(&mut self, shard: IdentityKey, message: ToCoordinator) {
        match message {
            ToCoordinator::Leaving => self.electorate.leaves(&shard, true),
            ToCoordinator::Staying => self.electorate.leaves(&shard, false),
            _ => {}
        }
        if let Role::Leader(leader) = &mut self.role {
            leader.message(self.now, shard, message);
        }
    }

    /// A shard has registered: one that wants to lead asks it to let it.
    fn registered(&mut self, shard: IdentityKey) {
        match &mut self.role {
            Role::Leader(leader) if leader.has(&shard) => {
                if let Some(word) = self.electorate.word(&shard) {
                    leader.register(self.now, shard, word);
                }
            }
            Role::Leader(_) => self.ask(shard),
            Role::Candidate(candidate) => {
                let term = candidate.term;
                self.send(shard, ToShard::Campaign { term });
            }
            Role::Standby(standby) => standby.encouraged(),
            Role::Stopped => {}
        }
    }

    fn granted(&mut self, shard: IdentityKey, term: Term) {
        match &mut self.role {
            Role::Candidate(candidate) if candidate.term == term => candidate.granted(shard),
            Role::Leader(leader) if leader.term == term => {
                if let Some(word) = self.electorate.word(&shard) {
                    leader.granted(self.now, shard, word);
                }
            }
            // Of a campaign that is over.
            _ => {}
        }
    }

    /// A shard says that it does not follow this coordinator.
    fn declined(&mut self, shard: IdentityKey, term: Term, ear: Ear) {
        match &mut self.role {
            Role::Candidate(candidate) => candidate.declined(shard, term, ear),
            Role::Leader(leader) if leader.has(&shard) && term > leader.term => {
                leader.estranged(shard);
            }
            Role::Leader(leader) if ear == Ear::Leader => leader.declined(&shard),
            // It lost sight of this coordinator, or has just come.
            Role::Leader(leader) if term <= leader.term => self.ask(shard),
            _ => {}
        }
    }

    /// Asks a shard to let this coordinator, which leads, lead it too.
    fn ask(&mut self, shard: IdentityKey) {
        let Role::Leader(leader) = &mut self.role else { return };
        if let Some(term) = leader.ask(self.now, shard) {
            self.send(shard, ToShard::Campaign { term });
        }
    }

    fn work_done(&mut self, done: WorkDone) {
        if let Role::Leader(leader) = &mut self.role {
            leader.work_done(self.now, done);
        }
    }

    /// Acts on everything that is due.
    fn finish(&mut self) {
        self.fetch();
        match &self.role {
            Role::Standby(_) => self.stand_by(),
            Role::Candidate(_) => self.pursue(),
            Role::Leader(_) => self.lead_on(),
            Role::Stopped => {}
        }
    }

    /// Asks a shard for a document that is lacking.
    fn fetch(&mut self) {
        if matches!(self.role, Role::Leader(_) | Role::Stopped) {
            return;
        }
        if let Some((shard, epoch)) = self.library.next(self.now, &self.electorate) {
            self.send(shard, ToShard::Show { epoch });
        }
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        let role = match &self.role {
            Role::Standby(standby) => standby.deadline(),
            Role::Candidate(candidate) => Some(candidate.deadline()),
            Role::Leader(leader) => Some(leader.deadline()),
            Role::Stopped => None,
        };
        role.into_iter().chain(self.library.deadline()).filter(|at| *at > self.now).min()
    }

    fn stop(&mut self) {
        match &mut self.role {
            Role::Leader(leader) => leader.stop(),
            Role::Candidate(candidate) => {
                let shards: Vec<_> = candidate.followers().copied().collect();
                shards.into_iter().for_each(|shard| self.send(shard, ToShard::Resign));
                self.role = Role::Stopped;
            }
            Role::Standby(_) | Role::Stopped => self.role = Role::Stopped,
        }
    }

    fn leads_in(&self) -> Option<Term> {
        match &self.role {
            Role::Leader(leader) => Some(leader.term),
            _ => None,
        }
    }

    fn status(&self) -> Status {
        let linked = self.electorate.len();
        let standing = |role: &str, term: Term, shards| LeadershipStatus {
            role: role.to_owned(),
            term: term.0,
            shards,
        };
        let term = self.electorate.term();
        match &self.role {
            Role::Leader(leader) => {
                let leadership = standing("leader", leader.term, leader.followers().count());
                Status { leadership, ..leader.coordinator.status() }
            }
            Role::Candidate(candidate) => self.idle_status(standing(
                "candidate",
                candidate.term,
                candidate.followers().count(),
            )),
            Role::Standby(_) => self.idle_status(standing("standby", term, linked)),
            Role::Stopped => self.idle_status(standing("stopped", term, linked)),
        }
    }

    /// How a coordinator stands that does not lead.
    fn idle_status(&self, leadership: LeadershipStatus) -> Status {
        let network = &self.rules.network;
        let (_, last) = self.electorate.numbers(|_| true);
        let (current, next) = self.library.in_force(last.next(), &self.electorate);
        let epoch =
            |signed: Option<Arc<SignedDocument>>| signed.map(|signed| EpochStatus::of(&signed));
        let presence = self.electorate.presence(|_, _| true);
        Status {
            network: hex::encode(network.id().0),
            now_ms: self.now.0,
            leadership,
            rounds: RoundsStatus {
                conduct: "standby".to_owned(),
                last: last.0,
                open: Vec::new(),
                clock_behind_ms: 0,
                took_ms: 0,
                may_take_ms: 0,
            },
            epoch: epoch(current),
            next_epoch: epoch(next),
            planned: None,
            shards: Vec::new(),
            quorum: QuorumStatus {
                present_weight: presence.present_weight,
                needed_weight: crate::planner::quorum::least_weight(network),
                total_weight: presence.total_weight,
                absent: presence.absent,
            },
            guarantee: GuaranteeStatus::of(&network.policy),
        }
    }

    fn reject(&mut self, shard: IdentityKey, reason: String) {
        let message = ToShard::Reject { reason: Blob(reason.clone().into_bytes()) };
        self.send(shard, message);
        self.notice(Notice::ShardRejected { shard, reason });
    }

    fn send(&mut self, to: IdentityKey, message: ToShard) {
        self.outputs.push_back(Output::Send { to, message: Arc::new(message) });
    }

    fn notice(&mut self, notice: Notice) {
        self.outputs.push_back(Output::Notice(notice));
    }
}
