//! The shards that are connected, and what they registered.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use antiphon_wire::{
    Digest, Epoch, HeldEpoch, IdentityKey, NetworkFile, OperatorIndex, OperatorList,
    PROTOCOL_VERSION, Registration, Round, Signed, SignedDocument, Standing, Timestamp,
};

use super::clocks;

/// Rounds for which a shard may say ahead that it is ready; more are not remembered.
const MOST_READY: usize = 256;
/// Readings of a shard's clock that count: of messages that were under way for different times, the
/// quickest tells best.
const READINGS: usize = 3;
/// Epochs for which a shard may say that it has keys; more are not remembered.
const MOST_HELD: usize = 8;
/// Links that are remembered at once.
const MOST_MEMBERS: usize = 4096;

/// Why a registration is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// Another protocol version.
    #[error("the shard speaks protocol version {0}, this coordinator {PROTOCOL_VERSION}")]
    Version(u16),
    /// The list is for another network file.
    #[error("the operator list is for network {found}, this is {ours}: compare the network files")]
    Network {
        /// The list's network.
        found: Digest,
        /// This coordinator's.
        ours: Digest,
    },
    /// The list is of an operator that the network file does not have.
    #[error("the network file has no operator {0}")]
    Operator(OperatorIndex),
    /// The list is not signed by its operator.
    #[error("the operator list is not signed by operator {0}")]
    Signature(OperatorIndex),
    /// The shard is not on the list.
    #[error("the shard is not on its operator's list: add {0} to the list and sign it again")]
    NotListed(IdentityKey),
    /// The list names a shard twice, which makes every document with it invalid.
    #[error("the operator list names a shard twice: remove one and sign it again")]
    Twice,
    /// All the epochs that the list is for are over.
    #[error("the operator list ends with epoch {ends}, the next epoch is {next}: sign a new list")]
    Expired {
        /// The list's last epoch.
        ends: Epoch,
        /// The earliest epoch that can be planned.
        next: Epoch,
    },
}

/// A registered shard.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) registration: Registration,
    pub(crate) signed_epoch: Epoch,
    pub(crate) served_round: Round,
    /// Epochs that it has the keys of; the newest few.
    held: BTreeMap<Epoch, Digest>,
    /// Since when it is here.
    pub(crate) since: Timestamp,
    /// By how much its clock was ahead of the coordinator's, in milliseconds, when it was read last.
    readings: VecDeque<i64>,
    /// Whether its clock was found to be off, and said so.
    pub(crate) clock_is_off: bool,
    /// Whether it is going to stop.
    pub(crate) leaving: bool,
    /// Whether it was told that it may.
    pub(crate) released: bool,
    ready: BTreeSet<(Epoch, Round)>,
}

impl Member {
    pub(crate) fn list(&self) -> &Signed<OperatorList> {
        &self.registration.list
    }

    pub(crate) fn operator(&self) -> OperatorIndex {
        self.list().claimed().operator
    }

    /// Whether it can serve rounds of this very document.
    pub(crate) fn holds(&self, signed: &SignedDocument) -> bool {
        self.held.get(&signed.document.epoch) == Some(&signed.document.digest())
    }

    pub(crate) fn read_clock(&mut self, clock: Timestamp, now: Timestamp) {
        self.readings.truncate(READINGS - 1);
        self.readings.push_front(clocks::ahead_ms(clock, now));
    }

    /// By how much its clock is ahead of the coordinator's, in milliseconds.
    pub(crate) fn ahead_ms(&self) -> i64 {
        self.readings.iter().copied().max().unwrap_or(0)
    }

    fn hold(&mut self, HeldEpoch { epoch, document }: HeldEpoch) {
        self.held.insert(epoch, document);
        while self.held.len() > MOST_HELD {
            self.held.pop_first();
        }
    }
}

/// All links, and the registered shards among them.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    links: BTreeMap<IdentityKey, Option<Member>>,
}

impl Roster {
    /// Adds a link. Returns the registered shard whose link it replaces, if it does.
    pub(crate) fn connect(&mut self, identity: IdentityKey) -> Option<Member> {
        if self.links.len() >= MOST_MEMBERS && !self.links.contains_key(&identity) {
            return None;
        }
        self.links.insert(identity, None).flatten()
    }

    /// Forgets a link. Returns the registered shard whose link it was, if it was one.
    pub(crate) fn disconnect(&mut self, identity: &IdentityKey) -> Option<Member> {
        self.links.remove(identity).flatten()
    }

