//! The engines: how each is configured, started and called. The configuration is that of `deploy/`, where an
//! administrator would put it, and what this machine needs besides.

pub(crate) mod containerd;
pub(crate) mod cri;
pub(crate) mod docker;
pub(crate) mod kubernetes;
pub(crate) mod podman;

use masu_harness::command::{Invocation, Running};
use masu_harness::{Check, ensure, host};
use rustix::process::Signal;

/// A daemon, which is stopped with the world.
#[derive(Debug)]
pub(crate) struct Daemon(Running);

impl Daemon {
    /// Starts it, and waits until `client` succeeds.
    pub(crate) fn start(daemon: Invocation, client: impl Fn() -> Invocation) -> Check<Self> {
        let mut running = daemon.spawn()?;
        host::until("the engine answers", || {
            ensure!(!running.has_ended()?, "an engine has ended: {}", tail(&running.stderr_so_far()?));
            Ok(client().output()?.code == Some(0))
        })?;
        Ok(Self(running))
    }

    /// Has it end by itself.
    pub(crate) fn stop(self) -> Check {
        self.0.signal(Signal::TERM)?;
        self.0.wait()?;
        Ok(())
    }

    /// Ends it in the midst of whatever it does.
    pub(crate) fn kill(self) -> Check {
        self.0.signal(Signal::KILL)?;
        self.0.wait()?;
        Ok(())
    }
}

/// The last lines of a log.
fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(20)).fold(String::new(), |tail, line| tail + "\n" + line)
}
