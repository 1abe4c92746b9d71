//! `cargo xtask demo`: inside a container in one command, without a network and without an image.
//!
//! The bundle's root is the `host` image: this machine's own root with a tmpfs above. It is mounted in a
//! private namespace, and so is the bundle; nothing of it outlives the process. On a terminal the process
//! becomes the engine. Otherwise it stays, to show afterwards that the host has not noticed.

use crate::{build, bundle, project};
use anyhow::{Context, Result, bail};
use masu_image::host_root::{self, HostRoot};
use std::convert::Infallible;
use std::io::IsTerminal;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const TOUR: &str = include_str!("demo/tour.sh");
const WELCOME: &str = include_str!("demo/welcome.txt");
/// What the tour writes inside, and must not be found outside.
const WRITTEN: &str = "/written-inside";

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The command to run inside; a shell on a terminal and a tour otherwise
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct InsideArguments {
    /// The runtime
    #[arg(long)]
    runtime: PathBuf,
    /// What runs inside
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let masu = build::build()?;
    let interactive = is_interactive();
    let mut command = Command::new(std::env::current_exe().context("find xtask's own file")?);
    inside(&mut command, &masu);
    if arguments.command.is_empty() && !interactive {
        return tour(&mut command);
    }
    if arguments.command.is_empty() {
        println!("{WELCOME}");
    }
    command.args(command_inside(&arguments.command, interactive));
    Err(command.exec()).with_context(|| format!("start {}", project::words(&command)))
}

/// Whether a person sits there: the process inside then gets a terminal of its own.
fn is_interactive() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Adds to a command, which starts xtask, what makes it run the rest inside a container.
pub(crate) fn inside<'a>(xtask: &'a mut Command, runtime: &Path) -> &'a mut Command {
    xtask.args(["demo-inside", "--runtime"]).arg(runtime).arg("--")
}

/// The command as it runs inside: a shell where nothing else is asked for.
fn command_inside(command: &[String], interactive: bool) -> Vec<String> {
    let shell = if Path::new("/bin/bash").exists() { ["bash", "--norc"].as_slice() } else { &["sh"] };
    let shell = || shell.iter().map(|&word| word.to_owned()).collect();
    match command {
        [] => shell(),
        [bash] if bash == "bash" && interactive => shell(),
        command => command.to_vec(),
    }
}

/// Shows around inside, and then that the host has not noticed.
///
/// # Errors
///
/// When the container failed, or has left something behind.
pub(crate) fn tour(inside: &mut Command) -> Result<()> {
    let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let mounts = count_mounts()?;
    let status = inside.args(["sh", "-c", TOUR, "tour", WRITTEN]).status().context("start the container")?;
    if !status.success() {
        bail!("the container ended with {status}");
    }
    let mounts_now = count_mounts()?;
    println!("\n== And outside again");
    println!("The hostname is {hostname}; {mounts} mounts before, {mounts_now} now.");
    if Path::new(WRITTEN).exists() {
        bail!("{WRITTEN} is on the host: the container wrote through to it");
    }
    println!("{WRITTEN} does not exist here: it went with the container.");
    println!("\nTo look around yourself: cargo xtask demo -- bash");
    Ok(())
}

fn count_mounts() -> Result<usize> {
    let file = "/proc/self/mountinfo";
    Ok(std::fs::read_to_string(file).with_context(|| format!("read {file}"))?.lines().count())
}

/// Enters private namespaces, makes the root and the bundle there, and becomes the runtime.
pub(crate) fn run_inside(arguments: &InsideArguments) -> Result<Infallible> {
    // /tmp is covered in our namespace, and the runtime may lie in it.
    let runtime = std::fs::File::open(&arguments.runtime)
        .with_context(|| format!("open {}", arguments.runtime.display()))?;
    let is_root = rustix::process::geteuid().is_root();
    let scratch = Path::new("/tmp");
    let root = host_root::mount_private(scratch)?;
    for note in &root.notes {
        eprintln!("note: {note}");
    }
    let bundle = scratch.join("bundle");
    write_bundle(&bundle, &root, &arguments.command, is_root)?;
    let mut command = Command::new(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&runtime)));
    command.arg0(&arguments.runtime).current_dir("/");
    command.arg("--root").arg(scratch.join("state")).args(["run", "--bundle"]).arg(&bundle);
    command.arg(format!("masu-demo-{}", std::process::id()));
    Err(command.exec()).with_context(|| format!("start {}", arguments.runtime.display()))
}

fn write_bundle(bundle: &Path, root: &HostRoot, command: &[String], is_root: bool) -> Result<()> {
    let mut config = bundle::default_config(&root.path.to_string_lossy(), command);
    if let Some(root) = config.pointer_mut("/root/readonly") {
        *root = false.into();
    }
    if let Some(hostname) = config.pointer_mut("/hostname") {
        *hostname = "masu-demo".into();
    }
    if let Some(environment) = config.pointer_mut("/process/env").and_then(|env| env.as_array_mut()) {
        environment.push("HOME=/tmp".into());
        environment.push(r"PS1=\h:\w\$ ".into());
        if let Some(term) = std::env::var_os("TERM") {
            environment.push(format!("TERM={}", term.to_string_lossy()).into());
        }
    }
    if let Some(terminal) = config.pointer_mut("/process/terminal") {
        *terminal = is_interactive().into();
    }
    if !is_root {
        bundle::without_host_privileges(&mut config);
    }
    std::fs::create_dir(bundle).with_context(|| format!("create {}", bundle.display()))?;
    let file = bundle.join("config.json");
    std::fs::write(&file, serde_json::to_vec_pretty(&config)?)
        .with_context(|| format!("write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_terminal_a_command_runs_as_it_is() {
        let command = ["bash", "-c", "exit 3"].map(str::to_owned);
        assert_eq!(command_inside(&command, false), command);
        assert_eq!(command_inside(&command[..1], false), ["bash"]);
    }
}
