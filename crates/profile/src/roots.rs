//! The file `keys`: the root of all keys of the store, replaced whenever something is deleted.
//!
//! Two slots are written in turn and in place, each in a sector of its own: a torn write leaves the other, and what was
//! written over is gone from the file. A new root is announced beside the old one before the store changes over to
//! it in one step of its own, and settled afterwards, so that a crash at any point leaves a root that opens the store.

use rand::CryptoRng;
use redb::StorageBackend;
use zeroize::Zeroizing;

use crate::formats::{
    KEY_SLOT_BYTES, KeyCost, KeySlot, KeySource, SLOT_BODY_BYTES, SLOT_SECRET_BYTES,
};
use crate::seal::Key;
use crate::store_error::StoreError;
use crate::unlock::Unlock;

const SLOT_APART: u64 = 4096;
const FILE_BYTES: u64 = 2 * SLOT_APART;

/// Roots of one moment, as a slot holds them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Held {
    generation: u64,
    root: Key,
    /// The root of the next generation, while the store changes over to it.
    next: Option<Key>,
}

impl Held {
    fn render(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(SLOT_SECRET_BYTES));
        bytes.extend(self.generation.to_be_bytes());
        bytes.extend(self.root.0);
        bytes.push(u8::from(self.next.is_some()));
        bytes.extend(self.next.as_ref().map_or([0; 32], |next| next.0));
        bytes
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (generation, rest) = bytes.split_first_chunk::<8>()?;
        let (root, rest) = rest.split_first_chunk::<32>()?;
        let (mark, next) = rest.split_first_chunk::<1>()?;
        let next = Key(next.try_into().ok()?);
        let generation = u64::from_be_bytes(*generation);
        Some(Self { generation, root: Key(*root), next: (mark == &[1]).then_some(next) })
    }
}

/// The roots of a store, and the file that they are kept in.
#[derive(Debug)]
pub(crate) struct Roots<F> {
    file: F,
    /// Opens the slots.
    key: Key,
    profile: [u8; 16],
    source: KeySource,
    salt: [u8; 16],
    /// Number of the newest slot.
    number: u64,
    held: Held,
    /// `true` if both slots hold this, and nothing else.
    settled: bool,
}

