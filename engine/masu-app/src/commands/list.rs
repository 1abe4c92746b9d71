//! `list`.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

use masu_cli::{FORMAT, Parsed, QUIET};
use masu_runtime::{Container, Entry, View};
use masu_spec::OCI_VERSION;
use serde::Serialize;

use crate::{
    failure::{Failure, Result},
    output,
    passwd::Passwd,
    root::Choice,
    session::Session,
};

/// The status of a container whose state cannot be read. No status of the specification says it, and leaving the container
/// out would hide what `delete --force` is needed for.
const DAMAGED: &str = "damaged";

/// One container: what `state` prints, with the owner, and with a status that may be [`DAMAGED`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    oci_version: String,
    id: String,
    pid: u32,
    status: String,
    bundle: String,
    rootfs: String,
    created: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
    owner: String,
}

/// Lists the containers of the root directory.
pub(super) fn list(session: &Session<'_>, parsed: &Parsed<'_>) -> Result<i32> {
    let entries = session.store.entries()?;
    // Nobody has made a container yet; but a directory that was named should be there.
    if entries.is_none() && session.root.choice == Choice::Option {
        let path = &session.root.path;
        return Err(Failure::new(format!("--root {path}: no such file or directory (ENOENT)")));
    }
    let entries = entries.into_iter().flatten();
    let text = if parsed.options.flag(&QUIET) {
        entries.map(|entry| format!("{}\n", entry.id())).collect()
    } else {
        let passwd = Passwd::read();
        let view = View::default();
        let rows: Vec<_> = entries.map(|entry| row(session, &passwd, &view, &entry)).collect();
        match parsed.options.value(&FORMAT) {
            Some("json") => json(&rows)?,
            _ => table(&rows),
        }
    };
    output::print(&text)?;
    Ok(0)
}

fn row(session: &Session<'_>, passwd: &Passwd, view: &View, entry: &Entry) -> Row {
    let (id, owner, message) = match entry {
        Entry::Container(container) => match sound_row(container, passwd, view) {
            Ok(row) => return row,
            Err(failure) => (&container.id, container.owner, failure.message),
        },
        Entry::Damaged { id, reason, owner } => {
            (id, *owner, format!("the state of container {id:?} is damaged: {reason}"))
        }
    };
    session.log.warning(&message);
    damaged_row(id, passwd.name_of(owner))
}

fn sound_row(container: &Container, passwd: &Passwd, view: &View) -> Result<Row> {
    let state = container.state_from(view)?;
    Ok(Row {
        oci_version: state.oci_version.as_str().into(),
        id: container.id.clone(),
        pid: state.pid,
        status: state.status.name().into(),
        bundle: container.bundle.clone(),
        rootfs: container.rootfs.clone(),
        created: container.created.clone(),
        annotations: container.annotations.clone(),
        owner: passwd.name_of(container.owner),
    })
}

fn damaged_row(id: &str, owner: String) -> Row {
    Row {
        oci_version: OCI_VERSION.into(),
        id: id.into(),
        pid: 0,
        status: DAMAGED.into(),
        bundle: String::new(),
        rootfs: String::new(),
        created: String::new(),
        annotations: BTreeMap::new(),
        owner,
    }
}

/// One line of JSON. Nothing is `null`, as Go writes a list that was never made: callers of runc know no other.
fn json(rows: &[Row]) -> Result<String> {
    if rows.is_empty() {
        return Ok("null\n".into());
    }
    let mut text = output::json(serde_json::to_string(rows))?;
    text.push('\n');
    Ok(text)
}

/// The narrowest column of a table, in characters, and the space between columns: runc's settings of Go's
/// text/tabwriter.
const WIDTH_MIN: usize = 12;
const PADDING: usize = 3;

fn table(rows: &[Row]) -> String {
    let head = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(String::from);
    let lines: Vec<[String; 6]> = core::iter::once(head).chain(rows.iter().map(cells)).collect();
    let mut widths = [0; 6];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (cell.chars().count() + PADDING).max(WIDTH_MIN).max(*width);
        }
    }
    let mut text = String::new();
    for line in &lines {
        for (index, (cell, width)) in line.iter().zip(widths).enumerate() {
            if index + 1 == line.len() {
                text.push_str(cell);
            } else {
                text.push_str(&format!("{cell:width$}"));
            }
        }
        text.push('\n');
    }
    text
}

fn cells(row: &Row) -> [String; 6] {
    [
        printable(&row.id),
        format!("{}", row.pid),
        row.status.clone(),
        printable(&row.bundle),
        printable(&row.created),
        printable(&row.owner),
    ]
}

/// Control characters are escaped: a line break in a directory's name could fake the row of another container, and an
/// escape sequence could hide one.
fn printable(text: &str) -> String {
    let mut shown = String::new();
    for character in text.chars() {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, bundle: &str) -> Row {
        Row {
            oci_version: "1.3.0".into(),
            id: id.into(),
            pid: 4711,
            status: "running".into(),
            bundle: bundle.into(),
            rootfs: "/b/rootfs".into(),
            created: "2026-02-03T04:05:06Z".into(),
            annotations: BTreeMap::new(),
            owner: "root".into(),
        }
    }

    #[test]
    fn a_table_is_aligned_as_by_tabwriter() {
        let head = "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n";
        assert_eq!(table(&[]), head);
        let expected = "\
ID                  PID         STATUS      BUNDLE       CREATED                OWNER
a                   4711        running     /b           2026-02-03T04:05:06Z   root
seventeen-letters   4711        running     /b\u{e9}\\nnasty   2026-02-03T04:05:06Z   root
";
        assert_eq!(table(&[row("a", "/b"), row("seventeen-letters", "/b\u{e9}\nnasty")]), expected);
    }

    #[test]
    fn a_damaged_container_is_a_row_too() {
        let rows = [damaged_row("broken", "ann".into())];
        let expected = "\
ID          PID         STATUS      BUNDLE      CREATED     OWNER
broken      0           damaged                             ann
";
        assert_eq!(table(&rows), expected);
        let expected = r#"[{"ociVersion":"1.3.0","id":"broken","pid":0,"status":"damaged","bundle":"","rootfs":"","created":"","owner":"ann"}]"#;
        assert_eq!(json(&rows).unwrap(), format!("{expected}\n"));
    }

    #[test]
    fn json_has_the_fields_of_state_in_their_order() {
        let mut given = row("a", "/b");
        given.annotations.insert("k".into(), "v".into());
        let state: masu_spec::State<'_> = masu_spec::State {
            oci_version: "1.3.0".into(),
            id: "a".into(),
            pid: 4711,
            status: masu_spec::Status::Running,
            bundle: "/b".into(),
            rootfs: "/b/rootfs".into(),
            created: "2026-02-03T04:05:06Z".into(),
            annotations: BTreeMap::from([("k".into(), "v".into())]),
            owner: "root".into(),
        };
        assert_eq!(json(&[given]).unwrap(), format!("[{}]\n", serde_json::to_string(&state).unwrap()));
        assert_eq!(json(&[]).unwrap(), "null\n");
    }
}
