//! newuidmap(1) and newgidmap(1): the set-user-id programs that map what subuid(5) and subgid(5) grant.
//!
//! They are found before anything is done in the container, and executed by descriptor: what was checked is what runs.

use alloc::{
    ffi::CString,
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};
use core::ffi::CStr;

use masu_sys::{
    exec::{PointerBlock, execveat},
    process::{CloneArgs, Forked, exit_group, fork},
    signal::{SignalSet, reset_dispositions, set_mask},
};
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{AtFlags, CWD, FileType, Mode, OFlags},
    io::Errno,
    pipe::PipeFlags,
    process::{WaitId, WaitIdOptions},
};

use crate::{
    error::{Doing, Error, Result},
    plan::{IdMaps, MapWriter},
};

/// Where the programs are looked for after the caller's `PATH`: distributions have them nowhere else.
const FALLBACK: &str = "/usr/bin:/bin:/usr/local/bin:/usr/sbin:/sbin";

/// The most that is kept of what a program writes to standard error, in bytes.
const COMPLAINT_MAX: usize = 2048;

/// The status of a child that could not execute the program.
const NOT_EXECUTED: i32 = 127;

/// One of the two programs, which differ in nothing but their names.
#[derive(Debug, Clone, Copy)]
struct Kind {
    name: &'static CStr,
    field: &'static str,
    /// The file that grants the ranges, and the option of usermod(8) that writes it.
    grants: (&'static str, &'static str),
    /// The capability that its file has where it is not set-user-id.
    capability: &'static str,
}

const UID: Kind = Kind {
    name: c"newuidmap",
    field: "linux.uidMappings",
    grants: ("/etc/subuid", "--add-subuids"),
    capability: "cap_setuid",
};
const GID: Kind = Kind {
    name: c"newgidmap",
    field: "linux.gidMappings",
    grants: ("/etc/subgid", "--add-subgids"),
    capability: "cap_setgid",
};

/// The programs that a plan needs; none for most.
#[derive(Debug, Default)]
pub(crate) struct IdPrograms {
    uid: Option<Program>,
    gid: Option<Program>,
}

/// A program that was found.
#[derive(Debug)]
struct Program {
    kind: Kind,
    path: String,
    file: OwnedFd,
}

impl IdPrograms {
    /// Looks for what `maps` needs in the directories of `search_path`, and then in those of distributions.
    pub(crate) fn find(maps: Option<&IdMaps>, search_path: &str) -> Result<Self> {
        let Some(maps) = maps else { return Ok(Self::default()) };
        let find = |writer, kind| match writer {
            MapWriter::Program => Program::find(kind, search_path).map(Some),
            MapWriter::Engine => Ok(None),
        };
        Ok(Self { uid: find(maps.uid.writer, UID)?, gid: find(maps.gid.writer, GID)? })
    }

    /// Has the users of `pid` mapped.
    pub(crate) fn map_users(&self, pid: i32, lines: &str) -> Result<()> {
        self.uid.as_ref().ok_or(Errno::NOENT).doing(|| "find newuidmap".into())?.map(pid, lines)
    }

    /// Has the groups of `pid` mapped.
    pub(crate) fn map_groups(&self, pid: i32, lines: &str) -> Result<()> {
        self.gid.as_ref().ok_or(Errno::NOENT).doing(|| "find newgidmap".into())?.map(pid, lines)
    }
}

impl Program {
    fn find(kind: Kind, search_path: &str) -> Result<Self> {
        let name = kind.name.to_string_lossy();
        // A relative directory would depend on where the caller happens to be.
        let directories =
            search_path.split(':').chain(FALLBACK.split(':')).filter(|dir| dir.starts_with('/'));
        for directory in directories {
            let path = format!("{directory}/{name}");
            if let Some(file) = open_executable(&path) {
                return Ok(Self { kind, path, file });
            }
        }
        Err(Error::Unsupported {
            field: kind.field.into(),
            reason: format!(
                "more than the own id needs {name}, which is in no directory of PATH: executable file not found"
            ),
            hint: Some(format!(
                "install it (packages uidmap, shadow-utils or shadow), or map one id, the own: masu spec --rootless \
                 shows how; root needs no {name}"
            )),
        })
    }

