//! From the store into a file.

use super::{MANIFEST, Saved, blob_name};
use crate::decompress::decompress;
use crate::manifest::{Index, Manifest, MediaType, parse_json};
use crate::reference::{Place, Source};
use crate::store::{Image, Store, list};
use crate::tar::{Entry, Kind, Time, Writer};
use crate::{Descriptor, Error, Result};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

/// The tag of an image in a layout.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// Writes an image to `target`: a layout, to which it is added, or an archive, which is made anew.
///
/// # Errors
///
/// [`Error::File`] and [`Error::Content`] when the store's content is not there or damaged; [`Error::Syntax`] for a target
/// that is none.
pub fn export(store: &Store, image: &Image, target: &Source) -> Result<()> {
    let manifest = store.read_manifest(&image.descriptor)?;
    match target {
        Source::OciLayout(place) => to_layout(store, image, &manifest, place),
        Source::OciArchive(place) => write_archive(&place.path, |archive| {
            let index = index_with(None, image, place);
            archive.file("oci-layout", LAYOUT)?;
            archive.file("index.json", &to_json(&index)?)?;
            for part in parts(image, &manifest) {
                archive.blob(&blob_name(&part.digest), part.size, open(store, part)?)?;
            }
            Ok(())
        }),
        Source::DockerArchive(place) => {
            write_archive(&place.path, |archive| save(store, image, &manifest, place, archive))
        }
        Source::Directory(path) => to_directory(store, image, &manifest, path),
        Source::Registry(reference) => Err(no_target(reference.to_string())),
        Source::RootFs(path) => Err(no_target(format!("rootfs:{}", path.display()))),
        Source::Host => Err(no_target("host".to_owned())),
    }
}

fn no_target(given: String) -> Error {
    let problem = "an image is exported to oci:, oci-archive:, docker-archive: or dir:".to_owned();
    Error::Syntax { what: "target", given, problem }
}

/// All that an image is made of, the manifest last: what it points to is there before it.
fn parts<'a>(image: &'a Image, manifest: &'a Manifest) -> impl Iterator<Item = &'a Descriptor> {
    manifest.layers.iter().chain([&manifest.config, &image.descriptor])
}

