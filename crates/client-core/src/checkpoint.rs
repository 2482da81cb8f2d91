//! What a client must remember over a restart.

use antiphon_wire::{Decode, DecodeError, Encode, Epoch, Reader, Round};

/// The newest round for which onions were built. No onions are built for it or an earlier one again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundMark {
    /// The round's epoch.
    pub epoch: Epoch,
    /// The round.
    pub round: Round,
}

/// What has to be on disk before a round's onions leave: 24 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The round that is about to be submitted.
    pub mark: RoundMark,
    /// The ledger's units charged, rounds of unknown outcome included.
    pub charged: u32,
    /// The units that the application allowed beyond the guarantee.
    pub extended: u32,
}

impl Encode for Checkpoint {
    fn encode(&self, out: &mut Vec<u8>) {
        self.mark.epoch.encode(out);
        self.mark.round.encode(out);
        self.charged.encode(out);
        self.extended.encode(out);
    }
}

impl Decode for Checkpoint {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mark = RoundMark { epoch: Decode::decode(input)?, round: Decode::decode(input)? };
        Ok(Self { mark, charged: Decode::decode(input)?, extended: Decode::decode(input)? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_survives_being_written_and_read() {
        let mark = RoundMark { epoch: Epoch(3), round: Round(900) };
        let checkpoint = Checkpoint { mark, charged: 12, extended: 7 };
        assert_eq!(checkpoint.to_bytes().len(), 24);
        assert_eq!(Checkpoint::from_bytes(&checkpoint.to_bytes()), Ok(checkpoint));
    }

    proptest! {
        #[test]
        fn other_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(Checkpoint::from_bytes(&bytes).is_ok(), bytes.len() == 24);
        }
    }
}
