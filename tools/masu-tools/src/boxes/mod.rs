//! `masu box`: from an image to a running container in one go, and nothing left of it afterwards; `masu logs` and `masu
//! wait` for one in the background.
//!
//! The box is a bundle of the store, `boxes/NAME` in it, that the engine runs as the container NAME. Root's is an overlay
//! on the host's mount table, as `masu bundle create` makes it. An ordinary user's is mounted in a user and mount
//! namespace of their own, which the engine is run in; the container's user namespace lies within that one.
//!
//! In the background the place of this process is taken by a supervisor ([`supervisor`]), in the same namespaces.

mod configure;
mod detach;
pub(crate) mod foreground;
mod log;
pub(crate) mod logs;
mod messages;
mod names;
pub(crate) mod network;
mod options;
mod status;
pub(crate) mod supervisor;
mod terminal;
mod time;
mod userns;
mod values;
pub(crate) mod wait;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ArgMatches;
use masu_app::{Failure, Result};
use masu_image::Store;
use masu_image::bundle::config::IdMaps;
use masu_image::bundle::{self, Base, Create, Root};
use masu_image::host_root::Homes;
use masu_image::layer::Dirlinks;
use masu_image::manifest::ImageConfig;
use masu_image::namespace::enter_private_mounts;
use masu_image::rootless::{Standing, administers_mounts};
use masu_image::unpack::Event;
use serde_json::Value;

use crate::Session;
use crate::bundle::overlay_or_copy;
use crate::image::choose::Opened;
use crate::image::failure;
use crate::image::pull::{self, Fetch};
use foreground::Signals;
use network::Choice;
use options::Words;
use userns::Claim;

pub(crate) use options::command;

/// Exit code for masu's own failures, as podman's and docker's.
pub(crate) const OWN_FAILURE: u8 = 125;

/// Makes the box, runs it and removes it.
pub(crate) fn run(session: &Session<'_>, matches: &ArgMatches) -> Result<ExitCode> {
    let words = Words::read(session, matches);
    options::check(&words, matches)?;
    let (network, images) = (network::choose(session, matches)?, configure::images(matches)?);
    configure::check(matches, &network)?;
    let userns = userns::Choice::read(matches, words.image.is_none())?;
    let fetch = Fetch::prepare(session, matches)?;
    let store = fetch.store.clone();
    let name = matches.get_one::<String>("name").cloned().map_or_else(random_name, Ok)?;
    refuse_taken_name(&store, &name)?;
    let homes = words.image.is_none().then(Homes::read).transpose().map_err(|error| failure(&error))?;
    session.root.prepare()?;
    let caller = Caller::enter(session)?;
    let origin = Origin::fetch(&fetch, &words, matches, &caller, homes, userns.user())?;
    let fetched = images.iter().map(|image| fetch.image_of(image, &caller.standing));
    let images = fetched.map(|image| Opened::read(&store, image?)).collect::<Result<Vec<_>>>()?;
    let directory = choose_directory(&store, &name)?;
    let ports = network::reserve_ports(&network, &store)?;
    let keep = matches.get_flag("keep");
    let signals = Signals::hold()?;
    let ids = userns.claim(&store, caller.maps.as_ref())?;
    let is_shifted = ids.as_ref().is_some_and(|ids| ids.shifts);
    let root = match (caller.maps.is_some(), keep) {
        // An ordinary user's mount would end with this process, and its files cannot get other owners.
        (true, _) if keep || is_shifted => Root::Flat,
        _ if words.image.is_none() => Root::Volatile,
        _ => {
            let wanted = if keep { Root::Overlay } else { Root::Volatile };
            overlay_or_copy(session, wanted, &store, store.path())?
        }
    };
    let parts = Parts { origin, images, ids, root };
    parts.make(session, &store, &caller.standing, &directory)?;
    let configured =
        configure_bundle(session, &directory, matches, &name, &caller, parts.ids.as_ref(), &network);
    drop(parts);
    let place = Place { store: &store, name: &name, directory: &directory };
    if matches.get_flag("detach") && configured.is_ok() {
        return detach::run(session, matches, &place, &ports, &signals);
    }
    let ended = configured.and_then(|()| foreground::run(session, matches, &name, &directory, &signals));
    let is_kept = keep && ended.is_ok();
    let left = place.leave(session, is_kept);
    let code = ended?;
    left?;
    if is_kept {
        session.log.warning(&format!(
            "kept as container {name}: masu delete {name}, then masu bundle rm {}",
            directory.display()
        ));
    }
    Ok(code)
}

