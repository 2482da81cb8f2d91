//! Files that the partner sends, on their way to the folder for them.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::commands::make_folder;
use super::file_name::{numbered, plain};

/// Files of one name in a folder at most.
const MAX_NUMBER: u32 = 9999;
/// Bytes kept in memory while there is no room for them. A sender stops long before.
const MOST_HELD_BYTES: usize = 1 << 20;
/// Beginning of the names of files that are not whole yet.
const PART_PREFIX: &str = ".antiphon-";
const PART_SUFFIX: &str = ".part";

/// Bytes that can be written in a folder.
pub(super) type Room = fn(&Path) -> io::Result<u64>;

/// Result of an offer or of a part of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// Nothing that anybody has to know.
    Going,
    /// Bytes of this file are taken, from now on or again.
    Accepted,
    /// There is no room; what has arrived is kept.
    Waiting(String),
    /// The file is whole, on disk, and kept under this path.
    Stored { path: PathBuf, bytes: u64 },
    /// It cannot be kept, and nothing of it is.
    Failed(String),
}

/// Offer of a file, as the partner makes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer<'a> {
    pub(super) number: u32,
    pub(super) length: u64,
    pub(super) digest: [u8; 32],
    pub(super) name: &'a str,
}

/// Puts files together, one at a time.
pub(super) struct Arrivals {
    /// Tells this client's unfinished files from those of others in the same folder.
    tag: String,
    room: Room,
    file: Option<File>,
}

struct File {
    number: u32,
    folder: PathBuf,
    part: NamedTempFile,
    name: String,
    length: u64,
    written: u64,
    digest: [u8; 32],
    hasher: blake3::Hasher,
    /// Bytes that there was no room for, and whether the sender was told to wait.
    held: VecDeque<Vec<u8>>,
    waiting: bool,
}

impl Arrivals {
    pub(super) fn new(tag: String, room: Room) -> Self {
        Self { tag, room, file: None }
    }

    /// The number that the partner gave the file that is arriving.
    pub(super) fn number(&self) -> Option<u32> {
        self.file.as_ref().map(|file| file.number)
    }

    /// Bytes of the file that is arriving: those that are there, and all.
    pub(super) fn progress(&self) -> Option<(u64, u64)> {
        self.file.as_ref().map(|file| (file.written, file.length))
    }

