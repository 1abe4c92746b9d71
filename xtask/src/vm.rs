//! `cargo xtask vm`: a Debian machine with systemd and every controller of cgroup v2, in QEMU without KVM and without
//! a network, that runs one command and is thrown away. `--bare` starts the same disk anew, in another way: SELinux, and
//! hierarchies of cgroup v1.
//!
//! ```text
//! store     KEY = hash of what follows ─▶ is it there?
//! image     mmdebstrap, files, mke2fs ─▶ root.img, kernel, initrd
//! snapshot  first start, until the agent says READY ─▶ memory
//! vm        files in by a disk ─▶ continue ─▶ STATUS n ─▶ files out by a disk
//! ```

mod image;
mod machine;
mod snapshot;
mod store;
mod transfer;

use crate::build;
use crate::setup::{self, Consent};
use anyhow::{Result, bail};
use machine::{Purpose, Qemu, Run};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

/// The exit codes of timeout(1) and of engines for a failure of their own.
const TIMED_OUT: u8 = 124;
const DIED: u8 = 125;

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// Run the command as this user, in a delegated service of the user's own systemd; `tester` is an ordinary one
    #[arg(long, value_name = "USER", default_value = "root", value_parser = ["root", image::USER])]
    user: String,
    /// Start a machine without systemd, which has SELinux in force, and net_cls and net_prio of cgroup v1
    #[arg(long, conflicts_with = "user")]
    bare: bool,
    /// End the machine after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    timeout: u64,
    /// Copy this directory into the machine as /share, the working directory of the command
    #[arg(long, value_name = "DIR")]
    share: Option<PathBuf>,
    /// Copy what the command leaves in the machine's /out into this directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Install missing packages without asking
    #[arg(long)]
    yes: bool,
    /// The command; a shell when there is none, on a terminal
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
}

const HELP: &str = "\
In the machine, masu, masu-tools, masu-trace and masu-tests are in /usr/local/bin, and Debian's runc and crun beside them. The command is one of a
delegated service, so it may make cgroups below its own. Its standard output and error come back together.

Exit codes: the command's own; 124 when the time was up; 125 when the machine died.

The machine is kept in /var/cache/masu-xtask and made anew when its packages or files change, which takes a minute.

Examples:
  cargo xtask vm
  cargo xtask vm -- systemd-cgls
  cargo xtask vm --user tester -- masu-tests --runtime /usr/local/bin/masu lifecycle";

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let has_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if arguments.command.is_empty() && !has_terminal {
        bail!("no command, and no terminal for a shell\nhint: cargo xtask vm -- CMD");
    }
    if arguments.command.is_empty() && arguments.bare {
        bail!("the bare machine has no shell\nhint: cargo xtask vm --bare -- CMD");
    }
    setup::debian_packages(&[setup::Need::Vm], Consent::new(arguments.yes))?;
    let masu = build::build()?;
    let [tools, tracing] = build::companions(&masu);
    let programs = [tools, tracing, masu, build::tests()?];
    let machine = store::prepare()?;
    let run = Run::create()?;
    let terminal = arguments.command.is_empty().then(transfer::Terminal::read).transpose()?;
    transfer::send(
        &run,
        &transfer::Load {
            programs: &programs,
            share: arguments.share.as_deref(),
            user: &arguments.user,
            command: &arguments.command,
            terminal,
        },
    )?;
    let purpose = if arguments.bare { Purpose::Bare } else { Purpose::Continue };
    let mut command = run.qemu(&machine.folder, purpose);
    if !arguments.command.is_empty() {
        command.stdin(Stdio::null());
    }
    let mut qemu = Qemu::start(&mut command)?;
    let ended = qemu.wait_until(Instant::now() + Duration::from_secs(arguments.timeout))?;
    drop(qemu);
    if let Some(out) = &arguments.out {
        transfer::receive(&run, out)?;
    }
    let status = run.status("STATUS").and_then(|word| word.parse().ok());
    Ok(ExitCode::from(match (status, ended) {
        (Some(status), _) => status,
        (None, None) => {
            eprintln!(
                "xtask: the machine ran past {} s; its console:{}",
                arguments.timeout,
                run.console_tail()
            );
            TIMED_OUT
        }
        (None, Some(status)) => {
            eprintln!("xtask: the machine died (QEMU: {status}); its console:{}", run.console_tail());
            DIED
        }
    }))
}
