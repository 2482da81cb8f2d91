//! What a profile and a backup hold on disk, and what a contact sends over a session: read in the one form in which it is
//! written, or not at all.
#![no_main]

use antiphon_wire::{Decode, Digest, Encode};
use libfuzzer_sys::fuzz_target;

// Compiled in from their sources: they do no input or output, and so neither a database nor a runtime has to be built here.
#[allow(dead_code)]
#[path = "../../crates/profile/src/backup_item.rs"]
mod backup_item;
#[allow(dead_code)]
#[path = "../../crates/profile/src/formats.rs"]
mod formats;
#[allow(dead_code)]
#[path = "../../crates/profile/src/keepsake.rs"]
mod keepsake;
#[allow(dead_code)]
#[path = "../../crates/profile/src/message.rs"]
mod message;
#[allow(dead_code)]
#[path = "../../crates/messenger/src/parts.rs"]
mod parts;
#[allow(dead_code)]
#[path = "../../crates/profile/src/piece.rs"]
mod piece;
#[allow(dead_code)]
#[path = "../../crates/profile/src/text.rs"]
mod text;

use backup_item::BackupItem;
use formats::{BACKUP_HEADER_BYTES, BackupHeader, KEY_SLOT_BYTES, KeySlot, NoHeader};
use parts::{Joined, Joiner, cut, cut_greeting};
use piece::Piece;

fn same<T: Decode + Encode>(bytes: &[u8]) {
    if let Ok(value) = T::from_bytes(bytes) {
        assert_eq!(value.to_bytes(), bytes);
    }
}

fn check(bytes: &[u8]) {
    if let Some(slot) = KeySlot::parse(bytes) {
        assert_eq!(bytes.len(), KEY_SLOT_BYTES);
        assert_eq!(slot.render(), bytes);
    }
    match BackupHeader::parse(bytes) {
        Ok(header) => {
            assert_eq!(bytes.len(), BACKUP_HEADER_BYTES);
            assert_eq!(header.render(), bytes);
        }
        Err(NoHeader::Newer(version)) => assert!(version > 1),
        Err(NoHeader::Unknown) => {}
    }
    same::<BackupItem>(bytes);
    same::<Piece>(bytes);
}

/// Parts of a piece as a contact sends them, each behind its length.
fn check_parts(mut bytes: &[u8]) {
    let mut joiner = Joiner::default();
    while let Some((length, rest)) = bytes.split_first() {
        let (part, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        let taken = joiner.take(part);
        let parts = match &taken {
            Joined::Whole(piece) => cut(piece, 200),
            Joined::Greeting(said) => cut_greeting(said, 200),
            Joined::More | Joined::Spoilt => Vec::new(),
        };
        let mut again = Joiner::default();
        if let Some(joined) = parts.iter().map(|part| again.take(part)).last() {
            assert_eq!(joined, taken);
        }
        bytes = rest;
    }
}

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    check_parts(bytes);
    // Nobody finds a hash by chance.
    check(&[bytes, &Digest::of(bytes).0].concat());
});
