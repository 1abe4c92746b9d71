//! User names of the host, from /etc/passwd: passwd(5).

use alloc::string::{String, ToString};

use masu_runtime::files;

/// The host's users. Without the file, or where it does not name a user, numbers are shown.
#[derive(Debug)]
pub(crate) struct Passwd(String);

impl Passwd {
    /// Reads /etc/passwd.
    pub(crate) fn read() -> Self {
        let bytes = files::read("/etc/passwd").unwrap_or_default();
        Self(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The name of a user, or the number.
    pub(crate) fn name_of(&self, uid: u32) -> String {
        let found = self.0.lines().find_map(|line| {
            let mut fields = line.split(':');
            let (name, number) = (fields.next()?, fields.nth(1)?);
            (number.parse() == Ok(uid) && !name.is_empty()).then_some(name)
        });
        found.map_or_else(|| uid.to_string(), ToString::to_string)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_number() {
        let passwd =
            Passwd("root:x:0:0:root:/root:/bin/sh\n#odd\n::5::\nann:x:1000:1000::/:\nbob:x:1000:1:::".into());
        for (uid, name) in [(0, "root"), (1000, "ann"), (5, "5"), (7, "7"), (u32::MAX, "4294967295")] {
            assert_eq!(passwd.name_of(uid), name);
        }
    }
}
