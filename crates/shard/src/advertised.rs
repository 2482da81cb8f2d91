//! Addresses of a shard that is not reached where it listens.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::str::FromStr;

use antiphon_wire::Addresses;

use crate::StartError;

/// An address that others can dial, or where it comes from: epoch documents hold addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advertised {
    /// The address itself.
    Address(SocketAddr),
    /// A name with a port, as `host:port`, which is looked up before every registration.
    Name(String),
    /// The address of the interface that reaches the coordinator, with this port or the one listened on.
    Auto(Option<u16>),
}

/// The text is neither an address, nor a host with a port, nor `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "give an address or a host, with a port that others can dial, such as shard.example:7100, or auto"
)]
pub struct NotAdvertised;

impl FromStr for Advertised {
    type Err = NotAdvertised;

    fn from_str(text: &str) -> Result<Self, NotAdvertised> {
        if text == "auto" {
            return Ok(Self::Auto(None));
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            let dialled = !address.ip().is_unspecified() && address.port() != 0;
            return dialled.then_some(Self::Address(address)).ok_or(NotAdvertised);
        }
        let (host, port) = text.rsplit_once(':').ok_or(NotAdvertised)?;
        let named = !host.is_empty() && !host.contains([':', '/', '[', ' ']);
        match port.parse() {
            Ok(port @ 1..=u16::MAX) if host == "auto" => Ok(Self::Auto(Some(port))),
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
            Self::Auto(None) => f.write_str("auto"),
            Self::Auto(Some(port)) => write!(f, "auto:{port}"),
        }
    }
}

/// Everything that the addresses to register come from.
#[derive(Clone, Debug)]
pub(crate) struct Advertising {
    pub(crate) peers: Vec<Advertised>,
    pub(crate) clients: Vec<Advertised>,
    /// Addresses listened on for shards and for clients.
    pub(crate) listened: (SocketAddr, SocketAddr),
    /// `host:port` of the coordinator.
    pub(crate) coordinator: String,
}

impl Advertising {
    /// Finds the addresses for shards and for clients. Waits for names to be looked up.
    ///
    /// # Errors
    /// If one cannot be found, or is none that others can dial.
    pub(crate) fn resolve(&self) -> Result<(Addresses, Addresses), StartError> {
        let peers = self.find("peers", &self.peers, self.listened.0)?;
        Ok((peers, self.find("clients", &self.clients, self.listened.1)?))
    }

    /// Returns `true` if the addresses stay what they are.
    pub(crate) fn is_fixed(&self) -> bool {
        let mut all = self.peers.iter().chain(&self.clients);
        all.all(|advertised| matches!(advertised, Advertised::Address(_)))
    }

    fn find(
        &self,
        whom: &'static str,
        advertised: &[Advertised],
        listens: SocketAddr,
    ) -> Result<Addresses, StartError> {
        let mut found = Vec::new();
        for advertised in advertised {
            let address = self.look_up(advertised, listens).map_err(|source| {
                StartError::Unresolved { whom, name: advertised.to_string(), source }
            })?;
            // Names for the inside and the outside may have the same address.
            if !found.contains(&address) {
                found.push(address);
            }
        }
        if found.is_empty() {
            found.push(listens);
        }
        if let Some(&address) =
            found.iter().find(|address| address.ip().is_unspecified() || address.port() == 0)
        {
            return Err(StartError::NoAddress { whom, address });
        }
        Addresses::new(found).map_err(|source| StartError::Addresses { whom, source })
    }

    /// Finds one address. Of several that a name has, it is the first of the kind that the shard listens on.
    fn look_up(&self, advertised: &Advertised, listens: SocketAddr) -> io::Result<SocketAddr> {
        match advertised {
            Advertised::Address(address) => Ok(*address),
            Advertised::Name(name) => choose(&name.to_socket_addrs()?.collect::<Vec<_>>(), listens),
            Advertised::Auto(port) => {
                let ip = address_towards(&self.coordinator)?;
                Ok(SocketAddr::new(ip, port.unwrap_or(listens.port())))
            }
        }
    }
}

fn choose(found: &[SocketAddr], listens: SocketAddr) -> io::Result<SocketAddr> {
    let same_kind = found.iter().find(|address| address.is_ipv4() == listens.is_ipv4());
    let nothing = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    same_kind.or(found.first()).copied().ok_or_else(nothing)
}

/// The address of the interface that reaches `host`, by the system's routes. Nothing is sent.
fn address_towards(host: &str) -> io::Result<IpAddr> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the coordinator has no address");
    for to in host.to_socket_addrs()? {
        let any =
            if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let from = UdpSocket::bind(SocketAddr::new(any, 0)).and_then(|socket| {
            socket.connect(to)?;
            socket.local_addr()
        });
        match from {
            Ok(address) => return Ok(address.ip()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advertising(peers: &[&str], coordinator: &str) -> Advertising {
        Advertising {
            peers: peers.iter().map(|text| text.parse().unwrap()).collect(),
            clients: Vec::new(),
            listened: ("127.0.0.1:7100".parse().unwrap(), "127.0.0.1:7101".parse().unwrap()),
            coordinator: coordinator.to_owned(),
        }
    }

    #[test]
    fn names_and_addresses_that_others_can_dial_are_told_from_all_else() {
        for text in ["192.0.2.1:7100", "[2001:db8::1]:7100"] {
            assert_eq!(text.parse(), Ok(Advertised::Address(text.parse().unwrap())));
        }
        for text in ["shard-0.mix.svc:7100", "localhost:1", "auto.example:7"] {
            assert_eq!(text.parse(), Ok(Advertised::Name(text.to_owned())));
        }
        for (text, port) in [("auto", None), ("auto:7100", Some(7100))] {
            assert_eq!(text.parse(), Ok(Advertised::Auto(port)));
            assert_eq!(Advertised::Auto(port).to_string(), text);
        }
        for text in ["", "shard", ":7100", "shard:0", "shard:x", "0.0.0.0:7100", "192.0.2.1:0"] {
            assert_eq!(text.parse::<Advertised>(), Err(NotAdvertised), "{text}");
        }
        for text in ["[::]:7100", "2001:db8::1:7100", "https://shard:7100", "a b:7100", "auto:0"] {
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
    }

    #[test]
    fn addresses_keep_their_order_and_each_is_there_once() {
        let peers = ["192.0.2.1:7", "auto", "localhost:7100", "[2001:db8::1]:7", "auto:9"];
        let (peers, clients) = advertising(&peers, "127.0.0.1:7000").resolve().unwrap();
        let found = ["192.0.2.1:7", "127.0.0.1:7100", "[2001:db8::1]:7", "127.0.0.1:9"];
        assert_eq!(peers.all(), found.map(|text| text.parse::<SocketAddr>().unwrap()));
        assert_eq!(clients.all(), ["127.0.0.1:7101".parse::<SocketAddr>().unwrap()]);
    }

    #[test]
    fn what_has_no_address_is_named_and_only_addresses_stay_what_they_are() {
        let error =
            advertising(&["auto"], "nowhere.invalid:7000").resolve().unwrap_err().to_string();
        assert!(error.contains("`advertise_peers` is auto"), "{error}");
        assert!(advertising(&["192.0.2.1:7"], "").is_fixed());
        assert!(!advertising(&["192.0.2.1:7", "localhost:7"], "").is_fixed());
    }
}
