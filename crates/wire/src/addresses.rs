//! Addresses at which a shard is reached.

use std::fmt;
use std::net::SocketAddr;

use crate::codec::{Decode, DecodeError, Encode, Reader};

/// The most addresses of a shard for others of one kind: from inside and from outside, over IPv4 and IPv6.
pub const MOST_ADDRESSES: usize = 4;

/// One to four addresses at which a shard is reached, all different, the one to be tried first at the front.
///
/// Whoever dials tries them in their order, and expects the shard's identity at each: a wrong one costs its
/// owner's links some time, and nobody any trust.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Addresses(Vec<SocketAddr>);

/// Reason why a shard cannot have these addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressesError {
    /// There are none, or too many.
    #[error("a shard has from 1 to {MOST_ADDRESSES} addresses, not {0}")]
    Count(usize),
    /// One of them is there twice.
    #[error("address {0} is there twice")]
    Twice(SocketAddr),
}

impl Addresses {
    /// These addresses, in their order.
    ///
    /// # Errors
    /// If there are none or too many, or one is there twice.
    pub fn new(addresses: Vec<SocketAddr>) -> Result<Self, AddressesError> {
        if !(1..=MOST_ADDRESSES).contains(&addresses.len()) {
            return Err(AddressesError::Count(addresses.len()));
        }
        for (at, address) in addresses.iter().enumerate() {
            if addresses[..at].contains(address) {
                return Err(AddressesError::Twice(*address));
            }
        }
        Ok(Self(addresses))
    }

    /// All of them, in their order.
    pub fn all(&self) -> &[SocketAddr] {
        &self.0
    }

    /// The one to be tried first.
    pub fn first(&self) -> SocketAddr {
        self.0[0]
    }
}

impl From<SocketAddr> for Addresses {
    fn from(only: SocketAddr) -> Self {
        Self(vec![only])
    }
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, address) in self.0.iter().enumerate() {
            write!(f, "{}{address}", if at == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The addresses behind an 8-bit count.
impl Encode for Addresses {
    fn encode(&self, out: &mut Vec<u8>) {
        // At most four.
        (self.0.len() as u8).encode(out);
        self.0.iter().for_each(|address| address.encode(out));
    }
}

impl Decode for Addresses {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = usize::from(u8::decode(input)?);
        if !(1..=MOST_ADDRESSES).contains(&count) {
            return Err(DecodeError::OutOfRange("number of addresses"));
        }
        let addresses: Result<_, _> = (0..count).map(|_| Decode::decode(input)).collect();
        Self::new(addresses?).map_err(|_| DecodeError::OutOfRange("list of addresses"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(ports: &[u16]) -> Vec<SocketAddr> {
        ports.iter().map(|port| SocketAddr::from(([192, 0, 2, 1], *port))).collect()
    }

    #[test]
    fn a_shard_has_one_to_four_different_addresses_and_nothing_else_is_read() {
        for good in [&[1][..], &[2, 1], &[1, 2, 3, 4]] {
            let made = Addresses::new(addresses(good)).unwrap();
            assert_eq!(Addresses::from_bytes(&made.to_bytes()), Ok(made.clone()));
            assert_eq!(made.first().port(), good[0]);
        }
        for bad in [&[][..], &[1, 1], &[1, 2, 1], &[1, 2, 3, 4, 5]] {
            Addresses::new(addresses(bad)).unwrap_err();
            let mut bytes = vec![bad.len() as u8];
            addresses(bad).iter().for_each(|address| address.encode(&mut bytes));
            assert!(Addresses::from_bytes(&bytes).is_err(), "{bad:?}");
        }
    }
}
