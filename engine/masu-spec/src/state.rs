//! The state of a container as `state` and `list` print it: runtime.md, "State", with what runc adds.
use alloc::collections::BTreeMap;
use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::text::Str;
use crate::write::pretty;

/// A container's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// `create` has not ended.
    Creating,
    /// `create` has ended, `start` has not been called.
    Created,
    /// The process runs.
    Running,
    /// The container is frozen: runc's addition.
    Paused,
    /// The process has ended.
    Stopped,
}

impl Status {
    /// The word in JSON and in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What `state` prints, in runc's order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State<'a> {
    /// `ociVersion`: of the specification that the state complies with.
    #[serde(borrow)]
    pub oci_version: Str<'a>,
    /// `id`.
    pub id: Str<'a>,
    /// `pid`: of the container's process, seen from the host; 0 when stopped.
    pub pid: u32,
    /// `status`.
    pub status: Status,
    /// `bundle`: absolute.
    pub bundle: Str<'a>,
    /// `rootfs`: absolute.
    pub rootfs: Str<'a>,
    /// `created`: when, as RFC 3339 in UTC with up to nine digits of the second.
    pub created: Str<'a>,
    /// `annotations`: left out when empty.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<Str<'a>, Str<'a>>,
    /// `owner`: who owns the state directory. `list` fills it in, `state` leaves it empty.
    #[serde(default)]
    pub owner: Str<'a>,
}

impl State<'_> {
    /// What `state` prints: two spaces of indent, no newline at the end.
    ///
    /// # Errors
    /// None that this type can cause, see [`pretty`].
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        pretty(self, "  ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State<'static> {
        State {
            oci_version: "1.3.0".into(),
            id: "box".into(),
            pid: 4711,
            status: Status::Running,
            bundle: "/b".into(),
            rootfs: "/b/rootfs".into(),
            created: "2026-02-03T04:05:06.789Z".into(),
            annotations: BTreeMap::new(),
            owner: "".into(),
        }
    }

    #[test]
    fn a_state_is_printed_as_runc_does() {
        let expected = r#"{
  "ociVersion": "1.3.0",
  "id": "box",
  "pid": 4711,
  "status": "running",
  "bundle": "/b",
  "rootfs": "/b/rootfs",
  "created": "2026-02-03T04:05:06.789Z",
  "owner": ""
}"#;
        assert_eq!(state().to_json().unwrap(), expected);
    }

    #[test]
    fn annotations_stand_before_the_owner() {
        let annotations = BTreeMap::from([(Str::from("a"), Str::from("x&\"y"))]);
        let json = State { annotations, ..state() }.to_json().unwrap();
        assert!(
            json.ends_with("\"annotations\": {\n    \"a\": \"x&\\\"y\"\n  },\n  \"owner\": \"\"\n}"),
            "{json}"
        );
    }

    #[test]
    fn a_printed_state_is_read_back() {
        for status in [Status::Creating, Status::Created, Status::Running, Status::Paused, Status::Stopped] {
            let state =
                State { status, annotations: BTreeMap::from([("k".into(), "v\n".into())]), ..state() };
            let json = state.to_json().unwrap();
            assert!(json.contains(&alloc::format!("\"status\": \"{status}\"")), "{json}");
            assert_eq!(serde_json::from_str::<State<'_>>(&json).unwrap(), state);
        }
    }
}
