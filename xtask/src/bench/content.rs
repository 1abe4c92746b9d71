//! The images: Debian as it is, and a large one whose files are pieces of Debian, so that it compresses as software does.

use crate::project;
use anyhow::{Context, Result};
use masu_image::manifest::{Manifest, MediaType};
use masu_image::store::Writer;
use masu_image::tar::{self, Entry, Kind, Time};
use masu_image::{Algorithm, Descriptor, Digest, Hasher, Store};
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Debian's smallest system, one layer.
pub(super) const DEBIAN: &str = "debian";
/// 30 000 files in six layers.
pub(super) const LARGE: &str = "large";
/// The lower five of them, and a layer of its own.
pub(super) const SIBLING: &str = "sibling";
/// All of them.
pub(super) const IMAGES: [&str; 3] = [DEBIAN, LARGE, SIBLING];

/// Files in each layer of the large image, the lowest first, and in the layer that only its sibling has.
const FILES: [usize; 6] = [12_000, 8_000, 4_000, 3_000, 2_000, 1_000];
const OWN: usize = 1_000;
/// Files in a directory.
const DIRECTORY: usize = 40;
/// Of so many files of an upper layer one replaces a file of the layer below, and one removes another.
const REPLACED: usize = 50;

/// A layout with them.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) layout: PathBuf,
}

/// What is said of an image.
#[derive(Debug)]
pub(super) struct Summary {
    pub(super) layers: usize,
    /// Compressed.
    pub(super) megabytes: u64,
}

impl Content {
    /// Makes them the first time, which takes a minute or two.
    pub(super) fn open() -> Result<Self> {
        let layout = project::cache_of("bench-images", include_str!("content.rs"));
        if !layout.join("index.json").exists() {
            eprintln!("making the images, once");
            let unfinished = layout.with_extension(std::process::id().to_string());
            let debian = debian()?;
            make(&unfinished, &debian).context("make the images")?;
            std::fs::rename(&unfinished, &layout).with_context(|| format!("make {}", layout.display()))?;
        }
        Ok(Self { layout })
    }

    pub(super) fn describe(&self, name: &str) -> Result<Summary> {
        let store = Store::open(&self.layout);
        let image = store.image(name)?.with_context(|| format!("no image {name}"))?;
        let layers = store.read_manifest(&image.descriptor)?.layers;
        let bytes: u64 = layers.iter().map(|layer| layer.size).sum();
        Ok(Summary { layers: layers.len(), megabytes: bytes / 1_000_000 })
    }
}

/// Debian's archive; the tests of layers keep it under the same name.
fn debian() -> Result<PathBuf> {
    let kept = project::cache().join("debian-bookworm.tar");
    if !kept.exists() {
        let cache = project::cache();
        std::fs::create_dir_all(&cache).with_context(|| format!("create {}", cache.display()))?;
        let unfinished = cache.join(format!("unfinished-{}.tar", std::process::id()));
        let mut mmdebstrap = Command::new("mmdebstrap");
        mmdebstrap.args(["--quiet", "--variant=minbase", "--mode=root", "bookworm"]).arg(&unfinished);
        project::output(&mut mmdebstrap).context("make Debian's archive")?;
        std::fs::rename(&unfinished, &kept).with_context(|| format!("make {}", kept.display()))?;
    }
    Ok(kept)
}

/// A compressed layer, and its digest without compression.
#[derive(Debug, Clone)]
struct Layer {
    descriptor: Descriptor,
    diff_id: Digest,
}

fn make(folder: &Path, debian: &Path) -> Result<()> {
    let store = Store::open(folder).writer()?;
    add_image(&store, DEBIAN, &[add_layer(&store, debian)?])?;
    let source = std::fs::read(debian).with_context(|| format!("read {}", debian.display()))?;
    let file = folder.join("layer.tar");
    let mut layers = Vec::new();
    for (number, files) in FILES.into_iter().enumerate() {
        write_layer(&file, number, "", files, &source)?;
        layers.push(add_layer(&store, &file)?);
    }
    add_image(&store, LARGE, &layers)?;
    layers.pop();
    write_layer(&file, FILES.len() - 1, "-own", OWN, &source)?;
    layers.push(add_layer(&store, &file)?);
    add_image(&store, SIBLING, &layers)?;
    std::fs::remove_file(&file).with_context(|| format!("remove {}", file.display()))
}

