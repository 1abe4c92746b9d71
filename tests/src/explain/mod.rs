//! `explain`: the plan in words, by masu-tools, which stands beside the engine.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::command::Invocation;
use crate::harness::user::{GID, UID};
use crate::harness::{Bench, Bundle, Check, Need, Suite, ensure, ensure_eq, fail, host};

/// The suite.
pub(crate) fn suite() -> Suite {
    let mut suite = Suite::new("explain");
    suite
        .masu_only("`explain --json` tells every step in order, with phase and origin", in_order)
        .needs(&[Need::Root]);
    suite.masu_only("the text has the sentences of `--json`, in the same order", text_and_json);
    suite.masu_only("nothing is made for an explanation", nothing_is_made);
    suite
        .masu_only("the explained steps are those of a container that is then run", then_run)
        .needs(&[Need::Ids]);
    suite.masu_only("limits and hooks are told with their fields", limits_and_hooks).needs(&[Need::Cgroups]);
    suite
        .masu_only("an ordinary user may ask, for what that user's container would be", ordinary_user)
        .needs(&[Need::Root]);
    suite
        .masu_only(
            "on a terminal the text is as wide as that, in colours unless NO_COLOR is set",
            on_a_terminal,
        )
        .needs(&[Need::Root]);
    suite.masu_only("the plan's warnings are on standard error and in `--json`", warnings);
    suite.masu_only("the global options reach masu-tools", global_options);
    suite.masu_only("a command that masu-tools has too is suggested for a slip of the fingers", suggestion);
    suite.masu_only("without masu-tools a message says where it belongs", without_companion);
    suite.masu_only("a masu-tools whose loader is missing is told by the loader's name", without_loader);
    suite.masu_only("what is no bundle is refused in the engine's words", bad_bundles);
    suite.masu_only("what is no command line is refused in the engine's form", bad_command_lines);
    suite
}

/// `explain` of a bundle.
fn explain(bench: &Bench<'_>, bundle: &Bundle) -> Check<Invocation> {
    bundle.write()?;
    Ok(bench.call(&["explain", "--id", &bundle.name, "--bundle"]).arg(&bundle.dir))
}

/// The document of `explain --json`.
fn document(bench: &Bench<'_>, bundle: &Bundle) -> Check<Value> {
    let output = explain(bench, bundle)?.arg("--json").succeeds()?;
    Ok(serde_json::from_str(&output.stdout)?)
}

fn steps(document: &Value) -> Vec<Value> {
    document["steps"].as_array().cloned().unwrap_or_default()
}

fn in_order(bench: &mut Bench<'_>) -> Check {
    let mut bundle = bench.bundle()?;
    bundle.config.args(&["sh", "-c", "echo it is"]).user_namespace();
    bundle.config.mount("/data", "tmpfs", "data", &["ro", "size=1m", "mode=755"]);
    let mounts = bundle.config.0["mounts"].as_array().map_or(0, Vec::len);
    let document = document(bench, &bundle)?;
    ensure_eq!(document["id"], json!(bundle.name));
    ensure_eq!(document["bundle"], json!(bundle.dir.to_string_lossy()));
    let steps = steps(&document);
    for (number, step) in (1_u64..).zip(&steps) {
        ensure_eq!(step["number"], json!(number));
        let sentence = step["sentence"].as_str().unwrap_or_default();
        ensure!(sentence.ends_with('.') && !sentence.contains('\n'), "no sentence: {sentence:?}");
    }
    // What init counts begins anew, and lacks none.
    let indices: Vec<_> = steps.iter().filter_map(|step| step["index"].as_u64()).collect();
    ensure!((0..).zip(&indices).all(|(index, given)| index == *given), "{indices:?}");
    let mut phases: Vec<_> = steps.iter().filter_map(|step| step["phase"].as_str()).collect();
    phases.dedup();
    let ways = [
        vec!["engine", "clone", "meanwhile", "init", "barrier", "init", "barrier", "init", "execve"],
        // With a network namespace, which init makes first.
        vec!["engine", "clone", "init", "meanwhile", "init", "barrier", "init", "barrier", "init", "execve"],
    ];
    ensure!(ways.contains(&phases), "{phases:?}");
    let find = |name: &str, origin: &str| {
        let found = steps.iter().find(|step| step["step"] == name && step["origin"] == origin);
        let sentence = found.map(|step| step["sentence"].as_str().unwrap_or_default().to_owned());
        sentence.ok_or_else(|| fail(format!("no {name} of {origin} in {steps:?}")))
    };
    let table = [
        (
            "Mount",
            format!("mounts[{}]", mounts - 1),
            "Mounts a new tmpfs on \"/data\" (ro, size=1m, mode=755).",
        ),
        (
            "Barrier",
            "linux.uidMappings".to_owned(),
            "Waits until masu has mapped its users (0-65535 are 100000-165535 outside) and groups \
             (0-65535 are 100000-165535 outside).",
        ),
        (
            "Execute",
            "process.args".to_owned(),
            "Becomes sh -c 'echo it is', with 2 variables in its environment.",
        ),
    ];
    for (name, origin, sentence) in table {
        ensure_eq!(find(name, &origin)?, sentence);
    }
    Ok(())
}

