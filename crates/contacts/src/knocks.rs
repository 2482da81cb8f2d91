//! Invitations that have come, until the user decides on them.

use antiphon_wire::Timestamp;
use zeroize::Zeroizing;

use crate::{
    BoxAddress, CODE_BYTES, CallRoot, ContactCode, INVITATION_SECRET_BYTES, Invitation,
    InvitationBox, InvitationRound, InvitationSecret, OwnCodes, Side,
};

/// Invitations under one code and in one box that are looked at; whoever sends more loses the rest.
pub const MOST_KNOCKS: usize = 8;

const VERSION: u8 = 1;
/// Version, secret, the inviter's box address, code, and the length of the label.
const FIXED_BYTES: usize = 1 + INVITATION_SECRET_BYTES + 1 + CODE_BYTES + 1;

/// An invitation that has been opened. Nobody sees that it was, nor what the user does about it: only accepting it
/// leads to a call.
pub struct Knock {
    label: String,
    code: ContactCode,
    inviter: BoxAddress,
    secret: InvitationSecret,
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
    /// Where the inviter expects the user to listen.
    pub own: BoxAddress,
}

/// Reason why a kept invitation cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this record of an invitation is damaged, or a newer program wrote it")]
pub struct KnockError;

impl Knock {
    pub(crate) fn new(
        label: String,
        code: ContactCode,
        inviter: BoxAddress,
        secret: InvitationSecret,
    ) -> Self {
        Self { label, code, inviter, secret }
    }

    /// The label of the code under which it came, which is all that is known of the inviter.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The mark that it has in common with the same invitation of other rounds.
    #[must_use]
    pub fn mark(&self) -> [u8; 16] {
        self.secret.mark()
    }

    /// Takes the invitation. The next call at the inviter's box tells the inviter.
    #[must_use]
    pub fn accept(self) -> Accepted {
        Accepted {
            root: self.secret.root(&self.code, self.inviter),
            side: Side::Second,
            partner: self.inviter,
            own: self.code.address,
        }
    }

    /// The record to keep until the user decides: version, secret, the inviter's box address, code, and the label behind its
    /// length.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(FIXED_BYTES + self.label.len()));
        bytes.push(VERSION);
        bytes.extend_from_slice(self.secret.bytes());
        bytes.push(self.inviter.0);
        bytes.extend_from_slice(&self.code.to_bytes());
        bytes.push(u8::try_from(self.label.len()).expect("a code's label has at most 64 bytes"));
        bytes.extend_from_slice(self.label.as_bytes());
        bytes
    }

    /// The invitation that a record holds.
    ///
    /// # Errors
    /// [`KnockError`] if nobody can have written it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KnockError> {
        let (version, rest) = bytes.split_first().ok_or(KnockError)?;
        let (secret, rest) = rest.split_first_chunk().ok_or(KnockError)?;
        let (inviter, rest) = rest.split_first().ok_or(KnockError)?;
        let (code, rest) = rest.split_first_chunk::<CODE_BYTES>().ok_or(KnockError)?;
        let (length, label) = rest.split_first().ok_or(KnockError)?;
        if *version != VERSION || usize::from(*length) != label.len() {
            return Err(KnockError);
        }
        let label = std::str::from_utf8(label).map_err(|_| KnockError)?;
        let code = ContactCode::from_bytes(code).map_err(|_| KnockError)?;
        let secret = InvitationSecret::from_bytes(*secret);
        Ok(Self::new(label.to_owned(), code, BoxAddress(*inviter), secret))
    }
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
