//! Names and documents of images: what is read is written so that it reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use masu_image::manifest::{Document, Platform};
use masu_image::reference::{Reference, Source};

fuzz_target!(|input: &[u8]| {
    // A stranger's index may have no image for this machine.
    if let Ok(Document::Index(index)) = Document::parse(input, None, "document") {
        let _ = Platform::host().choose(&index);
    }
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(reference) = text.parse::<Reference>() {
        assert_eq!(reference.to_string().parse::<Reference>().ok(), Some(reference));
    }
    let _ = text.parse::<Source>();
});
