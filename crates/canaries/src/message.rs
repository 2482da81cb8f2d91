//! All that shards tell each other about canaries.

use antiphon_wire::{Decode, DecodeError, Encode, Epoch, Reader, Round, Signed};

use crate::ask::Ask;
use crate::leg::List;
use crate::opening::Opening;
use crate::statement::Statement;

/// A message about canaries: asks and openings for all shards, statements and lists for whoever judges.
#[derive(Clone, Debug)]
pub enum CanaryMessage {
    /// A beat is to be kept.
    Ask(Signed<Ask>),
    /// A shard's word about the beats of a round that were asked for.
    Statement(Signed<Statement>),
    /// A canary is shown.
    Opening(Signed<Opening>),
    /// A list that statements name. Their signatures are its own.
    List(List),
}

impl CanaryMessage {
    /// The round that it says it is about.
    pub fn round(&self) -> (Epoch, Round) {
        match self {
            Self::Ask(ask) => (ask.claimed().epoch, ask.claimed().round),
            Self::Statement(told) => (told.claimed().epoch, told.claimed().round),
            Self::Opening(shown) => (shown.claimed().epoch, shown.claimed().round),
            Self::List(list) => (list.epoch, list.round),
        }
    }
}

impl Encode for CanaryMessage {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Ask(ask) => (0u8.encode(out), ask.encode(out)),
            Self::Statement(statement) => (1u8.encode(out), statement.encode(out)),
            Self::Opening(opening) => (2u8.encode(out), opening.encode(out)),
            Self::List(list) => (3u8.encode(out), list.encode(out)),
        };
    }
}

impl Decode for CanaryMessage {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match u8::decode(input)? {
            0 => Self::Ask(Decode::decode(input)?),
            1 => Self::Statement(Decode::decode(input)?),
            2 => Self::Opening(Decode::decode(input)?),
            3 => Self::List(Decode::decode(input)?),
            tag => return Err(DecodeError::UnknownTag { what: "message about canaries", tag }),
        })
    }
}
