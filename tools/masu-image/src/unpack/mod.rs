//! From the blobs of an image to its layers on disk.
//!
//! ```text
//! decompress  blob, as far as it is there ─▶ gunzip ─▶ SHA-256: the diff id ─▶ 2 MB of pieces
//! unpack                                                          pieces ─▶ snapshot, one layer after the other
//! ```
//!
//! The file that a layer is downloaded into is the buffer between the network and the rest: a slow disk does not slow
//! the download, and memory does not grow with the image. Layers are unpacked from the lowest upwards, since one may link
//! to what those below it have; a snapshot belongs to its chain id for the same reason. It gets its name after the blob's
//! digest and the diff id have been found right, and after it has been flushed to the disk.
//!
//! A store on a file system that takes no overlay, as a container's own root is one, has no snapshots: each bundle gets a copy
//! of the layers ([`merged`]), and until then they are only read.

mod check;
mod follow;
mod pipe;

pub use check::{Check, Checked};
pub(crate) use follow::Arrival;

use crate::decompress::decompress;
use crate::layer::{self, Dirlinks, Limits, Target};
use crate::manifest::{ImageConfig, Manifest, chain_ids};
use crate::overlay;
use crate::rootless::Standing;
use crate::store::{SnapshotWriter, Writer};
use crate::{Descriptor, Digest, Error, Hasher, Result};
use std::fs::File;
use std::io::{BufReader, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::mpsc;

/// How much compressed content is read at once, in bytes.
const BUFFER: usize = 128 << 10;

/// What unpacking tells while it goes on. Layers are numbered from the lowest, which is 0.
#[derive(Debug)]
pub enum Event {
    /// A layer is being unpacked.
    Unpacking(usize),
    /// A layer is unpacked.
    Unpacked(usize),
    /// What the layer has could not be kept here, and is left out.
    Lost(String),
}

/// Is told about events, by any thread.
pub type OnEvent<'a> = &'a (dyn Fn(Event) + Sync);

/// Unpacks the layers of an image that are not unpacked yet, from the store's blobs.
///
/// # Errors
///
/// [`Error::At`] with the layer, for what is wrong with it or cannot be written.
pub fn snapshots(
    store: &Writer,
    manifest: &Manifest,
    config: &ImageConfig,
    standing: &Standing,
    on_event: OnEvent<'_>,
) -> Result<()> {
    unpack_all(store, &Layer::all_in(store, manifest, config)?, standing, on_event)
}

/// Applies the layers of an image, one after the other, to `root`, an empty directory: from the store's blobs, and
/// without snapshots.
///
/// # Errors
///
/// As [`snapshots`].
pub fn merged(
    store: &Writer,
    manifest: &Manifest,
    config: &ImageConfig,
    standing: &Standing,
    dirlinks: Dirlinks,
    root: BorrowedFd<'_>,
    on_event: OnEvent<'_>,
) -> Result<()> {
    let options = layer::Options { dirlinks, ..options(Target::Merged, standing) };
    for layer in &Layer::all_in(store, manifest, config)? {
        on_event(Event::Unpacking(layer.number));
        unpack(layer, &options, root, on_event).map_err(Error::at(layer.place()))?;
        on_event(Event::Unpacked(layer.number));
    }
    Ok(())
}

/// A layer on its way.
#[derive(Debug)]
pub(crate) struct Layer<'a> {
    pub(crate) number: usize,
    pub(crate) descriptor: &'a Descriptor,
    pub(crate) arrival: Arrival,
    diff_id: &'a Digest,
    chain_id: Digest,
}

impl<'a> Layer<'a> {
    /// Those of an image, the lowest first.
    pub(crate) fn all(manifest: &'a Manifest, config: &'a ImageConfig) -> Result<Vec<Self>> {
        let diff_ids = &config.rootfs.diff_ids;
        let (ids, layers) = (diff_ids.len(), manifest.layers.len());
        if ids != layers {
            let problem = format!("it has {ids} diff_ids, but the manifest has {layers} layers");
            return Err(Error::Content {
                object: format!("configuration {}", manifest.config.digest),
                problem,
            });
        }
        let pairs = manifest.layers.iter().zip(diff_ids).zip(chain_ids(diff_ids)).enumerate();
        Ok(pairs
            .map(|(number, ((descriptor, diff_id), chain_id))| Self {
                number,
                descriptor,
                diff_id,
                chain_id,
                arrival: Arrival::default(),
            })
            .collect())
    }

    /// The same, of an image that the store has.
    fn all_in(store: &Writer, manifest: &'a Manifest, config: &'a ImageConfig) -> Result<Vec<Self>> {
        let layers = Self::all(manifest, config)?;
        layers.iter().try_for_each(|layer| layer.take(store).map_err(Error::at(layer.place())))?;
        Ok(layers)
    }

    /// Takes it from the store's blob.
    fn take(&self, store: &Writer) -> Result<()> {
        self.arrival.begin(store.open_blob(&self.descriptor.digest)?);
        self.arrival.end(Ok(()));
        Ok(())
    }

    /// How messages call it.
    pub(crate) fn place(&self) -> String {
        format!("layer {}", self.descriptor.digest)
    }
}

