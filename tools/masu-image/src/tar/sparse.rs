//! Maps of sparse files.

use super::Extent;
use super::fault::Fault;

/// More extents than any honest file has; the map of that many is 16 MiB of memory.
pub(super) const MAX_EXTENTS: usize = 1 << 20;

/// Offsets and lengths by turns.
pub(super) fn pairs(numbers: &[u64]) -> Result<Vec<Extent>, Fault> {
    let (pairs, rest) = numbers.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Fault::field("sparse map", "an offset without a length"));
    }
    Ok(pairs.iter().map(|&[offset, length]| Extent { offset, length }).collect())
}

/// Proves that the extents ascend, lie within the file and have the content that is stored.
pub(super) fn check(extents: &[Extent], size: u64, stored: u64) -> Result<(), Fault> {
    let mut end = 0;
    let mut sum = 0;
    for extent in extents {
        let next = extent.offset.checked_add(extent.length);
        match next {
            Some(next) if extent.offset >= end && next <= size => end = next,
            _ => return Err(Fault::field("sparse map", "parts overlap or lie beyond the end")),
        }
        sum += extent.length;
    }
    if sum == stored { Ok(()) } else { Err(Fault::field("sparse map", "not the length of what is stored")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_ascends_within_the_file_and_has_all_that_is_stored() {
        let extent = |offset, length| Extent { offset, length };
        let beyond = "sparse map: parts overlap or lie beyond the end";
        let cases = [
            (vec![], 10, 0, Ok(())),
            (vec![extent(0, 5), extent(5, 1), extent(10, 0)], 10, 6, Ok(())),
            (vec![extent(0, 5)], 10, 6, Err("sparse map: not the length of what is stored")),
            (vec![extent(0, 5), extent(4, 1)], 10, 6, Err(beyond)),
            (vec![extent(8, 3)], 10, 3, Err(beyond)),
            (vec![extent(u64::MAX, 2)], 10, 2, Err(beyond)),
        ];
        for (extents, size, stored, expected) in cases {
            let result = check(&extents, size, stored).map_err(|fault| fault.to_string());
            assert_eq!(result, expected.map_err(str::to_owned), "{extents:?}");
        }
    }
}
