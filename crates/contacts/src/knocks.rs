//! Invitations that have come, until the user decides on them.

use antiphon_wire::Timestamp;

use crate::{BoxAddress, CallRoot, Invitation, InvitationBox, InvitationRound, OwnCodes, Side};

/// Invitations under one code and in one box that are looked at; whoever sends more loses the rest.
pub const MOST_KNOCKS: usize = 8;

/// An invitation that has been opened. Nobody sees that it was, nor what the user does about it: only accepting it
/// leads to a call.
pub struct Knock {
    label: String,
    root: CallRoot,
    inviter: BoxAddress,
}

impl std::fmt::Debug for Knock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Knock(..)")
    }
}

/// A contact to be: the user calls at the inviter's box, and both tell their identities in the session.
#[derive(Debug)]
pub struct Accepted {
    /// The secret to call with.
    pub root: CallRoot,
    /// The user's end.
    pub side: Side,
    /// Where the inviter listens.
    pub partner: BoxAddress,
}

impl Knock {
    pub(crate) fn new(label: String, root: CallRoot, inviter: BoxAddress) -> Self {
        Self { label, root, inviter }
    }

    /// The label of the code under which it came, which is all that is known of the inviter.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Takes the invitation. The next call at the inviter's box tells the inviter.
    #[must_use]
    pub fn accept(self) -> Accepted {
        Accepted { root: self.root, side: Side::Second, partner: self.inviter }
    }

    /// Refuses the invitation by erasing it: for the inviter it is as if nobody had looked.
    pub fn decline(self) {}
}

/// Invitations that a box held for a user.
#[derive(Debug, Default)]
pub struct Knocks {
    /// Those to decide on, at most [`MOST_KNOCKS`] for each code.
    pub knocks: Vec<Knock>,
    /// Labels of codes under which more came. Somebody floods them; the user may revoke them.
    pub flooded: Vec<String>,
}

impl OwnCodes {
    /// Tries every code on every item of the box of `round`, which began at `time`. It takes the same work whatever is
    /// in the box, but for what is found.
    #[must_use]
    pub fn knocks(
        &self,
        published: &InvitationBox,
        round: InvitationRound,
        time: Timestamp,
    ) -> Knocks {
        let mut found = Knocks::default();
        let items = published.items().iter().map(|item| Invitation::from_bytes(*item));
        let items: Vec<_> = items.collect();
        for own in self.all() {
            // All are tried, so that the time does not tell how many there were.
            let mut opened: Vec<Knock> =
                items.iter().filter_map(|item| item.open(own, round, time)).collect();
            if opened.len() > MOST_KNOCKS {
                found.flooded.push(own.label().to_owned());
            }
            opened.truncate(MOST_KNOCKS);
            found.knocks.extend(opened);
        }
        found
    }
}
