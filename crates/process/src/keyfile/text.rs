//! The format of key files: `#` comments and hexadecimal digits, on as many lines as one likes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use zeroize::Zeroizing;

use super::KeyFileError;

/// Byte order mark that some editors put at the head of a file.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The whole file, of at most `limit` bytes. It has to be a regular one, perhaps behind symbolic links:
/// a pipe that nobody writes to would hold up a start for ever.
pub(super) fn read(path: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let wrong = |source| KeyFileError::Read { path: path.to_owned(), source };
    // Before it is opened, since opening a pipe waits.
    if !fs::metadata(path).map_err(wrong)?.is_file() {
        return Err(wrong(io::Error::other("it is no regular file")));
    }
    read_once(path, limit).map_err(wrong)
}

/// The whole file, of at most `limit` bytes, whatever kind of file it is.
pub(super) fn read_once(path: &Path, limit: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = File::open(path)?;
    // Big enough from the start: growing would leave copies of a secret behind. Only regular files
    // have a length.
    let metadata = file.metadata()?;
    let room = if metadata.is_file() { limit.min(metadata.len() as usize) } else { limit };
    let mut content = Zeroizing::new(Vec::with_capacity(room + 64));
    file.take(limit as u64 + 1).read_to_end(&mut content)?;
    if content.len() > limit {
        return Err(io::Error::other(format!("it is larger than {limit} bytes")));
    }
    Ok(content)
}

fn without_mark(content: &[u8]) -> &[u8] {
    content.strip_prefix(BYTE_ORDER_MARK).unwrap_or(content)
}

/// The digits of all lines that are no comments; `None` if there is anything else on them.
pub(super) fn digits(content: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut digits = Zeroizing::new(Vec::with_capacity(content.len()));
    for line in without_mark(content).split(|&byte| byte == b'\n') {
        let line = line.trim_ascii();
        if line.first() == Some(&b'#') {
            continue;
        }
        if !line.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        digits.extend_from_slice(line);
    }
    Some(digits)
}

/// The first line, in which a file names its kind.
pub(super) fn title(content: &[u8]) -> &[u8] {
    without_mark(content).split(|&byte| byte == b'\n').next().unwrap_or_default().trim_ascii()
}

/// Returns `true` if the file's permissions let others than its owner read it, or anybody else replace its
/// content. The group may read a file that belongs to root: that is how a system hands a secret to a service,
/// and how a container finds its secrets.
pub(super) fn open_to_others(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        fs::metadata(path).is_ok_and(|metadata| {
            let private = if metadata.uid() == 0 { 0o640 } else { 0o600 };
            metadata.mode() & 0o666 & !private != 0
        })
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}

/// Makes a new file. A file that could not be written to the end is removed again.
pub(super) fn create(path: &Path, content: &[u8], mode: u32) -> Result<(), KeyFileError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(mode);
    }
    #[cfg(not(unix))]
    let _ = mode;
    let wrong = |source| KeyFileError::Write { path: path.to_owned(), source };
    let mut file = options.open(path).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => KeyFileError::Exists(path.to_owned()),
        _ => wrong(source),
    })?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(|source| {
        // The first error is the one worth telling.
        let _ = fs::remove_file(path);
        wrong(source)
    })
}
