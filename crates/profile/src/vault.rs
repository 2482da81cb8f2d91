//! Sealed records by number, in drawers by day, of which any can be forgotten for good.
//!
//! A record is sealed with its drawer's key, a drawer's key with the root. To erase a record, its drawer gets another key, and
//! what else is in it is sealed anew; then all drawers' keys are sealed with a new root, and the old root is
//! overwritten. Whatever old bytes of the store are left, on free pages or in a copy that somebody took, the keys to them are gone.

use std::collections::{BTreeMap, BTreeSet};

use rand::CryptoRng;
use redb::{
    Database, ReadOnlyTable, ReadableDatabase as _, ReadableTable as _, StorageBackend,
    TableDefinition,
};
use zeroize::Zeroizing;

use crate::formats::KeyCost;
use crate::place::Place;
use crate::roots::Roots;
use crate::seal::{Key, most_content, pad, unpad};
use crate::store_error::StoreError;
use crate::unlock::Unlock;

#[cfg(test)]
mod tests;

/// Counters in the clear.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const GENERATION: &str = "generation";
const NEXT_RECORD: &str = "next record";
/// Drawers' keys, sealed with the root.
const DRAWERS: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("drawers");
/// Records, each behind the number of its drawer.
const RECORDS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("records");
/// Memory for pages of the store.
const CACHE_BYTES: usize = 8 << 20;
/// Bytes in front of a sealed record: its drawer's number.
const BEFORE_RECORD: usize = 4;
/// Most bytes of a record.
pub(crate) const MOST_CONTENT: usize = most_content(BEFORE_RECORD);

/// Number of a record. Later records have higher ones, and none is used twice.
pub(crate) type RecordNumber = u64;

/// Place where records lie that are under one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Drawer {
    /// Records that stay until somebody deletes them.
    Standing,
    /// Records that change so often that their former content has to be out of reach soon.
    Running,
    /// Records of a day, counted from the beginning of 1970.
    Day(u32),
}

impl Drawer {
    fn render(self) -> [u8; 5] {
        let (kind, day) = match self {
            Self::Standing => (0, 0),
            Self::Running => (1, 0),
            Self::Day(day) => (2, day),
        };
        let mut bytes = [kind; 5];
        bytes[1..].copy_from_slice(&u32::to_be_bytes(day));
        bytes
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (kind, day) = bytes.split_first()?;
        match (kind, u32::from_be_bytes(day.try_into().ok()?)) {
            (0, 0) => Some(Self::Standing),
            (1, 0) => Some(Self::Running),
            (2, day) => Some(Self::Day(day)),
            _ => None,
        }
    }
}

/// A record to be kept, in place of what has its number.
#[derive(Debug)]
pub(crate) struct Put {
    pub(crate) number: RecordNumber,
    pub(crate) drawer: Drawer,
    pub(crate) content: Zeroizing<Vec<u8>>,
}

#[derive(Clone, Debug)]
struct Open {
    drawer: Drawer,
    key: Key,
}

/// Records and their keys.
#[derive(Debug)]
pub(crate) struct Vault<P: Place> {
    place: P,
    roots: Roots<P::File>,
    /// `None` only while it is opened again.
    database: Option<Database>,
    drawers: BTreeMap<u32, Open>,
    records: BTreeMap<RecordNumber, u32>,
    next: RecordNumber,
    /// Nobody knows how the last write ended: all of this is to be read again.
    unsure: bool,
}

impl<P: Place> Vault<P> {
    /// Fills a place with an empty store.
    pub(crate) fn create(
        place: P,
        unlock: &Unlock,
        cost: KeyCost,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, StoreError> {
        let roots = Roots::create(place.keys()?, unlock, cost, rng)?;
        let database = database(place.store()?)?;
        let write = database.begin_write().map_err(StoreError::of)?;
        {
            let mut meta = write.open_table(META).map_err(StoreError::of)?;
            meta.insert(GENERATION, 0_u64).map_err(StoreError::of)?;
            meta.insert(NEXT_RECORD, 1_u64).map_err(StoreError::of)?;
            write.open_table(DRAWERS).map_err(StoreError::of)?;
            write.open_table(RECORDS).map_err(StoreError::of)?;
        }
        write.commit().map_err(StoreError::of)?;
        let (drawers, records) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self {
            place,
            roots,
            database: Some(database),
            drawers,
            records,
            next: 1,
            unsure: false,
        })
    }