    /// Runs the program, which writes the map or says why not.
    fn map(&self, pid: i32, lines: &str) -> Result<()> {
        let (reader, writer) =
            rustix::pipe::pipe_with(PipeFlags::CLOEXEC).doing(|| format!("pipe for {}", self.path))?;
        let mut arguments = vec![CString::from(self.kind.name), decimal(&pid.to_string())];
        arguments.extend(lines.split_ascii_whitespace().map(decimal));
        let child = match fork(&CloneArgs::default()).doing(|| format!("clone3 for {}", self.path))? {
            Forked::Parent { pidfd, .. } => pidfd,
            Forked::Child => become_program(&self.file, &arguments, writer.as_fd()),
        };
        drop(writer);
        let complaint = read_complaint(&reader).doing(|| format!("read what {} says", self.path))?;
        let status = loop {
            match rustix::process::waitid(WaitId::PidFd(child.as_fd()), WaitIdOptions::EXITED) {
                Err(Errno::INTR) => {}
                outcome => break outcome.doing(|| format!("wait for {}", self.path))?,
            }
        };
        match status.as_ref().and_then(rustix::process::WaitIdStatus::exit_status) {
            Some(0) => Ok(()),
            status => Err(self.refused(status, &complaint)),
        }
    }

    fn refused(&self, status: Option<i32>, complaint: &str) -> Error {
        let how = match status {
            Some(code) => format!("exited with status {code}"),
            None => "was killed by a signal".into(),
        };
        let said = if complaint.is_empty() { "it said nothing" } else { complaint };
        let facts = Facts {
            not_granted: complaint.contains("not allowed"),
            nobody: complaint.contains("Cannot determine your user name"),
            privileged_file: is_privileged_file(&self.file),
            no_new_privileges: rustix::thread::no_new_privs().unwrap_or(false),
            user: rustix::process::getuid().as_raw(),
        };
        Error::Unsupported {
            field: self.kind.field.into(),
            reason: format!("{} {how}: {said}", self.path),
            hint: hint(&facts, &self.kind, &self.path),
        }
    }
}

/// What the advice depends on.
#[derive(Debug, Clone, Copy)]
struct Facts {
    /// The program said that the ranges are not granted.
    not_granted: bool,
    /// The program said that it does not know who called it.
    nobody: bool,
    /// Its file is set-user-id root or has file capabilities.
    privileged_file: bool,
    /// The engine may not gain privileges by an exec, prctl(2) `PR_SET_NO_NEW_PRIVS`.
    no_new_privileges: bool,
    user: u32,
}

fn hint(facts: &Facts, kind: &Kind, path: &str) -> Option<String> {
    let (file, option) = kind.grants;
    if facts.nobody {
        return Some(format!(
            "user {} has no line in /etc/passwd, so that no line of {file} can be its",
            facts.user
        ));
    }
    if facts.not_granted {
        return Some(format!(
            "{file} has to grant user {} the ranges: as root, usermod {option} 100000-165535 USER; their first id is the \
             hostID",
            facts.user
        ));
    }
    if facts.no_new_privileges {
        return Some(
            "no_new_privs is set for masu, so that no program can gain the privilege to map ids".into(),
        );
    }
    if !facts.privileged_file {
        return Some(format!(
            "it needs privilege: as root, chmod u+s {path} or setcap {}+ep {path}, on a file system without nosuid",
            kind.capability
        ));
    }
    None
}

/// Opens a file that may be executed.
fn open_executable(path: &str) -> Option<OwnedFd> {
    let file = rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let status = rustix::fs::fstat(&file).ok()?;
    let regular = FileType::from_raw_mode(status.st_mode) == FileType::RegularFile;
    (regular && status.st_mode & 0o111 != 0).then_some(file)
}

/// Whether executing the file gives a privilege, execve(2) and capabilities(7).
fn is_privileged_file(file: &OwnedFd) -> bool {
    let set_user_id =
        rustix::fs::fstat(file).is_ok_and(|status| status.st_mode & 0o4000 != 0 && status.st_uid == 0);
    // fgetxattr(2) takes no O_PATH descriptor.
    let link = format!("/proc/self/fd/{}", rustix::fd::AsRawFd::as_raw_fd(file));
    set_user_id || rustix::fs::getxattr(&*link, c"security.capability", &mut [0_u8; 64][..]).is_ok()
}

