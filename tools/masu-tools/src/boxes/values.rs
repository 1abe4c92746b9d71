//! The values of options, from text. Nothing here looks at the machine.

use masu_app::{Failure, Result};

/// `--entrypoint`: a word, or a JSON array of them; an empty one takes the image's away.
pub(super) fn entrypoint(text: &str) -> Result<Vec<String>> {
    match text {
        "" => Ok(Vec::new()),
        text if text.starts_with('[') => serde_json::from_str(text).map_err(|error| {
            Failure::new(format!("--entrypoint {text}: it is no JSON array of words: {error}"))
        }),
        word => Ok(vec![word.to_owned()]),
    }
}

/// The lines of `--env-file` that say something.
pub(super) fn env_lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// A mount that was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Mount {
    /// `bind`, `tmpfs` or `image`.
    pub(super) kind: String,
    /// Of this machine, or an image's name; nothing for a tmpfs.
    pub(super) source: String,
    pub(super) target: String,
    /// Those of the specification.
    pub(super) options: Vec<String>,
}

/// Options of mount(8) that change one mount, and say nothing of its file system.
const MOUNT_OPTIONS: [&str; 18] = [
    "ro", "rw", "nosuid", "suid", "nodev", "dev", "noexec", "exec", "bind", "rbind", "private", "rprivate",
    "slave", "rslave", "shared", "rshared", "noatime", "relatime",
];

/// `--volume SOURCE:TARGET[:OPTIONS]`
pub(super) fn volume(text: &str) -> Result<Mount> {
    let wrong = |problem: &str| Failure::new(format!("--volume {text}: {problem}"));
    let fields: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match fields.as_slice() {
        [source, target] => (*source, *target, ""),
        [source, target, options] => (*source, *target, *options),
        _ => return Err(wrong("it is not SOURCE:TARGET[:OPTIONS]")),
    };
    if !source.starts_with(['/', '.']) {
        let hint = format!("./{source} for a directory here");
        return Err(Failure::with_hint(wrong("there are no volumes with names").message, hint));
    }
    let options: Vec<String> =
        options.split(',').filter(|word| !word.is_empty()).map(ToOwned::to_owned).collect();
    if let Some(unknown) = options.iter().find(|word| !MOUNT_OPTIONS.contains(&word.as_str())) {
        return Err(wrong(&format!("the option {unknown} is not known")));
    }
    finish(Mount { kind: "bind".into(), source: source.into(), target: target.into(), options }, &wrong)
}

/// `--mount type=bind|tmpfs|image,KEY=VALUE,…`
pub(super) fn mount(text: &str) -> Result<Mount> {
    let wrong = |problem: &str| Failure::new(format!("--mount {text}: {problem}"));
    let mut mount = Mount::default();
    for word in text.split(',') {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match (key, value) {
            ("type", value) => mount.kind = value.into(),
            ("source" | "src", value) => mount.source = value.into(),
            ("target" | "dst" | "destination", value) => mount.target = value.into(),
            ("ro" | "readonly", "" | "true") => mount.options.push("ro".into()),
            ("ro" | "readonly", "false") => mount.options.push("rw".into()),
            ("bind-propagation", value) => mount.options.push(value.into()),
            ("tmpfs-size", value) => mount.options.push(format!("size={value}")),
            ("tmpfs-mode", value) => mount.options.push(format!("mode={value}")),
            (flag, "") if MOUNT_OPTIONS.contains(&flag) => mount.options.push(flag.into()),
            _ => return Err(wrong(&format!("{word} is not known"))),
        }
    }
    match (mount.kind.as_str(), mount.source.is_empty()) {
        ("bind" | "image", true) => Err(wrong("it has no source=")),
        ("tmpfs", false) => Err(wrong("a tmpfs has no source=")),
        ("image", _) if mount.options.iter().any(|word| word == "rw") => {
            Err(wrong("an image can only be read"))
        }
        ("bind" | "tmpfs" | "image", _) => finish(mount, &wrong),
        _ => Err(wrong("its type= is none of bind, tmpfs and image")),
    }
}

