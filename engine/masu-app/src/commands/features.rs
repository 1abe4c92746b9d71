//! `features`.

use crate::{
    commands::version::{COMMIT, VERSION},
    failure::Result,
    output,
};

/// Prints what this masu can do.
pub(super) fn features() -> Result<i32> {
    let mut features = masu_spec::features();
    features.annotations.insert("org.masu.version", VERSION);
    if let Some(commit) = COMMIT {
        features.annotations.insert("org.masu.commit", commit);
    }
    let mut text = output::json(features.to_json())?;
    text.push('\n');
    output::print(&text)?;
    Ok(0)
}
