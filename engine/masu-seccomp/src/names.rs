//! The names of system calls, per architecture: packed and hashed while this crate is compiled.
//!
//! One text and numbers into it, instead of a list of `&str`: a static-PIE program would relocate each of these at
//! every start.

/// A name that is looked for, in one table after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Name<'a> {
    pub(crate) text: &'a str,
    hash: usize,
}

impl<'a> Name<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, hash: hash(text.as_bytes()) }
    }
}

/// The system calls of an architecture.
#[derive(Debug)]
pub(crate) struct Table {
    /// The names in the order of their numbers.
    text: &'static [u8],
    /// Where each name ends in the text, and the next begins. A number without a call has an empty one.
    ends: &'static [u16],
    /// 0, or the place of a name plus one: at its hash, or behind that in the next slot that was free. Their number is a
    /// power of two.
    slots: &'static [u16],
    /// The number of the first.
    first: u16,
}

impl Table {
    /// The number of the system call `name`.
    pub(crate) fn number(&self, name: &Name<'_>) -> Option<u32> {
        let mut slot = name.hash;
        loop {
            // As many are free as are not.
            let place = self.slots.get(slot & (self.slots.len() - 1))?.checked_sub(1)?;
            if self.name(place.into()) == Some(name.text.as_bytes()) {
                return Some(u32::from(place) + u32::from(self.first));
            }
            slot += 1;
        }
    }

    /// The highest number.
    pub(crate) fn newest(&self) -> u32 {
        self.ends.iter().zip(u32::from(self.first)..).last().map_or(0, |(_, number)| number)
    }

    fn name(&self, place: usize) -> Option<&[u8]> {
        let start = place.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        self.text.get(start.into()..usize::from(*self.ends.get(place)?))
    }
}

/// Fowler, Noll and Vo's, FNV-1a.
#[expect(clippy::indexing_slicing, reason = "a constant function has no iterators")]
const fn hash(name: &[u8]) -> usize {
    let (mut hash, mut i) = (0x811c_9dc5_u32, 0);
    while i < name.len() {
        hash = (hash ^ name[i] as u32).wrapping_mul(0x0100_0193);
        i += 1;
    }
    hash as usize
}

/// What a table is made of.
#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "evaluated while compiling; the names of an architecture have about 5,000 bytes"
)]
mod packed {
    use super::hash;

    pub(super) const fn length(names: &[&[u8]]) -> usize {
        let (mut length, mut i) = (0, 0);
        while i < names.len() {
            length += names[i].len();
            i += 1;
        }
        length
    }

    pub(super) const fn text<const LENGTH: usize>(names: &[&[u8]]) -> [u8; LENGTH] {
        let (mut text, mut length, mut i) = ([0; LENGTH], 0, 0);
        while i < names.len() {
            let mut j = 0;
            while j < names[i].len() {
                text[length] = names[i][j];
                length += 1;
                j += 1;
            }
            i += 1;
        }
        text
    }

    pub(super) const fn ends<const COUNT: usize>(names: &[&[u8]]) -> [u16; COUNT] {
        let (mut ends, mut length, mut i) = ([0; COUNT], 0, 0);
        while i < COUNT {
            length += names[i].len();
            ends[i] = length as u16;
            i += 1;
        }
        ends
    }

    /// Half of them stay free, so that two names are looked at in the mean.
    pub(super) const fn slots_needed(names: &[&[u8]]) -> usize {
        let (mut count, mut i) = (0_usize, 0);
        while i < names.len() {
            count += !names[i].is_empty() as usize;
            i += 1;
        }
        (2 * count).next_power_of_two()
    }

    pub(super) const fn slots<const SLOTS: usize>(names: &[&[u8]]) -> [u16; SLOTS] {
        let (mut slots, mut i) = ([0; SLOTS], 0);
        while i < names.len() {
            if !names[i].is_empty() {
                let mut slot = hash(names[i]) % SLOTS;
                while slots[slot] != 0 {
                    slot = (slot + 1) % SLOTS;
                }
                slots[slot] = i as u16 + 1;
            }
            i += 1;
        }
        slots
    }

    pub(super) const fn count_lines(text: &[u8]) -> usize {
        let (mut count, mut i) = (0, 0);
        while i < text.len() {
            count += (text[i] == b'\n') as usize;
            i += 1;
        }
        count
    }

