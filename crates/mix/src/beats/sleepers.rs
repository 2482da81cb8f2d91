//! Rounds that clients left to this gateway, as they sleep in them.
//!
//! A client that sleeps leaves its onions and the cells of all beats of a round ahead. The gateway hands them in like
//! any other client's, and keeps what comes back: in the place of what was left, so that a round takes as much room
//! from first to last, whatever its cells carry. It gives all of it at once, to whoever shows the round's ticket.

use std::collections::BTreeMap;
use std::sync::Arc;

use antiphon_wire::{Blob, Digest, Epoch, MOST_ROUNDS_LEFT, Round, Timestamp, ToClient};

use crate::io::ClientId;

/// Milliseconds for which a round is kept after its epoch has expired: a client that wakes up late has as long to come.
const KEPT_MS: u64 = 3_600_000;

/// Bytes that a round takes beside its onions, cells and replies, about.
const OVERHEAD_BYTES: usize = 512;

/// Reason why a round is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LeaveError {
    #[error("a round is left before it opens, in the epoch that serves it, and if beats follow it")]
    Round,
    #[error(
        "a round is left with two onions per pair, and as many cells for each beat that it can have"
    )]
    Size,
    #[error("a client leaves at most {} rounds", MOST_ROUNDS_LEFT)]
    TooMany,
    #[error("another client has left this round under this ticket")]
    Second,
    #[error("this gateway keeps as much for sleeping clients as it can; use another one")]
    Full,
}

/// A round that a client leaves.
pub(crate) struct Parcel {
    pub(crate) epoch: Epoch,
    pub(crate) round: Round,
    pub(crate) ticket: Digest,
    pub(crate) onions: Vec<u8>,
    pub(crate) cells: Vec<u8>,
    /// Bytes of the cells of one beat.
    pub(crate) beat_bytes: usize,
    /// Bytes of the replies that come back.
    pub(crate) reply_bytes: usize,
    /// Time until which keys of the epoch exist.
    pub(crate) expires_at: Timestamp,
}

/// Onions that were left for a round, to be handed in as it opens.
#[derive(Debug)]
pub(crate) struct LeftOnions {
    pub(crate) client: ClientId,
    pub(crate) ticket: Digest,
    pub(crate) onions: Vec<u8>,
}

/// All rounds that are left to this gateway.
#[derive(Debug, Default)]
pub(crate) struct Sleepers {
    left: BTreeMap<(Round, Digest), Left>,
    bytes: usize,
    most_bytes: usize,
}

/// One of them.
#[derive(Debug)]
struct Left {
    epoch: Epoch,
    /// The link that it came over.
    from: ClientId,
    /// The link over which its ticket was shown last, and whether all was given there.
    awake: Option<(ClientId, bool)>,
    /// Until the round opens.
    onions: Option<Vec<u8>>,
    /// For each beat what was left, zeros once that has gone, and what came back in the end.
    cells: Vec<u8>,
    beat_bytes: usize,
    /// Number of beats up to the last that has come back.
    home: usize,
    answer: Option<Arc<ToClient>>,
    until: Timestamp,
    /// Room that is reserved for it.
    bytes: usize,
}

impl Sleepers {
    /// Nothing yet, and never more than `most_bytes`.
    pub(crate) fn new(most_bytes: usize) -> Self {
        Self { left: BTreeMap::new(), bytes: 0, most_bytes }
    }

    /// Bytes of all that is kept, replies that are still to come included.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// A client leaves a round, whose sizes are as they have to be. The same again is no second one.
    pub(crate) fn leave(&mut self, from: ClientId, parcel: Parcel) -> Result<(), LeaveError> {
        let Parcel { epoch, round, ticket, onions, cells, beat_bytes, reply_bytes, expires_at } =
            parcel;
        if let Some(before) = self.left.get(&(round, ticket)) {
            let is_same = before.epoch == epoch && before.onions.as_ref() == Some(&onions);
            return if is_same { Ok(()) } else { Err(LeaveError::Second) };
        }
        let of_it = self.left.values().filter(|left| left.from == from && left.onions.is_some());
        if of_it.count() >= MOST_ROUNDS_LEFT {
            return Err(LeaveError::TooMany);
        }
        let bytes = onions.len() + cells.len() + reply_bytes + OVERHEAD_BYTES;
        if self.bytes + bytes > self.most_bytes {
            return Err(LeaveError::Full);
        }
        self.bytes += bytes;
        let until = expires_at.plus_ms(KEPT_MS);
        let (awake, onions, answer, home) = (None, Some(onions), None, 0);
        let left =
            Left { epoch, from, awake, onions, cells, beat_bytes, home, answer, until, bytes };
        self.left.insert((round, ticket), left);
        debug_assert!(self.bytes <= self.most_bytes, "more is kept than there is room for");
        Ok(())
    }

