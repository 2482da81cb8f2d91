//! The format of key files: `#` comments and hexadecimal digits, on as many lines as one likes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use zeroize::Zeroizing;

use super::KeyFileError;

/// The whole file, of at most `limit` bytes.
pub(super) fn read(path: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let wrong = |source| KeyFileError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(wrong)?;
    // Big enough from the start: growing would leave copies of a secret behind.
    let length = file.metadata().map_err(wrong)?.len();
    let mut content = Zeroizing::new(Vec::with_capacity(limit.min(length as usize) + 64));
    file.take(limit as u64 + 1).read_to_end(&mut content).map_err(wrong)?;
    if content.len() > limit {
        return Err(wrong(io::Error::other(format!("it is larger than {limit} bytes"))));
    }
    Ok(content)
}

/// The digits of all lines that are no comments; `None` if there is anything else on them.
pub(super) fn digits(content: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut digits = Zeroizing::new(Vec::with_capacity(content.len()));
    for line in content.split(|&byte| byte == b'\n') {
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

/// The first line.
pub(super) fn title(content: &[u8]) -> &[u8] {
    content.split(|&byte| byte == b'\n').next().unwrap_or_default().trim_ascii()
}

/// Whether the file's permissions let others than its owner read it.
pub(super) fn open_to_others(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o044 != 0)
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