/// What a box begins with.
enum Origin {
    Image(Box<Opened>),
    Host(Homes, Box<ImageConfig>),
}

impl Origin {
    /// Fetches the image, if it is one, and puts the options over what it says.
    fn fetch(
        fetch: &Fetch<'_>,
        words: &Words<'_>,
        matches: &ArgMatches,
        caller: &Caller,
        homes: Option<Homes>,
        user: Option<String>,
    ) -> Result<Self> {
        let mut origin = match homes {
            Some(homes) => Self::Host(homes, Box::default()),
            None => {
                let image = words.image.unwrap_or_default();
                Self::Image(Box::new(Opened::read(&fetch.store, fetch.image_of(image, &caller.standing)?)?))
            }
        };
        let config = match &mut origin {
            Self::Image(opened) => &mut opened.config,
            Self::Host(_, config) => config,
        };
        let run = config.config.get_or_insert_default();
        run.user = user.or_else(|| run.user.take());
        options::over_image(words, matches, run)?;
        Ok(origin)
    }

    fn base(&self) -> Base<'_> {
        match self {
            Self::Image(opened) => Base::Image(opened.content()),
            Self::Host(homes, config) => Base::Host(homes, config),
        }
    }
}

/// Where a box is.
struct Place<'a> {
    store: &'a Store,
    name: &'a str,
    directory: &'a Path,
}

impl Place<'_> {
    /// When the program has ended, or did not begin: removes the box, or makes it one that can be used from outside of
    /// the namespaces that it was run in.
    fn leave(&self, session: &Session<'_>, is_kept: bool) -> Result<()> {
        if !is_kept {
            // Before its root is taken away: the engine may have been killed, and the container not.
            messages::clear(session, self.directory)?;
            network::detach(self.directory)?;
            let removed = self.store.writer().and_then(|writer| bundle::remove(&writer, self.directory));
            return removed.map_err(|error| failure(&error));
        }
        let here = IdMaps::of_this_process().map_err(|error| failure(&error))?;
        edit(self.directory, |config| {
            let maps = IdMaps::read(config).map_err(|error| failure(&error))?;
            if let Some(maps) = maps {
                maps.through(&here).write(config);
            }
            Ok(())
        })
    }
}

/// Who calls.
struct Caller {
    standing: Standing,
    /// An ordinary user's ids in the namespace that the engine is run in: the container's are the same.
    maps: Option<IdMaps>,
}

impl Caller {
    /// Has to come before the first thread.
    fn enter(session: &Session<'_>) -> Result<Self> {
        let is_root = administers_mounts();
        let standing = pull::enter(session)?;
        if is_root {
            return Ok(Self { standing, maps: None });
        }
        enter_private_mounts().map_err(|error| failure(&error))?;
        let mut maps = IdMaps::of_this_process().map_err(|error| failure(&error))?;
        maps.uids.iter_mut().chain(&mut maps.gids).for_each(|range| range.outside = range.inside);
        Ok(Self { standing, maps: Some(maps) })
    }
}

