//! `help` and `--help`.

use alloc::string::String;

use masu_cli::{Command, write_help};

use crate::{
    failure::{Failure, Result},
    output,
};

/// Prints the help text of a command, or the general one.
pub(crate) fn print(command: Option<&Command>) -> Result<i32> {
    let mut text = String::new();
    write_help(&mut text, command).map_err(|_| Failure::new("write the help text: out of memory"))?;
    output::print(&text)?;
    Ok(0)
}
