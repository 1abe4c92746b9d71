//! umoci, the reference for what a layer becomes.

use super::scratch::Scratch;
use super::tree;
use masu_image::Digest;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The root that umoci makes of these layers.
pub(crate) fn unpack(scratch: &Scratch, layers: &[Vec<u8>]) -> PathBuf {
    unpack_with(scratch, layers, &[])
}

/// The same with more options.
pub(crate) fn unpack_with(scratch: &Scratch, layers: &[Vec<u8>], options: &[&str]) -> PathBuf {
    let layout = scratch.dir("layout");
    let blobs = layout.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let add = |bytes: &[u8]| {
        let digest = Digest::of(bytes);
        std::fs::write(blobs.join(digest.hex()), bytes).unwrap();
        format!("\"digest\":\"{digest}\",\"size\":{}", bytes.len())
    };
    let diff_ids: Vec<String> = layers.iter().map(|layer| format!("\"{}\"", Digest::of(layer))).collect();
    let config = format!(
        "{{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{{\"type\":\"layers\",\"diff_ids\":[{}]}}}}",
        diff_ids.join(",")
    );
    let kind = "\"mediaType\":\"application/vnd.oci.image";
    let layers: Vec<String> =
        layers.iter().map(|layer| format!("{{{kind}.layer.v1.tar\",{}}}", add(layer))).collect();
    let manifest = format!(
        "{{\"schemaVersion\":2,{kind}.manifest.v1+json\",\"config\":{{{kind}.config.v1+json\",{}}},\"layers\":[{}]}}",
        add(config.as_bytes()),
        layers.join(",")
    );
    let reference = "\"annotations\":{\"org.opencontainers.image.ref.name\":\"t\"}";
    let index = format!(
        "{{\"schemaVersion\":2,\"manifests\":[{{{kind}.manifest.v1+json\",{},{reference}}}]}}",
        add(manifest.as_bytes())
    );
    std::fs::write(layout.join("index.json"), index).unwrap();
    std::fs::write(layout.join("oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}").unwrap();
    let bundle = scratch.path().join("bundle");
    let output = Command::new("umoci")
        .arg("unpack")
        .args(options)
        .args(["--image", &format!("{}:t", layout.display())])
        .arg(&bundle)
        .output()
        .expect("umoci (Debian: umoci)");
    assert!(output.status.success(), "umoci: {}", String::from_utf8_lossy(&output.stderr));
    bundle.join("rootfs")
}

/// Proves that umoci's tree is the same, but for the times of directories that umoci has made or removed something from:
/// those are of now, ours of 1970 or what the layer says.
pub(crate) fn compare(ours: &BTreeMap<String, String>, root: &Path) {
    let mut theirs = tree::read(root, true);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    for (path, our) in ours.iter().filter(|(_, line)| line.starts_with("dir ")) {
        let Some(their) = theirs.get_mut(path) else { continue };
        let (Some((our, time)), Some((description, their_time))) =
            (our.split_once(" @"), their.split_once(" @"))
        else {
            continue;
        };
        let seconds: u64 = their_time.split('.').next().and_then(|seconds| seconds.parse().ok()).unwrap_or(0);
        if description == our && now.saturating_sub(seconds) < 600 {
            *their = format!("{our} @{time}");
        }
    }
    assert_eq!(tree::difference(ours, &theirs), "", "masu (-) and umoci (+)");
}
