//! mounts: uidMappings and gidMappings, and the options idmap and ridmap.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags};
use serde_json::{Value, json};

use crate::harness::config::Config;
use crate::harness::{Bench, Check, Need, Suite, ensure, ensure_eq};

/// Adds the cases.
pub(crate) fn add(suite: &mut Suite) {
    owners(suite);
    reach(suite);
    refusals(suite);
}

fn map(first: u32, size: u32) -> Value {
    json!([{"containerID": 0, "hostID": first, "size": size}])
}

/// A directory on a file system that can be mapped, with a file of user 5 and group 6.
fn source(bench: &Bench<'_>) -> Check<PathBuf> {
    let source = bench.directory("source")?;
    fs::write(source.join("file"), "")?;
    chown(source.join("file"), Some(5), Some(6))?;
    fs::set_permissions(&source, std::os::unix::fs::PermissionsExt::from_mode(0o777))?;
    Ok(source)
}

/// Binds `source` on /mnt, with mappings of its own where they are given.
fn bind(config: &mut Config, source: &Path, options: &[&str], own: Option<[Value; 2]>) {
    let mut mount = json!({"destination": "/mnt", "source": source, "options": options});
    if let Some([uids, gids]) = own {
        mount["uidMappings"] = uids;
        mount["gidMappings"] = gids;
    }
    config.push("/mounts", mount);
}

const OWNER: &str = "stat -c %u:%g /mnt/file";

#[expect(clippy::too_many_lines, reason = "a flat list of cases")]
fn owners(suite: &mut Suite) {
    for option in [&["bind", "idmap"][..], &["bind"]] {
        let name = format!("a bind mount with mappings and {} shows their owners", option.join(","));
        suite
            .case(name, move |bench| {
                let source = source(bench)?;
                let own = Some([map(1000, 10), map(2000, 10)]);
                ensure_eq!(bench.inside(OWNER, |config| bind(config, &source, option, own))?, "1005:2006");
                let file = fs::metadata(source.join("file"))?;
                ensure_eq!((file.uid(), file.gid()), (5, 6));
                Ok(())
            })
            .needs(&[Need::Root]);
    }
    suite
        .case("an owner that an id-mapped mount does not map is nobody", |bench| {
            let source = source(bench)?;
            let own = Some([map(1000, 5), map(2000, 7)]);
            ensure_eq!(
                bench.inside(OWNER, |config| bind(config, &source, &["bind", "idmap"], own))?,
                "65534:2006"
            );
            Ok(())
        })
        .needs(&[Need::Root]);
    suite
        .case("what is made in an id-mapped mount belongs to the mapped owner on the disk", |bench| {
            let source = source(bench)?;
            let own = Some([map(1000, 10), map(2000, 10)]);
            bench.inside("touch /mnt/new", |config| {
                bind(config, &source, &["bind", "idmap"], own);
                config.set("/process/user", json!({"uid": 1003, "gid": 2004}));
            })?;
            let file = fs::metadata(source.join("new"))?;
            ensure_eq!((file.uid(), file.gid()), (3, 4));
            Ok(())
        })
        .needs(&[Need::Root]);
    suite
        .case("idmap without mappings takes those of the container's user namespace", |bench| {
            let source = source(bench)?;
            let script = format!("{OWNER}; touch /mnt/new");
            let text = bench.inside(&script, |config| {
                config.user_namespace();
                bind(config, &source, &["bind", "idmap", "nosuid"], None);
            })?;
            ensure_eq!(text, "5:6");
            ensure_eq!(fs::metadata(source.join("new"))?.uid(), 0);
            Ok(())
        })
        .needs(&[Need::Root]);
    suite
        .case("idmap without mappings takes those of a user namespace that is joined", |bench| {
            let other = bench.sleeper(|config| {
                config.user_namespace();
            })?;
            let path = format!("/proc/{}/ns/user", other.pid()?);
            let source = source(bench)?;
            let text = bench.inside(OWNER, |config| {
                config.join_namespace("user", &path);
                bind(config, &source, &["bind", "idmap"], None);
            })?;
            ensure_eq!(text, "5:6");
            Ok(())
        })
        .needs(&[Need::Root]);
    suite
        .case("a mount's own mappings count beside those of the container's user namespace", |bench| {
            let source = source(bench)?;
            let own = Some([map(100_100, 10), map(100_200, 10)]);
            let text = bench.inside(OWNER, |config| {
                config.user_namespace();
                bind(config, &source, &["bind", "idmap"], own);
            })?;
            ensure_eq!(text, "105:206");
            Ok(())
        })
        .needs(&[Need::Root]);
}

/// A tmpfs with a file of user 5, mounted on the host while the case needs it.
struct Mounted(PathBuf);

impl Mounted {
    fn on(point: PathBuf) -> Check<Self> {
        fs::create_dir(&point)?;
        rustix::mount::mount("tmpfs", &point, "tmpfs", MountFlags::empty(), None)?;
        let mounted = Self(point);
        fs::write(mounted.0.join("file"), "")?;
        chown(mounted.0.join("file"), Some(5), Some(6))?;
        Ok(mounted)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        rustix::mount::unmount(&self.0, UnmountFlags::DETACH).ok(); // ignored: the end of the case looks for it
    }
}

