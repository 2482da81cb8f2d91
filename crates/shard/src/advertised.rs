//! Addresses of a shard that is not reached where it listens.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use antiphon_process::config_file::read_bounded;
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
    /// A file with an address, or a name with a port, in each line. It is read before every registration: whoever learns
    /// only later where a shard is reached, or that this has changed, writes it there.
    File(PathBuf),
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
        if let Some(path) = text.strip_prefix("file:").filter(|rest| is_path(rest)) {
            return Ok(Self::File(path.into()));
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            let dialled = !address.ip().is_unspecified() && address.port() != 0;
            return dialled.then_some(Self::Address(address)).ok_or(NotAdvertised);
        }
        let (host, port) = text.rsplit_once(':').ok_or(NotAdvertised)?;
        let named = !host.is_empty() && !host.contains([':', ',', '/', '[', ' ']);
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
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

impl Advertised {
    /// Reads what may be several addresses with one port, as a pod with IPv4 and IPv6 is told its own:
    /// `192.0.2.7,2001:db8::7:7100`.
    ///
    /// # Errors
    /// If it is neither that, nor anything that is advertised by itself.
    pub(crate) fn several(text: &str) -> Result<Vec<Self>, NotAdvertised> {
        let of_port = |(hosts, port): (&str, &str)| -> Option<Vec<Self>> {
            let port: u16 = port.parse().ok().filter(|port| *port != 0)?;
            let addresses = hosts.split(',').map(|host| host.parse().ok());
            let known = |ip: IpAddr| (!ip.is_unspecified()).then_some(SocketAddr::new(ip, port));
            addresses.map(|ip| ip.and_then(known).map(Self::Address)).collect()
        };
        match text.parse() {
            Ok(one) => Ok(vec![one]),
            Err(none) => text.rsplit_once(':').and_then(of_port).ok_or(none),
        }
    }
}

/// `file:7100` is a host of that name.
fn is_path(text: &str) -> bool {
    !text.is_empty() && text.parse::<u16>().is_err()
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
            let addresses = self.look_up(advertised, listens).map_err(|source| {
                StartError::Unresolved { whom, name: advertised.to_string(), source }
            })?;
            for address in addresses {
                // Names for the inside and the outside may have the same address.
                if !found.contains(&address) {
                    found.push(address);
                }
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

    /// Finds one address, or those of a file. Of several that a name has, it is the first of the kind that the shard
    /// listens on.
    fn look_up(&self, advertised: &Advertised, listens: SocketAddr) -> io::Result<Vec<SocketAddr>> {
        let one = match advertised {
            Advertised::Address(address) => *address,
            Advertised::Name(name) => {
                choose(&name.to_socket_addrs()?.collect::<Vec<_>>(), listens)?
            }
            Advertised::Auto(port) => {
                let ip = address_towards(&self.coordinator)?;
                SocketAddr::new(ip, port.unwrap_or(listens.port()))
            }
            Advertised::File(path) => return self.look_up_all(path, listens),
        };
        Ok(vec![one])
    }

    fn look_up_all(&self, path: &Path, listens: SocketAddr) -> io::Result<Vec<SocketAddr>> {
        let text = read_bounded(path)?;
        let lines = text.lines().map(str::trim);
        let mut found = Vec::new();
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match line.parse() {
                Ok(one @ (Advertised::Address(_) | Advertised::Name(_))) => {
                    found.extend(self.look_up(&one, listens)?);
                }
                _ => {
                    return Err(io::Error::other(format!("`{line}` in it is no host with a port")));
                }
            }
        }
        if found.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "there is no address in it"));
        }
        Ok(found)
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
    fn several_addresses_of_a_machine_are_one_text_with_one_port() {
        let several = |text: &str| {
            let found = Advertised::several(text)?;
            Ok(found.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let two = ["192.0.2.7:7100", "[2001:db8::7]:7100"];
        assert_eq!(several("192.0.2.7,2001:db8::7:7100").unwrap(), two);
        assert_eq!(several("2001:db8::7:7100").unwrap(), two[1..]);
        assert_eq!(several("192.0.2.7:7100").unwrap(), two[..1]);
        for bad in ["192.0.2.7,:7100", "192.0.2.7,a.example:7100", "192.0.2.7,::1:0", "::,::1:7"] {
            assert_eq!(several(bad), Err(NotAdvertised), "{bad}");
        }
    }

    #[test]
    fn a_file_is_read_anew_each_time_and_says_what_is_wrong_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("peers");
        let text = format!("file:{}", file.display());
        assert_eq!(text.parse(), Ok(Advertised::File(file.clone())));
        assert_eq!("file:7100".parse(), Ok(Advertised::Name("file:7100".to_owned())));
        let advertising = advertising(&["127.0.0.1:7", &text], "");
        assert!(!advertising.is_fixed());
        let missing = advertising.resolve().unwrap_err().to_string();
        assert!(missing.contains("`advertise_peers` is file:"), "{missing}");
        for (lines, found) in [
            (
                "# balancer\n192.0.2.1:7100\n\n[2001:db8::1]:7100\n",
                "192.0.2.1:7100, [2001:db8::1]:7100",
            ),
            ("192.0.2.2:7100", "192.0.2.2:7100"),
        ] {
            std::fs::write(&file, lines).unwrap();
            let (peers, _) = advertising.resolve().unwrap();
            let shown: Vec<_> = peers.all()[1..].iter().map(ToString::to_string).collect();
            assert_eq!(shown.join(", "), found);
        }
        for (lines, wrong) in [
            ("\n#\n", "no address in it"),
            ("192.0.2.1", "`192.0.2.1` in it"),
            ("auto", "`auto` in it"),
        ] {
            std::fs::write(&file, lines).unwrap();
            let error = advertising.resolve().unwrap_err().to_string();
            assert!(error.contains(wrong), "{error}");
        }
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
