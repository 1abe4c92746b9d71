//! `update`.

use alloc::vec::Vec;

use masu_cli::{
    BLKIO_WEIGHT, CPU_BURST, CPU_IDLE, CPU_PERIOD, CPU_QUOTA, CPU_RT_PERIOD, CPU_RT_RUNTIME, CPU_SHARE,
    CPUSET_CPUS, CPUSET_MEMS, KERNEL_MEMORY, KERNEL_MEMORY_TCP, MEMORY, MEMORY_RESERVATION, MEMORY_SWAP,
    Matches, Number, PIDS_LIMIT, Parsed, RESOURCES,
};
use masu_spec::{BlockIo, Cpu, Memory, Resources, parse_resources};

use super::id;
use masu_runtime::files;

use crate::{
    failure::{Failure, Result, in_file},
    session::Session,
};

/// Changes limits.
pub(super) fn update(session: &Session<'_>, parsed: &Parsed<'_>) -> Result<i32> {
    let options = &parsed.options;
    let container = session.store.load(id(parsed))?;
    let file = options.value(&RESOURCES);
    let bytes = file.map(read_resources).transpose()?;
    let mut resources = match (&bytes, file) {
        (Some(bytes), Some(file)) => parse_resources(bytes).map_err(|error| in_file(file, &error))?,
        _ => from_options(options),
    };
    if resources.memory.kernel.is_some() || resources.memory.kernel_tcp.is_some() {
        session.log.warning("a limit of kernel memory is ignored: the kernel has none since Linux 5.4");
    }
    lift_swap_with_memory(&mut resources.memory);
    container.update(&resources)?;
    Ok(0)
}

fn read_resources(file: &str) -> Result<Vec<u8>> {
    if file == "-" {
        files::read_all(masu_sys::fd::stdin())
            .map_err(|errno| Failure::of_file("read", "standard input", errno))
    } else {
        files::read(file).map_err(|errno| Failure::of_file("read --resources", file, errno))
    }
}

/// Zero is "not set" for all but pids, burst and idle, as in a file.
fn from_options<'a>(options: &Matches<'a>) -> Resources<'a> {
    let number = |option: &'static Number| options.number(option).filter(|number| *number != 0);
    let natural = |option: &'static Number| number(option).and_then(|number| u64::try_from(number).ok());
    Resources {
        memory: Memory {
            limit: options.size(&MEMORY).filter(|size| *size != 0),
            reservation: options.size(&MEMORY_RESERVATION).filter(|size| *size != 0),
            swap: options.size(&MEMORY_SWAP).filter(|size| *size != 0),
            kernel: options.size(&KERNEL_MEMORY),
            kernel_tcp: options.size(&KERNEL_MEMORY_TCP),
            ..Memory::default()
        },
        cpu: Cpu {
            shares: natural(&CPU_SHARE),
            quota: number(&CPU_QUOTA),
            burst: options.number(&CPU_BURST).and_then(|burst| u64::try_from(burst).ok()),
            period: natural(&CPU_PERIOD),
            realtime_runtime: number(&CPU_RT_RUNTIME),
            realtime_period: natural(&CPU_RT_PERIOD),
            cpus: options.value(&CPUSET_CPUS).map(Into::into),
            mems: options.value(&CPUSET_MEMS).map(Into::into),
            idle: options.number(&CPU_IDLE),
        },
        pids_limit: options.number(&PIDS_LIMIT),
        block_io: BlockIo {
            weight: number(&BLKIO_WEIGHT).and_then(|weight| u16::try_from(weight).ok()),
            ..BlockIo::default()
        },
        ..Resources::default()
    }
}

/// Memory without limit lifts the limit of memory and swap together too, unless that one is given: else it would stay
/// in force, and be the limit of memory (runc does the same).
fn lift_swap_with_memory(memory: &mut Memory) {
    if memory.limit == Some(-1) && memory.swap.is_none() {
        memory.swap = Some(-1);
    }
}

#[cfg(test)]
mod tests {
    use core::ffi::CStr;

    use masu_cli::Request;

    use super::*;

    fn with_options(args: &[&CStr], check: impl Fn(Resources<'_>)) {
        let args: Vec<_> = [c"update"].into_iter().chain(args.iter().copied()).chain([c"id"]).collect();
        let line = masu_cli::parse(&args).unwrap();
        let Ok(Request::Command(parsed)) = line.request() else { panic!("not a command") };
        check(from_options(&parsed.options));
    }

    #[test]
    fn options_become_resources() {
        with_options(&[c"--memory", c"64m", c"--memory-swap=-1", c"--pids-limit", c"0"], |resources| {
            let memory = Memory { limit: Some(64 << 20), swap: Some(-1), ..Memory::default() };
            assert_eq!(resources, Resources { memory, pids_limit: Some(0), ..Resources::default() });
        });
        with_options(&[c"--cpu-quota", c"-1", c"--cpu-idle", c"0", c"--cpuset-cpus", c"0-1"], |resources| {
            let cpu = Cpu { quota: Some(-1), idle: Some(0), cpus: Some("0-1".into()), ..Cpu::default() };
            assert_eq!(resources, Resources { cpu, ..Resources::default() });
        });
        with_options(&[c"--blkio-weight", c"500", c"--cpu-burst", c"0"], |resources| {
            let cpu = Cpu { burst: Some(0), ..Cpu::default() };
            let block_io = BlockIo { weight: Some(500), ..BlockIo::default() };
            assert_eq!(resources, Resources { cpu, block_io, ..Resources::default() });
        });
    }

    #[test]
    fn zero_leaves_a_limit_as_it_is() {
        let zeros =
            [c"--memory=0", c"--memory-swap=0", c"--cpu-share=0", c"--cpu-period=0", c"--blkio-weight=0"];
        with_options(&zeros, |resources| assert_eq!(resources, Resources::default()));
    }

    #[test]
    fn unlimited_memory_has_unlimited_swap() {
        for (limit, swap, result) in [
            (Some(-1), None, Some(-1)),
            (Some(-1), Some(5), Some(5)),
            (Some(4), None, None),
            (None, None, None),
        ] {
            let mut memory = Memory { limit, swap, ..Memory::default() };
            lift_swap_with_memory(&mut memory);
            assert_eq!(memory.swap, result);
        }
    }
}
