//! The shards that are connected, and what they registered.

use std::collections::{BTreeMap, BTreeSet};

use antiphon_wire::{
    Digest, Epoch, HeldEpoch, IdentityKey, NetworkFile, OperatorIndex, OperatorList,
    PROTOCOL_VERSION, Registration, Round, Signed, SignedDocument, Standing, Timestamp,
};

/// Epochs for which a shard may say that it has keys; more are not remembered.
const MOST_HELD: usize = 8;
/// Links that are remembered at once.
const MOST_MEMBERS: usize = 4096;

/// Reason for which a registration is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// The shard speaks another protocol version.
    #[error("the shard speaks protocol version {0}, this coordinator {PROTOCOL_VERSION}")]
    Version(u16),
    /// The list is for another network file.
    #[error("the operator list is for network {found}, this is {ours}: compare the network files")]
    Network {
        /// Network that the list is for.
        found: Digest,
        /// Network of this coordinator.
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

/// A shard that is here and registered.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(super) registration: Registration,
    pub(super) signed_epoch: Epoch,
    pub(super) served_round: Round,
    /// Epochs that it has the keys of; the newest few.
    held: BTreeMap<Epoch, Digest>,
    /// Since when it is here.
    pub(super) since: Timestamp,
    pub(super) stay: Stay,
}

/// Plans of a shard to stay or leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stay {
    Staying,
    /// It wants to be in no epoch that is still to come, since then.
    Leaving(Timestamp),
    /// It wants so since then, and was told that no epoch could come about without it. It stays after all, or goes,
    /// or leaves when others have come.
    Needed(Timestamp),
    /// It was told that nothing more is wanted of it.
    Released,
}

impl Member {
    pub(super) fn list(&self) -> &Signed<OperatorList> {
        &self.registration.list
    }

    pub(crate) fn operator(&self) -> OperatorIndex {
        self.list().claimed().operator
    }

    /// Returns `true` if it can serve rounds of this very document.
    pub(super) fn holds(&self, signed: &SignedDocument) -> bool {
        self.held.get(&signed.document.epoch) == Some(&signed.document.digest())
    }

    /// How far it is with leaving, in a word; `None` if it stays.
    pub(crate) fn departure(&self) -> Option<&'static str> {
        match self.stay {
            Stay::Staying | Stay::Needed(_) => None,
            Stay::Leaving(_) => Some("leaving"),
            Stay::Released => Some("released"),
        }
    }

    /// Returns `true` if it is to be in no epoch that is still to come.
    pub(crate) const fn is_leaving(&self) -> bool {
        matches!(self.stay, Stay::Leaving(_) | Stay::Released)
    }

    /// Returns `true` if it has said that it may be gone soon.
    pub(crate) fn may_go(&self) -> bool {
        self.stay != Stay::Staying
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
        // Without a link there is nobody to register.
        if let Some(link) = self.links.get_mut(&identity) {
            let mut member = Member {
                registration,
                signed_epoch: standing.signed_epoch,
                served_round: standing.served_round,
                held: BTreeMap::new(),
                // A shard that registers anew on the same link has been here since before, and still leaves
                // if it was leaving.
                since: link.as_ref().map_or(now, |before| before.since),
                stay: link.as_ref().map_or(Stay::Staying, |before| before.stay),
            };
            standing.held.into_iter().for_each(|held| member.hold(held));
            *link = Some(member);
        }
        Ok(())
    }

    pub(crate) fn member(&self, identity: &IdentityKey) -> Option<&Member> {
        self.links.get(identity)?.as_ref()
    }

    pub(super) fn member_mut(&mut self, identity: &IdentityKey) -> Option<&mut Member> {
        self.links.get_mut(identity)?.as_mut()
    }

    /// Notes that the shards of a document that all have signed have its keys.
    pub(super) fn note_held(&mut self, signed: &SignedDocument) {
        let held = HeldEpoch { epoch: signed.document.epoch, document: signed.document.digest() };
        for shard in &signed.document.shards {
            if let Some(member) = self.member_mut(&shard.identity) {
                member.hold(held);
            }
        }
    }

    pub(super) fn members(&self) -> impl Iterator<Item = (&IdentityKey, &Member)> {
        self.links.iter().filter_map(|(identity, link)| Some((identity, link.as_ref()?)))
    }

    /// The operator and a number of each shard.
    pub(super) fn marks(
        &self,
        mark: impl Fn(&Member) -> u64,
    ) -> impl Iterator<Item = (OperatorIndex, u64)> {
        self.members().map(move |(_, member)| (member.operator(), mark(member)))
    }
}

/// Checks a registration, over the link of `identity`, for epochs from `next` on.
///
/// # Errors
/// Why no coordinator of the network accepts it.
pub fn check(
    identity: &IdentityKey,
    registration: &Registration,
    network: &NetworkFile,
    next: Epoch,
) -> Result<(), RegistrationError> {
    if registration.version != PROTOCOL_VERSION {
        return Err(RegistrationError::Version(registration.version));
    }
    // Claims only until the signature is checked, which needs the operator that they name.
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
