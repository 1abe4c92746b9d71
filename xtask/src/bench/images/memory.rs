//! How much memory a command takes, with all that it starts.

use anyhow::Result;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often it is looked at. What a process had at its largest (VmHWM) is known until it ends.
const INTERVAL: Duration = Duration::from_millis(10);

/// The largest sum, in KB, of what the processes that `work` started had at their largest, of those alive at the same
/// time.
pub(super) fn peak(work: impl FnOnce() -> Result<()>) -> Result<u64> {
    let before = children_of(std::process::id());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let mut peak = 0;
            while !done.load(Ordering::Relaxed) {
                let started = children_of(std::process::id());
                let sum = started.into_iter().filter(|child| !before.contains(child)).map(sum_of_tree).sum();
                peak = peak.max(sum);
                std::thread::sleep(INTERVAL);
            }
            peak
        });
        let result = work();
        done.store(true, Ordering::Relaxed);
        let peak = watching.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        result.map(|()| peak)
    })
}

fn sum_of_tree(process: u32) -> u64 {
    let below: u64 = children_of(process).into_iter().map(sum_of_tree).sum();
    if is_ourselves(process) {
        return below;
    }
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    below + parse_peak(&status).unwrap_or(0)
}

/// Between vfork(2) and execve(2) a child has our memory, and the peak of that. Asked for before the peak is: afterwards it
/// could have become what it is to be.
fn is_ourselves(process: u32) -> bool {
    let program = |process: &str| Path::new("/proc").join(process).join("exe").read_link().ok();
    program(&process.to_string()).is_some_and(|of_child| Some(of_child) == program("self"))
}

/// None when it has ended.
fn children_of(process: u32) -> Vec<u32> {
    let mut children = Vec::new();
    let threads = Path::new("/proc").join(process.to_string()).join("task").read_dir();
    for thread in threads.into_iter().flatten().flatten() {
        let list = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        children.extend(list.split_whitespace().filter_map(|word| word.parse::<u32>().ok()));
    }
    children
}

/// VmHWM of proc_pid_status(5), in KB. A zombie has none.
fn parse_peak(status: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    value.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn the_peak_of_a_process_is_read_from_its_status() {
        assert_eq!(parse_peak("Name:\ta\nVmHWM:\t    2660 kB\nVmRSS:\t 1 kB\n"), Some(2660));
        assert_eq!(parse_peak("Name:\ta\nState:\tZ (zombie)\n"), None);
    }

    #[test]
    fn a_child_that_is_not_yet_what_it_will_be_is_not_counted() {
        let own = std::hint::black_box(vec![1_u8; 64 << 20]);
        let peak = peak(|| {
            for _ in 0..300 {
                Command::new("true").status()?;
            }
            Command::new("sleep").arg("0.1").status()?;
            Ok(())
        })
        .unwrap();
        assert!(peak > 0 && peak < 32 << 10, "{peak} KB beside our own {}", own.len());
    }

    #[test]
    fn the_children_of_children_are_counted() {
        let run = |script: &str| {
            peak(|| {
                Command::new("sh").args(["-c", script]).status()?;
                Ok(())
            })
            .unwrap()
        };
        let one = run("sleep 0.2; :");
        let three = run("(sleep 0.2; :) & (sleep 0.2; :) & wait");
        assert!(three > one, "{three} KB of more processes than {one} KB");
    }
}
