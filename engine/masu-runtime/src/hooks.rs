//! Hooks of the engine's own namespaces: `prestart` and `createRuntime` while a container is made, `poststart` when its
//! program runs, `poststop` when it is gone. Those of the container's namespaces are steps of its program.
//!
//! ```text
//!            create                                              start                    delete
//!   … mounts ─▶ prestart ─▶ createRuntime ─▶ createContainer ┄▶ startContainer ─▶ exec ─▶ poststart ┄▶ poststop
//!                    engine, at Assembled        init              init                    engine        engine
//! ```
//! The first one that fails ends its list, and the container with it; `poststop` alone goes on and leaves warnings. A
//! container that could not be made has its `poststop` hooks run too, behind everything that was removed.

use alloc::{ffi::CString, format, string::String, vec::Vec};
use core::ffi::CStr;

use masu_hook::{Ending, TAIL_SIZE, Tail};
use masu_program::Part;
use masu_spec::{HOOKS_STDERR, HOOKS_STDOUT, Hook, HookKind, Hooks, OCI_VERSION, Status};
use masu_sys::{
    errno::Described,
    exec::PointerBlock,
    signal::{SignalSet, signalfd},
};
use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{CWD, Mode, OFlags},
    io::Errno,
};
use serde::Serialize;

use crate::error::{Doing, Error, Result};

/// Signals that end a hook, and with it the command: SIGHUP, SIGINT, SIGQUIT and SIGTERM. Where the engine has them
/// blocked, a hook that hangs would else hang the engine.
const INTERRUPTING: [i32; 4] = [1, 2, 3, 15];

/// The engine's own environment, as `NAME=VALUE` strings.
pub type Environment<'a> = &'a [&'static CStr];

/// What hooks learn of their container, runtime.md, "State".
#[derive(Debug)]
pub(crate) struct HookState<'a, A> {
    pub(crate) id: &'a str,
    pub(crate) bundle: &'a str,
    pub(crate) annotations: &'a A,
}

impl<A: Serialize> HookState<'_, A> {
    /// The text before the pid and the text behind it.
    pub(crate) fn around_pid(&self, status: Status) -> [String; 2] {
        let before = format!("{},\"pid\":", self.head(status));
        [before, self.tail()]
    }

    pub(crate) fn with_pid(&self, status: Status, pid: i32) -> String {
        let [before, after] = self.around_pid(status);
        format!("{before}{pid}{after}")
    }

    /// The state of a container that has no process any more.
    fn without_pid(&self, status: Status) -> String {
        self.head(status) + &self.tail()
    }

    fn head(&self, status: Status) -> String {
        format!("{{\"ociVersion\":\"{OCI_VERSION}\",\"id\":{},\"status\":\"{status}\"", json(self.id))
    }

    fn tail(&self) -> String {
        let annotations = json(self.annotations);
        let annotations =
            if annotations == "{}" { String::new() } else { format!(",\"annotations\":{annotations}") };
        format!(",\"bundle\":{}{annotations}}}", json(self.bundle))
    }
}

/// Strings and maps of strings, which always have a JSON form.
pub(crate) fn json(value: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// The name that a hook is called by: its first argument, or its path.
pub(crate) fn name_of<'h>(hook: &'h Hook<'_>) -> &'h str {
    hook.args.first().unwrap_or(&hook.path)
}

/// The engine's hooks of one container.
#[derive(Debug)]
pub(crate) struct EngineHooks<'a, A> {
    pub(crate) hooks: &'a Hooks<'a>,
    pub(crate) state: HookState<'a, A>,
    /// The engine's own environment, for hooks that have none.
    pub(crate) environment: Environment<'a>,
    pub(crate) outputs: HookOutputs<'a>,
}

/// The files for standard output and standard error of hooks, which annotations name.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct HookOutputs<'a>(pub(crate) [Option<&'a str>; 2]);

/// The annotations that name them.
const OUTPUTS: [&str; 2] = [HOOKS_STDOUT, HOOKS_STDERR];

impl<'a> HookOutputs<'a> {
    /// Those that annotations name.
    pub(crate) fn find(annotation: impl FnMut(&str) -> Option<&'a str>) -> Self {
        Self(OUTPUTS.map(annotation))
    }

    /// Opens them.
    fn open(self) -> Result<[Option<OwnedFd>; 2]> {
        let [output, error] = self.0;
        let open = |path: Option<&str>, name| {
            let opened = path.map(open_output).transpose();
            opened.doing(|| format!("annotations[{name:?}]: open {:?}", path.unwrap_or_default()))
        };
        let [output_name, error_name] = OUTPUTS;
        Ok([open(output, output_name)?, open(error, error_name)?])
    }
}

