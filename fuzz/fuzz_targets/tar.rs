//! The reader of archives: it ends, and gives no more content than there is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use masu_image::tar::Reader;

fuzz_target!(|input: &[u8]| {
    let mut reader = Reader::new(input);
    let mut total = 0;
    while let Ok(Some(_)) = reader.next_entry() {
        while let Ok(piece) = reader.content() {
            let length = piece.len();
            if length == 0 {
                break;
            }
            total += length;
            reader.consume(length);
        }
    }
    assert!(total <= input.len());
});
