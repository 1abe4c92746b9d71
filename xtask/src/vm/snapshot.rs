//! Saves a booted machine. To continue it takes two seconds instead of the twenty of a start.

use super::machine::{Purpose, Qemu, Run};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

/// What decides what is saved.
pub(super) const INPUTS: [&str; 1] = [include_str!("snapshot.rs")];
/// The file with the machine's memory and devices, beside its disk.
pub(super) const MEMORY: &str = "memory";
/// A start takes 20 seconds on an idle machine of two cores, and minutes on a busy one; nothing is measured with this.
const BOOT_LIMIT: Duration = Duration::from_secs(900);
const PAUSE: Duration = Duration::from_millis(100);

/// Boots the machine whose parts are in `image` until its agent is ready, and saves it there.
///
/// # Errors
///
/// With the end of the machine's console, when it does not come up.
pub(super) fn take(image: &Path) -> Result<()> {
    let run = Run::create()?;
    let mut qemu = Qemu::start(run.qemu(image, Purpose::Save).stdin(Stdio::piped()).stdout(Stdio::piped()))?;
    let deadline = Instant::now() + BOOT_LIMIT;
    while run.status("READY").is_none() {
        if qemu.wait_until(Instant::now() + PAUSE)?.is_some() || Instant::now() > deadline {
            bail!("the machine did not start; its console:{}", run.console_tail());
        }
    }
    let mut monitor = Monitor::of(&mut qemu)?;
    monitor.execute("qmp_capabilities", &json!({}))?;
    monitor.execute("migrate-set-parameters", &json!({ "max-bandwidth": 1_u64 << 40 }))?;
    monitor.execute("migrate", &json!({ "uri": format!("exec:cat > {MEMORY}") }))?;
    loop {
        match monitor.execute("query-migrate", &json!({}))?.get("status").and_then(Value::as_str) {
            Some("completed") => break,
            Some("failed") => bail!("QEMU could not save the machine"),
            _ if Instant::now() > deadline => bail!("QEMU did not save the machine in time"),
            _ => std::thread::sleep(PAUSE),
        }
    }
    monitor.execute("quit", &json!({}))?;
    qemu.wait_until(deadline)?.context("QEMU did not end")?;
    Ok(())
}

/// QEMU's monitor on its standard input and output: an object a line in both directions.
struct Monitor {
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Monitor {
    fn of(qemu: &mut Qemu) -> Result<Self> {
        let requests = qemu.child.stdin.take().context("take QEMU's input")?;
        let answers = qemu.child.stdout.take().context("take QEMU's output")?;
        Ok(Self { requests, answers: BufReader::new(answers) })
    }

    fn execute(&mut self, command: &str, arguments: &Value) -> Result<Value> {
        // In one piece: QEMU ends as soon as it has read `quit`, and would not take the end of the line.
        let request = format!("{}\n", json!({ "execute": command, "arguments": arguments }));
        self.requests.write_all(request.as_bytes()).with_context(|| format!("ask QEMU to {command}"))?;
        loop {
            let mut line = String::new();
            self.answers.read_line(&mut line).with_context(|| format!("read QEMU's answer to {command}"))?;
            let answer: Value =
                serde_json::from_str(&line).with_context(|| format!("QEMU's answer to {command}: {line}"))?;
            if let Some(value) = answer.get("return") {
                return Ok(value.clone());
            }
            if let Some(error) = answer.get("error") {
                bail!("QEMU: {command}: {error}");
            }
            // Anything else is its greeting, or an event.
        }
    }
}
