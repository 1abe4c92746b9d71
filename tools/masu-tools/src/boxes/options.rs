//! The options of `masu box`: podman's names, and what they change in the image's own configuration.

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use masu_app::{Failure, Result};
use masu_image::manifest::RunConfig;
use std::io::IsTerminal;

use super::values;
use crate::Session;
use crate::image::{arguments, pull};

/// What the output of a box in the background may take before its beginning is thrown away, twice.
const LOG_SIZE: u64 = 16 << 20;

/// The options.
pub(crate) fn command() -> Command {
    let words = Arg::new("words").value_name("IMAGE|CMD").num_args(1..).trailing_var_arg(true);
    Command::new("box")
        .override_usage("masu box [OPTIONS] IMAGE [CMD [ARG…]]\n  masu box [OPTIONS] [-- CMD [ARG…]]")
        .about("Run a program of an image in a container of its own")
        .before_help(
            "The image is fetched where it is missing. The container and all that it has written are removed when its \
             program ends, and the exit code is the program's; 125 when masu failed, 126 when the program cannot be \
             executed, 127 when it is not there. With -d it runs in the background, and only starting it can fail.",
        )
        .after_help("Example:\n  A shell, with this directory in it\n    masu box -it -v .:/src -w /src debian:12 bash")
        .args(process_options())
        .args(root_options())
        .args(limit_options())
        .args(isolation_options())
        .args(pull::options("missing"))
        .arg(arguments::store_option())
        .arg(arguments::quiet_option().help("Say nothing about what is fetched"))
        .arg(words.allow_hyphen_values(true).help(
            "The image (a name, or oci:DIR, oci-archive:FILE, docker-archive:FILE, dir:DIR, rootfs:DIR|TAR), and what to \
             run in it instead of its own command; without an image, or with host, this machine's own root: read-only, \
             with what is written in memory",
        ))
}

fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

fn value(name: &'static str, value_name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value_name).help(help)
}

fn values(name: &'static str, value_name: &'static str, help: &'static str) -> Arg {
    value(name, value_name, help).action(ArgAction::Append)
}

fn process_options() -> Vec<Arg> {
    vec![
        switch("detach", "Print the name and leave it running; see masu logs and masu wait").short('d'),
        value(
            "log-opt",
            "max-size=SIZE",
            "With -d: begin the output's file anew at so many bytes (default: 16m)",
        )
        .requires("detach"),
        switch("interactive", "Pass standard input on").short('i'),
        switch("tty", "Give the program a terminal, and pass on what is typed").short('t'),
        value("name", "NAME", "Name of the container (default: twelve random digits)"),
        switch("keep", "Keep the container and its bundle when the program has ended"),
        switch("rm", "Remove them, which is done without this too").conflicts_with("keep"),
        values("env", "NAME[=VALUE]", "Set a variable; without a value, to what it is here").short('e'),
        values("env-file", "FILE", "Set the variables of a file's lines"),
        value("workdir", "DIR", "Working directory").short('w'),
        value("user", "USER[:GROUP]", "Who runs the program, by the image's passwd and group").short('u'),
        value("entrypoint", "PROGRAM", "Instead of the image's entry point: a word, or a JSON array"),
        switch("init", "Run a small init as process 1, which reaps what is left behind"),
    ]
}

fn root_options() -> Vec<Arg> {
    vec![
        values("volume", "SOURCE:TARGET[:OPTIONS]", "Mount a file or directory of this machine").short('v'),
        values("mount", "type=TYPE,…", "Mount, TYPE being bind, tmpfs or image"),
        values("device", "SOURCE[:TARGET][:rwm]", "Let a device of this machine be used"),
        switch("read-only", "Make the root read-only"),
    ]
}

fn limit_options() -> Vec<Arg> {
    vec![
        value("memory", "SIZE", "At most so much memory, as in 512m").short('m'),
        value("cpus", "NUMBER", "At most the time of so many processors, as in 1.5"),
        value("cpuset-cpus", "LIST", "Only these processors, as in 0-2,4"),
        value("pids-limit", "NUMBER", "At most so many processes and threads; 0 or -1 for any number")
            .value_parser(value_parser!(i64).range(-1..))
            .allow_negative_numbers(true),
        values("ulimit", "NAME=SOFT[:HARD]", "A limit of setrlimit(2), as in nofile=1024"),
    ]
}

fn isolation_options() -> Vec<Arg> {
    vec![
        value("hostname", "NAME", "Name of the machine inside (default: the container's)"),
        value("net", "NETWORK", "none: lo alone; host: this machine's; a network of CNI, for root; pasta or slirp4netns, for users")
            .visible_alias("network")
            .default_value("none"),
        values("publish", "[HOSTIP:]HOSTPORT:PORT[/udp]", "Pass on what arrives at a port of this machine")
            .short('p'),
        value("userns", "MODE", "host: this machine's ids, or the caller's for root; auto: a range of its own, for root; keep-id: the caller's at their own numbers, for users"),
        value("ns", "LIST", "Make only these namespaces, of pid, ipc, uts and cgroup, beside mount"),
        values("cap-add", "CAPABILITY", "Give a capability, or ALL"),
        values("cap-drop", "CAPABILITY", "Take a capability, or ALL"),
        values("security-opt", "WORD", "seccomp=FILE, seccomp=unconfined, no-new-privileges=false, or unmask=ALL for containers inside"),
        values("sysctl", "NAME=VALUE", "A kernel parameter of the container's own namespaces"),
    ]
}