/// Opens a file that what hooks say is appended to.
pub(crate) fn open_output(path: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::from_raw_mode(0o644))
}

impl<A: Serialize> EngineHooks<'_, A> {
    /// `prestart` and `createRuntime`.
    pub(crate) fn run_assembled(&self, pid: i32) -> Result<()> {
        let state = self.state.with_pid(Status::Creating, pid);
        self.run_all(HookKind::Prestart, &state)?;
        self.run_all(HookKind::CreateRuntime, &state)
    }

    /// `poststart`.
    pub(crate) fn run_poststart(&self, pid: i32) -> Result<()> {
        self.run_all(HookKind::Poststart, &self.state.with_pid(Status::Running, pid))
    }

    /// `poststop`, all of them: what fails is a warning.
    pub(crate) fn run_poststop(&self) -> Vec<String> {
        let state = self.state.without_pid(Status::Stopped);
        let kind = HookKind::Poststop;
        let run =
            |(index, hook)| self.run_one(kind, index, hook, &state).err().map(|error| format!("{error}"));
        self.hooks.of(kind).iter().enumerate().filter_map(run).collect()
    }

    fn run_all(&self, kind: HookKind, state: &str) -> Result<()> {
        self.hooks
            .of(kind)
            .iter()
            .enumerate()
            .try_for_each(|(index, hook)| self.run_one(kind, index, hook, state))
    }

    fn run_one(&self, kind: HookKind, index: usize, hook: &Hook<'_>, state: &str) -> Result<()> {
        let origin = format!("{}[{index}]", kind.path());
        let doing = || format!("{origin}: run {}", hook.path.as_str());
        let program = c_string(&hook.path);
        let arguments = core::iter::once(name_of(hook)).chain(hook.args.iter().skip(1).map(AsRef::as_ref));
        let arguments: Vec<CString> = arguments.map(c_string).collect();
        let own: Vec<CString> = hook.env.iter().flatten().map(|text| c_string(text)).collect();
        let environment: Vec<&CStr> = match hook.env {
            Some(_) => own.iter().map(CString::as_c_str).collect(),
            None => self.environment.to_vec(),
        };
        let directory = open_directory(self.state.bundle).map_err(|errno| (doing(), errno));
        let directory = directory.map_err(|(action, errno)| Error::System { action, errno, hint: None })?;
        let signals = signalfd(INTERRUPTING.into_iter().fold(SignalSet::empty(), SignalSet::add));
        let signals = signals.doing(doing)?;
        let outputs = self.outputs.open()?;
        let mut tail = Tail::default();
        let ending = masu_hook::run(
            &masu_hook::Hook {
                program: &program,
                arguments: &block(arguments.iter().map(CString::as_c_str)).doing(doing)?,
                environment: &block(environment.iter().copied()).doing(doing)?,
                directory: Some(directory.as_fd()),
                outputs: outputs.each_ref().map(|output| output.as_ref().map(AsFd::as_fd)),
                input: [state.as_bytes(), &[], &[]],
                timeout: hook.timeout,
                interrupt: Some(signals.as_fd()),
            },
            &mut tail,
        );
        match ending.doing(doing)? {
            Ending::Exited(0) => Ok(()),
            Ending::Interrupted => {
                // One signal ends one hook: those that clean up behind it are run.
                masu_sys::signal::read_signalfd(signals.as_fd()).doing(doing)?;
                Err(failed(&origin, &hook.path, Ending::Interrupted, None, tail.as_bytes(), Place::Host))
            }
            ending => Err(failed(&origin, &hook.path, ending, hook.timeout, tail.as_bytes(), Place::Host)),
        }
    }
}

/// The bundle's directory, or `/` for a hook that comes after its bundle is gone.
fn open_directory(bundle: &str) -> rustix::io::Result<OwnedFd> {
    let open = |path| {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(CWD, path, flags, Mode::empty())
    };
    match open(bundle) {
        Err(Errno::NOENT | Errno::NOTDIR) => open("/"),
        outcome => outcome,
    }
}

/// The checked configuration has no text with a NUL.
fn c_string(text: &str) -> CString {
    CString::new(text).unwrap_or_default()
}

fn block<'a>(texts: impl Iterator<Item = &'a CStr> + Clone) -> rustix::io::Result<PointerBlock<'a>> {
    let mut block = PointerBlock::with_capacity(texts.clone().count())?;
    for text in texts {
        block.push(text)?;
    }
    Ok(block)
}

/// Whose files a hook's path is looked up in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The host's.
    Host,
    /// The container's.
    Container,
}

