//! A shard that misbehaves, as a process of its own: what it does stands in a file beside its configuration, which
//! may change while it runs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use antiphon_process::signals::stop_requested;
use antiphon_shard::ConfigFile;
use antiphon_testnet::{OutgoingBatch, Tamper, start_shard};
use antiphon_wire::{CellBatch, FromClient, ToClient};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use tokio::runtime::Runtime;

/// One cell of so many is garbled by who garbles: few enough that people go on talking.
const ONE_IN: u32 = 50;

/// What a shard does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// As the protocol says.
    Nothing,
    /// It drops all cells of its clients, both ways.
    DropsClients,
    /// It garbles some of the cells that it sends to other shards.
    Garbles,
}

impl Act {
    const ALL: [(Self, &'static str); 3] = [
        (Self::Nothing, "nothing"),
        (Self::DropsClients, "drops clients"),
        (Self::Garbles, "garbles"),
    ];

    /// Has the shard with this configuration do it from now on.
    pub(crate) fn begin(self, config: &Path) -> io::Result<()> {
        let name = Self::ALL.into_iter().find(|(act, _)| *act == self).map_or("", |(_, name)| name);
        // Whole or not at all, for whoever reads meanwhile.
        let (file, new) = (file_of(config), config.with_extension("new"));
        fs::write(&new, name)?;
        fs::rename(new, file)
    }

    fn of(file: &Path) -> Self {
        let text = fs::read_to_string(file).unwrap_or_default();
        Self::ALL.into_iter().find(|(_, name)| *name == text).map_or(Self::Nothing, |(act, _)| act)
    }
}

/// The file that says what a shard does.
fn file_of(config: &Path) -> PathBuf {
    config.with_extension("act")
}

/// Runs the shard with this configuration until it is asked to stop.
pub(crate) fn run(config: &Path) -> Result<(), String> {
    let words = |error: &dyn std::fmt::Display| error.to_string();
    let read = ConfigFile::read(config).map_err(|error| words(&error))?;
    let runtime = Runtime::new().map_err(|error| words(&error))?;
    runtime.block_on(async {
        let stop = stop_requested().map_err(|error| words(&error))?;
        let acts = ByFile { file: file_of(config), rng: ChaCha20Rng::seed_from_u64(1) };
        let mut server =
            start_shard(read.shard, Some(Box::new(acts))).map_err(|error| words(&error))?;
        tokio::select! {
            failed = server.failed() => failed.map_err(|error| words(&error)),
            () = stop => server.shut_down().await.map_err(|error| words(&error)),
        }
    })
}

/// Does what a file says.
struct ByFile {
    file: PathBuf,
    rng: ChaCha20Rng,
}

impl Tamper for ByFile {
    fn outgoing(&mut self, _: &mut OutgoingBatch) {}

    fn cells(&mut self, batch: &CellBatch, cells: &mut [u8]) {
        if Act::of(&self.file) != Act::Garbles {
            return;
        }
        let cell_bytes = cells.len() / batch.count.max(1) as usize;
        for cell in cells.chunks_exact_mut(cell_bytes.max(1)) {
            if self.rng.next_u32().is_multiple_of(ONE_IN) {
                self.rng.fill_bytes(cell);
            }
        }
    }

    fn takes(&mut self, message: &FromClient) -> bool {
        !matches!(message, FromClient::Cells { .. }) || Act::of(&self.file) != Act::DropsClients
    }

    fn gives(&mut self, message: &ToClient) -> bool {
        !matches!(message, ToClient::Cells { .. }) || Act::of(&self.file) != Act::DropsClients
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_does_what_its_file_says_and_nothing_without_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("alpha.toml");
        assert_eq!(Act::of(&file_of(&config)), Act::Nothing);
        for (act, _) in Act::ALL {
            act.begin(&config).expect("it is written");
            assert_eq!(Act::of(&file_of(&config)), act);
        }
    }
}
