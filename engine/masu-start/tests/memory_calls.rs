//! The compiler may replace a loop by a call of the memory function that does the same, even inside of that
//! function. The linked engine is disassembled to see that it did not, in both profiles.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the functions that tests share are tests as well"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

const FUNCTIONS: [&str; 6] = ["memcpy", "memmove", "memset", "memcmp", "bcmp", "strlen"];

/// What each function of a disassembly calls or jumps to by name.
type Calls = BTreeMap<String, BTreeSet<String>>;

/// Reads what `objdump -d --no-show-raw-insn` prints. A function begins with `0000000000001234 <name>:`; a line such as
/// `1240:  call 1300 <name>` or `jmp 1300 <name+0x10>` names a target.
fn parse_calls(disassembly: &str) -> Calls {
    let mut calls = Calls::new();
    let mut function = String::new();
    for line in disassembly.lines() {
        if let Some(name) =
            line.strip_suffix(">:").and_then(|line| line.split_once(" <")).map(|(_, name)| name)
        {
            function = name.to_owned();
            calls.entry(function.clone()).or_default();
        } else if let Some((_, target)) = line.split_once('<') {
            let target = target.split(['>', '+']).next().unwrap_or_default();
            if target != function || line.contains("call") {
                calls.entry(function.clone()).or_default().insert(target.to_owned());
            }
        }
    }
    calls
}

/// The functions that reach themselves by named calls, each with where it goes first.
fn recursive<'a>(calls: &Calls, functions: &[&'a str]) -> Vec<&'a str> {
    let reaches_itself = |start: &str| {
        let mut seen = BTreeSet::new();
        let mut to_visit: Vec<&str> = vec![start];
        while let Some(function) = to_visit.pop() {
            for target in calls.get(function).into_iter().flatten() {
                if target == start {
                    return true;
                }
                if seen.insert(target.as_str()) {
                    to_visit.push(target);
                }
            }
        }
        false
    };
    functions.iter().copied().filter(|function| reaches_itself(function)).collect()
}

/// Builds the engine, with symbols, into a directory of its own.
fn build(profile: &str, directory: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("memory_calls");
    let status = Command::new(env!("CARGO"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .args(["build", "--quiet", "--package", "masu", "--profile", profile, "--target-dir"])
        .arg(&target)
        .env("CARGO_PROFILE_RELEASE_STRIP", "false")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .status()
        .unwrap();
    assert!(status.success(), "cargo build --profile {profile}: {status}");
    target.join(directory).join("masu")
}

fn disassemble(program: &Path) -> String {
    let output = Command::new("objdump").args(["-d", "--no-show-raw-insn"]).arg(program).output();
    let output = output.expect("objdump of binutils, which gcc needs as well");
    assert!(output.status.success(), "objdump: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn memory_functions_do_not_call_themselves() {
    for (profile, directory) in [("dev", "debug"), ("release", "release")] {
        let calls = parse_calls(&disassemble(&build(profile, directory)));
        // bcmp and memcmp may be one code under two names, of which objdump prints one; a function that nothing
        // calls is not linked. memcpy is always there, so that an empty parse cannot pass.
        let present: Vec<&str> = FUNCTIONS.into_iter().filter(|name| calls.contains_key(*name)).collect();
        assert!(present.contains(&"memcpy"), "{profile}: memcpy is not among {} functions", calls.len());
        assert_eq!(recursive(&calls, &present), [""; 0], "{profile}");
    }
}

#[test]
fn a_function_that_calls_itself_is_found() {
    let disassembly = "\
0000000000001000 <strlen>:
    1000:\tpush   %rax
    1001:\tcall   1000 <strlen>
    1006:\tret

0000000000002000 <memcpy>:
    2000:\tje     2010 <memcpy+0x10>
    2002:\tjmp    3000 <_ZN4core3ptr9copy17h0E>
    2010:\tlea    0x100(%rip),%rax        # 2117 <TABLE>

0000000000003000 <_ZN4core3ptr9copy17h0E>:
    3000:\tcall   *0x10(%rip)        # 4000 <memset>
    3006:\tcall   2000 <memcpy>

0000000000004000 <memset>:
    4000:\tjmp    4000 <memset>
    4002:\tret
";
    let calls = parse_calls(disassembly);
    assert_eq!(recursive(&calls, &["strlen", "memcpy", "memset"]), ["strlen", "memcpy"]);
}