impl<F: StorageBackend> Roots<F> {
    /// Writes a first root to an empty file.
    pub(crate) fn create(
        file: F,
        unlock: &Unlock,
        cost: KeyCost,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, StoreError> {
        let (mut profile, mut salt) = ([0; 16], [0; 16]);
        rng.fill_bytes(&mut profile);
        rng.fill_bytes(&mut salt);
        let source = unlock.source(cost);
        let key = unlock.key(source, &salt).ok_or(StoreError::OtherSource(source))?;
        let held = Held { generation: 0, root: Key::draw(rng), next: None };
        file.set_len(FILE_BYTES)?;
        let mut roots = Self { file, key, profile, source, salt, number: 0, held, settled: false };
        roots.write_both(rng)?;
        Ok(roots)
    }

    /// Opens the file with a passphrase or key.
    pub(crate) fn open(file: F, unlock: &Unlock) -> Result<Self, StoreError> {
        let newest = newest(&file)?;
        let source = newest.source;
        let key = unlock.key(source, &newest.salt).ok_or(StoreError::OtherSource(source))?;
        Self::open_with(file, key)
    }

    /// Opens the file with the key that its slots are sealed with.
    fn open_with(file: F, key: Key) -> Result<Self, StoreError> {
        let slots = slots(&file)?;
        let newest = newest(&file)?;
        let opened = |slot: &KeySlot| Held::parse(&key.open(&slot.head(), &slot.body)?);
        let held = opened(&newest).ok_or(StoreError::WrongKey(newest.source))?;
        let same = |slot: &Option<KeySlot>| slot.as_ref().and_then(opened).as_ref() == Some(&held);
        let settled = held.next.is_none() && slots.iter().all(same);
        let KeySlot { profile, source, salt, number, .. } = newest;
        Ok(Self { file, key, profile, source, salt, number, held, settled })
    }

    /// Reads the file again, through `file`, after a write of which nobody knows how it ended.
    pub(crate) fn reread(&self, file: F) -> Result<Self, StoreError> {
        Self::open_with(file, self.key.clone())
    }

    pub(crate) fn profile(&self) -> [u8; 16] {
        self.profile
    }

    pub(crate) fn source(&self) -> KeySource {
        self.source
    }

    pub(crate) fn generation(&self) -> u64 {
        self.held.generation
    }

    /// The root of the generation that the store is of.
    pub(crate) fn root(&self, generation: u64) -> Result<Key, StoreError> {
        let Held { generation: keys, root, next } = &self.held;
        match next {
            _ if generation == *keys => Ok(root.clone()),
            Some(next) if generation == keys + 1 => Ok(next.clone()),
            _ => Err(StoreError::Apart { store: generation, keys: *keys }),
        }
    }

    /// Draws the root of the next generation, and keeps it beside the one in use. It is on disk when this returns.
    pub(crate) fn announce(&mut self, rng: &mut impl CryptoRng) -> Result<Key, StoreError> {
        let next = Key::draw(rng);
        self.held.next = Some(next.clone());
        self.settled = false;
        self.write(rng)?;
        Ok(next)
    }

    /// Forgets every root but that of the generation which the store is of. The others are off the disk when this
    /// returns.
    pub(crate) fn settle(
        &mut self,
        generation: u64,
        rng: &mut impl CryptoRng,
    ) -> Result<(), StoreError> {
        let root = self.root(generation)?;
        if self.settled && generation == self.held.generation {
            return Ok(());
        }
        self.held = Held { generation, root, next: None };
        self.write_both(rng)
    }

    /// Seals the roots for another passphrase or key. The former one opens nothing in the file when this returns.
    pub(crate) fn change_key(
        &mut self,
        unlock: &Unlock,
        cost: KeyCost,
        rng: &mut impl CryptoRng,
    ) -> Result<(), StoreError> {
        let source = unlock.source(cost);
        let mut salt = [0; 16];
        rng.fill_bytes(&mut salt);
        self.key = unlock.key(source, &salt).ok_or(StoreError::OtherSource(source))?;
        (self.source, self.salt) = (source, salt);
        self.write_both(rng)
    }

    fn write_both(&mut self, rng: &mut impl CryptoRng) -> Result<(), StoreError> {
        self.settled = false;
        self.write(rng)?;
        self.write(rng)?;
        self.settled = true;
        Ok(())
    }

    /// Writes over the older slot.
    fn write(&mut self, rng: &mut impl CryptoRng) -> Result<(), StoreError> {
        self.number += 1;
        let Self { number, profile, source, salt, .. } = *self;
        let mut slot = KeySlot { number, profile, source, salt, body: [0; SLOT_BODY_BYTES] };
        let body = self.key.seal(&slot.head(), &self.held.render(), rng);
        slot.body.copy_from_slice(&body);
        self.file.write(number % 2 * SLOT_APART, &slot.render())?;
        self.file.sync_data()?;
        Ok(())
    }
}

/// Both slots, as far as they can be read.
fn slots(file: &impl StorageBackend) -> Result<[Option<KeySlot>; 2], StoreError> {
    let mut slots = [None, None];
    for (slot, at) in slots.iter_mut().zip([0, SLOT_APART]) {
        let mut bytes = [0; KEY_SLOT_BYTES];
        if file.len()? >= at + KEY_SLOT_BYTES as u64 {
            file.read(at, &mut bytes)?;
            *slot = KeySlot::parse(&bytes);
        }
    }
    Ok(slots)
}

fn newest(file: &impl StorageBackend) -> Result<KeySlot, StoreError> {
    let slots = slots(file)?.into_iter().flatten();
    slots.max_by_key(|slot| slot.number).ok_or(StoreError::KeysDamaged)
}