/// An archive of files whose content are pieces of `source`.
fn write_layer(file: &Path, number: usize, suffix: &str, files: usize, source: &[u8]) -> Result<()> {
    let sink = File::create(file).with_context(|| format!("create {}", file.display()))?;
    let mut archive = tar::Writer::new(BufWriter::new(sink));
    let mut random = Random(number as u64 * 2 + 1 + suffix.len() as u64);
    let directory = |layer: usize, index: usize| format!("usr/share/layer{layer}/d{}", index / DIRECTORY);
    let own = |index: usize| directory(number, index) + suffix;
    for index in 0..files {
        if index % DIRECTORY == 0 {
            archive.member(&entry(&own(index), Kind::Directory))?;
        }
        let path = match (number.checked_sub(1), index % REPLACED) {
            (Some(below), 0) => format!("{}/f{index}", directory(below, index)),
            (Some(below), 1) => format!("{}/.wh.f{index}", directory(below, index)),
            _ => format!("{}/f{index}", own(index)),
        };
        let size = if path.contains(".wh.") { 0 } else { random.size() };
        let start = random.below(source.len().saturating_sub(size));
        archive.member(&entry(&path, Kind::File { size: size as u64, extents: None }))?;
        archive.content(source.get(start..start + size).context("a piece of Debian")?)?;
    }
    archive.finish()?.flush().with_context(|| format!("write {}", file.display()))
}

fn entry(path: &str, kind: Kind) -> Entry {
    let mode = if kind == Kind::Directory { 0o755 } else { 0o644 };
    let modified = Time { seconds: 1_700_000_000, nanoseconds: 0 };
    let path = path.as_bytes().to_vec();
    Entry { path, kind, mode, uid: 0, gid: 0, modified, accessed: None, xattrs: Vec::new() }
}

/// The same numbers each time (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let end = end.max(1);
        usize::try_from(self.0 >> 16).unwrap_or(0) % end
    }

    /// As in a file system: most files are small, most bytes are in large ones. 34 KB in the mean.
    fn size(&mut self) -> usize {
        match self.below(100) {
            0..70 => self.below(8 << 10),
            70..95 => self.below(64 << 10),
            _ => self.below(920 << 10),
        }
    }
}

/// Compresses an archive as most builders do.
fn add_layer(store: &Writer, archive: &Path) -> Result<Layer> {
    let open = || File::open(archive).with_context(|| format!("open {}", archive.display()));
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let (mut file, mut buffer) = (open()?, vec![0; 1 << 20]);
    loop {
        let length = file.read(&mut buffer).context("read the archive")?;
        if length == 0 {
            break;
        }
        hasher.update(buffer.get(..length).unwrap_or_default());
    }
    let mut gzip = Command::new("gzip");
    let mut gzip =
        gzip.args(["-6", "-n"]).stdin(open()?).stdout(Stdio::piped()).spawn().context("start gzip")?;
    let mut blob = store.new_blob()?;
    let output = gzip.stdout.take().context("gzip's output")?;
    blob.append_all(output, |error| masu_image::Error::Content {
        object: "gzip".to_owned(),
        problem: error.to_string(),
    })?;
    let status = gzip.wait().context("wait for gzip")?;
    anyhow::ensure!(status.success(), "gzip: {status}");
    let (digest, size) = blob.commit()?;
    Ok(Layer {
        descriptor: Descriptor::new(MediaType::OCI_LAYER_GZIP, digest, size),
        diff_id: hasher.finish(),
    })
}

fn add_image(store: &Writer, name: &str, layers: &[Layer]) -> Result<()> {
    let diff_ids: Vec<_> = layers.iter().map(|layer| layer.diff_id.to_string()).collect();
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": { "Cmd": ["/bin/sh"] },
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    let (digest, size) = store.add_blob(config.to_string().as_bytes())?;
    let config = Descriptor::new(MediaType::OCI_CONFIG, digest, size);
    let manifest = Manifest::new(config, layers.iter().map(|layer| layer.descriptor.clone()).collect());
    let bytes = serde_json::to_vec(&manifest).context("encode a manifest")?;
    let (digest, size) = store.add_blob(&bytes)?;
    store.tag(name, &Descriptor::new(MediaType::OCI_MANIFEST, digest, size))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_the_same_each_time_and_as_promised_in_the_mean() {
        let sum = |seed| {
            let mut random = Random(seed);
            (0..30_000).map(|_| random.size()).sum::<usize>()
        };
        assert_eq!(sum(1), sum(1));
        let mean = sum(1) / 30_000 / 1024;
        assert!((30..40).contains(&mean), "{mean} KB");
    }
}
