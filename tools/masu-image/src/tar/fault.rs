//! What can be wrong with an archive.

/// Why an archive is not read any further.
#[derive(Debug)]
pub enum Fault {
    /// Its source failed.
    Read(std::io::Error),
    /// It ends in the middle of something.
    Truncated(&'static str),
    /// A header whose checksum does not fit: damage, or no archive at all.
    Checksum,
    /// A field of a header, or of a pax record, is not what it should be.
    Field {
        /// Its name in the format's documentation.
        name: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A pax record is not `LENGTH KEY=VALUE\n`.
    Record,
    /// Readers would differ in what this means.
    Ambiguous(&'static str),
    /// A type of member that no image has: by the byte that stands for it.
    Type(u8),
    /// An extension is larger than any honest one.
    TooLarge {
        /// What it holds.
        what: &'static str,
        /// In bytes.
        limit: u64,
    },
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Read(error) => write!(f, "read: {error}"),
            Self::Truncated(what) => write!(f, "the archive ends within {what}"),
            Self::Checksum => f.write_str("wrong checksum of a header: damaged, or not a tar archive"),
            Self::Field { name, problem } => write!(f, "{name}: {problem}"),
            Self::Record => f.write_str("malformed pax record"),
            Self::Ambiguous(what) => write!(f, "ambiguous: {what}"),
            Self::Type(kind) => write!(f, "unsupported type of member: '{}'", kind.escape_ascii()),
            Self::TooLarge { what, limit } => write!(f, "{what} beyond {limit} bytes"),
        }
    }
}

impl std::error::Error for Fault {}

impl Fault {
    pub(super) fn field(name: &'static str, problem: &'static str) -> Self {
        Self::Field { name, problem }
    }
}
