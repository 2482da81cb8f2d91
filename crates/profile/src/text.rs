//! Small forms that records share: texts and runs of bytes behind their length, and short hashes.

use antiphon_wire::{Decode as _, DecodeError, Encode, Reader};

/// Bytes behind a 32-bit length.
pub(crate) struct Blob<'a>(pub(crate) &'a [u8]);

impl Encode for Blob<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        // No record holds as much as 4 GiB.
        (self.0.len() as u32).encode(out);
        out.extend_from_slice(self.0);
    }
}

/// Text behind a 16-bit length. What is longer is not written by anybody.
pub(crate) struct Text<'a>(pub(crate) &'a str);

impl Encode for Text<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        (self.0.len() as u16).encode(out);
        out.extend_from_slice(self.0.as_bytes());
    }
}

/// Reads what [`Blob`] wrote, if there are at most `most` bytes.
pub(crate) fn bytes(input: &mut Reader<'_>, most: usize) -> Result<Vec<u8>, DecodeError> {
    let length = u32::decode(input)? as usize;
    if length > most {
        return Err(DecodeError::OutOfRange("a length"));
    }
    input.take(length).map(<[u8]>::to_vec)
}

/// Reads what [`Text`] wrote, if it has at most `most` bytes.
pub(crate) fn string(input: &mut Reader<'_>, most: usize) -> Result<String, DecodeError> {
    let length = usize::from(u16::decode(input)?);
    if length > most {
        return Err(DecodeError::OutOfRange("the length of a text"));
    }
    let text = str::from_utf8(input.take(length)?);
    text.map(str::to_owned).map_err(|_| DecodeError::OutOfRange("a text"))
}

/// The beginning of `text`, of at most `most` bytes and whole characters.
pub(crate) fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// Half of a BLAKE3 hash of parts, each behind its length, so that none can be mistaken for another's end.
pub(crate) fn short_hash(context: &str, parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    for part in parts {
        hasher.update(&(part.len() as u64).to_be_bytes()).update(part);
    }
    let mut hash = [0; 16];
    hasher.finalize_xof().fill(&mut hash);
    hash
}
