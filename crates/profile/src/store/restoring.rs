//! Filling a new store from a backup.

use rand::CryptoRng;

use super::{Batch, Store};
use crate::backup_item::BackupItem;
use crate::message::MessageState;
use crate::place::Place;
use crate::record::Record;
use crate::store_error::StoreError;

/// Items that are written at once.
const SOME: usize = 256;

impl<P: Place> Store<P> {
    /// Keeps an item of a backup; some wait in memory until [`finish_putting_back`](Self::finish_putting_back).
    pub(crate) fn put_back(
        &mut self,
        item: BackupItem,
        rng: &mut impl CryptoRng,
    ) -> Result<(), StoreError> {
        let record = match item {
            BackupItem::Keepsake(keepsake) => Record::Keepsake(keepsake),
            BackupItem::Message(mut message) => {
                // Sent again under the same name, which the contact knows if it has it.
                if message.is_open() {
                    message.state = MessageState::Queued;
                }
                Record::Message(message)
            }
            BackupItem::Head { .. } | BackupItem::End { .. } => return Ok(()),
        };
        let number = self.vault.next_number();
        self.restored.push((number, record));
        if self.restored.len() < SOME { Ok(()) } else { self.finish_putting_back(rng) }
    }

    /// Writes the items that wait in memory.
    pub(crate) fn finish_putting_back(
        &mut self,
        rng: &mut impl CryptoRng,
    ) -> Result<(), StoreError> {
        let puts = std::mem::take(&mut self.restored);
        self.keep(&Batch { puts, ..Batch::default() }, rng)
    }
}
