//! The configuration that `masu spec` writes.
use alloc::string::String;

/// The file: runc's, with `masu` for its hostname. Two paths are masked that runc leaves open and moby masks:
/// `/proc/interrupts` (keystroke timing) and the energy counters in `/sys/devices/virtual/powercap` (CVE-2020-8694). A
/// text, not a value to serialize: it is what people edit, so its order and layout count, and the engine needs no
/// serializer for the whole schema.
const TEXT: &str = include_str!("default.json");

/// The last element of `linux.namespaces` in [`TEXT`].
const LAST_NAMESPACE: &str = "\"type\": \"mount\"\n\t\t\t}";

/// What `masu spec` writes: indented with tabs, without a newline at the end, as runc's. `unified` is whether the host
/// has the unified cgroup hierarchy alone; the container then gets a cgroup namespace too.
pub fn default_config(unified: bool) -> String {
    let text = TEXT.trim_end();
    if !unified {
        return text.into();
    }
    let with_cgroup = "\"type\": \"mount\"\n\t\t\t},\n\t\t\t{\n\t\t\t\t\"type\": \"cgroup\"\n\t\t\t}";
    text.replacen(LAST_NAMESPACE, with_cgroup, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NamespaceKind, parse_config};

    fn namespaces(text: &str) -> Vec<&'static str> {
        let config = parse_config(text.as_bytes()).unwrap();
        config.linux.namespaces.iter().map(|(kind, _)| kind.name()).collect()
    }

    #[test]
    fn the_default_config_is_accepted_without_a_warning() {
        let text = default_config(false);
        let config = parse_config(text.as_bytes()).unwrap();
        assert_eq!(config.warnings, []);
        assert_eq!(config.hostname.unwrap(), "masu");
        assert_eq!(config.process.args, ["sh"]);
        assert!(config.process.no_new_privileges && config.root.readonly);
        assert_eq!(namespaces(&text), ["pid", "mount", "network", "ipc", "uts"]);
    }

    #[test]
    fn no_capability_is_inheritable_or_ambient() {
        let text = default_config(false);
        let capabilities = parse_config(text.as_bytes()).unwrap().process.capabilities.unwrap();
        let three = 1 << 29 | 1 << 5 | 1 << 10;
        assert_eq!(
            (capabilities.bounding, capabilities.effective, capabilities.permitted),
            (three, three, three)
        );
        assert_eq!((capabilities.inheritable, capabilities.ambient), (0, 0));
    }

    #[test]
    fn a_unified_host_adds_the_cgroup_namespace_and_nothing_else() {
        let (plain, unified) = (default_config(false), default_config(true));
        assert_eq!(namespaces(&unified), ["pid", "mount", "network", "ipc", "uts", "cgroup"]);
        let mut config = parse_config(unified.as_bytes()).unwrap();
        let plain = parse_config(plain.as_bytes()).unwrap();
        assert!(config.linux.namespaces.contains(NamespaceKind::Cgroup));
        config.linux.namespaces = plain.linux.namespaces.clone();
        assert_eq!(config, plain);
    }

    #[test]
    fn the_text_is_json_as_go_indents_it() {
        let text = default_config(true);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let mut lines: Vec<_> = crate::write::pretty(&value, "\t").unwrap().lines().map(strip).collect();
        let mut ours: Vec<_> = text.lines().map(strip).collect();
        // A Value sorts its keys, so only the set of lines and their indents can be compared.
        lines.sort();
        ours.sort();
        assert_eq!(ours, lines);
    }

    fn strip(line: &str) -> String {
        line.trim_end_matches(',').into()
    }
}
