//! `ps`.

use alloc::{
    ffi::CString,
    format,
    string::{String, ToString},
    vec::Vec,
};

use masu_cli::{FORMAT, Parsed};
use masu_sys::{
    errno::Described,
    exec::{PointerBlock, execve},
    process::{CloneArgs, Forked, exit_group, fork},
};
use rustix::{
    fd::{AsFd, BorrowedFd},
    io::Errno,
    pipe::{PipeFlags, pipe_with},
    process::{Pid, WaitOptions, WaitStatus, waitpid},
};

use super::id;
use masu_runtime::files;

use crate::{
    failure::{Failure, Result},
    output,
    session::{Environment, Session},
};

/// Where ps(1) is looked for without PATH.
const DEFAULT_PATH: &str = "/usr/bin:/bin";
/// What a shell says of a program that is not there; the child uses it for the same.
const NOT_FOUND: i32 = 127;

/// Lists the processes of a container.
pub(super) fn ps(session: &Session<'_>, parsed: &Parsed<'_>) -> Result<i32> {
    let container = session.store.load(id(parsed))?;
    let pids = container.processes()?;
    if parsed.options.value(&FORMAT) == Some("json") {
        output::print(&json(&pids)?)?;
        return Ok(0);
    }
    let mut arguments: Vec<_> = parsed.positionals().skip(1).collect();
    if arguments.is_empty() {
        arguments.push("-ef");
    }
    let listing = run_ps(&arguments, session.env)?;
    output::print(&filter(&listing, &pids)?)?;
    Ok(0)
}

/// One line of JSON; without a process it is `null`, as in `list`.
fn json(pids: &[i32]) -> Result<String> {
    let text = if pids.is_empty() { "null".into() } else { output::json(serde_json::to_string(pids))? };
    Ok(text + "\n")
}

/// The head and the lines of these processes.
fn filter(listing: &str, pids: &[i32]) -> Result<String> {
    let mut lines = listing.lines();
    let head = lines.next().unwrap_or_default();
    let Some(column) = head.split_whitespace().position(|word| word == "PID") else {
        return Err(Failure::with_hint(
            "ps: its output has no column PID",
            "options for ps after the ID must let it print the column PID",
        ));
    };
    let mut text = format!("{head}\n");
    for line in lines.filter(|line| !line.trim().is_empty()) {
        let word = line.split_whitespace().nth(column).unwrap_or_default();
        let pid: i32 =
            word.parse().map_err(|_| Failure::new(format!("ps: {word:?} in column PID is not a number")))?;
        if pids.contains(&pid) {
            text.push_str(line);
            text.push('\n');
        }
    }
    Ok(text)
}

/// Runs ps(1) and returns what it prints.
fn run_ps(arguments: &[&str], env: Environment<'_>) -> Result<String> {
    let failed = |call: &'static str| move |errno| Failure::new(format!("ps: {call}: {}", Described(errno)));
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(failed("pipe2"))?;
    let programs = programs(env.variable("PATH"));
    let pid = match fork(&CloneArgs::default()).map_err(failed("clone3"))? {
        Forked::Child => {
            let status = become_ps(&programs, arguments, env, writer.as_fd()).map_or(1, |()| NOT_FOUND);
            exit_group(status);
        }
        Forked::Parent { pid, .. } => pid,
    };
    drop(writer);
    let printed = files::read_all(&reader);
    // Before its end is waited for: a ps that printed more than is read would wait for us.
    drop(reader);
    let status = wait_for(pid).map_err(failed("wait4"))?;
    check_status(status)?;
    let printed = printed.map_err(failed("read"))?;
    Ok(String::from_utf8_lossy(&printed).into_owned())
}

