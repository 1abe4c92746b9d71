//! `exec`.

use alloc::{format, string::String, vec::Vec};

use masu_cgroup::{SubCgroup, parse_sub_cgroups};
use masu_cli::{
    ADDITIONAL_GIDS, APPARMOR, CAP, CGROUP, CWD, DETACH, ENV, IGNORE_PAUSED, Matches, NO_NEW_PRIVS, PID_FILE,
    PIDFD_SOCKET, PROCESS, PROCESS_LABEL, Parsed, TTY, USER,
};
use masu_runtime::{ExecOptions, Reaping, Work};
use masu_spec::{Capabilities, Linux, Process, capability_number, parse_config, parse_process};

use super::{
    create::{console, preserve_fds},
    id,
};
use masu_runtime::files;

use crate::{
    failure::{Failure, Result, in_file},
    session::Session,
};

/// Runs one more process in a container.
pub(super) fn exec(session: &Session<'_>, parsed: &Parsed<'_>) -> Result<i32> {
    let options = &parsed.options;
    let container = session.measure(Work::LoadContainer, || session.store.load(id(parsed)))?;
    let config = session.measure(Work::ReadConfig, || container.read_config())?;
    let config = session
        .measure(Work::ParseConfig, || parse_config(&config))
        .map_err(|error| in_file("config.json of the container", &error))?;
    let Linux { personality, memory_policy, seccomp, .. } = config.linux;
    let own = config.process;
    let file = options.value(&PROCESS);
    let bytes = file.map(read_process).transpose()?;
    let (process, warnings) = match (&bytes, file) {
        (Some(bytes), Some(file)) => (from_file(file, bytes, own)?, beside_file(parsed)),
        _ => from_options(parsed, own)?,
    };
    let doubts = process.warnings.iter().map(|warning| format!("{warning}"));
    for warning in doubts.chain(warnings) {
        session.log.warning(&warning);
    }
    let sub_cgroups: Vec<SubCgroup> = parse_sub_cgroups(options.values(&CGROUP))?;
    masu_runtime::block_signals()?;
    let exec_options = ExecOptions {
        process,
        console: console(options, options.flag(&DETACH)),
        personality,
        memory_policy,
        seccomp,
        sub_cgroups: &sub_cgroups,
        pid_file: options.value(&PID_FILE),
        ignore_paused: options.flag(&IGNORE_PAUSED),
        preserve_fds: preserve_fds(options)?,
        pidfd_socket: options.value(&PIDFD_SOCKET),
        environment: session.env.0,
        trace: &session.trace,
    };
    let mut started = match masu_runtime::exec(&container, &exec_options, session.init_image) {
        // As for a program that does not care about the signal.
        Err(error @ masu_runtime::Error::Interrupted { signal }) => {
            session.log.error(&error.into());
            return Ok(128 + signal);
        }
        outcome => outcome?,
    };
    for warning in &started.warnings {
        session.log.warning(warning);
    }
    if options.flag(&DETACH) {
        return Ok(0);
    }
    // Processes that lose their parent have the container's init for it.
    Ok(session.measure(Work::Wait, || masu_runtime::wait(&mut started, Reaping::Child, &|_| {}))?)
}

/// A command beside `--process` is not run; runc says nothing of it.
fn beside_file(parsed: &Parsed<'_>) -> Vec<String> {
    let ignored =
        parsed.positional(1).map(|command| format!("--process: the command {command:?} is ignored"));
    ignored.into_iter().collect()
}

fn read_process(file: &str) -> Result<Vec<u8>> {
    files::read(file).map_err(|errno| Failure::of_file("read --process", file, errno))
}

/// The process of `--process`. What it leaves open is the container's, as in runc.
fn from_file<'a>(file: &str, bytes: &'a [u8], own: Process<'a>) -> Result<Process<'a>> {
    let mut process = parse_process(bytes).map_err(|error| in_file(file, &error))?;
    process.capabilities = process.capabilities.or(own.capabilities);
    process.oom_score_adj = process.oom_score_adj.or(own.oom_score_adj);
    process.scheduler = process.scheduler.or(own.scheduler);
    process.io_priority = process.io_priority.or(own.io_priority);
    process.exec_cpu_affinity = process.exec_cpu_affinity.or(own.exec_cpu_affinity);
    process.apparmor_profile = process.apparmor_profile.or(own.apparmor_profile);
    process.selinux_label = process.selinux_label.or(own.selinux_label);
    if process.rlimits.is_empty() {
        process.rlimits = own.rlimits;
    }
    Ok(process)
}

