//! Addresses (D-Bus specification, "Server Addresses"): of all transports the Unix socket alone.

use alloc::string::String;
use alloc::vec::Vec;

use rustix::io::Errno;
use rustix::net::SocketAddrUnix;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// In the file system.
    Path(String),
    /// In the network namespace, unix(7) "abstract".
    Abstract(String),
}

impl Address {
    pub(crate) fn socket(&self) -> Result<SocketAddrUnix, Errno> {
        match self {
            Self::Path(path) => SocketAddrUnix::new(path.as_str()),
            Self::Abstract(name) => SocketAddrUnix::new_abstract_name(name.as_bytes()),
        }
    }
}

/// The addresses of a list such as `unix:path=/run/user/1000/bus,guid=…;tcp:…` that can be connected to.
pub(crate) fn parse_addresses(list: &str) -> Vec<Address> {
    list.split(';').filter_map(parse_address).collect()
}

fn parse_address(address: &str) -> Option<Address> {
    let pairs = address.strip_prefix("unix:")?;
    pairs.split(',').find_map(|pair| match pair.split_once('=')? {
        ("path", path) => unescape(path).map(Address::Path),
        ("abstract", name) => unescape(name).map(Address::Abstract),
        _ => None,
    })
}

/// `%` and two hexadecimal digits are a byte.
fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
                u8::try_from(high << 4 | low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unix_sockets_of_a_list_are_found() {
        let path = |path: &str| Address::Path(path.into());
        let table = [
            ("unix:path=/run/user/1000/bus", vec![path("/run/user/1000/bus")]),
            ("unix:guid=00ff,path=/a%20b%3b", vec![path("/a b;")]),
            ("unix:abstract=/tmp/dbus-x,guid=0", vec![Address::Abstract("/tmp/dbus-x".into())]),
            ("tcp:host=a,port=1;unix:path=/b", vec![path("/b")]),
            ("unix:path=/a;unix:path=/b", vec![path("/a"), path("/b")]),
            ("unix:runtime=yes", vec![]),
            ("unix:path=/a%2", vec![]),
            ("unix:path=/a%zz", vec![]),
            ("unix:path=/a%ff", vec![]),
            ("", vec![]),
            ("/run/bus", vec![]),
        ];
        for (list, expected) in table {
            assert_eq!(parse_addresses(list), expected, "{list}");
        }
    }
}
