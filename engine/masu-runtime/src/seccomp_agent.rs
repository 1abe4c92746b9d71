//! Who is asked about calls of `SCMP_ACT_NOTIFY`: a program of the host, the agent, which gets the filter's listener and the
//! state of the process, config-linux.md, "The container process state".

use alloc::{format, string::String};

use masu_spec::{OCI_VERSION, SECCOMP_RECEIVER, Seccomp};
use rustix::fd::{AsFd, OwnedFd};

use crate::{
    descriptor_socket::{DescriptorSocket, SocketName},
    error::{Error, Result},
    hooks::{Environment, json},
};

/// The variable that names crun's agent where nothing else does.
const VARIABLE: &[u8] = b"RUN_OCI_SECCOMP_RECEIVER=";

/// The agent of a container.
#[derive(Debug)]
pub(crate) struct Agent<'a> {
    socket: SocketName,
    metadata: Option<&'a str>,
}

impl<'a> Agent<'a> {
    /// The agent of a filter that notifies one: of `linux.seccomp`, of an annotation, or of the engine's environment.
    ///
    /// # Errors
    /// When it notifies nobody.
    pub(crate) fn find<'b>(
        seccomp: Option<&'a Seccomp<'_>>,
        annotation: impl FnOnce(&str) -> Option<&'b str>,
        environment: Environment<'_>,
    ) -> Result<Option<Self>> {
        const FIELD: &str = "linux.seccomp.listenerPath";
        let Some(seccomp) = seccomp.filter(|seccomp| seccomp.notifies()) else { return Ok(None) };
        let variable = || {
            let mut values = environment.iter().filter_map(|text| text.to_bytes().strip_prefix(VARIABLE));
            values.next().and_then(|value| str::from_utf8(value).ok())
        };
        let (origin, path) = match &seccomp.listener {
            Some(listener) => (FIELD, Some(listener.path.as_str())),
            None => match annotation(SECCOMP_RECEIVER) {
                Some(path) => (SECCOMP_RECEIVER, Some(path)),
                None => ("RUN_OCI_SECCOMP_RECEIVER", variable()),
            },
        };
        let path = path.ok_or_else(|| Error::Unsupported {
            field: FIELD.into(),
            reason: "is missing, and SCMP_ACT_NOTIFY needs it".into(),
            hint: Some("it names the socket of the program that decides about the calls".into()),
        })?;
        if !path.starts_with('/') {
            let reason = format!("{path:?} is not an absolute path");
            return Err(Error::Unsupported { field: origin.into(), reason, hint: None });
        }
        let metadata = seccomp.listener.as_ref().and_then(|listener| listener.metadata.as_deref());
        Ok(Some(Self { socket: SocketName { origin, what: "listener", path: path.into() }, metadata }))
    }

    /// Hands the listener of a process over. One connection carries one state, and is closed behind it.
    ///
    /// # Errors
    /// When the agent cannot be reached.
    pub(crate) fn send(&self, listener: &OwnedFd, pid: i32, state: &str) -> Result<()> {
        let text = process_state(pid, self.metadata, state);
        DescriptorSocket::connect(self.socket.clone())?.send(listener.as_fd(), text.as_bytes())
    }
}

/// `containerProcessState`; `state` is the container's.
fn process_state(pid: i32, metadata: Option<&str>, state: &str) -> String {
    let metadata = metadata.map_or_else(String::new, |text| format!(",\"metadata\":{}", json(text)));
    format!(
        "{{\"ociVersion\":\"{OCI_VERSION}\",\"fds\":[\"seccompFd\"],\"pid\":{pid}{metadata},\"state\":{state}}}"
    )
}

#[cfg(test)]
mod tests {
    use super::process_state;

    #[test]
    fn the_state_names_the_descriptor_and_the_process() {
        assert_eq!(
            process_state(7, Some("a\"b"), "{}"),
            r#"{"ociVersion":"1.3.0","fds":["seccompFd"],"pid":7,"metadata":"a\"b","state":{}}"#
        );
        assert_eq!(
            process_state(7, None, "{}"),
            r#"{"ociVersion":"1.3.0","fds":["seccompFd"],"pid":7,"state":{}}"#
        );
    }
}
