//! How epochs follow each other: documents, members, crashes, clocks, and networks drawn at random.

mod blame;
mod chaos;
mod clients;
mod coordinator;
mod crashes;
mod delays;
mod early;
mod election;
mod garblers;
mod keys;
mod lists;
mod members;
mod numbers;
mod proposals;
mod rotation;
mod suites;
mod swarm;
mod takeover;
mod thousand;

use antiphon_wire::{Announcement, Epoch, Round, ToShard};

/// The coordinator's word that opens a round without beats.
fn open(epoch: Epoch, round: Round) -> ToShard {
    ToShard::Open { announcement: Announcement::classic(epoch, round) }
}
