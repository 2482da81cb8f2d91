//! Addresses of a shard that is not reached where it listens.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::str::FromStr;

/// An address, or a name that is looked up once, when the shard starts: epoch documents hold addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advertised {
    /// The address itself.
    Address(SocketAddr),
    /// A name with a port, as `host:port`.
    Name(String),
}

/// The text is neither an address nor a host with a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("give an address or a host, with a port that others can dial, such as shard.example:7100")]
pub struct NotAdvertised;

impl FromStr for Advertised {
    type Err = NotAdvertised;

    fn from_str(text: &str) -> Result<Self, NotAdvertised> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            let dialled = !address.ip().is_unspecified() && address.port() != 0;
            return dialled.then_some(Self::Address(address)).ok_or(NotAdvertised);
        }
        let (host, port) = text.rsplit_once(':').ok_or(NotAdvertised)?;
        let named = !host.is_empty() && !host.contains([':', '/', '[', ' ']);
        match port.parse() {
            Ok(1..=u16::MAX) if named => Ok(Self::Name(text.to_owned())),
            _ => Err(NotAdvertised),
        }
    }
}

impl fmt::Display for Advertised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

impl Advertised {
    /// Finds the address. Of several that a name has, it is the first of the kind that the shard listens on.
    ///
    /// # Errors
    /// If the name cannot be resolved.
    pub(crate) fn resolve(&self, listens: SocketAddr) -> io::Result<SocketAddr> {
        match self {
            Self::Address(address) => Ok(*address),
            Self::Name(name) => choose(&name.to_socket_addrs()?.collect::<Vec<_>>(), listens),
        }
    }
}

fn choose(found: &[SocketAddr], listens: SocketAddr) -> io::Result<SocketAddr> {
    let same_kind = found.iter().find(|address| address.is_ipv4() == listens.is_ipv4());
    let nothing = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    same_kind.or(found.first()).copied().ok_or_else(nothing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_that_others_can_dial_are_told_from_all_else() {
        for text in ["192.0.2.1:7100", "[2001:db8::1]:7100"] {
            assert_eq!(text.parse(), Ok(Advertised::Address(text.parse().unwrap())));
        }
        for text in ["shard-0.mix.svc:7100", "localhost:1"] {
            assert_eq!(text.parse(), Ok(Advertised::Name(text.to_owned())));
        }
        for text in ["", "shard", ":7100", "shard:0", "shard:x", "0.0.0.0:7100", "192.0.2.1:0"] {
            assert_eq!(text.parse::<Advertised>(), Err(NotAdvertised), "{text}");
        }
        for text in ["[::]:7100", "2001:db8::1:7100", "https://shard:7100", "a b:7100"] {
            assert_eq!(text.parse::<Advertised>(), Err(NotAdvertised), "{text}");
        }
    }

    #[test]
    fn a_name_becomes_the_address_of_the_kind_that_is_listened_on() {
        let [four, six] = ["192.0.2.1:7", "[2001:db8::1]:7"].map(|text| text.parse().unwrap());
        let listens = "0.0.0.0:7100".parse().unwrap();
        assert_eq!(choose(&[six, four], listens).unwrap(), four);
        assert_eq!(choose(&[six], listens).unwrap(), six);
        assert!(choose(&[], listens).is_err());
        let local = Advertised::Name("localhost:7100".to_owned()).resolve(listens).unwrap();
        assert!(local.ip().is_loopback() && local.port() == 7100);
    }
}
