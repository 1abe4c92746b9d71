//! Where things are, and how other programs are run.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The top of the work tree.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Cargo's own target directory of the std side; everything that xtask keeps lies below it.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// Where `build` puts the programs.
pub(crate) fn bin() -> PathBuf {
    target().join("masu/bin")
}

/// What xtask has fetched or made for the tests: other runtimes, cargo-deny, machines, Debian roots. It is the machine's,
/// not the checkout's: a fresh clone finds what another one has made. Safe to delete.
pub(crate) fn cache() -> PathBuf {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if rustix::process::geteuid().is_root() {
        // Not root's home: the root of a container in a user namespace has to get there.
        return PathBuf::from("/var/cache/masu-xtask");
    }
    let caches = variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")));
    caches.map_or_else(|| target().join("xtask"), |caches| caches.join("masu-xtask"))
}

/// A place in the cache for what is fetched by these words, which may be others tomorrow.
pub(crate) fn cache_of(name: &str, words: &str) -> PathBuf {
    let mut hasher = std::hash::DefaultHasher::new();
    std::hash::Hash::hash(words, &mut hasher);
    cache().join(format!("{name}-{:016x}", std::hash::Hasher::finish(&hasher)))
}

/// Tells tests where they keep what takes long to make.
pub(crate) const TESTS_CACHE: &str = "MASU_TESTS_CACHE";

/// Cargo at the top of the work tree.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root()).env(TESTS_CACHE, cache());
    command
}

/// Cargo in the engine's workspace, with a target directory of its own: the two workspaces would otherwise wait
/// for each other's lock.
pub(crate) fn engine_cargo(arguments: &[&str]) -> Command {
    let mut command = cargo(arguments);
    command.current_dir(root().join("engine")).env("CARGO_TARGET_DIR", target().join("engine"));
    command
}

/// Cargo in the workspace of the benchmark's libc-free programs.
pub(crate) fn probe_cargo(arguments: &[&str]) -> Command {
    let mut command = cargo(arguments);
    command.current_dir(root().join("bench/probe")).env("CARGO_TARGET_DIR", target().join("probe"));
    command
}

/// Cargo in the workspace of what the benchmark takes for the kernel's own limit.
pub(crate) fn floor_cargo(arguments: &[&str]) -> Command {
    let mut command = cargo(arguments);
    command.current_dir(root().join("bench/floor")).env("CARGO_TARGET_DIR", target().join("floor"));
    command
}

/// Cargo in the workspace of the fuzz targets, whose compiler flags are its own.
pub(crate) fn fuzz_cargo(arguments: &[&str]) -> Command {
    let mut command = cargo(arguments);
    command.current_dir(root().join("fuzz")).env("CARGO_TARGET_DIR", target().join("fuzz"));
    command
}

/// Runs a command whose output the user should see.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("start {}", words(command)))?;
    if !status.success() {
        bail!("{}: {status}", words(command));
    }
    Ok(())
}

/// Runs a command and gives its standard output, without the final newline.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("start {}", words(command)))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("{}: {}\n{}", words(command), output.status, stderr.trim_end());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

/// A command as a person would type it, for messages.
pub(crate) fn words(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut words = vec![program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|argument| argument.to_string_lossy().into_owned()));
    words.join(" ")
}

/// Whether `program` is in PATH, or in the folders that Debian keeps from an ordinary user's PATH.
pub(crate) fn find_program(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// One word of a shell's command line, whatever is in it.
pub(crate) fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn a_word_survives_the_shell() {
        for (word, quoted) in [("ls", "'ls'"), ("a b", "'a b'"), ("it's", r"'it'\''s'"), ("", "''")] {
            assert_eq!(quote(word), quoted);
        }
    }
}
