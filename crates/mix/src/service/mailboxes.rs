//! The mailbox services: items for a box are gathered and published, all others thrown away.

use antiphon_wire::{BoxContent, DEAD_DROP_BYTES, RoundKind};

use crate::service::{PairCounts, PublishedBox, Service};

/// The boxes that a shard hosts in one round, by their dead drops.
#[derive(Clone, Debug)]
pub struct Mailboxes {
    kind: RoundKind,
    hosted: Vec<(u16, [u8; DEAD_DROP_BYTES])>,
}

impl Mailboxes {
    /// Boxes with these numbers and dead drops, in a round of this kind.
    pub const fn new(kind: RoundKind, hosted: Vec<(u16, [u8; DEAD_DROP_BYTES])>) -> Self {
        Self { kind, hosted }
    }
}

impl Service for Mailboxes {
    /// Every deposit gets its own body back, whichever box it was for: so its sender knows that it arrived.
    fn exchange(&self, deposits: &[u8], body_bytes: usize, replies: &mut Vec<u8>) -> PairCounts {
        replies.clear();
        for deposit in deposits.chunks_exact(DEAD_DROP_BYTES + body_bytes) {
            replies.extend_from_slice(&deposit[DEAD_DROP_BYTES..]);
        }
        // What anybody could count is in the boxes.
        PairCounts::default()
    }

    /// Nobody's circuit leads to another's: mailbox rounds have none.
    fn partners(&self, deposits: &[u8], body_bytes: usize) -> Vec<u32> {
        (0..(deposits.len() / (DEAD_DROP_BYTES + body_bytes)) as u32).collect()
    }

    fn publish(&self, deposits: &[u8], body_bytes: usize) -> Vec<PublishedBox> {
        let deposits = deposits.chunks_exact(DEAD_DROP_BYTES + body_bytes);
        let content_of = |dead_drop: &[u8]| {
            let inside = deposits.clone().filter(|deposit| deposit.starts_with(dead_drop));
            BoxContent::collect(self.kind, inside.map(|deposit| &deposit[DEAD_DROP_BYTES..]))
        };
        let boxes = self.hosted.iter().filter_map(|(number, dead_drop)| {
            Some(PublishedBox { number: *number, content: content_of(dead_drop)?.to_bytes() })
        });
        boxes.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: usize = 160;

    fn deposit(dead_drop: u8, body: u8) -> Vec<u8> {
        [vec![dead_drop; DEAD_DROP_BYTES], vec![body; BODY]].concat()
    }

    #[test]
    fn a_box_has_what_was_deposited_for_it_and_every_deposit_comes_back() {
        let given = [(1, 5), (9, 6), (2, 7), (1, 8), (1, 5)].map(|(at, body)| deposit(at, body));
        let given = given.concat();
        for kind in [RoundKind::Calls, RoundKind::Invitations] {
            let hosted = vec![(0, [1; DEAD_DROP_BYTES]), (3, [4; DEAD_DROP_BYTES])];
            let service = Mailboxes::new(kind, hosted);
            let published = service.publish(&given, BODY);
            let read = |at: usize| BoxContent::parse(kind, &published[at].content).unwrap();
            assert_eq!((published[0].number, published[1].number), (0, 3));
            assert_eq!((read(0).len(), read(1).len()), (3, 0));
            assert!(read(0).holds(&[5; BODY]) && read(0).holds(&[8; BODY]));
            // Neither the null box's nor another host's.
            assert!(!read(0).holds(&[6; BODY]) && !read(0).holds(&[7; BODY]));
            let mut replies = vec![3; 9];
            service.exchange(&given, BODY, &mut replies);
            let first: Vec<u8> = replies.chunks_exact(BODY).map(|reply| reply[0]).collect();
            assert_eq!(first, [5, 6, 7, 8, 5]);
        }
    }
}
