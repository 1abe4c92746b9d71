//! `linux.seccomp`.
use alloc::format;
use alloc::vec::Vec;

use super::find;
use crate::error::ConfigError;
use crate::path::Path;
use crate::schema;
use crate::seccomp::{
    ACTIONS, ARCHITECTURES, Action, Architecture, Condition, FILTER_FLAGS, FilterFlags, Listener, OPERATORS,
    Operator, Rule, Seccomp,
};
use crate::text::Str;

/// `MAX_ERRNO` of the kernel, to which it cuts larger numbers.
const ERRNO_MAX: u32 = 4095;

/// System calls have up to six arguments.
const ARGUMENTS: u32 = 6;

/// Calls that hand the listener on from within the filter: nobody could answer them yet. masu uses the second one, and
/// runc, whose profiles these are, the first.
const NEVER_NOTIFIED: [&str; 2] = ["write", "sendmsg"];

const WHY_NO_NOTIFY: &str =
    "nobody can answer the calls that hand the listener on: they are made within the filter";

/// What a name is of, and the hint for one that is none.
type Kind = (&'static str, &'static str);

const ACTION: Kind = ("action", "actions have libseccomp's names, such as SCMP_ACT_ERRNO");
const ARCHITECTURE: Kind =
    ("architecture", "architectures have libseccomp's names, such as SCMP_ARCH_X86_64 for amd64");
const FLAG: Kind = ("flag", "flags have the names of seccomp(2), such as SECCOMP_FILTER_FLAG_LOG");
const OPERATOR: Kind = ("operator", "operators have libseccomp's names, such as SCMP_CMP_EQ for ==");

pub(super) fn seccomp<'a>(
    raw: Option<schema::Seccomp<'a>>,
    at: &Path<'_>,
) -> Result<Option<Seccomp<'a>>, ConfigError> {
    let Some(raw) = raw else { return Ok(None) };
    // A filter without default action and rules is none: runc takes it so.
    if raw.default_action.as_ref().is_none_or(|action| action.is_empty())
        && raw.syscalls.as_ref().is_none_or(Vec::is_empty)
    {
        return Ok(None);
    }
    let action_at = at.field("defaultAction");
    let default_action =
        action(raw.default_action, raw.default_errno_ret, &action_at, "defaultErrnoRet", at)?;
    if default_action == Action::Notify {
        return Err(action_at.illegal_hint("SCMP_ACT_NOTIFY cannot be used as default action", WHY_NO_NOTIFY));
    }
    Ok(Some(Seccomp {
        default_action,
        architectures: architectures(raw.architectures.unwrap_or_default(), &at.field("architectures"))?,
        flags: flags(raw.flags, &at.field("flags"))?,
        listener: listener(raw.listener_path, raw.listener_metadata, at)?,
        rules: rules(raw.syscalls.unwrap_or_default(), &at.field("syscalls"))?,
    }))
}

/// The value that a table has for a name.
fn named<T: Copy>(
    table: &[(&str, T)],
    name: &str,
    (what, hint): Kind,
    at: &Path<'_>,
) -> Result<T, ConfigError> {
    find(table, name, &format!("unknown {what}"), at).map_err(|error| match error {
        ConfigError::Illegal { path, reason, .. } => ConfigError::Illegal { path, reason, hint: Some(hint) },
        other => other,
    })
}

fn action(
    name: Option<Str<'_>>,
    errno: Option<u32>,
    at: &Path<'_>,
    errno_field: &str,
    above: &Path<'_>,
) -> Result<Action, ConfigError> {
    let action = named(ACTIONS, &at.require(name)?, ACTION, at)?;
    let Some(errno) = errno else { return Ok(action) };
    let errno_at = above.field(errno_field);
    let number = u16::try_from(errno).map_err(|_| errno_at.illegal(format!("{errno} is above 65535")))?;
    match action {
        Action::Errno(_) if errno > ERRNO_MAX => {
            Err(errno_at.illegal(format!("{errno} is no errno: the largest is {ERRNO_MAX}")))
        }
        Action::Errno(_) => Ok(Action::Errno(number)),
        Action::Trace(_) => Ok(Action::Trace(number)),
        _ => Err(errno_at.illegal("only SCMP_ACT_ERRNO and SCMP_ACT_TRACE carry a number")),
    }
}

