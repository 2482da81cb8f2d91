//! The shard's part in the network, in words for those who look after it.

use antiphon_mix::{Departure, Membership};
use antiphon_process::clock::SystemClock;
use antiphon_process::readiness::Readiness;
use antiphon_wire::Epoch;
use tokio::sync::watch;

use super::EventLoop;

/// Words on a shard's part in the network, told again only when they change.
#[derive(Debug)]
pub(super) struct Part {
    readiness: watch::Sender<Readiness>,
    told: Standing,
    /// Reason why there is no link to the coordinator, if there is none.
    pub(super) unlinked: Option<String>,
    /// Reason why the coordinator does not accept this shard. Until it is linked anew.
    pub(super) rejected: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Standing {
    Starting,
    Stopping,
    Drained,
    Member(Epoch),
    /// A member that is in no epoch after this one.
    LastEpoch(Epoch),
    Announced(Epoch),
    Rejected(String),
    Unlinked(String),
    LeftOut(Epoch),
    /// The operator's newest list, by its number, is without the shard.
    Unlisted(u32),
    Unled,
    Nowhere,
}

/// What the machine knows of its place beside its membership.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// Whether a coordinator leads.
    led: bool,
    /// Number of the operator's newest list, if that is without the shard.
    unlisted_by: Option<u32>,
}

impl Part {
    pub(super) const fn new(readiness: watch::Sender<Readiness>) -> Self {
        Self { readiness, told: Standing::Starting, unlinked: None, rejected: None }
    }

    /// An epoch that lists the shard counts for more than a link that is lost at the moment: clients and
    /// peers are served all the same.
    fn standing(
        &self,
        membership: Membership,
        stopping: bool,
        departure: &Departure,
        known: Known,
    ) -> Standing {
        match (membership, known.unlisted_by, &self.rejected, &self.unlinked) {
            _ if stopping => Standing::Stopping,
            _ if *departure == Departure::Released => Standing::Drained,
            (Membership::Member(epoch), ..) if *departure == Departure::Leaving => {
                Standing::LastEpoch(epoch)
            }
            (Membership::Member(epoch), ..) => Standing::Member(epoch),
            (Membership::Announced(epoch), ..) => Standing::Announced(epoch),
            // Whoever is not listed is sent away for that, in words that say less.
            (_, Some(list), ..) => Standing::Unlisted(list),
            (_, _, Some(why), _) => Standing::Rejected(why.clone()),
            (.., Some(why)) => Standing::Unlinked(why.clone()),
            (Membership::LeftOut(epoch), ..) => Standing::LeftOut(epoch),
            (Membership::Nowhere, ..) if !known.led => Standing::Unled,
            (Membership::Nowhere, ..) => Standing::Nowhere,
        }
    }

    /// The words that were told last.
    pub(super) fn readiness(&self) -> Readiness {
        in_words(&self.told)
    }

    fn tell(&mut self, standing: Standing) {
        if standing != self.told {
            self.readiness.send_replace(in_words(&standing));
            self.told = standing;
        }
    }
}

fn in_words(standing: &Standing) -> Readiness {
    let why = match standing {
        Standing::Member(epoch) => {
            return Readiness::Ready(format!("in epoch {epoch}, which is in force"));
        }
        Standing::LastEpoch(epoch) => {
            let words = format!("in epoch {epoch}, and leaves when the next takes over");
            return Readiness::Ready(words);
        }
        Standing::Announced(epoch) => {
            return Readiness::Ready(format!("in epoch {epoch}, which is announced"));
        }
        Standing::Starting => "it is starting".to_owned(),
        Standing::Stopping => {
            "it is stopping, and serves until an epoch without it takes over".to_owned()
        }
        Standing::Drained => {
            "it has left: it is in no epoch until it is asked to take part again, or started again"
                .to_owned()
        }
        Standing::Rejected(why) => format!("the coordinator rejects this shard: {why}"),
        Standing::Unlinked(why) => format!("no link to the coordinator: {why}"),
        Standing::LeftOut(epoch) => {
            format!("epoch {epoch} goes on without it; it waits for the next")
        }
        Standing::Unlisted(list) => format!(
            "its operator's newest list, number {list}, is without it: it takes part when the operator has \
             signed one that names it"
        ),
        Standing::Unled => {
            "no coordinator leads: one is elected when a quorum of shards is linked to it"
                .to_owned()
        }
        Standing::Nowhere => {
            "in no epoch yet: the coordinator plans one when a quorum of shards is there".to_owned()
        }
    };
    Readiness::NotReady(why)
}

impl<T> EventLoop<T> {
    /// Tells whether the shard takes part, if that has changed.
    pub(super) fn tell_part(&mut self) {
        let membership = self.machine.membership(SystemClock::now());
        let unlisted_by = (!self.machine.is_on_list()).then(|| self.machine.list_number());
        let known = Known { led: self.machine.is_led(), unlisted_by };
        let stopping = self.leaving_until.is_some();
        let standing = self.part.standing(membership, stopping, self.machine.departure(), known);
        self.part.tell(standing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_ready_in_an_epoch_and_otherwise_says_why_not() {
        let (readiness, told) = watch::channel(in_words(&Standing::Starting));
        let mut part = Part::new(readiness);
        let known = Known { led: true, unlisted_by: None };
        let said = |part: &mut Part, membership, stopping, departure| {
            let standing = part.standing(membership, stopping, &departure, known);
            part.tell(standing);
            let told = told.borrow().clone();
            (told.is_ready(), told.to_string())
        };
        let stays = || Departure::Staying;
        let member = Membership::Member(Epoch(3));
        part.unlinked = Some("refused".to_owned());
        let (ready, words) = said(&mut part, Membership::Nowhere, false, stays());
        assert!(!ready && words.contains("coordinator: refused"), "{words}");
        // Served all the same while the coordinator is away.
        assert!(said(&mut part, member, false, stays()).0);
        part.unlinked = None;
        let (ready, words) = said(&mut part, Membership::LeftOut(Epoch(4)), false, stays());
        assert!(!ready && words.contains("epoch 4"), "{words}");
        let unled = Known { led: false, ..known };
        let standing = part.standing(Membership::Nowhere, false, &stays(), unled);
        assert!(in_words(&standing).to_string().contains("no coordinator leads"));
        // A coordinator that knows of no list with the shard closes its link: the list is the reason.
        part.unlinked = Some("closed".to_owned());
        let unlisted = Known { unlisted_by: Some(4), ..known };
        let standing = part.standing(Membership::Nowhere, false, &stays(), unlisted);
        assert!(in_words(&standing).to_string().contains("newest list, number 4, is without it"));
        assert!(part.standing(member, false, &stays(), unlisted) == Standing::Member(Epoch(3)));
        part.unlinked = None;
        part.rejected = Some("another version".to_owned());
        let (ready, words) = said(&mut part, Membership::Nowhere, false, stays());
        assert!(!ready && words.contains("rejects this shard: another version"), "{words}");
        let (ready, words) = said(&mut part, Membership::Announced(Epoch(5)), false, stays());
        assert!(ready && words.contains("epoch 5, which is announced"), "{words}");
        // A shard that is drained serves to the hand-over, and one that stops wants no new links.
        let (ready, words) = said(&mut part, member, false, Departure::Leaving);
        assert!(ready && words.contains("leaves when the next takes over"), "{words}");
        let (ready, words) = said(&mut part, member, false, Departure::Released);
        assert!(!ready && words.contains("has left"), "{words}");
        let (ready, words) = said(&mut part, member, true, Departure::Leaving);
        assert!(!ready && words.contains("stopping"), "{words}");
    }
}
