//! `process`.
use alloc::format;
use alloc::vec::Vec;

use super::ids::check_id;
use super::scheduling;
use crate::capabilities::{Capabilities, capability_number};
use crate::config::{ConsoleSize, Process, Terminal, User, Warning};
use crate::error::ConfigError;
use crate::path::Path;
use crate::rlimits::{Rlimit, rlimit_number};
use crate::schema;
use crate::text::Str;

pub(super) fn process<'a>(
    raw: schema::Process<'a>,
    at: &Path<'_>,
    warnings: &mut Vec<Warning>,
) -> Result<Process<'a>, ConfigError> {
    let cwd = at.field("cwd");
    Ok(Process {
        terminal: match raw.terminal {
            Some(true) => Some(Terminal { size: console_size(raw.console_size, &at.field("consoleSize"))? }),
            _ => None,
        },
        args: args(raw.args, &at.field("args"))?,
        env: env(raw.env.unwrap_or_default(), &at.field("env"))?,
        cwd: cwd.absolute(cwd.require(raw.cwd)?)?,
        user: user(raw.user.unwrap_or_default(), &at.field("user"))?,
        rlimits: rlimits(&raw.rlimits.unwrap_or_default(), &at.field("rlimits"))?,
        capabilities: raw.capabilities.map(|raw| capabilities(&raw, &at.field("capabilities"), warnings)),
        no_new_privileges: raw.no_new_privileges.unwrap_or_default(),
        apparmor_profile: at.field("apparmorProfile").non_empty(raw.apparmor_profile)?,
        selinux_label: at.field("selinuxLabel").non_empty(raw.selinux_label)?,
        oom_score_adj: raw
            .oom_score_adj
            .map(|score| oom_score_adj(score, &at.field("oomScoreAdj")))
            .transpose()?,
        scheduler: raw.scheduler.map(|raw| scheduling::scheduler(raw, &at.field("scheduler"))).transpose()?,
        io_priority: raw
            .io_priority
            .map(|raw| scheduling::io_priority(raw, &at.field("ioPriority")))
            .transpose()?,
        exec_cpu_affinity: raw
            .exec_cpu_affinity
            .map(|raw| scheduling::cpu_affinity(raw, &at.field("execCPUAffinity")))
            .transpose()?,
        warnings: Vec::new(),
    })
}

/// A size in which something is missing is refused, one that is 0 taken as none: docker writes 0 by 0 when it knows no
/// size.
fn console_size(raw: Option<schema::ConsoleSize>, at: &Path<'_>) -> Result<Option<ConsoleSize>, ConfigError> {
    let Some(raw) = raw else { return Ok(None) };
    // ioctl_tty(2): struct winsize has 16 bits for each.
    let fits = |value: Option<u64>, at: &Path<'_>| {
        let value = at.require(value)?;
        u16::try_from(value).map_err(|_| at.illegal(format!("{value} is above 65535")))
    };
    let height = fits(raw.height, &at.field("height"))?;
    let width = fits(raw.width, &at.field("width"))?;
    Ok((height != 0 && width != 0).then_some(ConsoleSize { height, width }))
}

fn args<'a>(args: Option<Vec<Str<'a>>>, at: &Path<'_>) -> Result<Vec<Str<'a>>, ConfigError> {
    let args = at.require(args)?;
    if args.is_empty() {
        return Err(at.illegal_hint("is empty", "the first element is the program to run"));
    }
    args.into_iter().enumerate().map(|(index, arg)| at.index(index).c_string(arg)).collect()
}

fn env<'a>(env: Vec<Str<'a>>, at: &Path<'_>) -> Result<Vec<Str<'a>>, ConfigError> {
    let variable = |(index, variable): (usize, Str<'a>)| {
        let at = at.index(index);
        match variable.find('=') {
            None => Err(at.illegal(format!("{:?} is not NAME=VALUE", variable.as_str()))),
            Some(0) => Err(at.illegal(format!("{:?} has no name", variable.as_str()))),
            Some(_) => at.c_string(variable),
        }
    };
    env.into_iter().enumerate().map(variable).collect()
}