fn architectures(names: Vec<Str<'_>>, at: &Path<'_>) -> Result<Vec<Architecture>, ConfigError> {
    let mut found = Vec::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        let architecture = named(ARCHITECTURES, name, ARCHITECTURE, &at.index(index))?;
        if !found.contains(&architecture) {
            found.push(architecture);
        }
    }
    Ok(found)
}

/// Without a list the mitigation of speculative store bypass is off, as in runc since 1.2 and in crun: it makes every
/// program slower that is filtered, up to twice (runc #2430), and Linux itself has it off since 5.16. A list that is empty
/// leaves it to the kernel.
fn flags(names: Option<Vec<Str<'_>>>, at: &Path<'_>) -> Result<FilterFlags, ConfigError> {
    let Some(names) = names else { return Ok(FilterFlags::SPEC_ALLOW) };
    let flags = names.iter().enumerate();
    flags.map(|(index, name)| named(FILTER_FLAGS, name, FLAG, &at.index(index))).collect()
}

/// Opaque data for nobody is a mistake: it "MUST NOT be set if listenerPath is not set".
fn listener<'a>(
    path: Option<Str<'a>>,
    metadata: Option<Str<'a>>,
    at: &Path<'_>,
) -> Result<Option<Listener<'a>>, ConfigError> {
    let metadata = metadata.filter(|metadata| !metadata.is_empty());
    match (at.field("listenerPath").non_empty(path)?, metadata) {
        (Some(path), metadata) => Ok(Some(Listener { path, metadata })),
        (None, None) => Ok(None),
        (None, Some(_)) => {
            Err(at.field("listenerMetadata").illegal("is set, but listenerPath, which it is for, is not"))
        }
    }
}

fn rules<'a>(raw: Vec<schema::Syscall<'a>>, at: &Path<'_>) -> Result<Vec<Rule<'a>>, ConfigError> {
    let mut rules = Vec::with_capacity(raw.len());
    for (index, raw) in raw.into_iter().enumerate() {
        let at = at.index(index);
        let names = at.field("names").require(raw.names)?;
        if names.is_empty() {
            return Err(at.field("names").illegal("names no system call"));
        }
        let action = action(raw.action, raw.errno_ret, &at.field("action"), "errnoRet", &at)?;
        if action == Action::Notify
            && let Some(name) = names.iter().find(|name| NEVER_NOTIFIED.contains(&name.as_str()))
        {
            let reason = format!("SCMP_ACT_NOTIFY cannot be used for the {} syscall", name.as_str());
            return Err(at.field("action").illegal_hint(reason, WHY_NO_NOTIFY));
        }
        rules.push(Rule {
            names,
            action,
            conditions: conditions(raw.args.unwrap_or_default(), &at.field("args"))?,
        });
    }
    Ok(rules)
}

