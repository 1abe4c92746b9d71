//! `trace`: a start carried out by the engine that writes down what it does, and drawn by masu-tools.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::harness::command::Invocation;
use crate::harness::{Bench, Bundle, Check, Need, Suite, ensure, ensure_eq, fail};

/// The suite.
pub(crate) fn suite() -> Suite {
    let mut suite = Suite::new("trace");
    suite
        .masu_only("a traced `run` is a run, and every step of its plan has its time", every_step)
        .needs(&[Need::Ids]);
    suite.masu_only("`create` and `exec` are traced too", create_and_exec).needs(&[Need::Root]);
    suite
        .masu_only("a start that fails fails as ever, and shows how far it came", failure)
        .needs(&[Need::Root]);
    suite.masu_only("a time namespace does not move the times", time_namespace).needs(&[Need::Root]);
    suite.masu_only("what cannot be traced is refused in the engine's form", refusals);
    suite
}

/// `trace OPTIONS VERB` of a bundle.
fn trace(bench: &Bench<'_>, options: &[&str], verb: &str, bundle: &Bundle) -> Check<Invocation> {
    bundle.write()?;
    let call = bench.call(&["trace"]).args(options).args([verb, "--bundle"]);
    Ok(call.arg(&bundle.dir).arg(&bundle.name))
}

fn events(path: &Path) -> Check<Vec<Value>> {
    let document: Value = serde_json::from_str(&fs::read_to_string(path)?)?;
    Ok(document["traceEvents"].as_array().cloned().unwrap_or_default())
}

fn names<'a>(events: &'a [Value], row: &str) -> Vec<&'a str> {
    events.iter().filter(|event| event["cat"] == row).filter_map(|event| event["name"].as_str()).collect()
}

/// That no span is longer than the whole, or lies before its beginning.
fn ensure_in_order(events: &[Value]) -> Check {
    let time = |event: &Value, key: &str| event[key].as_f64().unwrap_or(f64::NAN);
    let last = events.iter().map(|event| time(event, "ts") + time(event, "dur")).fold(0.0, f64::max);
    for event in events {
        let (begin, took) = (time(event, "ts"), time(event, "dur"));
        ensure!(begin >= 0.0 && took >= 0.0 && took <= last, "{event} of {last} microseconds");
    }
    let init: Vec<f64> =
        events.iter().filter(|event| event["cat"] == "init").map(|event| time(event, "ts")).collect();
    ensure!(init.is_sorted(), "steps out of order: {init:?}");
    Ok(())
}

fn every_step(bench: &mut Bench<'_>) -> Check {
    let mut bundle = bench.bundle()?;
    bundle.config.shell("echo said; exit 7");
    let kept = bench.path("trace.json");
    let output = trace(bench, &["--output", &kept.to_string_lossy()], "run", &bundle)?;
    let output = output.output()?.exits_with(7)?;
    ensure_eq!(output.stdout, "said\n");
    let events = events(&kept)?;
    ensure_in_order(&events)?;
    let explained = bench.call(&["explain", "--json", "--id", &bundle.name, "--bundle"]).arg(&bundle.dir);
    let explained: Value = serde_json::from_str(&explained.succeeds()?.stdout)?;
    let steps = explained["steps"].as_array().cloned().unwrap_or_default();
    let planned = steps.iter().filter(|step| step["index"].is_u64()).filter_map(|step| step["step"].as_str());
    // `explain` is about create, which waits for its start and tells it what fails; run does not.
    let planned: Vec<&str> = planned.filter(|step| *step != "AwaitStart").collect();
    ensure_eq!(names(&events, "init"), planned);
    for work in ["StartEngine", "ParseConfig", "Plan", "Seal", "Clone", "Attend", "Wait", "Delete"] {
        ensure!(names(&events, "engine").contains(&work), "no {work} in {events:?}");
    }
    let drawn = bench.call(&["trace", "--file"]).arg(&kept).succeeds()?.stdout;
    ensure_eq!(drawn, output.stderr);
    let lines: Vec<&str> = drawn.lines().collect();
    ensure_eq!(lines.len(), events.len() + 3, "{drawn}");
    let line = lines.iter().find(|line| line.contains("  Execute "));
    let line = line.ok_or_else(|| fail(format!("no Execute in {drawn}")))?;
    ensure!(line.contains('█') && line.ends_with("process.args"), "{line:?}");
    Ok(())
}