/// Unpacks layers as they arrive; and does not end before the last is there, whether it has to be unpacked or not.
///
/// A layer is flushed to the disk while the next one is unpacked.
pub(crate) fn unpack_all(
    store: &Writer,
    layers: &[Layer<'_>],
    standing: &Standing,
    on_event: OnEvent<'_>,
) -> Result<()> {
    if overlay::refuses(store.path())?.is_some() {
        return read_each(layers, on_event);
    }
    store.claim(standing.marks)?;
    std::thread::scope(|scope| {
        let (unpacked, to_keep) = mpsc::channel::<(String, SnapshotWriter)>();
        let keeping = scope.spawn(move || {
            to_keep.into_iter().try_for_each(|(place, snapshot)| snapshot.commit().map_err(Error::at(place)))
        });
        let result = unpack_each(store, layers, standing, on_event, &unpacked);
        drop(unpacked);
        let kept = keeping.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // What could not be kept is why nothing came after it.
        kept.and(result)
    })
}

fn unpack_each(
    store: &Writer,
    layers: &[Layer<'_>],
    standing: &Standing,
    on_event: OnEvent<'_>,
    unpacked: &mpsc::Sender<(String, SnapshotWriter)>,
) -> Result<()> {
    let mut below: Vec<File> = Vec::new();
    for layer in layers {
        let snapshot = store.snapshot(&layer.chain_id)?;
        let path = match &snapshot {
            Some(snapshot) => snapshot.path().to_owned(),
            None => store.snapshot_path(&layer.chain_id),
        };
        // Opened anew, for the lock on the other ends with the snapshot.
        let directory = File::open(&path).map_err(Error::file("open", &path))?;
        if let Some(snapshot) = snapshot {
            on_event(Event::Unpacking(layer.number));
            let lower: Vec<BorrowedFd<'_>> = below.iter().map(AsFd::as_fd).collect();
            let target = Target::Snapshot { marks: standing.marks, lower: &lower };
            if let Err(error) = unpack(layer, &options(target, standing), snapshot.root(), on_event) {
                // Where the download failed, that is the cause.
                layer.arrival.failure()?;
                return Err(Error::at(layer.place())(error));
            }
            layer.arrival.result()?;
            if unpacked.send((layer.place(), snapshot)).is_err() {
                return Ok(());
            }
        }
        layer.arrival.result()?;
        on_event(Event::Unpacked(layer.number));
        below.insert(0, directory);
    }
    Ok(())
}

/// Proves that layers are what they are called.
fn read_each(layers: &[Layer<'_>], on_event: OnEvent<'_>) -> Result<()> {
    for layer in layers {
        on_event(Event::Unpacking(layer.number));
        let read = read(layer, |mut content| {
            // ignored: it has no errors of its own.
            std::io::copy(&mut content, &mut std::io::sink()).ok();
            Ok(())
        });
        if let Err(error) = read {
            layer.arrival.failure()?;
            return Err(Error::at(layer.place())(error));
        }
        layer.arrival.result()?;
        on_event(Event::Unpacked(layer.number));
    }
    Ok(())
}

/// How a layer is applied by who has this standing.
fn options<'a>(target: Target<'a>, standing: &Standing) -> layer::Options<'a> {
    let (ids, dirlinks, limits) = (standing.ids.clone(), Dirlinks::default(), Limits::default());
    layer::Options { target, ids, dirlinks, limits }
}

fn unpack(
    layer: &Layer<'_>,
    options: &layer::Options<'_>,
    root: BorrowedFd<'_>,
    on_event: OnEvent<'_>,
) -> Result<()> {
    let applied = read(layer, |content| layer::apply(content, root, options))?;
    applied.lost.iter().for_each(|lost| on_event(Event::Lost(lost.to_string())));
    if applied.more_lost > 0 {
        on_event(Event::Lost(format!("{} more left out", applied.more_lost)));
    }
    Ok(())
}

/// Hands the content of a layer to `reader` as it arrives, and proves that it is what it is called.
fn read<T>(
    layer: &Layer<'_>,
    reader: impl FnOnce(pipe::Receiver) -> std::result::Result<T, layer::Error>,
) -> Result<T> {
    let (sender, receiver) = pipe::new();
    let (outcome, decompressed) = std::thread::scope(|scope| {
        let decompressing = scope.spawn(|| decompress_into(layer, sender));
        let outcome = reader(receiver);
        (outcome, decompressing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    // What is wrong with the stream is wrong with the archive in it: the first cause is told.
    let actual = decompressed.map_err(|error| archive(error.to_string()))?;
    let outcome = outcome?;
    match actual {
        Some(actual) if actual != *layer.diff_id => {
            Err(archive(format!("unpacked it has the digest {actual}, not {}", layer.diff_id)))
        }
        _ => Ok(outcome),
    }
}

fn archive(problem: String) -> Error {
    Error::Content { object: "archive".to_owned(), problem }
}

/// Decompresses a layer as it arrives, and hashes what comes out. `None` when nobody wanted all of it.
fn decompress_into(layer: &Layer<'_>, mut sender: pipe::Sender) -> std::io::Result<Option<Digest>> {
    let mut source = BufReader::with_capacity(BUFFER, layer.arrival.reader()?);
    let mut hasher = Hasher::new(layer.diff_id.algorithm());
    let mut content = decompress(&mut source)?;
    loop {
        let mut piece = sender.piece();
        let length = content.read(&mut piece)?;
        if length == 0 {
            break;
        }
        hasher.update(piece.get(..length).unwrap_or_default());
        if !sender.send(piece, length) {
            return Ok(None);
        }
    }
    drop(content);
    // The end of the file comes when the blob's digest has been found right.
    std::io::copy(&mut source, &mut std::io::sink())?;
    Ok(Some(hasher.finish()))
}
