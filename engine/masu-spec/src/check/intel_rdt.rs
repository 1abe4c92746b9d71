//! `linux.intelRdt`.
use alloc::format;

use crate::config::IntelRdt;
use crate::error::ConfigError;
use crate::path::Path;
use crate::schema;
use crate::text::Str;

/// Directories that the kernel itself has in a resctrl file system.
const RESERVED: [&str; 5] = [".", "..", "info", "mon_data", "mon_groups"];

pub(super) fn intel_rdt<'a>(raw: schema::IntelRdt<'a>, at: &Path<'_>) -> Result<IntelRdt<'a>, ConfigError> {
    let clos_id = at.field("closID");
    let bandwidth = at.field("memBwSchema");
    let mem_bw_schema = line(raw.mem_bw_schema, &bandwidth)?;
    if let Some(schema) = mem_bw_schema.as_ref().filter(|schema| !schema.starts_with("MB:")) {
        return Err(bandwidth.illegal(format!("{:?} does not begin with \"MB:\"", schema.as_str())));
    }
    let lines = at.field("schemata");
    let schemata = raw.schemata.unwrap_or_default().into_iter().enumerate();
    let schemata = schemata.filter_map(|(index, text)| line(Some(text), &lines.index(index)).transpose());
    Ok(IntelRdt {
        clos_id: clos_id.non_empty(raw.clos_id)?.map(|name| check_class(name, &clos_id)).transpose()?,
        l3_cache_schema: line(raw.l3_cache_schema, &at.field("l3CacheSchema"))?,
        mem_bw_schema,
        schemata: schemata.collect::<Result<_, _>>()?,
        enable_monitoring: raw.enable_monitoring.unwrap_or_default(),
    })
}

fn check_class<'a>(name: Str<'a>, at: &Path<'_>) -> Result<Str<'a>, ConfigError> {
    if name == "/" || !(name.contains(['/', '\n']) || RESERVED.contains(&name.as_str())) {
        return Ok(name);
    }
    Err(at.illegal_hint(
        format!("{:?} is not the name of a class", name.as_str()),
        "it is the name of one directory in resctrl, or / for the default class",
    ))
}

fn line<'a>(text: Option<Str<'a>>, at: &Path<'_>) -> Result<Option<Str<'a>>, ConfigError> {
    let text = at.non_empty(text)?;
    match &text {
        Some(text) if text.contains('\n') => Err(at.illegal("holds a line feed")),
        _ => Ok(text),
    }
}
