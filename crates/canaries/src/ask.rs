//! A maker's wish that a beat's lists be kept.

use antiphon_wire::{Decode, DecodeError, Encode, Epoch, Reader, Round, ShardIndex, Signable};

/// The most beats of a round whose lists are kept.
pub const MOST_BEATS_KEPT: usize = 8;

/// A maker's canary came back broken in this beat, and the lists of the beat are to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The epoch of the round.
    pub epoch: Epoch,
    /// The round that set the canary up.
    pub round: Round,
    /// The beat in which it was broken.
    pub beat: u64,
    /// The shard that asks.
    pub shard: ShardIndex,
}

/// Returns `true` if it is the shard's turn to ask in a round. At most [`MOST_BEATS_KEPT`] of a network's `shards` have
/// one at once, so that nobody's asking uses up the room of others.
pub fn may_ask(round: Round, shard: ShardIndex, shards: usize) -> bool {
    let turns = shards.div_ceil(MOST_BEATS_KEPT).max(1) as u64;
    u64::from(shard.0) % turns == round.0 % turns
}

impl Signable for Ask {
    const CONTEXT: &'static str = "antiphon v1 canary ask";
}

impl Encode for Ask {
    fn encode(&self, out: &mut Vec<u8>) {
        self.epoch.encode(out);
        self.round.encode(out);
        self.beat.encode(out);
        self.shard.encode(out);
    }
}

impl Decode for Ask {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            epoch: Decode::decode(input)?,
            round: Decode::decode(input)?,
            beat: Decode::decode(input)?,
            shard: Decode::decode(input)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_turn_and_no_more_than_eight_at_once() {
        for shards in [1, 2, 5, 8, 9, 16, 17, 100, 250] {
            let mut turns = vec![0; shards];
            let rounds = shards.div_ceil(MOST_BEATS_KEPT) as u64;
            for round in 40..40 + rounds {
                let asks = |shard: &usize| may_ask(Round(round), ShardIndex(*shard as u16), shards);
                let askers: Vec<_> = (0..shards).filter(asks).collect();
                assert!(askers.len() <= MOST_BEATS_KEPT, "{shards}: {askers:?}");
                askers.into_iter().for_each(|shard| turns[shard] += 1);
            }
            assert!(turns.iter().all(|turns| *turns == 1), "{shards}: {turns:?}");
        }
    }
}
