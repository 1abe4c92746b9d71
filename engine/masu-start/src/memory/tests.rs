//! Each function against the same operation on slices, at every short length and at random.
#![expect(
    clippy::multiple_unsafe_ops_per_block,
    clippy::undocumented_unsafe_blocks,
    reason = "every block is a call on ranges of the vector or slice that the line before has made"
)]

use super::*;

/// Lengths around every change of method, and beyond.
fn lengths() -> impl Iterator<Item = usize> {
    (0..=200).chain([255, 256, 257, 1000, 4095, 4096, 4097, 70_000])
}

/// xorshift64: the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 1).unwrap() % limit
    }

    fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| u8::try_from(self.below(256)).unwrap()).collect()
    }
}

type Copy = unsafe fn(*mut u8, *const u8, usize);

#[test]
fn copies_exactly_the_bytes_asked_for() {
    let mut random = Random(1);
    let methods: [(&str, Copy, usize); 4] = [
        ("memcpy", |d, s, n| unsafe { _ = memcpy(d, s, n) }, 0),
        ("memmove", |d, s, n| unsafe { _ = memmove(d, s, n) }, 0),
        ("copy_words_forwards", |d, s, n| unsafe { copy_words_forwards(d, s, n) }, 8),
        ("copy_backwards", |d, s, n| unsafe { copy_backwards(d, s, n) }, 8),
    ];
    for n in lengths() {
        for offset in [0, 1, 7] {
            let source = random.bytes(n + 16);
            for (name, method, shortest) in &methods {
                if n < *shortest {
                    continue;
                }
                let mut got = vec![0xee; n + 32];
                unsafe { method(got.as_mut_ptr().add(offset), source.as_ptr().add(offset), n) };
                let mut expected = vec![0xee; n + 32];
                expected[offset..offset + n].copy_from_slice(&source[offset..offset + n]);
                assert_eq!(got, expected, "{name} of {n} bytes at {offset}");
            }
        }
    }
}

#[test]
fn memmove_copies_ranges_that_overlap() {
    let mut random = Random(2);
    for n in lengths().filter(|&n| n <= 4097) {
        for distance in [0, 1, 2, 7, 8, 9, 31, 63, 64, 100, n / 2, n.saturating_sub(1)] {
            let original = random.bytes(n + distance);
            for (from, to) in [(0, distance), (distance, 0)] {
                let mut got = original.clone();
                let base = got.as_mut_ptr();
                unsafe { memmove(base.add(to), base.add(from), n) };
                let mut expected = original.clone();
                expected.copy_within(from..from + n, to);
                assert_eq!(got, expected, "{n} bytes from {from} to {to}");
            }
        }
    }
}

#[test]
fn random_moves_equal_copy_within() {
    let mut random = Random(3);
    let mut got = random.bytes(3000);
    let mut expected = got.clone();
    for round in 0..20_000 {
        let n = random.below(900);
        let (from, to) = (random.below(3000 - n), random.below(3000 - n));
        let base = got.as_mut_ptr();
        unsafe { memmove(base.add(to), base.add(from), n) };
        expected.copy_within(from..from + n, to);
        assert!(got == expected, "round {round}: {n} bytes from {from} to {to}");
    }
}

#[test]
fn fills_exactly_the_bytes_asked_for_with_the_lowest_byte() {
    for n in lengths() {
        for (byte, expected_byte) in [(0, 0), (0xab, 0xab), (0x1234, 0x34), (-1, 0xff)] {
            let mut expected = vec![0x77; n + 10];
            expected[3..3 + n].fill(expected_byte);
            let mut got = vec![0x77; n + 10];
            let returned = unsafe { memset(got.as_mut_ptr().add(3), byte, n) };
            assert_eq!(returned, got.as_mut_ptr().wrapping_add(3));
            assert_eq!(got, expected, "memset of {n} bytes with {byte:#x}");
            if n >= 8 {
                let mut got = vec![0x77; n + 10];
                unsafe { fill_words(got.as_mut_ptr().add(3), expected_byte, n) };
                assert_eq!(got, expected, "fill_words of {n} bytes with {byte:#x}");
            }
        }
    }
}

#[test]
fn compares_by_the_first_byte_that_differs_as_unsigned() {
    for n in lengths().filter(|&n| n <= 300) {
        let a = vec![0x40; n + 1];
        assert_eq!(unsafe { memcmp(a.as_ptr(), a.as_ptr(), n) }, 0, "{n} equal bytes");
        for at in 0..n {
            for byte in [0, 0x3f, 0x41, 0xff] {
                let mut b = a.clone();
                b[at] = byte;
                // What follows the difference must not matter.
                b[at + 1..].fill(!byte);
                let got = unsafe { memcmp(a.as_ptr(), b.as_ptr(), n) }.signum();
                assert_eq!(got, if byte < 0x40 { 1 } else { -1 }, "{n} bytes, {byte:#x} at {at}");
                assert_ne!(unsafe { bcmp(a.as_ptr(), b.as_ptr(), n) }, 0, "{n} bytes, {byte:#x} at {at}");
            }
        }
        let mut b = a.clone();
        b[n] = 0;
        assert_eq!(unsafe { bcmp(a.as_ptr(), b.as_ptr(), n) }, 0, "a difference after {n} bytes");
    }
}

#[test]
fn measures_strings() {
    for n in lengths() {
        let mut string = vec![0x80; n];
        string.extend([0, b'x', 0]);
        assert_eq!(unsafe { strlen(string.as_ptr().cast()) }, n);
    }
}
