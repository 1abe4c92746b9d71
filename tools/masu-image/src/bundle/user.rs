//! Who runs an image's program: its `User`, by the image's own passwd(5) and group(5).

use crate::{Error, Result};

/// A user of a container, in the container's ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

/// The two files of an image, as text; empty where there is none.
#[derive(Debug, Clone, Default)]
pub struct Accounts {
    /// `/etc/passwd`
    pub passwd: String,
    /// `/etc/group`
    pub group: String,
}

/// A line of passwd(5).
struct Account<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
}

impl Accounts {
    /// Who `USER[:GROUP]` is, each a name or a number. Without a group it is the user's own, 0 for a number that is not
    /// in passwd, and the supplementary groups are those that list the user: the image specification's conversion.md.
    ///
    /// # Errors
    ///
    /// [`Error::Syntax`] for a name that the image does not have: it would be run as root otherwise.
    pub fn find(&self, user: &str) -> Result<Identity> {
        let (name, group) = user.split_once(':').map_or((user, None), |(user, group)| (user, Some(group)));
        let unknown = |what: &str, name: &str, file: &str| Error::Syntax {
            what: "user",
            given: user.to_owned(),
            problem: format!("{what} {name:?} is not in the image's {file}"),
        };
        let account = match name {
            "" => self.account(|account| account.uid == 0),
            _ => self.account(|account| account.name == name || parse_id(name) == Some(account.uid)),
        };
        let uid = match (&account, name) {
            (Some(account), _) => account.uid,
            (None, "") => 0,
            (None, _) => parse_id(name).ok_or_else(|| unknown("user", name, "/etc/passwd"))?,
        };
        match group.filter(|group| !group.is_empty()) {
            Some(group) => {
                let gid = self
                    .groups()
                    .find(|(known, gid, _)| *known == group || parse_id(group) == Some(*gid))
                    .map(|(_, gid, _)| gid);
                let gid =
                    gid.or_else(|| parse_id(group)).ok_or_else(|| unknown("group", group, "/etc/group"))?;
                Ok(Identity { uid, gid, groups: Vec::new() })
            }
            None => {
                let gid = account.as_ref().map_or(0, |account| account.gid);
                let own = account.map_or("", |account| account.name);
                let listed = self
                    .groups()
                    .filter(|(_, id, members)| *id != gid && members.split(',').any(|member| member == own));
                let groups = if own.is_empty() { Vec::new() } else { listed.map(|(_, id, _)| id).collect() };
                Ok(Identity { uid, gid, groups })
            }
        }
    }

    /// The first account that is wanted. Lines that are none are passed over, as the C library does.
    fn account(&self, wanted: impl Fn(&Account<'_>) -> bool) -> Option<Account<'_>> {
        let accounts = self.passwd.lines().filter_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let [name, _, uid, gid, ..] = fields.as_slice() else { return None };
            Some(Account { name, uid: parse_id(uid)?, gid: parse_id(gid)? })
        });
        accounts.into_iter().find(|account| wanted(account))
    }

    /// Name, id and members of each group.
    fn groups(&self) -> impl Iterator<Item = (&str, u32, &str)> {
        self.group.lines().filter_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let [name, _, gid, members, ..] = fields.as_slice() else { return None };
            Some((*name, parse_id(gid)?, *members))
        })
    }
}

/// Digits alone: 4294967295 means "no change" to the kernel, and a sign or a rest would be read as another id
/// (CVE-2026-30892).
fn parse_id(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|id| digits && *id != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nbad line\nweb:x:33:34:Web:/srv:/bin/false\n\
                          7:x:1007:1008::/:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nweb:x:34:\nlogs:x:50:web,other\nmail:x:51:other\nown:x:34:web\n";

    fn find(user: &str) -> std::result::Result<(u32, u32, Vec<u32>), String> {
        let accounts = Accounts { passwd: PASSWD.into(), group: GROUP.into() };
        let found = accounts.find(user).map_err(|error| error.to_string())?;
        Ok((found.uid, found.gid, found.groups))
    }

    #[test]
    fn a_user_is_who_the_images_files_say() {
        let cases = [
            ("", (0, 0, vec![])),
            ("0", (0, 0, vec![])),
            ("root", (0, 0, vec![])),
            ("web", (33, 34, vec![50])),
            ("33", (33, 34, vec![50])),
            ("web:mail", (33, 51, vec![])),
            ("web:99", (33, 99, vec![])),
            ("web:", (33, 34, vec![50])),
            ("1000", (1000, 0, vec![])),
            ("1000:1000", (1000, 1000, vec![])),
            (":logs", (0, 50, vec![])),
            ("7", (1007, 1008, vec![])),
        ];
        for (user, expected) in cases {
            assert_eq!(find(user), Ok(expected), "{user:?}");
        }
    }

    #[test]
    fn a_name_that_the_image_does_not_have_is_an_error() {
        let cases = [
            ("nobody", "user \"nobody\" is not in the image's /etc/passwd"),
            ("web:nogroup", "group \"nogroup\" is not in the image's /etc/group"),
            ("+1", "user \"+1\" is not in the image's /etc/passwd"),
            ("-1", "user \"-1\" is not in the image's /etc/passwd"),
            ("4294967295", "user \"4294967295\" is not in the image's /etc/passwd"),
            ("4294967296", "user \"4294967296\" is not in the image's /etc/passwd"),
        ];
        for (user, problem) in cases {
            let error = find(user).unwrap_err();
            assert!(error.contains(problem), "{user}: {error}");
        }
    }

    #[test]
    fn an_image_without_the_files_has_numbers_alone() {
        let none = Accounts::default();
        assert_eq!(none.find("").unwrap(), Identity::default());
        assert_eq!(none.find("5:6").unwrap(), Identity { uid: 5, gid: 6, groups: vec![] });
        assert!(none.find("root").is_err());
    }
}
