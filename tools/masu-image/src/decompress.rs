//! What a layer is compressed with: known by its first bytes, as everybody else knows it. Media types have been wrong
//! since Docker's first registry.

use crate::manifest::Compression;
use std::io::{self, BufRead, Read};

/// The largest window of a zstd frame, as a power of two: 32 MB of memory. What `zstd --long` makes needs more, and no
/// registry's tools use it.
const ZSTD_WINDOW: u32 = 25;

/// What others compress with: refused by name.
const REFUSED: [(&[u8], &str); 3] = [(b"\xfd7zXZ\0", "xz"), (b"BZh", "bzip2"), (b"\x04\x22\x4d\x18", "lz4")];

/// How a stream is compressed that begins like this.
///
/// # Errors
///
/// `InvalidData` for a compression that layers must not have.
pub fn parse_compression(start: &[u8]) -> io::Result<Compression> {
    if let Some((_, name)) = REFUSED.iter().find(|(magic, _)| start.starts_with(magic)) {
        let problem = format!("compressed with {name}; a layer has gzip, zstd or nothing");
        return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    }
    // A zstd stream may begin with a skippable frame, whose magic number ends in any digit.
    let zstd = start.starts_with(b"\x28\xb5\x2f\xfd") || start.get(1..4) == Some(b"\x2a\x4d\x18");
    Ok(match start {
        _ if zstd => Compression::Zstd,
        [0x1f, 0x8b, ..] => Compression::Gzip,
        _ => Compression::None,
    })
}

/// The content of a stream, whichever way it is compressed: gzip of any number of members, zstd of any number of frames,
/// or not at all.
///
/// # Errors
///
/// Those of the stream, and `InvalidData` as [`parse_compression`].
pub fn decompress<'a>(mut stream: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match parse_compression(stream.fill_buf()?)? {
        Compression::None => Box::new(stream),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(stream)),
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(stream)?;
            decoder.window_log_max(ZSTD_WINDOW)?;
            Box::new(decoder)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn content(stream: &[u8]) -> Result<Vec<u8>, String> {
        let mut content = Vec::new();
        let mut reader = decompress(stream).map_err(|error| error.to_string())?;
        reader.read_to_end(&mut content).map_err(|error| error.to_string())?;
        Ok(content)
    }

    #[test]
    fn members_and_frames_are_read_one_after_the_other() {
        let zstd = |text: &[u8]| zstd::encode_all(text, 1).unwrap();
        let skippable = [b"\x50\x2a\x4d\x18\x03\0\0\0abc".as_slice(), &zstd(b"two")].concat();
        let cases = [
            (b"plain".to_vec(), "plain"),
            (Vec::new(), ""),
            (gzip(b"one"), "one"),
            ([gzip(b"one"), gzip(b" two")].concat(), "one two"),
            ([zstd(b"one"), zstd(b" two")].concat(), "one two"),
            (skippable, "two"),
        ];
        for (stream, text) in cases {
            assert_eq!(content(&stream), Ok(text.as_bytes().to_vec()));
        }
    }

    #[test]
    fn what_ends_early_or_is_something_else_is_an_error() {
        let whole = gzip(&[7; 1000]);
        assert!(content(&whole[..whole.len() - 9]).is_err());
        let refused = "compressed with xz; a layer has gzip, zstd or nothing";
        assert_eq!(content(b"\xfd7zXZ\0\0"), Err(refused.to_owned()));
        // A window of 128 MB.
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(b"a").unwrap();
        assert!(content(&encoder.finish().unwrap()).is_err());
    }
}
