//! A shard's signed word about the beats that were asked for.

use std::collections::BTreeMap;

use antiphon_wire::{
    Decode, DecodeError, Digest, Encode, Epoch, Reader, Round, ShardIndex, Signable,
};

use crate::ask::MOST_BEATS_KEPT;
use crate::leg::Leg;
use crate::rising;

/// A shard's word about one beat: the lists of all batches that it sent and received, by their hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The lists that it sent.
    pub sent: BTreeMap<Leg, Digest>,
    /// The lists that it received; `None` where nothing whole came in time, and it filled.
    pub received: BTreeMap<Leg, Option<Digest>>,
}

/// A shard's statement about a round. Signing it says as well that the round's tables are erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The epoch of the round.
    pub epoch: Epoch,
    /// The round whose beats these are.
    pub round: Round,
    /// The shard that states it.
    pub shard: ShardIndex,
    /// The beats that were asked for, at most [`MOST_BEATS_KEPT`].
    pub beats: BTreeMap<u64, Told>,
}

impl Signable for Statement {
    const CONTEXT: &'static str = "antiphon v1 beats statement";
}

impl Encode for Told {
    fn encode(&self, out: &mut Vec<u8>) {
        rising::encode(&self.sent, out);
        rising::encode(&self.received, out);
    }
}

impl Decode for Told {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { sent: rising::decode(input)?, received: rising::decode(input)? })
    }
}

impl Encode for Statement {
    fn encode(&self, out: &mut Vec<u8>) {
        self.epoch.encode(out);
        self.round.encode(out);
        self.shard.encode(out);
        rising::encode(&self.beats, out);
    }
}

impl Decode for Statement {
    /// Refuses more beats than are kept, and legs that are not the shard's own.
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let statement = Self {
            epoch: Decode::decode(input)?,
            round: Decode::decode(input)?,
            shard: Decode::decode(input)?,
            beats: rising::decode(input)?,
        };
        let me = statement.shard;
        let own = |told: &Told| {
            let sent = told.sent.keys().all(|leg| leg.sender == me);
            sent && told.received.keys().all(|leg| leg.receiver == me)
        };
        if statement.beats.len() > MOST_BEATS_KEPT || !statement.beats.values().all(own) {
            return Err(DecodeError::OutOfRange("a statement about beats"));
        }
        Ok(statement)
    }
}
