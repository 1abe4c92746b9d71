//! Weights: version 1 counts CPU time in shares and I/O in weights of its own, and version 2 in weights from 1 to 10000.

use core::ops::RangeInclusive;

/// Binary digits after the point of [`log2`].
const FRACTION: u32 = 40;

/// log2(10), as [`log2`] says it.
const LOG2_10: u128 = 3_652_498_566_964;

/// `cpu.shares` (2 to 262144, 1024 by default) as `cpu.weight` (1 to 10000, 100 by default): the curve that runc 1.3
/// and crun 1.23 have drawn through the three, `10^((log2(s)^2 + 125 log2(s)) / 612 - 7/34)`, rounded up.
///
/// The smallest weight `w` that is not below the curve, that is with `log2(s)^2 + 125 log2(s) - 126 <= 612 log10(w)`.
pub(crate) fn cpu_weight(shares: u64) -> u64 {
    if shares <= 2 {
        return 1;
    }
    let log = u128::from(log2(shares.min(262_144)));
    let one = 1_u128 << FRACTION;
    let curve = ((log * log) >> FRACTION) + 125 * log - 126 * one;
    // At 1024 shares both sides are equal, but for what the logarithms lack of being exact.
    let tolerance = one >> 30;
    let reaches = |weight: u64| curve <= 612 * ((u128::from(log2(weight)) << FRACTION) / LOG2_10) + tolerance;
    let (mut below, mut weight) = (0, 10_000);
    while below + 1 < weight {
        let middle = u64::midpoint(below, weight);
        if reaches(middle) { weight = middle } else { below = middle }
    }
    weight
}

/// What `blkio.weight` may be, config-linux.md, "Block IO".
pub(crate) const IO_WEIGHTS: RangeInclusive<u16> = 10..=1000;

/// One of [`IO_WEIGHTS`] as `io.weight` (1 to 10000), on the straight line between.
pub(crate) fn io_weight(weight: u16) -> u64 {
    1 + u64::from(weight).saturating_sub(10) * 9999 / 990
}

/// The binary logarithm of a number from 1 to 2^63, in units of 2^-40.
fn log2(number: u64) -> u64 {
    let whole = number.max(1).ilog2();
    // The mantissa, from 1 to 2, in units of 2^-63. Squaring it doubles its logarithm, whose digits so come out
    // one by one.
    let mut mantissa = u128::from(number.max(1)) << (63 - whole);
    let mut log = u64::from(whole);
    for _ in 0..FRACTION {
        mantissa = (mantissa * mantissa) >> 63;
        log <<= 1;
        if mantissa >> 64 != 0 {
            mantissa >>= 1;
            log |= 1;
        }
    }
    log
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "the formula"
    )]
    fn every_number_of_shares_has_the_weight_of_the_formula() {
        for shares in 3..262_144_u64 {
            let log = (shares as f64).log2();
            let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
            let expected = 10_f64.powf(exponent).ceil() as u64;
            assert_eq!(cpu_weight(shares), expected, "{shares}");
        }
    }

    #[test]
    fn shares_beyond_the_ends_have_the_weight_at_the_end() {
        for (shares, weight) in
            [(0, 1), (1, 1), (2, 1), (1024, 100), (262_144, 10_000), (262_145, 10_000), (u64::MAX, 10_000)]
        {
            assert_eq!(cpu_weight(shares), weight, "{shares}");
        }
    }

    #[test]
    fn io_weights_lie_on_a_line() {
        for (old, new) in [(0, 1), (10, 1), (100, 910), (500, 4950), (1000, 10_000)] {
            assert_eq!(io_weight(old), new, "{old}");
        }
    }
}