/// In the child: standard error is the pipe, the environment is empty, and nothing else of the engine's stays open.
fn become_program(program: &OwnedFd, arguments: &[CString], complaint: BorrowedFd<'_>) -> ! {
    // ignored: the exit status says that the program did not run.
    let _ = prepare(complaint).and_then(|()| {
        let mut argv = PointerBlock::with_capacity(arguments.len())?;
        for argument in arguments {
            argv.push(argument)?;
        }
        let environment = PointerBlock::with_capacity(0)?;
        Err::<(), _>(execveat(program.as_fd(), c"", &argv, &environment, AtFlags::EMPTY_PATH))
    });
    exit_group(NOT_EXECUTED)
}

fn prepare(complaint: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let null = rustix::fs::openat(CWD, c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(complaint)?;
    // Descriptors that the container is to get are open without FD_CLOEXEC.
    masu_sys::fd::set_cloexec_range(3, u32::MAX)?;
    reset_dispositions()?;
    // The engine waits for it with all signals blocked: Ctrl-C has to be able to end it.
    set_mask(SignalSet::empty()).map(drop)
}

/// Reads to the end, keeps the beginning, and makes one line of it.
fn read_complaint(reader: &OwnedFd) -> rustix::io::Result<String> {
    let mut kept: Vec<u8> = Vec::new();
    let mut bytes = [0; 512];
    loop {
        match rustix::io::read(reader, &mut bytes) {
            Err(Errno::INTR) => {}
            Ok(0) => break,
            outcome => {
                let read = bytes.get(..outcome?).unwrap_or_default();
                let room = COMPLAINT_MAX.saturating_sub(kept.len());
                kept.extend(read.iter().take(room));
            }
        }
    }
    let text = String::from_utf8_lossy(&kept);
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    Ok(lines.join("; "))
}

fn decimal(number: &str) -> CString {
    // Digits, which have no NUL.
    CString::new(number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: Facts = Facts {
        not_granted: false,
        nobody: false,
        privileged_file: true,
        no_new_privileges: false,
        user: 1000,
    };

    #[test]
    fn the_advice_follows_from_the_facts() {
        let granted = "/etc/subuid has to grant user 1000 the ranges: as root, usermod --add-subuids 100000-165535 \
                       USER; their first id is the hostID";
        let nobody = "user 1000 has no line in /etc/passwd, so that no line of /etc/subuid can be its";
        let no_new_privs =
            "no_new_privs is set for masu, so that no program can gain the privilege to map ids";
        let plain_file = "it needs privilege: as root, chmod u+s /p or setcap cap_setuid+ep /p, on a file system \
                          without nosuid";
        let table = [
            (FACTS, None),
            (Facts { not_granted: true, ..FACTS }, Some(granted)),
            (Facts { nobody: true, ..FACTS }, Some(nobody)),
            (Facts { no_new_privileges: true, privileged_file: false, ..FACTS }, Some(no_new_privs)),
            (Facts { privileged_file: false, ..FACTS }, Some(plain_file)),
            // What the program itself says counts most.
            (Facts { not_granted: true, no_new_privileges: true, ..FACTS }, Some(granted)),
        ];
        for (facts, expected) in table {
            assert_eq!(hint(&facts, &UID, "/p").as_deref(), expected, "{facts:?}");
        }
        let group = hint(&Facts { not_granted: true, ..FACTS }, &GID, "/p");
        assert!(
            group
                .is_some_and(|text| text.starts_with("/etc/subgid has to") && text.contains("--add-subgids"))
        );
    }

    #[test]
    fn a_program_is_found_in_absolute_directories_and_only_if_it_can_be_executed() {
        let dir = std::env::temp_dir().join(format!("masu-runtime-programs-{}", std::process::id()));
        let path = dir.join("newuidmap");
        std::fs::create_dir(&dir).expect("makes a directory");
        std::fs::write(&path, "no program").expect("writes a file");
        let text = path.to_str().expect("is UTF-8").to_owned();
        let plain = open_executable(&text).is_some();
        let directory = open_executable(dir.to_str().expect("is UTF-8")).is_some();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("chmod");
        let found = Program::find(UID, &format!("relative::{}", dir.display())).map(|program| program.path);
        std::fs::remove_dir_all(&dir).expect("removes the directory");
        assert_eq!((plain, directory), (false, false));
        assert_eq!(found.expect("is found"), text);
    }
}
