//! `cargo xtask build`: the programs, side by side.

use crate::project;
use anyhow::{Context, Result};
use std::path::PathBuf;

/// Builds the engine and says where it is.
pub(crate) fn run() -> Result<()> {
    let masu = build()?;
    let size = masu.metadata().with_context(|| format!("stat {}", masu.display()))?.len();
    println!("{} ({} KB)", masu.display(), size.div_ceil(1024));
    Ok(())
}

/// Builds the release binaries and gives the path of `masu` among them.
pub(crate) fn build() -> Result<PathBuf> {
    project::run(&mut project::engine_cargo(&["build", "--release", "--locked"]))?;
    let bin = project::bin();
    std::fs::create_dir_all(&bin).with_context(|| format!("create {}", bin.display()))?;
    let (built, installed) = (project::target().join("engine/release/masu"), bin.join("masu"));
    // Under another name first: a running container keeps the old file busy (ETXTBSY).
    let new = bin.join(".masu.new");
    std::fs::copy(&built, &new).with_context(|| format!("copy {}", built.display()))?;
    std::fs::rename(&new, &installed).with_context(|| format!("rename {}", new.display()))?;
    Ok(installed)
}