    /// Opens a store and shows each of its records to `visit`, in the order of their numbers.
    pub(crate) fn open(
        place: P,
        unlock: &Unlock,
        rng: &mut impl CryptoRng,
        visit: impl FnMut(RecordNumber, Drawer, &[u8]) -> Result<(), StoreError>,
    ) -> Result<Self, StoreError> {
        let roots = Roots::open(place.keys()?, unlock)?;
        // An empty file would be made into a new store.
        if place.store()?.len()? == 0 {
            return Err(StoreError::damaged("it is empty"));
        }
        let mut vault = Self {
            database: Some(database(place.store()?)?),
            place,
            roots,
            drawers: BTreeMap::new(),
            records: BTreeMap::new(),
            next: 1,
            unsure: true,
        };
        vault.load(rng, visit)?;
        Ok(vault)
    }

    /// `true` if nobody knows how the last write ended. Nothing can be written until it is opened again.
    pub(crate) fn is_unsure(&self) -> bool {
        self.unsure
    }

    /// Opens both files again, as after a start.
    pub(crate) fn reopen(
        &mut self,
        rng: &mut impl CryptoRng,
        visit: impl FnMut(RecordNumber, Drawer, &[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.unsure = true;
        // Closed first, as it holds a lock.
        self.database = None;
        self.roots = self.roots.reread(self.place.keys()?)?;
        self.database = Some(database(self.place.store()?)?);
        self.load(rng, visit)
    }

    fn load(
        &mut self,
        rng: &mut impl CryptoRng,
        mut visit: impl FnMut(RecordNumber, Drawer, &[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.drawers.clear();
        self.records.clear();
        let read = self.database()?.begin_read().map_err(StoreError::of)?;
        let meta = read.open_table(META).map_err(StoreError::of)?;
        let counter = |name| match meta.get(name) {
            Ok(Some(value)) => Ok(value.value()),
            Ok(None) => Err(StoreError::damaged(format!("it has no {name}"))),
            Err(error) => Err(StoreError::of(error)),
        };
        let (generation, next) = (counter(GENERATION)?, counter(NEXT_RECORD)?);
        let drawers = read.open_table(DRAWERS).map_err(StoreError::of)?;
        self.load_drawers(&drawers, generation)?;
        for entry in
            read.open_table(RECORDS).map_err(StoreError::of)?.iter().map_err(StoreError::of)?
        {
            let (number, bytes) = entry.map_err(StoreError::of)?;
            let number = number.value();
            let (drawer, content) = self.unsealed(number, bytes.value())?;
            let content = unpad(&content)
                .ok_or_else(|| StoreError::damaged(format!("padding of record {number}")))?;
            visit(number, self.drawers[&drawer].drawer, content)?;
            self.records.insert(number, drawer);
        }
        self.next = next;
        // Only now, when all of it could be read: nothing of a damaged store is changed.
        self.roots.settle(generation, rng)?;
        self.unsure = false;
        Ok(())
    }

    /// Opens the drawers with the root of the store's generation.
    fn load_drawers(
        &mut self,
        drawers: &ReadOnlyTable<u32, &'static [u8]>,
        generation: u64,
    ) -> Result<(), StoreError> {
        let root = self.roots.root(generation)?;
        for entry in drawers.iter().map_err(StoreError::of)? {
            let (number, sealed) = entry.map_err(StoreError::of)?;
            let number = number.value();
            let opened = root.open(&self.drawer_bound(number, generation), sealed.value());
            let open = opened.as_deref().and_then(|opened| opened_drawer(opened));
            let open = open.ok_or_else(|| StoreError::damaged(format!("drawer {number}")))?;
            self.drawers.insert(number, open);
        }
        Ok(())
    }

    fn database(&self) -> Result<&Database, StoreError> {
        self.database.as_ref().ok_or_else(|| std::io::Error::other("the store is closed").into())
    }

    /// The roots' file, for what it says of the profile.
    pub(crate) fn roots(&self) -> &Roots<P::File> {
        &self.roots
    }

    /// Seals the roots for another passphrase or key.
    pub(crate) fn change_key(
        &mut self,
        unlock: &Unlock,
        cost: KeyCost,
        rng: &mut impl CryptoRng,
    ) -> Result<(), StoreError> {
        self.roots.change_key(unlock, cost, rng)
    }

    /// A number that no record had before. It counts as used once a record with it is kept.
    pub(crate) fn next_number(&mut self) -> RecordNumber {
        self.next += 1;
        self.next - 1
    }

    /// Number of records.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// The content of a record; `None` if there is none of that number.
    pub(crate) fn read(
        &self,
        number: RecordNumber,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let read = self.database()?.begin_read().map_err(StoreError::of)?;
        let records = read.open_table(RECORDS).map_err(StoreError::of)?;
        let Some(bytes) = records.get(number).map_err(StoreError::of)? else { return Ok(None) };
        let (_, padded) = self.unsealed(number, bytes.value())?;
        let content = unpad(&padded).map(|content| Zeroizing::new(content.to_vec()));
        content.map(Some).ok_or_else(|| StoreError::damaged(format!("padding of record {number}")))
    }

    /// The drawer and the padded content of a record's bytes.
    fn unsealed(
        &self,
        number: RecordNumber,
        bytes: &[u8],
    ) -> Result<(u32, Zeroizing<Vec<u8>>), StoreError> {
        let damaged = || StoreError::damaged(format!("record {number}"));
        let (drawer, sealed) = bytes.split_first_chunk::<BEFORE_RECORD>().ok_or_else(damaged)?;
        let drawer = u32::from_be_bytes(*drawer);
        let open = self.drawers.get(&drawer).ok_or_else(damaged)?;
        let opened = open.key.open(&self.record_bound(number, drawer), sealed);
        Ok((drawer, opened.ok_or_else(damaged)?))
    }

    fn sealed(
        &self,
        number: RecordNumber,
        drawer: u32,
        padded: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Vec<u8> {
        let sealed =
            self.drawers[&drawer].key.seal(&self.record_bound(number, drawer), padded, rng);
        [&drawer.to_be_bytes()[..], &sealed].concat()
    }

    fn record_bound(&self, number: RecordNumber, drawer: u32) -> Vec<u8> {
        let profile = self.roots.profile();
        [&b"record"[..], &profile, &drawer.to_be_bytes(), &number.to_be_bytes()].concat()
    }

    fn drawer_bound(&self, drawer: u32, generation: u64) -> Vec<u8> {
        let profile = self.roots.profile();
        [&b"drawer"[..], &profile, &drawer.to_be_bytes(), &generation.to_be_bytes()].concat()
    }

    /// The number of a drawer, which is opened if there is none, and whether it was.
    fn drawer(&mut self, drawer: Drawer, rng: &mut impl CryptoRng) -> (u32, bool) {
        if let Some((number, _)) = self.drawers.iter().find(|(_, open)| open.drawer == drawer) {
            return (*number, false);
        }
        let number = self.drawers.last_key_value().map_or(0, |(last, _)| last + 1);
        self.drawers.insert(number, Open { drawer, key: Key::draw(rng) });
        (number, true)
    }

    /// Keeps records, all or none. They are on disk when this returns. A former content of the same number stays
    /// readable to whoever takes all keys and old bytes: see [`erase`](Self::erase).
    pub(crate) fn keep(
        &mut self,
        puts: &[Put],
        rng: &mut impl CryptoRng,
    ) -> Result<(), StoreError> {
        let padded = padded(puts)?;
        self.unsure = true;
        let generation = self.roots.generation();
        let root = self.roots.root(generation)?;
        let write = self.database()?.begin_write().map_err(StoreError::of)?;
        {
            let mut drawers = write.open_table(DRAWERS).map_err(StoreError::of)?;
            let mut records = write.open_table(RECORDS).map_err(StoreError::of)?;
            for (put, padded) in puts.iter().zip(&padded) {
                let (drawer, new) = self.drawer(put.drawer, rng);
                if new {
                    let sealed = self.sealed_drawer(drawer, generation, &root, rng);
                    drawers.insert(drawer, &sealed[..]).map_err(StoreError::of)?;
                }
                let sealed = self.sealed(put.number, drawer, padded, rng);
                records.insert(put.number, &sealed[..]).map_err(StoreError::of)?;
                self.records.insert(put.number, drawer);
            }
            let mut meta = write.open_table(META).map_err(StoreError::of)?;
            meta.insert(NEXT_RECORD, self.next).map_err(StoreError::of)?;
        }
        write.commit().map_err(StoreError::of)?;
        self.unsure = false;
        Ok(())
    }

    /// Removes records and keeps others, all or none, and makes unreadable for good what the removed ones were, and
    /// the former content of those that are kept in their place. All of that is done when this returns.
    /// Long, as the steps have one order: a root that nobody uses yet, the store's step, the end of the old root.
    pub(crate) fn erase(
        &mut self,
        removed: &BTreeSet<RecordNumber>,
        puts: &[Put],
        rng: &mut impl CryptoRng,
    ) -> Result<(), StoreError> {
        let padded = padded(puts)?;
        self.unsure = true;
        let root = self.roots.announce(rng)?;
        let generation = self.roots.generation() + 1;
        let gone = removed.iter().chain(puts.iter().map(|put| &put.number));
        let touched: BTreeSet<u32> = gone.filter_map(|gone| self.records.remove(gone)).collect();
        let write = self.database()?.begin_write().map_err(StoreError::of)?;
        {
            let mut records = write.open_table(RECORDS).map_err(StoreError::of)?;
            for number in removed {
                records.remove(number).map_err(StoreError::of)?;
            }
            let stay = self.records.iter().filter(|(_, drawer)| touched.contains(drawer));
            let stay: Vec<_> = stay.map(|(number, drawer)| (*number, *drawer)).collect();
            let fresh: BTreeMap<_, _> =
                touched.iter().map(|drawer| (*drawer, Key::draw(rng))).collect();
            for (number, drawer) in &stay {
                let bytes = records.get(number).map_err(StoreError::of)?;
                let bytes = bytes.map(|bytes| bytes.value().to_vec()).unwrap_or_default();
                let (_, padded) = self.unsealed(*number, &bytes)?;
                let sealed = fresh[drawer].seal(&self.record_bound(*number, *drawer), &padded, rng);
                let bytes = [&drawer.to_be_bytes()[..], &sealed].concat();
                records.insert(number, &bytes[..]).map_err(StoreError::of)?;
            }
            for (drawer, key) in fresh {
                let open = self.drawers.get_mut(&drawer);
                // Invariant: every record's drawer is open.
                open.expect("a record lies in a drawer").key = key;
            }
            for (put, padded) in puts.iter().zip(&padded) {
                let (drawer, _) = self.drawer(put.drawer, rng);
                let sealed = self.sealed(put.number, drawer, padded, rng);
                records.insert(put.number, &sealed[..]).map_err(StoreError::of)?;
                self.records.insert(put.number, drawer);
            }
            let mut drawers = write.open_table(DRAWERS).map_err(StoreError::of)?;
            let used: BTreeSet<u32> = self.records.values().copied().collect();
            for drawer in self.drawers.keys().filter(|drawer| !used.contains(drawer)) {
                drawers.remove(drawer).map_err(StoreError::of)?;
            }
            self.drawers.retain(|drawer, _| used.contains(drawer));
            for drawer in self.drawers.keys() {
                let sealed = self.sealed_drawer(*drawer, generation, &root, rng);
                drawers.insert(drawer, &sealed[..]).map_err(StoreError::of)?;
            }
            let mut meta = write.open_table(META).map_err(StoreError::of)?;
            meta.insert(GENERATION, generation).map_err(StoreError::of)?;
            meta.insert(NEXT_RECORD, self.next).map_err(StoreError::of)?;
        }
        write.commit().map_err(StoreError::of)?;
        self.roots.settle(generation, rng)?;
        self.unsure = false;
        Ok(())
    }

    fn sealed_drawer(
        &self,
        drawer: u32,
        generation: u64,
        root: &Key,
        rng: &mut impl CryptoRng,
    ) -> Vec<u8> {
        let open = &self.drawers[&drawer];
        let content = Zeroizing::new([&open.key.0[..], &open.drawer.render()].concat());
        root.seal(&self.drawer_bound(drawer, generation), &content, rng)
    }
}

/// The drawer and the key in an opened entry.
fn opened_drawer(opened: &[u8]) -> Option<Open> {
    let (key, drawer) = opened.split_first_chunk::<32>()?;
    Some(Open { drawer: Drawer::parse(drawer)?, key: Key(*key) })
}

/// The padded contents, before anything is written.
fn padded(puts: &[Put]) -> Result<Vec<Zeroizing<Vec<u8>>>, StoreError> {
    let padded = puts.iter().map(|put| {
        let length = put.content.len();
        pad(&put.content, BEFORE_RECORD).ok_or(StoreError::TooLong { length, most: MOST_CONTENT })
    });
    padded.collect()
}

fn database(file: impl StorageBackend) -> Result<Database, StoreError> {
    let mut builder = Database::builder();
    // A file that was altered is refused rather than trusted.
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    builder.create_with_backend(file).map_err(StoreError::of)
}