    /// A round of `epoch` opens: what was left for it is to be handed in. What was left for rounds that will not
    /// open any more is void.
    pub(crate) fn hand_in(&mut self, epoch: Epoch, round: Round) -> Vec<LeftOnions> {
        self.drop_where(|&(of, _), left| {
            left.onions.is_some() && (of < round || (of == round && left.epoch != epoch))
        });
        let here = self.left.range_mut((round, Digest([0; 32]))..=(round, Digest([255; 32])));
        let handed = here.filter_map(|(&(_, ticket), left)| {
            let onions = left.onions.take()?;
            Some(LeftOnions { client: left.from, ticket, onions })
        });
        handed.collect()
    }

    /// A round has ended with these answers.
    pub(crate) fn answered(&mut self, round: Round, answers: &[(Digest, Arc<ToClient>)]) {
        for (ticket, answer) in answers {
            if let Some(left) = self.left.get_mut(&(round, *ticket)) {
                left.answer = Some(Arc::clone(answer));
            }
        }
    }

    /// Returns `true` if a client sleeps in this round.
    pub(crate) fn is_left(&self, round: Round, ticket: &Digest) -> bool {
        self.left.contains_key(&(round, *ticket))
    }

    /// The link at which a client that sleeps in this round is awake again, if it is.
    pub(crate) fn link(&self, round: Round, ticket: &Digest) -> Option<ClientId> {
        let (link, _) = self.left.get(&(round, *ticket))?.awake?;
        Some(link)
    }

    /// Takes the cells that were left for a beat.
    pub(crate) fn take(&mut self, round: Round, ticket: &Digest, beat: u64) -> Option<Vec<u8>> {
        let place = self.left.get_mut(&(round, *ticket))?.place(beat)?;
        let cells = place.to_vec();
        place.fill(0);
        Some(cells)
    }

    /// Keeps the cells that came back in a beat.
    pub(crate) fn keep(&mut self, round: Round, ticket: &Digest, beat: u64, cells: &[u8]) {
        let Some(left) = self.left.get_mut(&(round, *ticket)) else { return };
        if let Some(place) = left.place(beat).filter(|place| place.len() == cells.len()) {
            place.copy_from_slice(cells);
            left.home = left.home.max(beat as usize + 1);
        }
    }

    /// Whoever shows a round's ticket gets all that has come back, once over each link. `None` if the round was not left.
    pub(crate) fn show(
        &mut self,
        to: ClientId,
        (epoch, round): (Epoch, Round),
        ticket: &Digest,
    ) -> Option<Vec<Arc<ToClient>>> {
        let left = self.left.get_mut(&(round, *ticket)).filter(|left| left.epoch == epoch)?;
        if left.awake == Some((to, true)) {
            return Some(Vec::new());
        }
        left.awake = Some((to, true));
        let home = &left.cells[..left.home * left.beat_bytes];
        let backlog = (!home.is_empty())
            .then(|| Arc::new(ToClient::Backlog { epoch, round, cells: Blob(home.to_vec()) }));
        Some(left.answer.iter().cloned().chain(backlog).collect())
    }

    /// A link is gone.
    pub(crate) fn client_left(&mut self, client: ClientId) {
        for left in self.left.values_mut() {
            left.awake = left.awake.filter(|(link, _)| *link != client);
        }
    }

    /// Lets go of what was kept for as long as it is.
    pub(crate) fn on_time(&mut self, now: Timestamp) {
        self.drop_where(|_, left| left.until <= now);
    }

    /// When something is let go of next.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.left.values().map(|left| left.until).min()
    }

    fn drop_where(&mut self, which: impl Fn(&(Round, Digest), &Left) -> bool) {
        let gone = self.left.extract_if(.., |of, left| which(of, left));
        self.bytes -= gone.map(|(_, left)| left.bytes).sum::<usize>();
    }
}

