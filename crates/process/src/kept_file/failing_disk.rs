//! A disk that loses power, for tests of what a crash leaves.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

use super::Disk;

/// A file on a disk that loses power after a number of steps, and then forgets or cuts short whatever it
/// was not made to keep. Clones are the same file.
#[derive(Clone, Debug)]
pub struct FailingDisk {
    machine: Arc<Mutex<Machine>>,
    /// What its name ends in, among the files of the disk.
    suffix: String,
}

#[derive(Debug)]
struct Machine {
    rng: ChaCha20Rng,
    /// Steps until the power goes; `None`: it stays.
    power: Option<u32>,
    files: BTreeMap<String, Content>,
    /// Bytes written so far, to any file.
    written: u64,
}

#[derive(Debug, Default)]
struct Content {
    /// In place for good.
    lasting: Option<Vec<u8>>,
    /// Put in place since, and `true` if its bytes were on disk.
    moved: Option<(Vec<u8>, bool)>,
    /// Written beside it, and `true` if it is on disk.
    new: Option<(Vec<u8>, bool)>,
    /// Removed since.
    removed: Option<Vec<u8>>,
}

impl FailingDisk {
    /// An empty disk with power. Chance decides by `seed` what survives.
    pub fn new(seed: u64) -> Self {
        let rng = ChaCha20Rng::seed_from_u64(seed);
        let machine = Machine { rng, power: None, files: BTreeMap::new(), written: 0 };
        Self { machine: Arc::new(Mutex::new(machine)), suffix: String::new() }
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on there is power for so many steps; for ever if `None`.
    pub fn power_for(&self, steps: Option<u32>) {
        self.machine().power = steps;
    }

    /// Bytes written so far, to any file of the disk.
    pub fn written(&self) -> u64 {
        self.machine().written
    }

    /// Takes a step, of this disk or of something else that hangs on the same power.
    ///
    /// # Errors
    /// If the power goes. The last step is taken or not.
    pub fn step<T>(&self, step: impl FnOnce() -> T) -> io::Result<T> {
        self.step_of(|_| step())
    }

    fn step_of<T>(&self, step: impl FnOnce(&mut Content) -> T) -> io::Result<T> {
        let mut machine = self.machine();
        let gone = || io::Error::other("no power");
        match machine.power {
            Some(0) => return Err(gone()),
            Some(left) => machine.power = Some(left - 1),
            None => {}
        }
        let last = machine.power == Some(0);
        if last && machine.rng.random() {
            return Err(gone());
        }
        let done = step(machine.files.entry(self.suffix.clone()).or_default());
        if last { Err(gone()) } else { Ok(done) }
    }

    /// Cuts the power. Content that was not on disk for sure is there, cut short, or not there. Then there is
    /// power for `steps`, or for ever.
    pub fn crash(&self, steps: Option<u32>) {
        let mut machine = self.machine();
        machine.power = steps;
        let Machine { rng, files, .. } = &mut *machine;
        for content in files.values_mut() {
            content.new = None;
            if let Some(bytes) = content.removed.take()
                && rng.random()
            {
                content.lasting = Some(bytes);
            }
            if let Some((mut bytes, synced)) = content.moved.take()
                && rng.random()
            {
                if !synced {
                    bytes.truncate(rng.random_range(0..bytes.len()));
                }
                content.lasting = Some(bytes);
            }
        }
    }

    /// The content that a reader finds.
    pub fn content(&self) -> Option<Vec<u8>> {
        let machine = self.machine();
        machine.files.get(&self.suffix).and_then(Content::found).cloned()
    }

    /// Puts `content` in place for good, as somebody who restores a backup does.
    pub fn restore(&self, content: Option<Vec<u8>>) {
        let content = Content { lasting: content, ..Content::default() };
        self.machine().files.insert(self.suffix.clone(), content);
    }
}

impl Content {
    fn found(&self) -> Option<&Vec<u8>> {
        self.moved.as_ref().map(|(bytes, _)| bytes).or(self.lasting.as_ref())
    }
}

impl Disk for FailingDisk {
    type New = ();

    fn path(&self) -> &Path {
        Path::new("the failing disk")
    }

    fn read(&self, most: u64) -> io::Result<Option<Vec<u8>>> {
        let mut content = self.content();
        if let Some(bytes) = &mut content {
            bytes.truncate(usize::try_from(most).unwrap_or(usize::MAX));
        }
        Ok(content)
    }

    fn create(&self, bytes: &[u8]) -> io::Result<()> {
        self.step_of(|content| content.new = Some((bytes.to_vec(), false)))?;
        self.machine().written += bytes.len() as u64;
        Ok(())
    }

    fn sync(&self, (): &()) -> io::Result<()> {
        self.step_of(|content| {
            if let Some((_, synced)) = &mut content.new {
                *synced = true;
            }
        })
    }

    fn rename(&self, (): ()) -> io::Result<()> {
        self.step_of(|content| content.moved = content.new.take())
    }

    fn sync_folder(&self) -> io::Result<()> {
        self.step_of(|content| {
            content.removed = None;
            if let Some((bytes, _)) = content.moved.take() {
                content.lasting = Some(bytes);
            }
        })
    }

    fn beside(&self, suffix: &str) -> Self {
        let suffix = format!("{}{suffix}", self.suffix);
        Self { machine: Arc::clone(&self.machine), suffix }
    }

    fn suffixes(&self, start: &str) -> io::Result<Vec<String>> {
        let machine = self.machine();
        let there = machine.files.iter().filter(|(_, content)| content.found().is_some());
        let suffixes = there.filter_map(|(name, _)| name.strip_prefix(&self.suffix));
        Ok(suffixes.filter(|suffix| suffix.starts_with(start)).map(str::to_owned).collect())
    }

    fn remove(&self) -> io::Result<()> {
        self.step_of(|content| {
            content.removed = content.lasting.take().or(content.removed.take());
            content.moved = None;
        })
    }
}
