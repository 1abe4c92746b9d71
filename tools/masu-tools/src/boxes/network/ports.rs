//! Published ports: what arrives at a port of this machine goes to one of the box.

use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::Path;

use masu_app::{Failure, Result};
use rustix::fs::{FlockOperation, flock};
use rustix::io::{FdFlags, fcntl_setfd};
use serde::{Deserialize, Serialize};

use super::{RECORD, Record, read};

/// One of `--publish`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Port {
    /// The one address of this machine that it is published at.
    pub(super) address: Option<IpAddr>,
    pub(super) here: u16,
    pub(super) inside: u16,
    pub(super) protocol: Protocol,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    /// Its name in lower case.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl Port {
    /// The address that a socket for it is bound to.
    fn address(&self) -> IpAddr {
        self.address.unwrap_or(Ipv4Addr::UNSPECIFIED.into())
    }

    /// Whether one of two that are published takes packets of the other.
    fn clashes_with(&self, other: &Self) -> bool {
        let is_any = |port: &Self| port.address().is_unspecified();
        (self.here, self.protocol) == (other.here, other.protocol)
            && (self.address == other.address || is_any(self) || is_any(other))
    }

    /// Whether it is published at addresses of IPv6 alone.
    pub(super) fn is_version_6(&self) -> bool {
        self.address().is_ipv6()
    }

    /// How messages call it.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.here, self.protocol.name())
    }
}

/// `[HOSTIP:]HOSTPORT:PORT[/udp]`; an address of IPv6 has brackets.
fn parse(text: &str) -> Result<Port> {
    let wrong = || Failure::new(format!("--publish {text}: it is not [HOSTIP:]HOSTPORT:PORT[/tcp|/udp]"));
    let (ports, protocol) = match text.rsplit_once('/') {
        None => (text, Protocol::Tcp),
        Some((ports, "tcp")) => (ports, Protocol::Tcp),
        Some((ports, "udp")) => (ports, Protocol::Udp),
        Some(_) => return Err(wrong()),
    };
    let (rest, inside) = ports.rsplit_once(':').ok_or_else(wrong)?;
    let (address, here) = match rest.rsplit_once(':') {
        None => (None, rest),
        Some((address, here)) => {
            let plain = address.strip_prefix('[').and_then(|address| address.strip_suffix(']'));
            (Some(plain.unwrap_or(address).parse().map_err(|_| wrong())?), here)
        }
    };
    let number = |text: &str| text.parse().ok().filter(|port| *port > 0).ok_or_else(wrong);
    Ok(Port { address, here: number(here)?, inside: number(inside)?, protocol })
}

/// All that are to be published.
///
/// # Errors
///
/// For what is no port, and one that is given twice.
pub(super) fn parse_all<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Vec<Port>> {
    let mut ports: Vec<Port> = Vec::new();
    for text in texts {
        let port = parse(text)?;
        if ports.iter().any(|known| known.clashes_with(&port)) {
            return Err(Failure::new(format!("--publish {text}: port {} is published twice", port.name())));
        }
        ports.push(port);
    }
    Ok(ports)
}

/// Ports of this machine that nobody else gets as long as this is there, in whichever store or program: CNI's portmap takes
/// packets without a socket, and of two that publish a port the second would get none, without a word.
pub(in crate::boxes) struct Reserved(Vec<OwnedFd>);

impl Reserved {
    /// None.
    pub(super) fn nothing() -> Self {
        Self(Vec::new())
    }

    /// Looks for who has these ports already: another box of this store, or whoever has a socket there. What is found free is
    /// taken.
    ///
    /// # Errors
    ///
    /// When a port is taken, or not for this caller.
    pub(super) fn take(ports: &[Port], boxes: &Path) -> Result<Self> {
        // Two that try at the same time would find each other there.
        let _turn = Turn::take(ports, boxes)?;
        ports.iter().map(|port| bind(port, boxes)).collect::<Result<_>>().map(Self)
    }

    /// Leaves them to the programs that are executed from here on as well.
    ///
    /// # Errors
    ///
    /// Those of fcntl(2).
    pub(in crate::boxes) fn leave(&self) -> rustix::io::Result<()> {
        self.0.iter().try_for_each(|socket| fcntl_setfd(socket, FdFlags::empty()))
    }
}

/// The right to publish ports, which nobody else in the store has as long as this is there: two that looked at the same
/// time would both find them free.
pub(super) struct Turn {
    _lock: Option<File>,
}

