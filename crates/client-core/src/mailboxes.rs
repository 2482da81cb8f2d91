//! What the client deposits in mailbox rounds, and the boxes that it is handed.

use std::collections::{BTreeMap, BTreeSet};

use antiphon_routing::VerifiedEpoch;
use antiphon_wire::{
    BoxContent, BoxError, BoxStatement, DEAD_DROP_BYTES, Epoch, INVITATION_BYTES, Round, RoundKind,
    Services, Signed, Timestamp, Token, box_dead_drop,
};

/// Postings that wait for their rounds, at most.
const MOST_WAITING: usize = 64;
/// Boxes of which it is remembered that they came.
const MOST_REMEMBERED: usize = 512;

/// Item for a box.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// A call.
    Call(Token),
    /// An invitation.
    Invitation([u8; INVITATION_BYTES]),
}

impl std::fmt::Debug for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Call(_) => "Call(..)",
            Self::Invitation(_) => "Invitation(..)",
        })
    }
}

impl Item {
    /// The kind of the rounds that it is for.
    pub const fn kind(&self) -> RoundKind {
        match self {
            Self::Call(_) => RoundKind::Calls,
            Self::Invitation(_) => RoundKind::Invitations,
        }
    }
}

/// Item that the client is to deposit in one round, in the place of its dummy. Items are made for their rounds: in another
/// one they would be noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posting {
    /// Round in which it is deposited.
    pub round: Round,
    /// Number of the box that it is for.
    pub number: u16,
    /// Item to deposit.
    pub item: Item,
}

impl Posting {
    /// Writes it over the beginning of a deposit of random bytes.
    pub(crate) fn write(&self, epoch: Epoch, deposit: &mut [u8]) {
        let dead_drop = box_dead_drop(self.item.kind(), epoch, self.round, self.number);
        deposit[..DEAD_DROP_BYTES].copy_from_slice(&dead_drop);
        let body = &mut deposit[DEAD_DROP_BYTES..];
        match &self.item {
            Item::Call(token) => {
                let token = token.to_bytes();
                body[..token.len()].copy_from_slice(&token);
            }
            Item::Invitation(bytes) => body[..bytes.len()].copy_from_slice(bytes),
        }
    }
}

/// Reason why a posting was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// The round is for something else, or the network has no such rounds.
    #[error("round {round} is for {found}: see which one is next for this item")]
    OtherKind {
        /// Round that was named.
        round: Round,
        /// Service that it is for.
        found: RoundKind,
    },
    /// The network has none of these rounds, or its documents end before the next.
    #[error("this network has no rounds for {0}: its network file says so")]
    NoRounds(RoundKind),
    /// There is nothing to post in the round: its keys are gone, say.
    #[error("there is no item for round {0}")]
    NoItem(Round),
    /// The network has fewer boxes.
    #[error("there is no box {number}: the network has {boxes}")]
    NoSuchBox {
        /// Number that was named.
        number: u16,
        /// Boxes of the service.
        boxes: u16,
    },
    /// The round's onions were built, or it was passed over.
    #[error("round {0} is over: make the item for a later one")]
    TooLate(Round),
    /// There is one onion in a round.
    #[error("round {0} has another posting: make the item for a later one")]
    Taken(Round),
    /// More wait than are kept.
    #[error("too many postings wait for their rounds")]
    TooMany,
}

/// Reason why a box is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BoxRefusal {
    /// No document of the epoch is held, which names the host.
    #[error("no document of the box's epoch is known")]
    UnknownEpoch,
    /// The round has no such box, or it is another network's.
    #[error("the round has no such box")]
    NoSuchBox,
    /// Another shard hosts it, or its host has not signed it.
    #[error("its host has not signed the box")]
    Unsigned,
    /// Its host has published what nobody can read.
    #[error(transparent)]
    Garbled(#[from] BoxError),
}

/// Postings to come, and boxes.
#[derive(Debug, Default)]
pub(crate) struct Mailboxes {
    waiting: BTreeMap<Round, Posting>,
    /// Boxes of rounds that were served, with the times at which they count as missing.
    awaited: BTreeMap<(Round, u16), Timestamp>,
    came: BTreeSet<(Round, u16)>,
}

impl Mailboxes {
    /// Keeps a posting for its round, after `served`.
    pub(crate) fn post(
        &mut self,
        posting: Posting,
        services: &Services,
        served: Option<Round>,
    ) -> Result<(), PostError> {
        let Posting { round, number, item } = posting;
        let (found, boxes) = (services.of(round), services.boxes(item.kind()));
        if found != item.kind() {
            return Err(PostError::OtherKind { round, found });
        }
        if number >= boxes {
            return Err(PostError::NoSuchBox { number, boxes });
        }
        if served.is_some_and(|served| round <= served) {
            return Err(PostError::TooLate(round));
        }
        if self.waiting.contains_key(&round) {
            return Err(PostError::Taken(round));
        }
        if self.waiting.len() >= MOST_WAITING {
            return Err(PostError::TooMany);
        }
        self.waiting.insert(round, posting);
        Ok(())
    }

    pub(crate) fn has(&self, round: Round) -> bool {
        self.waiting.contains_key(&round)
    }

    /// The posting of `round`, and those of rounds before it, which are over.
    pub(crate) fn take(&mut self, round: Round) -> (Option<Posting>, Vec<Posting>) {
        let later = self.waiting.split_off(&round.next());
        let mut due = std::mem::replace(&mut self.waiting, later);
        let now = due.remove(&round);
        (now, due.into_values().collect())
    }

