//! The names of system calls, per architecture: sorted and packed while this crate is compiled.
//!
//! One text and numbers into it, instead of a list of `&str`: a static-PIE program would relocate each of these at
//! every start.

use alloc::string::String;
use alloc::vec::Vec;

use masu_spec::Seccomp;

use crate::abi::Abi;

/// The system calls of an architecture.
#[derive(Debug)]
pub(crate) struct Table {
    text: &'static [u8],
    /// In the order of the names.
    entries: &'static [Entry],
    newest: u32,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    offset: u16,
    length: u8,
    number: u16,
}

impl Table {
    /// The number of the system call `name`.
    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        let found = self.entries.binary_search_by(|entry| self.name(entry).cmp(name.as_bytes()));
        found.ok().and_then(|index| self.entries.get(index)).map(|entry| entry.number.into())
    }

    /// The highest number.
    pub(crate) fn newest(&self) -> u32 {
        self.newest
    }

    fn name(&self, entry: &Entry) -> &[u8] {
        let start = usize::from(entry.offset);
        self.text.get(start..start + usize::from(entry.length)).unwrap_or_default()
    }
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

/// As the slice's own, which is no constant function.
#[expect(clippy::indexing_slicing, reason = "evaluated while compiling, where a panic is an error")]
const fn is_before(a: &[u8], b: &[u8]) -> bool {
    let mut i = 0;
    while i < a.len() && i < b.len() {
        if a[i] != b[i] {
            return a[i] < b[i];
        }
        i += 1;
    }
    a.len() < b.len()
}

macro_rules! tables {
    ($($(#[$condition:meta])* $table:ident = $architecture:ident from $from:literal;)*) => {
        $(
            $(#[$condition])*
            pub(crate) static $table: Table = {
                use syscalls::$architecture::Sysno;

                const fn name(number: u16) -> &'static [u8] {
                    match Sysno::new(number as usize) {
                        Some(call) => spelled(call.name()),
                        None => b"",
                    }
                }
                /// How many calls there are, how long their names are together, and the highest number.
                const SIZES: (usize, usize, u16) = {
                    let (mut count, mut length, mut newest, mut number) = (0, 0, 0, $from);
                    while (number as usize) < $from + SPAN {
                        let name = name(number);
                        if !name.is_empty() {
                            count += 1;
                            length += name.len();
                            newest = number;
                        }
                        number += 1;
                    }
                    (count, length, newest)
                };
                /// Shell's sort: few comparisons, for the compiler's interpreter is slow.
                #[allow(clippy::indexing_slicing, reason = "evaluated while compiling, where a panic is an error")]
                const SORTED: [u16; SIZES.0] = {
                    let mut sorted = [0; SIZES.0];
                    let (mut count, mut number) = (0, $from);
                    while (number as usize) < $from + SPAN {
                        if !name(number).is_empty() {
                            sorted[count] = number;
                            count += 1;
                        }
                        number += 1;
                    }
                    let gaps = [301, 132, 57, 23, 10, 4, 1];
                    let mut g = 0;
                    while g < gaps.len() {
                        let gap = gaps[g];
                        let mut i = gap;
                        while i < count {
                            let moved = sorted[i];
                            let mut j = i;
                            while j >= gap && is_before(name(moved), name(sorted[j - gap])) {
                                sorted[j] = sorted[j - gap];
                                j -= gap;
                            }
                            sorted[j] = moved;
                            i += 1;
                        }
                        g += 1;
                    }
                    sorted
                };
                #[allow(
                    clippy::indexing_slicing,
                    clippy::cast_possible_truncation,
                    reason = "evaluated while compiling; the names of an architecture have about 5,000 bytes"
                )]
                const PACKED: ([u8; SIZES.1], [Entry; SIZES.0]) = {
                    let mut text = [0; SIZES.1];
                    let mut entries = [Entry { offset: 0, length: 0, number: 0 }; SIZES.0];
                    let (mut offset, mut i) = (0, 0);
                    while i < SIZES.0 {
                        let name = name(SORTED[i]);
                        entries[i] = Entry { offset: offset as u16, length: name.len() as u8, number: SORTED[i] };
                        let mut j = 0;
                        while j < name.len() {
                            text[offset] = name[j];
                            offset += 1;
                            j += 1;
                        }
                        i += 1;
                    }
                    (text, entries)
                };
                static TEXT: [u8; SIZES.1] = PACKED.0;
                static ENTRIES: [Entry; SIZES.0] = PACKED.1;
                Table { text: &TEXT, entries: &ENTRIES, newest: SIZES.2 as u32 }
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

/// The names in a profile that no architecture has. One that another architecture has is in the profiles of engines
/// on purpose.
pub(crate) fn unknown(profile: &Seccomp<'_>, abis: &[Abi]) -> Vec<String> {
    let names = profile.rules.iter().flat_map(|rule| &rule.names).map(masu_spec::Str::as_str);
    let mut unknown: Vec<String> = names
        .filter(|name| abis.iter().all(|abi| abi.number(name).is_none()))
        .filter(|name| NOT_EVERYWHERE.lines().all(|known| known != *name))
        .map(Into::into)
        .collect();
    unknown.sort_unstable();
    unknown.dedup();
    unknown
}
