//! The session keyring: one for each container, the same for all of its processes, gone with it.

use std::fs;

use crate::harness::{Check, Need, Suite, ensure, ensure_eq, host};

/// Permissions of a keyring in /proc/keys, keyrings(7): possessor, user, group, other. Searching is 08.
const PLAIN: &str = "3f1b0000";
const FOR_ALL: &str = "3f1b0008";

/// Adds the cases.
pub(crate) fn add(suite: &mut Suite) {
    suite
        .case("a container has a session keyring of its name, which its user may search", |bench| {
            let container = bench.sleeper(|_| {})?;
            ensure_eq!(permissions(&container.id)?.as_deref(), Some(PLAIN));
            Ok(())
        })
        .needs(&[Need::Root]);
    suite
        .case("in a user namespace everybody may search the session keyring", |bench| {
            let container = bench.sleeper(|config| {
                config.user_namespace().set("/linux/maskedPaths", Vec::<String>::new());
            })?;
            // Only who possesses it may look at it.
            let keys = container.exec("cat /proc/keys")?;
            ensure_eq!(find(&keys, &container.id).as_deref(), Some(FOR_ALL));
            Ok(())
        })
        .needs(&[Need::Ids]);
    for user_namespace in [false, true] {
        let place = if user_namespace { " in a user namespace" } else { "" };
        suite
            .case(format!("a process of exec shares the keyring of its container{place}"), move |bench| {
                let mut bundle = bench.debian_bundle()?;
                bundle.config.args(&["perl", "-e", &format!("{KEYS}; sleep 1000;")]);
                if user_namespace {
                    bundle.config.user_namespace();
                }
                let container = bench.container(bundle)?;
                let running = container.run_in_background()?;
                host::until("the first process", || Ok(running.stdout_so_far()?.ends_with('\n')))?;
                let own = running.stdout_so_far()?;
                let command = container.exec_with(&[], &["perl", "-e", KEYS]).succeeds()?.stdout;
                ensure_eq!(command, own, "serial number of the session keyring");
                container.kill("KILL")?;
                running.wait()?;
                Ok(())
            })
            .needs(&[Need::Debian]);
    }
    suite
        .case("--no-new-keyring leaves the caller's keyring to the container and to exec", |bench| {
            let mut bundle = bench.debian_bundle()?;
            bundle.config.args(&["sleep", "1000"]);
            let container = bench.container(bundle)?;
            let own = bench.program("perl").args(["-e", KEYS]).succeeds()?.stdout;
            container.launch("run", &["--detach", "--no-new-keyring"]).succeeds()?;
            ensure_eq!(permissions(&container.id)?, None);
            ensure_eq!(container.exec_with(&[], &["perl", "-e", KEYS]).succeeds()?.stdout, own);
            ensure_eq!(permissions(&container.id)?, None, "after exec");
            Ok(())
        })
        .needs(&[Need::Debian]);
    suite.case("nothing of the keyring is left after delete", |bench| {
        let container = bench.sleeper(|_| {})?;
        ensure!(permissions(&container.id)?.is_some(), "no keyring");
        container.exec_with(&["-d"], &["sleep", "777"]).succeeds()?;
        container.stop()?;
        container.delete()?;
        host::until("the keyring to go", || Ok(permissions(&container.id)?.is_none()))
    });
}

/// Perl that prints the serial number of its session keyring: keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0).
const KEYS: &str = "$| = 1; print syscall(250, 0, -3, 0), qq{\\n}";

/// The permissions of the container's keyring, as the host sees it.
fn permissions(id: &str) -> Check<Option<String>> {
    Ok(find(&fs::read_to_string("/proc/keys")?, id))
}

fn find(keys: &str, id: &str) -> Option<String> {
    let line = keys.lines().find(|line| line.contains(&format!(" _ses.{id}: ")));
    line.and_then(|line| line.split_whitespace().nth(4)).map(str::to_owned)
}