/// In the child: becomes the first ps that is there.
///
/// # Errors
/// Its standard output cannot be set, or memory ran out. `Ok`: there is none.
fn become_ps(
    programs: &[CString],
    arguments: &[&str],
    env: Environment<'_>,
    writer: BorrowedFd<'_>,
) -> rustix::io::Result<()> {
    rustix::stdio::dup2_stdout(writer)?;
    let arguments: Vec<_> = arguments.iter().filter_map(|argument| CString::new(*argument).ok()).collect();
    let mut argv = PointerBlock::with_capacity(arguments.len() + 1)?;
    argv.push(c"ps")?;
    arguments.iter().try_for_each(|argument| argv.push(argument))?;
    let mut envp = PointerBlock::with_capacity(env.0.len())?;
    env.0.iter().try_for_each(|entry| envp.push(entry))?;
    for program in programs {
        // Whatever is wrong with this one, the next may serve: execvp(3) goes on likewise.
        let _errno = execve(program, &argv, &envp);
    }
    Ok(())
}

/// The files that may be ps. Not in the working directory, where a relative element of PATH would look.
fn programs(path: Option<&str>) -> Vec<CString> {
    let directories = path.unwrap_or(DEFAULT_PATH).split(':').filter(|directory| directory.starts_with('/'));
    directories.filter_map(|directory| CString::new(format!("{directory}/ps")).ok()).collect()
}

fn wait_for(pid: Pid) -> rustix::io::Result<WaitStatus> {
    loop {
        match waitpid(Some(pid), WaitOptions::empty()) {
            Ok(Some((_, status))) => return Ok(status),
            Ok(None) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

fn check_status(status: WaitStatus) -> Result<()> {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(0), _) => Ok(()),
        (Some(NOT_FOUND), _) => Err(Failure::with_hint(
            "ps: executable file not found in $PATH",
            "install ps (package procps), or use --format json",
        )),
        (code, signal) => {
            let how = code.map(|code| format!("exit status {code}"));
            let how = how.or_else(|| signal.map(|signal| format!("signal {signal}")));
            Err(Failure::new(format!("ps: {}", how.unwrap_or_else(|| "ended".to_string()))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = "\
UID          PID    PPID  C STIME TTY          TIME CMD
root           1       0  0 08:00 ?        00:00:01 init
root          42       1  0 08:00 ?        00:00:00 sh -c 1 7
ann            7      42  0 08:00 ?        00:00:00 sleep 42
";

    #[test]
    fn lines_are_kept_by_the_column_of_the_pid() {
        for (pids, kept) in [(&[42, 7][..], &[0, 2, 3][..]), (&[1], &[0, 1]), (&[], &[0]), (&[9], &[0])] {
            let lines: Vec<_> = LISTING.lines().collect();
            let expected: String = kept.iter().map(|index: &usize| format!("{}\n", lines[*index])).collect();
            assert_eq!(filter(LISTING, pids), Ok(expected), "{pids:?}");
        }
        assert_eq!(
            filter("  PID COMMAND\n    7 a b\n\n   70 c\n", &[7]).unwrap(),
            "  PID COMMAND\n    7 a b\n"
        );
    }

    #[test]
    fn a_listing_that_cannot_be_filtered_is_an_error() {
        for (listing, message) in [
            ("", "ps: its output has no column PID"),
            ("USER COMMAND\nroot init\n", "ps: its output has no column PID"),
            ("USER PID\nroot x\n", "ps: \"x\" in column PID is not a number"),
            ("USER PID\nroot\n", "ps: \"\" in column PID is not a number"),
        ] {
            assert_eq!(filter(listing, &[1]).unwrap_err().message, message);
        }
    }

    #[test]
    fn json_is_a_list_of_numbers() {
        for (pids, text) in [(&[3, 40][..], "[3,40]\n"), (&[], "null\n")] {
            assert_eq!(json(pids).unwrap(), text);
        }
    }

    #[test]
    fn relative_directories_of_the_path_are_left_out() {
        assert_eq!(programs(Some("/a::.:b:/c/d")), [c"/a/ps".into(), c"/c/d/ps".into()] as [CString; 2]);
        assert_eq!(programs(None), [c"/usr/bin/ps".into(), c"/bin/ps".into()] as [CString; 2]);
    }
}
