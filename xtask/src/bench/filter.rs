//! What it takes to compile a seccomp profile: masu's own compiler beside libseccomp, which crun and runc call.

use super::figures::{Row, Value};
use super::section::{Field, Findings};
use crate::build;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Each time in a process of its own, since a runtime compiles but once.
const ROUNDS: usize = 41;

/// Docker's profile, by both in turns.
pub(super) fn compile(_: &Field, findings: &mut Findings) -> Result<Vec<Row>> {
    let program = build::compile_once()?;
    let (mut own, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        own.push(once(&program, "masu")?);
        theirs.push(once(&program, "libseccomp")?);
    }
    findings
        .notes
        .push("Docker's profile, compiled: of crun and runc it is libseccomp, which they call".to_owned());
    let compilers = [("masu", &own), ("crun", &theirs), ("runc", &theirs)];
    let time = |(runtime, all): (&str, &Vec<Compiled>)| {
        Value::of_times(runtime, all.iter().map(|compiled| compiled.time).collect())
    };
    let length = |(runtime, all): (&str, &Vec<Compiled>)| {
        let instructions = all.last().map(|compiled| compiled.instructions);
        Value::exact(runtime, f64::from(instructions.unwrap_or_default()))
    };
    Ok(vec![
        Row::new("Docker's profile, compiled", "ms", compilers.map(time).to_vec()),
        Row::new("Docker's profile, instructions", "", compilers.map(length).to_vec()),
    ])
}

#[derive(Debug, PartialEq)]
struct Compiled {
    instructions: u32,
    time: Duration,
}

fn once(program: &Path, compiler: &str) -> Result<Compiled> {
    let output = Command::new(program).arg(compiler).output().context("start the compiler")?;
    if !output.status.success() {
        bail!("{compiler}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    let told = String::from_utf8_lossy(&output.stdout);
    parse(&told).with_context(|| format!("{compiler} says {told:?}"))
}

/// Reads `274 instructions in 79218 ns`.
fn parse(told: &str) -> Option<Compiled> {
    let (instructions, time) = told.trim().strip_suffix(" ns")?.split_once(" instructions in ")?;
    Some(Compiled {
        instructions: instructions.parse().ok()?,
        time: Duration::from_nanos(time.parse().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_compiler_says_is_read() {
        let compiled = Compiled { instructions: 274, time: Duration::from_micros(79) };
        assert_eq!(parse("274 instructions in 79000 ns\n"), Some(compiled));
        assert_eq!(parse("usage: compile_once masu|libseccomp"), None);
    }
}
