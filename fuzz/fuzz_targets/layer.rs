//! Two layers, one merged over the other and one as a snapshot over the other: nothing outside the root changes.
//! The input is cut in two at the block that its first byte says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use masu_image::layer::{Dirlinks, IdMap, Limits, Marks, Options, Target, apply};
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::PathBuf;

const VICTIM: &[u8] = b"unharmed";

/// A directory that goes in the end.
struct Scratch(PathBuf);

impl Scratch {
    fn directory(&self, name: &str) -> File {
        let path = self.0.join(name);
        fs::create_dir(&path).unwrap();
        File::open(path).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Gives headers their checksums, which chance does not find.
fn mend(archive: &[u8]) -> Vec<u8> {
    let mut mended = archive.to_vec();
    for block in mended.chunks_exact_mut(512).filter(|block| &block[257..262] == b"ustar") {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    mended
}

fuzz_target!(|input: &[u8]| {
    let Some((&blocks, archives)) = input.split_first() else { return };
    let archives = mend(archives);
    let (first, second) = archives.split_at(archives.len().min(usize::from(blocks) * 512));
    let scratch = Scratch(std::env::temp_dir().join(format!("masu-fuzz-{}", std::process::id())));
    fs::create_dir_all(&scratch.0).unwrap();
    fs::write(scratch.0.join("victim"), VICTIM).unwrap();
    let run_with = |dirlinks, archive: &[u8], root: &File, target| {
        let limits = Limits { entries: 100_000, bytes: 1 << 20 };
        apply(archive, root.as_fd(), &Options { target, ids: IdMap::Single, dirlinks, limits }).is_ok()
    };
    let run = |archive: &[u8], root: &File, target| run_with(Dirlinks::Replace, archive, root, target);

    let merged = scratch.directory("merged");
    let merges = run(first, &merged, Target::Merged) && run(second, &merged, Target::Merged);
    let kept = scratch.directory("kept");
    let keep = |archive| run_with(Dirlinks::Keep, archive, &kept, Target::Merged);
    let _ = keep(first) && keep(second); // ignored: only that nothing outside of it changes

    let (below, above) = (scratch.directory("below"), scratch.directory("above"));
    let lower = [below.as_fd()];
    let snapshot = |lower| Target::Snapshot { marks: Marks::User, lower };
    let stacks = run(first, &below, snapshot(&[])) && run(second, &above, snapshot(&lower));

    assert_eq!(merges, stacks, "merged and in snapshots");
    assert_eq!(fs::read(scratch.0.join("victim")).unwrap(), VICTIM);
    assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 4);
});
