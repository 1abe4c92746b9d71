//! Lists of CPUs and of memory nodes, as the kernel writes them: `0-3,7`, see cpuset(7), "List format".
use alloc::vec::Vec;
use core::fmt;

/// A set of small numbers, as the bits that the kernel takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NumberSet(Vec<u8>);

/// What is wrong with a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotAList<'a> {
    /// No number, and no two of them with a dash between.
    Part(&'a str),
    /// The first number of a range is above the last one.
    Backwards(&'a str),
    /// A number is above the largest one.
    TooLarge(u32, u32),
}

impl NumberSet {
    /// Reads a list whose numbers are at most `max`.
    pub(crate) fn parse(text: &str, max: u32) -> Result<Self, NotAList<'_>> {
        let mut set = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (Some(first), Some(last)) = (number(first), number(last)) else {
                return Err(NotAList::Part(part));
            };
            if first > last {
                return Err(NotAList::Backwards(part));
            }
            if last > max {
                return Err(NotAList::TooLarge(last, max));
            }
            (first..=last).for_each(|number| set.insert(number));
        }
        Ok(set)
    }

    fn insert(&mut self, number: u32) {
        let Ok(index) = usize::try_from(number / 8) else { return };
        if index >= self.0.len() {
            self.0.resize((index / 8 + 1) * 8, 0);
        }
        if let Some(byte) = self.0.get_mut(index) {
            *byte |= 1 << (number % 8);
        }
    }

    /// One bit for each number, in words of eight bytes: `unsigned long[]` of a little-endian machine, which are all
    /// that masu knows.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// How many numbers it has.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.0.iter().map(|byte| byte.count_ones()).sum()
    }

    /// Whether it has no number.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

impl fmt::Display for NotAList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Part(part) => write!(f, "{part:?} is no number and no range"),
            Self::Backwards(part) => write!(f, "the range {part:?} ends before it begins"),
            Self::TooLarge(number, max) => write!(f, "{number} is above {max}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn a_list_becomes_bits_in_words() {
        let table: [(&str, &[u8]); 6] = [
            ("", &[]),
            ("0", &[1, 0, 0, 0, 0, 0, 0, 0]),
            ("0-3,7", &[0x8f, 0, 0, 0, 0, 0, 0, 0]),
            (" 1, 3 ,", &[0x0a, 0, 0, 0, 0, 0, 0, 0]),
            ("8-8,63", &[0, 1, 0, 0, 0, 0, 0, 0x80]),
            ("64", &[0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]),
        ];
        for (text, bytes) in table {
            let set = NumberSet::parse(text, 100).expect(text);
            assert_eq!((set.as_bytes(), set.is_empty()), (bytes, bytes.is_empty()), "{text}");
        }
    }

    #[test]
    fn what_is_no_list_is_told_by_its_part() {
        let table = [
            ("a", "\"a\" is no number and no range"),
            ("0,-1", "\"-1\" is no number and no range"),
            ("1-", "\"1-\" is no number and no range"),
            ("0-1-2", "\"0-1-2\" is no number and no range"),
            ("+1", "\"+1\" is no number and no range"),
            ("4294967296", "\"4294967296\" is no number and no range"),
            ("3-1", "the range \"3-1\" ends before it begins"),
            ("0-101", "101 is above 100"),
        ];
        for (text, message) in table {
            assert_eq!(NumberSet::parse(text, 100).expect_err(text).to_string(), message);
        }
    }
}
