//! Where something happens: points chosen from the system calls of an undisturbed run.

use super::tolerated;
use crate::harness::World;
use crate::harness::tracer::Point;

/// Which points of a run are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Density {
    /// Every one that can fail: with `--soak`.
    All,
    /// Every `stride`th of the beginnings of a row of the same call, so that many closes or many signals count once.
    Every {
        /// 1 for all of them.
        stride: usize,
        /// Which of the first `stride` is the first one.
        offset: usize,
    },
}

impl Density {
    /// Every point in a soak, otherwise a sample; it begins elsewhere for each `offset`.
    pub(super) fn of(world: &World, stride: usize, offset: usize) -> Self {
        if world.soak { Self::All } else { Self::Every { stride, offset: offset % stride } }
    }
}

/// The points of process `process`, which made these calls; the last one always.
pub(super) fn choose(process: usize, calls: &[u64], density: Density) -> Vec<Point> {
    let mut all = (0..calls.len()).map(|call| Point { process, call });
    let number = |call: usize| calls.get(call).copied();
    let tells = |call: usize| number(call).is_some_and(|nr| !tolerated::is_harmless(nr));
    let Density::Every { stride, offset } = density else {
        return all.filter(|point| tells(point.call)).collect();
    };
    let begins_row = |point: &Point| {
        let before = point.call.checked_sub(1).and_then(number);
        tells(point.call) && number(point.call) != before
    };
    let mut points: Vec<_> = all.clone().filter(begins_row).skip(offset).step_by(stride).collect();
    let last = all.rfind(|point| tells(point.call));
    points.extend(last.filter(|last| points.last() != Some(last)));
    points
}