fn text_and_json(bench: &mut Bench<'_>) -> Check {
    let bundle = bench.bundle()?;
    let document = document(bench, &bundle)?;
    let text = explain(bench, &bundle)?.succeeds()?.stdout;
    ensure!(!text.contains('\x1b'), "colours outside of a terminal: {text}");
    let mut rest = text.as_str();
    for step in steps(&document) {
        for part in ["number", "origin", "sentence"] {
            let wanted = match &step[part] {
                Value::String(text) => text.clone(),
                number => number.to_string(),
            };
            let place = rest.find(&wanted).ok_or_else(|| fail(format!("{wanted:?} is not in {rest}")))?;
            rest = rest.get(place + wanted.len()..).unwrap_or_default();
        }
    }
    Ok(())
}

fn nothing_is_made(bench: &mut Bench<'_>) -> Check {
    let bundle = bench.bundle()?;
    fs::remove_dir(&bench.root)?;
    explain(bench, &bundle)?.succeeds()?;
    ensure!(!bench.root.exists(), "the state directory was made");
    let made = host::cgroups_of(&bundle.name)?;
    ensure!(made.is_empty(), "cgroups were made: {made:?}");
    let proc = bundle.inside("proc");
    let kept = fs::read_dir(&proc).map_or(0, Iterator::count);
    ensure_eq!(kept, 0, "{}", proc.display());
    fs::create_dir(&bench.root)?;
    Ok(())
}

fn then_run(bench: &mut Bench<'_>) -> Check {
    let mut bundle = bench.bundle()?;
    bundle.config.shell("hostname; umask; id -u").set("/hostname", "explained");
    bundle.config.set("/process/user", json!({"uid": 7, "gid": 7, "umask": 0o77}));
    let steps = steps(&document(bench, &bundle)?);
    let said = |name: &str| {
        let found = steps.iter().rev().find(|step| step["step"] == name);
        found.map(|step| step["sentence"].as_str().unwrap_or_default().to_owned()).unwrap_or_default()
    };
    ensure_eq!(said("SetHostname"), "Sets the hostname to \"explained\".");
    ensure_eq!(said("SetUmask"), "Sets the umask to 0077.");
    ensure_eq!(said("ChangeIdentity"), "Becomes user 7 and group 7 with no further groups.");
    let output = bench.container(bundle)?.run()?.exits_with(0)?;
    ensure_eq!(output.text(), "explained\n0077\n7");
    Ok(())
}

