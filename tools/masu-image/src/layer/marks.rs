//! How a layer says that something of the layers below is gone: in its archive, by names that begin with `.wh.`
//! (image-spec, layer.md, "Representing Changes"), and on disk, by what overlayfs looks for
//! (Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories").

use super::error::{Error, Reason};
use super::path;

/// What a member's path means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning<'a> {
    /// Itself.
    Member,
    /// This path of the layers below is gone.
    Whiteout(Vec<u8>),
    /// What the layers below have in this directory is gone.
    Opaque(&'a [u8]),
    /// aufs' own books (`.wh..wh.aufs`, `.wh..wh.plnk/…`), and what lies below a whiteout.
    Nothing,
}

const PREFIX: &[u8] = b".wh.";

/// Reads the meaning off a path that [`path::parse`] gave.
pub(super) fn meaning(path: &[u8]) -> Result<Meaning<'_>, Error> {
    let Some((directory, name)) = path::split(path) else { return Ok(Meaning::Member) };
    if directory.split(|byte| *byte == b'/').any(|component| component.starts_with(PREFIX)) {
        return Ok(Meaning::Nothing);
    }
    match name.strip_prefix(PREFIX) {
        None => Ok(Meaning::Member),
        Some(b".wh..opq") => Ok(Meaning::Opaque(directory)),
        Some(hidden) if hidden.starts_with(PREFIX) => Ok(Meaning::Nothing),
        Some(b"" | b"." | b"..") => Err(Error::refused(path, Reason::BareWhiteout)),
        Some(hidden) => Ok(Meaning::Whiteout(path::join(directory, hidden))),
    }
}

/// Which extended attributes overlayfs keeps its marks in: a matter of how the snapshots will be mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marks {
    /// `trusted.overlay.*`, which takes CAP_SYS_ADMIN in the initial user namespace.
    Trusted,
    /// `user.overlay.*`, for a mount with the option `userxattr` (Linux 5.11).
    User,
}

impl Marks {
    /// What they are called.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Trusted => "trusted",
            Self::User => "user",
        }
    }

    const fn prefix(self) -> &'static [u8] {
        match self {
            Self::Trusted => b"trusted.overlay.",
            Self::User => b"user.overlay.",
        }
    }

    /// The mark of an opaque directory; its value is `y`.
    pub(super) const fn opaque(self) -> &'static str {
        match self {
            Self::Trusted => "trusted.overlay.opaque",
            Self::User => "user.overlay.opaque",
        }
    }

    /// The name that an attribute of the layer gets on disk. A layer's own `trusted.overlay.redirect` would lead
    /// overlayfs to another directory: escaped, Linux 6.7 and later show it as it was, and older ones with the
    /// escape in it.
    pub(super) fn escape(self, name: &[u8]) -> Vec<u8> {
        match name.strip_prefix(self.prefix()) {
            Some(rest) => [self.prefix(), b"overlay.", rest].concat(),
            None => name.to_vec(),
        }
    }

    /// Whether this attribute of a directory on disk is overlayfs' mark, not the layer's attribute.
    pub(super) fn is_mark(self, name: &[u8]) -> bool {
        name.strip_prefix(self.prefix()).is_some_and(|rest| !rest.starts_with(b"overlay."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_the_prefix_are_never_members() {
        let cases: [(&[u8], Meaning<'_>); 10] = [
            (b"a/b", Meaning::Member),
            (b"a/.wh", Meaning::Member),
            (b"", Meaning::Member),
            (b".wh.a", Meaning::Whiteout(b"a".to_vec())),
            (b"a/.wh.b", Meaning::Whiteout(b"a/b".to_vec())),
            (b"a/.wh..b", Meaning::Whiteout(b"a/.b".to_vec())),
            (b"a/.wh..wh..opq", Meaning::Opaque(b"a")),
            (b".wh..wh..opq", Meaning::Opaque(b"")),
            (b".wh..wh.plnk/1.2", Meaning::Nothing),
            (b"a/.wh..wh.aufs", Meaning::Nothing),
        ];
        for (path, expected) in cases {
            assert_eq!(meaning(path).unwrap(), expected, "{}", path.escape_ascii());
        }
        for path in [&b".wh."[..], b"a/.wh.", b"a/.wh..", b"a/.wh..."] {
            let Err(Error::Refused { reason, .. }) = meaning(path) else { panic!("{}", path.escape_ascii()) };
            assert_eq!(reason, Reason::BareWhiteout);
        }
    }

    #[test]
    fn a_layer_cannot_write_the_marks_of_overlayfs() {
        assert_eq!(Marks::Trusted.escape(b"trusted.overlay.opaque"), b"trusted.overlay.overlay.opaque");
        assert_eq!(Marks::User.escape(b"user.overlay.overlay.a"), b"user.overlay.overlay.overlay.a");
        assert_eq!(Marks::Trusted.escape(b"user.overlay.opaque"), b"user.overlay.opaque");
        assert!(Marks::User.is_mark(b"user.overlay.opaque"));
        assert!(!Marks::User.is_mark(b"user.overlay.overlay.opaque"));
    }
}
