//! `--version`.

use crate::{failure::Result, output};

/// The version of masu.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit that it was built from, if the build was told.
pub(crate) const COMMIT: Option<&str> = option_env!("MASU_COMMIT");

/// Prints the versions. go-runc reads the lines by their beginnings and in this order.
pub(crate) fn print() -> Result<i32> {
    let commit = COMMIT.unwrap_or("unknown");
    let spec = masu_spec::OCI_VERSION;
    output::print(&alloc::format!("masu version {VERSION}\ncommit: {commit}\nspec: {spec}\n"))?;
    Ok(0)
}