fn limits_and_hooks(bench: &mut Bench<'_>) -> Check {
    let mut bundle = bench.bundle()?;
    bundle.config.set("/linux/resources/pids", json!({"limit": 42}));
    let hook = json!([{"path": "/bin/true"}]);
    bundle.config.set("/hooks", json!({"prestart": hook, "startContainer": hook, "poststart": hook}));
    let steps = steps(&document(bench, &bundle)?);
    // On a host with version 2 alone all of the cgroup is there before the process.
    let limits = if host::is_unified() { "engine" } else { "meanwhile" };
    for (origin, phase, sentence) in [
        ("linux.resources.pids.limit", limits, "Sets pids.max of the cgroup to 42."),
        ("hooks.prestart", "barrier", "Waits until masu has run the hook \"/bin/true\"."),
        ("hooks.poststart[0]", "after", "Runs the hook \"/bin/true\"."),
    ] {
        let found = steps.iter().find(|step| step["origin"] == origin);
        let found = found.ok_or_else(|| fail(format!("no step of {origin} in {steps:?}")))?;
        ensure_eq!((&found["phase"], &found["sentence"]), (&json!(phase), &json!(sentence)), "{origin}");
    }
    let start = steps.iter().position(|step| step["origin"] == "hooks.startContainer[0]");
    let execve = steps.iter().position(|step| step["phase"] == "execve");
    ensure!(start.is_some() && start < execve, "the hook of the start in {steps:?}");
    Ok(())
}

fn ordinary_user(bench: &mut Bench<'_>) -> Check {
    bench.become_user()?;
    let mut bundle = bench.bundle()?;
    let steps = steps(&document(bench, &bundle)?);
    let sentence = format!(
        "Waits until masu has mapped its users (0 is {UID} outside) and groups (0 is {GID} outside), and has \
         forbidden setgroups."
    );
    ensure!(steps.iter().any(|step| step["sentence"] == sentence), "no {sentence:?} in {steps:?}");
    bundle.config.set("/linux/resources/pids", json!({"limit": 42}));
    let limited = explain(bench, &bundle)?.output()?.exits_with(1)?;
    ensure!(limited.stderr.starts_with("masu: linux.resources.pids.limit: "), "{limited}");
    bundle.config.remove("/linux/resources", "pids");
    bundle.config.without_namespace("user").remove("/linux", "uidMappings").remove("/linux", "gidMappings");
    let output = explain(bench, &bundle)?.output()?.exits_with(1)?;
    let message =
        "masu: linux.namespaces: this container needs root, or a user namespace in linux.namespaces\n";
    ensure!(output.stderr.starts_with(message), "{output}");
    Ok(())
}

fn on_a_terminal(bench: &mut Bench<'_>) -> Check {
    let bundle = bench.bundle()?;
    bundle.write()?;
    let masu = bench.command_line();
    let script = format!("stty cols 60; exec {masu} explain --bundle {}", bundle.dir.display());
    let shown = |no_color: &str| -> Check<String> {
        let call = bench.program("script").args(["-qec", &script, "/dev/null"]);
        let output = call.env("TERM", "xterm").env("NO_COLOR", no_color).succeeds()?;
        Ok(output.stdout.replace("\r\n", "\n"))
    };
    let plain = shown("1")?;
    ensure!(!plain.contains('\x1b'), "colours in {plain}");
    // A path is not cut.
    for line in plain.lines().filter(|line| !line.contains(&*bench.dir.to_string_lossy())) {
        ensure!(line.chars().count() <= 60, "wider than the terminal: {line:?}");
    }
    let coloured = shown("")?;
    ensure!(coloured.contains("\x1b[36mcontainer\x1b[0m"), "no colours in {coloured:?}");
    let without = ["\x1b[1m", "\x1b[2m", "\x1b[36m", "\x1b[0m"]
        .iter()
        .fold(coloured, |text, code| text.replace(code, ""));
    ensure_eq!(without, plain);
    Ok(())
}

fn warnings(bench: &mut Bench<'_>) -> Check {
    let mut bundle = bench.bundle()?;
    bundle.config.push("/process/capabilities/bounding", json!("CAP_NEVER_HEARD_OF"));
    let output = explain(bench, &bundle)?.arg("--json").succeeds()?;
    let document: Value = serde_json::from_str(&output.stdout)?;
    let warning = document["warnings"][0].as_str().unwrap_or_default().to_owned();
    ensure!(warning.contains("CAP_NEVER_HEARD_OF"), "{document}");
    ensure_eq!(output.stderr, format!("masu: warning: {warning}\n"));
    Ok(())
}

