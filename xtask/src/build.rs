//! `cargo xtask build`: the programs, side by side.

use crate::project;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// The companion, which the engine looks for beside itself.
const COMPANION: &str = "masu-tools";
/// The engine that writes down what it does, for `masu trace`.
const TRACING: &str = "masu-trace";

/// Builds all programs and says where they are.
pub(crate) fn run() -> Result<()> {
    let masu = build()?;
    for program in companions(&masu).into_iter().chain([masu]) {
        let size = program.metadata().with_context(|| format!("stat {}", program.display()))?.len();
        println!("{} ({} KB)", program.display(), size.div_ceil(1024));
    }
    Ok(())
}

/// The programs beside an engine that [`build`] has built.
pub(crate) fn companions(masu: &Path) -> [PathBuf; 2] {
    [COMPANION, TRACING].map(|name| masu.with_file_name(name))
}

/// Builds the release binaries and gives the path of `masu` among them.
pub(crate) fn build() -> Result<PathBuf> {
    let build = ["build", "--release", "--locked"];
    let built = project::target().join("engine/release/masu");
    // Each is installed before the next one is built: both are called masu in the target directory.
    project::run(project::engine_cargo(&build).args(["--features", "trace"]))?;
    install(&built, TRACING)?;
    companion()?;
    engine()
}

/// Builds the companion alone and gives its path.
pub(crate) fn companion() -> Result<PathBuf> {
    project::run(project::cargo(&["build", "--release", "--locked"]).args(["--package", COMPANION]))?;
    install(&project::target().join("release").join(COMPANION), COMPANION)
}

/// Builds the engine alone and gives its path.
pub(crate) fn engine() -> Result<PathBuf> {
    project::run(&mut project::engine_cargo(&["build", "--release", "--locked"]))?;
    install(&project::target().join("engine/release/masu"), "masu")
}

/// Puts a program that cargo has built where the others are.
fn install(built: &Path, name: &str) -> Result<PathBuf> {
    let bin = project::bin();
    std::fs::create_dir_all(&bin).with_context(|| format!("create {}", bin.display()))?;
    let installed = bin.join(name);
    // Under another name first: a running container keeps the old file busy (ETXTBSY).
    let new = bin.join(format!(".{name}.new"));
    std::fs::copy(built, &new).with_context(|| format!("copy {}", built.display()))?;
    std::fs::rename(&new, &installed).with_context(|| format!("rename {}", new.display()))?;
    Ok(installed)
}

/// Builds the tests through engines and gives the path of their program.
pub(crate) fn tests_of_engines() -> Result<PathBuf> {
    let package = "masu-engine-tests";
    project::run(&mut project::cargo(&["build", "--quiet", "--release", "--locked", "--package", package]))?;
    Ok(project::target().join("release").join(package))
}

/// Builds the program that compiles one seccomp profile and gives its path.
pub(crate) fn compile_once() -> Result<PathBuf> {
    let build = ["build", "--quiet", "--release", "--locked", "--package", "masu-seccomp-tests", "--example"];
    project::run(project::cargo(&build).arg("compile_once"))?;
    Ok(project::target().join("release/examples/compile_once"))
}

/// Builds the black-box tests and gives the path of their program. It is a release build, a tenth of the size of the
/// other: it travels into a machine whose processor is emulated.
pub(crate) fn tests() -> Result<PathBuf> {
    let build = ["build", "--quiet", "--release", "--locked", "--package", "masu-tests"];
    project::run(&mut project::cargo(&build))?;
    Ok(project::target().join("release/masu-tests"))
}
