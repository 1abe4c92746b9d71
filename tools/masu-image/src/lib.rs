//! From an image to a root filesystem that a container can run on.
//!
//! The one image so far is [`host_root`]: this machine's own root, read-only below and a tmpfs above. It
//! needs no network and no store, so it is what `cargo xtask demo` shows.

mod error;
pub mod host_root;
mod identity;
mod layers;
mod namespace;

pub use error::{Error, Result};
