//! A machine for tests that loses power: what it has not synced is there afterwards, or not, or in part.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;
use redb::StorageBackend;

use crate::place::Place;

const SECTOR: usize = 512;

/// A machine with the two files of a store. Clones are the same machine.
#[derive(Clone, Debug)]
pub(crate) struct Machine(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    rng: ChaCha20Rng,
    /// Steps until the power goes; `None`: it stays.
    power: Option<u32>,
    /// Steps taken so far.
    steps: u64,
    /// Counts the times that the power went. What was opened in an earlier life is of no use.
    life: u64,
    /// Bytes that a file can grow to; `None`: as many as it wants.
    room: Option<usize>,
    store: Content,
    keys: Content,
}

#[derive(Debug, Default)]
struct Content {
    /// What a reader finds.
    now: Vec<u8>,
    /// What is on the disk for sure.
    synced: Vec<u8>,
    since: Vec<Write>,
}

#[derive(Clone, Debug)]
enum Write {
    At(usize, Vec<u8>),
    Length(usize),
}

impl Write {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Length(length) => to.resize(*length, 0),
            Self::At(at, bytes) => {
                to.resize(to.len().max(at + bytes.len()), 0);
                to[*at..at + bytes.len()].copy_from_slice(bytes);
            }
        }
    }
}

impl Machine {
    /// A machine with power and two empty files.
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            rng: ChaCha20Rng::seed_from_u64(seed),
            power: None,
            steps: 0,
            life: 0,
            room: None,
            store: Content::default(),
            keys: Content::default(),
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    /// From now on there is power for so many steps; for ever if `None`.
    pub(crate) fn power_for(&self, steps: Option<u32>) {
        self.inner().power = steps;
    }

    /// Steps taken so far.
    pub(crate) fn steps(&self) -> u64 {
        self.inner().steps
    }

    /// From now on, files can grow to so many bytes.
    pub(crate) fn room_for(&self, bytes: Option<usize>) {
        self.inner().room = bytes;
    }

    /// Cuts the power. What was written since the last sync is there, or not, sector by sector. Then there is
    /// power again, for so many steps. Deep, as chance decides for each sector of each write of each file.
    pub(crate) fn crash(&self, steps: Option<u32>) {
        let mut inner = self.inner();
        inner.power = steps;
        inner.life += 1;
        let Inner { rng, store, keys, .. } = &mut *inner;
        for content in [store, keys] {
            for write in std::mem::take(&mut content.since) {
                match write {
                    Write::At(at, bytes) => {
                        let all: bool = rng.random();
                        for (i, sector) in bytes.chunks(SECTOR).enumerate() {
                            if all || rng.random() {
                                let write = Write::At(at + i * SECTOR, sector.to_vec());
                                write.apply(&mut content.synced);
                            }
                        }
                    }
                    length if rng.random() => length.apply(&mut content.synced),
                    Write::Length(_) => {}
                }
            }
            content.now = content.synced.clone();
        }
    }

    /// A copy of both files, as a thief takes it.
    pub(crate) fn copy(&self) -> [Vec<u8>; 2] {
        let inner = self.inner();
        [inner.store.now.clone(), inner.keys.now.clone()]
    }

    /// Puts both files in place, as somebody does who restores a copy.
    pub(crate) fn put_back(&self, [store, keys]: [Vec<u8>; 2]) {
        let content = |bytes: Vec<u8>| Content { now: bytes.clone(), synced: bytes, since: vec![] };
        let mut inner = self.inner();
        inner.life += 1;
        (inner.store, inner.keys) = (content(store), content(keys));
    }

    fn file(&self, of: fn(&mut Inner) -> &mut Content) -> io::Result<FailingFile> {
        Ok(FailingFile { machine: self.clone(), life: self.inner().life, of })
    }
}

impl Place for Machine {
    type File = FailingFile;

    fn store(&self) -> io::Result<FailingFile> {
        self.file(|inner| &mut inner.store)
    }

    fn keys(&self) -> io::Result<FailingFile> {
        self.file(|inner| &mut inner.keys)
    }
}

/// One of a machine's files, opened in one of its lives.
#[derive(Debug)]
pub(crate) struct FailingFile {
    machine: Machine,
    life: u64,
    of: fn(&mut Inner) -> &mut Content,
}

fn no_power() -> io::Error {
    io::Error::other("no power")
}

impl FailingFile {
    fn alive(&self) -> io::Result<MutexGuard<'_, Inner>> {
        let inner = self.machine.inner();
        if inner.life != self.life || inner.power == Some(0) { Err(no_power()) } else { Ok(inner) }
    }

    /// Takes a step. The last one before the power goes is taken or not.
    fn step(&self, step: impl FnOnce(&mut Content)) -> io::Result<()> {
        let mut inner = self.alive()?;
        inner.steps += 1;
        if let Some(left) = &mut inner.power {
            *left -= 1;
        }
        let last = inner.power == Some(0);
        if !last || inner.rng.random() {
            step((self.of)(&mut inner));
        }
        if last { Err(no_power()) } else { Ok(()) }
    }

    fn write_down(&self, write: Write) -> io::Result<()> {
        let end = match &write {
            Write::At(at, bytes) => at + bytes.len(),
            Write::Length(length) => *length,
        };
        let mut inner = self.alive()?;
        if inner.room.is_some_and(|room| end > room.max((self.of)(&mut inner).now.len())) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        drop(inner);
        self.step(|content| {
            write.apply(&mut content.now);
            content.since.push(write);
        })
    }
}

impl StorageBackend for FailingFile {
    fn len(&self) -> io::Result<u64> {
        Ok((self.of)(&mut *self.alive()?).now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut inner = self.alive()?;
        let content = (self.of)(&mut inner).now.get(offset as usize..offset as usize + out.len());
        out.copy_from_slice(content.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.write_down(Write::Length(len as usize))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.step(|content| {
            content.since.clear();
            content.synced.clone_from(&content.now);
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.write_down(Write::At(offset as usize, data.to_vec()))
    }
}
