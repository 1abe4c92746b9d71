//! `masu box -d`, `masu logs` and `masu wait`, and what a `kill -9` leaves of them and of a box in the foreground.
#![allow(clippy::unwrap_used, missing_docs)]

use masu_image_tests::{Box, run};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout};
use std::time::Duration;

/// Those of root and those of an ordinary user.
fn both() -> [Box; 2] {
    [Box::new(), Box::of_a_user()]
}

/// The supervisor of a box.
fn supervisor(boxed: &Box, name: &str) -> u32 {
    let found = boxed.supervisors(name);
    assert_eq!(found.len(), 1, "{found:?} are the supervisors of {name}");
    found.first().copied().unwrap()
}

fn kill(pid: u32) {
    run("kill", &["-KILL", &pid.to_string()]);
}

fn lines(child: &mut Child) -> std::io::Lines<BufReader<ChildStdout>> {
    BufReader::new(child.stdout.take().unwrap()).lines()
}

#[test]
fn a_box_in_the_background_is_waited_for_and_leaves_nothing() {
    for boxed in both() {
        let name = boxed
            .leave(&["--name", "one"], "read x < /dev/null; while [ ! -e /go ]; do sleep 0.05; done; exit 7");
        assert_eq!(name, "one");
        let mut waiting = boxed.masu.start_other("wait", &["one"]);
        boxed.masu.engine(&["exec", "one", "touch", "/go"]).good();
        assert_eq!(lines(&mut waiting).next().unwrap().unwrap(), "7");
        assert!(waiting.wait().unwrap().success());
        boxed.nothing_is_left();
        let gone = boxed.masu.other("wait", &["one"]).bad();
        let store = boxed.masu.scratch.path("store").display().to_string();
        let hint = "hint: a box goes when its program has ended, unless masu box had --keep";
        assert_eq!(gone, format!("there is no box one in {store}\n{hint}"));
    }
}

#[test]
fn a_signal_ends_a_box_in_the_background() {
    let boxed = Box::new();
    for signal in ["KILL", "TERM"] {
        let name = boxed.leave(&[], "trap 'exit 9' TERM; echo; while :; do sleep 0.05; done");
        let waiting = boxed.masu.start_other("wait", &[&name]);
        wait_until_it_has_opened(&waiting, &boxed.directory(&name).join("status"));
        // The program's own trap is set when it has said something.
        while boxed.masu.other("logs", &[&name]).good().is_empty() {}
        boxed.masu.engine(&["kill", &name, signal]).good();
        let told = waiting.wait_with_output().unwrap();
        let expected = if signal == "KILL" { "137\n" } else { "9\n" };
        assert_eq!(String::from_utf8_lossy(&told.stdout), expected);
        boxed.nothing_is_left();
    }
}

