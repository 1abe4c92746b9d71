//! The machine and the day, for whoever reads the figures later. No name that would tell which machine it was.

use crate::project;
use anyhow::{Context, Result};
use std::process::Command;

pub(super) fn describe() -> Result<Vec<String>> {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").context("read /proc/cpuinfo")?;
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().context("count the cores")?;
    let uname = rustix::system::uname();
    Ok(vec![
        format!("{}, {cores} cores", model.map_or("unknown processor", |(_, model)| model)),
        format!("Linux {}", kernel_version(&uname.release().to_string_lossy())),
        project::output(Command::new("date").args(["--utc", "+%F"]))?,
    ])
}

/// `6.18.44` of `6.18.44-vendor-name`.
fn kernel_version(release: &str) -> &str {
    release.split('-').next().unwrap_or(release)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_vendors_suffix_is_left_out() {
        assert_eq!(super::kernel_version("6.18.44-vendor-2"), "6.18.44");
        assert_eq!(super::kernel_version("6.1.0"), "6.1.0");
    }
}
