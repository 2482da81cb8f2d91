//! Errors of honest code, made on purpose: the swarm has to notice each of them.

use antiphon_wire::{FromClient, Timestamp};

use crate::adversary::{Adversary, Keys};
use crate::party::{Party, Payload, Sent};

/// An error that a process makes in some beats, as what it sends shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// A shard that hears the same beat again processes it again.
    ProcessesTwice,
    /// A shard's batch is as long as there are clients that sent cells.
    SizeFollowsPresence,
    /// A shard sends no batch where it should fill one.
    NoFill,
    /// A client sends no cells while it has nothing to say.
    SilentWhenIdle,
    /// A client makes cells anew for a beat that it has sent cells for.
    CellsAnew,
    /// A client pads its cells to the length of what it has to say.
    CellsOfOtherSize,
}

/// The shard, and the client, that has the flaw.
const FLAWED: usize = 0;
/// One beat in so many shows it.
const SHOWS_EVERY: u64 = 3;

impl Adversary for Flaw {
    /// Long, as it is one table: how each flaw shows.
    fn on_message(&mut self, _: Timestamp, sent: Sent, _: &Keys) -> Vec<(u64, Sent)> {
        let mut flawed = sent.clone();
        let shown = match (sent.from, &mut flawed.payload) {
            (Party::Shard(FLAWED), Payload::Cells { batch, bytes })
                if batch.beat % SHOWS_EVERY == 1 && batch.count > 0 =>
            {
                let cell_bytes = bytes.len() / batch.count as usize;
                match self {
                    Self::ProcessesTwice => {
                        bytes[0] ^= 1;
                        vec![sent, flawed]
                    }
                    Self::SizeFollowsPresence => {
                        batch.count -= 1;
                        bytes.truncate(bytes.len() - cell_bytes);
                        vec![flawed]
                    }
                    Self::NoFill => vec![],
                    _ => vec![sent],
                }
            }
            (Party::Client(FLAWED), Payload::FromClient(FromClient::Cells { beat, cells, .. }))
                if *beat % SHOWS_EVERY == 1 =>
            {
                match self {
                    Self::SilentWhenIdle => vec![],
                    Self::CellsAnew => {
                        cells.0[0] ^= 1;
                        vec![sent, flawed]
                    }
                    Self::CellsOfOtherSize => {
                        cells.0.truncate(cells.0.len() / 2);
                        vec![flawed]
                    }
                    _ => vec![sent],
                }
            }
            _ => vec![sent],
        };
        shown.into_iter().map(|sent| (0, sent)).collect()
    }
}
