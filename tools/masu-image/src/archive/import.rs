//! From a file into the store.

use super::members::Members;
use super::{MANIFEST, Saved, blob_name, rootfs};
use crate::decompress::{decompress, parse_compression};
use crate::manifest::{
    Compression, Document, ImageConfig, Index, Kind, MAX_DOCUMENT, Manifest, MediaType, Platform, parse_json,
};
use crate::reference::{Place, Source};
use crate::store::Writer;
use crate::{Descriptor, Digest, Error, Result};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// What a descriptor in an index is called by.
const NAMES: [&str; 2] = ["org.opencontainers.image.ref.name", "io.containerd.image.name"];

/// An image that is in the store now, without a name there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Its manifest.
    pub descriptor: Descriptor,
    /// What its source calls it: full names in the archives of `docker save`, often only a tag elsewhere.
    pub names: Vec<String>,
}

/// Brings an image from a file or directory into the store: all that it needs, verified. Nothing is unpacked, and it has
/// no name yet: as long as `store` lives, it is not pruned.
///
/// # Errors
///
/// [`Error::Content`] for what is not such a source, or is damaged; [`Error::Missing`] when it has not the image that was
/// asked for, or several and none was; [`Error::Platform`]; [`Error::File`].
pub fn import(store: &Writer, source: &Source, platform: &Platform) -> Result<Imported> {
    let mut imported = fetch(store, source, platform)?;
    let manifest = store.read_manifest(&imported.descriptor)?;
    imported.descriptor.platform = Some(Platform::of(&store.read_config(&manifest)?));
    Ok(imported)
}

fn fetch(store: &Writer, source: &Source, platform: &Platform) -> Result<Imported> {
    match source {
        Source::OciLayout(place) => from_layout(store, &Origin::Layout(place.path.clone()), place, platform),
        Source::OciArchive(place) => {
            let members = read_members(store, place)?;
            from_layout(store, &Origin::Archive(members, place.path.clone()), place, platform)
        }
        Source::DockerArchive(place) => {
            let members = read_members(store, place)?;
            let saved = members.document(store, MANIFEST, &show(&place.path))?;
            let saved: Vec<Saved> = parse_json(&saved, &show(&place.path))?;
            from_saved(store, &members, choose_saved(&saved, place)?, &show(&place.path))
        }
        Source::Directory(path) => from_directory(store, path, platform),
        Source::RootFs(path) => from_root(store, path, platform),
        Source::Registry(reference) => Err(no_file(reference.to_string())),
        Source::Host => Err(no_file("host".to_owned())),
    }
}

fn no_file(given: String) -> Error {
    Error::Syntax { what: "source", given, problem: "not a file or directory".to_owned() }
}

/// Where the parts of an image are.
enum Origin {
    Layout(PathBuf),
    Archive(Members, PathBuf),
    /// Skopeo's.
    Directory(PathBuf),
}

impl Origin {
    fn document(&self, store: &Writer, name: &str) -> Result<Vec<u8>> {
        match self {
            Self::Archive(members, path) => members.document(store, name, &show(path)),
            Self::Layout(directory) | Self::Directory(directory) => {
                let (path, mut bytes) = (directory.join(name), Vec::new());
                let file = File::open(&path).map_err(Error::file("open", &path))?;
                file.take(MAX_DOCUMENT).read_to_end(&mut bytes).map_err(Error::file("read", &path))?;
                Ok(bytes)
            }
        }
    }

    /// Gets a blob into the store.
    fn fetch(&self, store: &Writer, descriptor: &Descriptor) -> Result<()> {
        match self {
            Self::Archive(members, path) => members.expect(store, descriptor, &show(path)),
            Self::Layout(directory) => {
                from_file(store, descriptor, &directory.join(blob_name(&descriptor.digest)))
            }
            Self::Directory(directory) => {
                let suffix = match descriptor.media_type.kind() {
                    Kind::Index | Kind::Manifest => ".manifest.json",
                    _ => "",
                };
                from_file(store, descriptor, &directory.join(format!("{}{suffix}", descriptor.digest.hex())))
            }
        }
    }
}

