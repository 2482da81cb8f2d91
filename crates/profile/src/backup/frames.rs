//! Frames of 64 KiB, sealed in their order by the STREAM construction of XChaCha20-Poly1305: whoever cuts some off, drops or
//! exchanges them is noticed. Items follow each other in them, each behind its length; zeros fill the last.

use std::io::{self, Read, Write};

use aead_stream::{NewStream as _, StreamBE32, StreamPrimitive as _};
use antiphon_wire::{Decode as _, Encode as _};
use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::Payload;
use zeroize::Zeroizing;

use super::BackupError;
use crate::backup_item::BackupItem;
use crate::formats::BackupHeader;
use crate::seal::{Key, MOST_RECORD};

/// Bytes of a frame's content.
pub(super) const FRAME_BYTES: usize = 64 << 10;
/// Bytes of a frame in the file.
pub(super) const SEALED_FRAME_BYTES: usize = FRAME_BYTES + 16;

type Stream = StreamBE32<XChaCha20Poly1305>;

pub(super) struct FrameWriter<'a, W> {
    stream: Stream,
    header: Vec<u8>,
    out: &'a mut W,
    position: u32,
    /// Content of the frame that is not full yet.
    content: Zeroizing<Vec<u8>>,
}

impl<'a, W: Write> FrameWriter<'a, W> {
    pub(super) fn new(key: &Key, nonce: [u8; 19], header: Vec<u8>, out: &'a mut W) -> Self {
        let stream = Stream::new(&key.0.into(), &nonce.into());
        let content = Zeroizing::new(Vec::with_capacity(FRAME_BYTES));
        Self { stream, header, out, position: 0, content }
    }

    pub(super) fn write(&mut self, item: &BackupItem) -> io::Result<()> {
        let bytes = Zeroizing::new(item.to_bytes());
        // An item is as long as a record at most.
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        self.extend(&length.to_be_bytes())?;
        self.extend(&bytes)
    }

    fn extend(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            // A full frame waits until it is known not to be the last.
            if self.content.len() == FRAME_BYTES {
                self.seal(false)?;
            }
            let (now, rest) = bytes.split_at(bytes.len().min(FRAME_BYTES - self.content.len()));
            self.content.extend_from_slice(now);
            bytes = rest;
        }
        Ok(())
    }

    fn seal(&mut self, last: bool) -> io::Result<()> {
        let payload = Payload { msg: &self.content, aad: &self.header };
        let sealed = self.stream.encrypt(self.position, last, payload);
        self.out.write_all(&sealed.map_err(|_| io::Error::other("a frame cannot be sealed"))?)?;
        self.content.clear();
        self.position =
            self.position.checked_add(1).ok_or_else(|| io::Error::other("too many frames"))?;
        Ok(())
    }

    /// Fills the last frame and seals it.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.content.resize(FRAME_BYTES, 0);
        self.seal(true)?;
        self.out.flush()
    }
}

pub(super) struct FrameReader<'a, R> {
    stream: Stream,
    header: &'a BackupHeader,
    bound: Vec<u8>,
    input: R,
    /// The next frame, as it is in the file.
    ahead: Option<Vec<u8>>,
    position: u32,
    /// Content that was opened, and how much of it was read.
    content: Zeroizing<Vec<u8>>,
    read: usize,
}

impl<'a, R: Read> FrameReader<'a, R> {
    pub(super) fn new(key: &Key, header: &'a BackupHeader, input: R) -> Self {
        let stream = Stream::new(&key.0.into(), &header.nonce.into());
        let (bound, content) = (header.render(), Zeroizing::new(Vec::new()));
        Self { stream, header, bound, input, ahead: None, position: 0, content, read: 0 }
    }

    /// The next item.
    pub(super) fn next(&mut self) -> Result<BackupItem, BackupError> {
        let mut length = [0; 4];
        self.take(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > MOST_RECORD {
            return Err(BackupError::Content(format!("an item of {length} bytes")));
        }
        let mut bytes = Zeroizing::new(vec![0; length]);
        self.take(&mut bytes)?;
        BackupItem::from_bytes(&bytes).map_err(|error| BackupError::Content(error.to_string()))
    }

    /// Sees that nothing but zeros follows.
    pub(super) fn finish(mut self) -> Result<(), BackupError> {
        loop {
            if self.content[self.read..].iter().any(|byte| *byte != 0) {
                return Err(BackupError::Content("something after the end".to_owned()));
            }
            if !self.open()? {
                return Ok(());
            }
        }
    }

    fn take(&mut self, mut out: &mut [u8]) -> Result<(), BackupError> {
        while !out.is_empty() {
            if self.read == self.content.len() && !self.open()? {
                return Err(BackupError::Content("no end".to_owned()));
            }
            let content = &self.content[self.read..];
            let now = out.len().min(content.len());
            let (filled, rest) = out.split_at_mut(now);
            filled.copy_from_slice(&content[..now]);
            self.read += now;
            out = rest;
        }
        Ok(())
    }

    /// Opens the next frame. Returns `false` if there is none, as the last one said.
    fn open(&mut self) -> Result<bool, BackupError> {
        if self.position == 0 {
            self.ahead = Some(self.frame()?);
        }
        let Some(frame) = self.ahead.take().filter(|frame| !frame.is_empty()) else {
            // The first frame is never missing in a backup.
            return if self.position == 0 { Err(self.cut_short()) } else { Ok(false) };
        };
        let next = self.frame()?;
        let last = next.is_empty();
        let opened = |last: bool| {
            let payload = Payload { msg: &frame, aad: &self.bound };
            self.stream.decrypt(self.position, last, payload).ok()
        };
        let Some(content) = opened(last) else {
            // The frame is as it was, but more once followed.
            let more_followed =
                last && frame.len() == SEALED_FRAME_BYTES && opened(false).is_some();
            return Err(match self.position {
                _ if more_followed || frame.len() < SEALED_FRAME_BYTES => self.cut_short(),
                0 => BackupError::WrongKey(self.header.source),
                position => BackupError::Damaged { frame: position.into() },
            });
        };
        (self.content, self.read) = (Zeroizing::new(content), 0);
        self.ahead = Some(next);
        self.position += 1;
        Ok(true)
    }

    fn cut_short(&self) -> BackupError {
        BackupError::Truncated { frames: self.position.into() }
    }

    /// The next frame's bytes, fewer at the end of the file.
    fn frame(&mut self) -> Result<Vec<u8>, BackupError> {
        let mut frame = Vec::with_capacity(SEALED_FRAME_BYTES);
        (&mut self.input).take(SEALED_FRAME_BYTES as u64).read_to_end(&mut frame)?;
        Ok(frame)
    }
}
