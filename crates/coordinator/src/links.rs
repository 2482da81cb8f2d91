//! One link for each shard's identity. If another process comes with the same identity, the one that
//! is there stays as long as it answers, and the newcomer is told.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use antiphon_wire::{Blob, Encode as _, IdentityKey, ToCoordinator, ToShard};
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Time in which a shard has to show that it is there, when another link with its identity comes.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// Messages of a link that waits to be taken; a shard registers, and says that it is leaving.
const MOST_WAITING: usize = 4;

/// A link. `number` tells a shard's links apart.
#[derive(Debug)]
pub(crate) struct ShardLink {
    pub(crate) number: u64,
    pub(crate) address: SocketAddr,
    /// Frames for the shard. Dropping it closes the link.
    pub(crate) frames: mpsc::Sender<Bytes>,
}

/// A link whose identity another one has, and what it said so far.
#[derive(Debug)]
pub(crate) struct Rival {
    pub(crate) link: ShardLink,
    said: Vec<ToCoordinator>,
    until: Instant,
}

impl Rival {
    /// The link and the messages that came over it, with clocks as if they were read now.
    pub(crate) fn said_by(self, now: Instant) -> (ShardLink, Vec<ToCoordinator>) {
        let Self { link, mut said, until } = self;
        let waited = (now + ANSWER_WITHIN).saturating_duration_since(until);
        let waited_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
        for message in &mut said {
            match message {
                ToCoordinator::Register { standing, .. } => {
                    standing.clock = standing.clock.plus_ms(waited_ms);
                }
                ToCoordinator::Clock { now } => *now = now.plus_ms(waited_ms),
                _ => {}
            }
        }
        (link, said)
    }
}

/// Answer to an event on a link, for the driver to act on.
#[derive(Debug)]
pub(crate) enum Heed {
    /// The event changes nothing.
    Nothing,
    /// A shard's link is up.
    Connected,
    /// A shard said something.
    Said(ToCoordinator),
    /// A shard's link is gone.
    Gone,
    /// A shard's link is gone, and this one takes its place.
    Replaced(Rival),
}

/// The links of all shards.
#[derive(Debug, Default)]
pub(crate) struct Links {
    current: HashMap<IdentityKey, ShardLink>,
    rivals: HashMap<IdentityKey, Rival>,
}

impl Links {
    /// Number of shards that are linked.
    pub(crate) fn len(&self) -> usize {
        self.current.len()
    }

    /// A link is up.
    pub(crate) fn up(&mut self, identity: IdentityKey, link: ShardLink, now: Instant) -> Heed {
        let Some(incumbent) = self.current.get(&identity) else {
            self.current.insert(identity, link);
            return Heed::Connected;
        };
        if self.rivals.contains_key(&identity) {
            refuse(identity, &link, incumbent.address);
            return Heed::Nothing;
        }
        // A full queue answers nothing either.
        let _ = incumbent.frames.try_send(ToShard::AskClock.to_bytes().into());
        let rival = Rival { link, said: Vec::new(), until: now + ANSWER_WITHIN };
        self.rivals.insert(identity, rival);
        Heed::Nothing
    }

    /// A message came over a link.
    pub(crate) fn said(
        &mut self,
        identity: IdentityKey,
        number: u64,
        message: ToCoordinator,
    ) -> Heed {
        let Some(current) = self.current.get(&identity) else { return Heed::Nothing };
        if current.number == number {
            // Anything else may have been on its way when the process behind it ended.
            if matches!(message, ToCoordinator::Clock { .. })
                && let Some(rival) = self.rivals.remove(&identity)
            {
                refuse(identity, &rival.link, current.address);
            }
            return Heed::Said(message);
        }
        if let Some(rival) = self.rivals.get_mut(&identity)
            && rival.link.number == number
            && rival.said.len() < MOST_WAITING
        {
            rival.said.push(message);
        }
        Heed::Nothing
    }

    /// A link is gone.
    pub(crate) fn down(&mut self, identity: IdentityKey, number: u64) -> Heed {
        if self.current.get(&identity).is_some_and(|current| current.number == number) {
            return self.drop_link(identity);
        }
        if self.rivals.get(&identity).is_some_and(|rival| rival.link.number == number) {
            self.rivals.remove(&identity);
        }
        Heed::Nothing
    }

    /// Gives up a shard's link.
    pub(crate) fn drop_link(&mut self, identity: IdentityKey) -> Heed {
        if self.current.remove(&identity).is_none() {
            return Heed::Nothing;
        }
        self.rivals.remove(&identity).map_or(Heed::Gone, Heed::Replaced)
    }