fn global_options(bench: &mut Bench<'_>) -> Check {
    let bundle = bench.bundle()?;
    bundle.write()?;
    let log = bench.path("log");
    let call = bench.bare(&["--root", "/run/elsewhere", "--cgroup-manager", "disabled", "--log"]);
    let call = call.arg(&log).args(["--log-format", "json", "explain", "-b"]).arg(&bundle.dir);
    let text = call.succeeds()?.stdout;
    ensure!(text.contains("\"/run/elsewhere/"), "{text}");
    ensure!(!text.contains("Makes the cgroup"), "{text}");
    let call = bench.bare(&["--log"]).arg(&log).args(["--log-format", "json", "explain", "-b", "/nowhere"]);
    call.output()?.fails_with(1, &["masu: open /nowhere/config.json"])?;
    let line: Value = serde_json::from_str(&fs::read_to_string(&log)?)?;
    ensure_eq!(line["msg"], "open /nowhere/config.json: no such file or directory (ENOENT)");
    Ok(())
}

fn suggestion(bench: &mut Bench<'_>) -> Check {
    for (slip, meant) in [("explian", "explain"), ("strat", "start")] {
        let output = bench.call(&[slip]).output()?.exits_with(3)?;
        let text = format!("masu: unknown command {slip:?}\nhint: did you mean {meant}? See masu --help\n");
        ensure_eq!(output.stderr, text);
    }
    let output = bench.call(&["frobnicate"]).output()?.exits_with(3)?;
    ensure_eq!(output.stderr, "masu: unknown command \"frobnicate\"\nhint: masu --help lists the commands\n");
    Ok(())
}

fn without_companion(bench: &mut Bench<'_>) -> Check {
    let alone = bench.directory("alone")?;
    let copy = alone.join("masu");
    copy_program(bench, &bench.runtime().path, &copy)?;
    // An empty PATH, for an ordinary user who has masu-tools in it.
    let call = || bench.program(&copy).env("PATH", "");
    let output = call().arg("explain").output()?.exits_with(1)?;
    let text = format!(
        "masu: explain is a command of masu-tools, which is not installed\nhint: put masu-tools into {0}, or into \
         ../libexec/masu beside it\n",
        alone.display()
    );
    ensure_eq!(output.stderr, text);
    call().arg("explian").output()?.fails_with(3, &["did you mean explain?"])?;
    // The second place.
    let libexec = bench.dir.join("libexec");
    fs::create_dir_all(libexec.join("masu"))?;
    let companion = bench.runtime().path.with_file_name("masu-tools");
    copy_program(bench, &companion, &libexec.join("masu/masu-tools"))?;
    call().arg("explain").arg("--help").succeeds()?;
    Ok(())
}

fn without_loader(bench: &mut Bench<'_>) -> Check {
    let alone = bench.directory("alone")?;
    copy_program(bench, &bench.runtime().path, &alone.join("masu"))?;
    let mut companion = fs::read(bench.runtime().path.with_file_name("masu-tools"))?;
    let (known, unknown) = (b"/ld-linux", b"/ld-nolib");
    let place = companion.windows(known.len()).position(|window| window == known);
    let place = place.ok_or_else(|| fail("masu-tools names no loader of glibc"))?;
    let (_, rest) = companion.split_at_mut(place);
    rest.iter_mut().zip(unknown).for_each(|(byte, new)| *byte = *new);
    let end = rest.iter().position(|byte| *byte == 0).unwrap_or_default();
    let name = String::from_utf8_lossy(rest.get(..end).unwrap_or_default()).into_owned();
    let changed = bench.dir.join("changed");
    fs::write(&changed, &companion)?;
    fs::set_permissions(&changed, fs::Permissions::from_mode(0o755))?;
    copy_program(bench, &changed, &alone.join("masu-tools"))?;
    let output = bench.program(alone.join("masu")).env("PATH", "").arg("explain").output()?.exits_with(1)?;
    let first = output.stderr.lines().next().unwrap_or_default();
    let problem = "no such file or directory (ENOENT): its dynamic loader";
    // The directory before the name is that of the machine's architecture.
    let begin = format!("masu: execve {}/masu-tools: {problem} /lib", alone.display());
    ensure!(first.starts_with(&begin) && first.ends_with(&format!("{name} is missing")), "{}", output.stderr);
    ensure!(
        output.stderr.contains("\nhint: install the C library that it was built for"),
        "{}",
        output.stderr
    );
    Ok(())
}

