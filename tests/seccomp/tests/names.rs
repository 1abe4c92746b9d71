//! The list of names that some architecture has and another has not.

use std::collections::BTreeSet;

#[test]
fn the_list_holds_what_not_every_architecture_has() {
    let all = masu_seccomp_tests::names();
    let mut union: BTreeSet<_> = all.iter().flatten().copied().collect();
    // The indirect call of mips, which the tables leave out and podman's profile names.
    union.insert("syscall");
    // The private calls of arm, which are no part of its table.
    union.extend(["breakpoint", "cacheflush", "get_tls", "set_tls", "usr26", "usr32"]);
    let everywhere = |name: &str| all.iter().all(|names| names.contains(&name));
    let expected: Vec<_> = union.into_iter().filter(|name| !everywhere(name)).collect();
    let list = include_str!("../../../engine/masu-seccomp/src/not_everywhere.txt");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write("../../engine/masu-seccomp/src/not_everywhere.txt", expected.join("\n") + "\n")
            .unwrap();
        return;
    }
    assert_eq!(list.lines().collect::<Vec<_>>(), expected, "UPDATE_SNAPSHOTS=1 writes it anew");
}
