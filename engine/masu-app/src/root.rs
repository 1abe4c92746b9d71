//! The root directory: where the state of the containers is.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use masu_cli::{Matches, ROOT};
use rustix::{
    fs::{CWD, Mode},
    io::Errno,
    process::geteuid,
};

use masu_runtime::files;

use crate::{
    failure::{Failure, Result},
    session::Environment,
};

/// Root's own.
const SYSTEM: &str = "/run/masu";

/// A root directory, which need not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// The directory, absolute.
    pub path: String,
    /// How it was chosen.
    pub choice: Choice,
}

/// How the root directory was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// `--root`.
    Option,
    /// The system's.
    System,
    /// Below `$XDG_RUNTIME_DIR`.
    Runtime,
}

/// What the choice depends on.
#[derive(Debug, Clone, Copy)]
struct Circumstances<'a> {
    option: Option<&'a str>,
    euid: u32,
    /// Root of a user namespace that was not told to be root (`$USER`), as `unshare -r` makes one: runc's rule.
    ordinary_in_user_namespace: bool,
    runtime_dir: Option<&'a str>,
    working_directory: &'a str,
}

impl Root {
    /// Chooses the root directory.
    ///
    /// # Errors
    /// `--root` is `/`, or is relative and the working directory is gone.
    pub fn choose(global: &Matches<'_>, env: Environment<'_>) -> Result<Self> {
        let option = global.value(&ROOT);
        let euid = geteuid().as_raw();
        // A relative path counts as none (XDG Base Directory Specification).
        let runtime_dir = env.variable("XDG_RUNTIME_DIR").filter(|dir| dir.starts_with('/'));
        let working_directory = match option {
            Some(path) if !path.starts_with('/') => working_directory()?,
            _ => String::new(),
        };
        choose(&Circumstances {
            option,
            euid,
            ordinary_in_user_namespace: option.is_none()
                && euid == 0
                && runtime_dir.is_some()
                && env.variable("USER") != Some("root")
                && in_user_namespace(),
            runtime_dir,
            working_directory: &working_directory,
        })
    }

    /// Makes the directory below `$XDG_RUNTIME_DIR`, which must have the sticky bit: without it, what cleans that
    /// directory takes away files that were not used for some time (XDG Base Directory Specification).
    ///
    /// # Errors
    /// Those of mkdir(2) and chmod(2); for an ordinary user without `$XDG_RUNTIME_DIR`, when the system's directory is
    /// closed to it.
    pub fn prepare(&self) -> Result<()> {
        match self.choice {
            Choice::Option => return Ok(()),
            Choice::System if geteuid().is_root() => return Ok(()),
            Choice::System => return prepare_system(),
            Choice::Runtime => {}
        }
        let mode = Mode::from_bits_truncate(0o1700);
        match rustix::fs::mkdirat(CWD, self.path.as_str(), mode) {
            Ok(()) => {}
            Err(Errno::EXIST) => return Ok(()),
            Err(errno) => {
                let hint = "XDG_RUNTIME_DIR has to name a directory that is there and that you may write to; or name \
                            another one with --root";
                return Err(Failure {
                    hint: Some(hint.into()),
                    ..Failure::of_file("mkdir", &self.path, errno)
                });
            }
        }
        rustix::fs::chmodat(CWD, self.path.as_str(), mode, rustix::fs::AtFlags::empty())
            .map_err(|errno| Failure::of_file("chmod", &self.path, errno))
    }
}

/// The system's directory in the hands of an ordinary user: somebody may have made it for all.
fn prepare_system() -> Result<()> {
    use rustix::fs::{Access, AtFlags};
    let made = match rustix::fs::mkdirat(CWD, SYSTEM, Mode::from_bits_truncate(0o700)) {
        Err(Errno::EXIST) => {
            rustix::fs::accessat(CWD, SYSTEM, Access::WRITE_OK | Access::EXEC_OK, AtFlags::empty())
        }
        outcome => outcome,
    };
    made.map_err(|errno| {
        let hint = "XDG_RUNTIME_DIR is not set: set it to a directory of yours, as a log-in does with \
                    /run/user/UID, or name one with --root";
        Failure { hint: Some(hint.into()), ..Failure::of_file("write to", SYSTEM, errno) }
    })
}

fn choose(given: &Circumstances<'_>) -> Result<Root> {
    if let Some(option) = given.option {
        let path = if option.starts_with('/') {
            option.to_string()
        } else {
            format!("{}/{option}", given.working_directory)
        };
        if is_slash(&path) {
            return Err(Failure::with_hint(
                format!("--root {option}: the state of containers cannot be in / itself"),
                "--root names a directory of its own, such as /run/masu",
            ));
        }
        return Ok(Root { path, choice: Choice::Option });
    }
    // `--rootless` has no say: it is about cgroups alone, as with runc.
    let ordinary = given.euid != 0 || given.ordinary_in_user_namespace;
    Ok(match given.runtime_dir {
        Some(dir) if ordinary => Root { path: format!("{dir}/masu"), choice: Choice::Runtime },
        _ => Root { path: SYSTEM.into(), choice: Choice::System },
    })
}

/// Whether an absolute path is `/`, by its text.
fn is_slash(path: &str) -> bool {
    let mut depth = 0usize;
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => depth = depth.saturating_sub(1),
            _ => depth += 1,
        }
    }
    depth == 0
}

fn working_directory() -> Result<String> {
    let path = rustix::process::getcwd(Vec::new())
        .map_err(|errno| Failure::of_file("getcwd for", "--root", errno))?;
    path.into_string().map_err(|_| Failure::new("--root: the working directory's name is not valid UTF-8"))
}

/// The first user namespace maps all ids to themselves, user_namespaces(7).
fn in_user_namespace() -> bool {
    files::read("/proc/self/uid_map").is_ok_and(|map| {
        let text = String::from_utf8_lossy(&map).into_owned();
        !text.split_ascii_whitespace().eq(["0", "0", "4294967295"])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Circumstances<'static> = Circumstances {
        option: None,
        euid: 0,
        ordinary_in_user_namespace: false,
        runtime_dir: None,
        working_directory: "/w",
    };
    const DIR: Option<&str> = Some("/run/user/7");

    #[test]
    fn the_directory_depends_on_option_user_and_environment() {
        let user = Circumstances { euid: 7, runtime_dir: DIR, ..NOTHING };
        let root = Circumstances { runtime_dir: DIR, ..NOTHING };
        let table = [
            (NOTHING, SYSTEM, Choice::System),
            (root, SYSTEM, Choice::System),
            (user, "/run/user/7/masu", Choice::Runtime),
            (Circumstances { euid: 7, ..NOTHING }, SYSTEM, Choice::System),
            (Circumstances { ordinary_in_user_namespace: true, ..root }, "/run/user/7/masu", Choice::Runtime),
            (Circumstances { option: Some("/a/b"), ..user }, "/a/b", Choice::Option),
            (Circumstances { option: Some("a"), ..root }, "/w/a", Choice::Option),
        ];
        for (given, path, choice) in table {
            assert_eq!(choose(&given), Ok(Root { path: path.into(), choice }), "{given:?}");
        }
    }

    #[test]
    fn the_whole_file_system_is_refused() {
        for option in ["/", "//", "/.", "/..", "/a/..", "../..", ".."] {
            let failure = choose(&Circumstances { option: Some(option), ..NOTHING }).unwrap_err();
            let expected = format!("--root {option}: the state of containers cannot be in / itself");
            assert_eq!(failure.message, expected);
        }
    }
}
