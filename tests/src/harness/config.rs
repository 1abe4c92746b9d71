//! Edits of a `config.json`, each by the specification's own words.

use serde_json::{Value, json};

/// A config.json that is being edited.
#[derive(Debug, Clone)]
pub(crate) struct Config(pub(crate) Value);

impl Config {
    /// Sets one value; `pointer` is an RFC 6901 JSON pointer whose last part may be new.
    pub(crate) fn set(&mut self, pointer: &str, value: impl Into<Value>) -> &mut Self {
        let mut place = &mut self.0;
        for part in pointer.split('/').skip(1) {
            place = match place {
                // The index of an element that a list has; Value's own indexing would be by name.
                Value::Array(list) => match list.get_mut(part.parse().unwrap_or(usize::MAX)) {
                    Some(element) => element,
                    None => return self,
                },
                other => &mut other[part],
            };
        }
        *place = value.into();
        self
    }

    /// Removes a member of an object.
    pub(crate) fn remove(&mut self, parent: &str, member: &str) -> &mut Self {
        if let Some(Value::Object(object)) = self.0.pointer_mut(parent) {
            object.shift_remove(member);
        }
        self
    }

    /// Appends to a list, which is made if it is missing.
    pub(crate) fn push(&mut self, pointer: &str, value: Value) -> &mut Self {
        match self.0.pointer_mut(pointer) {
            Some(Value::Array(list)) => list.push(value),
            _ => {
                self.set(pointer, vec![value]);
            }
        }
        self
    }

    /// `process.args`.
    pub(crate) fn args(&mut self, args: &[&str]) -> &mut Self {
        self.set("/process/args", args.to_vec())
    }

    /// `process.args` that run a script by the shell.
    pub(crate) fn shell(&mut self, script: &str) -> &mut Self {
        self.args(&["sh", "-c", script])
    }

    /// Adds a mount.
    pub(crate) fn mount(
        &mut self,
        destination: &str,
        kind: &str,
        source: &str,
        options: &[&str],
    ) -> &mut Self {
        self.push(
            "/mounts",
            json!({"destination": destination, "type": kind, "source": source, "options": options}),
        )
    }

    /// Removes the mount at this destination.
    pub(crate) fn without_mount(&mut self, destination: &str) -> &mut Self {
        if let Some(Value::Array(mounts)) = self.0.pointer_mut("/mounts") {
            mounts.retain(|mount| mount["destination"] != destination);
        }
        self
    }

    /// Creates a namespace of this type.
    pub(crate) fn namespace(&mut self, kind: &str) -> &mut Self {
        self.without_namespace(kind).push("/linux/namespaces", json!({"type": kind}))
    }

    /// Joins the namespace at `path`.
    pub(crate) fn join_namespace(&mut self, kind: &str, path: &str) -> &mut Self {
        self.without_namespace(kind).push("/linux/namespaces", json!({"type": kind, "path": path}))
    }

    /// Keeps the engine's namespace of this type.
    pub(crate) fn without_namespace(&mut self, kind: &str) -> &mut Self {
        if let Some(Value::Array(namespaces)) = self.0.pointer_mut("/linux/namespaces") {
            namespaces.retain(|namespace| namespace["type"] != kind);
        }
        self
    }

    /// A new user namespace in which the ids 0..65536 are 100000..165536 outside.
    pub(crate) fn user_namespace(&mut self) -> &mut Self {
        let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
        self.namespace("user").set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map)
    }

    /// Sets bounding, effective and permitted capabilities, and none of the other two sets.
    pub(crate) fn capabilities(&mut self, names: &[&str]) -> &mut Self {
        self.set("/process/capabilities", json!({"bounding": names, "effective": names, "permitted": names}))
    }

    /// Makes the root writable.
    pub(crate) fn writable(&mut self) -> &mut Self {
        self.set("/root/readonly", false)
    }
}
