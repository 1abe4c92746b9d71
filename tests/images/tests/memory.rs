//! What a pull takes of the machine's memory.
#![allow(clippy::unwrap_used, missing_docs)]

use masu_image::tar::{Entry, Kind, Time, Writer};
use masu_image::{Algorithm, Digest, Hasher};
use masu_image_tests::{Fake, Image, Masu, Reply, Scratch, run};
use std::time::Duration;

const LARGE: u64 = 1 << 30;
const DIRECTORIES: usize = 50;
const FILES: usize = 40;

/// A layer that is being made of gzip members.
struct Layer {
    compressed: Vec<u8>,
    hasher: Hasher,
}

impl Layer {
    fn new() -> Self {
        Self { compressed: Vec::new(), hasher: Hasher::new(Algorithm::Sha256) }
    }

    /// Adds a piece so many times. It is compressed once.
    fn add(&mut self, scratch: &Scratch, piece: &[u8], times: usize) {
        let file = scratch.path("piece");
        std::fs::write(&file, piece).unwrap();
        run("gzip", &["-1", "--force", &file.display().to_string()]);
        let member = std::fs::read(scratch.path("piece.gz")).unwrap();
        for _ in 0..times {
            self.compressed.extend_from_slice(&member);
            self.hasher.update(piece);
        }
    }

    /// Its bytes, and the digest that it has without compression.
    fn finish(self) -> (Vec<u8>, Digest) {
        (self.compressed, self.hasher.finish())
    }
}

fn entry(path: &str, kind: Kind) -> Entry {
    let (path, modified) = (path.as_bytes().to_vec(), Time::default());
    Entry { path, kind, mode: 0o755, uid: 0, gid: 0, modified, accessed: None, xattrs: Vec::new() }
}

/// One file of a gigabyte, whose header is made here and whose content is a megabyte many times.
fn large(scratch: &Scratch) -> (Vec<u8>, Digest) {
    let mut header = Vec::new();
    Writer::new(&mut header).member(&entry("file", Kind::File { size: LARGE, extents: None })).unwrap();
    let piece = vec![7; 1 << 20];
    let mut layer = Layer::new();
    layer.add(scratch, &header, 1);
    layer.add(scratch, &piece, usize::try_from(LARGE).unwrap() / piece.len());
    layer.add(scratch, &[0; 1024], 1);
    layer.finish()
}

/// Directories and files.
fn many(scratch: &Scratch) -> (Vec<u8>, Digest) {
    let mut archive = Writer::new(Vec::new());
    for directory in 0..DIRECTORIES {
        archive.member(&entry(&format!("directory-{directory}"), Kind::Directory)).unwrap();
        for file in 0..FILES {
            let path = format!("directory-{directory}/file-{file}");
            archive.member(&entry(&path, Kind::File { size: 7, extents: None })).unwrap();
            archive.content(b"content").unwrap();
        }
    }
    let mut layer = Layer::new();
    layer.add(scratch, &archive.finish().unwrap(), 1);
    layer.finish()
}

/// VmHWM of proc_pid_status(5), in KB; none of a process that has ended.
fn peak_of(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(value.trim().strip_suffix(" kB").unwrap().parse().unwrap())
}

#[test]
fn a_gigabyte_is_pulled_in_64_megabytes_of_memory() {
    let scratch = Scratch::new();
    let (layers, diff_ids): (Vec<_>, Vec<_>) = [large(&scratch), many(&scratch)].into_iter().unzip();
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    let fake = Fake::of_image(&Image::of(layers, config.to_string().into_bytes()), Reply::part);

    let masu = Masu::new();
    let mut child = masu.start(&["pull", "--insecure", "--quiet", &fake.name()]);
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        // A process that is about to end has no memory any more.
        peak = peak_of(child.id()).unwrap_or(0).max(peak);
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(peak > 0 && peak < 64 << 10, "{peak} KB");
    let unpacked = masu.store().snapshot_path(diff_ids.first().unwrap()).join("file");
    assert_eq!(unpacked.metadata().unwrap().len(), LARGE);
}
