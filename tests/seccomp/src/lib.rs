//! What a filter program says about a system call: an interpreter of the part of classic BPF that seccomp(2) takes,
//! and the names that the architectures have.

pub mod profiles;

/// `struct seccomp_data`, as a system call fills it.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// Its number.
    pub number: u32,
    /// `AUDIT_ARCH_…`.
    pub architecture: u32,
    /// Its arguments.
    pub arguments: [u64; 6],
}

impl Call {
    fn word(&self, offset: u32, order: Order) -> Option<u32> {
        match offset {
            0 => Some(self.number),
            4 => Some(self.architecture),
            16.. if offset.is_multiple_of(4) => {
                let index = usize::try_from((offset - 16) / 8).ok()?;
                let [low, high] = halves(*self.arguments.get(index)?);
                let first_is_low = order == Order::Little;
                Some(if offset.is_multiple_of(8) == first_is_low { low } else { high })
            }
            // The address of the instruction, which no rule looks at.
            8 | 12 => Some(0),
            _ => None,
        }
    }
}

fn halves(value: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// What it returned.
    pub returned: u32,
    /// How many instructions it took.
    pub steps: usize,
    /// Whether it looked at more than the number and the architecture: then the kernel's cache cannot know the call.
    pub looked_at_arguments: bool,
}

/// The order of a machine's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The lowest first.
    Little,
    /// The highest first.
    Big,
}

/// Runs a program of `struct sock_filter` in little-endian order; `None` where the kernel would refuse it.
#[must_use]
pub fn interpret(program: &[u8], call: &Call) -> Option<Verdict> {
    interpret_on(Order::Little, program, call)
}

/// Runs a program on a machine of this order, in which the program is too.
#[must_use]
pub fn interpret_on(order: Order, program: &[u8], call: &Call) -> Option<Verdict> {
    let (instructions, []) = program.as_chunks::<8>() else { return None };
    let (mut accumulator, mut scratch, mut x) = (0_u32, [0_u32; 16], 0_u32);
    let (mut at, mut steps, mut looked_at_arguments) = (0_usize, 0, false);
    loop {
        let &[a, b, jt, jf, e, f, g, h] = instructions.get(at)?;
        let (code, k) = match order {
            Order::Little => (u16::from_le_bytes([a, b]), u32::from_le_bytes([e, f, g, h])),
            Order::Big => (u16::from_be_bytes([a, b]), u32::from_be_bytes([e, f, g, h])),
        };
        at += 1;
        steps += 1;
        let compare = |holds: bool| usize::from(if holds { jt } else { jf });
        match code {
            0x20 => {
                accumulator = call.word(k, order)?;
                looked_at_arguments |= k >= 8;
            }
            0x60 => accumulator = *scratch.get(usize::try_from(k).ok()?)?,
            0x02 => *scratch.get_mut(usize::try_from(k).ok()?)? = accumulator,
            0x07 => x = accumulator,
            0x87 => accumulator = x,
            0x54 => accumulator &= k,
            0x05 => at += usize::try_from(k).ok()?,
            0x15 => at += compare(accumulator == k),
            0x25 => at += compare(accumulator > k),
            0x35 => at += compare(accumulator >= k),
            0x45 => at += compare(accumulator & k != 0),
            0x06 => return Some(Verdict { returned: k, steps, looked_at_arguments }),
            _ => return None,
        }
    }
}

/// Two architectures have it under the C library's name.
fn spelled(name: &'static str) -> &'static str {
    if name == "fstatat" { "newfstatat" } else { name }
}

macro_rules! all_names {
    ($($architecture:ident),*) => {
        /// The names of the system calls of every architecture of the tables, one list each.
        #[must_use]
        pub fn names() -> Vec<Vec<&'static str>> {
            vec![$((0..8192).filter_map(syscalls::$architecture::Sysno::new).map(|call| spelled(call.name())).collect()),*]
        }
    };
}

all_names!(
    aarch64,
    arm,
    loongarch64,
    mips,
    mips64,
    powerpc,
    powerpc64,
    riscv32,
    riscv64,
    s390x,
    sparc,
    sparc64,
    x86,
    x86_64
);