fn from_file(store: &Writer, descriptor: &Descriptor, path: &Path) -> Result<()> {
    let Some(mut blob) = store.blob(descriptor)? else { return Ok(()) };
    // What an interrupted import has left is of this very content.
    blob.restart()?;
    let file = File::open(path).map_err(Error::file("open", path))?;
    blob.append_all(file, |error| Error::file("read", path)(error))?;
    blob.commit().map(drop)
}

/// An image is alone there, and has no name.
fn from_directory(store: &Writer, path: &Path, platform: &Platform) -> Result<Imported> {
    let (origin, object) = (Origin::Directory(path.to_owned()), show(path));
    let bytes = origin.document(store, MANIFEST)?;
    let media_type = Document::parse(&bytes, None, &object)?.media_type();
    let (digest, size) = store.add_blob(&bytes)?;
    let descriptor = fetch_all(store, &origin, Descriptor::new(media_type, digest, size), platform, object)?;
    Ok(Imported { descriptor, names: Vec::new() })
}

fn from_layout(store: &Writer, origin: &Origin, place: &Place, platform: &Platform) -> Result<Imported> {
    let object = show(&place.path);
    let index: Index = parse_json(&origin.document(store, "index.json")?, &object)?;
    let chosen = choose(&index, place)?;
    let names = NAMES.iter().filter_map(|name| chosen.annotation(name)).map(str::to_owned).collect();
    let descriptor = Descriptor::new(chosen.media_type.clone(), chosen.digest.clone(), chosen.size);
    Ok(Imported { descriptor: fetch_all(store, origin, descriptor, platform, object)?, names })
}

/// Gets an image into the store, with all that its manifest names, and returns that. `descriptor` may be of an index.
fn fetch_all(
    store: &Writer,
    origin: &Origin,
    mut descriptor: Descriptor,
    platform: &Platform,
    object: String,
) -> Result<Descriptor> {
    // An index of platforms may stand in an index of images.
    for _ in 0..4 {
        origin.fetch(store, &descriptor)?;
        let bytes = store.read_document(&descriptor.digest)?;
        match Document::parse(
            &bytes,
            Some(&descriptor.media_type),
            &format!("{object}: {}", descriptor.digest),
        )? {
            Document::Index(index) => descriptor = platform.choose(&index)?.clone(),
            Document::Manifest(manifest) => {
                for part in manifest.layers.iter().chain([&manifest.config]) {
                    origin.fetch(store, part)?;
                }
                return Ok(descriptor);
            }
        }
    }
    Err(Error::Content { object, problem: "indexes within each other that do not end".to_owned() })
}

fn choose<'a>(index: &'a Index, place: &Place) -> Result<&'a Descriptor> {
    let names = |descriptor: &'a Descriptor| NAMES.iter().filter_map(|name| descriptor.annotation(name));
    match (&place.tag, index.manifests.as_slice()) {
        (None, [only]) => Ok(only),
        (Some(tag), all) => all
            .iter()
            .find(|descriptor| names(descriptor).any(|name| name == tag))
            .ok_or_else(|| missing(place, all.iter().flat_map(names))),
        (None, all) => Err(missing(place, all.iter().flat_map(names))),
    }
}

fn choose_saved<'a>(saved: &'a [Saved], place: &Place) -> Result<&'a Saved> {
    let names = |image: &'a Saved| image.repo_tags.iter().flatten().map(String::as_str);
    match (&place.tag, saved) {
        (None, [only]) => Ok(only),
        (Some(tag), all) => {
            // A tag alone is enough where it is the only one of its kind.
            let fits = |name: &str| name == tag || name.rsplit_once(':').is_some_and(|(_, own)| own == tag);
            all.iter()
                .find(|image| names(image).any(fits))
                .ok_or_else(|| missing(place, all.iter().flat_map(names)))
        }
        (None, all) => Err(missing(place, all.iter().flat_map(names))),
    }
}

fn missing<'a>(place: &Place, available: impl Iterator<Item = &'a str>) -> Error {
    let available: Vec<&str> = available.collect();
    let wanted = match &place.tag {
        Some(tag) => format!("image {tag} in {}", show(&place.path)),
        None => format!("single image in {}", show(&place.path)),
    };
    let what =
        if available.is_empty() { wanted } else { format!("{wanted}: it has {}", available.join(", ")) };
    Error::Missing { what, hint: "name one of them behind the path, after a colon" }
}

