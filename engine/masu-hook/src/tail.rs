//! The end of what a hook writes.

/// As much is kept, in bytes: what fits a frame of init's.
pub const TAIL_SIZE: usize = 1024;

/// The last bytes that a hook wrote to its standard output and standard error, which are one pipe.
#[derive(Debug, Clone)]
pub struct Tail {
    bytes: [u8; TAIL_SIZE],
    used: usize,
    cut: bool,
}

impl Default for Tail {
    fn default() -> Self {
        Self { bytes: [0; TAIL_SIZE], used: 0, cut: false }
    }
}

impl Tail {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.used).unwrap_or_default()
    }

    /// Whether there were more before them.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    pub(crate) fn push(&mut self, chunk: &[u8]) {
        let kept = chunk.len().min(TAIL_SIZE);
        let old = self.used.min(TAIL_SIZE - kept);
        self.cut |= kept < chunk.len() || old < self.used;
        self.bytes.copy_within(self.used - old..self.used, 0);
        let new = chunk.get(chunk.len() - kept..).unwrap_or_default();
        if let Some(space) = self.bytes.get_mut(old..old + kept) {
            space.copy_from_slice(new);
        }
        self.used = old + kept;
    }
}

#[cfg(test)]
mod tests {
    use super::{TAIL_SIZE, Tail};

    #[test]
    fn the_last_bytes_are_kept_however_they_come() {
        let all: Vec<u8> = (0..5000_u32).map(|number| number.to_le_bytes()[0]).collect();
        for size in [1, 7, 1023, 1024, 1025, 4096, 5000] {
            let mut tail = Tail::default();
            all.chunks(size).for_each(|chunk| tail.push(chunk));
            assert_eq!(tail.as_bytes(), &all[5000 - TAIL_SIZE..], "chunks of {size}");
            assert!(tail.is_cut());
        }
    }

    #[test]
    fn a_short_text_is_whole() {
        let mut tail = Tail::default();
        tail.push(b"one, ");
        tail.push(b"");
        tail.push(b"two");
        assert_eq!((tail.as_bytes(), tail.is_cut()), (&b"one, two"[..], false));
    }
}