    /// Removes what earlier runs of this client left unfinished in `folder`.
    pub(super) fn clean(&self, folder: &Path) {
        let prefix = self.prefix();
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(&prefix) && name.ends_with(PART_SUFFIX) {
                // What cannot be removed stays.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Likewise, if no file is arriving.
    pub(super) fn clean_if_idle(&self, folder: &Path) {
        if self.file.is_none() {
            self.clean(folder);
        }
    }

    fn prefix(&self) -> String {
        format!("{PART_PREFIX}{}-", self.tag)
    }

    /// A file begins. One that was not whole is dropped.
    pub(super) fn start(&mut self, folder: &Path, offer: Offer<'_>) -> Arrival {
        // Dropping a file that was arriving deletes its part as well.
        self.file = None;
        // The part lies in the folder itself, because only a rename within one file system is atomic.
        let part =
            tempfile::Builder::new().prefix(&self.prefix()).suffix(PART_SUFFIX).tempfile_in(folder);
        let part = match part {
            Ok(part) => part,
            Err(error) => return Arrival::Failed(why(&error)),
        };
        self.file = Some(File {
            number: offer.number,
            folder: folder.to_owned(),
            part,
            name: plain(offer.name),
            length: offer.length,
            written: 0,
            digest: offer.digest,
            hasher: blake3::Hasher::new(),
            held: VecDeque::new(),
            waiting: true,
        });
        match self.go_on() {
            Arrival::Going => self.wait(),
            arrival => arrival,
        }
    }

    /// The next bytes of the file. Those that no file was accepted for say nothing: they were on their
    /// way when it was refused or given up.
    pub(super) fn more(&mut self, data: &[u8]) -> Arrival {
        let room = self.room;
        let Some(file) = &mut self.file else { return Arrival::Going };
        // Bytes that wait for room count as well, so that a file longer than announced fails at once.
        let held: usize = file.held.iter().map(Vec::len).sum();
        let left = file.length - file.written - held as u64;
        if data.len() as u64 > left {
            return self.fail("it is longer than announced");
        }
        // Data goes behind what is held already, or the file would be out of order.
        if !file.held.is_empty() || file.waiting {
            if held + data.len() > MOST_HELD_BYTES {
                return self.fail("the sender did not wait for room");
            }
            file.held.push_back(data.to_vec());
            return Arrival::Going;
        }
        match file.write(data, room) {
            Ok(true) => self.finish_if_whole(),
            Ok(false) => {
                file.held.push_back(data.to_vec());
                self.wait()
            }
            Err(error) => self.fail(&why(&error)),
        }
    }

    /// Looks for room again, if that is what the file waits for.
    pub(super) fn go_on(&mut self) -> Arrival {
        let room = self.room;
        let Some(file) = self.file.as_mut().filter(|file| file.waiting) else {
            return Arrival::Going;
        };
        // Without an answer, the next write tells.
        if room(&file.folder).is_ok_and(|room| room < file.length - file.written) {
            return Arrival::Going;
        }
        while let Some(data) = file.held.pop_front() {
            match file.write(&data, room) {
                Ok(true) => {}
                Ok(false) => {
                    file.held.push_front(data);
                    return Arrival::Going;
                }
                Err(error) => return self.fail(&why(&error)),
            }
        }
        file.waiting = false;
        match self.finish_if_whole() {
            Arrival::Going => Arrival::Accepted,
            arrival => arrival,
        }
    }

    /// The sender takes the file back, or the conversation is over.
    pub(super) fn drop_file(&mut self) {
        self.file = None;
    }

    fn wait(&mut self) -> Arrival {
        let Some(file) = &mut self.file else { return Arrival::Going };
        file.waiting = true;
        let left = file.length - file.written;
        Arrival::Waiting(format!("no room on the receiver's disk for the {left} bytes to come"))
    }

    fn fail(&mut self, why: &str) -> Arrival {
        self.file = None;
        Arrival::Failed(why.to_owned())
    }

    fn finish_if_whole(&mut self) -> Arrival {
        let Some(file) = self.file.take_if(|file| file.written == file.length) else {
            return Arrival::Going;
        };
        if *file.hasher.finalize().as_bytes() != file.digest {
            return Arrival::Failed("its content is not what was announced".to_owned());
        }
        let bytes = file.length;
        match file.keep() {
            Ok(path) => Arrival::Stored { path, bytes },
            Err(error) => Arrival::Failed(why(&error)),
        }
    }
}

/// Error of the system, in words that the partner may read: no path of this machine.
fn why(error: &io::Error) -> String {
    format!("the receiver cannot write it: {}", error.kind())
}

impl File {
    /// Writes all of `data` and returns true, or nothing if there is no room.
    fn write(&mut self, data: &[u8], room: Room) -> io::Result<bool> {
        if room(&self.folder).is_ok_and(|room| room < data.len() as u64) {
            return Ok(false);
        }
        let file = self.part.as_file_mut();
        if let Err(error) = file.write_all(data) {
            use io::ErrorKind::{QuotaExceeded, StorageFull};
            if !matches!(error.kind(), StorageFull | QuotaExceeded) {
                return Err(error);
            }
            // A part of it may be there.
            file.set_len(self.written)?;
            file.seek(SeekFrom::Start(self.written))?;
            return Ok(false);
        }
        self.hasher.update(data);
        self.written += data.len() as u64;
        Ok(true)
    }

    /// Gives the file its name, which nothing else in the folder has. It outlasts a crash then.
    fn keep(self) -> io::Result<PathBuf> {
        // Content reaches the disk before its name does, and the name before the sender is told that the file
        // is stored.
        self.part.as_file().sync_all()?;
        let mut part = self.part;
        for number in 0..=MAX_NUMBER {
            let path = self.folder.join(numbered(&self.name, number));
            // Never over a file that is there: the next number is tried instead.
            match part.persist_noclobber(&path) {
                Ok(_) => {
                    fs::File::open(&self.folder)?.sync_all()?;
                    return Ok(path);
                }
                Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                    part = error.file;
                }
                Err(error) => return Err(error.error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

/// Makes `folder` if it is missing, and sees that files can be written in it.
pub(super) fn prepare_folder(folder: &Path) -> io::Result<()> {
    make_folder(folder)?;
    tempfile::Builder::new().prefix(PART_PREFIX).suffix(PART_SUFFIX).tempfile_in(folder)?.close()
}

/// Bytes that this user can write in the file system of `folder`.
pub(super) fn room_in(folder: &Path) -> io::Result<u64> {
    let state = rustix::fs::statvfs(folder)?;
    Ok(state.f_bavail.saturating_mul(state.f_frsize))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tempfile::TempDir;

    use super::*;

    thread_local! {
        static ROOM: Cell<u64> = const { Cell::new(u64::MAX) };
    }

    fn arrivals() -> (TempDir, Arrivals) {
        let folder = tempfile::tempdir().unwrap();
        (folder, Arrivals::new("tag".to_owned(), |_| Ok(ROOM.get())))
    }

    fn offer<'a>(content: &[u8], name: &'a str) -> Offer<'a> {
        let digest = *blake3::hash(content).as_bytes();
        Offer { number: 1, length: content.len() as u64, digest, name }
    }

    fn left_in(folder: &TempDir) -> usize {
        fs::read_dir(folder.path()).unwrap().count()
    }

    #[test]
    fn files_arrive_whole_and_never_in_place_of_others() {
        let (folder, mut arrivals) = arrivals();
        fs::write(folder.path().join("a.txt"), "mine").unwrap();
        let offer = offer(b"hello", "../a.txt");
        assert_eq!(arrivals.start(folder.path(), offer), Arrival::Accepted);
        assert_eq!(arrivals.more(b"hel"), Arrival::Going);
        let path = folder.path().join("a-1.txt");
        assert_eq!(arrivals.more(b"lo"), Arrival::Stored { path: path.clone(), bytes: 5 });
        assert_eq!(fs::read(path).unwrap(), b"hello");
        assert_eq!(fs::read(folder.path().join("a.txt")).unwrap(), b"mine");
    }

    #[test]
    fn an_empty_file_is_stored_at_once() {
        let (folder, mut arrivals) = arrivals();
        let path = folder.path().join("nothing");
        let stored = Arrival::Stored { path, bytes: 0 };
        assert_eq!(arrivals.start(folder.path(), offer(b"", "nothing")), stored);
    }

    #[test]
    fn nothing_is_left_of_a_file_that_is_not_what_was_announced() {
        let (folder, mut arrivals) = arrivals();
        let failed = |arrival| matches!(arrival, Arrival::Failed(_));
        assert_eq!(arrivals.more(b"x"), Arrival::Going, "on its way when its file was given up");
        for bytes in [b"abcd", &b"abd"[..]] {
            arrivals.start(folder.path(), offer(b"abc", "a"));
            assert!(failed(arrivals.more(bytes)));
        }
        arrivals.start(folder.path(), offer(b"abc", "a"));
        arrivals.start(folder.path(), offer(b"abc", "a"));
        arrivals.drop_file();
        assert!(failed(arrivals.start(&folder.path().join("nowhere"), offer(b"abc", "a"))));
        assert_eq!(left_in(&folder), 0);
    }

    #[test]
    fn a_full_disk_keeps_what_has_arrived_and_goes_on_when_there_is_room() {
        let (folder, mut arrivals) = arrivals();
        let waiting = |arrival| matches!(arrival, Arrival::Waiting(_));
        ROOM.set(9);
        assert!(waiting(arrivals.start(folder.path(), offer(b"0123456789", "a"))));
        assert_eq!(arrivals.go_on(), Arrival::Going);
        ROOM.set(10);
        assert_eq!(arrivals.go_on(), Arrival::Accepted);
        assert_eq!(arrivals.more(b"0123"), Arrival::Going);
        ROOM.set(1);
        assert!(waiting(arrivals.more(b"45")));
        // What was on its way when the sender was told.
        assert_eq!(arrivals.more(b"67"), Arrival::Going);
        assert_eq!(arrivals.progress(), Some((4, 10)));
        assert_eq!(arrivals.go_on(), Arrival::Going);
        ROOM.set(u64::MAX);
        assert_eq!(arrivals.go_on(), Arrival::Accepted);
        let path = folder.path().join("a");
        assert_eq!(arrivals.more(b"89"), Arrival::Stored { path: path.clone(), bytes: 10 });
        assert_eq!(fs::read(path).unwrap(), b"0123456789");
    }

    #[test]
    fn a_folder_that_cannot_be_written_in_is_found_before_a_file_comes() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name| folder.path().join(name);
        fs::write(path("file"), "").unwrap();
        assert!(prepare_folder(&path("file")).is_err());
        assert!(prepare_folder(&path("no/where")).is_err());
        prepare_folder(&path("made")).unwrap();
        prepare_folder(&path("made")).unwrap();
        assert_eq!(fs::read_dir(path("made")).unwrap().count(), 0);
    }

    #[test]
    fn what_a_crash_left_is_removed_and_what_others_are_at_stays() {
        let (folder, arrivals) = arrivals();
        for name in [".antiphon-tag-x1.part", ".antiphon-other-x1.part", "a.part"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        arrivals.clean(folder.path());
        assert_eq!(left_in(&folder), 2);
        assert!(!folder.path().join(".antiphon-tag-x1.part").exists());
    }
}
