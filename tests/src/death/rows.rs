//! The matrix has a row for every step: who is blamed for its failure, and what of it may fail in silence.

use masu_program::Step;

/// What the failure of a step says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    /// The fields of the configuration that may be blamed: what the message begins with, before an index.
    pub(super) origins: &'static [&'static str],
    /// Why the step cannot fail, if it cannot.
    pub(super) never: Option<&'static str>,
}

/// The row of a step. A new step does not compile without one.
#[expect(clippy::too_many_lines, reason = "a flat table, a line or two for each step")]
pub(super) fn row(step: &Step<'_>) -> Row {
    const ENGINE: &[&str] = &["container"];
    const NAMESPACES: &[&str] = &["linux.namespaces"];
    const ROOT: &[&str] = &["root.path"];
    const CAPABILITIES: &[&str] = &["process.capabilities"];
    let fails = |origins| Row { origins, never: None };
    let never = |why| Row { origins: &[], never: Some(why) };
    match step {
        Step::AwaitProgram
        | Step::Barrier(masu_program::Barrier::Ready)
        | Step::HideFromTracers
        | Step::JoinKeyring { .. }
        | Step::AwaitStart { .. }
        | Step::CloseDescriptors { .. }
        | Step::ResetSignals => fails(ENGINE),
        Step::HoldProc { .. } => never("it takes a descriptor that has come with the program"),
        Step::ReleaseProc => never("it closes a descriptor"),
        Step::AdjustOomScore { .. } => fails(&["process.oomScoreAdj"]),
        Step::JoinNamespaces { .. } | Step::Fork { .. } | Step::RaiseLoopback => fails(NAMESPACES),
        Step::Unshare { .. } => fails(&["linux.namespaces", "linux.timeOffsets"]),
        Step::SetTimeOffsets { .. } => fails(&["linux.timeOffsets"]),
        Step::Barrier(masu_program::Barrier::Assembled) => {
            fails(&["linux.netDevices", "hooks.createRuntime"])
        }
        Step::Barrier(masu_program::Barrier::Mapped) => fails(&["linux.uidMappings"]),
        Step::AttachCgroup { .. } => fails(&["linux.cgroupsPath"]),
        Step::ChangeIdentity(_) => fails(&["process.user", "linux.uidMappings", "linux.namespaces"]),
        Step::SetHostname { .. } => fails(&["hostname"]),
        Step::SetDomainname { .. } => fails(&["domainname"]),
        Step::WriteSysctl { .. } => fails(&["linux.sysctl", "process.selinuxLabel"]),
        Step::HoldExecLabel { .. } | Step::SetExecLabel { .. } => {
            fails(&["process.apparmorProfile", "process.selinuxLabel"])
        }
        Step::SetFileLabel { .. } => fails(&["linux.mountLabel"]),
        Step::SetHostPropagation(_) | Step::SetRootPropagation(_) => fails(&["linux.rootfsPropagation"]),
        Step::OpenRoot { .. }
        | Step::StackRoot
        | Step::HideFromRoot { .. }
        | Step::OpenRootDirectory { .. }
        | Step::EnterRoot(_) => fails(ROOT),
        Step::Mount { .. } | Step::MountCopy { .. } | Step::ChangeMount { .. } | Step::Unmount { .. } => {
            fails(&["mounts"])
        }
        Step::MakeDevice { .. } => fails(&["container", "linux.devices"]),
        Step::MakeSymlink { .. } => fails(&["container", "mounts"]),
        Step::MakeDirectory { .. } | Step::ChangeDirectory { .. } => fails(&["process.cwd"]),
        Step::MaskPath { .. } => fails(&["linux.maskedPaths"]),
        Step::ProtectPath { .. } => fails(&["linux.readonlyPaths"]),
        Step::ProtectMount { .. } => fails(&["root.readonly", "mounts"]),
        Step::OpenTerminal { .. } | Step::MountConsole | Step::TakeTerminal => fails(&["process.terminal"]),
        Step::RunHook { .. } => fails(&["hooks.createContainer", "hooks.startContainer"]),
        Step::RaiseResourceLimit { .. } | Step::SetResourceLimit { .. } => fails(&["process.rlimits"]),
        Step::SetCpuAffinity { .. } => fails(&["container", "process.execCPUAffinity"]),
        Step::SetScheduler { .. } => fails(&["process.scheduler"]),
        Step::SetIoPriority { .. } => fails(&["process.ioPriority"]),
        Step::SetMemoryPolicy { .. } => fails(&["linux.memoryPolicy"]),
        Step::SetPersonality { .. } => fails(&["linux.personality"]),
        Step::SetUmask { .. } => never("umask(2) always succeeds"),
        Step::LimitCapabilities { .. } | Step::SetCapabilities { .. } | Step::DropCapabilities { .. } => {
            fails(CAPABILITIES)
        }
        Step::LoadFilter { .. } | Step::LoadFilterWithListener { .. } => fails(&["linux.seccomp"]),
        Step::ForbidNewPrivileges => fails(&["process.noNewPrivileges"]),
        Step::FindHome { .. } => never("a user without a readable passwd file has / for a home"),
        Step::FindProgram { .. } => fails(&["exec"]),
        Step::Execute { .. } => fails(&["process.args"]),
    }
}

/// Whether a step can do without this system call: a second try of what the first one did, or a look that finds out
/// whether there is anything to do.
pub(super) fn is_optional(step: &Step<'_>) -> bool {
    // The working directory is entered by the first of its two steps that may; the second then has nothing to do.
    matches!(step, Step::ChangeDirectory { access: masu_program::Access::Required, .. })
}
