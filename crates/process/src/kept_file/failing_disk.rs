//! A disk that loses power, for tests of what a crash leaves.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

use super::Disk;

/// A disk that loses power after a number of steps, and then forgets or cuts short whatever it was not
/// made to keep. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct FailingDisk(Arc<Mutex<Machine>>);

#[derive(Debug)]
struct Machine {
    rng: ChaCha20Rng,
    /// Steps until the power goes; `None`: it stays.
    power: Option<u32>,
    /// Content in place for good.
    lasting: Option<Vec<u8>>,
    /// Content put in place since, and `true` if its bytes were on disk.
    moved: Option<(Vec<u8>, bool)>,
    /// Content written beside it, and `true` if it is on disk.
    new: Option<(Vec<u8>, bool)>,
}

impl FailingDisk {
    /// An empty disk with power. Chance decides by `seed` what survives.
    pub fn new(seed: u64) -> Self {
        let rng = ChaCha20Rng::seed_from_u64(seed);
        let machine = Machine { rng, power: None, lasting: None, moved: None, new: None };
        Self(Arc::new(Mutex::new(machine)))
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on there is power for so many steps; for ever if `None`.
    pub fn power_for(&self, steps: Option<u32>) {
        self.machine().power = steps;
    }

    /// Takes a step, of this disk or of something else that hangs on the same power.
    ///
    /// # Errors
    /// If the power goes. The last step is taken or not.
    pub fn step<T>(&self, step: impl FnOnce() -> T) -> io::Result<T> {
        self.step_of(|_| step())
    }

    fn step_of<T>(&self, step: impl FnOnce(&mut Machine) -> T) -> io::Result<T> {
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
        let done = step(&mut machine);
        if last { Err(gone()) } else { Ok(done) }
    }

    /// Cuts the power. Content that was not on disk for sure is there, cut short, or not there. Then there is
    /// power for `steps`, or for ever.
    pub fn crash(&self, steps: Option<u32>) {
        let mut machine = self.machine();
        machine.power = steps;
        machine.new = None;
        if let Some((mut bytes, synced)) = machine.moved.take()
            && machine.rng.random()
        {
            if !synced {
                bytes.truncate(machine.rng.random_range(0..bytes.len()));
            }
            machine.lasting = Some(bytes);
        }
    }

    /// The content that a reader finds.
    pub fn content(&self) -> Option<Vec<u8>> {
        let machine = self.machine();
        machine.moved.as_ref().map(|(bytes, _)| bytes).or(machine.lasting.as_ref()).cloned()
    }

    /// Puts `content` in place for good, as somebody who restores a backup does.
    pub fn restore(&self, content: Option<Vec<u8>>) {
        let mut machine = self.machine();
        (machine.lasting, machine.moved) = (content, None);
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
        self.step_of(|machine| machine.new = Some((bytes.to_vec(), false)))
    }

    fn sync(&self, (): &()) -> io::Result<()> {
        self.step_of(|machine| {
            if let Some((_, synced)) = &mut machine.new {
                *synced = true;
            }
        })
    }

    fn rename(&self, (): ()) -> io::Result<()> {
        self.step_of(|machine| machine.moved = machine.new.take())
    }

    fn sync_folder(&self) -> io::Result<()> {
        self.step_of(|machine| {
            if let Some((bytes, _)) = machine.moved.take() {
                machine.lasting = Some(bytes);
            }
        })
    }
}