fn conditions(raw: Vec<schema::SyscallArg<'_>>, at: &Path<'_>) -> Result<Vec<Condition>, ConfigError> {
    let mut conditions = Vec::with_capacity(raw.len());
    for (position, raw) in raw.into_iter().enumerate() {
        let at = at.index(position);
        let index_at = at.field("index");
        let number = index_at.require(raw.index)?;
        let index =
            u8::try_from(number).ok().filter(|index| u32::from(*index) < ARGUMENTS).ok_or_else(|| {
                index_at.illegal(format!("{number} is above 5, the index of the last argument"))
            })?;
        let value = at.field("value").require(raw.value)?;
        let op_at = at.field("op");
        let condition = match named(OPERATORS, &op_at.require(raw.op)?, OPERATOR, &op_at)? {
            Operator::MaskedEqual(_) => Condition {
                index,
                operator: Operator::MaskedEqual(value),
                value: raw.value_two.unwrap_or_default(),
            },
            operator => Condition { index, operator, value },
        };
        conditions.push(condition);
    }
    Ok(conditions)
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};

    use super::*;

    fn read(json: &str) -> Result<Option<Seccomp<'_>>, String> {
        let raw = crate::json::parse(json.as_bytes()).map_err(|error| error.to_string())?;
        seccomp(Some(raw), &Path::Root.field("linux.seccomp")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_profile_is_read_with_its_names_resolved() {
        let seccomp = read(
            r#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38,
                "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X86_64"],
                "flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"],
                "syscalls": [{"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [
                    {"index": 0, "value": 8, "op": "SCMP_CMP_EQ"},
                    {"index": 5, "value": 240, "valueTwo": 16, "op": "SCMP_CMP_MASKED_EQ"}]},
                  {"names": ["ptrace"], "action": "SCMP_ACT_TRACE", "errnoRet": 7}]}"#,
        );
        let expected = Seccomp {
            default_action: Action::Errno(38),
            architectures: alloc::vec![Architecture::X86_64, Architecture::X86],
            flags: FilterFlags::LOG | FilterFlags::SPEC_ALLOW,
            listener: None,
            rules: alloc::vec![
                Rule {
                    names: alloc::vec!["personality".into()],
                    action: Action::Allow,
                    conditions: alloc::vec![
                        Condition { index: 0, operator: Operator::Equal, value: 8 },
                        Condition { index: 5, operator: Operator::MaskedEqual(240), value: 16 },
                    ],
                },
                Rule {
                    names: alloc::vec!["ptrace".into()],
                    action: Action::Trace(7),
                    conditions: Vec::new()
                },
            ],
        };
        assert_eq!(seccomp, Ok(Some(expected)));
    }

    #[test]
    fn a_listener_is_read_with_what_it_is_for() {
        let seccomp = read(
            r#"{"defaultAction": "SCMP_ACT_ERRNO", "listenerPath": "/run/agent", "listenerMetadata": "who",
                "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
                "syscalls": [{"names": ["mknod"], "action": "SCMP_ACT_NOTIFY"},
                    {"names": ["read", "sendmsg"], "action": "SCMP_ACT_ALLOW"},
                    {"names": ["read"], "action": "SCMP_ACT_TRAP", "args": [
                        {"index": 0, "value": 0, "op": "SCMP_CMP_EQ"}]},
                    {"names": ["close"], "action": "SCMP_ACT_ALLOW", "args": [
                        {"index": 0, "value": 0, "op": "SCMP_CMP_EQ"}]}]}"#,
        );
        let seccomp = seccomp.expect("reads").expect("a filter");
        let listener = Listener { path: "/run/agent".into(), metadata: Some("who".into()) };
        assert_eq!(seccomp.listener, Some(listener));
        assert_eq!(seccomp.flags, FilterFlags::WAIT_KILLABLE_RECV);
        assert!(seccomp.notifies());
        // A rule without conditions wins; one with conditions lets through what meets them alone.
        let passing = ["mknod", "read", "sendmsg", "close", "open"].map(|name| seccomp.passes(name));
        assert_eq!(passing, [true, true, true, false, false]);
    }

    #[test]
    fn without_a_list_of_flags_there_is_no_mitigation_and_with_an_empty_one_no_flag() {
        let flags = |json: &str| read(json).expect("reads").expect("a filter").flags;
        assert_eq!(flags(r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#), FilterFlags::SPEC_ALLOW);
        assert_eq!(flags(r#"{"defaultAction": "SCMP_ACT_ALLOW", "flags": []}"#), FilterFlags::empty());
    }

    #[test]
    fn an_empty_profile_is_no_filter() {
        for json in
            ["{}", r#"{"defaultAction": "", "syscalls": []}"#, r#"{"architectures": ["SCMP_ARCH_X86"]}"#]
        {
            assert_eq!(read(json), Ok(None), "{json}");
        }
    }

    #[test]
    fn wrong_values_are_refused_by_their_place() {
        let rule = |rule: &str| format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{rule}]}}"#);
        let with = |field: &str| format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", {field}}}"#);
        let args = |arg: &str| {
            rule(&format!(r#"{{"names": ["read"], "action": "SCMP_ACT_KILL", "args": [{arg}]}}"#))
        };
        let table = [
            (rule("{}").replace("defaultAction", "x"), "linux.seccomp.defaultAction: required, but missing"),
            (rule("{}"), "linux.seccomp.syscalls[0].names: required, but missing"),
            (rule(r#"{"names": []}"#), "linux.seccomp.syscalls[0].names: names no system call"),
            (rule(r#"{"names": ["read"]}"#), "linux.seccomp.syscalls[0].action: required, but missing"),
            (
                rule(r#"{"names": ["read"], "action": "SCMP_ACT_KILL", "errnoRet": 1}"#),
                "linux.seccomp.syscalls[0].errnoRet: only SCMP_ACT_ERRNO and SCMP_ACT_TRACE carry a number",
            ),
            (
                rule(r#"{"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 4096}"#),
                "linux.seccomp.syscalls[0].errnoRet: 4096 is no errno: the largest is 4095",
            ),
            (
                rule(r#"{"names": ["mkdir", "write"], "action": "SCMP_ACT_NOTIFY"}"#),
                "linux.seccomp.syscalls[0].action: SCMP_ACT_NOTIFY cannot be used for the write syscall",
            ),
            (
                rule(r#"{"names": ["sendmsg"], "action": "SCMP_ACT_NOTIFY"}"#),
                "linux.seccomp.syscalls[0].action: SCMP_ACT_NOTIFY cannot be used for the sendmsg syscall",
            ),
            (
                r#"{"defaultAction": "SCMP_ACT_NOTIFY"}"#.into(),
                "linux.seccomp.defaultAction: SCMP_ACT_NOTIFY cannot be used as default action",
            ),
            (
                with(r#""listenerMetadata": "x""#),
                "linux.seccomp.listenerMetadata: is set, but listenerPath, which it is for, is not",
            ),
            (with(r#""listenerPath": "/a\u0000""#), "linux.seccomp.listenerPath: holds a NUL byte"),
            (
                args(r#"{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}"#),
                "linux.seccomp.syscalls[0].args[0].index: 6 is above 5, the index of the last argument",
            ),
        ];
        for (json, message) in table {
            let error = read(&json).expect_err(&json);
            assert_eq!(error.lines().next(), Some(message), "{json}");
        }
    }

    #[test]
    fn a_number_for_an_action_without_one_and_an_argument_in_part_are_refused() {
        let arg = |arg: &str| {
            format!(
                r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                    {{"names": ["read"], "action": "SCMP_ACT_KILL", "args": [{arg}]}}]}}"#
            )
        };
        let at = "linux.seccomp.syscalls[0].args[0]";
        let missing = |field: &str| format!("{at}.{field}: required, but missing");
        let table = [
            (
                r#"{"defaultAction": "SCMP_ACT_KILL", "defaultErrnoRet": 1}"#.into(),
                "linux.seccomp.defaultErrnoRet: only SCMP_ACT_ERRNO and SCMP_ACT_TRACE carry a number".into(),
            ),
            (arg(r#"{"value": 0, "op": "SCMP_CMP_EQ"}"#), missing("index")),
            (arg(r#"{"index": 0, "op": "SCMP_CMP_EQ"}"#), missing("value")),
            (arg(r#"{"index": 0, "value": 0}"#), missing("op")),
        ];
        for (json, message) in table {
            let error = read(&json).expect_err(&json);
            assert_eq!(error.lines().next(), Some(message.as_str()), "{json}");
        }
    }

    #[test]
    fn an_unknown_name_is_told_with_a_hint_of_how_they_are_written() {
        let with = |field: &str| format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", {field}}}"#);
        let rule = |rule: &str| with(&format!(r#""syscalls": [{{"names": ["read"], {rule}}}]"#));
        let table = [
            (r#"{"defaultAction": "KILL"}"#.into(), ACTION),
            (with(r#""architectures": ["amd64"]"#), ARCHITECTURE),
            (with(r#""flags": ["LOG"]"#), FLAG),
            (rule(r#""action": "allow""#), ACTION),
            (rule(r#""action": "SCMP_ACT_LOG", "args": [{"index": 0, "value": 1, "op": "=="}]"#), OPERATOR),
        ];
        for (json, (what, hint)) in table {
            let raw = crate::json::parse(json.as_bytes()).expect(&json);
            let error = seccomp(Some(raw), &Path::Root.field("linux.seccomp")).expect_err(&json);
            assert!(error.to_string().contains(&format!("unknown {what} ")), "{error}");
            assert_eq!(error.hint(), Some(hint), "{json}");
        }
    }

    #[test]
    fn an_unknown_name_is_told_with_those_there_are() {
        let error = read(r#"{"defaultAction": "SCMP_ACT_MAYBE"}"#).expect_err("unknown");
        assert!(
            error.starts_with(
                "linux.seccomp.defaultAction: unknown action \"SCMP_ACT_MAYBE\"; there are SCMP_ACT_ALLOW, "
            ),
            "{error}"
        );
        let error =
            read(r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["X86"]}"#).expect_err("unknown");
        assert!(
            error.starts_with("linux.seccomp.architectures[0]: unknown architecture \"X86\"; "),
            "{error}"
        );
    }
}