fn create_and_exec(bench: &mut Bench<'_>) -> Check {
    let mut bundle = bench.bundle()?;
    bundle.config.args(&["sleep", "1000"]);
    let kept = bench.path("trace.json");
    let options = ["--output", &*kept.to_string_lossy()];
    trace(bench, &options, "create", &bundle)?.succeeds()?;
    let created = events(&kept)?;
    ensure_in_order(&created)?;
    ensure!(names(&created, "init").contains(&"EnterRoot"), "{created:?}");
    ensure!(!names(&created, "engine").contains(&"Wait"), "{created:?}");
    bench.call(&["start", &bundle.name]).succeeds()?;
    let exec = bench.call(&["trace"]).args(options).args(["exec", &bundle.name, "sh", "-c", "exit 3"]);
    exec.output()?.exits_with(3)?;
    let executed = events(&kept)?;
    ensure_in_order(&executed)?;
    ensure!(names(&executed, "init").contains(&"JoinNamespaces"), "{executed:?}");
    ensure_eq!(names(&executed, "init").last(), Some(&"Execute"));
    bench.call(&["delete", "--force", &bundle.name]).succeeds()?;
    Ok(())
}

fn failure(bench: &mut Bench<'_>) -> Check {
    let mut bundle = bench.bundle()?;
    bundle.config.mount("/data", "tmpfs", "data", &["size=never"]);
    bundle.write()?;
    let plain = bench.call(&["run", "--bundle"]).arg(&bundle.dir).arg(&bundle.name).output()?;
    let kept = bench.path("trace.json");
    let traced = trace(bench, &["--output", &kept.to_string_lossy()], "run", &bundle)?.output()?;
    let traced = traced.exits_with(1)?;
    ensure!(traced.stderr.starts_with(&plain.stderr) && !plain.stderr.is_empty(), "{plain}\n{traced}");
    let events = events(&kept)?;
    let last = events.iter().rfind(|event| event["cat"] == "init");
    let last = last.ok_or_else(|| fail("no step"))?;
    ensure_eq!(last["name"], "MountCopy");
    let origin = last["args"]["origin"].as_str().unwrap_or_default();
    ensure!(plain.stderr.contains(origin) && origin.starts_with("mounts["), "{origin}: {plain}");
    Ok(())
}

fn time_namespace(bench: &mut Bench<'_>) -> Check {
    let mut bundle = bench.bundle()?;
    bundle.config.args(&["true"]).namespace("time");
    bundle.config.set("/linux/timeOffsets", serde_json::json!({"monotonic": {"secs": 86400}}));
    let kept = bench.path("trace.json");
    trace(bench, &["--output", &kept.to_string_lossy()], "run", &bundle)?.succeeds()?;
    let events = events(&kept)?;
    ensure_in_order(&events)?;
    let hour = 3.6e9;
    ensure!(events.iter().all(|event| event["ts"].as_f64().is_some_and(|ts| ts < hour)), "{events:?}");
    Ok(())
}

fn refusals(bench: &mut Bench<'_>) -> Check {
    let hint = "hint: create, run and exec can be traced: masu trace --help\n";
    for (args, message) in [
        (&["trace"][..], "incorrect usage: a command is missing"),
        (&["trace", "state", "x"], "incorrect usage: \"state\" cannot be traced"),
    ] {
        let output = bench.call(args).output()?.exits_with(1)?;
        ensure_eq!(output.stderr, format!("masu: {message}\n{hint}"));
    }
    let foreign = bench.path("foreign.json");
    fs::write(&foreign, "[]")?;
    let output = bench.call(&["trace", "--file"]).arg(&foreign).output()?;
    output
        .fails_with(1, &[&*foreign.to_string_lossy(), "hint: it is to be a file of masu trace --output"])?;
    Ok(())
}
