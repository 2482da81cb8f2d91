//! Clients that do not send what they should, or links that change it.

use antiphon_wire::{Blob, FromClient, Timestamp};

use crate::adversary::{Adversary, Keys};
use crate::party::{Party, Payload, Sent};

/// Ways to spoil a client's submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientPlay {
    /// It never arrives, as if the gateway had lost it.
    Lost,
    /// It arrives so many milliseconds late.
    Late(u64),
    /// It is this byte all over, behind the right first hops.
    Garbage(u8),
    /// Its onions have this ephemeral key at layer 1.
    Ephemeral([u8; 32]),
    /// A byte is missing.
    Short,
    /// It comes without a single byte.
    Empty,
    /// Its first onion is for a shard that is not there.
    UnknownHop,
    /// Its second onion is the first once more.
    SameOnionTwice,
    /// Another one, of garbage, follows.
    AndAnother,
    /// It comes so many times.
    Times(usize),
}

/// Spoils the submissions of a client.
#[derive(Clone, Debug)]
pub struct MaliciousClient {
    /// Position of the client in the setup.
    pub client: usize,
    /// Way in which its submissions are spoilt.
    pub play: ClientPlay,
}

impl Adversary for MaliciousClient {
    fn on_message(&mut self, _: Timestamp, mut sent: Sent, _: &Keys) -> Vec<(u64, Sent)> {
        if sent.from != Party::Client(self.client) {
            return vec![(0, sent)];
        }
        let original = sent.clone();
        let Payload::FromClient(FromClient::Submit { onions, .. }) = &mut sent.payload else {
            return vec![(0, sent)];
        };
        let Blob(bytes) = onions;
        // With one pair a client: two entries, each the first hop in two bytes and the onion, which begins
        // with its ephemeral key.
        let entry = bytes.len() / 2;
        match &self.play {
            ClientPlay::Lost => return vec![],
            ClientPlay::Late(ms) => return vec![(*ms, sent)],
            ClientPlay::Times(times) => return vec![(0, sent); *times],
            ClientPlay::Garbage(byte) => {
                bytes.chunks_exact_mut(entry).for_each(|entry| entry[2..].fill(*byte));
            }
            ClientPlay::Ephemeral(key) => {
                bytes.chunks_exact_mut(entry).for_each(|e| e[2..34].copy_from_slice(key));
            }
            ClientPlay::Short => drop(bytes.pop()),
            ClientPlay::Empty => bytes.clear(),
            ClientPlay::UnknownHop => bytes[..2].fill(0xff),
            ClientPlay::SameOnionTwice => bytes.copy_within(..entry, entry),
            ClientPlay::AndAnother => {
                bytes[2..entry].fill(7);
                return vec![(0, original), (0, sent)];
            }
        }
        vec![(0, sent)]
    }
}
