//! Backups: one file, sealed frame by frame, of what a user keeps and, if wished, the messages. Nothing that a restored
//! profile must not go on with is in it: no session's state, and no ledger.

mod frames;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use antiphon_wire::Timestamp;
use rand::CryptoRng;

use crate::backup_item::BackupItem;
use crate::event::EventKind;
use crate::formats::{BACKUP_HEADER_BYTES, BackupHeader, KeyCost, KeySource, NoHeader};
use crate::place::Place;
use crate::profile::{Profile, ProfileError};
use crate::seal::Key;
use crate::store::Store;
use crate::store_error::StoreError;
use crate::unlock::Unlock;
use frames::{FrameReader, FrameWriter};

/// Count of what a backup holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackupSummary {
    /// Time at which it was made.
    pub made_at: Timestamp,
    /// Keepsakes.
    pub keepsakes: usize,
    /// Messages.
    pub messages: usize,
}

/// Reason why a backup is not made.
#[derive(Debug, thiserror::Error)]
pub enum BackUpError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file cannot be written.
    #[error("cannot write the backup: {0}")]
    Write(#[from] io::Error),
}

/// Reason why a backup cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The system refuses.
    #[error("cannot read the backup: {0}")]
    Read(#[from] io::Error),
    /// Something else than a backup.
    #[error(
        "this is no backup of Antiphon, or its beginning is damaged: take the file that was written as the backup"
    )]
    Unknown,
    /// A backup of a later version.
    #[error(
        "this backup was made by a newer version of Antiphon (backup version {0}): restore it with that \
         version, or a later one"
    )]
    Newer(u16),
    /// The wrong passphrase or key file.
    #[error("{}", wrong_key(.0))]
    WrongKey(KeySource),
    /// A passphrase for a backup with a key file, or the other way round.
    #[error("this backup opens with {0}")]
    OtherSource(KeySource),
    /// Frames are missing at the end.
    #[error("this backup was cut short after {frames} frames of 64 KiB: take a whole copy of it")]
    Truncated {
        /// Frames that are there.
        frames: u64,
    },
    /// A frame was changed, or is not in its place.
    #[error(
        "frame {frame} of this backup was changed or is not in its place: take another copy of it"
    )]
    Damaged {
        /// Number of the frame, from 0.
        frame: u64,
    },
    /// What is sealed in it cannot be read.
    #[error("this backup was sealed whole, but holds what no version of Antiphon writes: {0}")]
    Content(String),
}

fn wrong_key(source: &KeySource) -> &'static str {
    match source {
        KeySource::Passphrase(_) => {
            "the passphrase is not that of this backup, which may be another than the profile's: try again; if \
             it is right, the file's beginning is damaged"
        }
        KeySource::KeyFile => {
            "the key file is not the one that this backup was made with, or the file's beginning is damaged"
        }
    }
}

/// Reason why a backup is not restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The backup.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The profile.
    #[error(transparent)]
    Profile(#[from] ProfileError),
}

impl<P: Place> Store<P> {
    /// Writes a backup: everything that the user keeps, and the messages if they are wished.
    ///
    /// # Errors
    /// If it cannot be read or written. What is written then is no backup.
    pub fn back_up(
        &self,
        now: Timestamp,
        unlock: &Unlock,
        cost: KeyCost,
        with_messages: bool,
        out: &mut impl Write,
        rng: &mut impl CryptoRng,
    ) -> Result<BackupSummary, BackUpError> {
        let mut header =
            BackupHeader { source: unlock.source(cost), salt: [0; 16], nonce: [0; 19] };
        rng.fill_bytes(&mut header.salt);
        rng.fill_bytes(&mut header.nonce);
        let key = unlock.key(header.source, &header.salt);
        let key = key.ok_or(StoreError::OtherSource(header.source))?;
        let bytes = header.render();
        out.write_all(&bytes)?;
        let mut frames = FrameWriter::new(&key, header.nonce, bytes, out);
        let mut summary = BackupSummary { made_at: now, ..BackupSummary::default() };
        frames.write(&BackupItem::Head { made_at: now })?;
        for keepsake in self.keepsakes()? {
            frames.write(&keepsake.into())?;
            summary.keepsakes += 1;
        }
        let talks = if with_messages { self.talks() } else { Vec::new() };
        for contact in talks {
            summary.messages += self.each_message(contact, |message| {
                Ok::<_, BackUpError>(frames.write(&message.clone().into())?)
            })?;
        }
        let items = 1 + summary.keepsakes as u64 + summary.messages as u64;
        frames.write(&BackupItem::End { items })?;
        frames.finish()?;
        Ok(summary)
    }
}

