//! `hooks`.
use alloc::format;
use alloc::vec::Vec;

use crate::error::ConfigError;
use crate::hooks::{Hook, HookKind, Hooks};
use crate::path::Path;
use crate::schema;
use crate::text::Str;

pub(super) fn hooks<'a>(raw: schema::Hooks<'a>, at: &Path<'_>) -> Result<Hooks<'a>, ConfigError> {
    let list = |raw: Option<Vec<schema::Hook<'a>>>, kind: HookKind| {
        let at = at.field(kind.name());
        raw.unwrap_or_default()
            .into_iter()
            .enumerate()
            .map(|(index, raw)| hook(raw, &at.index(index)))
            .collect::<Result<Vec<_>, _>>()
    };
    Ok(Hooks([
        list(raw.prestart, HookKind::Prestart)?,
        list(raw.create_runtime, HookKind::CreateRuntime)?,
        list(raw.create_container, HookKind::CreateContainer)?,
        list(raw.start_container, HookKind::StartContainer)?,
        list(raw.poststart, HookKind::Poststart)?,
        list(raw.poststop, HookKind::Poststop)?,
    ]))
}

fn hook<'a>(raw: schema::Hook<'a>, at: &Path<'_>) -> Result<Hook<'a>, ConfigError> {
    let path = at.field("path");
    Ok(Hook {
        path: path.absolute(path.require(raw.path)?)?,
        args: texts(raw.args.unwrap_or_default(), &at.field("args"))?,
        env: raw.env.map(|env| texts(env, &at.field("env"))).transpose()?,
        timeout: raw.timeout.map(|timeout| seconds(timeout, &at.field("timeout"))).transpose()?,
    })
}

fn texts<'a>(texts: Vec<Str<'a>>, at: &Path<'_>) -> Result<Vec<Str<'a>>, ConfigError> {
    texts.into_iter().enumerate().map(|(index, text)| at.index(index).c_string(text)).collect()
}

fn seconds(timeout: i64, at: &Path<'_>) -> Result<u32, ConfigError> {
    match u32::try_from(timeout) {
        Ok(seconds @ 1..) => Ok(seconds),
        _ => {
            let hint = "a timeout is a number of seconds; without one the hook may take as long as it likes";
            Err(at.illegal_hint(format!("{timeout} is not within 1 to {}", u32::MAX), hint))
        }
    }
}
