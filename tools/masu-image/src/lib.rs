//! From an image to a root filesystem that a container can run on.
//!
//! | module | what |
//! |---|---|
//! | [`manifest`] | the documents of an image, read strictly |
//! | [`reference`](mod@reference) | what people call an image |
//! | [`registry`] | manifests and blobs by HTTP |
//! | [`pull`] | from a registry into the store |
//! | [`push`] | from the store into a registry |
//! | [`archive`] | from files and directories into the store, and back |
//! | [`unpack`] | from the store's blobs to layers on disk |
//! | [`store`] | the directory with images, their content and their unpacked layers |
//! | [`tar`], [`layer`], [`overlay`] | from a layer's archive to a directory, and from directories to a root |
//! | [`bundle`] | from an image to a bundle |
//! | [`host_root`] | the image called `host`, this machine's own root: needs no network and no store |

pub mod archive;
pub mod bundle;
pub mod decompress;
mod digest;
mod error;
pub mod host_root;
mod identity;
pub mod layer;
pub mod manifest;
mod mounts;
pub mod namespace;
pub mod overlay;
pub mod pull;
pub mod push;
pub mod reference;
pub mod registry;
pub mod rootless;
pub mod store;
pub mod tar;
pub mod unpack;

pub use digest::{Algorithm, Digest, Hasher, InvalidDigest};
pub use error::{Error, Result};
pub use manifest::Descriptor;
pub use store::Store;
