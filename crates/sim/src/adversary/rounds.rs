//! An attack for some rounds only.

use antiphon_wire::{FromClient, PeerMessage, Round, Timestamp, ToClient};

use crate::adversary::{Adversary, Keys};
use crate::party::{Payload, Sent};

/// Lets `attack` act on the messages of the rounds `first..=last`, and sees that all others pass.
#[derive(Clone, Debug)]
pub struct InRounds<A> {
    /// The first round under attack.
    pub first: Round,
    /// The last round under attack, itself included.
    pub last: Round,
    /// Attack that acts in these rounds.
    pub attack: A,
}

impl<A> InRounds<A> {
    /// An attack on one round.
    pub fn one(round: Round, attack: A) -> Self {
        Self { first: round, last: round, attack }
    }
}

impl<A: Adversary> Adversary for InRounds<A> {
    fn on_message(&mut self, now: Timestamp, sent: Sent, keys: &Keys) -> Vec<(u64, Sent)> {
        match round_of(&sent.payload) {
            Some(round) if (self.first..=self.last).contains(&round) => {
                self.attack.on_message(now, sent, keys)
            }
            _ => vec![(0, sent)],
        }
    }
}

/// The round that a message between shards, or with clients, is about.
pub fn round_of(payload: &Payload) -> Option<Round> {
    Some(match payload {
        Payload::Batch { header, .. } => header.claimed().round,
        Payload::Cells { batch, .. } => batch.round,
        Payload::Peer(message) => match message {
            PeerMessage::Batch { header } => header.claimed().round,
            PeerMessage::Filter { filter } => filter.claimed().round,
            PeerMessage::Verdict { verdict } => verdict.claimed().round,
            PeerMessage::Statements { statements } => statements.first()?.claimed().round,
            PeerMessage::AskStatements { round, .. } => *round,
            PeerMessage::Cells { batch } => batch.round,
            PeerMessage::Box { published } => published.claimed().round,
            PeerMessage::AskContribution { .. }
            | PeerMessage::Contribution { .. }
            | PeerMessage::NoContribution => return None,
        },
        Payload::FromClient(FromClient::Submit { round, .. }) => *round,
        Payload::ToClient(
            ToClient::Opened { round, .. }
            | ToClient::Replies { round, .. }
            | ToClient::Aborted { round, .. },
        ) => *round,
        // Messages with the coordinator are of no round here, so they always pass.
        _ => return None,
    })
}
