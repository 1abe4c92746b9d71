//! `masu bundle`: from an image to a bundle, for any OCI runtime.

use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command};
use masu_app::{Failure, Result};
use masu_image::bundle::config::{IdMaps, Ids};
use masu_image::bundle::{self, Base, Create, Root};
use masu_image::layer::Dirlinks;
use masu_image::rootless::{Standing, administers_mounts};
use masu_image::unpack::Event;
use masu_image::{Store, overlay};
use masu_runtime::{Entry, Store as Containers};

use crate::boxes::network;
use crate::image::choose::Opened;
use crate::image::pull::{self, Fetch};
use crate::image::{arguments, failure};
use crate::{Session, output};

/// The options.
pub(crate) fn command() -> Command {
    Command::new("bundle")
        .about("Make bundles from images, for this and any other runtime")
        .before_help("A bundle is a directory with config.json and rootfs/; masu run --bundle DIR runs it.")
        .after_help(
            "Example:\n  Run a program of an image by hand\n    masu bundle create alpine box && masu run --bundle box mybox",
        )
        .subcommand_required(true)
        .subcommand_value_name("VERB")
        .subcommands([create_command(), mount_command(), remove_command()])
}

fn create_command() -> Command {
    let image = Arg::new("image").value_name("IMAGE").required(true).help(
        "The image, fetched where it is missing; or oci:DIR, oci-archive:FILE, docker-archive:FILE, dir:DIR, rootfs:DIR|TAR",
    );
    let flat = Arg::new("flat").long("flat").action(ArgAction::SetTrue);
    let dirlinks = Arg::new("keep-dirlinks").long("keep-dirlinks").action(ArgAction::SetTrue);
    Command::new("create")
        .about("Make a bundle from an image")
        .before_help(
            "The root is an overlay over the image's layers: made in no time, and shared by all bundles of the image. As \
             an ordinary user, whose mounts end with their namespace, it is a copy; and so it is where the kernel has no \
             overlays, as on the root of a container.",
        )
        .arg(image)
        .arg(directory("The new bundle"))
        .arg(flat.help("Copy the layers instead of mounting them"))
        .arg(dirlinks.help(
            "Leave links to directories where a layer above has a directory, and put its files there; in a copy alone",
        ))
        .args(pull::options("missing"))
        .arg(arguments::store_option())
        .arg(arguments::quiet_option())
}

fn mount_command() -> Command {
    Command::new("mount")
        .about("Mount a bundle's root again, after a restart of the machine")
        .arg(directory("The bundle"))
        .arg(arguments::store_option())
}

fn remove_command() -> Command {
    Command::new("rm")
        .about("Remove a bundle, with all that was written in it")
        .arg(directory("The bundle"))
        .arg(arguments::store_option())
}

fn directory(help: &'static str) -> Arg {
    Arg::new("directory").value_name("DIR").required(true).help(help)
}

/// Does what the verb says.
pub(crate) fn run(session: &Session<'_>, matches: &ArgMatches) -> Result<()> {
    match matches.subcommand() {
        Some(("create", matches)) => create(session, matches),
        Some(("mount", matches)) => mount(session, matches),
        Some(("rm", matches)) => remove(session, matches),
        _ => Err(Failure::with_hint("no verb", "masu bundle --help")),
    }
}

fn create(session: &Session<'_>, matches: &ArgMatches) -> Result<()> {
    let directory = given_directory(matches);
    let dirlinks = if matches.get_flag("keep-dirlinks") { Dirlinks::Keep } else { Dirlinks::Replace };
    if dirlinks == Dirlinks::Keep && !matches.get_flag("flat") && administers_mounts() {
        let message = "--keep-dirlinks: in an overlay a directory takes the place of a link below it";
        return Err(Failure::with_hint(message, "--flat as well"));
    }
    let fetch = Fetch::prepare(session, matches)?;
    let store = fetch.store.clone();
    let caller = Caller::enter(session)?;
    let opened = Opened::read(&store, fetch.image(&caller.standing)?)?;
    let writer = store.writer().map_err(|error| failure(&error))?;
    let root = match matches.get_flag("flat") || caller.maps.is_some() {
        true => Root::Flat,
        false => overlay_or_copy(session, Root::Overlay, &store, above(&directory))?,
    };
    let lost = |event| {
        if let Event::Lost(what) = event {
            session.log.warning(&what);
        }
    };
    let create = Create {
        store: &writer,
        base: Base::Image(opened.content()),
        images: &[],
        standing: &caller.standing,
        ids: caller.maps.as_ref().map(|maps| Ids { maps, is_users: true, shifts: false }),
        root,
        dirlinks,
        on_event: &lost,
    };
    create.run(&directory).map_err(|error| failure(&error))?;
    if matches.get_flag("quiet") {
        return Ok(());
    }
    output::print(&format!("{}\n", directory.display()))
}