fn finish(mut mount: Mount, wrong: &dyn Fn(&str) -> Failure) -> Result<Mount> {
    if !mount.target.starts_with('/') {
        return Err(wrong("the target has to begin with a slash"));
    }
    if mount.kind == "image" {
        mount.options.extend(["ro", "nodev"].map(ToOwned::to_owned));
    }
    let has = |mount: &Mount, names: &[&str]| mount.options.iter().any(|word| names.contains(&word.as_str()));
    if mount.kind != "tmpfs" {
        if !has(&mount, &["bind", "rbind"]) {
            mount.options.push("rbind".into());
        }
        if !has(&mount, &["private", "rprivate", "slave", "rslave", "shared", "rshared"]) {
            mount.options.push("rprivate".into());
        }
    } else {
        mount.options.extend(["nosuid", "nodev"].map(ToOwned::to_owned));
    }
    Ok(mount)
}

/// `--device SOURCE[:TARGET][:rwm]`: source, target and what may be done.
pub(super) fn device(text: &str) -> Result<(&str, &str, &str)> {
    let is_access = |word: &str| !word.is_empty() && word.bytes().all(|byte| b"rwm".contains(&byte));
    let fields: Vec<&str> = text.split(':').collect();
    let found = match fields.as_slice() {
        [source] => (*source, *source, "rwm"),
        [source, access] if is_access(access) => (*source, *source, *access),
        [source, target] => (*source, *target, "rwm"),
        [source, target, access] if is_access(access) => (*source, *target, *access),
        _ => ("", "", ""),
    };
    if found.0.starts_with('/') && found.1.starts_with('/') {
        return Ok(found);
    }
    Err(Failure::new(format!("--device {text}: it is not SOURCE[:TARGET][:rwm]")))
}

/// `--cpus`: the quota in microseconds of a period of 100 ms. The kernel has at least 1 ms.
pub(super) fn cpu_quota(text: &str) -> Result<i64> {
    let wrong = || Failure::new(format!("--cpus {text}: it is no number of at least 0.01"));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if text == "." || text.is_empty() || !digits(whole) || !digits(fraction) {
        return Err(wrong());
    }
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| wrong())? };
    let padded: String = fraction.chars().chain("00000".chars()).take(5).collect();
    let quota =
        whole.checked_mul(100_000).zip(padded.parse().ok()).and_then(|(a, b): (i64, i64)| a.checked_add(b));
    quota.filter(|quota| *quota >= 1000).ok_or_else(wrong)
}

/// `--ulimit NAME=SOFT[:HARD]`: the name of the specification and both values; -1 is no limit.
pub(super) fn ulimit(text: &str) -> Result<(String, u64, u64)> {
    let wrong = |problem: &str| Failure::new(format!("--ulimit {text}: {problem}"));
    let (name, values) = text.split_once('=').ok_or_else(|| wrong("it is not NAME=SOFT[:HARD]"))?;
    let kind = format!("RLIMIT_{}", name.to_ascii_uppercase());
    if masu_spec::rlimit_number(&kind).is_none() {
        return Err(wrong(&format!("the limit {name} is not known")));
    }
    let (soft, hard) = values.split_once(':').unwrap_or((values, values));
    let number = |text: &str| match text {
        "-1" | "unlimited" => Some(u64::MAX),
        text => text.parse().ok(),
    };
    match (number(soft), number(hard)) {
        (Some(soft), Some(hard)) if soft <= hard => Ok((kind, soft, hard)),
        (Some(_), Some(_)) => Err(wrong("the soft limit is above the hard one")),
        _ => Err(wrong("a limit is a number, or -1 for none")),
    }
}

