//! The shards that are connected, and what they registered.

use std::collections::{BTreeMap, BTreeSet};

use antiphon_wire::{
    Digest, Epoch, IdentityKey, NetworkFile, OperatorIndex, OperatorList, PROTOCOL_VERSION,
    Registration, Round, Signed,
};

/// Rounds for which a shard may say ahead that it is ready; more are not remembered.
const MOST_READY: usize = 256;
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
    ready: BTreeSet<(Epoch, Round)>,
}

impl Member {
    pub(crate) fn list(&self) -> &Signed<OperatorList> {
        &self.registration.list
    }

    pub(crate) fn operator(&self) -> OperatorIndex {
        self.list().claimed().operator
    }
}

/// All links, and the registered shards among them.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    links: BTreeMap<IdentityKey, Option<Member>>,
}

impl Roster {
    /// Adds a link. Says whether it replaces the link of a registered shard.
    pub(crate) fn connect(&mut self, identity: IdentityKey) -> bool {
        if self.links.len() >= MOST_MEMBERS && !self.links.contains_key(&identity) {
            return false;
        }
        self.links.insert(identity, None).flatten().is_some()
    }

    /// Forgets a link. Says whether it was that of a registered shard.
    pub(crate) fn disconnect(&mut self, identity: &IdentityKey) -> bool {
        self.links.remove(identity).flatten().is_some()
    }

    /// Checks and takes a registration that came over the link of `identity`.
    pub(crate) fn register(
        &mut self,
        identity: IdentityKey,
        registration: Registration,
        network: &NetworkFile,
        next: Epoch,
    ) -> Result<(), RegistrationError> {
        check(&identity, &registration, network, next)?;
        if let Some(link) = self.links.get_mut(&identity) {
            let ready = link.take().map(|member| member.ready).unwrap_or_default();
            *link = Some(Member { registration, ready });
        }
        Ok(())
    }

    pub(crate) fn member(&self, identity: &IdentityKey) -> Option<&Member> {
        self.links.get(identity)?.as_ref()
    }

    pub(crate) fn is_registered(&self, identity: &IdentityKey) -> bool {
        self.member(identity).is_some()
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = (&IdentityKey, &Member)> {
        self.links.iter().filter_map(|(identity, link)| Some((identity, link.as_ref()?)))
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

fn check(
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
