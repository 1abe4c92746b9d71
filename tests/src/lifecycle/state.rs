//! `state` and `ps`.

use serde_json::{Value, json};

use crate::harness::{Bench, Check, Suite, ensure, ensure_eq};

/// Adds the cases.
pub(crate) fn add(suite: &mut Suite) {
    suite.case("`state` has the fields of the specification and of runc, in their order", fields);
    suite.case("`state` indents by two spaces and ends without a line feed", |bench| {
        let container = bench.sleeper(|_| {})?;
        let text = container.call("state").succeeds()?.stdout;
        ensure!(text.starts_with("{\n  \"ociVersion\": "), "{text}");
        ensure!(text.ends_with("\n}"), "{text:?}");
        Ok(())
    });
    suite.case("`state` shows the annotations of the config", |bench| {
        let container = bench.sleeper(|config| {
            config.set("/annotations", json!({"org.example.key": "value \u{e9} \"quoted\""}));
        })?;
        ensure_eq!(container.state()?["annotations"]["org.example.key"], "value \u{e9} \"quoted\"");
        Ok(())
    });
    suite.case("a stopped container has pid 0", |bench| {
        let container = bench.sleeper(|_| {})?;
        container.stop()?;
        ensure_eq!(container.state()?["pid"], 0);
        Ok(())
    });
    suite.case("`state` of an unknown id fails", |bench| {
        bench.call(&["state", "nobody"]).output()?.fails_with(1, &["container does not exist"])?;
        Ok(())
    });
    suite.case("`ps --format json` lists the numbers of the container's processes", |bench| {
        let container = bench.sleeper(|_| {})?;
        let pids: Value =
            serde_json::from_str(&bench.call(&["ps", "--format", "json", &container.id]).succeeds()?.stdout)?;
        ensure_eq!(pids, json!([container.pid()?]));
        Ok(())
    });
    suite.case("`ps` shows the head and the container's lines of the host's ps", |bench| {
        let container = bench.sleeper(|_| {})?;
        let output = container.call("ps").succeeds()?;
        let lines: Vec<_> = output.stdout.lines().collect();
        ensure_eq!(lines.len(), 2, "{output}");
        ensure!(lines.first().is_some_and(|head| head.starts_with("UID")), "{output}");
        ensure!(lines.last().is_some_and(|line| line.ends_with("sleep 1000")), "{output}");
        Ok(())
    });
    suite.case("`ps` hands its options to ps", |bench| {
        let container = bench.sleeper(|_| {})?;
        let output = bench.call(&["ps", &container.id, "-e", "-o", "pid,comm"]).succeeds()?;
        let words: Vec<_> = output.stdout.split_whitespace().collect();
        let pid = container.pid()?.to_string();
        ensure_eq!(words, ["PID", "COMMAND", &pid, "sleep"]);
        Ok(())
    });
    suite.case("`ps` of an unknown id fails", |bench| {
        bench.call(&["ps", "nobody"]).output()?.fails_with(1, &["container does not exist"])?;
        Ok(())
    });
}

fn fields(bench: &mut Bench<'_>) -> Check {
    let container = bench.sleeper(|config| {
        config.set("/annotations", json!({"a": "b"}));
    })?;
    let state = container.state()?;
    let keys: Vec<&str> =
        state.as_object().map(|object| object.keys().map(String::as_str).collect()).unwrap_or_default();
    ensure_eq!(
        keys,
        ["ociVersion", "id", "pid", "status", "bundle", "rootfs", "created", "annotations", "owner"]
    );
    let bundle = container.bundle.dir.to_string_lossy();
    ensure_eq!(state["id"], container.id.as_str());
    ensure_eq!(state["status"], "running");
    ensure_eq!(state["bundle"], &*bundle);
    ensure_eq!(state["rootfs"], format!("{bundle}/rootfs"));
    ensure_eq!(state["owner"], "");
    let created = state["created"].as_str().unwrap_or_default();
    ensure!(
        created.len() > 20 && created.ends_with('Z') && created.get(10..11) == Some("T"),
        "created: {created}"
    );
    Ok(())
}