fn user(raw: schema::User, at: &Path<'_>) -> Result<User, ConfigError> {
    let gids_at = at.field("additionalGids");
    let gids = raw.additional_gids.unwrap_or_default();
    for (index, gid) in gids.iter().enumerate() {
        check_id(*gid, &gids_at.index(index))?;
    }
    Ok(User {
        uid: check_id(raw.uid.unwrap_or_default(), &at.field("uid"))?,
        gid: check_id(raw.gid.unwrap_or_default(), &at.field("gid"))?,
        umask: raw.umask.map(|umask| mode_bits(umask, 0o777, &at.field("umask"))).transpose()?,
        additional_gids: gids,
    })
}

/// Permission bits. JSON has no octal numbers, so that 22 for 022 is an easy mistake: the message is in octal.
pub(super) fn mode_bits(value: u32, mask: u16, at: &Path<'_>) -> Result<u16, ConfigError> {
    match u16::try_from(value) {
        Ok(mode) if mode & !mask == 0 => Ok(mode),
        _ => Err(at.illegal(format!("{value} is {value:#o} in octal, more than {mask:#o}"))),
    }
}

fn rlimits(raw: &[schema::Rlimit<'_>], at: &Path<'_>) -> Result<Vec<Rlimit>, ConfigError> {
    let mut rlimits: Vec<Rlimit> = Vec::with_capacity(raw.len());
    for (index, raw) in raw.iter().enumerate() {
        let element = at.index(index);
        let at_type = element.field("type");
        let name = at_type.require(raw.name.as_deref())?;
        let Some(resource) = rlimit_number(name) else {
            let hint = "the names are those of getrlimit(2), such as RLIMIT_NOFILE";
            return Err(at_type.illegal_hint(format!("unknown resource limit {name:?}"), hint));
        };
        if let Some(first) = rlimits.iter().position(|rlimit| rlimit.resource == resource) {
            return Err(at_type.illegal(format!("{name} is given already at {at}[{first}]")));
        }
        let soft = element.field("soft").require(raw.soft)?;
        let hard = element.field("hard").require(raw.hard)?;
        if soft > hard {
            return Err(element.field("soft").illegal(format!("{soft} is above the hard limit {hard}")));
        }
        rlimits.push(Rlimit { resource, soft, hard });
    }
    Ok(rlimits)
}

/// The specification's one exception: an unknown capability is reported and left out.
fn capabilities(raw: &schema::Capabilities<'_>, at: &Path<'_>, warnings: &mut Vec<Warning>) -> Capabilities {
    let mut unknown: Vec<Str<'_>> = Vec::new();
    let mut set = |names: &Option<Vec<Str<'_>>>, field: &str| {
        let at = at.field(field);
        let mut set = 0;
        for (index, name) in names.iter().flatten().enumerate() {
            match capability_number(name) {
                Some(number) => set |= 1 << number,
                None if unknown.iter().any(|known| known.as_str() == name.as_str()) => {}
                None => {
                    unknown.push(name.clone().into_owned());
                    let text = format!("unknown capability {:?} is left out", name.as_str());
                    warnings.push(at.index(index).warning(text));
                }
            }
        }
        set
    };
    Capabilities {
        bounding: set(&raw.bounding, "bounding"),
        effective: set(&raw.effective, "effective"),
        inheritable: set(&raw.inheritable, "inheritable"),
        permitted: set(&raw.permitted, "permitted"),
        ambient: set(&raw.ambient, "ambient"),
    }
}

/// proc_pid_oom_score_adj(5).
fn oom_score_adj(score: i64, at: &Path<'_>) -> Result<i16, ConfigError> {
    match i16::try_from(score) {
        Ok(score @ -1000..=1000) => Ok(score),
        _ => Err(at.illegal(format!("{score} is not within -1000 to 1000"))),
    }
}