    /// Puts a link in the place of one that is gone.
    pub(crate) fn take_in(&mut self, identity: IdentityKey, link: ShardLink) {
        self.current.insert(identity, link);
    }

    /// Shards that have not answered in time while another link waits.
    pub(crate) fn mute(&self, now: Instant) -> Vec<IdentityKey> {
        let due = self.rivals.iter().filter(|(_, rival)| rival.until <= now);
        due.map(|(identity, _)| *identity).collect()
    }

    /// Latest time at which [`mute`](Self::mute) has something to say.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.rivals.values().map(|rival| rival.until).min()
    }

    /// The queue of a shard's link.
    pub(crate) fn queue(&self, identity: &IdentityKey) -> Option<&mpsc::Sender<Bytes>> {
        self.current.get(identity).map(|link| &link.frames)
    }
}

/// Tells a newcomer whose identity it has, and lets its link go.
fn refuse(identity: IdentityKey, link: &ShardLink, holder: SocketAddr) {
    tracing::warn!(
        shard = %identity, newcomer = %link.address, %holder,
        "two processes have this identity: refusing the newcomer"
    );
    let reason = format!("another process registered with this identity from {holder}");
    let message = ToShard::Reject { reason: Blob(reason.into_bytes()) };
    // A new link's queue is empty.
    let _ = link.frames.try_send(message.to_bytes().into());
}

#[cfg(test)]
mod tests {
    use antiphon_wire::{Decode as _, Timestamp};

    use super::*;

    const SHARD: IdentityKey = IdentityKey([1; 32]);
    const CLOCK: ToCoordinator = ToCoordinator::Clock { now: Timestamp(1) };

    fn link(number: u64) -> (ShardLink, mpsc::Receiver<Bytes>) {
        let (frames, queue) = mpsc::channel(4);
        let address = SocketAddr::from(([127, 0, 0, 1], number as u16));
        (ShardLink { number, address, frames }, queue)
    }

    fn told(queue: &mut mpsc::Receiver<Bytes>) -> ToShard {
        ToShard::from_bytes(&queue.try_recv().unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_shard_that_answers_keeps_its_place_and_the_newcomer_hears_from_whom() {
        let mut links = Links::default();
        let (first, mut first_queue) = link(1);
        let (second, mut second_queue) = link(2);
        assert!(matches!(links.up(SHARD, first, Instant::now()), Heed::Connected));
        assert!(matches!(links.up(SHARD, second, Instant::now()), Heed::Nothing));
        assert_eq!(told(&mut first_queue), ToShard::AskClock);
        // What was under way is no answer.
        assert!(matches!(links.said(SHARD, 1, ToCoordinator::Leaving), Heed::Said(_)));
        assert!(second_queue.try_recv().is_err());
        assert!(matches!(links.said(SHARD, 1, CLOCK), Heed::Said(_)));
        let ToShard::Reject { reason } = told(&mut second_queue) else { panic!("not refused") };
        assert!(String::from_utf8(reason.0).unwrap().contains("127.0.0.1:1"));
        assert!(second_queue.recv().await.is_none(), "its link is let go");
        assert!(matches!(links.down(SHARD, 2), Heed::Nothing));
        assert!(links.next_deadline().is_none());
    }

    #[tokio::test]
    async fn a_shard_that_was_started_again_takes_the_place_of_its_dead_link() {
        let mut links = Links::default();
        let (first, _first_queue) = link(1);
        let (second, _second_queue) = link(2);
        links.up(SHARD, first, Instant::now());
        links.up(SHARD, second, Instant::now());
        links.said(SHARD, 2, CLOCK);
        assert!(links.mute(Instant::now()).is_empty());
        assert_eq!(links.mute(Instant::now() + ANSWER_WITHIN), [SHARD]);
        let Heed::Replaced(rival) = links.drop_link(SHARD) else { panic!("not replaced") };
        let later = Instant::now() + ANSWER_WITHIN;
        let (link, said) = rival.said_by(later);
        let [ToCoordinator::Clock { now }] = said[..] else { panic!("{said:?}") };
        assert!((1900..2100).contains(&now.0), "the time that it waited is no error of its clock");
        assert_eq!(link.number, 2);
        links.take_in(SHARD, link);
        assert!(matches!(links.said(SHARD, 1, CLOCK), Heed::Nothing), "it has no say any more");
        assert!(matches!(links.down(SHARD, 2), Heed::Gone));
    }
}