fn to_layout(store: &Store, image: &Image, manifest: &Manifest, place: &Place) -> Result<()> {
    let directory = &place.path;
    for part in parts(image, manifest) {
        let path = directory.join(blob_name(&part.digest));
        let parent = path.parent().unwrap_or(directory);
        std::fs::create_dir_all(parent).map_err(Error::file("create", parent))?;
        to_file(store, part, &path)?;
    }
    replace(&directory.join("oci-layout"), |file| file.write_all(LAYOUT))?;
    let path = directory.join("index.json");
    let before = match std::fs::read(&path) {
        Ok(bytes) => Some(parse_json(&bytes, &path.display().to_string())?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(Error::file("read", &path)(error)),
    };
    let index = to_json(&index_with(before, image, place)).map_err(Error::file("write", &path))?;
    replace(&path, |file| file.write_all(&index))
}

/// A blob, where it is not there already.
fn to_file(store: &Store, part: &Descriptor, path: &Path) -> Result<()> {
    if path.metadata().is_ok_and(|metadata| metadata.len() == part.size) {
        return Ok(());
    }
    let mut blob = store.open_blob(&part.digest)?;
    replace(path, |file| io::copy(&mut blob, file).map(drop))
}

/// Skopeo's: the image alone, so that what another one had there goes.
fn to_directory(store: &Store, image: &Image, manifest: &Manifest, directory: &Path) -> Result<()> {
    std::fs::create_dir_all(directory).map_err(Error::file("create", directory))?;
    let version = directory.join(VERSION);
    let before = list(directory)?;
    if !before.is_empty() && !before.contains(&version) {
        let problem = "it has files, and they are no image's".to_owned();
        return Err(Error::Content { object: directory.display().to_string(), problem });
    }
    replace(&version, |file| file.write_all(b"Directory Transport Version: 1.1\n"))?;
    let mut own = vec![version, directory.join(MANIFEST)];
    for part in manifest.layers.iter().chain([&manifest.config]) {
        let path = directory.join(part.digest.hex());
        to_file(store, part, &path)?;
        own.push(path);
    }
    let bytes = store.read_document(&image.descriptor.digest)?;
    replace(&directory.join(MANIFEST), |file| file.write_all(&bytes))?;
    for path in before.iter().filter(|path| !own.contains(path) && is_of_an_image(path)) {
        std::fs::remove_file(path).map_err(Error::file("remove", path))?;
    }
    Ok(())
}

/// What such a directory has beside [`MANIFEST`].
const VERSION: &str = "version";

/// Whether a file of such a directory is another image's: content, a manifest of an index, or a signature.
fn is_of_an_image(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(".manifest.json").unwrap_or(&name);
    name.starts_with("signature-") || name.len() >= 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The index with the image in it, by the tag that was given or its own.
fn index_with(before: Option<Index>, image: &Image, place: &Place) -> Index {
    let tag = place.tag.as_deref().unwrap_or_else(|| own_tag(&image.name));
    let mut index = before.unwrap_or(Index {
        schema_version: 2,
        media_type: Some(MediaType::OCI_INDEX.into()),
        manifests: Vec::new(),
        annotations: None,
    });
    index.manifests.retain(|descriptor| descriptor.annotation(REF_NAME) != Some(tag));
    let annotations = Some(BTreeMap::from([(REF_NAME.to_owned(), tag.to_owned())]));
    index.manifests.push(Descriptor { annotations, ..image.descriptor.clone() });
    index
}

/// `REPO:TAG` has one; the colon of a port comes before a slash.
fn own_tag(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((_, tag)) if !tag.contains('/') && !name.contains('@') => tag,
        _ => "latest",
    }
}

/// `docker save`'s format: layers are not compressed, and members are called by their digests.
fn save<W: Write>(
    store: &Store,
    image: &Image,
    manifest: &Manifest,
    place: &Place,
    archive: &mut Archive<W>,
) -> io::Result<()> {
    let diff_ids = store.read_config(manifest).map_err(io::Error::other)?.rootfs.diff_ids;
    let mut layers = Vec::new();
    for (layer, diff_id) in manifest.layers.iter().zip(&diff_ids) {
        let name = format!("{}.tar", diff_id.hex());
        // A member's length comes before it: the layer is decompressed twice.
        let content = || decompress(BufReader::with_capacity(CHUNK, open(store, layer)?));
        let size = io::copy(&mut content()?, &mut io::sink())?;
        if !layers.contains(&name) {
            archive.blob(&name, size, content()?)?;
        }
        layers.push(name);
    }
    let config = format!("{}.json", manifest.config.digest.hex());
    archive.blob(&config, manifest.config.size, open(store, &manifest.config)?)?;
    let name = place.tag.as_deref().unwrap_or(&image.name);
    let repo_tags = Some(if name.contains('@') { Vec::new() } else { vec![name.to_owned()] });
    archive.file(MANIFEST, &to_json(&[Saved { config, repo_tags, layers }])?)
}

/// How much is copied at once, in bytes.
const CHUNK: usize = 256 << 10;

struct Archive<W: Write>(Writer<W>);

impl<W: Write> Archive<W> {
    fn file(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        self.blob(name, content.len() as u64, content)
    }

    fn blob(&mut self, name: &str, size: u64, mut content: impl Read) -> io::Result<()> {
        // Nobody's, and of no time: the same image makes the same archive.
        self.0.member(&Entry {
            path: name.as_bytes().to_vec(),
            kind: Kind::File { size, extents: None },
            mode: 0o644,
            uid: 0,
            gid: 0,
            modified: Time::default(),
            accessed: None,
            xattrs: Vec::new(),
        })?;
        let mut buffer = vec![0; CHUNK];
        loop {
            match content.read(&mut buffer)? {
                0 => return Ok(()),
                length => self.0.content(buffer.get(..length).unwrap_or_default())?,
            }
        }
    }
}

fn open(store: &Store, part: &Descriptor) -> io::Result<File> {
    store.open_blob(&part.digest).map_err(io::Error::other)
}

fn write_archive(
    path: &Path,
    fill: impl FnOnce(&mut Archive<BufWriter<&mut File>>) -> io::Result<()>,
) -> Result<()> {
    replace(path, |file| {
        let mut archive = Archive(Writer::new(BufWriter::with_capacity(CHUNK, file)));
        fill(&mut archive)?;
        archive.0.finish()?.flush()
    })
}

/// Writes a file beside `path` and renames it, so that there is never half of one.
fn replace(path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let unfinished = path.with_file_name(name);
    let write = || {
        let mut file = File::create_new(&unfinished)?;
        fill(&mut file)?;
        std::fs::rename(&unfinished, path)
    };
    write().map_err(|error| {
        // The first error is the one to tell.
        drop(std::fs::remove_file(&unfinished));
        Error::file("write", path)(error)
    })
}

fn to_json(document: &impl serde::Serialize) -> io::Result<Vec<u8>> {
    serde_json::to_vec(document).map_err(io::Error::from)
}
