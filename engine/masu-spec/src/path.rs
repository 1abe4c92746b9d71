//! Where in the document a value stands: built on the stack while checking, written only for a message.
use alloc::string::{String, ToString};
use core::fmt;

use crate::config::Warning;
use crate::error::ConfigError;
use crate::text::Str;

/// The path of one value. Each step borrows the one before, so that checking a correct file allocates nothing for it.
#[derive(Clone, Copy)]
pub(crate) enum Path<'p> {
    /// The document.
    Root,
    /// A field with a fixed name; a dotted name stands for fields within fields.
    Field(&'p Path<'p>, &'p str),
    /// An element of an array.
    Index(&'p Path<'p>, usize),
    /// An entry of a map whose keys the author chose.
    Key(&'p Path<'p>, &'p str),
}

impl<'p> Path<'p> {
    pub(crate) fn field(&'p self, name: &'p str) -> Self {
        Self::Field(self, name)
    }

    pub(crate) fn index(&'p self, index: usize) -> Self {
        Self::Index(self, index)
    }

    pub(crate) fn key(&'p self, key: &'p str) -> Self {
        Self::Key(self, key)
    }

    /// The value, or the error that it is missing.
    pub(crate) fn require<T>(&self, value: Option<T>) -> Result<T, ConfigError> {
        value.ok_or_else(|| ConfigError::Missing { path: self.to_string() })
    }

    pub(crate) fn illegal(&self, reason: impl Into<String>) -> ConfigError {
        ConfigError::Illegal { path: self.to_string(), reason: reason.into(), hint: None }
    }

    pub(crate) fn illegal_hint(&self, reason: impl Into<String>, hint: &'static str) -> ConfigError {
        ConfigError::Illegal { path: self.to_string(), reason: reason.into(), hint: Some(hint) }
    }

    pub(crate) fn warning(&self, text: impl Into<String>) -> Warning {
        Warning { path: self.to_string(), text: text.into() }
    }

    /// A string that becomes a C string: the kernel would read it only up to a NUL byte, so that what was checked and
    /// what is used would differ.
    pub(crate) fn c_string<'a>(&self, text: Str<'a>) -> Result<Str<'a>, ConfigError> {
        self.check_nul(&text)?;
        Ok(text)
    }

    /// As [`Path::c_string`].
    pub(crate) fn check_nul(&self, text: &str) -> Result<(), ConfigError> {
        if text.as_bytes().contains(&0) { Err(self.illegal("holds a NUL byte")) } else { Ok(()) }
    }

    /// An absolute path.
    pub(crate) fn absolute<'a>(&self, text: Str<'a>) -> Result<Str<'a>, ConfigError> {
        if text.starts_with('/') {
            self.c_string(text)
        } else {
            Err(self.illegal(alloc::format!("{:?} is not an absolute path", text.as_str())))
        }
    }

    /// A string where an empty one means the same as none.
    pub(crate) fn non_empty<'a>(&self, text: Option<Str<'a>>) -> Result<Option<Str<'a>>, ConfigError> {
        text.filter(|text| !text.is_empty()).map(|text| self.c_string(text)).transpose()
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
            Self::Key(parent, key) => write!(f, "{parent}[{key:?}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_from_the_root() {
        let root = Path::Root;
        let linux = root.field("linux");
        let namespaces = linux.field("namespaces");
        let element = namespaces.index(2);
        assert_eq!(element.field("type").to_string(), "linux.namespaces[2].type");
        assert_eq!(linux.field("sysctl").key("net.\"x").to_string(), r#"linux.sysctl["net.\"x"]"#);
        assert_eq!(root.to_string(), "");
    }
}