/// Twelve hexadecimal digits, as the short ids of other engines.
fn random_name() -> Result<String> {
    let mut bytes = [0; 6];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|errno| Failure::new(format!("getrandom: {errno}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Where a box of this name would be.
fn directory_of(store: &Store, name: &str) -> Result<PathBuf> {
    masu_spec::check_container_id(name).map_err(|error| Failure::new(format!("box {name}: {error}")))?;
    Ok(store.path().join("boxes").join(name))
}

/// Where the new box will be.
fn choose_directory(store: &Store, name: &str) -> Result<PathBuf> {
    let boxes = store.path().join("boxes");
    std::fs::create_dir_all(&boxes)
        .map_err(|error| Failure::new(format!("create {}: {error}", boxes.display())))?;
    refuse_taken_name(store, name)
}

/// Where a box of this name would be, if there is none. A name that is taken is told by its owner, not by the file system.
fn refuse_taken_name(store: &Store, name: &str) -> Result<PathBuf> {
    let directory = directory_of(store, name)?;
    if directory.exists() {
        let message = format!("the name {name} is taken by the box {}", directory.display());
        return Err(Failure::with_hint(message, "another --name, or masu bundle rm when it has ended"));
    }
    Ok(directory)
}

/// A box that is there.
fn find(store: &Store, name: &str) -> Result<PathBuf> {
    let directory = directory_of(store, name)?;
    match directory.is_dir() {
        true => Ok(directory),
        false => Err(Failure::with_hint(
            format!("there is no box {name} in {}", store.path().display()),
            "a box goes when its program has ended, unless masu box had --keep",
        )),
    }
}

/// What a box is made of.
struct Parts {
    origin: Origin,
    /// Those that are mounted in it.
    images: Vec<Opened>,
    ids: Option<Claim>,
    root: Root,
}

impl Parts {
    fn make(
        &self,
        session: &Session<'_>,
        store: &Store,
        standing: &Standing,
        directory: &Path,
    ) -> Result<()> {
        let lost = |event| {
            if let Event::Lost(what) = event {
                session.log.warning(&what);
            }
        };
        let writer = store.writer().map_err(|error| failure(&error))?;
        let create = Create {
            store: &writer,
            base: self.origin.base(),
            images: &self.images.iter().map(Opened::content).collect::<Vec<_>>(),
            standing,
            ids: self.ids.as_ref().map(Claim::ids),
            root: self.root,
            dirlinks: Dirlinks::default(),
            on_event: &lost,
        };
        create.run(directory).map_err(|error| failure(&error))
    }
}

/// What the options say, over what the image says.
fn configure_bundle(
    session: &Session<'_>,
    directory: &Path,
    matches: &ArgMatches,
    name: &str,
    caller: &Caller,
    ids: Option<&Claim>,
    network: &Choice,
) -> Result<()> {
    edit(directory, |config| {
        configure::apply(config, matches, name, directory, ids.is_some(), network)?;
        if let Some((uid, gid)) = ids.filter(|ids| ids.shifts).and_then(|ids| ids.maps.outside(0, 0)) {
            names::give(directory, uid, gid)?;
        }
        if caller.maps.is_some() && !has_own_cgroup() && configure::drop_limits(config) {
            session.log.warning(
                "memory, processors and processes are not limited: no cgroup is delegated to this user (cgroup v2, \
                 systemd-run --user --scope -p Delegate=yes)",
            );
        }
        Ok(())
    })
}

/// Changes the bundle's config.json.
fn edit(directory: &Path, change: impl FnOnce(&mut Value) -> Result<()>) -> Result<()> {
    let path = directory.join("config.json");
    let told = |error: std::io::Error| Failure::new(format!("{}: {error}", path.display()));
    let text = std::fs::read(&path).map_err(told)?;
    let mut config: Value = serde_json::from_slice(&text).map_err(|error| told(error.into()))?;
    change(&mut config)?;
    let text = serde_json::to_vec_pretty(&config).map_err(|error| told(error.into()))?;
    std::fs::write(&path, text).map_err(told)
}

/// Whether this process may make cgroups below its own: on cgroup v2, where somebody has delegated it.
fn has_own_cgroup() -> bool {
    let text = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = text.lines().find_map(|line| line.strip_prefix("0::/"));
    own.is_some_and(|own| {
        let directory = Path::new("/sys/fs/cgroup").join(own);
        directory.join("cgroup.procs").exists()
            && rustix::fs::access(&directory, rustix::fs::Access::WRITE_OK).is_ok()
    })
}
