//! Which file descriptors the command has.

use std::fs;

use crate::harness::{Check, Suite, ensure_eq, host};

/// Adds the cases.
pub(crate) fn add(suite: &mut Suite) {
    suite.case("the command has the descriptors 0, 1 and 2 alone", |bench| {
        let container = bench.sleeper(|_| {})?;
        let file = bench.path("pid");
        container.exec_with(&["-d", "--pid-file", &file.to_string_lossy()], &["sleep", "777"]).succeeds()?;
        let pid = fs::read_to_string(&file)?.parse()?;
        host::until_program(pid, "sleep\x00777\0")?;
        ensure_eq!(descriptors(pid)?, [0, 1, 2]);
        Ok(())
    });
    suite.case("`--preserve-fds N` hands on N descriptors from 3 and no more", |bench| {
        let container = bench.sleeper(|_| {})?;
        let script = format!(
            "exec 3</etc/passwd 4</etc/group 5</etc/hostname; exec {} exec --preserve-fds 2 {} \
             sh -c 'head -c 5 <&3 >/dev/null && head -c 5 <&4 > /dev/null && ls /proc/$$/fd; true'",
            bench.command_line(),
            container.id
        );
        let output = bench.program("sh").args(["-c", &script]).succeeds()?;
        ensure_eq!(output.stdout.split_whitespace().collect::<Vec<_>>(), ["0", "1", "2", "3", "4"]);
        Ok(())
    });
}

/// The descriptors of a process of the host.
pub(crate) fn descriptors(pid: i32) -> Check<Vec<u32>> {
    let mut list = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        list.push(entry?.file_name().to_string_lossy().parse()?);
    }
    list.sort_unstable();
    Ok(list)
}
