//! Layers applied to a real file system, as snapshots below an overlay and merged into one directory. Root's tests: they
//! set owners, make devices and mount, each in a mount namespace of its own.

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod debian;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod rootless;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod scratch;
#[cfg(test)]
mod tar;
#[cfg(test)]
mod tree;
#[cfg(test)]
mod umoci;