fn reach(suite: &mut Suite) {
    for (option, below) in [("idmap", "5:6"), ("ridmap", "1005:2006")] {
        suite
            .case(format!("{option} shows an owner below a mount below as {below}"), move |bench| {
                let source = source(bench)?;
                let _mounted = Mounted::on(source.join("below"))?;
                let script = format!("{OWNER}; stat -c %u:%g /mnt/below/file");
                let own = Some([map(1000, 10), map(2000, 10)]);
                let text = bench.inside(&script, |config| bind(config, &source, &["rbind", option], own))?;
                ensure_eq!(text, format!("1005:2006\n{below}"));
                Ok(())
            })
            .needs(&[Need::Root]);
    }
    suite
        .case("an id-mapped mount has the other options too", |bench| {
            let source = source(bench)?;
            let own = Some([map(1000, 10), map(2000, 10)]);
            let text = bench.inside("grep ' /mnt ' /proc/self/mountinfo", |config| {
                bind(config, &source, &["bind", "idmap", "ro", "nodev", "noexec"], own);
            })?;
            ensure!(text.contains(" ro,nodev,noexec,relatime,idmapped "), "{text}");
            Ok(())
        })
        .needs(&[Need::Root]);
    suite
        .masu_only("`mounts add` takes an id map", |bench| {
            let container = bench.sleeper(|_| {})?;
            let source = source(bench)?;
            let file = bench.path("mounts.json");
            let mount = json!([{"destination": "/mnt", "source": source, "options": ["bind", "idmap"],
                "uidMappings": map(1000, 10), "gidMappings": map(2000, 10)}]);
            fs::write(&file, mount.to_string())?;
            bench.call(&["mounts", "add", &container.id]).arg(&file).succeeds()?;
            ensure_eq!(container.exec(OWNER)?, "1005:2006");
            Ok(())
        })
        .needs(&[Need::Root]);
}

#[expect(clippy::too_many_lines, reason = "a flat list of cases")]
fn refusals(suite: &mut Suite) {
    suite
        .case("idmap without mappings and without a user namespace is refused", |bench| {
            let source = source(bench)?;
            let output = bench.script("true", |config| bind(config, &source, &["bind", "idmap"], None))?;
            output.fails_with(1, &["apping"])?;
            Ok(())
        })
        .needs(&[Need::Root]);
    suite
        .case("one of the two mappings of a mount without the other is refused", |bench| {
            let source = source(bench)?;
            let own = Some([map(1000, 10), json!([])]);
            let output = bench.script("true", |config| bind(config, &source, &["bind", "idmap"], own))?;
            output.fails_with(1, &["apping"])?;
            Ok(())
        })
        .needs(&[Need::Root]);
    suite
        .case("mappings of a mount that is no bind mount are refused", |bench| {
            let output = bench.script("true", |config| {
                config.push(
                    "/mounts",
                    json!({"destination": "/mnt", "type": "tmpfs", "source": "tmpfs", "options": ["idmap"],
                        "uidMappings": map(1000, 10), "gidMappings": map(2000, 10)}),
                );
            })?;
            output.fails_with(1, &["bind"])?;
            Ok(())
        })
        .needs(&[Need::Root]);
    suite
        .masu_only("a file system that cannot be mapped is refused with its path", |bench| {
            let own = Some([map(1000, 10), map(2000, 10)]);
            let output = bench.script("true", |config| {
                bind(config, Path::new("/proc/sys"), &["bind", "idmap"], own);
            })?;
            let index = default_mounts(bench);
            ensure_eq!(
                output.stderr,
                format!(
                    "masu: mounts[{index}]: give \"/proc/sys\" an id map: mount_setattr: invalid argument (EINVAL)\n\
                     hint: its file system, or with ridmap that of a mount below it, cannot be mapped: ext4, xfs, btrfs \
                     and others can, tmpfs since Linux 6.3\n"
                )
            );
            Ok(())
        })
        .needs(&[Need::Root]);
    suite
        .masu_only("an id map for a mount that is there already is refused", |bench| {
            let source = source(bench)?;
            let own = Some([map(1000, 10), map(2000, 10)]);
            let output = bench.script("true", |config| {
                bind(config, &source, &["bind", "idmap", "remount"], own);
            })?;
            let index = default_mounts(bench);
            ensure_eq!(
                output.stderr,
                format!(
                    "masu: mounts[{index}]: an id map is given to a new mount, and remount changes an old one\n"
                )
            );
            Ok(())
        })
        .needs(&[Need::Root]);
    suite
        .masu_only("an ordinary user cannot have an id-mapped mount", |bench| {
            bench.become_user()?;
            let source = bench.directory("source")?;
            let own = Some([map(0, 1), map(0, 1)]);
            let output = bench.script("true", |config| bind(config, &source, &["bind", "idmap"], own))?;
            output.fails_with(1, &["an id-mapped mount takes root's privileges"])?;
            Ok(())
        })
        .needs(&[Need::Root]);
}

fn default_mounts(bench: &Bench<'_>) -> usize {
    bench.world.default_config["mounts"].as_array().map_or(0, Vec::len)
}
