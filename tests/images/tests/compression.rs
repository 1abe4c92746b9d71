//! Layers as they come: compressed in one piece, in several, or not at all.
#![allow(clippy::unwrap_used, missing_docs)]

use masu_image::Digest;
use masu_image_tests::{Fake, Image, Masu, Reply};
use std::io::Write;
use std::process::{Command, Stdio};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = Command::new("gzip").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = gzip.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&bytes).unwrap());
    let output = gzip.wait_with_output().unwrap();
    writer.join().unwrap();
    output.stdout
}

/// A frame of zstd whose blocks are not compressed (RFC 8878, 3.1.1), with a window of 128 KB.
fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
    let blocks: Vec<&[u8]> = bytes.chunks(100_000).collect();
    for (number, block) in blocks.iter().enumerate() {
        let last = u32::from(number + 1 == blocks.len());
        let header = u32::try_from(block.len()).unwrap() << 3 | last;
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.extend_from_slice(block);
    }
    frame
}

#[test]
fn layers_of_several_members_and_frames_are_unpacked_whole() {
    let plain = Image::new(&[300, 301, 302, 303, 304]);
    let parts = |number: usize| plain.layers[number].split_at(70_000);
    let pieces = |number, compress: fn(&[u8]) -> Vec<u8>| {
        let (first, second) = parts(number);
        [compress(first), compress(second)].concat()
    };
    // zstd:chunked has its table of contents in a frame that is skipped.
    let skippable = [b"\x5a\x2a\x4d\x18\x05\0\0\0table".as_slice(), &zstd(&plain.layers[3])].concat();
    let layers =
        vec![plain.layers[0].clone(), gzip(&plain.layers[1]), pieces(2, gzip), skippable, pieces(4, zstd)];
    let fake = Fake::of_image(&Image::of(layers, plain.config.clone()), Reply::part);
    let masu = Masu::new();
    masu.call(&["pull", "--insecure", &fake.name()]).good();
    let bundle = masu.scratch.path("bundle").display().to_string();
    masu.bundle(&["create", "--flat", &fake.name(), &bundle]).good();
    for number in 0..5 {
        assert!(masu.scratch.path("bundle/rootfs").join(format!("d{number}")).is_dir());
    }
    assert!(masu.call(&["verify"]).ok);
}

#[test]
fn a_second_member_that_is_damaged_is_refused_by_the_layers_digest() {
    let plain = Image::new(&[300]);
    let (first, second) = plain.layers[0].split_at(70_000);
    let mut damaged = second.to_vec();
    damaged[100] ^= 1;
    let layer = [gzip(first), gzip(&damaged)].concat();
    let digest = Digest::of(&layer);
    let fake = Fake::of_image(&Image::of(vec![layer], plain.config.clone()), Reply::part);
    let masu = Masu::new();
    let message = masu.call(&["pull", "--insecure", &fake.name()]).bad();
    let expected = format!(
        "pull {}: layer {digest}: archive: unpacked it has the digest {}, not {}",
        fake.name(),
        Digest::of(&[first, &damaged].concat()),
        Digest::of(&plain.layers[0])
    );
    assert_eq!(message, expected);
    assert_eq!(masu.store().images().unwrap(), []);
    assert!(!masu.store().has_snapshot(&Digest::of(&plain.layers[0])));
}
