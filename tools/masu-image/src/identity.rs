//! Whose home may be seen inside. Read before a user namespace is entered: in there every other uid is 65534.

use crate::{Error, Result};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The homes of this machine, by resolved path, as one user may see them.
#[derive(Debug)]
pub struct Homes {
    /// The caller's own home; none for root, whose home is hidden too.
    pub(crate) own: Option<PathBuf>,
    /// The homes of root and of other people.
    pub(crate) hidden: Vec<PathBuf>,
}

impl Homes {
    /// Reads `/etc/passwd` and resolves the homes that exist and belong to the account they are written for:
    /// some accounts name a directory that is everybody's. Where the file is missing, as in small containers, nobody has one.
    ///
    /// # Errors
    ///
    /// [`Error::File`] when the file cannot be read.
    pub fn read() -> Result<Self> {
        let file = Path::new("/etc/passwd");
        let passwd = match std::fs::read(file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            other => other.map_err(Error::file("read", file))?,
        };
        let uid = rustix::process::getuid().as_raw();
        let mut homes = Self { own: None, hidden: vec![PathBuf::from("/root"), PathBuf::from("/home")] };
        for account in parse_people(&String::from_utf8_lossy(&passwd)) {
            let Ok(path) = account.home.canonicalize() else { continue };
            let belongs = path.metadata().is_ok_and(|m| m.is_dir() && m.uid() == account.uid);
            match (belongs, account.uid == uid && uid != 0) {
                (false, _) => {}
                (true, true) => homes.own = Some(path),
                (true, false) => homes.hidden.push(path),
            }
        }
        homes.hidden.retain(|path| path != Path::new("/"));
        Ok(homes)
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Account {
    uid: u32,
    home: PathBuf,
}

/// root and the people of a passwd(5) file: Debian gives people ids from 1000 on, and 65534 is nobody.
fn parse_people(passwd: &str) -> Vec<Account> {
    passwd
        .lines()
        .filter_map(parse_account)
        .filter(|a| a.uid == 0 || a.uid >= 1000 && a.uid != 65534)
        .collect()
}

fn parse_account(line: &str) -> Option<Account> {
    let mut fields = line.split(':');
    let uid = fields.nth(2)?.parse().ok()?;
    let home = PathBuf::from(fields.nth(2)?);
    home.is_absolute().then_some(Account { uid, home })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_root_and_ids_from_1000_but_nobody() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\n\
                      daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n\
                      alice:x:1000:1000:Alice,,,:/home/alice:/bin/bash\n\
                      nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n\
                      bad line\n\
                      odd:x:1001:1001::relative:/bin/sh\n\
                      bob:x:1002:1002::/srv/bob:/bin/sh\n";
        let expected = [(0, "/root"), (1000, "/home/alice"), (1002, "/srv/bob")];
        let expected: Vec<_> =
            expected.into_iter().map(|(uid, home)| Account { uid, home: home.into() }).collect();
        assert_eq!(parse_people(passwd), expected);
    }
}
