//! The state that a client must keep over a restart.

use antiphon_wire::{Decode, DecodeError, Encode, Epoch, Policy, Reader, Round, Timestamp};

use crate::{CLOCK_SLACK_MS, Ledger};

/// The newest round for which onions were built. No onions are built for it or an earlier one again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoundMark {
    /// Epoch of the round.
    pub epoch: Epoch,
    /// Number of the round.
    pub round: Round,
}

/// State that has to be on disk before a round's onions leave: 40 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// The round that is about to be submitted.
    pub mark: RoundMark,
    /// The ledger's units charged, rounds of unknown outcome included.
    pub charged: u32,
    /// The units that the application allowed beyond the guarantee.
    pub extended: u32,
    /// Aborted rounds counted, rounds of unknown outcome included.
    pub attempts: u32,
    /// The aborted rounds that the application allowed beyond the guarantee.
    pub attempts_extended: u32,
    /// No epoch is served that starts by then: zero, unless the state was restored from a backup.
    pub epochs_after: Timestamp,
}

impl Checkpoint {
    /// The checkpoint to start from when this may not be the newest state: rounds after it may have been used
    /// and charged. The ledger and the attempts are used up, and no epoch is served of which any round can
    /// have opened by `now`, by this clock or by any that the network and its clients bear.
    #[must_use]
    pub fn of_a_backup(self, policy: &Policy, now: Timestamp) -> Self {
        let charged = Ledger::new(policy.disturbed_rounds, 0, self.extended).allowance();
        let attempts = Ledger::new(policy.attempts, 0, self.attempts_extended).allowance();
        let epochs_after = self.epochs_after.max(now.plus_ms(CLOCK_SLACK_MS));
        Self { charged, attempts, epochs_after, ..self }
    }
}

impl Encode for Checkpoint {
    fn encode(&self, out: &mut Vec<u8>) {
        self.mark.epoch.encode(out);
        self.mark.round.encode(out);
        self.charged.encode(out);
        self.extended.encode(out);
        self.attempts.encode(out);
        self.attempts_extended.encode(out);
        self.epochs_after.encode(out);
    }
}

impl Decode for Checkpoint {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mark = RoundMark { epoch: Decode::decode(input)?, round: Decode::decode(input)? };
        let (charged, extended) = (Decode::decode(input)?, Decode::decode(input)?);
        let (attempts, attempts_extended) = (Decode::decode(input)?, Decode::decode(input)?);
        let epochs_after = Decode::decode(input)?;
        Ok(Self { mark, charged, extended, attempts, attempts_extended, epochs_after })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_survives_being_written_and_read() {
        let mark = RoundMark { epoch: Epoch(3), round: Round(900) };
        let checkpoint = Checkpoint {
            mark,
            charged: 12,
            extended: 7,
            attempts: 3,
            attempts_extended: 1,
            epochs_after: Timestamp(5),
        };
        assert_eq!(checkpoint.to_bytes().len(), 40);
        assert_eq!(Checkpoint::from_bytes(&checkpoint.to_bytes()), Ok(checkpoint));
    }

    proptest! {
        #[test]
        fn other_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..48)) {
            prop_assert_eq!(Checkpoint::from_bytes(&bytes).is_ok(), bytes.len() == 40);
        }
    }
}
