//! Whom a contact has turned out to be, and what it means when that changes.

use std::fmt;

use crate::{Identity, SafetyNumber, SessionBinding};

/// The two identities of a contact, with the session in which they were told, and whether the user compared them.
/// All of it is local: no partner learns that it was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acquaintance {
    /// The user's own identity towards this contact.
    pub own: Identity,
    /// The partner's identity.
    pub partner: Identity,
    /// The session in which they were told.
    pub session: SessionBinding,
    /// `true` once the user has compared the safety number.
    pub verified: bool,
}

/// Difference between a contact as it was and as a new session shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The same two identities.
    None,
    /// The partner has another identity.
    Partner {
        /// The user had compared the old one.
        was_verified: bool,
    },
    /// The same identities, and the partner does not know the session in which they were told.
    Session {
        /// The user had compared the old one.
        was_verified: bool,
    },
    /// The user's own identity towards this contact is another one.
    Own {
        /// The user had compared the old one.
        was_verified: bool,
    },
}

impl Acquaintance {
    /// A contact whose identity has just been told for the first time.
    #[must_use]
    pub fn new(own: Identity, partner: Identity, session: SessionBinding) -> Self {
        Self { own, partner, session, verified: false }
    }

    /// The number to compare with the partner.
    #[must_use]
    pub fn safety_number(&self) -> SafetyNumber {
        SafetyNumber::new(&self.own, &self.partner, &self.session)
    }

    /// Takes the identities that a later session told. The same ones leave everything as it is, the safety number
    /// included, also after a restored backup; others begin anew and are not verified.
    pub fn told(&mut self, own: Identity, partner: Identity, session: SessionBinding) -> Change {
        let was_verified = self.verified;
        let change = if partner != self.partner {
            Change::Partner { was_verified }
        } else if own != self.own {
            Change::Own { was_verified }
        } else {
            return Change::None;
        };
        *self = Self::new(own, partner, session);
        change
    }
}

impl Change {
    /// The explanation for the user, with the name under which the contact is known; `None` if nothing changed.
    #[must_use]
    pub fn explained<'a>(&self, name: &'a str) -> Option<Explanation<'a>> {
        (*self != Self::None).then_some(Explanation { change: *self, name })
    }
}

/// A change of identity in words.
#[derive(Clone, Copy, Debug)]
pub struct Explanation<'a> {
    change: Change,
    name: &'a str,
}

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name;
        let verified = |was: bool, lost: &str| if was { format!(" {lost}") } else { String::new() };
        match self.change {
            Change::None => Ok(()),
            Change::Partner { was_verified } => write!(
                f,
                "{name} has another identity than before. That happens when somebody loses a device without \
                 a backup and begins anew; restoring a backup, an update or a new gateway do not cause it. It \
                 also happens if somebody else has taken {name}'s place.{} Ask {name} on another way what \
                 happened, and compare the new safety number before you write what only {name} may read.",
                verified(
                    was_verified,
                    "You had verified the old identity; the new one is not verified."
                ),
            ),
            Change::Session { was_verified } => write!(
                f,
                "{name} does not know the safety number that the two of you had. That happens when {name} \
                 goes on from an old copy of the profile; an update or a new gateway do not cause it. It also happens if somebody else has taken {name}'s \
                 place.{} Ask {name} on another way what happened, and compare the new safety number before you \
                 write what only {name} may read.",
                verified(
                    was_verified,
                    "You had verified the old number; the new one is not verified."
                ),
            ),
            Change::Own { was_verified } => write!(
                f,
                "Your own identity towards {name} is another one than before, because this profile has been \
                 begun anew.{} {name} is told as well. Compare the new safety number with {name}.",
                verified(was_verified, "That you had verified the old one no longer counts."),
            ),
        }
    }
}

#[cfg(test)]
mod tests;
