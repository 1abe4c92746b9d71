//! What can go wrong, as one sentence each.

use rustix::io::Errno;
use std::path::{Path, PathBuf};

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of this crate, grouped by what a caller can do about it.
#[derive(Debug)]
pub enum Error {
    /// The kernel refused new namespaces: the machine's settings decide that.
    Namespace {
        /// The call that failed, as strace would print it.
        call: &'static str,
        /// Why.
        errno: Errno,
    },
    /// A mount was refused.
    Mount {
        /// What was to be mounted: a file system's type, or `bind`.
        what: &'static str,
        /// Where to.
        target: PathBuf,
        /// Why.
        errno: Errno,
    },
    /// A file or directory could not be read or made.
    File {
        /// What was tried: `read`, `create`, ….
        verb: &'static str,
        /// With what.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn mount(what: &'static str, target: &Path) -> impl FnOnce(Errno) -> Self {
        move |errno| Self::Mount { what, target: target.to_owned(), errno }
    }

    pub(crate) fn file(verb: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::File { verb, path: path.to_owned(), source }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Namespace { call, errno } => {
                write!(f, "{call}: {}", errno_name(*errno))?;
                if matches!(*errno, Errno::PERM | Errno::ACCESS | Errno::NOSPC) {
                    // Debian's and Ubuntu's own switches; the third is the kernel's.
                    f.write_str(
                        "\nhint: see the sysctls kernel.unprivileged_userns_clone, \
                         kernel.apparmor_restrict_unprivileged_userns and user.max_user_namespaces, or run as root",
                    )?;
                }
                Ok(())
            }
            Self::Mount { what, target, errno } => {
                write!(f, "mount {what} on {}: {}", target.display(), errno_name(*errno))
            }
            Self::File { verb, path, source } => {
                write!(f, "{verb} {}: ", path.display())?;
                match Errno::from_io_error(source) {
                    Some(errno) => f.write_str(&errno_name(errno)),
                    None => write!(f, "{source}"),
                }
            }
        }
    }
}

impl std::error::Error for Error {}

/// The errno by name, for those that mounts and namespaces give; the number otherwise.
pub(crate) fn errno_name(errno: Errno) -> String {
    let name = match errno {
        Errno::ACCESS => "EACCES",
        Errno::BUSY => "EBUSY",
        Errno::EXIST => "EEXIST",
        Errno::INVAL => "EINVAL",
        Errno::ISDIR => "EISDIR",
        Errno::LOOP => "ELOOP",
        Errno::NODEV => "ENODEV",
        Errno::NOENT => "ENOENT",
        Errno::NOMEM => "ENOMEM",
        Errno::NOSPC => "ENOSPC",
        Errno::NOSYS => "ENOSYS",
        Errno::NOTDIR => "ENOTDIR",
        Errno::PERM => "EPERM",
        Errno::ROFS => "EROFS",
        Errno::USERS => "EUSERS",
        other => return format!("errno {}", other.raw_os_error()),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_object_and_the_errno() {
        let cases = [
            (
                Error::mount("overlay", Path::new("/tmp/root"))(Errno::INVAL),
                "mount overlay on /tmp/root: EINVAL",
            ),
            (Error::file("read", Path::new("/etc/passwd"))(Errno::NOENT.into()), "read /etc/passwd: ENOENT"),
            (Error::mount("bind", Path::new("/mnt"))(Errno::DOM), "mount bind on /mnt: errno 33"),
        ];
        for (error, text) in cases {
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn a_refused_user_namespace_says_which_settings_decide() {
        let error = Error::Namespace { call: "unshare(CLONE_NEWUSER|CLONE_NEWNS)", errno: Errno::PERM };
        assert_eq!(
            error.to_string(),
            "unshare(CLONE_NEWUSER|CLONE_NEWNS): EPERM\nhint: see the sysctls kernel.unprivileged_userns_clone, \
             kernel.apparmor_restrict_unprivileged_userns and user.max_user_namespaces, or run as root"
        );
    }
}