/// A backup, opened and not read yet.
#[derive(Debug)]
pub struct Backup {
    path: PathBuf,
    header: BackupHeader,
    key: Key,
}

impl Backup {
    /// Opens a backup.
    ///
    /// # Errors
    /// If it is none, or of a later version, or opens in another way.
    pub fn open(path: &Path, unlock: &Unlock) -> Result<Self, BackupError> {
        let mut bytes = Vec::new();
        File::open(path)?.take(BACKUP_HEADER_BYTES as u64).read_to_end(&mut bytes)?;
        let header = BackupHeader::parse(&bytes).map_err(|error| match error {
            NoHeader::Unknown => BackupError::Unknown,
            NoHeader::Newer(version) => BackupError::Newer(version),
        })?;
        let source = header.source;
        let key = unlock.key(source, &header.salt).ok_or(BackupError::OtherSource(source))?;
        Ok(Self { path: path.to_owned(), header, key })
    }

    /// Reads the backup to its end. What was shown to `visit` is worth nothing if this fails.
    ///
    /// # Errors
    /// If it is not whole, or `visit` fails.
    pub fn read<E: From<BackupError>>(
        &self,
        mut visit: impl FnMut(BackupItem) -> Result<(), E>,
    ) -> Result<BackupSummary, E> {
        let failed = |error: io::Error| E::from(BackupError::Read(error));
        let mut file = BufReader::new(File::open(&self.path).map_err(failed)?);
        let mut head = [0; BACKUP_HEADER_BYTES];
        file.read_exact(&mut head).map_err(failed)?;
        let mut frames = FrameReader::new(&self.key, &self.header, file);
        let mut summary = BackupSummary::default();
        let mut items = 0;
        let content = |what: &str| E::from(BackupError::Content(what.to_owned()));
        loop {
            match frames.next()? {
                BackupItem::Head { made_at } if items == 0 => summary.made_at = made_at,
                BackupItem::Head { .. } => return Err(content("two heads")),
                _ if items == 0 => return Err(content("no head")),
                BackupItem::End { items: all } if all == items => break,
                BackupItem::End { .. } => return Err(content("another number of items")),
                item => {
                    match &item {
                        BackupItem::Keepsake(_) => summary.keepsakes += 1,
                        _ => summary.messages += 1,
                    }
                    visit(item)?;
                }
            }
            items += 1;
        }
        frames.finish()?;
        Ok(summary)
    }

    /// Makes a profile of the backup, in a folder that does not exist yet. The backup is read to its end before anything
    /// is made. Messages that had not arrived wait again, under the names that they had. `mark` is given the new profile before
    /// it counts as one, and sees to it that its client begins like one restored from a backup: in the next
    /// epoch, and with its ledger used up.
    ///
    /// # Errors
    /// If the backup is not whole, or the profile is not made.
    pub fn restore<R: CryptoRng>(
        &self,
        folder: &Path,
        unlock: &Unlock,
        cost: KeyCost,
        now: Timestamp,
        rng: &mut R,
        mark: impl FnOnce(&mut Profile) -> io::Result<()>,
    ) -> Result<(Profile, BackupSummary), RestoreError> {
        let summary = self.read(|_| Ok::<_, BackupError>(()))?;
        let profile = Profile::create_with(folder, unlock, cost, now, rng, |profile, rng| {
            let store_failed = |source| ProfileError::Store { folder: folder.to_owned(), source };
            self.read(|item| {
                let kept = profile.store_mut().put_back(item, rng);
                kept.map_err(|source| RestoreError::Profile(store_failed(source)))
            })?;
            let made_at = summary.made_at;
            let store = profile.store_mut();
            store
                .finish_putting_back(rng)
                .and_then(|()| store.add_event(now, EventKind::Restored { made_at }, rng))
                .map_err(store_failed)?;
            let path = profile.witness_file();
            mark(profile).map_err(|source| ProfileError::Witness { path, source })?;
            Ok::<_, RestoreError>(())
        })?;
        Ok((profile, summary))
    }
}
