//! Keepsakes, the states of sessions, and the key for what lies beside the store.

use antiphon_wire::Timestamp;
use rand::CryptoRng;
use zeroize::Zeroizing;

use super::{Batch, Store};
use crate::event::EventKind;
use crate::keepsake::{Keepsake, KeepsakeKind, MOST_KEEPSAKE_BYTES, MOST_NAME_BYTES, SessionState};
use crate::message::ContactId;
use crate::place::Place;
use crate::record::Record;
use crate::store_error::StoreError;

/// Reason why something is not kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepsakeError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The name is too long, or there is none.
    #[error("a name has 1 to {MOST_NAME_BYTES} bytes")]
    BadName,
    /// There are too many bytes.
    #[error("{length} bytes are too many: at most {MOST_KEEPSAKE_BYTES} are kept under a name")]
    TooLong {
        /// Bytes that were given.
        length: usize,
    },
}

impl<P: Place> Store<P> {
    /// Keeps something under its kind and name, in the place of what has both. What was there can still be found by whoever
    /// takes all keys and old bytes: [`replace_keepsake`](Self::replace_keepsake) makes sure of that, too.
    ///
    /// # Errors
    /// If it is not kept.
    pub fn keep_keepsake(
        &mut self,
        keepsake: Keepsake,
        rng: &mut impl CryptoRng,
    ) -> Result<(), KeepsakeError> {
        let batch = self.batch_of(keepsake, rng)?;
        Ok(self.keep(&batch, rng)?)
    }

    /// Keeps something new, and an event that tells of it: both or neither.
    ///
    /// # Errors
    /// If it is not kept.
    pub fn keep_and_tell(
        &mut self,
        keepsake: Keepsake,
        (now, kind): (Timestamp, EventKind),
        rng: &mut impl CryptoRng,
    ) -> Result<(), KeepsakeError> {
        let mut batch = self.batch_of(keepsake, rng)?;
        self.tell(&mut batch, now, kind);
        Ok(self.keep(&batch, rng)?)
    }

    /// Keeps something as [`keep_keepsake`](Self::keep_keepsake) does, and makes unreadable for good what was there before.
    ///
    /// # Errors
    /// If it is not kept.
    pub fn replace_keepsake(
        &mut self,
        keepsake: Keepsake,
        rng: &mut impl CryptoRng,
    ) -> Result<(), KeepsakeError> {
        let batch = self.batch_of(keepsake, rng)?;
        Ok(self.erase(&batch, rng)?)
    }

    /// Likewise, and tells an event that nobody sees without it.
    ///
    /// # Errors
    /// If neither is kept.
    pub fn replace_keepsake_and_tell(
        &mut self,
        now: Timestamp,
        (keepsake, event): (Keepsake, EventKind),
        rng: &mut impl CryptoRng,
    ) -> Result<(), KeepsakeError> {
        let mut batch = self.batch_of(keepsake, rng)?;
        self.tell(&mut batch, now, event);
        Ok(self.erase(&batch, rng)?)
    }

    fn batch_of(
        &mut self,
        keepsake: Keepsake,
        rng: &mut impl CryptoRng,
    ) -> Result<Batch, KeepsakeError> {
        self.mend(rng)?;
        if keepsake.name.is_empty() || keepsake.name.len() > MOST_NAME_BYTES {
            return Err(KeepsakeError::BadName);
        }
        check(&keepsake.bytes)?;
        let before = self.index.keepsake(keepsake.kind, &keepsake.name);
        let number = before.unwrap_or_else(|| self.vault.next_number());
        Ok(Batch { puts: vec![(number, Record::Keepsake(keepsake))], ..Batch::default() })
    }

    /// Something by its kind and name.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn keepsake(&self, kind: KeepsakeKind, name: &str) -> Result<Option<Keepsake>, StoreError> {
        let Some(number) = self.index.keepsake(kind, name) else { return Ok(None) };
        match self.record(number)? {
            Record::Keepsake(keepsake) => Ok(Some(keepsake)),
            _ => Err(StoreError::damaged(format!("record {number} is no keepsake"))),
        }
    }

    /// Everything that is kept under a name, by kind and name.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn keepsakes(&self) -> Result<Vec<Keepsake>, StoreError> {
        let records = self.index.keepsakes().map(|number| self.record(number));
        let keepsakes = records.filter_map(|record| match record {
            Ok(Record::Keepsake(keepsake)) => Some(Ok(keepsake)),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        });
        keepsakes.collect()
    }

    /// Deletes something for good. Returns `false` if there was nothing of that name.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn delete_keepsake(
        &mut self,
        kind: KeepsakeKind,
        name: &str,
        rng: &mut impl CryptoRng,
    ) -> Result<bool, StoreError> {
        self.mend(rng)?;
        let Some(number) = self.index.keepsake(kind, name) else { return Ok(false) };
        let batch = Batch { removed: [number].into(), ..Batch::default() };
        self.erase(&batch, rng)?;
        Ok(true)
    }

    /// The key for what else lies in the profile's folder, 32 bytes, so that it opens with what opens the profile. Drawn
    /// when it is first asked for, and in no backup.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    pub fn device_key(
        &mut self,
        rng: &mut impl CryptoRng,
    ) -> Result<Zeroizing<[u8; 32]>, StoreError> {
        self.mend(rng)?;
        if let Some(number) = self.index.device_key() {
            return match self.record(number)? {
                Record::DeviceKey(key) => Ok(key),
                _ => Err(StoreError::damaged(format!("record {number} is no key"))),
            };
        }
        let mut key = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut key[..]);
        let number = self.vault.next_number();
        let puts = vec![(number, Record::DeviceKey(key.clone()))];
        self.keep(&Batch { puts, ..Batch::default() }, rng)?;
        Ok(key)
    }

    /// Keeps the state of a session, in the place of the one before, which nobody can read from then on.
    ///
    /// # Errors
    /// If it is not kept. Nothing that depends on it may leave then.
    pub fn keep_session(
        &mut self,
        state: SessionState,
        rng: &mut impl CryptoRng,
    ) -> Result<(), KeepsakeError> {
        self.mend(rng)?;
        check(&state.bytes)?;
        let before = self.index.session(state.contact);
        let number = before.unwrap_or_else(|| self.vault.next_number());
        let batch = Batch { puts: vec![(number, Record::Session(state))], ..Batch::default() };
        Ok(self.erase(&batch, rng)?)
    }

    /// The state of a contact's session.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn session(&self, contact: ContactId) -> Result<Option<SessionState>, StoreError> {
        let Some(number) = self.index.session(contact) else { return Ok(None) };
        match self.record(number)? {
            Record::Session(state) => Ok(Some(state)),
            _ => Err(StoreError::damaged(format!("record {number} is no session"))),
        }
    }

    /// Deletes the state of a contact's session for good.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn end_session(
        &mut self,
        contact: ContactId,
        rng: &mut impl CryptoRng,
    ) -> Result<(), StoreError> {
        self.mend(rng)?;
        let Some(number) = self.index.session(contact) else { return Ok(()) };
        let batch = Batch { removed: [number].into(), ..Batch::default() };
        self.erase(&batch, rng)
    }
}

fn check(bytes: &[u8]) -> Result<(), KeepsakeError> {
    match bytes.len() {
        length if length > MOST_KEEPSAKE_BYTES => Err(KeepsakeError::TooLong { length }),
        _ => Ok(()),
    }
}
