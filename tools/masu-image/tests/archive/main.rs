//! Images in files, exchanged with skopeo.

#[cfg(test)]
mod exchange;
#[cfg(test)]
mod refused;
#[cfg(test)]
#[path = "../layer/tar.rs"]
#[expect(dead_code, reason = "the tests of layers use more of it")]
mod tar;
#[cfg(test)]
#[path = "../layer/tree.rs"]
#[expect(dead_code, reason = "the tests of layers use more of it")]
mod tree;
#[cfg(test)]
mod world;
