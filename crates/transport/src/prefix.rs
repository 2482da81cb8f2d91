//! Ranges of addresses that share their first bits.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// All addresses that begin with the same bits, such as `192.0.2.0/24`. An IPv4 address within
/// IPv6 counts as itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    first: IpAddr,
    bits: u8,
}

/// The text is no range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an address, or an address and a number of bits such as 192.0.2.0/24")]
pub struct BadPrefix;

impl Prefix {
    /// The range of the first `bits` bits of `address`, or all of it if it has no more.
    pub fn new(address: IpAddr, bits: u8) -> Self {
        let (first, bits) = match address.to_canonical() {
            IpAddr::V4(v4) => {
                let bits = bits.min(32);
                let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
                (std::net::Ipv4Addr::from_bits(v4.to_bits() & mask).into(), bits)
            }
            IpAddr::V6(v6) => {
                let bits = bits.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
                (Ipv6Addr::from_bits(v6.to_bits() & mask).into(), bits)
            }
        };
        Self { first, bits }
    }

    /// Returns `true` if `address` is in the range.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && Self::new(address, self.bits) == *self
    }
}

impl FromStr for Prefix {
    type Err = BadPrefix;

    fn from_str(text: &str) -> Result<Self, BadPrefix> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().map_err(|_| BadPrefix)?)),
            None => (text, None),
        };
        let address = address.parse::<IpAddr>().map_err(|_| BadPrefix)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        if bits > most { Err(BadPrefix) } else { Ok(Self::new(address, bits)) }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_what_begins_with_their_bits() {
        let holds = |range: &str, address: &str| {
            range.parse::<Prefix>().unwrap().contains(address.parse().unwrap())
        };
        assert!(holds("192.0.2.0/24", "192.0.2.255") && !holds("192.0.2.0/24", "192.0.3.0"));
        assert!(holds("192.0.2.77/24", "::ffff:192.0.2.1"));
        assert!(holds("0.0.0.0/0", "203.0.113.9") && !holds("0.0.0.0/0", "2001:db8::1"));
        assert!(
            holds("2001:db8::/32", "2001:db8:ffff::1") && !holds("2001:db8::/32", "2001:db9::")
        );
        assert!(holds("127.0.0.1", "127.0.0.1") && !holds("127.0.0.1", "127.0.0.2"));
        for bad in ["", "1.2.3/24", "1.2.3.4/33", "::/129", "1.2.3.4/", "1.2.3.4/-1", "a/8"] {
            assert_eq!(bad.parse::<Prefix>(), Err(BadPrefix), "{bad}");
        }
        assert_eq!("2001:db8::1/56".parse::<Prefix>().unwrap().to_string(), "2001:db8::/56");
    }
}