/// By another process: a child that a neighbouring case starts meanwhile would hold our copy open for writing for a
/// moment, and what is open for writing cannot be executed (ETXTBSY, execve(2)).
fn copy_program(bench: &Bench<'_>, from: &Path, to: &Path) -> Check {
    bench.program("cp").arg(from).arg(to).succeeds()?;
    Ok(())
}

/// What stands in config.json, and what is said of it.
const BAD_TEXTS: &[(&str, &str)] = &[
    ("", "masu: config.json: line 1, column 0: EOF while parsing a value"),
    ("[]", "masu: config.json: expected an object, found an array"),
    ("{\"ociVersion\": 1}", "masu: ociVersion: expected a string, found number 1"),
];

fn bad_bundles(bench: &mut Bench<'_>) -> Check {
    let refused = |bundle: &Path, text: &str| -> Check {
        for json in [false, true] {
            let call = bench.call(&["explain", "-b"]).arg(bundle).args(json.then_some("--json"));
            let output = call.output()?.exits_with(1)?;
            ensure_eq!(output.stderr.lines().next().unwrap_or_default(), text);
            ensure_eq!(output.stdout, "");
        }
        Ok(())
    };
    let dir = bench.directory("bad")?;
    let config = dir.join("config.json");
    let open = format!("masu: open {}: ", config.display());
    refused(&dir, &format!("{open}no such file or directory (ENOENT)"))?;
    fs::create_dir(&config)?;
    refused(&dir, &format!("{open}is a directory (EISDIR)"))?;
    fs::remove_dir(&config)?;
    for (text, message) in BAD_TEXTS {
        fs::write(&config, text)?;
        refused(&dir, message)?;
    }
    fs::File::options().write(true).open(&config)?.set_len(100 << 20)?;
    refused(&dir, &format!("{open}file too large (EFBIG)"))?;
    let mut bundle = bench.bundle()?;
    bundle.config.set("/linux/personality", json!({"domain": "BSD"}));
    bundle.write()?;
    let text = "masu: linux.personality.domain: unknown domain \"BSD\"; there are LINUX, LINUX32";
    refused(&bundle.dir, text)?;
    bundle.config.remove("/linux", "personality").set("/root/path", "nowhere");
    bundle.write()?;
    let text =
        format!("masu: root.path: open {}/nowhere: no such file or directory (ENOENT)", bundle.dir.display());
    refused(&bundle.dir, &text)
}

fn bad_command_lines(bench: &mut Bench<'_>) -> Check {
    let usage = "usage: masu explain [OPTIONS]\nhint: ";
    let table: &[(&[&str], &str, &str)] = &[
        (&["--jsn"], "unexpected argument '--jsn' found", "did you mean --json? See masu explain --help"),
        (&["web"], "unexpected argument 'web' found", "masu explain --help"),
        (
            &["--bundle"],
            "a value is required for '--bundle <DIR>' but none was supplied",
            "masu explain --help",
        ),
        (
            &["--preserve-fds", "-1"],
            "invalid value '-1' for '--preserve-fds <N>': -1 is not in 0..=9223372036854775807",
            "masu explain --help",
        ),
    ];
    for (args, message, hint) in table {
        let output = bench.call(&["explain"]).args(*args).output()?.exits_with(1)?;
        ensure_eq!(output.stderr, format!("masu: incorrect usage: {message}\n{usage}{hint}\n"));
    }
    let output = bench.call(&["explain", "--id", "a/b"]).output()?.exits_with(1)?;
    ensure!(output.stderr.starts_with("masu: invalid container ID format: \"a/b\""), "{output}");
    Ok(())
}