    /// Expects the boxes of a round until `due`.
    pub(crate) fn expect(&mut self, round: Round, boxes: u16, due: Timestamp) {
        let keys = (0..boxes).map(|number| (round, number));
        self.awaited.extend(keys.filter(|key| !self.came.contains(key)).map(|key| (key, due)));
    }

    /// Expects no boxes of a round that was aborted.
    pub(crate) fn give_up(&mut self, round: Round) {
        self.awaited.retain(|(of, _), _| *of != round);
    }

    /// Boxes that should have come by now.
    pub(crate) fn missing(&mut self, now: Timestamp) -> Vec<(Round, u16)> {
        self.awaited.extract_if(.., |_, due| *due <= now).map(|(key, _)| key).collect()
    }

    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.awaited.values().min().copied()
    }

    /// Takes note of a box. Returns whether it is the first with its number, as far as is remembered.
    pub(crate) fn note(&mut self, round: Round, number: u16) -> bool {
        self.awaited.remove(&(round, number));
        let is_full = self.came.len() >= MOST_REMEMBERED;
        if is_full && self.came.first().is_some_and(|first| (round, number) < *first) {
            return false;
        }
        let is_first = self.came.insert((round, number));
        if self.came.len() > MOST_REMEMBERED {
            self.came.pop_first();
        }
        is_first
    }

    /// The last round of which a box has come.
    pub(crate) fn last_box(&self) -> Option<Round> {
        self.came.last().map(|(round, _)| *round)
    }
}

/// The items of a box that its host has signed.
pub(crate) fn checked(
    epoch: &VerifiedEpoch,
    published: &Signed<BoxStatement>,
) -> Result<BoxContent, BoxRefusal> {
    let claimed = published.claimed();
    let (round, number) = (claimed.round, claimed.number);
    let kind = epoch.kind_of(round);
    if claimed.network != epoch.document().network
        || !epoch.document().covers(round)
        || number >= epoch.services().boxes(kind)
    {
        return Err(BoxRefusal::NoSuchBox);
    }
    let host = epoch.box_host(round, number);
    let identity = &epoch.shards()[host.position()].identity;
    let statement = published.verify(identity).map_err(|_| BoxRefusal::Unsigned)?;
    if statement.shard != host {
        return Err(BoxRefusal::Unsigned);
    }
    Ok(BoxContent::parse(kind, &statement.content.0)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(round: u64) -> Posting {
        let item = Item::Call(Token::from_bytes([7; 5]));
        Posting { round: Round(round), number: 0, item }
    }

    #[test]
    fn a_posting_is_for_one_round_of_its_kind_which_is_to_come() {
        let mut mailboxes = Mailboxes::default();
        let mut post = |posting| mailboxes.post(posting, &Services::USUAL, Some(Round(20)));
        let found = RoundKind::DeadDrops;
        assert_eq!(post(call(24)), Err(PostError::OtherKind { round: Round(24), found }));
        let found = RoundKind::Invitations;
        assert_eq!(post(call(359)), Err(PostError::OtherKind { round: Round(359), found }));
        assert_eq!(post(call(11)), Err(PostError::TooLate(Round(11))));
        let elsewhere = Posting { number: 1, ..call(23) };
        assert_eq!(post(elsewhere), Err(PostError::NoSuchBox { number: 1, boxes: 1 }));
        assert_eq!(post(call(23)), Ok(()));
        assert_eq!(post(call(23)), Err(PostError::Taken(Round(23))));
        assert_eq!(post(call(35)), Ok(()));
        // Round 23 was never opened.
        assert_eq!(mailboxes.take(Round(35)), (Some(call(35)), vec![call(23)]));
        assert_eq!(mailboxes.take(Round(47)), (None, vec![]));
    }

    #[test]
    fn what_waits_and_what_is_remembered_is_bounded() {
        let mut mailboxes = Mailboxes::default();
        let rounds =
            (0..4000).filter(|round| Services::USUAL.of(Round(*round)) == RoundKind::Calls);
        let taken = rounds.map(|round| mailboxes.post(call(round), &Services::USUAL, None));
        let taken: Vec<_> = taken.collect();
        assert_eq!(taken.iter().filter(|taken| taken.is_ok()).count(), MOST_WAITING);
        assert_eq!(taken.last(), Some(&Err(PostError::TooMany)));
        for round in 0..2000 {
            assert!(mailboxes.note(Round(round), 0));
            // Neither again nor long after.
            assert!(!mailboxes.note(Round(round), 0) && !mailboxes.note(Round(round / 3), 0));
        }
        assert_eq!(mailboxes.came.len(), MOST_REMEMBERED);
    }

    #[test]
    fn a_box_that_does_not_come_in_time_is_missed_once() {
        let mut mailboxes = Mailboxes::default();
        mailboxes.note(Round(11), 0);
        mailboxes.expect(Round(11), 2, Timestamp(50));
        mailboxes.expect(Round(23), 1, Timestamp(60));
        assert_eq!(mailboxes.next_deadline(), Some(Timestamp(50)));
        assert_eq!(mailboxes.missing(Timestamp(59)), [(Round(11), 1)]);
        mailboxes.give_up(Round(23));
        assert_eq!(mailboxes.missing(Timestamp(100)), []);
    }
}
