//! Files into the machine and out of it: two disks that are written and read as tar archives.

use super::machine::Run;
use crate::project;
use anyhow::{Context, Result};
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// What a machine gets before it starts to work.
#[derive(Debug)]
pub(super) struct Load<'a> {
    /// Put into /usr/local/bin.
    pub(super) programs: &'a [PathBuf],
    /// Becomes /share.
    pub(super) share: Option<&'a Path>,
    /// Who runs the command.
    pub(super) user: &'a str,
    /// None means a shell.
    pub(super) command: &'a [String],
    /// The terminal that a shell gets.
    pub(super) terminal: Option<Terminal>,
}

/// The caller's terminal.
#[derive(Debug)]
pub(super) struct Terminal {
    name: String,
    rows: u16,
    columns: u16,
}

impl Terminal {
    pub(super) fn read() -> Result<Self> {
        let size =
            rustix::termios::tcgetwinsize(std::io::stdin()).context("read the size of the terminal")?;
        let name = std::env::var("TERM").unwrap_or_else(|_| "dumb".to_owned());
        Ok(Self { name, rows: size.ws_row, columns: size.ws_col })
    }
}

/// Writes the disk that the agent waits for.
pub(super) fn send(run: &Run, load: &Load<'_>) -> Result<()> {
    let stage = run.path("stage");
    let bin = stage.join("usr/local/bin");
    for folder in [&stage.join("vm"), &bin] {
        std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    }
    let mut members = vec!["vm/settings".to_owned(), "vm/command".to_owned()];
    for program in load.programs {
        let name = program.file_name().context("a program has a name")?;
        std::fs::copy(program, bin.join(name)).with_context(|| format!("copy {}", program.display()))?;
        members.push(format!("usr/local/bin/{}", name.to_string_lossy()));
    }
    write_program(&stage.join("vm/settings"), &settings(load)?)?;
    write_program(&stage.join("vm/command"), &script(load))?;
    let mut tar = Command::new("tar");
    // The size of the disk must stay what it was when the machine was saved, and the end of the archive is zeros: so
    // into the file as it is, not over it.
    tar.args(["--create", "--format=gnu", "--owner=0", "--group=0", "--sparse", "--directory"]);
    tar.arg(&stage).args(members);
    if let Some(share) = load.share {
        let share = share.canonicalize().with_context(|| format!("find {}", share.display()))?;
        // S: what links say stays as it is.
        tar.arg("--transform=s,^\\.,share,S").arg("--directory").arg(share).arg(".");
    }
    let disk = File::options().write(true).open(run.path("input")).context("open the input disk")?;
    project::run(tar.stdout(disk)).context("fill the input disk")?;
    std::fs::remove_dir_all(&stage).with_context(|| format!("remove {}", stage.display()))
}

/// Unpacks what the agent has written; nothing when /out was empty.
pub(super) fn receive(run: &Run, out: &Path) -> Result<()> {
    std::fs::create_dir_all(out).with_context(|| format!("create {}", out.display()))?;
    let disk = File::open(run.path("output")).context("open the output disk")?;
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--no-same-owner", "--no-overwrite-dir", "--directory"]).arg(out).stdin(disk);
    project::run(&mut tar).context("read the output disk")
}

fn settings(load: &Load<'_>) -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("read the clock")?.as_secs();
    let (name, size) = match &load.terminal {
        Some(terminal) => {
            (terminal.name.as_str(), format!("rows {} columns {}", terminal.rows, terminal.columns))
        }
        None => ("dumb", String::new()),
    };
    Ok(format!(
        "user={}\nnow={now}\nTERM={}\nterminal='{size}'\n",
        project::quote(load.user),
        project::quote(name)
    ))
}

/// A cgroup with a quota, as long as the machine runs, where there are several processors and so systemd. With the first quota and after the last one the kernel patches its
/// scheduler's code (the static key of CFS bandwidth), and in QEMU's emulation the other processor may run into an
/// instruction that is half written: "Fatal exception" in `enqueue_task_fair`.
const HOLD_QUOTA: &str = "\
own=/sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup)
if [ -e \"$own/cgroup.procs\" ]; then
    echo +cpu > \"${own%/*}/cgroup.subtree_control\" && mkdir \"${own%/*}/quota\" && echo 100000 > \"${own%/*}/quota/cpu.max\"
fi
";

/// The command as a script. Its output goes through a pipe of its own: it must not take the machine's console for a
/// terminal that somebody watches.
fn script(load: &Load<'_>) -> String {
    if load.terminal.is_some() {
        return "#!/bin/bash\nexec bash --login\n".to_owned();
    }
    let words: Vec<_> = load.command.iter().map(|word| project::quote(word)).collect();
    format!("#!/bin/bash\n{HOLD_QUOTA}set -o pipefail\n{} < /dev/null 2>&1 | cat\n", words.join(" "))
}

fn write_program(file: &Path, content: &str) -> Result<()> {
    std::fs::write(file, content)
        .and_then(|()| std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)))
        .with_context(|| format!("write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_reaches_the_machine_word_by_word() {
        let command = ["echo", "it's", "a b"].map(str::to_owned);
        let load = Load { programs: &[], share: None, user: "root", command: &command, terminal: None };
        let script = script(&load);
        assert!(script.starts_with("#!/bin/bash\n"));
        assert!(
            script.ends_with("\nset -o pipefail\n'echo' 'it'\\''s' 'a b' < /dev/null 2>&1 | cat\n"),
            "{script}"
        );
    }
}
