//! The state that a client must keep over a restart.

use antiphon_wire::{
    Decode, DecodeError, Encode, Epoch, IdentityKey, Policy, Reader, Round, Ticket, Timestamp,
};

use crate::{CLOCK_SLACK_MS, Ledger, RoundPace};

/// The newest round for which onions were built. No onions are built for it or an earlier one again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoundMark {
    /// Epoch of the round.
    pub epoch: Epoch,
    /// Number of the round.
    pub round: Round,
}

/// The circuits of a round that this client has a part in. After a restart, cells go on in them with the next beat, so
/// that it shows for no longer than it takes; they carry nothing if their [secrets](crate::Client::kept) were not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CircuitMark {
    /// Epoch of the round.
    pub epoch: Epoch,
    /// Number of the round.
    pub round: Round,
    /// Secret by which the gateway knows the round's client. All zeros if there is no such round.
    pub ticket: Ticket,
    /// Number of the first beat for which no cells were made, and none may have left.
    pub unused_from: u64,
}

impl Default for CircuitMark {
    fn default() -> Self {
        Self { epoch: Epoch(0), round: Round(0), ticket: Ticket([0; 32]), unused_from: 0 }
    }
}

impl CircuitMark {
    /// Returns `true` if there is no such round.
    pub fn is_none(&self) -> bool {
        self.ticket == Ticket([0; 32])
    }
}

/// State that has to be on disk before a round's onions or a beat's cells leave: 384 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// The circuits whose beats run, and those of the newest round.
    pub circuits: [CircuitMark; 2],
    /// The gateway that has the circuits, for whoever keeps the checkpoint to say; all zeros if none has any.
    pub gateway: IdentityKey,
    /// How many rounds the network may still open at once or early.
    pub pace: RoundPace,
}

impl Default for Checkpoint {
    fn default() -> Self {
        Self {
            mark: RoundMark::default(),
            charged: 0,
            extended: 0,
            attempts: 0,
            attempts_extended: 0,
            epochs_after: Timestamp(0),
            circuits: [CircuitMark::default(); 2],
            gateway: IdentityKey([0; 32]),
            pace: RoundPace::default(),
        }
    }
}

impl Checkpoint {
    /// The checkpoint to start from when this may not be the newest state: rounds after it may have been used
    /// and charged. The ledger, the attempts and the early rounds are used up, and no epoch is served of which any round can
    /// have opened by `now`, by this clock or by any that the network and its clients bear. No circuits go on.
    #[must_use]
    pub fn of_a_backup(self, policy: &Policy, now: Timestamp) -> Self {
        let charged = Ledger::new(policy.disturbed_rounds, 0, self.extended).allowance();
        let attempts = Ledger::new(policy.attempts, 0, self.attempts_extended).allowance();
        let epochs_after = self.epochs_after.max(now.plus_ms(CLOCK_SLACK_MS));
        let circuits = [CircuitMark::default(); 2];
        let pace = RoundPace::used_up(policy, now);
        Self { charged, attempts, epochs_after, circuits, pace, ..self }
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
        for circuits in &self.circuits {
            circuits.epoch.encode(out);
            circuits.round.encode(out);
            circuits.ticket.encode(out);
            circuits.unused_from.encode(out);
        }
        self.gateway.encode(out);
        self.pace.encode(out);
    }
}

impl Decode for CircuitMark {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (epoch, round) = (Decode::decode(input)?, Decode::decode(input)?);
        let (ticket, unused_from) = (Decode::decode(input)?, Decode::decode(input)?);
        Ok(Self { epoch, round, ticket, unused_from })
    }
}

impl Decode for Checkpoint {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mark = RoundMark { epoch: Decode::decode(input)?, round: Decode::decode(input)? };
        let (charged, extended) = (Decode::decode(input)?, Decode::decode(input)?);
        let (attempts, attempts_extended) = (Decode::decode(input)?, Decode::decode(input)?);
        let epochs_after = Decode::decode(input)?;
        let circuits = [Decode::decode(input)?, Decode::decode(input)?];
        let gateway = Decode::decode(input)?;
        let pace = Decode::decode(input)?;
        let counts = Self { charged, extended, attempts, attempts_extended, ..Self::default() };
        Ok(Self { mark, epochs_after, circuits, gateway, pace, ..counts })
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
            circuits: [3, 4].map(|number| CircuitMark {
                epoch: Epoch(number.into()),
                round: Round(50 + u64::from(number)),
                ticket: Ticket([number; 32]),
                unused_from: 7,
            }),
            gateway: IdentityKey([9; 32]),
            pace: RoundPace {
                full: Timestamp(8),
                early: std::array::from_fn(|at| Timestamp(at as u64)),
            },
        };
        assert_eq!(checkpoint.to_bytes().len(), 384);
        assert_eq!(Checkpoint::from_bytes(&checkpoint.to_bytes()), Ok(checkpoint));
    }

    proptest! {
        #[test]
        fn other_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 376..392)) {
            prop_assert_eq!(Checkpoint::from_bytes(&bytes).is_ok(), bytes.len() == 384);
        }
    }
}