/// The container's own process with what the options and arguments change, and what was accepted with a doubt.
fn from_options<'a>(parsed: &Parsed<'a>, mut process: Process<'a>) -> Result<(Process<'a>, Vec<String>)> {
    let options = &parsed.options;
    process.warnings = Vec::new(); // create told them
    // The container's own size, where it has a terminal too, is a good guess.
    process.terminal = options.flag(&TTY).then(|| process.terminal.unwrap_or_default());
    process.args = parsed.positionals().skip(1).map(Into::into).collect();
    if process.args.is_empty() {
        return Err(Failure::with_hint(
            "process args cannot be empty",
            "name a program after the ID, or a file with --process",
        ));
    }
    if let Some(cwd) = options.value(&CWD) {
        if !cwd.starts_with('/') {
            return Err(Failure::new(format!("--cwd: {cwd:?} is not an absolute path")));
        }
        process.cwd = cwd.into();
    }
    for variable in options.values(&ENV) {
        match variable.find('=') {
            None => return Err(Failure::new(format!("--env: {variable:?} is not NAME=VALUE"))),
            Some(0) => return Err(Failure::new(format!("--env: {variable:?} has no name"))),
            Some(_) => process.env.push(variable.into()),
        }
    }
    if let Some(user) = options.value(&USER) {
        let (uid, gid) = parse_user(user)?;
        process.user.uid = uid;
        process.user.gid = gid.unwrap_or(process.user.gid);
    }
    process.user.additional_gids.extend(additional_gids(options)?);
    if let Some(forbidden) = options.switch(&NO_NEW_PRIVS) {
        process.no_new_privileges = forbidden;
    }
    if let Some(profile) = options.value(&APPARMOR) {
        process.apparmor_profile = Some(profile.into());
    }
    if let Some(label) = options.value(&PROCESS_LABEL) {
        process.selinux_label = Some(label.into());
    }
    let mut warnings = Vec::new();
    for name in options.values(&CAP) {
        match capability_number(name) {
            Some(number) => add_capability(process.capabilities.get_or_insert_default(), number),
            None => warnings.push(format!("--cap: unknown capability {name:?} is ignored")),
        }
    }
    Ok((process, warnings))
}

/// `UID[:GID]`: decimal digits alone. crun took `1` for root (CVE-2026-30892); what is read in two ways by
/// different programs, such as a sign or a leading zero, is refused.
fn parse_user(text: &str) -> Result<(u32, Option<u32>)> {
    let wrong = || {
        Failure::with_hint(
            format!("--user: {text:?} is not UID[:GID]"),
            "both are decimal numbers from 0 to 4294967294, without a sign",
        )
    };
    let (uid, gid) = match text.split_once(':') {
        Some((uid, gid)) => (uid, Some(parse_id(gid).ok_or_else(wrong)?)),
        None => (text, None),
    };
    Ok((parse_id(uid).ok_or_else(wrong)?, gid))
}

/// 4294967295 is -1, which setresuid(2) takes for "leave as it is": the process would stay root.
fn parse_id(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().filter(|id| *id != u32::MAX)
}

fn additional_gids(options: &Matches<'_>) -> Result<Vec<u32>> {
    let check = |gid: i64| {
        let gid = u32::try_from(gid).ok().filter(|gid| *gid != u32::MAX);
        gid.ok_or_else(|| Failure::new("--additional-gids: 4294967295 is not a group"))
    };
    options.numbers(&ADDITIONAL_GIDS).map(check).collect()
}

/// Bounding, effective and permitted; ambient where it is inheritable, without which the kernel does not take it
/// (capabilities(7)). Never inheritable: CVE-2022-29162.
fn add_capability(sets: &mut Capabilities, number: u8) {
    let bit = 1u64 << number;
    sets.bounding |= bit;
    sets.effective |= bit;
    sets.permitted |= bit;
    sets.ambient |= bit & sets.inheritable;
}

#[cfg(test)]
mod tests {
    use core::ffi::CStr;

    use masu_cli::Request;

    use super::*;