/// A box may go before a program that waits for it has begun.
fn wait_until_it_has_opened(child: &Child, path: &Path) {
    let directory = format!("/proc/{}/fd", child.id());
    let is_open = || {
        let open = std::fs::read_dir(&directory).unwrap().flatten();
        open.filter_map(|entry| std::fs::read_link(entry.path()).ok()).any(|target| target == path)
    };
    while !is_open() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_box_that_does_not_start_says_why_and_leaves_nothing() {
    for boxed in both() {
        let failed = boxed.run(&["-d"], &["nosuch"]);
        assert_eq!(failed.code, Some(127));
        assert_eq!(failed.stdout, "");
        assert!(failed.bad().starts_with("exec: \"nosuch\": executable file not found in $PATH"));
        assert_eq!(boxed.run(&["-d"], &["/etc"]).code, Some(126));
        assert_eq!(boxed.run(&["-d", "--user", "nobody-there"], &["true"]).code, Some(125));
        let option = boxed.run(&["--log-opt", "max-size=1k"], &["true"]);
        assert_eq!(option.code, Some(125));
        let option = boxed.run(&["-d", "--log-opt", "max-file=1"], &["true"]).bad();
        assert_eq!(option, "--log-opt max-file=1: it is not max-size=SIZE");
        boxed.nothing_is_left();
    }
}

#[test]
fn what_a_kept_box_has_said_is_there_until_it_is_removed() {
    for boxed in both() {
        let script = "echo one; echo two >&2; echo three; printf four; exit 3";
        let name = boxed.leave(&["--keep", "--name", "kept"], script);
        let logs = |words: &[&str]| boxed.masu.other("logs", &[words, &[&name]].concat());
        // With --follow it ends when the box has ended.
        let all = logs(&["-f"]);
        assert_eq!((all.stdout.as_str(), all.stderr.as_str()), ("one\nthree\nfour", "two\n"));
        assert_eq!(boxed.masu.other("wait", &[&name, &name]).good(), "3\n3\n");
        assert_eq!(logs(&["--tail", "0"]).good(), "");
        assert_eq!(logs(&["-n", "2"]).good(), "three\nfour");
        assert_eq!(logs(&["--since", "1h"]).good(), "one\nthree\nfour");
        assert_eq!(logs(&["--since", "2999-01-01"]).good(), "");
        let timed = logs(&["-t", "--tail", "1"]).good();
        let (time, text) = timed.split_once(' ').unwrap();
        assert_eq!((time.len(), &time[..2], text), ("2026-11-23T21:38:13.123456789Z".len(), "20", "four"));
        let wrong = logs(&["--since", "tomorrow"]).bad();
        let hint = "hint: 90s, 10m, 1h30m, or a time as 2026-11-23T21:38:13Z";
        assert_eq!(wrong, format!("--since tomorrow: it is no time\n{hint}"));
        boxed.masu.engine(&["delete", &name]).good();
        boxed.masu.bundle(&["rm", &boxed.directory(&name).display().to_string()]).good();
        boxed.nothing_is_left();
    }
}

#[test]
fn who_follows_sees_every_line_and_the_end() {
    let boxed = Box::new();
    let wait = "while [ ! -e /go ]; do sleep 0.05; done";
    let name = boxed.leave(&[], &format!("echo begin; {wait}; seq 1 5000; echo end"));
    let mut following = boxed.masu.start_other("logs", &["-f", &name]);
    let mut lines = lines(&mut following);
    assert_eq!(lines.next().unwrap().unwrap(), "begin");
    boxed.masu.engine(&["exec", &name, "touch", "/go"]).good();
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    let expected: Vec<String> =
        (1..=5000).map(|number| number.to_string()).chain(["end".to_owned()]).collect();
    assert_eq!(rest, expected);
    assert!(following.wait().unwrap().success());
    boxed.nothing_is_left_of(&name);
}

#[test]
fn the_output_takes_twice_its_limit_at_most() {
    let boxed = Box::new();
    let script = "i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); done";
    let name = boxed.leave(&["--keep", "--log-opt", "max-size=4k"], script);
    boxed.masu.other("wait", &[&name]).good();
    for file in ["output.log", "output.log.1"] {
        let length = std::fs::metadata(boxed.directory(&name).join(file)).unwrap().len();
        assert!(length <= 4096, "{file}: {length}");
    }
    assert_eq!(boxed.masu.other("logs", &["--tail", "2", &name]).good(), "line 298\nline 299\n");
    boxed.masu.engine(&["delete", &name]).good();
    boxed.masu.bundle(&["rm", &boxed.directory(&name).display().to_string()]).good();
    boxed.nothing_is_left();
}

#[test]
fn a_box_in_the_background_has_the_streams_that_were_asked_for() {
    for boxed in both() {
        let name = boxed.leave(&["-t"], "tty; test -t 0 && test -t 2 && echo yes; cat > /dev/null");
        let mut following = boxed.masu.start_other("logs", &["-f", &name]);
        let said: Vec<String> = lines(&mut following).take(2).map(Result::unwrap).collect();
        assert_eq!(said, ["/dev/pts/0", "yes"]);
        boxed.masu.engine(&["kill", &name, "KILL"]).good();
        following.wait().unwrap();
        boxed.nothing_is_left_of(&name);
        // Without -i nothing can be read, and with it nothing ends.
        let name = boxed.leave(&["--keep"], "cat; echo end");
        assert_eq!(boxed.masu.other("logs", &["-f", &name]).good(), "end\n");
        boxed.masu.engine(&["delete", &name]).good();
        boxed.masu.bundle(&["rm", &boxed.directory(&name).display().to_string()]).good();
        let name = boxed.leave(&["-i"], "echo begin; cat; echo end");
        let mut following = boxed.masu.start_other("logs", &["-f", &name]);
        assert_eq!(lines(&mut following).next().unwrap().unwrap(), "begin");
        boxed.masu.engine(&["kill", &name, "KILL"]).good();
        following.wait().unwrap();
        boxed.nothing_is_left_of(&name);
    }
}

#[test]
fn logs_and_wait_say_what_a_box_in_the_foreground_is() {
    let boxed = Box::new();
    boxed.run(&["--name", "front", "--keep"], &["true"]).good();
    let told = boxed.masu.other("logs", &["front"]).bad();
    assert_eq!(told, "box front is not in the background: its output is nowhere kept\nhint: masu box -d");
    let told = boxed.masu.other("wait", &["front"]).bad();
    let hint = "hint: the exit code of masu box itself is its program's";
    assert_eq!(told, format!("box front is not in the background\n{hint}"));
    assert_eq!(boxed.masu.other("wait", &["../x"]).code, Some(1));
    boxed.masu.engine(&["delete", "front"]).good();
    boxed.masu.bundle(&["rm", &boxed.directory("front").display().to_string()]).good();
    boxed.nothing_is_left();
}

#[test]
fn a_box_whose_supervisor_is_killed_runs_on_and_can_be_removed() {
    for boxed in both() {
        let name = boxed.leave(&["--name", "orphan"], "echo begin; while :; do sleep 0.05; done");
        let waiting = boxed.masu.start_other("wait", &[&name]);
        wait_until_it_has_opened(&waiting, &boxed.directory(&name).join("status"));
        let mut following = boxed.masu.start_other("logs", &["-f", &name]);
        assert_eq!(lines(&mut following).next().unwrap().unwrap(), "begin");
        kill(supervisor(&boxed, &name));
        assert!(following.wait().unwrap().success());
        let told = waiting.wait_with_output().unwrap();
        let directory = boxed.directory(&name).display().to_string();
        let hint = format!("hint: masu delete --force orphan, then masu bundle rm {directory}");
        let lost = format!("masu: box orphan has lost its supervisor, and its exit code with it\n{hint}\n");
        assert_eq!(String::from_utf8_lossy(&told.stderr), lost);
        assert!(boxed.masu.engine(&["state", &name]).good().contains("\"running\""));
        assert_eq!(boxed.masu.other("logs", &[&name]).good(), "begin\n");
        let used = boxed.masu.bundle(&["rm", &directory]).bad();
        assert_eq!(used, format!("bundle {directory} is container orphan's\nhint: masu delete orphan first"));
        boxed.masu.engine(&["delete", "--force", &name]).good();
        boxed.masu.bundle(&["rm", &directory]).good();
        boxed.masu.call(&["prune"]).good();
        boxed.nothing_is_left();
    }
}

#[test]
fn a_box_is_removed_by_its_supervisor_when_somebody_deletes_its_container() {
    let boxed = Box::new();
    let name = boxed.leave(&[], "while :; do sleep 0.05; done");
    let waiting = boxed.masu.start_other("wait", &[&name]);
    wait_until_it_has_opened(&waiting, &boxed.directory(&name).join("status"));
    boxed.masu.engine(&["delete", "--force", &name]).good();
    assert_eq!(waiting.wait_with_output().unwrap().stdout, b"137\n");
    boxed.nothing_is_left();
}

/// Kills everything that a box has started, at a point in time that is another in each round, and cleans up with the two
/// commands that a person has.
fn kill_all_and_clean(boxed: &Box, begin: impl Fn(&Box) -> Child) {
    for milliseconds in (0..60).step_by(6) {
        let mut child = begin(boxed);
        std::thread::sleep(Duration::from_millis(milliseconds));
        // By itself: its command line may not be that of masu yet.
        child.kill().unwrap();
        child.wait().unwrap();
        boxed.kill_and_clean();
    }
}

#[test]
fn whatever_is_killed_in_the_foreground_the_machine_comes_back() {
    for boxed in both() {
        kill_all_and_clean(&boxed, |boxed| {
            boxed.masu.start_box(&["--name", "front-killed", &boxed.image, "sleep", "1000"])
        });
    }
}

#[test]
fn whatever_is_killed_in_the_background_the_machine_comes_back() {
    for boxed in both() {
        kill_all_and_clean(&boxed, |boxed| {
            boxed.masu.start_box(&["-d", "--name", "back-killed", &boxed.image, "sleep", "1000"])
        });
    }
}

#[test]
fn a_supervisor_holds_nothing_of_who_has_started_it() {
    let boxed = Box::new();
    let name = "alone";
    boxed.masu.boxed_with_descriptor_9(&["-d", "--name", name, &boxed.image, "sleep", "1000"]).good();
    let pid = supervisor(&boxed, name);
    let targets = || {
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
        let mut targets: Vec<String> = open
            .filter_map(|entry| Some(std::fs::read_link(entry.path()).ok()?.display().to_string()))
            .map(|target| target.split(':').next().unwrap().to_owned())
            .collect();
        targets.sort();
        targets
    };
    let directory = boxed.directory(name).display().to_string();
    let files = [format!("{directory}/output.log"), format!("{directory}/status")];
    let mut expected = ["/dev/null", "/dev/null", "/dev/null", "anon_inode", "anon_inode", "pipe", "pipe"]
        .map(ToOwned::to_owned)
        .to_vec();
    expected.extend(files);
    expected.sort();
    // It lets go of its own standard streams after it has said that the program runs.
    for _ in 0..100 {
        if targets() == expected {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(targets(), expected);
    boxed.masu.engine(&["kill", name, "KILL"]).good();
    boxed.nothing_is_left_of(name);
}
