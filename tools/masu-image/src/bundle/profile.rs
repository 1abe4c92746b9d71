//! The profile for system calls that a bundle gets, in Docker's format: rules for capabilities and architectures.

#![expect(clippy::indexing_slicing, reason = "of objects that this file has just made")]

use serde::Deserialize;
use serde_json::{Value, json};

/// Ours: what Docker's default allows, less what has led out of containers since: io_uring, AF_ALG and AF_VSOCK sockets
/// (CVE-2026-123876), and socketcall(2), whose arguments no filter can see.
const DEFAULT: &str = include_str!("seccomp.json");

/// A profile before it is known for whom.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    default_action: String,
    default_errno_ret: Option<u32>,
    #[serde(default)]
    syscalls: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    names: Vec<String>,
    action: String,
    args: Option<Value>,
    errno_ret: Option<u32>,
    #[serde(default)]
    includes: Condition,
    #[serde(default)]
    excludes: Condition,
}

/// For whom a rule is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Condition {
    caps: Vec<String>,
    arches: Vec<String>,
}

/// A processor, by Go's name, and the names of its architectures in the runtime specification.
struct Architecture {
    name: &'static str,
    filters: &'static [&'static str],
    /// The names in the rules of a profile.
    arches: &'static [&'static str],
}

const ARCHITECTURES: [Architecture; 3] = [
    Architecture {
        name: "x86_64",
        filters: &["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        arches: &["amd64", "x86", "x32"],
    },
    Architecture {
        name: "aarch64",
        filters: &["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
        arches: &["arm64", "arm"],
    },
    Architecture { name: "riscv64", filters: &["SCMP_ARCH_RISCV64"], arches: &["riscv64"] },
];

impl Profile {
    /// Reads a profile.
    ///
    /// # Errors
    ///
    /// What is wrong with its text.
    pub fn parse(text: &str) -> serde_json::Result<Self> {
        serde_json::from_str(text)
    }

    /// The profile that comes with masu.
    ///
    /// # Errors
    ///
    /// None, as a test shows.
    pub fn default_one() -> serde_json::Result<Self> {
        Self::parse(DEFAULT)
    }

    /// `linux.seccomp` of a configuration whose process may have these capabilities, on this machine.
    #[must_use]
    pub fn for_capabilities(&self, capabilities: &[&str]) -> Value {
        let this = ARCHITECTURES.iter().find(|one| one.name == std::env::consts::ARCH);
        let arches = this.map_or(&[][..], |one| one.arches);
        let has = |cap: &String| capabilities.contains(&cap.as_str());
        let is_here = |arch: &String| arches.contains(&arch.as_str());
        let applies = |rule: &&Rule| {
            rule.includes.caps.iter().all(has)
                && (rule.includes.arches.is_empty() || rule.includes.arches.iter().any(is_here))
                && !rule.excludes.caps.iter().any(has)
                && !rule.excludes.arches.iter().any(is_here)
        };
        let rules: Vec<Value> = self.syscalls.iter().filter(applies).map(Rule::to_json).collect();
        let mut seccomp = json!({ "defaultAction": self.default_action });
        if let Some(errno) = self.default_errno_ret {
            seccomp["defaultErrnoRet"] = errno.into();
        }
        seccomp["architectures"] = this.map_or(json!([]), |one| json!(one.filters));
        seccomp["syscalls"] = rules.into();
        seccomp
    }
}

impl Rule {
    fn to_json(&self) -> Value {
        let mut rule = json!({ "names": self.names, "action": self.action });
        if let Some(args) = &self.args {
            rule["args"] = args.clone();
        }
        if let Some(errno) = self.errno_ret {
            rule["errnoRet"] = errno.into();
        }
        rule
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules_for<'a>(seccomp: &'a Value, name: &str) -> Vec<&'a Value> {
        let rules = seccomp["syscalls"].as_array().unwrap().iter();
        rules.filter(|rule| rule["names"].as_array().unwrap().contains(&name.into())).collect()
    }

    #[test]
    fn a_capability_opens_its_system_calls_and_closes_what_stands_in_for_them() {
        let profile = Profile::default_one().unwrap();
        let (plain, mighty) = (profile.for_capabilities(&[]), profile.for_capabilities(&["CAP_SYS_ADMIN"]));
        for name in ["mount", "unshare", "setns", "bpf"] {
            assert_eq!(rules_for(&plain, name).len(), 0, "{name}");
            assert_eq!(rules_for(&mighty, name).len(), 1, "{name}");
        }
        assert_eq!(rules_for(&plain, "clone3")[0]["errnoRet"], 38);
        assert_eq!(rules_for(&plain, "clone")[0]["args"][0]["op"], "SCMP_CMP_MASKED_EQ");
        assert_eq!(rules_for(&mighty, "clone3")[0]["action"], "SCMP_ACT_ALLOW");
        assert_eq!(rules_for(&mighty, "clone")[0]["args"], Value::Null);
    }

    #[test]
    fn what_has_led_out_of_containers_is_in_no_rule() {
        let seccomp = Profile::default_one().unwrap().for_capabilities(&[]);
        for name in ["io_uring_setup", "socketcall", "keyctl", "add_key", "userfaultfd", "open_by_handle_at"]
        {
            assert_eq!(rules_for(&seccomp, name).len(), 0, "{name}");
        }
        let families: Vec<_> = rules_for(&seccomp, "socket")
            .iter()
            .map(|rule| (rule["args"][0]["op"].as_str().unwrap(), rule["args"][0]["value"].as_u64().unwrap()))
            .collect();
        // Not "unequal 38 and 40": the kernel looks at 32 bits of the 64, so that a greater number is AF_ALG too.
        let equal = |family| ("SCMP_CMP_EQ", family);
        assert_eq!(
            families,
            [("SCMP_CMP_LT", 38), equal(39), equal(41), equal(42), equal(43), equal(44), equal(45)]
        );
    }

    #[test]
    fn a_profile_that_is_none_is_an_error() {
        for text in ["", "{}", r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"name":"read"}]}"#] {
            assert!(Profile::parse(text).is_err(), "{text}");
        }
    }
}
