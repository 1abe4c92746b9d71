//! What can go wrong, as one sentence each.

use masu_sys::errno::name;
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
    /// A name, a digest or an option is not written as it has to be.
    Syntax {
        /// What was expected: `image`, `platform`, ….
        what: &'static str,
        /// What was given.
        given: String,
        /// What is wrong with it.
        problem: String,
    },
    /// There is no such thing: in the store, mostly.
    Missing {
        /// What was looked for, or is needed.
        what: String,
        /// What its owner can do.
        hint: &'static str,
    },
    /// Content is not what its digest, its size or its type says: a defect, or an attack.
    Content {
        /// Which content: `layer sha256:…`.
        object: String,
        /// What is wrong with it.
        problem: String,
    },
    /// An index has no image for a platform.
    Platform {
        /// The platform.
        wanted: String,
        /// Those that there are.
        available: Vec<String>,
    },
    /// A registry said no.
    Registry {
        /// What it was asked for: method and URL.
        request: String,
        /// Its answer.
        status: u16,
        /// Its words, which may be none.
        problem: String,
        /// What its user can do.
        hint: Option<String>,
    },
    /// A server could not be reached, or the connection broke.
    Network {
        /// What it was to be asked for.
        request: String,
        /// What happened.
        problem: String,
        /// What its user can do.
        hint: Option<&'static str>,
    },
    /// A layer cannot be unpacked.
    Layer(crate::layer::Error),
    /// Somebody else is at work in the store, and would be disturbed.
    Busy {
        /// The store.
        store: PathBuf,
    },
    /// The store is another user's.
    Owner {
        /// The store.
        store: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who wants to use it.
        caller: u32,
    },
    /// An error on the way to something: the image that was pulled, the layer that was unpacked.
    At {
        /// On the way to what.
        place: String,
        /// What went wrong.
        source: Box<Self>,
    },
}

impl Error {
    pub(crate) fn mount(what: &'static str, target: &Path) -> impl FnOnce(Errno) -> Self {
        move |errno| Self::Mount { what, target: target.to_owned(), errno }
    }

    pub(crate) fn file(verb: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::File { verb, path: path.to_owned(), source }
    }

    /// Says on the way to what an error happened.
    pub(crate) fn at(place: impl Into<String>) -> impl FnOnce(Self) -> Self {
        move |source| Self::At { place: place.into(), source: Box::new(source) }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Namespace { call, errno } => {
                write!(f, "{call}: {}", name(*errno))?;
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
                write!(f, "mount {what} on {}: {}", target.display(), name(*errno))
            }
            Self::File { verb, path, source } => {
                write!(f, "{verb} {}: ", path.display())?;
                match Errno::from_io_error(source) {
                    Some(errno) => f.write_str(name(errno)),
                    None => write!(f, "{source}"),
                }
            }
            Self::Syntax { what, given, problem } => write!(f, "{what} {given:?}: {problem}"),
            Self::Missing { what, hint } => write!(f, "no {what}\nhint: {hint}"),
            Self::Content { object, problem } => write!(f, "{object}: {problem}"),
            Self::Platform { wanted, available } if available.is_empty() => {
                write!(f, "no image for {wanted}, nor for any other platform")
            }
            Self::Platform { wanted, available } => {
                write!(f, "no image for {wanted}; available: {}", available.join(", "))
            }
            Self::Registry { request, status, problem, hint } => {
                let words = if problem.is_empty() { "" } else { ": " };
                write!(f, "{request}: the answer is {status}{words}{problem}")?;
                hint.as_ref().map_or(Ok(()), |hint| write!(f, "\nhint: {hint}"))
            }
            Self::Network { request, problem, hint } => {
                write!(f, "{request}: {problem}")?;
                hint.map_or(Ok(()), |hint| write!(f, "\nhint: {hint}"))
            }
            Self::Layer(error) => write!(f, "{error}"),
            Self::Busy { store } => write!(
                f,
                "{} is in use\nhint: an image is being pulled or imported; try again when that is done",
                store.display()
            ),
            Self::Owner { store, owner, caller } => write!(
                f,
                "the store {} belongs to uid {owner}, and you are uid {caller}\nhint: each user has a store of their own; \
                 --store or $MASU_STORE names it",
                store.display()
            ),
            Self::At { place, source } => write!(f, "{place}: {source}"),
        }
    }
}

impl From<crate::layer::Error> for Error {
    fn from(error: crate::layer::Error) -> Self {
        Self::Layer(error)
    }
}

impl std::error::Error for Error {}

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
            (Error::mount("bind", Path::new("/mnt"))(Errno::DOM), "mount bind on /mnt: EDOM"),
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
