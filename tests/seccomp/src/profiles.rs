//! The default profiles of engines, and what an engine hands to its runtime of them.
//!
//! A profile in `profiles/` is a text of lines:
//! ```text
//! default ACTION
//! architecture MACHINE SIBLING…
//! ACTION CONDITION… NAME… ARGUMENT…
//!     NAME…
//! ```
//! An action is `allow` or `errno=NUMBER`. A condition is `if:` or `unless:` and a capability, processors by Go's names
//! (one of which it has to be) or `linux>=VERSION`. Arguments are compared as in `arg0==1` and `arg0&6==2`, with all that
//! a rule has. Names that are indented belong to the rule above.

use masu_spec::{ARCHITECTURES, Action, Architecture, Condition, FilterFlags, Operator, Rule, Seccomp};

/// Docker's.
pub const DOCKER: &str = include_str!("../profiles/docker.txt");
/// containerd's.
pub const CONTAINERD: &str = include_str!("../profiles/containerd.txt");
/// podman's.
pub const PODMAN: &str = include_str!("../profiles/podman.txt");

/// For whom a profile is resolved.
#[derive(Debug, Clone, Copy)]
pub struct Container<'a> {
    /// The machine's processor.
    pub machine: Architecture,
    /// The same by Go's name.
    pub processor: &'a str,
    /// The container's capabilities.
    pub capabilities: &'a [&'a str],
    /// The kernel's version.
    pub linux: (u32, u32),
}

/// What an engine hands to its runtime.
///
/// # Errors
///
/// A line that is none of a profile.
pub fn resolve<'a>(profile: &'a str, container: &Container<'_>) -> Result<Seccomp<'a>, String> {
    let mut seccomp = Seccomp {
        default_action: Action::KillProcess,
        architectures: Vec::new(),
        flags: FilterFlags::default(),
        listener: None,
        rules: Vec::new(),
    };
    let mut applies = false;
    for line in profile.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let read = |read: Option<()>| read.ok_or_else(|| format!("no line of a profile: {line}"));
        let mut words = line.trim_end_matches(':').split_whitespace();
        if line.starts_with(' ') {
            let rule = seccomp.rules.last_mut().filter(|_| applies);
            rule.into_iter().for_each(|rule| rule.names.extend(words.by_ref().map(Into::into)));
            continue;
        }
        match words.next() {
            Some("default") => read((|| {
                seccomp.default_action = action(words.next()?)?;
                Some(())
            })())?,
            Some("architecture") => read((|| {
                let all = words.map(architecture).collect::<Option<Vec<_>>>()?;
                if all.first() == Some(&container.machine) {
                    seccomp.architectures = all;
                }
                Some(())
            })())?,
            first => read((|| {
                let (rule, holds) = rule(first?, words, container)?;
                applies = holds;
                seccomp.rules.extend(holds.then_some(rule));
                Some(())
            })())?,
        }
    }
    Ok(seccomp)
}

/// A rule, and whether it is one of this container.
fn rule<'a>(
    first: &str,
    words: impl Iterator<Item = &'a str>,
    container: &Container<'_>,
) -> Option<(Rule<'a>, bool)> {
    let mut rule = Rule { names: Vec::new(), action: action(first)?, conditions: Vec::new() };
    let mut applies = true;
    for word in words {
        if let Some(condition) = word.strip_prefix("if:") {
            applies &= holds(condition, container)?;
        } else if let Some(condition) = word.strip_prefix("unless:") {
            applies &= !holds(condition, container)?;
        } else if let Some(comparison) = word.strip_prefix("arg") {
            rule.conditions.push(compare(comparison)?);
        } else {
            rule.names.push(word.into());
        }
    }
    Some((rule, applies))
}

fn holds(condition: &str, container: &Container<'_>) -> Option<bool> {
    if condition.starts_with("CAP_") {
        return Some(container.capabilities.contains(&condition));
    }
    if let Some(version) = condition.strip_prefix("linux>=") {
        let (major, minor) = version.split_once('.')?;
        return Some(container.linux >= (major.parse().ok()?, minor.parse().ok()?));
    }
    Some(condition.split(',').any(|processor| processor == container.processor))
}

fn action(word: &str) -> Option<Action> {
    match word.split_once('=') {
        None if word == "allow" => Some(Action::Allow),
        Some(("errno", number)) => Some(Action::Errno(number.parse().ok()?)),
        _ => None,
    }
}

fn architecture(word: &str) -> Option<Architecture> {
    ARCHITECTURES.iter().find(|(name, _)| *name == word).map(|(_, architecture)| *architecture)
}

/// What follows `arg`.
fn compare(text: &str) -> Option<Condition> {
    let (index, rest) = text.split_at_checked(1)?;
    let index = index.parse().ok()?;
    if let Some((mask, value)) = rest.strip_prefix('&').and_then(|rest| rest.split_once("==")) {
        let operator = Operator::MaskedEqual(number(mask)?);
        return Some(Condition { index, operator, value: number(value)? });
    }
    let operators = [
        ("==", Operator::Equal),
        ("!=", Operator::NotEqual),
        ("<", Operator::Less),
        (">", Operator::Greater),
    ];
    let (operator, value) =
        operators.iter().find_map(|(sign, operator)| Some((*operator, rest.strip_prefix(sign)?)))?;
    Some(Condition { index, operator, value: number(value)? })
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_x86_64(profile: &str, capabilities: &[&str]) -> Result<String, String> {
        let machine = Architecture::X86_64;
        let container = Container { machine, processor: "amd64", capabilities, linux: (5, 14) };
        resolve(profile, &container).map(|seccomp| {
            let rule = |rule: &Rule<'_>| {
                let names: Vec<_> = rule.names.iter().map(masu_spec::Str::as_str).collect();
                format!("{:?} {} {}", rule.action, names.join(" "), rule.conditions.len())
            };
            seccomp.rules.iter().map(rule).collect::<Vec<_>>().join("; ")
        })
    }

    #[test]
    fn a_rule_is_there_for_those_whom_its_conditions_name() {
        let profile = "default errno=1\nallow:\n    read write\nallow if:CAP_BPF bpf\nallow if:linux>=6.0:\n    fork\n\
                       errno=38 unless:CAP_BPF if:amd64,x32 bpf arg0&6==2 arg1<0x10\n";
        assert_eq!(on_x86_64(profile, &["CAP_BPF"]), Ok("Allow read write 0; Allow bpf 0".into()));
        assert_eq!(on_x86_64(profile, &[]), Ok("Allow read write 0; Errno(38) bpf 2".into()));
    }

    #[test]
    fn a_line_that_is_none_is_told() {
        for line in ["refuse read", "allow read arg0~1", "architecture X86", "default"] {
            assert_eq!(on_x86_64(line, &[]), Err(format!("no line of a profile: {line}")));
        }
    }
}