impl Left {
    fn place(&mut self, beat: u64) -> Option<&mut [u8]> {
        let start = usize::try_from(beat).ok()?.checked_mul(self.beat_bytes)?;
        self.cells.get_mut(start..start.checked_add(self.beat_bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEAT_BYTES: usize = 8;
    const BEATS: usize = 5;
    const EXPIRES: Timestamp = Timestamp(1000);

    fn parcel(round: u64, ticket: u8) -> Parcel {
        Parcel {
            epoch: Epoch(1),
            round: Round(round),
            ticket: Digest([ticket; 32]),
            onions: vec![ticket; 30],
            cells: (0..BEATS).flat_map(|beat| [10 + beat as u8; BEAT_BYTES]).collect(),
            beat_bytes: BEAT_BYTES,
            reply_bytes: 20,
            expires_at: EXPIRES,
        }
    }

    fn backlog(sleepers: &mut Sleepers, to: u64, round: u64, ticket: u8) -> Option<Vec<u8>> {
        let of = (Epoch(1), Round(round));
        let shown = sleepers.show(ClientId(to), of, &Digest([ticket; 32]))?;
        shown.iter().find_map(|message| match &**message {
            ToClient::Backlog { cells, .. } => Some(cells.0.clone()),
            _ => None,
        })
    }

    #[test]
    fn what_came_back_is_given_as_a_whole_and_takes_the_place_of_what_was_left() {
        let mut sleepers = Sleepers::new(1 << 20);
        let (round, ticket) = (Round(7), Digest([1; 32]));
        sleepers.leave(ClientId(3), parcel(7, 1)).unwrap();
        let room = sleepers.bytes();
        let handed = sleepers.hand_in(Epoch(1), round);
        assert_eq!((handed.len(), handed[0].client, handed[0].ticket), (1, ClientId(3), ticket));
        assert!(sleepers.hand_in(Epoch(1), round).is_empty(), "once");
        for beat in 0..3 {
            let cells = sleepers.take(round, &ticket, beat).unwrap();
            assert_eq!(cells, [10 + beat as u8; BEAT_BYTES]);
        }
        // Nothing came back of beat 1.
        sleepers.keep(round, &ticket, 0, &[90; BEAT_BYTES]);
        sleepers.keep(round, &ticket, 2, &[92; BEAT_BYTES]);
        sleepers.keep(round, &ticket, 3, &[1; BEAT_BYTES - 1]);
        sleepers.keep(round, &ticket, 99, &[1; BEAT_BYTES]);
        let expected = [[90; BEAT_BYTES], [0; BEAT_BYTES], [92; BEAT_BYTES]].concat();
        assert_eq!(backlog(&mut sleepers, 4, 7, 1), Some(expected.clone()));
        assert_eq!(sleepers.link(round, &ticket), Some(ClientId(4)));
        assert_eq!(backlog(&mut sleepers, 4, 7, 1), None, "once over a link");
        assert_eq!(backlog(&mut sleepers, 5, 7, 1), Some(expected), "and again over another");
        sleepers.client_left(ClientId(5));
        assert_eq!(sleepers.link(round, &ticket), None);
        let unknown = Digest([2; 32]);
        assert!(sleepers.show(ClientId(4), (Epoch(1), round), &unknown).is_none());
        assert!(sleepers.show(ClientId(4), (Epoch(2), round), &ticket).is_none());
        assert_eq!(sleepers.bytes(), room, "it takes as much room from first to last");
    }

    #[test]
    fn what_is_kept_is_bounded_for_a_client_in_all_and_in_time() {
        let each = parcel(1, 1).onions.len() + BEATS * BEAT_BYTES + 20 + OVERHEAD_BYTES;
        let mut sleepers = Sleepers::new(20 * each);
        for round in 0..MOST_ROUNDS_LEFT as u64 {
            sleepers.leave(ClientId(1), parcel(round, 1)).unwrap();
        }
        assert_eq!(sleepers.leave(ClientId(1), parcel(50, 1)), Err(LeaveError::TooMany));
        assert_eq!(sleepers.leave(ClientId(1), parcel(0, 1)), Ok(()), "the same again");
        let other = Parcel { onions: vec![9; 30], ..parcel(0, 1) };
        assert_eq!(sleepers.leave(ClientId(2), other), Err(LeaveError::Second));
        for round in 0..8 {
            sleepers.leave(ClientId(2), parcel(round, 2)).unwrap();
        }
        assert_eq!(sleepers.leave(ClientId(3), parcel(0, 3)), Err(LeaveError::Full));
        assert_eq!(sleepers.bytes(), 20 * each);
        // Rounds that were passed over, or taken over by another epoch, give their room back.
        assert!(sleepers.hand_in(Epoch(2), Round(7)).is_empty());
        assert_eq!(sleepers.bytes(), 4 * each);
        assert_eq!(sleepers.next_deadline(), Some(EXPIRES.plus_ms(KEPT_MS)));
        sleepers.on_time(EXPIRES.plus_ms(KEPT_MS - 1));
        assert_eq!(sleepers.bytes(), 4 * each);
        sleepers.on_time(EXPIRES.plus_ms(KEPT_MS));
        assert_eq!((sleepers.bytes(), sleepers.next_deadline()), (0, None));
    }
}
