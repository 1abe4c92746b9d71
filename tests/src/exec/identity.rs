//! Who the command is: user, groups, capabilities.

use crate::harness::{Bench, Check, Need, Suite, ensure, ensure_eq};

/// What `-u` takes: the text, and uid and gid as `id` shows them, or none where it must be refused.
/// CVE-2026-30892: crun read `-u 1` as uid 0.
const USERS: &[(&str, Option<&str>)] = &[
    ("0", Some("0:0")),
    ("1", Some("1:0")),
    ("1:2", Some("1:2")),
    ("1000", Some("1000:0")),
    ("1000:1000", Some("1000:1000")),
    ("01", Some("1:0")),
    ("2147483647:2147483647", Some("2147483647:2147483647")),
    ("4294967295", None),
    ("4294967296", None),
    ("1:4294967295", None),
    ("-1", None),
    ("1:", None),
    (":1", None),
    ("1:2:3", None),
    ("1x", None),
    ("0x1", None),
    ("1 ", None),
    (" 1", None),
    ("root", None),
];

/// Capabilities by their number in the sets of /proc/PID/status.
const NET_ADMIN: u64 = 1 << 12;
const DEFAULT: u64 = (1 << 5) | (1 << 10) | (1 << 29);

/// Adds the cases.
#[expect(clippy::too_many_lines, reason = "a flat list of cases")]
pub(crate) fn add(suite: &mut Suite) {
    for (text, ids) in USERS {
        let sentence = match ids {
            Some(ids) => format!("`-u '{text}'` is {ids}"),
            None => format!("`-u '{text}'` is refused"),
        };
        let needs: &[Need] = match ids {
            // The range that an ordinary user is granted has 65536 ids.
            Some(ids) if ids.len() > "65536:65536".len() => &[Need::Root],
            Some(ids) if *ids != "0:0" => &[Need::Ids],
            _ => &[],
        };
        suite.case(sentence, |bench| user(bench, text, *ids)).needs(needs);
    }
    suite
        .case("`-g` adds groups", |bench| {
            let container = bench.sleeper(|_| {})?;
            let options = ["-u", "5:6", "-g", "100", "-g", "65000"];
            let output = container.exec_with(&options, &["id", "-G"]).succeeds()?;
            ensure_eq!(output.text(), "6 100 65000");
            Ok(())
        })
        .needs(&[Need::Ids]);
    suite
        .case("without `-g` there are no additional groups of the host", |bench| {
            let container = bench.sleeper(|_| {})?;
            ensure_eq!(container.exec_with(&["-u", "5:6"], &["id", "-G"]).succeeds()?.text(), "6");
            Ok(())
        })
        .needs(&[Need::Ids]);
    suite.case("the capabilities are those of the container", |bench| {
        let container = bench.sleeper(|_| {})?;
        let [inheritable, permitted, effective, bounding, _] =
            sets(&container.exec("cat /proc/self/status")?);
        ensure_eq!([inheritable, permitted, effective, bounding], [0, DEFAULT, DEFAULT, DEFAULT]);
        Ok(())
    });
    suite.case(
        "`--cap` adds to the bounding, effective and permitted sets, never to the inheritable",
        |bench| {
            let container = bench.sleeper(|_| {})?;
            let all = DEFAULT | NET_ADMIN;
            for flag in ["--cap", "-c"] {
                let output = container
                    .exec_with(&[flag, "CAP_NET_ADMIN"], &["cat", "/proc/self/status"])
                    .succeeds()?;
                let [inheritable, permitted, effective, bounding, _] = sets(&output.stdout);
                ensure_eq!([inheritable, permitted, effective, bounding], [0, all, all, all]);
            }
            Ok(())
        },
    );
    suite
        .case("an ordinary user keeps only the ambient capabilities", |bench| {
            let container = bench.sleeper(|config| {
                config.capabilities(&["CAP_KILL"]);
            })?;
            let output =
                container.exec_with(&["-u", "1000:1000"], &["cat", "/proc/self/status"]).succeeds()?;
            let [inheritable, permitted, effective, bounding, ambient] = sets(&output.stdout);
            ensure_eq!([inheritable, permitted, effective, bounding, ambient], [0, 0, 0, 1 << 5, 0]);
            Ok(())
        })
        .needs(&[Need::Ids]);
    suite.case("`--no-new-privs` sets the flag", |bench| {
        let container = bench.sleeper(|config| {
            config.set("/process/noNewPrivileges", false);
        })?;
        let read = ["grep", "NoNewPrivs", "/proc/self/status"];
        ensure_eq!(container.exec_with(&[], &read).succeeds()?.text(), "NoNewPrivs:\t0");
        ensure_eq!(container.exec_with(&["--no-new-privs"], &read).succeeds()?.text(), "NoNewPrivs:\t1");
        Ok(())
    });
    suite.case("the resource limits are those of the container", |bench| {
        let container = bench.sleeper(|_| {})?;
        ensure_eq!(container.exec("ulimit -n")?, "1024");
        Ok(())
    });
    suite
        .case("in a user namespace root is root inside and ordinary outside", |bench| {
            let container = bench.sleeper(|config| {
                config.user_namespace();
            })?;
            ensure_eq!(container.exec("id -u; cat /proc/self/uid_map | tr -s ' '")?, "0\n 0 100000 65536");
            Ok(())
        })
        .needs(&[Need::Ids]);
}

/// CapInh, CapPrm, CapEff, CapBnd and CapAmb of a status file.
pub(crate) fn sets(status: &str) -> [u64; 5] {
    ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map(|name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
        line.and_then(|text| u64::from_str_radix(text, 16).ok()).unwrap_or(u64::MAX)
    })
}

fn user(bench: &Bench<'_>, text: &str, ids: Option<&str>) -> Check {
    let container = bench.sleeper(|_| {})?;
    let output = container.exec_with(&["-u", text], &["sh", "-c", "echo $(id -u):$(id -g)"]).output()?;
    match ids {
        Some(ids) => ensure_eq!(output.exits_with(0)?.text(), ids),
        None => ensure!(output.code.is_some_and(|code| code != 0) && output.stdout.is_empty(), "{output}"),
    }
    Ok(())
}
