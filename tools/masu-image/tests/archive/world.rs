//! A store and files of a test's own.

use masu_image::archive::{self, Imported};
use masu_image::manifest::Platform;
use masu_image::reference::Source;
use masu_image::store::{Image, Store};
use masu_image::{Error, Result};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) struct World {
    path: PathBuf,
    pub(crate) store: Store,
}

impl World {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("masu-archive-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        let store = Store::open(path.join("store"));
        Self { path, store }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A file with this content.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// `TRANSPORT:` before a name in this world.
    pub(crate) fn import(&self, transport: &str, name: &str) -> Result<Imported> {
        self.import_for(transport, name, &Platform::host())
    }

    pub(crate) fn import_for(&self, transport: &str, name: &str, platform: &Platform) -> Result<Imported> {
        let source: Source = format!("{transport}{}", self.path(name).display()).parse()?;
        archive::import(&self.store.writer()?, &source, platform)
    }

    /// Without this world's path, which differs.
    pub(crate) fn import_error(&self, transport: &str, name: &str) -> String {
        self.told(&self.import(transport, name).unwrap_err())
    }

    fn told(&self, error: &Error) -> String {
        error.to_string().replace(&format!("{}/", self.path.display()), "")
    }

    pub(crate) fn export(&self, imported: &Imported, name: &str, transport: &str, to: &str) {
        self.try_export(imported, name, transport, to).unwrap();
    }

    pub(crate) fn export_error(&self, imported: &Imported, transport: &str, to: &str) -> String {
        self.told(&self.try_export(imported, "x", transport, to).unwrap_err())
    }

    fn try_export(&self, imported: &Imported, name: &str, transport: &str, to: &str) -> Result<()> {
        let image = Image { name: name.to_owned(), descriptor: imported.descriptor.clone() };
        let target: Source = format!("{transport}{}", self.path(to).display()).parse()?;
        archive::export(&self.store, &image, &target)
    }

    pub(crate) fn skopeo(&self, arguments: &[&str]) -> String {
        let output = Command::new("skopeo")
            .args(["--insecure-policy", "--tmpdir"])
            .arg(&self.path)
            .args(arguments)
            .current_dir(&self.path)
            .output()
            .expect("skopeo (Debian: skopeo)");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The layers of an image, unpacked one over the other.
    pub(crate) fn unpack(&self, imported: &Imported, to: &str) -> PathBuf {
        use masu_image::layer::{Dirlinks, IdMap, Limits, Options, Target, apply};
        let root = self.path(to);
        std::fs::create_dir(&root).unwrap();
        let (ids, dirlinks, limits) = (IdMap::Identity, Dirlinks::Replace, Limits::default());
        let options = Options { target: Target::Merged, ids, dirlinks, limits };
        for layer in &self.store.read_manifest(&imported.descriptor).unwrap().layers {
            let blob = std::io::BufReader::new(self.store.open_blob(&layer.digest).unwrap());
            let tar = masu_image::decompress::decompress(blob).unwrap();
            let root = std::fs::File::open(&root).unwrap();
            apply(tar, std::os::fd::AsFd::as_fd(&root), &options).unwrap();
        }
        root
    }

    pub(crate) fn root(&self) -> &Path {
        &self.path
    }
}

impl Drop for World {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.path).unwrap();
    }
}
