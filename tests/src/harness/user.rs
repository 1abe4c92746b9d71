//! An ordinary user: a uid that the machine does not have, known to the commands of one case alone.
//!
//! Each command gets a mount namespace of its own in which /etc/passwd and its kin are files of the case, so that the
//! machine's stay as they are; then it changes to the user.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, lchown};
use std::path::{Path, PathBuf};

use super::Check;

/// Users and groups of the machine end far below.
pub(crate) const UID: u32 = 23_456;
/// Another number than the uid, so that one taken for the other shows.
pub(crate) const GID: u32 = 23_457;
/// The first of the granted users; 65536 of them.
pub(crate) const SUBUID: u32 = 700_000;
/// The first of the granted groups; 65536 of them.
pub(crate) const SUBGID: u32 = 800_000;
/// How many are granted.
pub(crate) const GRANTED: u32 = 65_536;

const NAME: &str = "masu-tester";

/// Goes on as the user: `ROOT` has the files, the rest of the arguments is the command.
const BECOME: &str = r#"
root=$1; uid=$2; gid=$3; shift 3
for file in "$root"/etc/*; do mount --bind "$file" "/etc/${file##*/}" || exit 125; done
[ ! -e "$root/prepare" ] || . "$root/prepare" || exit 125
exec setpriv --reuid "$uid" --regid "$gid" --clear-groups -- "$@"
"#;

/// The files of a user in the directory of a case.
#[derive(Debug, Clone)]
pub(crate) struct User {
    dir: PathBuf,
}

impl User {
    /// Makes the files: the machine's users and groups and this one more, with ranges of ids granted.
    pub(crate) fn make(dir: PathBuf) -> Check<Self> {
        let etc = dir.join("etc");
        fs::create_dir_all(&etc)?;
        let home = dir.join("home");
        let line = format!("{NAME}:x:{UID}:{GID}::{}:/bin/sh\n", home.display());
        fs::write(etc.join("passwd"), fs::read_to_string("/etc/passwd")? + &line)?;
        fs::write(etc.join("group"), fs::read_to_string("/etc/group")? + &format!("{NAME}:x:{GID}:\n"))?;
        fs::write(etc.join("subuid"), format!("{NAME}:{SUBUID}:{GRANTED}\n"))?;
        fs::write(etc.join("subgid"), format!("{NAME}:{SUBGID}:{GRANTED}\n"))?;
        let user = Self { dir };
        for own in [home, user.runtime_dir()] {
            fs::create_dir(&own)?;
            fs::set_permissions(&own, fs::Permissions::from_mode(0o700))?;
            lchown(&own, Some(UID), Some(GID))?;
        }
        Ok(user)
    }

    /// Replaces a file of `/etc` for this user's commands.
    pub(crate) fn etc(&self, name: &str, text: &str) -> Check {
        Ok(fs::write(self.dir.join("etc").join(name), text)?)
    }

    /// Commands of the shell that root carries out in the mount namespace before it becomes the user.
    pub(crate) fn prepare(&self, script: &str) -> Check {
        Ok(fs::write(self.dir.join("prepare"), script)?)
    }

    /// `XDG_RUNTIME_DIR`.
    pub(crate) fn runtime_dir(&self) -> PathBuf {
        self.dir.join("run")
    }

    /// What stands before a command that the user runs.
    pub(crate) fn prefix(&self) -> Vec<String> {
        let words = ["unshare", "--mount", "--propagation", "slave", "sh", "-c", BECOME, "become"];
        let mut words: Vec<String> = words.into_iter().map(str::to_owned).collect();
        words.extend([self.dir.to_string_lossy().into_owned(), UID.to_string(), GID.to_string()]);
        words
    }

    /// The environment of a log-in.
    pub(crate) fn environment(&self) -> [(&'static str, String); 3] {
        [
            ("HOME", self.dir.join("home").to_string_lossy().into_owned()),
            ("USER", NAME.to_owned()),
            ("XDG_RUNTIME_DIR", self.runtime_dir().to_string_lossy().into_owned()),
        ]
    }
}

/// Gives a directory and all below to the user, but for files that have other names too: those are shared.
pub(crate) fn give(path: &Path) -> Check {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = path.symlink_metadata()?;
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path())?;
        }
    }
    if metadata.is_dir() || metadata.nlink() == 1 {
        lchown(path, Some(UID), Some(GID))?;
    }
    Ok(())
}