    pub(super) const fn lines<const COUNT: usize>(mut text: &[u8]) -> [&[u8]; COUNT] {
        let (mut lines, mut i) = ([b"".as_slice(); COUNT], 0);
        while i < COUNT {
            let mut length = 0;
            while text[length] != b'\n' {
                length += 1;
            }
            (lines[i], text) = (text.split_at(length).0, text.split_at(length + 1).1);
            i += 1;
        }
        lines
    }
}

/// The table of a constant list of names.
macro_rules! table {
    ($names:ident, $first:expr) => {{
        static TEXT: [u8; packed::length(&$names)] = packed::text(&$names);
        static ENDS: [u16; $names.len()] = packed::ends(&$names);
        static SLOTS: [u16; packed::slots_needed(&$names)] = packed::slots(&$names);
        Table { text: &TEXT, ends: &ENDS, slots: &SLOTS, first: $first }
    }};
}

/// As many numbers are looked at from an architecture's first on: more than any has (arm has private ones from 0xf0000
/// on, which are no part of a table).
const SPAN: usize = 2048;

/// The crate's name of a call as the kernel spells it: what its generic table calls `__NR3264_fstatat`, it means for 64
/// bits, and profiles name.
const fn spelled(name: &'static str) -> &'static [u8] {
    match name.as_bytes() {
        b"fstatat" => b"newfstatat",
        same => same,
    }
}

macro_rules! tables {
    ($($(#[$condition:meta])* $table:ident = $architecture:ident from $from:literal;)*) => {
        $(
            $(#[$condition])*
            pub(crate) static $table: Table = {
                use syscalls::$architecture::Sysno;

                const fn name(place: usize) -> &'static [u8] {
                    match Sysno::new($from + place) {
                        Some(call) => spelled(call.name()),
                        None => b"",
                    }
                }
                const COUNT: usize = {
                    let mut count = SPAN;
                    while name(count - 1).is_empty() {
                        count -= 1;
                    }
                    count
                };
                #[allow(clippy::indexing_slicing, reason = "evaluated while compiling, where a panic is an error")]
                const NAMES: [&[u8]; COUNT] = {
                    let (mut names, mut i) = ([b"".as_slice(); COUNT], 0);
                    while i < COUNT {
                        names[i] = name(i);
                        i += 1;
                    }
                    names
                };
                table!(NAMES, $from)
            };
        )*
    };
}

tables! {
    #[cfg(any(target_arch = "x86_64", feature = "foreign"))]
    X86_64 = x86_64 from 0;
    #[cfg(any(target_arch = "x86_64", feature = "foreign"))]
    X86 = x86 from 0;
    #[cfg(any(target_arch = "aarch64", feature = "foreign"))]
    AARCH64 = aarch64 from 0;
    #[cfg(any(target_arch = "aarch64", feature = "foreign"))]
    ARM = arm from 0;
    #[cfg(any(target_arch = "riscv64", feature = "foreign"))]
    RISCV64 = riscv64 from 0;
    #[cfg(feature = "foreign")]
    S390X = s390x from 0;
    #[cfg(feature = "foreign")]
    PPC = powerpc from 0;
    #[cfg(feature = "foreign")]
    PPC64 = powerpc64 from 0;
    #[cfg(feature = "foreign")]
    LOONGARCH64 = loongarch64 from 0;
    #[cfg(feature = "foreign")]
    MIPS = mips from 4000;
    #[cfg(feature = "foreign")]
    MIPS64 = mips64 from 5000;
}

/// Names that some architecture has and another has not, one a line and sorted: `tests/names.rs` holds them against
/// the tables of all.
const NOT_EVERYWHERE: &str = include_str!("not_everywhere.txt");

/// Whether some architecture has a call of this name. What all have is in every table.
pub(crate) fn is_elsewhere(name: &Name<'_>) -> bool {
    static ELSEWHERE: Table = {
        const TEXT: &[u8] = NOT_EVERYWHERE.as_bytes();
        const LINES: [&[u8]; packed::count_lines(TEXT)] = packed::lines(TEXT);
        table!(LINES, 0)
    };
    ELSEWHERE.number(name).is_some()
}