/// Makes an OCI manifest for what `docker save` has written.
fn from_saved(store: &Writer, members: &Members, saved: &Saved, object: &str) -> Result<Imported> {
    let refuse = |problem: String| Error::Content { object: object.to_owned(), problem };
    let find = |name: &str| members.find(name).ok_or_else(|| refuse(format!("it has no {name}")));
    let config: ImageConfig = parse_json(&members.document(store, &saved.config, object)?, object)?;
    let diff_ids = &config.rootfs.diff_ids;
    if diff_ids.len() != saved.layers.len() {
        return Err(refuse(format!(
            "{} layers; its configuration has {}",
            saved.layers.len(),
            diff_ids.len()
        )));
    }
    let mut layers = Vec::new();
    for (name, diff_id) in saved.layers.iter().zip(diff_ids) {
        let (digest, size) = find(name)?;
        let mut start = [0; 8];
        let length =
            store.open_blob(digest)?.read(&mut start).map_err(Error::file("read", Path::new(name)))?;
        let kind = match parse_compression(start.get(..length).unwrap_or_default()) {
            Ok(Compression::None) if digest != diff_id => {
                return Err(refuse(format!("{name} has the digest {digest}, not {diff_id}")));
            }
            Ok(Compression::None) => MediaType::OCI_LAYER,
            Ok(Compression::Gzip) => MediaType::OCI_LAYER_GZIP,
            Ok(Compression::Zstd) => MediaType::OCI_LAYER_ZSTD,
            Err(error) => return Err(refuse(format!("{name}: {error}"))),
        };
        layers.push(Descriptor::new(kind, digest.clone(), size));
    }
    let (digest, size) = find(&saved.config)?;
    let config = Descriptor::new(MediaType::OCI_CONFIG, digest.clone(), size);
    let descriptor = add_manifest(store, &Manifest::new(config, layers))?;
    Ok(Imported { descriptor, names: saved.repo_tags.clone().unwrap_or_default() })
}

/// A root file system: one layer, and a configuration with nothing in it.
fn from_root(store: &Writer, path: &Path, platform: &Platform) -> Result<Imported> {
    let mut blob = store.new_blob()?;
    if path.is_dir() {
        rootfs::write(path, &mut blob)?;
    } else {
        let file = BufReader::with_capacity(256 << 10, File::open(path).map_err(Error::file("open", path))?);
        let archive = decompress(file).map_err(Error::file("read", path))?;
        blob.append_all(archive, |error| Error::file("read", path)(error))?;
    }
    let (digest, size) = blob.commit()?;
    let mut config = ImageConfig {
        architecture: platform.architecture.clone(),
        variant: platform.variant.clone(),
        os: platform.os.clone(),
        ..ImageConfig::default()
    };
    config.rootfs.diff_ids.push(digest.clone());
    let layers = vec![Descriptor::new(MediaType::OCI_LAYER, digest, size)];
    let (digest, size) = add_document(store, &config)?;
    let config = Descriptor::new(MediaType::OCI_CONFIG, digest, size);
    let descriptor = add_manifest(store, &Manifest::new(config, layers))?;
    Ok(Imported { descriptor, names: Vec::new() })
}

fn add_manifest(store: &Writer, manifest: &Manifest) -> Result<Descriptor> {
    let (digest, size) = add_document(store, manifest)?;
    Ok(Descriptor::new(MediaType::OCI_MANIFEST, digest, size))
}

fn add_document(store: &Writer, document: &impl serde::Serialize) -> Result<(Digest, u64)> {
    let bytes = serde_json::to_vec(document)
        .map_err(|error| Error::file("write", Path::new("a document"))(error.into()))?;
    store.add_blob(&bytes)
}

fn read_members(store: &Writer, place: &Place) -> Result<Members> {
    let path = &place.path;
    let file = BufReader::with_capacity(256 << 10, File::open(path).map_err(Error::file("open", path))?);
    Members::read(store, decompress(file).map_err(Error::file("read", path))?, &show(path))
}

fn show(path: &Path) -> String {
    path.display().to_string()
}
