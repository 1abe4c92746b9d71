//! `spec`.

use alloc::format;

use masu_cgroup::Layout;
use masu_cli::{BUNDLE, Parsed, SPEC_ROOTLESS};
use masu_spec::{default_config, rootless_config};
use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags},
    io::Errno,
    process::{getegid, geteuid},
};

use masu_runtime::files;

use crate::failure::{Failure, Result};

/// Writes a config.json.
pub(super) fn spec(parsed: &Parsed<'_>) -> Result<i32> {
    let path = match parsed.options.value(&BUNDLE) {
        Some(bundle) => format!("{}/config.json", bundle.trim_end_matches('/')),
        None => "config.json".into(),
    };
    let unified = matches!(Layout::probe()?, Layout::Unified { .. });
    let text = if parsed.options.flag(&SPEC_ROOTLESS) {
        rootless_config(unified, geteuid().as_raw(), getegid().as_raw())
    } else {
        default_config(unified)
    };
    write_new(&path, text.as_bytes())?;
    Ok(0)
}

/// O_EXCL makes asking and creating one step, and does not follow a symbolic link out of the bundle.
fn write_new(path: &str, bytes: &[u8]) -> Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(CWD, path, flags, Mode::from_bits_truncate(0o666)) {
        Err(Errno::EXIST) => {
            return Err(Failure::with_hint(
                format!("file {path} exists"),
                "remove it first, or name another directory with --bundle",
            ));
        }
        outcome => outcome.map_err(|errno| Failure::of_file("create", path, errno))?,
    };
    files::write_all(&file, bytes).map_err(|errno| {
        // Half a file would be refused by the next attempt, and by every other command.
        let _ = rustix::fs::unlinkat(CWD, path, AtFlags::empty()); // ignored: the write's error is the news
        Failure::of_file("write", path, errno)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_once() {
        let path = std::env::temp_dir().join(format!("masu-app-spec-{}.json", std::process::id()));
        let text = path.to_str().unwrap();
        assert_eq!(write_new(text, b"first"), Ok(()));
        let failure = write_new(text, b"second").unwrap_err();
        let written = std::fs::read(&path);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(written.unwrap(), b"first");
        assert_eq!(failure.message, format!("file {text} exists"));
    }
}