    /// Checks and takes a registration that came over the link of `identity`.
    pub(crate) fn register(
        &mut self,
        identity: IdentityKey,
        (registration, standing): (Registration, Standing),
        network: &NetworkFile,
        (next, now): (Epoch, Timestamp),
    ) -> Result<(), RegistrationError> {
        check(&identity, &registration, network, next)?;
        if let Some(link) = self.links.get_mut(&identity) {
            let before = link.take();
            let mut member = Member {
                registration,
                signed_epoch: standing.signed_epoch,
                served_round: standing.served_round,
                held: BTreeMap::new(),
                since: before.as_ref().map_or(now, |member| member.since),
                readings: VecDeque::from([clocks::ahead_ms(standing.clock, now)]),
                clock_is_off: before.as_ref().is_some_and(|member| member.clock_is_off),
                leaving: before.as_ref().is_some_and(|member| member.leaving),
                released: false,
                ready: before.map(|member| member.ready).unwrap_or_default(),
            };
            standing.held.into_iter().for_each(|held| member.hold(held));
            *link = Some(member);
        }
        Ok(())
    }

    pub(crate) fn member(&self, identity: &IdentityKey) -> Option<&Member> {
        self.links.get(identity)?.as_ref()
    }

    pub(crate) fn member_mut(&mut self, identity: &IdentityKey) -> Option<&mut Member> {
        self.links.get_mut(identity)?.as_mut()
    }

    /// Notes that the shards of a document that all have signed have its keys.
    pub(crate) fn note_held(&mut self, signed: &SignedDocument) {
        let held = HeldEpoch { epoch: signed.document.epoch, document: signed.document.digest() };
        for shard in &signed.document.shards {
            if let Some(member) = self.member_mut(&shard.identity) {
                member.hold(held);
            }
        }
    }

    pub(crate) fn is_registered(&self, identity: &IdentityKey) -> bool {
        self.member(identity).is_some()
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = (&IdentityKey, &Member)> {
        self.links.iter().filter_map(|(identity, link)| Some((identity, link.as_ref()?)))
    }

    /// The operator and a number of each shard.
    pub(crate) fn marks(
        &self,
        mark: impl Fn(&Member) -> u64,
    ) -> impl Iterator<Item = (OperatorIndex, u64)> {
        self.members().map(move |(_, member)| (member.operator(), mark(member)))
    }

    /// Notes that a shard is ready for a round.
    pub(crate) fn set_ready(&mut self, identity: &IdentityKey, epoch: Epoch, round: Round) {
        if let Some(Some(member)) = self.links.get_mut(identity)
            && member.ready.len() < MOST_READY
        {
            member.ready.insert((epoch, round));
        }
    }

    pub(crate) fn is_ready(&self, identity: &IdentityKey, epoch: Epoch, round: Round) -> bool {
        self.member(identity).is_some_and(|member| member.ready.contains(&(epoch, round)))
    }

    /// Forgets what was said about rounds up to `round`.
    pub(crate) fn forget_ready(&mut self, round: Round) {
        for member in self.links.values_mut().flatten() {
            member.ready.retain(|(_, ready)| *ready > round);
        }
    }
}

/// Checks a registration for epochs from `next` on.
pub(crate) fn check(
    identity: &IdentityKey,
    registration: &Registration,
    network: &NetworkFile,
    next: Epoch,
) -> Result<(), RegistrationError> {
    if registration.version != PROTOCOL_VERSION {
        return Err(RegistrationError::Version(registration.version));
    }
    let claimed = registration.list.claimed();
    let ours = network.id();
    if claimed.network != ours {
        return Err(RegistrationError::Network { found: claimed.network, ours });
    }
    let operator = claimed.operator;
    let known = network.operator(operator).ok_or(RegistrationError::Operator(operator))?;
    let list =
        registration.list.verify(&known.key).map_err(|_| RegistrationError::Signature(operator))?;
    if !list.shards.contains(identity) {
        return Err(RegistrationError::NotListed(*identity));
    }
    let distinct: BTreeSet<_> = list.shards.iter().collect();
    if distinct.len() != list.shards.len() {
        return Err(RegistrationError::Twice);
    }
    if list.last_epoch < next {
        return Err(RegistrationError::Expired { ends: list.last_epoch, next });
    }
    Ok(())
}
