//! Socket activation, sd_listen_fds(3): descriptors that a service manager has opened for us.

use crate::session::Environment;

/// How many descriptors from 3 on are meant for us, and so for the container: those of `LISTEN_FDS`, if `LISTEN_PID` is
/// ours.
pub(crate) fn listen_fds(env: Environment<'_>) -> u32 {
    count(env, rustix::process::getpid().as_raw_nonzero().get())
}

fn count(env: Environment<'_>, pid: i32) -> u32 {
    if env.variable("LISTEN_PID").and_then(|text| text.parse().ok()) != Some(pid) {
        return 0;
    }
    env.variable("LISTEN_FDS").and_then(|text| text.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_ours_only_with_our_pid() {
        for (env, number) in [
            (&[c"LISTEN_PID=7", c"LISTEN_FDS=2"][..], 2),
            (&[c"LISTEN_PID=8", c"LISTEN_FDS=2"], 0),
            (&[c"LISTEN_FDS=2"], 0),
            (&[c"LISTEN_PID=7"], 0),
            (&[c"LISTEN_PID=7", c"LISTEN_FDS=-1"], 0),
            (&[c"LISTEN_PID=7", c"LISTEN_FDS=x"], 0),
            (&[c"LISTEN_PID=", c"LISTEN_FDS=2"], 0),
        ] {
            assert_eq!(count(Environment(env), 7), number, "{env:?}");
        }
    }
}
