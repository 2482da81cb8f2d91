//! The shard as a gateway of boxes: those that hosts publish are held to the rules, handed to all clients alike, and kept for
//! clients that come back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use antiphon_wire::{
    BoxContent, BoxStatement, Epoch, IdentityKey, Round, RoundOutcome, Signed, Timestamp, ToClient,
};

use crate::io::{ClientId, Notice, Output};
use crate::noise::BoxedNoise;
use crate::shard::Shard;

/// Milliseconds for which boxes are kept: 14 days.
const KEPT_MS: u64 = 14 * 24 * 3_600_000;
/// Boxes that a client gets at once of those that it asks for.
const MOST_AT_ONCE: usize = 16;
/// Rounds of which it is remembered which boxes came and which noise has to be in them.
const ROUNDS_REMEMBERED: usize = 64;

/// Published boxes, and noise that has to be in those to come.
#[derive(Debug)]
pub(super) struct Boxes {
    /// By round and number, the oldest first.
    kept: BTreeMap<(Round, u16), Kept>,
    bytes: usize,
    most_bytes: usize,
    /// This shard's checked noise, until the box is there.
    expected: BTreeMap<Round, BoxedNoise>,
    came: BTreeMap<Round, BTreeSet<u16>>,
}

#[derive(Debug)]
struct Kept {
    at: Timestamp,
    bytes: usize,
    message: Arc<ToClient>,
}

/// The rule that a published box breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum BoxFault {
    #[error("publishes a box of a round that has none, or of another network")]
    NoSuchBox,
    #[error("publishes a box that another shard hosts")]
    NotHost,
    #[error("publishes a box that it has not signed")]
    Signature,
    #[error("publishes a box that is garbled")]
    Garbled,
    #[error("publishes a second box in the place of one that it has published")]
    Second,
}

impl Boxes {
    /// None yet, and never more than `most_bytes` of them.
    pub(super) fn new(most_bytes: usize) -> Self {
        Self {
            kept: BTreeMap::new(),
            bytes: 0,
            most_bytes,
            expected: BTreeMap::new(),
            came: BTreeMap::new(),
        }
    }

    /// Takes note of the noise that a round's boxes have to hold.
    pub(super) fn expect(&mut self, round: Round, noise: BoxedNoise) {
        self.expected.insert(round, noise);
        while self.expected.len() > ROUNDS_REMEMBERED {
            self.expected.pop_first();
        }
    }

    fn keep(&mut self, now: Timestamp, key: (Round, u16), bytes: usize, message: Arc<ToClient>) {
        let before = self.kept.insert(key, Kept { at: now, bytes, message });
        self.bytes = self.bytes + bytes - before.map_or(0, |before| before.bytes);
        while let Some(oldest) = self.kept.first_entry()
            && (self.bytes > self.most_bytes || now >= oldest.get().at.plus_ms(KEPT_MS))
        {
            self.bytes -= oldest.remove().bytes;
        }
    }

    /// Notes that a box has come. Returns whether it is the first with its number.
    fn note(&mut self, round: Round, number: u16) -> bool {
        let is_first = self.came.entry(round).or_default().insert(number);
        while self.came.len() > ROUNDS_REMEMBERED {
            self.came.pop_first();
        }
        is_first
    }

    fn has(&self, round: Round, number: u16) -> bool {
        self.came.get(&round).is_some_and(|came| came.contains(&number))
    }

    /// The first few of the boxes of rounds after `after`.
    fn after(&self, after: Round) -> impl Iterator<Item = &Arc<ToClient>> {
        let later = self.kept.range((after.next(), 0)..);
        later.take(MOST_AT_ONCE).map(|(_, kept)| &kept.message)
    }
}

impl Shard {
    /// Another shard publishes a box.
    pub(super) fn peer_box(
        &mut self,
        now: Timestamp,
        from: IdentityKey,
        published: Signed<BoxStatement>,
    ) {
        match self.check_box(&from, &published) {
            Ok(Some(content)) => self.take_box(now, published, &content),
            // Of an epoch or a round that this shard has nothing to do with.
            Ok(None) => {}
            Err(fault) => self.notice(Notice::PeerFault { peer: from, what: fault.to_string() }),
        }
    }

    fn check_box(
        &self,
        from: &IdentityKey,
        published: &Signed<BoxStatement>,
    ) -> Result<Option<BoxContent>, BoxFault> {
        let claimed = published.claimed();
        let Some(keys) = self.epochs.get(&claimed.epoch) else { return Ok(None) };
        let epoch = &keys.context.epoch;
        let (round, number) = (claimed.round, claimed.number);
        let kind = epoch.kind_of(round);
        // Boxes of rounds that are long over, or that nobody has opened, would only take up room.
        let is_near = round <= self.opened && self.opened.0 - round.0 < ROUNDS_REMEMBERED as u64;
        if !is_near || !epoch.document().covers(round) {
            return Ok(None);
        }
        if claimed.network != epoch.document().network || number >= epoch.services().boxes(kind) {
            return Err(BoxFault::NoSuchBox);
        }
        let host = epoch.box_host(round, number);
        let identity = keys.context.identities[host.position()];
        if claimed.shard != host || identity != *from {
            return Err(BoxFault::NotHost);
        }
        let statement = published.verify(&identity).map_err(|_| BoxFault::Signature)?;
        let content = BoxContent::parse(kind, &statement.content.0);
        let content = content.map_err(|_| BoxFault::Garbled)?;
        if self.boxes.has(round, number) {
            return Err(BoxFault::Second);
        }
        Ok(Some(content))
    }