/// How a hook ended that masu-init ran, from its frame.
pub(crate) fn ending(part: Part, errno: Errno) -> Option<Ending> {
    let number = errno.raw_os_error();
    match part {
        Part::HookExited => Some(Ending::Exited(number)),
        Part::HookKilled => Some(Ending::Killed(number)),
        Part::HookTimedOut => Some(Ending::TimedOut),
        Part::Execute => Some(Ending::NotExecuted(errno)),
        _ => None,
    }
}

/// The error for a hook that failed: the end of what it wrote belongs to it.
pub(crate) fn failed(
    origin: &str,
    path: &str,
    ending: Ending,
    timeout: Option<u32>,
    tail: &[u8],
    place: Place,
) -> Error {
    let how = match ending {
        Ending::Exited(status) => format!("exited with status {status}"),
        Ending::Killed(signal) => format!("was killed by signal {signal}"),
        Ending::TimedOut => {
            format!("ran past its timeout of {} s and was killed", timeout.unwrap_or_default())
        }
        Ending::Interrupted => "was killed, since masu was told to end".into(),
        Ending::NotExecuted(errno) => format!("execve: {}", Described(errno)),
    };
    let said = printable(tail);
    let said = if said.is_empty() { said } else { format!(": {said}") };
    let running = running(origin);
    Error::Hook { message: format!("{origin}: {running}{path}: {how}{said}"), hint: hint(ending, place) }
}

/// What runc says of the hook, from its place in the configuration: it is what people and programs look for in a log.
fn running(origin: &str) -> String {
    let place = origin.strip_prefix("hooks.").and_then(|place| place.strip_suffix(']')?.split_once('['));
    place.map_or_else(String::new, |(kind, index)| format!("error running {kind} hook #{index}: "))
}

fn hint(ending: Ending, place: Place) -> Option<String> {
    let text = match (ending, place) {
        (Ending::NotExecuted(Errno::NOENT), Place::Host) => {
            "the program is looked up on the host; it, or the interpreter of the script, is missing there"
        }
        (Ending::NotExecuted(Errno::NOENT), Place::Container) => {
            "the program is looked up in the container; it, or the interpreter of the script, is missing there"
        }
        (Ending::NotExecuted(Errno::ACCESS), _) => {
            "the file, or a directory above it, is not executable for the user that runs it; or it is mounted noexec"
        }
        (Ending::NotExecuted(Errno::NOEXEC), _) => {
            "not a program of this machine's architecture; a script begins with #! and its interpreter"
        }
        (Ending::TimedOut, _) => "timeout is in seconds, and may be left out",
        _ => return None,
    };
    Some(text.into())
}

/// The last words of a hook in one line, without what could steer a terminal.
fn printable(tail: &[u8]) -> String {
    let text = String::from_utf8_lossy(tail);
    let lines: Vec<String> = text
        .split(['\n', '\r'])
        .map(|line| line.trim().chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect())
        .filter(|line: &String| !line.is_empty())
        .collect();
    let more = if tail.len() == TAIL_SIZE { "… " } else { "" };
    if lines.is_empty() { String::new() } else { format!("{more}{}", lines.join("; ")) }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_state_is_json_with_the_pid_in_its_middle() {
        let annotations = BTreeMap::from([("a\"b", "c\n")]);
        let state = HookState { id: "box", bundle: "/b\\c", annotations: &annotations };
        assert_eq!(
            state.with_pid(Status::Creating, 42),
            r#"{"ociVersion":"1.3.0","id":"box","status":"creating","pid":42,"bundle":"/b\\c","annotations":{"a\"b":"c\n"}}"#
        );
        let none = BTreeMap::<&str, &str>::new();
        let state = HookState { id: "box", bundle: "/b", annotations: &none };
        assert_eq!(
            state.without_pid(Status::Stopped),
            r#"{"ociVersion":"1.3.0","id":"box","status":"stopped","bundle":"/b"}"#
        );
    }

    #[test]
    fn last_words_are_one_line_that_steers_no_terminal() {
        let table: [(&[u8], &str); 5] = [
            (b"", ""),
            (b"\n \r\n", ""),
            (b"one\n\ntwo\n", "one; two"),
            (b"\x1b[31mred\x07", "\u{fffd}[31mred\u{fffd}"),
            (b"caf\xc3", "caf\u{fffd}"),
        ];
        for (tail, text) in table {
            assert_eq!(printable(tail), text, "{tail:?}");
        }
        assert_eq!(printable(&[b'x'; TAIL_SIZE]), format!("… {}", "x".repeat(TAIL_SIZE)));
    }
}
