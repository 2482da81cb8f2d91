//! The byte form of values: fixed-width big-endian integers, arrays as they are, and lists behind a 32-bit
//! count. There is one encoding for each value, so what was signed can be rebuilt.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::{Epoch, Layer, OperatorIndex, Round, ShardIndex, Term, Timestamp};

/// Room for most messages, in bytes: a batch header among a hundred.
const USUAL_BYTES: usize = 400;

/// Reason why bytes were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The input ends inside a value.
    #[error("the message ends too early")]
    Truncated,
    /// Bytes follow the value.
    #[error("{0} bytes follow the end of the message")]
    Trailing(usize),
    /// A tag names no known variant.
    #[error("unknown {what} {tag}: does the sender run another version?")]
    UnknownTag {
        /// Kind of value that the tag selects, as the message names it.
        what: &'static str,
        /// Tag that was found.
        tag: u8,
    },
    /// A value is outside its range.
    #[error("{0} is out of range")]
    OutOfRange(&'static str),
}

/// A value with a byte form.
pub trait Encode {
    /// Appends the byte form to `out`.
    fn encode(&self, out: &mut Vec<u8>);

    /// The byte form alone.
    fn to_bytes(&self) -> Vec<u8> {
        // Most messages fit, so that it need not grow step by step.
        let mut out = Vec::with_capacity(USUAL_BYTES);
        self.encode(&mut out);
        out
    }
}

/// A value that can be read back from its byte form.
pub trait Decode: Sized {
    /// Reads one value from the front of `input`.
    ///
    /// # Errors
    /// If the bytes are no such value. Allocation is bounded by a small multiple of the input.
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Reads a value that takes up all of `bytes`.
    ///
    /// # Errors
    /// As [`decode`](Self::decode), or if bytes are left over.
    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let value = Self::decode(&mut input)?;
        match input.remaining() {
            0 => Ok(value),
            left => Err(DecodeError::Trailing(left)),
        }
    }
}

/// A position in bytes being read.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from the front of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Bytes not read yet.
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The next `n` bytes.
    ///
    /// # Errors
    /// If fewer are left.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self.rest.split_at_checked(n).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    /// The next `N` bytes as an array.
    ///
    /// # Errors
    /// If fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*head)
    }
}

macro_rules! integer {
    ($($type:ty),*) => {$(
        impl Encode for $type {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }
        }
        impl Decode for $type {
            fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                input.array().map(Self::from_be_bytes)
            }
        }
    )*};
}
integer!(u8, u16, u32, u64);

macro_rules! newtype {
    ($($type:ident),*) => {$(
        impl Encode for $type {
            fn encode(&self, out: &mut Vec<u8>) {
                self.0.encode(out);
            }
        }
        impl Decode for $type {
            fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Decode::decode(input).map(Self)
            }
        }
    )*};
}
newtype!(Epoch, Layer, OperatorIndex, Round, ShardIndex, Term, Timestamp);
pub(crate) use newtype;

impl<const N: usize> Encode for [u8; N] {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

impl<const N: usize> Decode for [u8; N] {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.array()
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        count(self.len()).encode(out);
        for item in self {
            item.encode(out);
        }
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = u32::decode(input)? as usize;
        // A count is only a claim: memory follows the items that are really there.
        let mut items = Self::with_capacity(count.min(input.remaining() / size_of::<T>().max(1)));
        for _ in 0..count {
            items.push(T::decode(input)?);
        }
        Ok(items)
    }
}

/// A byte that says whether the value follows, and the value if it does.
impl<T: Encode> Encode for Option<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.is_some()));
        if let Some(value) = self {
            value.encode(out);
        }
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::decode(input)? {
            0 => Ok(None),
            1 => T::decode(input).map(Some),
            _ => Err(DecodeError::OutOfRange("the byte before what may be left out")),
        }
    }
}

impl<T: Encode> Encode for Arc<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        T::encode(self, out);
    }
}

impl<T: Decode> Decode for Arc<T> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        T::decode(input).map(Self::new)
    }
}

/// A run of bytes behind a 32-bit length.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Blob(pub Vec<u8>);

impl std::fmt::Debug for Blob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Blob({} bytes)", self.0.len())
    }
}

impl Encode for Blob {
    fn encode(&self, out: &mut Vec<u8>) {
        count(self.0.len()).encode(out);
        out.extend_from_slice(&self.0);
    }
}

impl Decode for Blob {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let length = u32::decode(input)? as usize;
        input.take(length).map(|bytes| Self(bytes.to_vec()))
    }
}

/// An address as `ip:port` text behind a 16-bit length.
impl Encode for SocketAddr {
    fn encode(&self, out: &mut Vec<u8>) {
        let text = self.to_string();
        (text.len() as u16).encode(out);
        out.extend_from_slice(text.as_bytes());
    }
}

impl Decode for SocketAddr {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let length = u16::decode(input)?;
        let text = input.take(length.into())?;
        let address: Self = std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or(DecodeError::OutOfRange("address"))?;
        // One text per address, or re-encoding would not give back what was signed.
        if address.to_string().as_bytes() != text {
            return Err(DecodeError::OutOfRange("address"));
        }
        Ok(address)
    }
}

fn count(length: usize) -> u32 {
    // Every list is made by this program and far below 2^32 items, or is the re-encoding of one
    // that was read behind a 32-bit count.
    u32::try_from(length).expect("lists are shorter than 2^32")
}

/// Declares a struct whose byte form is that of its fields in order.
macro_rules! record {
    ($(#[$doc:meta])* pub struct $name:ident { $($(#[$fdoc:meta])* pub $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        pub struct $name { $($(#[$fdoc])* pub $field: $type,)* }

        impl $crate::codec::Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                $($crate::codec::Encode::encode(&self.$field, out);)*
            }
        }
        impl $crate::codec::Decode for $name {
            fn decode(
                input: &mut $crate::codec::Reader<'_>,
            ) -> Result<Self, $crate::codec::DecodeError> {
                Ok(Self { $($field: $crate::codec::Decode::decode(input)?,)* })
            }
        }
    };
}
pub(crate) use record;

/// Declares an enum whose byte form is a tag byte and the form of the variant's fields in order.
macro_rules! choice {
    ($(#[$doc:meta])* pub enum $name:ident ($what:literal) {
        $($(#[$vdoc:meta])* $tag:literal = $variant:ident
            $({ $($(#[$fdoc:meta])* $field:ident: $type:ty,)* })?,)*
    }) => {
        $(#[$doc])*
        pub enum $name { $($(#[$vdoc])* $variant $({ $($(#[$fdoc])* $field: $type,)* })?,)* }

        impl $crate::codec::Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant $({ $($field),* })? => {
                        out.push($tag);
                        $($($crate::codec::Encode::encode($field, out);)*)?
                    })*
                }
            }
        }
        impl $crate::codec::Decode for $name {
            fn decode(
                input: &mut $crate::codec::Reader<'_>,
            ) -> Result<Self, $crate::codec::DecodeError> {
                match <u8 as $crate::codec::Decode>::decode(input)? {
                    $($tag => Ok(Self::$variant
                        $({ $($field: $crate::codec::Decode::decode(input)?,)* })?),)*
                    tag => Err($crate::codec::DecodeError::UnknownTag { what: $what, tag }),
                }
            }
        }
    };
}
pub(crate) use choice;