    const OWN: &[u8] = br#"{"args": ["sh"], "cwd": "/w", "env": ["A=1"], "user": {"uid": 1, "gid": 2,
        "additionalGids": [3]}, "noNewPrivileges": true, "oomScoreAdj": 7,
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 5, "hard": 6}],
        "capabilities": {"bounding": ["CAP_KILL"]}}"#;

    fn exec_options(args: &[&CStr], check: impl Fn(Result<(Process<'_>, Vec<String>)>)) {
        let args: Vec<_> = [c"exec"].into_iter().chain(args.iter().copied()).collect();
        let line = masu_cli::parse(&args).unwrap();
        let Ok(Request::Command(parsed)) = line.request() else { panic!("not a command") };
        check(from_options(&parsed, parse_process(OWN).unwrap()));
    }

    #[test]
    fn a_user_is_decimal_digits_alone() {
        let table = [
            ("0", Some((0, None))),
            ("1", Some((1, None))),
            ("1:2", Some((1, Some(2)))),
            ("1000:0", Some((1000, Some(0)))),
            ("4294967294:4294967294", Some((4_294_967_294, Some(4_294_967_294)))),
            ("4294967295", None),
            ("4294967296", None),
            ("1:4294967295", None),
            ("", None),
            (":", None),
            ("1:", None),
            (":1", None),
            ("1:2:3", None),
            ("+1", None),
            ("-1", None),
            // Decimal with zeros in front, as runc takes it; never octal.
            ("010:02", Some((10, Some(2)))),
            ("1x", None),
            ("0x1", None),
            (" 1", None),
            ("1 ", None),
            ("\u{661}", None),
            ("root", None),
        ];
        for (text, user) in table {
            match (parse_user(text), user) {
                (Ok(parsed), Some(user)) => assert_eq!(parsed, user, "{text}"),
                (Err(failure), None) => {
                    assert_eq!(failure.message, format!("--user: {text:?} is not UID[:GID]"));
                }
                (outcome, _) => panic!("{text}: {outcome:?}"),
            }
        }
    }

    #[test]
    fn without_options_only_the_arguments_change() {
        exec_options(&[c"id", c"ls", c"-l"], |outcome| {
            let own = parse_process(OWN).unwrap();
            let expected = Process { args: vec!["ls".into(), "-l".into()], ..own };
            assert_eq!(outcome, Ok((expected, Vec::new())));
        });
    }

    #[test]
    fn options_change_the_containers_process() {
        let args = [
            c"--cwd",
            c"/",
            c"-e",
            c"A=2",
            c"-e",
            c"B=x=y",
            c"-u",
            c"8",
            c"-g",
            c"9",
            c"--no-new-privs=false",
            c"--cap",
            c"CAP_CHOWN",
            c"--cap",
            c"CAP_ODD",
            c"id",
            c"ls",
        ];
        exec_options(&args, |outcome| {
            let (process, warnings) = outcome.unwrap();
            assert_eq!(process.cwd, "/");
            assert_eq!(process.env, ["A=1", "A=2", "B=x=y"]);
            assert_eq!((process.user.uid, process.user.gid), (8, 2));
            assert_eq!(process.user.additional_gids, [3, 9]);
            assert!(!process.no_new_privileges);
            let added =
                Capabilities { bounding: 0b10_0001, effective: 1, permitted: 1, inheritable: 0, ambient: 0 };
            assert_eq!(process.capabilities, Some(added));
            assert_eq!(warnings, ["--cap: unknown capability \"CAP_ODD\" is ignored"]);
        });
    }

    #[test]
    fn wrong_values_are_refused() {
        for (args, message) in [
            (&[c"id"][..], "process args cannot be empty"),
            (&[c"--cwd", c"tmp", c"id", c"ls"], "--cwd: \"tmp\" is not an absolute path"),
            (&[c"--env", c"A", c"id", c"ls"], "--env: \"A\" is not NAME=VALUE"),
            (&[c"--env", c"=A", c"id", c"ls"], "--env: \"=A\" has no name"),
            (&[c"-u", c"ann", c"id", c"ls"], "--user: \"ann\" is not UID[:GID]"),
            (&[c"-g", c"4294967295", c"id", c"ls"], "--additional-gids: 4294967295 is not a group"),
        ] {
            exec_options(args, |outcome| assert_eq!(outcome.unwrap_err().message, message));
        }
    }

    #[test]
    fn a_capability_is_ambient_only_where_it_is_inheritable() {
        for (inheritable, ambient) in [(0, 0), (2, 0), (1, 1), (3, 1)] {
            let mut sets = Capabilities { inheritable, ..Capabilities::default() };
            add_capability(&mut sets, 0);
            assert_eq!(sets, Capabilities { bounding: 1, effective: 1, permitted: 1, inheritable, ambient });
        }
    }

    #[test]
    fn a_process_file_takes_from_the_container_what_it_leaves_open() {
        let own = || parse_process(OWN).unwrap();
        let process = from_file("p", br#"{"args": ["ls"], "cwd": "/"}"#, own()).unwrap();
        assert_eq!(process.capabilities, own().capabilities);
        assert_eq!((process.rlimits, process.oom_score_adj), (own().rlimits, Some(7)));
        assert_eq!((process.user.uid, process.no_new_privileges, process.env.len()), (0, false, 0));
        let failure = from_file("p", b"{}", own()).unwrap_err();
        assert!(failure.message.starts_with("p: "), "{}", failure.message);
    }
}
