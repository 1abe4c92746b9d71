//! `update`.

use alloc::{format, vec::Vec};

use masu_cli::{
    BLKIO_WEIGHT, CPU_BURST, CPU_IDLE, CPU_PERIOD, CPU_QUOTA, CPU_RT_PERIOD, CPU_RT_RUNTIME, CPU_SHARE,
    CPUSET_CPUS, CPUSET_MEMS, KERNEL_MEMORY, KERNEL_MEMORY_TCP, L3_CACHE_SCHEMA, MEM_BW_SCHEMA, MEMORY,
    MEMORY_RESERVATION, MEMORY_SWAP, Matches, Number, PIDS_LIMIT, Parsed, RESOURCES, Text,
};
use masu_spec::{BlockIo, Cpu, IntelRdt, Memory, Resources, parse_resources, unknown_resources};

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
        (Some(bytes), Some(file)) => {
            for name in unknown_resources(bytes) {
                session.log.warning(&format!("{}: {name}: unknown, and ignored", called(file)));
            }
            parse_resources(bytes).map_err(|error| in_file(called(file), &error))?
        }
        _ => from_options(options),
    };
    if resources.memory.kernel.is_some() || resources.memory.kernel_tcp.is_some() {
        session.log.warning("a limit of kernel memory is ignored: the kernel has none since Linux 5.4");
    }
    lift_swap_with_memory(&mut resources.memory);
    container.update(&resources, &shares(options)?)?;
    Ok(0)
}

/// The shares of Intel RDT. They stand beside `--resources`, for they are no resources of a cgroup; as in runc.
fn shares<'a>(options: &Matches<'a>) -> Result<IntelRdt<'a>> {
    let line = |option: &'static Text, begin: &str| {
        let Some(line) = options.value(option).filter(|line| !line.is_empty()) else { return Ok(None) };
        if line.contains('\n') || !line.starts_with(begin) {
            let message = format!("--{}: {line:?} is not one line that begins with {begin:?}", option.0.long);
            return Err(Failure::new(message));
        }
        Ok(Some(line.into()))
    };
    Ok(IntelRdt {
        l3_cache_schema: line(&L3_CACHE_SCHEMA, "L3")?,
        mem_bw_schema: line(&MEM_BW_SCHEMA, "MB:")?,
        ..IntelRdt::default()
    })
}

/// What messages call the file.
fn called(file: &str) -> &str {
    if file == "-" { "standard input" } else { file }
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
    fn shares_are_single_lines_of_their_resource() {
        let parsed = |args: &[&CStr], check: &dyn Fn(Result<IntelRdt<'_>>)| {
            let args: Vec<_> = [c"update"].into_iter().chain(args.iter().copied()).chain([c"id"]).collect();
            let line = masu_cli::parse(&args).unwrap();
            let Ok(Request::Command(parsed)) = line.request() else { panic!("not a command") };
            check(shares(&parsed.options));
        };
        parsed(&[c"--l3-cache-schema", c"L3:0=f", c"--mem-bw-schema="], &|shares| {
            let expected = IntelRdt { l3_cache_schema: Some("L3:0=f".into()), ..IntelRdt::default() };
            assert_eq!(shares, Ok(expected));
        });
        parsed(&[c"--mem-bw-schema", c"L3:0=f"], &|shares| {
            let message = "--mem-bw-schema: \"L3:0=f\" is not one line that begins with \"MB:\"";
            assert_eq!(shares.unwrap_err().message, message);
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
