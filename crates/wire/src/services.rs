//! Which rounds belong to which service: by their numbers alone, so that shards, coordinators and clients agree on it
//! without a word.

use std::fmt;

use crate::codec::Encode;
use crate::{INVITATION_BYTES, MOST_BOXES, NetworkFileError, Round, TOKEN_BYTES};

/// Service at layer L that a round is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RoundKind {
    /// Two deposits at one dead drop swap bodies.
    DeadDrops,
    /// Tokens of 40 bits go into boxes that are published.
    Calls,
    /// Items of 144 bytes do.
    Invitations,
}

impl RoundKind {
    /// The byte that stands for it in derivations.
    pub(crate) const fn byte(self) -> u8 {
        match self {
            Self::DeadDrops => 0,
            Self::Calls => 1,
            Self::Invitations => 2,
        }
    }

    /// Onions that a client hands in for a round of this kind, in an epoch of so many pairs a client.
    pub const fn onions_per_client(self, pairs: u8) -> usize {
        match self {
            Self::DeadDrops => 2 * pairs as usize,
            Self::Calls | Self::Invitations => 1,
        }
    }

    /// Bytes of an item of a box: none in a round without boxes.
    pub const fn item_bytes(self) -> usize {
        match self {
            Self::DeadDrops => 0,
            Self::Calls => TOKEN_BYTES,
            Self::Invitations => INVITATION_BYTES,
        }
    }

    /// Returns `true` if a host publishes boxes after the round.
    pub const fn has_boxes(self) -> bool {
        !matches!(self, Self::DeadDrops)
    }
}

impl fmt::Display for RoundKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DeadDrops => "dead drops",
            Self::Calls => "calls",
            Self::Invitations => "invitations",
        })
    }
}

/// The network's mailbox services: `mailbox_rounds` rounds follow each `dead_drop_rounds` rounds, and every
/// `invitations_every`th of them is for invitations, all others for calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Services {
    /// Rounds of dead drops before each span of mailbox rounds, at least 1.
    pub dead_drop_rounds: u16,
    /// Mailbox rounds in each span; 0 in a network without the services.
    pub mailbox_rounds: u16,
    /// One of so many mailbox rounds is for invitations, at least 2.
    pub invitations_every: u16,
    /// Boxes of the calls.
    pub call_boxes: u16,
    /// Boxes of the invitations.
    pub invitation_boxes: u16,
}

impl Default for Services {
    fn default() -> Self {
        Self::NONE
    }
}

impl Services {
    /// A network with dead drops alone.
    pub const NONE: Self = Self { mailbox_rounds: 0, ..Self::USUAL };

    /// With rounds of five seconds calls every minute, invitations every half hour, and a box of each.
    pub const USUAL: Self = Self {
        dead_drop_rounds: 11,
        mailbox_rounds: 1,
        invitations_every: 30,
        call_boxes: 1,
        invitation_boxes: 1,
    };

    /// Returns `true` if there are mailbox rounds.
    pub const fn has_mailboxes(&self) -> bool {
        self.mailbox_rounds > 0
    }

    /// The service of `round`.
    pub const fn of(&self, round: Round) -> RoundKind {
        let (dead_drops, mailboxes) = (self.dead_drop_rounds as u64, self.mailbox_rounds as u64);
        if mailboxes == 0 {
            return RoundKind::DeadDrops;
        }
        let (cycle, place) = self.place(round);
        if place < dead_drops {
            return RoundKind::DeadDrops;
        }
        let number = cycle * mailboxes + place - dead_drops;
        let every = self.invitations_every as u64;
        if number % every == every - 1 { RoundKind::Invitations } else { RoundKind::Calls }
    }

    /// The number of a round among those with dead drops, by which conversations count. Of a mailbox round the number of the
    /// next one.
    pub const fn turn(&self, round: Round) -> u64 {
        if self.mailbox_rounds == 0 {
            return round.0;
        }
        let (cycle, place) = self.place(round);
        let dead_drops = self.dead_drop_rounds as u64;
        cycle * dead_drops + if place < dead_drops { place } else { dead_drops }
    }

    /// The next round of a kind, from `from` on; `None` if the network has none, or numbers end before.
    pub fn next(&self, kind: RoundKind, from: Round) -> Option<Round> {
        let cycle = u64::from(self.dead_drop_rounds) + u64::from(self.mailbox_rounds);
        // The longest wait there is: from one invitation round past all that are for calls.
        let longest = cycle * (u64::from(self.invitations_every) + 1);
        let rounds = (0..=longest).map_while(|ahead| from.0.checked_add(ahead).map(Round));
        rounds.into_iter().find(|round| self.of(*round) == kind)
    }

