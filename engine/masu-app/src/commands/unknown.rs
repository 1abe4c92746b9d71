//! A command that the engine does not know: masu-tools may.

use alloc::{
    ffi::CString,
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::ffi::CStr;

use masu_cli::{COMPANION_COMMANDS, UnknownCommand};
use masu_sys::exec::{PointerBlock, execve};
use rustix::{fs::CWD, io::Errno, process::geteuid};

use crate::{
    failure::{Failure, Result},
    loader,
    log::Log,
    session::Environment,
};

/// The exit code for a command that nobody knows.
const UNKNOWN_COMMAND: i32 = 3;
/// The program that knows more commands.
const COMPANION: &str = "masu-tools";

/// Becomes masu-tools with the whole command line, global options included. Returns only when there is none.
pub(crate) fn hand_over(name: &str, args: &[&'static CStr], env: Environment<'_>, log: &Log) -> Result<i32> {
    let own = rustix::fs::readlinkat(CWD, c"/proc/self/exe", Vec::new());
    let own = own.ok().and_then(|path| path.into_string().ok());
    let path = env.variable("PATH").filter(|_| !geteuid().is_root());
    let mut refused = None;
    for candidate in candidates(own.as_deref(), path) {
        match become_program(&candidate, args, env) {
            Errno::NOENT | Errno::NOTDIR => {
                refused = refused.or_else(|| {
                    loader::missing(&candidate).map(|loader| without_loader(&candidate, &loader))
                });
            }
            // As a shell does: PATH may have directories that its owner may not enter.
            Errno::ACCESS => {
                refused = refused.or(Some(Failure::of_file("execve", &candidate, Errno::ACCESS)))
            }
            errno => return Err(Failure::of_file("execve", &candidate, errno)),
        }
    }
    if COMPANION_COMMANDS.iter().any(|command| command.name == name) {
        return Err(refused.unwrap_or_else(|| missing_companion(name, own.as_deref())));
    }
    let unknown = UnknownCommand { name, asked_companion: false };
    log.error(&Failure::from_text(&unknown.to_string()));
    Ok(UNKNOWN_COMMAND)
}

/// Where the companion may be, in order. Root never gets it from PATH, which others may have had a hand in.
fn candidates(own: Option<&str>, path: Option<&str>) -> Vec<String> {
    let mut found = Vec::new();
    if let Some((directory, _)) = own.and_then(|own| own.rsplit_once('/')) {
        found.push(format!("{directory}/{COMPANION}"));
        found.push(format!("{directory}/../libexec/masu/{COMPANION}"));
    }
    // An empty or relative element would be looked up in the working directory.
    let directories = path.unwrap_or_default().split(':').filter(|directory| directory.starts_with('/'));
    found.extend(directories.map(|directory| format!("{directory}/{COMPANION}")));
    found
}

/// Returns only with the reason why it could not.
fn become_program(path: &str, args: &[&CStr], env: Environment<'_>) -> Errno {
    let outcome = || -> rustix::io::Result<Errno> {
        let path = CString::new(path).map_err(|_| Errno::INVAL)?;
        let mut argv = PointerBlock::with_capacity(args.len() + 1)?;
        argv.push(c"masu-tools")?;
        args.iter().try_for_each(|arg| argv.push(arg))?;
        let mut envp = PointerBlock::with_capacity(env.0.len())?;
        env.0.iter().try_for_each(|entry| envp.push(entry))?;
        Ok(execve(&path, &argv, &envp))
    };
    outcome().unwrap_or_else(|errno| errno)
}

/// A masu-tools whose loader is not on this machine.
fn without_loader(path: &str, loader: &str) -> Failure {
    let problem = Failure::of_file("execve", path, Errno::NOENT);
    Failure::with_hint(
        format!("{}: its dynamic loader {loader} is missing", problem.message),
        "install the C library that it was built for (for ld-linux Debian's libc6, Fedora's glibc), or a masu-tools that \
         was built for this system",
    )
}

/// A command that masu-tools has, and no masu-tools.
fn missing_companion(name: &str, own: Option<&str>) -> Failure {
    let directory = own.and_then(|own| own.rsplit_once('/')).map_or("the engine's directory", |(dir, _)| dir);
    let hint = format!("put masu-tools into {directory}, or into ../libexec/masu beside it");
    Failure::with_hint(format!("{name} is a command of masu-tools, which is not installed"), hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_companion_is_looked_for_beside_the_engine_first() {
        assert_eq!(
            candidates(Some("/usr/bin/masu"), Some("/a::.:b:/c")),
            ["/usr/bin/masu-tools", "/usr/bin/../libexec/masu/masu-tools", "/a/masu-tools", "/c/masu-tools"]
        );
        assert_eq!(candidates(Some("/masu"), None), ["/masu-tools", "/../libexec/masu/masu-tools"]);
        assert_eq!(candidates(None, None), Vec::<String>::new());
    }

    #[test]
    fn a_command_of_a_missing_companion_says_where_it_belongs() {
        for (own, directory) in [(Some("/opt/bin/masu"), "/opt/bin"), (None, "the engine's directory")] {
            let failure = missing_companion("explain", own);
            assert_eq!(failure.message, "explain is a command of masu-tools, which is not installed");
            let hint = format!("put masu-tools into {directory}, or into ../libexec/masu beside it");
            assert_eq!(failure.hint, Some(hint));
        }
    }
}
