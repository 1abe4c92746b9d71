//! `mounts`.

use alloc::format;

use masu_cli::Parsed;
use masu_runtime::{add_mounts, files, remove_mounts};
use masu_spec::{parse_config, parse_mounts};

use crate::{
    failure::{Failure, Result, in_file},
    session::Session,
};

/// Adds mounts to a container, or removes them.
pub(super) fn mounts(session: &Session<'_>, parsed: &Parsed<'_>) -> Result<i32> {
    let action = parsed.positional(0).unwrap_or_default();
    let carry_out = match action {
        "add" => add_mounts,
        "remove" => remove_mounts,
        _ => {
            return Err(Failure::with_hint(
                format!("mounts: unknown action {action:?}"),
                "masu mounts add ID FILE, or masu mounts remove ID FILE",
            ));
        }
    };
    let container = session.store.load(parsed.positional(1).unwrap_or_default())?;
    let file = parsed.positional(2).unwrap_or_default();
    let bytes = files::read(file).map_err(|errno| Failure::of_file("read", file, errno))?;
    let (mounts, warnings) = parse_mounts(&bytes).map_err(|error| in_file(file, &error))?;
    for warning in warnings {
        session.log.warning(&format!("{file}: {warning}"));
    }
    let config = container.read_config()?;
    let mut config =
        parse_config(&config).map_err(|error| in_file("config.json of the container", &error))?;
    config.mounts = mounts;
    carry_out(&container, &config, session.init_image)?;
    Ok(0)
}
