//! The configuration that `masu spec --rootless` writes: for an ordinary user with nothing but the own IDs.
use alloc::format;
use alloc::string::String;

use crate::default::default_config;

/// [`default_config`], changed as runc's `ToRootless` changes it: a user namespace in which root is the caller; the
/// host's network, since nobody could give a new one an interface; its `/sys`, since sysfs cannot be mounted without a
/// network namespace of one's own; no group for terminals, since it is not mapped; and no limits.
pub fn rootless_config(unified: bool, uid: u32, gid: u32) -> String {
    let map = |field: &str, host: u32| {
        format!(
            "\t\t\"{field}\": [\n\t\t\t{{\n\t\t\t\t\"containerID\": 0,\n\t\t\t\t\"hostID\": {host},\n\t\t\t\t\"size\": 1\n\
             \t\t\t}}\n\t\t],\n"
        )
    };
    let maps = map("uidMappings", uid) + &map("gidMappings", gid);
    let text = default_config(unified);
    let text = text.replacen(NETWORK, "", 1).replacen(GROUP, "", 1).replacen(SYSFS, SYS, 1);
    let text = text.replacen(RESOURCES, &maps, 1);
    text.replacen(END_OF_NAMESPACES, WITH_USER, 1)
}

const NETWORK: &str = "\t\t\t{\n\t\t\t\t\"type\": \"network\"\n\t\t\t},\n";
const GROUP: &str = ",\n\t\t\t\t\"gid=5\"";
const SYSFS: &str = "\"type\": \"sysfs\",\n\t\t\t\"source\": \"sysfs\",\n\t\t\t\"options\": [\n";
const SYS: &str =
    "\"type\": \"none\",\n\t\t\t\"source\": \"/sys\",\n\t\t\t\"options\": [\n\t\t\t\t\"rbind\",\n";
const RESOURCES: &str = "\t\t\"resources\": {\n\t\t\t\"devices\": [\n\t\t\t\t{\n\t\t\t\t\t\"allow\": false,\n\t\t\t\t\t\
                         \"access\": \"rwm\"\n\t\t\t\t}\n\t\t\t]\n\t\t},\n";
const END_OF_NAMESPACES: &str = "\n\t\t\t}\n\t\t],\n\t\t\"maskedPaths\"";
const WITH_USER: &str =
    "\n\t\t\t},\n\t\t\t{\n\t\t\t\t\"type\": \"user\"\n\t\t\t}\n\t\t],\n\t\t\"maskedPaths\"";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bind, parse_config};

    #[test]
    fn every_part_of_the_default_text_that_is_replaced_is_there() {
        let text = default_config(false);
        for part in [NETWORK, GROUP, SYSFS, RESOURCES, END_OF_NAMESPACES] {
            assert_eq!(text.matches(part).count(), 1, "{part}");
        }
    }

    #[test]
    fn an_ordinary_users_config_has_a_user_namespace_of_one_id_and_the_hosts_network() {
        for (unified, expected) in [
            (false, vec!["pid", "ipc", "uts", "mount", "user"]),
            (true, vec!["pid", "ipc", "uts", "mount", "cgroup", "user"]),
        ] {
            let text = rootless_config(unified, 1000, 1001);
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            let namespaces = value["linux"]["namespaces"].as_array().unwrap();
            let kinds: Vec<_> = namespaces.iter().map(|one| one["type"].as_str().unwrap()).collect();
            assert_eq!(kinds, expected);
            let config = parse_config(text.as_bytes()).unwrap();
            assert_eq!(config.warnings, []);
            assert_eq!(config.linux.uid_mappings.len(), 1);
            assert_eq!(config.linux.uid_mappings[0].to_host(0), Some(1000));
            assert_eq!(config.linux.gid_mappings[0].to_host(0), Some(1001));
            assert_eq!(config.linux.resources, crate::Resources::default());
        }
    }

    #[test]
    fn sys_is_the_hosts_and_terminals_have_no_group() {
        let text = rootless_config(false, 7, 7);
        let config = parse_config(text.as_bytes()).unwrap();
        let sys = config.mounts.iter().find(|mount| mount.destination == "/sys").unwrap();
        assert_eq!((sys.fs_type.as_deref(), sys.source.as_deref()), (None, Some("/sys")));
        assert_eq!(sys.options.bind, Bind::Rbind);
        let default = default_config(false);
        let default = parse_config(default.as_bytes()).unwrap();
        let before = default.mounts.iter().find(|mount| mount.destination == "/sys").unwrap();
        assert_eq!(sys.options.attr, before.options.attr);
        let pts = config.mounts.iter().find(|mount| mount.destination == "/dev/pts").unwrap();
        assert_eq!(pts.options.data, ["newinstance", "ptmxmode=0666", "mode=0620"]);
    }

    #[test]
    fn what_is_not_about_privilege_is_the_default() {
        let (rootless, default) = (rootless_config(false, 0, 0), default_config(false));
        let rootless = parse_config(rootless.as_bytes()).unwrap();
        let default = parse_config(default.as_bytes()).unwrap();
        assert_eq!(rootless.process, default.process);
        assert_eq!(rootless.root, default.root);
        assert_eq!(rootless.hostname, default.hostname);
        assert_eq!(rootless.linux.masked_paths, default.linux.masked_paths);
        assert_eq!(rootless.linux.readonly_paths, default.linux.readonly_paths);
    }

    #[test]
    fn the_text_is_json_as_go_indents_it() {
        let text = rootless_config(true, 1000, 1000);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let mut lines: Vec<_> = crate::write::pretty(&value, "\t").unwrap().lines().map(strip).collect();
        let mut ours: Vec<_> = text.lines().map(strip).collect();
        lines.sort();
        ours.sort();
        assert_eq!(ours, lines);
    }

    fn strip(line: &str) -> String {
        line.trim_end_matches(',').into()
    }
}