/// What stands behind the options.
pub(super) struct Words<'a> {
    /// The image of the box; `None` for one on this machine's own root.
    pub(super) image: Option<&'a str>,
    /// What to run in it; empty for the image's own command.
    command: Vec<&'a str>,
}

impl<'a> Words<'a> {
    pub(super) fn read(session: &Session<'_>, matches: &'a ArgMatches) -> Self {
        let mut words = all(matches, "words").collect::<Vec<_>>();
        // clap does not tell of a `--` before them, behind which there is no image.
        let before = session.given.iter().rev().nth(words.len());
        if words.is_empty() || before.is_some_and(|before| before == "--") {
            return Self { image: None, command: words };
        }
        let image = Some(words.remove(0)).filter(|image| *image != "host");
        Self { image, command: words }
    }
}

/// What is wrong whatever the image is: before anything is fetched.
pub(super) fn check(words: &Words<'_>, matches: &ArgMatches) -> Result<()> {
    // Everything behind the image is the program's, so that clap takes an unknown option before it for the image.
    if let Some(option) = words.image.filter(|image| image.starts_with('-')) {
        let message = format!("incorrect usage: unexpected argument '{option}' found");
        return Err(Failure::with_hint(message, "masu box --help"));
    }
    log_size(matches)?;
    // The image says nothing that these depend on.
    over_image(words, matches, &mut RunConfig::default())?;
    if matches.get_flag("keep") && words.image.is_none() {
        let message =
            "--keep: what is written on this machine's own root is in memory, and goes with the box";
        return Err(Failure::with_hint(message, "-v DIR:DIR for what shall stay"));
    }
    if matches.get_flag("tty")
        && !matches.get_flag("detach")
        && !(std::io::stdin().is_terminal() && std::io::stdout().is_terminal())
    {
        return Err(Failure::with_hint(
            "--tty: standard input and output are no terminal",
            "masu box without -t",
        ));
    }
    Ok(())
}

/// The bytes that the file of the output of a box in the background may have.
///
/// # Errors
///
/// For what is no such size.
pub(super) fn log_size(matches: &ArgMatches) -> Result<u64> {
    let Some(text) = one(matches, "log-opt") else { return Ok(LOG_SIZE) };
    let wrong = |problem: &dyn std::fmt::Display| Failure::new(format!("--log-opt {text}: {problem}"));
    let size = text.strip_prefix("max-size=").ok_or_else(|| wrong(&"it is not max-size=SIZE"))?;
    let bytes = masu_spec::parse_size(size).map_err(|error| wrong(&error))?;
    u64::try_from(bytes).ok().filter(|bytes| *bytes > 0).ok_or_else(|| wrong(&"it is no number of bytes"))
}

/// All values of an option that may be repeated.
pub(super) fn all<'a>(matches: &'a ArgMatches, name: &str) -> impl Iterator<Item = &'a str> {
    matches.get_many::<String>(name).into_iter().flatten().map(String::as_str)
}

/// The one value of an option.
pub(super) fn one<'a>(matches: &'a ArgMatches, name: &str) -> Option<&'a str> {
    matches.get_one::<String>(name).map(String::as_str)
}

/// Puts the options over what the image says of its process.
pub(super) fn over_image(words: &Words<'_>, matches: &ArgMatches, run: &mut RunConfig) -> Result<()> {
    if let Some(text) = one(matches, "entrypoint") {
        run.entrypoint = Some(values::entrypoint(text)?);
        // The image's command belongs to the image's entry point.
        run.cmd = None;
    }
    if !words.command.is_empty() {
        run.cmd = Some(words.command.iter().map(ToString::to_string).collect());
    }
    if let Some(user) = one(matches, "user") {
        run.user = Some(user.to_owned());
    }
    if let Some(directory) = one(matches, "workdir") {
        if !directory.starts_with('/') {
            return Err(Failure::new(format!("--workdir {directory}: it has to begin with a slash")));
        }
        run.working_dir = Some(directory.to_owned());
    }
    let env = run.env.get_or_insert_default();
    for file in all(matches, "env-file") {
        let text = std::fs::read_to_string(file)
            .map_err(|error| Failure::new(format!("--env-file {file}: {error}")))?;
        values::env_lines(&text).for_each(|line| set_variable(env, line));
    }
    all(matches, "env").for_each(|line| set_variable(env, line));
    Ok(())
}

/// `NAME=VALUE`, or a name whose value is this process's; one that has none here is not set.
fn set_variable(env: &mut Vec<String>, given: &str) {
    let line = match given.split_once('=') {
        Some(_) => given.to_owned(),
        None => match std::env::var(given) {
            Ok(value) => format!("{given}={value}"),
            Err(_) => return,
        },
    };
    let name = line.split('=').next().unwrap_or_default().to_owned() + "=";
    env.retain(|known| !known.starts_with(&name));
    env.push(line);
}
