//! A D-Bus client, as much of one as it takes to ask systemd for a unit: the D-Bus specification 1.0 of freedesktop.org,
//! without file descriptors, introspection and a server's side.
//!
//! [`value`] and [`message`] are pure, and hold for whatever bytes come; [`connection`] owns the socket.

pub(crate) mod address;
pub(crate) mod connection;
pub(crate) mod message;
pub(crate) mod value;

pub(crate) use connection::{Connection, Failure};
pub(crate) use message::Call;
pub(crate) use value::Value;