/// What a root will be that is to be an overlay of the store's layers with what is written in `directory`: where the kernel
/// has no overlays a copy, which is told.
pub(crate) fn overlay_or_copy(
    session: &Session<'_>,
    root: Root,
    store: &Store,
    directory: &Path,
) -> Result<Root> {
    for path in [store.path(), directory] {
        if let Some(kind) = overlay::refuses(path).map_err(|error| failure(&error))? {
            let message =
                format!("the image is copied: {} is on {kind}, which takes no overlay", path.display());
            let hint = "a volume of another file system for the store, which --store or $MASU_STORE names";
            session.log.tolerated(&Failure::with_hint(message, hint));
            return Ok(Root::Flat);
        }
    }
    Ok(root)
}

/// The directory that a new one is made in.
fn above(directory: &Path) -> &Path {
    directory.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn mount(session: &Session<'_>, matches: &ArgMatches) -> Result<()> {
    let store = arguments::store(matches)?;
    let caller = Caller::enter(session)?;
    bundle::mount(&store, &caller.standing, &given_directory(matches)).map_err(|error| failure(&error))
}

fn remove(session: &Session<'_>, matches: &ArgMatches) -> Result<()> {
    let directory = given_directory(matches);
    refuse_if_used(session, &directory)?;
    // It may be a box's, whose end was a kill.
    network::detach(&directory)?;
    let store = arguments::store(matches)?;
    Caller::enter(session)?;
    let writer = store.writer().map_err(|error| failure(&error))?;
    bundle::remove(&writer, &directory).map_err(|error| failure(&error))
}

fn given_directory(matches: &ArgMatches) -> PathBuf {
    matches.get_one::<String>("directory").map(PathBuf::from).unwrap_or_default()
}

/// Who calls: root as it is, and an ordinary user as root of a user namespace.
struct Caller {
    standing: Standing,
    /// The ids of that namespace, which are those of the container too.
    maps: Option<IdMaps>,
}

impl Caller {
    /// Has to come before the first thread.
    fn enter(session: &Session<'_>) -> Result<Self> {
        let is_root = administers_mounts();
        let standing = pull::enter(session)?;
        let maps = (!is_root).then(IdMaps::of_this_process).transpose().map_err(|error| failure(&error))?;
        Ok(Self { standing, maps })
    }
}

/// A container whose root is taken away goes on with what it has opened: nobody wants that.
fn refuse_if_used(session: &Session<'_>, directory: &Path) -> Result<()> {
    match container_of(session, directory)? {
        None => Ok(()),
        Some(id) => Err(Failure::with_hint(
            format!("bundle {} is container {id}'s", directory.display()),
            format!("masu delete {id} first"),
        )),
    }
}

/// The container that was made from a bundle.
///
/// # Errors
///
/// Of the directory of containers.
pub(crate) fn container_of(session: &Session<'_>, directory: &Path) -> Result<Option<String>> {
    let Ok(directory) = directory.canonicalize() else { return Ok(None) };
    let containers = Containers::at(&session.root.path);
    let mut entries = containers.entries()?.into_iter().flatten();
    Ok(entries.find_map(|entry| match entry {
        Entry::Container(container) => {
            let bundle = Path::new(&container.bundle).canonicalize().ok()?;
            (bundle == directory).then(|| container.id.clone())
        }
        Entry::Damaged { .. } => None,
    }))
}