    /// This shard has published a box that it hosts itself.
    pub(super) fn own_box(&mut self, now: Timestamp, published: Signed<BoxStatement>) {
        if let Ok(Some(content)) = self.check_box(&self.me, &published) {
            self.take_box(now, published, &content);
        }
    }

    /// Looks for this shard's noise in a box that is in order, hands it to all clients and keeps it.
    pub(super) fn take_box(
        &mut self,
        now: Timestamp,
        published: Signed<BoxStatement>,
        content: &BoxContent,
    ) {
        let &BoxStatement { epoch, round, number, .. } = published.claimed();
        if !self.boxes.note(round, number) {
            return;
        }
        let missing =
            self.boxes.expected.get(&round).map_or(0, |noise| {
                noise.items_of(number).filter(|item| !content.holds(item)).count()
            });
        if missing > 0
            && let Some(host) = self.host_of(epoch, round, number)
        {
            self.notice(Notice::BoxLacksNoise { round, host, missing: missing as u32 });
        }
        let bytes = published.claimed().content.0.len();
        let message = Arc::new(ToClient::Box { published });
        for to in self.clients.links() {
            self.outputs.push_back(Output::Client { to, message: Arc::clone(&message) });
        }
        self.boxes.keep(now, (round, number), bytes, message);
    }

    fn host_of(&self, epoch: Epoch, round: Round, number: u16) -> Option<IdentityKey> {
        let context = &self.epochs.get(&epoch)?.context;
        context.identities.get(context.epoch.box_host(round, number).position()).copied()
    }

    /// A round is over here. If it was delivered, the hosts of its boxes have published them by now: replies have come the
    /// whole way back since. Which noise was in them is erased.
    pub(super) fn boxes_due(&mut self, epoch: Epoch, round: Round, outcome: RoundOutcome) {
        self.boxes.expected.remove(&round);
        if outcome == RoundOutcome::Delivered {
            self.miss_boxes(epoch, round);
        }
    }

    fn miss_boxes(&mut self, epoch: Epoch, round: Round) {
        let Some(keys) = self.epochs.get(&epoch) else { return };
        let verified = &keys.context.epoch;
        let kind = verified.kind_of(round);
        let numbers = 0..verified.services().boxes(kind);
        let missing: Vec<_> = numbers.filter(|number| !self.boxes.has(round, *number)).collect();
        for number in missing {
            if let Some(host) = self.host_of(epoch, round, number) {
                self.notice(Notice::BoxMissing { round, host });
            }
        }
    }

    /// A client asks for boxes of rounds in which it had no link.
    pub(super) fn show_boxes(&mut self, to: ClientId, after: Round) {
        let messages = self.boxes.after(after).cloned();
        self.outputs.extend(messages.map(|message| Output::Client { to, message }));
    }
}

#[cfg(test)]
mod tests {
    use antiphon_wire::RoundKind;

    use super::*;

    fn message(after: u64) -> Arc<ToClient> {
        // Any message will do: what is kept is told apart by its round.
        Arc::new(ToClient::Clock { now: Timestamp(after) })
    }

    #[test]
    fn boxes_are_kept_for_fourteen_days_and_bounded_in_bytes() {
        let mut boxes = Boxes::new(1000);
        for round in 0..100 {
            boxes.keep(Timestamp(round), (Round(round), 0), 90, message(round));
            assert!(boxes.bytes <= 1000);
        }
        assert_eq!((boxes.kept.len(), boxes.bytes), (11, 990));
        boxes.keep(Timestamp(95 + KEPT_MS), (Round(100), 0), 90, message(100));
        assert_eq!(boxes.kept.keys().next(), Some(&(Round(96), 0)));
        boxes.keep(Timestamp(200 + KEPT_MS), (Round(101), 0), 2000, message(101));
        assert_eq!((boxes.kept.len(), boxes.bytes), (0, 0));
    }

    #[test]
    fn who_asks_gets_the_oldest_of_those_that_it_lacks_and_not_all_at_once() {
        let mut boxes = Boxes::new(1 << 20);
        for round in 0..100 {
            boxes.keep(Timestamp(0), (Round(round), 0), 10, message(round));
        }
        let told: Vec<_> = boxes.after(Round(40)).cloned().collect();
        assert_eq!(told, (41..57).map(message).collect::<Vec<_>>());
        assert_eq!(boxes.after(Round(99)).count(), 0);
        assert_eq!(boxes.after(Round(u64::MAX)).count(), 0);
    }

    #[test]
    fn what_is_remembered_of_rounds_is_bounded() {
        let mut boxes = Boxes::new(0);
        for round in 0..1000 {
            boxes.expect(Round(round), BoxedNoise::of_up_to(0, RoundKind::Calls));
            assert!(boxes.note(Round(round), 0));
        }
        assert_eq!(
            (boxes.came.len(), boxes.expected.len()),
            (ROUNDS_REMEMBERED, ROUNDS_REMEMBERED)
        );
        assert!(!boxes.note(Round(999), 0));
    }
}
