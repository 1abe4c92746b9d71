//! What keeps an ordinary user from user namespaces on this machine, and how to change it. Read when one was refused,
//! and only then.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use rustix::io::Errno;

use crate::files;

/// What to do about a new user namespace that the kernel has refused to this process.
#[must_use]
pub fn user_namespace_hint(errno: Errno) -> Option<String> {
    Restrictions::probe().hint(errno)
}

/// What to do about a mount that it has refused to this process, in a mount namespace of its own.
#[must_use]
pub fn mount_hint(errno: Errno) -> Option<String> {
    Restrictions::probe().mount_hint(errno)
}

/// Facts about the machine and the process that decide about new user namespaces, user_namespaces(7).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Restrictions {
    /// `user.max_user_namespaces`
    max_user_namespaces: Option<u64>,
    /// `kernel.unprivileged_userns_clone`, of Debian's kernels.
    unprivileged_clone: Option<u64>,
    /// `kernel.apparmor_restrict_unprivileged_userns`, of Ubuntu's kernels.
    apparmor: Option<u64>,
    /// Whether a seccomp filter is in force.
    seccomp: bool,
    /// The AppArmor profile that the process is confined by.
    profile: Option<String>,
    /// Whether `/` is no mount: the process is in a chroot.
    chroot: bool,
    /// The engine's file, which an AppArmor profile has to name.
    program: String,
}

impl Restrictions {
    /// Reads the facts; what cannot be read is as if it were not there.
    pub(crate) fn probe() -> Self {
        let number = |path: &str| read(path).trim().parse().ok();
        let status = read("/proc/self/status");
        let mounts = read("/proc/self/mountinfo");
        let profile = read("/proc/self/attr/apparmor/current");
        let profile = Some(profile.trim_end()).filter(|profile| !matches!(*profile, "" | "unconfined"));
        let program = rustix::fs::readlink("/proc/self/exe", Vec::new()).ok();
        let program = program.and_then(|path| path.into_string().ok());
        Self {
            max_user_namespaces: number("/proc/sys/user/max_user_namespaces"),
            unprivileged_clone: number("/proc/sys/kernel/unprivileged_userns_clone"),
            apparmor: number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
            seccomp: field(&status, "Seccomp:") == Some("2"),
            profile: profile.map(Into::into),
            chroot: !mounts.is_empty() && mounts.lines().all(|line| line.split(' ').nth(4) != Some("/")),
            program: program.unwrap_or_else(|| "/usr/bin/masu".into()),
        }
    }

    /// What to do about a new user namespace that the kernel refused.
    pub(crate) fn hint(&self, errno: Errno) -> Option<String> {
        let text = match errno {
            Errno::NOSPC if self.max_user_namespaces == Some(0) => {
                "user namespaces are switched off here: as root, sysctl user.max_user_namespaces=10000".to_string()
            }
            Errno::NOSPC => format!(
                "sysctl user.max_user_namespaces is {}, and they can be nested 32 deep",
                self.max_user_namespaces.map_or_else(|| "not known".into(), |most| most.to_string())
            ),
            Errno::PERM if self.unprivileged_clone == Some(0) => {
                "user namespaces are for root alone here: as root, sysctl kernel.unprivileged_userns_clone=1".into()
            }
            Errno::PERM | Errno::ACCESS if self.is_restricted_by_apparmor() => self.apparmor_hint(),
            Errno::PERM if self.chroot => {
                "no user namespace can be made in a chroot: enter the directory by pivot_root, or run masu as root".into()
            }
            Errno::PERM | Errno::NOSYS => return self.seccomp_hint("new namespaces"),
            _ => return None,
        };
        Some(text)
    }

    /// What to do about a mount that the kernel refused.
    fn mount_hint(&self, errno: Errno) -> Option<String> {
        match (errno, &self.profile) {
            (Errno::ACCESS, Some(profile)) => Some(format!(
                "the AppArmor profile {profile} is in force, and the usual ones forbid mounts: run the container that masu \
                 is in with --security-opt apparmor=unconfined"
            )),
            (Errno::PERM | Errno::ACCESS, _) if self.is_restricted_by_apparmor() => {
                Some(self.apparmor_hint())
            }
            (Errno::PERM | Errno::NOSYS, _) => self.seccomp_hint("mounts"),
            _ => None,
        }
    }

    /// What to do about something that a filter for system calls may have refused, if one is in force.
    pub(crate) fn seccomp_hint(&self, what: &str) -> Option<String> {
        self.seccomp.then(|| {
            format!(
                "a seccomp filter is in force, and the usual ones forbid {what}: run the container that masu is in with \
                 --security-opt seccomp=unconfined"
            )
        })
    }

