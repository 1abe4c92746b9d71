//! `list`.

use serde_json::Value;

use crate::harness::{Bench, Check, Need, Suite, ensure, ensure_eq};

/// Adds the cases.
pub(crate) fn add(suite: &mut Suite) {
    suite
        .case("the table of `list` has the columns ID PID STATUS BUNDLE CREATED OWNER", table)
        .needs(&[Need::Root]);
    suite.case("`list` of nothing is a table with a head alone", |bench| {
        let output = bench.call(&["list"]).succeeds()?;
        ensure_eq!(output.stdout.lines().count(), 1, "{output}");
        Ok(())
    });
    suite.case("`list --format json` of nothing is null", |bench| {
        ensure_eq!(bench.call(&["list", "--format", "json"]).succeeds()?.text(), "null");
        Ok(())
    });
    suite.case("`list --quiet` of nothing prints nothing", |bench| {
        ensure_eq!(bench.call(&["list", "-q"]).succeeds()?.stdout, "");
        Ok(())
    });
    suite
        .case("`list --format json` has the state of every container with its owner", json)
        .needs(&[Need::Root]);
    suite.case("`list -q` prints the ids, one a line, in order", |bench| {
        let first = bench.sleeper(|_| {})?;
        let second = bench.container(bench.bundle()?)?;
        second.create()?;
        ensure_eq!(bench.call(&["list", "-q"]).succeeds()?.stdout, format!("{}\n{}\n", first.id, second.id));
        Ok(())
    });
    suite.case("an explicit `--root` that is not there is an error of `list`", |bench| {
        let missing = bench.dir.join("missing");
        bench.bare(&["--root"]).arg(&missing).arg("list").output()?.fails_with(1, &["missing"])?;
        Ok(())
    });
    suite.case("an unknown format of `list` is an error", |bench| {
        bench.call(&["list", "--format", "xml"]).output()?.fails_with(1, &["format"])?;
        Ok(())
    });
}

fn table(bench: &mut Bench<'_>) -> Check {
    let container = bench.sleeper(|_| {})?;
    let output = bench.call(&["list"]).succeeds()?;
    let mut lines = output.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    ensure_eq!(lines.next(), Some(vec!["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]));
    let row = lines.next().unwrap_or_default();
    let (pid, state) = (container.pid()?.to_string(), container.state()?);
    let created = state["created"].as_str().unwrap_or_default();
    ensure_eq!(
        row,
        [&container.id, &pid, "running", &*container.bundle.dir.to_string_lossy(), created, "root"]
    );
    ensure_eq!(lines.next(), None);
    Ok(())
}

fn json(bench: &mut Bench<'_>) -> Check {
    let running = bench.sleeper(|_| {})?;
    let stopped = bench.sleeper(|_| {})?;
    stopped.stop()?;
    let list: Vec<Value> = serde_json::from_str(&bench.call(&["list", "-f", "json"]).succeeds()?.stdout)?;
    ensure_eq!(list.len(), 2);
    for (entry, container) in list.iter().zip([&running, &stopped]) {
        let mut state = container.state()?;
        ensure_eq!(entry["owner"], "root");
        state["owner"] = "root".into();
        ensure!(*entry == state, "list has {entry}, state has {state}");
    }
    Ok(())
}
