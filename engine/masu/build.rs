//! Links the engine without libc, and builds masu-init for it to embed.
#![expect(clippy::expect_used, clippy::panic, reason = "a build script's failure is a message to who builds")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn main() {
    // Not the C library's start-up files, nor the library: masu-start has `_start` and what core needs.
    // RELRO would cost pages and an mprotect at every start; the engine's own pointers are not writable by
    // safe code.
    for argument in [
        "-nostartfiles",
        "-nostdlib",
        "-static-pie",
        "-Wl,-z,text",
        "-Wl,-z,norelro",
        "-Wl,-z,noseparate-code",
        "-Wl,--build-id=none",
        "-Wl,--no-eh-frame-hdr",
    ] {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../masu-start/link/no-unwinding.ld");
    println!("cargo:rustc-link-arg-bins=-Wl,-T,{script}");
    println!("cargo:rerun-if-changed={script}");
    println!("cargo:rustc-env=MASU_INIT={}", init_image().display());
}

/// The path of a masu-init that is built for this engine.
fn init_image() -> PathBuf {
    let out = PathBuf::from(variable("OUT_DIR"));
    let engine = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("..");
    for source in
        ["masu-init", "masu-hook", "masu-program", "masu-start", "masu-sys", "Cargo.toml", "Cargo.lock"]
    {
        println!("cargo:rerun-if-changed={}", engine.join(source).display());
    }
    println!("cargo:rerun-if-env-changed=RUSTC_WORKSPACE_WRAPPER");
    if env::var("RUSTC_WORKSPACE_WRAPPER").is_ok_and(|wrapper| wrapper.contains("clippy-driver")) {
        // Clippy links nothing, so that any file serves. Cargo runs this again when clippy is gone.
        let placeholder = out.join("masu-init-for-clippy");
        fs::write(&placeholder, b"").expect("write to OUT_DIR");
        return placeholder;
    }
    build_init(&engine, &out.join("init"))
}

/// Runs a Cargo of its own for masu-init: in this build it would be unified with the engine's features, and
/// get its allocator. Its own target directory keeps the two from waiting for each other's lock.
fn build_init(engine: &Path, target_dir: &Path) -> PathBuf {
    let target = variable("TARGET");
    let mut cargo = Command::new(variable("CARGO"));
    cargo.current_dir(engine).args(["build", "--quiet", "--release", "--package", "masu-init"]);
    if env::var_os("CARGO_FEATURE_TRACE").is_some() {
        cargo.args(["--features", "trace"]);
    }
    cargo.args(["--target", &target]).arg("--target-dir").arg(target_dir);
    if engine.join("Cargo.lock").exists() {
        cargo.arg("--locked");
    }
    // What the outer Cargo says of this package, and flags that are for it (coverage, sanitizers), would
    // break or change a program without libc.
    for (name, _) in env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        let of_this_package = ["CARGO_CFG_", "CARGO_FEATURE_", "CARGO_PKG_", "CARGO_MANIFEST_", "DEP_"];
        let exact = [
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_BUILD_RUSTFLAGS",
            "CARGO_BUILD_TARGET",
            "CARGO_TARGET_DIR",
            "RUSTC_WORKSPACE_WRAPPER",
            "RUSTFLAGS",
        ];
        if exact.contains(&text) || of_this_package.iter().any(|prefix| text.starts_with(prefix)) {
            cargo.env_remove(&name);
        }
    }
    let status = cargo.status().expect("run cargo for masu-init");
    assert!(status.success(), "cargo build of masu-init: {status}");
    target_dir.join(target).join("release/masu-init")
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|error| panic!("{name}: {error}"))
}