    /// Nothing but a filter.
    #[cfg(test)]
    pub(crate) fn filtered() -> Self {
        Self { seccomp: true, ..Self::default() }
    }

    /// Whether a new user namespace of an unprivileged process comes without any capability.
    pub(crate) fn is_restricted_by_apparmor(&self) -> bool {
        self.apparmor.is_some_and(|level| level != 0)
    }

    /// What to do about it.
    pub(crate) fn apparmor_hint(&self) -> String {
        format!(
            "AppArmor restricts user namespaces here: as root, write \"profile masu {} flags=(unconfined) {{ userns, }}\" \
             to /etc/apparmor.d/masu and run apparmor_parser --replace /etc/apparmor.d/masu; or sysctl \
             kernel.apparmor_restrict_unprivileged_userns=0",
            self.program
        )
    }
}

fn read(path: &str) -> String {
    files::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing() -> Restrictions {
        Restrictions { program: "/p".into(), ..Restrictions::default() }
    }

    #[test]
    fn the_hint_names_what_forbids_user_namespaces_and_how_to_allow_them() {
        let off =
            Some("user namespaces are switched off here: as root, sysctl user.max_user_namespaces=10000");
        let few = Some("sysctl user.max_user_namespaces is 7, and they can be nested 32 deep");
        let debian = Some(
            "user namespaces are for root alone here: as root, sysctl kernel.unprivileged_userns_clone=1",
        );
        let ubuntu = Some(
            "AppArmor restricts user namespaces here: as root, write \"profile masu /p flags=(unconfined) { userns, }\" \
             to /etc/apparmor.d/masu and run apparmor_parser --replace /etc/apparmor.d/masu; or sysctl \
             kernel.apparmor_restrict_unprivileged_userns=0",
        );
        let chroot = Some(
            "no user namespace can be made in a chroot: enter the directory by pivot_root, or run masu as root",
        );
        let seccomp = Some(
            "a seccomp filter is in force, and the usual ones forbid new namespaces: run the container that masu is in \
             with --security-opt seccomp=unconfined",
        );
        let table = [
            (nothing(), Errno::PERM, None),
            (nothing(), Errno::NOMEM, None),
            (Restrictions { max_user_namespaces: Some(0), ..nothing() }, Errno::NOSPC, off),
            (Restrictions { max_user_namespaces: Some(7), ..nothing() }, Errno::NOSPC, few),
            (Restrictions { max_user_namespaces: Some(0), ..nothing() }, Errno::PERM, None),
            (Restrictions { unprivileged_clone: Some(0), ..nothing() }, Errno::PERM, debian),
            (Restrictions { unprivileged_clone: Some(1), ..nothing() }, Errno::PERM, None),
            (Restrictions { apparmor: Some(1), ..nothing() }, Errno::PERM, ubuntu),
            (Restrictions { apparmor: Some(2), ..nothing() }, Errno::ACCESS, ubuntu),
            (Restrictions { apparmor: Some(0), ..nothing() }, Errno::ACCESS, None),
            (Restrictions { chroot: true, seccomp: true, ..nothing() }, Errno::PERM, chroot),
            (Restrictions { seccomp: true, ..nothing() }, Errno::PERM, seccomp),
            (Restrictions { seccomp: true, ..nothing() }, Errno::NOSYS, seccomp),
        ];
        for (restrictions, errno, expected) in table {
            assert_eq!(restrictions.hint(errno).as_deref(), expected, "{restrictions:?} {errno:?}");
        }
    }

    #[test]
    fn the_hint_about_a_mount_names_the_filter_or_the_profile() {
        let profile = Some("docker-default (enforce)".to_string());
        let confined = Restrictions { profile, seccomp: true, ..nothing() };
        let words = |restrictions: &Restrictions, errno| {
            let hint = restrictions.mount_hint(errno)?;
            Some(hint.split_once(',').map_or(hint.clone(), |(first, _)| first.to_string()))
        };
        let apparmor = Some("the AppArmor profile docker-default (enforce) is in force".to_string());
        assert_eq!(words(&confined, Errno::ACCESS), apparmor);
        assert_eq!(words(&confined, Errno::PERM), Some("a seccomp filter is in force".into()));
        assert_eq!(words(&confined, Errno::INVAL), None);
        assert_eq!(words(&nothing(), Errno::PERM), None);
    }

    #[test]
    fn a_field_of_the_status_is_found_by_its_whole_name() {
        let status = "Name:\tx\nNoNewPrivs:\t0\nSeccomp:\t2\nSeccomp_filters:\t1\n";
        assert_eq!(field(status, "Seccomp:"), Some("2"));
        assert_eq!(field(status, "Nothing:"), None);
    }
}