impl Turn {
    /// Waits for it, and looks for other boxes of the store that have these ports. Whoever has it makes its own box one that
    /// [`Record::is_attached`].
    ///
    /// # Errors
    ///
    /// When a port is taken.
    pub(super) fn take(ports: &[Port], boxes: &Path) -> Result<Self> {
        if ports.is_empty() {
            return Ok(Self { _lock: None });
        }
        let told = |error: std::io::Error| Failure::new(format!("lock {}: {error}", boxes.display()));
        let lock = match File::open(boxes) {
            // The first box of the store.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self { _lock: None }),
            lock => lock.map_err(told)?,
        };
        flock(&lock, FlockOperation::LockExclusive).map_err(|errno| told(errno.into()))?;
        refuse_published(ports, boxes)?;
        Ok(Self { _lock: Some(lock) })
    }
}

fn refuse_published(ports: &[Port], boxes: &Path) -> Result<()> {
    let taken = ports.iter().find_map(|port| {
        let holder = holder(port, boxes, Record::is_attached)?;
        Some(taken_by(port, &holder))
    });
    taken.map_or(Ok(()), Err)
}

/// The box of this store that publishes a port.
fn holder(port: &Port, boxes: &Path, is_meant: impl Fn(&Record) -> bool) -> Option<String> {
    fs::read_dir(boxes).into_iter().flatten().flatten().find_map(|entry| {
        // A box that goes in this moment, or comes, has no readable record.
        let record = read::<Record>(&entry.path().join(RECORD)).ok()??;
        let clashes = record.ports.iter().any(|taken| taken.clashes_with(port)) && is_meant(&record);
        clashes.then(|| entry.file_name().to_string_lossy().into_owned())
    })
}

fn taken_by(port: &Port, holder: &str) -> Failure {
    let message = format!("port {} is taken by the box {holder}", port.name());
    Failure::with_hint(message, "another port, or wait for that box to end")
}

fn bind(port: &Port, boxes: &Path) -> Result<OwnedFd> {
    let address = (port.address(), port.here);
    let bound = match port.protocol {
        Protocol::Tcp => TcpListener::bind(address).map(OwnedFd::from),
        Protocol::Udp => UdpSocket::bind(address).map(OwnedFd::from),
    };
    let told = |what: &str, hint: &str| Failure::with_hint(format!("port {} {what}", port.name()), hint);
    bound.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => match holder(port, boxes, |_| true) {
            Some(holder) => taken_by(port, &holder),
            None => told(
                "is taken",
                "another port; ss -tulpn shows who has it, and boxes of other stores are masu-tools",
            ),
        },
        std::io::ErrorKind::PermissionDenied => told(
            "is for root alone",
            "a port of 1024 or above, or a lower sysctl net.ipv4.ip_unprivileged_port_start",
        ),
        _ => Failure::new(format!("port {} at {}: {error}", port.name(), port.address())),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read() {
        let port = |address: Option<&str>, here, inside, protocol| {
            Some(Port { address: address.map(|text| text.parse().unwrap()), here, inside, protocol })
        };
        let cases = [
            ("8080:80", port(None, 8080, 80, Protocol::Tcp)),
            ("53:5353/udp", port(None, 53, 5353, Protocol::Udp)),
            ("127.0.0.1:1:65535/tcp", port(Some("127.0.0.1"), 1, 65535, Protocol::Tcp)),
            ("[::1]:8080:80", port(Some("::1"), 8080, 80, Protocol::Tcp)),
            ("80", None),
            ("0:80", None),
            ("80:65536", None),
            ("80:80/sctp", None),
            ("localhost:80:80", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text).ok(), expected, "{text}");
        }
        let wrong = parse("80").unwrap_err().message;
        assert_eq!(wrong, "--publish 80: it is not [HOSTIP:]HOSTPORT:PORT[/tcp|/udp]");
    }

    #[test]
    fn a_port_is_published_once() {
        let all = |texts: &[&str]| parse_all(texts.iter().copied()).map(|ports| ports.len()).ok();
        assert_eq!(all(&["80:80", "80:80/udp", "81:80"]), Some(3));
        assert_eq!(all(&["127.0.0.1:80:80", "127.0.0.2:80:80"]), Some(2));
        assert_eq!(all(&["80:80", "127.0.0.2:80:81"]), None);
        let twice = parse_all(["80:1", "80:2"].into_iter()).unwrap_err().message;
        assert_eq!(twice, "--publish 80:2: port 80/tcp is published twice");
    }
}