    /// The most intervals of rounds from one round of dead drops to the next.
    pub const fn rounds_apart(&self) -> u64 {
        self.mailbox_rounds as u64 + 1
    }

    /// Boxes of a round of this kind.
    pub const fn boxes(&self, kind: RoundKind) -> u16 {
        match kind {
            RoundKind::DeadDrops => 0,
            RoundKind::Calls => self.call_boxes,
            RoundKind::Invitations => self.invitation_boxes,
        }
    }

    const fn place(&self, round: Round) -> (u64, u64) {
        let cycle = self.dead_drop_rounds as u64 + self.mailbox_rounds as u64;
        (round.0 / cycle, round.0 % cycle)
    }

    pub(crate) fn check(&self) -> Result<(), NetworkFileError> {
        let within = |key: &str, found: u16, least: u16, most: u16| {
            if (least..=most).contains(&found) {
                return Ok(());
            }
            Err(NetworkFileError::Value {
                key: format!("services.{key}"),
                found: found.to_string(),
                expected: format!("from {least} to {most}"),
            })
        };
        within("dead_drop_rounds", self.dead_drop_rounds, 1, 1000)?;
        within("mailbox_rounds", self.mailbox_rounds, 0, 1000)?;
        within("invitations_every", self.invitations_every, 2, 10_000)?;
        within("call_boxes", self.call_boxes, 1, MOST_BOXES)?;
        within("invitation_boxes", self.invitation_boxes, 1, MOST_BOXES)
    }

    /// Appends the services' part of the bytes that the network file's id is a hash of.
    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        for number in [
            self.dead_drop_rounds,
            self.mailbox_rounds,
            self.invitations_every,
            self.call_boxes,
            self.invitation_boxes,
        ] {
            number.encode(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(services: Services, rounds: u64) -> Vec<RoundKind> {
        (0..rounds).map(|round| services.of(Round(round))).collect()
    }

    #[test]
    fn rounds_of_five_seconds_have_calls_every_minute_and_invitations_every_half_hour() {
        let kinds = kinds(Services::USUAL, 720);
        let places = |wanted| (0..720_u64).filter(move |i| kinds[*i as usize] == wanted);
        assert_eq!(places.clone()(RoundKind::Invitations).collect::<Vec<_>>(), [359, 719]);
        let calls: Vec<_> = places(RoundKind::Calls).collect();
        assert_eq!((calls.len(), calls[0], calls[1]), (58, 11, 23));
    }

    #[test]
    fn most_rounds_can_be_for_mailboxes_where_beats_follow_the_others() {
        use RoundKind::{Calls as C, DeadDrops as D, Invitations as I};
        let services = Services {
            dead_drop_rounds: 1,
            mailbox_rounds: 4,
            invitations_every: 6,
            ..Services::USUAL
        };
        assert_eq!(kinds(services, 15), [D, C, C, C, C, D, C, I, C, C, D, C, C, C, I]);
        assert_eq!(services.rounds_apart(), 5);
    }

    #[test]
    fn without_mailboxes_every_round_has_dead_drops_and_its_own_turn() {
        for round in [0, 11, 359, u64::MAX] {
            assert_eq!(Services::NONE.of(Round(round)), RoundKind::DeadDrops);
            assert_eq!(Services::NONE.turn(Round(round)), round);
        }
        assert_eq!(Services::NONE.next(RoundKind::Calls, Round(0)), None);
    }

    #[test]
    fn turns_count_the_rounds_of_dead_drops_without_gaps() {
        for services in [
            Services::USUAL,
            Services { dead_drop_rounds: 2, mailbox_rounds: 3, ..Services::USUAL },
        ] {
            let rounds = (0..500).map(Round);
            let turns: Vec<_> = rounds
                .filter(|round| services.of(*round) == RoundKind::DeadDrops)
                .map(|round| services.turn(round))
                .collect();
            assert!(turns.iter().copied().eq(0..turns.len() as u64));
            let _ = services.turn(Round(u64::MAX));
        }
    }

    #[test]
    fn the_next_round_of_a_kind_is_found_wherever_one_asks() {
        let services = Services::USUAL;
        assert_eq!(services.next(RoundKind::Calls, Round(11)), Some(Round(11)));
        assert_eq!(services.next(RoundKind::Calls, Round(12)), Some(Round(23)));
        assert_eq!(services.next(RoundKind::Invitations, Round(360)), Some(Round(719)));
        assert_eq!(services.next(RoundKind::Calls, Round(u64::MAX)), None);
    }
}