/// A capability as the specification writes it.
pub(super) fn capability(option: &str, text: &str) -> Result<String> {
    let upper = text.to_ascii_uppercase();
    let full = if upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") };
    match masu_spec::capability_number(&full) {
        Some(_) => Ok(full),
        None => Err(Failure::new(format!("--{option} {text}: the capability is not known"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(mount: Result<Mount>) -> std::result::Result<String, String> {
        let mount = mount.map_err(|failure| failure.message)?;
        Ok(format!("{} {} {} {}", mount.kind, mount.source, mount.target, mount.options.join(",")))
    }

    #[test]
    fn a_volume_is_a_private_bind_mount_unless_it_says_otherwise() {
        let cases = [
            ("/a:/b", Ok("bind /a /b rbind,rprivate")),
            ("./a:/b:ro", Ok("bind ./a /b ro,rbind,rprivate")),
            ("/a:/b:bind,rslave", Ok("bind /a /b bind,rslave")),
            ("/a", Err("--volume /a: it is not SOURCE:TARGET[:OPTIONS]")),
            ("a:/b", Err("--volume a:/b: there are no volumes with names")),
            ("/a:b", Err("--volume /a:b: the target has to begin with a slash")),
            ("/a:/b:size=1", Err("--volume /a:/b:size=1: the option size=1 is not known")),
        ];
        for (text, expected) in cases {
            assert_eq!(words(volume(text)), expected.map(Into::into).map_err(Into::into));
        }
    }

    #[test]
    fn a_mount_is_a_bind_mount_a_tmpfs_or_an_image() {
        let cases = [
            ("type=bind,src=/a,dst=/b,ro=true", Ok("bind /a /b ro,rbind,rprivate")),
            ("type=tmpfs,target=/b,tmpfs-size=1m,noexec", Ok("tmpfs  /b size=1m,noexec,nosuid,nodev")),
            ("type=bind,dst=/b", Err("--mount type=bind,dst=/b: it has no source=")),
            ("type=image,src=a:1,dst=/b", Ok("image a:1 /b ro,nodev,rbind,rprivate")),
            (
                "type=image,src=a,dst=/b,rw",
                Err("--mount type=image,src=a,dst=/b,rw: an image can only be read"),
            ),
            ("dst=/b", Err("--mount dst=/b: its type= is none of bind, tmpfs and image")),
            ("type=tmpfs,dst=/b,odd", Err("--mount type=tmpfs,dst=/b,odd: odd is not known")),
        ];
        for (text, expected) in cases {
            assert_eq!(words(mount(text)), expected.map(Into::into).map_err(Into::into));
        }
    }

    #[test]
    fn processors_are_counted_in_hundred_thousandths() {
        for (text, quota) in [("1", 100_000), ("1.5", 150_000), (".25", 25_000), ("0.01", 1000)] {
            assert_eq!(cpu_quota(text).unwrap(), quota, "{text}");
        }
        for text in ["", ".", "0", "-1", "0.001", "x", "1.x", "99999999999999999999"] {
            let message = cpu_quota(text).unwrap_err().message;
            assert_eq!(message, format!("--cpus {text}: it is no number of at least 0.01"));
        }
    }

    #[test]
    fn limits_capabilities_and_devices_are_read_strictly() {
        assert_eq!(ulimit("nofile=5:9").unwrap(), ("RLIMIT_NOFILE".into(), 5, 9));
        assert_eq!(ulimit("core=-1").unwrap(), ("RLIMIT_CORE".into(), u64::MAX, u64::MAX));
        assert_eq!(ulimit("x=1").unwrap_err().message, "--ulimit x=1: the limit x is not known");
        assert_eq!(
            ulimit("nofile=9:5").unwrap_err().message,
            "--ulimit nofile=9:5: the soft limit is above the hard one"
        );
        assert_eq!(capability("cap-add", "sys_time").unwrap(), "CAP_SYS_TIME");
        assert_eq!(
            capability("cap-drop", "fly").unwrap_err().message,
            "--cap-drop fly: the capability is not known"
        );
        assert_eq!(device("/dev/a:/dev/b:r").unwrap(), ("/dev/a", "/dev/b", "r"));
        assert_eq!(device("/dev/a:rw").unwrap(), ("/dev/a", "/dev/a", "rw"));
        assert_eq!(
            device("/dev/a:b").unwrap_err().message,
            "--device /dev/a:b: it is not SOURCE[:TARGET][:rwm]"
        );
    }

    #[test]
    fn an_entry_point_is_a_word_or_a_json_array() {
        assert_eq!(entrypoint("/a b").unwrap(), ["/a b"]);
        assert_eq!(entrypoint(r#"["a","b"]"#).unwrap(), ["a", "b"]);
        assert_eq!(entrypoint("").unwrap(), Vec::<String>::new());
        assert!(entrypoint("[a").unwrap_err().message.starts_with("--entrypoint [a: it is no JSON array"));
    }
}
