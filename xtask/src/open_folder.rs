//! A place for programs that somebody else than root has to reach: the work tree may be closed to everybody else.

use anyhow::{Context, Result};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder that everybody may read; it goes with its owner.
pub(crate) struct OpenFolder(PathBuf);

impl OpenFolder {
    pub(crate) fn create() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("masu-xtask-{}", std::process::id()));
        std::fs::create_dir(&folder).with_context(|| format!("create {}", folder.display()))?;
        let this = Self(folder);
        std::fs::set_permissions(&this.0, Permissions::from_mode(0o755))
            .context("open the folder to everybody")?;
        Ok(this)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn copy(&self, program: &Path) -> Result<PathBuf> {
        let copy = self.0.join(program.file_name().context("a program has a name")?);
        std::fs::copy(program, &copy).with_context(|| format!("copy {}", program.display()))?;
        std::fs::set_permissions(&copy, Permissions::from_mode(0o755))
            .context("open the copy to everybody")?;
        Ok(copy)
    }
}

impl Drop for OpenFolder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("remove {}: {error}", self.0.display());
        }
    }
}

/// A command of the user nobody, whose environment has nothing of root's.
pub(crate) fn as_nobody(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program).current_dir("/");
    command.env("HOME", "/").env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    command
}
