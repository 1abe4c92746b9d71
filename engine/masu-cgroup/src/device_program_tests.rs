use super::*;

/// One use of a device: kind, major, minor, access.
type Use = (u32, u32, u32, DeviceAccess);

/// What the kernel would do: runs a program on the context of one use.
fn run(program: &[Instruction], (kind, major, minor, access): Use) -> u32 {
    let context = [u32::from(access.bits()) << 16 | kind, major, minor];
    let mut registers = [0u32; 11];
    let mut index = 0;
    loop {
        let Instruction { code, registers: which, offset, immediate } = program[index];
        let (to, from) = (usize::from(which & 15), usize::from(which >> 4));
        let number = immediate.cast_unsigned();
        index += 1;
        let skip = match code {
            LOAD_WORD => {
                assert_eq!(from, usize::from(CONTEXT), "only the context can be read");
                registers[to] = context[usize::try_from(offset).expect("offset") / 4];
                false
            }
            MOVE => {
                registers[to] = number;
                false
            }
            MOVE_REGISTER => {
                registers[to] = registers[from];
                false
            }
            AND => {
                registers[to] &= number;
                false
            }
            SHIFT_RIGHT => {
                registers[to] >>= number;
                false
            }
            JUMP_IF_EQUAL => registers[to] == number,
            JUMP_UNLESS_EQUAL => registers[to] != number,
            EXIT => return registers[0],
            other => panic!("unknown instruction {other:#x}"),
        };
        if skip {
            index += usize::try_from(offset).expect("no jump goes back");
        }
    }
}

/// What the rules say: for each kind of access the last rule that names it decides.
fn judge(rules: &[DeviceRule], (kind, major, minor, access): Use) -> bool {
    access.iter().all(|one| {
        let decides = |rule: &&DeviceRule| match rule.kind {
            DeviceRuleKind::All => true,
            kind_of_rule => {
                (kind_of_rule == DeviceRuleKind::Block) == (kind == BLOCK)
                    && rule.major.is_none_or(|number| number == major)
                    && rule.minor.is_none_or(|number| number == minor)
                    && rule.access.contains(one)
            }
        };
        rules.iter().rev().find(decides).is_some_and(|rule| rule.allow)
    })
}

fn rule(text: &str) -> DeviceRule {
    let mut words = text.split([' ', ':']);
    let allow = words.next() == Some("allow");
    let kind = match words.next() {
        Some("a") => DeviceRuleKind::All,
        Some("b") => DeviceRuleKind::Block,
        _ => DeviceRuleKind::Char,
    };
    let mut number = || words.next().filter(|word| *word != "*").map(|word| word.parse().expect("a number"));
    let (major, minor) = (number(), number());
    DeviceRule { allow, kind, major, minor, access: access(words.next().expect("access")) }
}

fn access(letters: &str) -> DeviceAccess {
    let flag = |letter| match letter {
        'r' => DeviceAccess::READ,
        'w' => DeviceAccess::WRITE,
        _ => DeviceAccess::MKNOD,
    };
    letters.chars().map(flag).collect()
}

#[test]
fn the_last_rule_that_names_an_access_decides_about_it() {
    let use_of = |text: &str| {
        let rule = rule(&format!("allow {text}"));
        let kind = if rule.kind == DeviceRuleKind::Block { BLOCK } else { CHAR };
        (kind, rule.major.expect("major"), rule.minor.expect("minor"), rule.access)
    };
    let cases: [(&[&str], &[&str], &[&str]); 9] = [
        // rules, what they allow, what they deny
        (&[], &[], &["c 1:3 r", "b 8:0 m"]),
        (&["allow a *:* rwm"], &["c 1:3 rwm", "b 8:0 rw"], &[]),
        (&["allow c 1:3 rwm", "deny a *:* rwm"], &[], &["c 1:3 r"]),
        (&["allow c 1:3 rw"], &["c 1:3 r", "c 1:3 w", "c 1:3 rw"], &["c 1:3 m", "c 1:5 r", "b 1:3 r"]),
        (&["allow c 1:3 r", "allow c 1:3 w"], &["c 1:3 rw"], &["c 1:3 rwm"]),
        (&["allow c *:* rwm", "deny c 1:11 w"], &["c 1:11 r", "c 1:3 rw"], &["c 1:11 w", "c 1:11 rw"]),
        (&["deny c 1:11 w", "allow c *:* rwm"], &["c 1:11 rw"], &["b 1:11 w"]),
        (&["allow c 136:* rwm", "allow b *:7 m"], &["c 136:9 rw", "b 3:7 m"], &["c 135:9 r", "b 3:7 r"]),
        (&["allow c 4294967295:4294967295 r"], &["c 4294967295:4294967295 r"], &["c 0:4294967295 r"]),
    ];
    for (rules, allowed, denied) in cases {
        let rules: Vec<_> = rules.iter().map(|text| rule(text)).collect();
        let program = compile(&rules);
        for (uses, expected) in [(allowed, 1), (denied, 0)] {
            for text in uses {
                assert_eq!(run(&program, use_of(text)), expected, "{rules:?}: {text}");
            }
        }
    }
}

/// A small generator of numbers: the same ones in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(self.0 >> 33).expect("31 bits") % bound
    }
}

#[test]
fn the_program_says_what_the_rules_say_for_every_use_of_thousands_of_lists() {
    let mut numbers = Numbers(1);
    for _ in 0..2000 {
        let mut rules = Vec::new();
        for _ in 0..numbers.below(7) {
            let kind = match numbers.below(9) {
                0 => DeviceRuleKind::All,
                1..5 => DeviceRuleKind::Block,
                _ => DeviceRuleKind::Char,
            };
            let any_or = |number: u32| (number > 0).then_some(number);
            rules.push(DeviceRule {
                allow: numbers.below(2) == 1,
                kind,
                major: any_or(numbers.below(3)),
                minor: any_or(numbers.below(3)),
                access: DeviceAccess::from_bits_truncate(
                    u8::try_from(1 + numbers.below(7)).expect("three bits"),
                ),
            });
        }
        let program = compile(&rules);
        for kind in [BLOCK, CHAR] {
            for (major, minor) in [(1, 1), (1, 2), (2, 1), (2, 2), (3, 3)] {
                for bits in 1..8 {
                    let asked = (kind, major, minor, DeviceAccess::from_bits_truncate(bits));
                    assert_eq!(run(&program, asked) == 1, judge(&rules, asked), "{rules:?} {asked:?}");
                }
            }
        }
    }
}

#[test]
fn looking_whether_a_node_is_there_needs_no_access_but_some_rule_for_it() {
    let nothing = (CHAR, 1, 3, DeviceAccess::empty());
    assert_eq!(run(&compile(&[rule("allow c *:* m")]), nothing), 1);
    assert_eq!(run(&compile(&[rule("allow c 1:5 rwm")]), nothing), 0);
}

#[test]
fn the_defaults_come_after_the_configs_rules_and_give_way_to_its_devices() {
    let resources = Resources { devices: alloc::vec![rule("deny a *:* rwm")], ..Resources::default() };
    let program = compile(&all_rules(&resources, &[]));
    assert_eq!(run(&program, (CHAR, 1, 3, access("rw"))), 1, "/dev/null");
    assert_eq!(run(&program, (CHAR, 1, 11, access("m"))), 1, "every node can be made");
    assert_eq!(run(&program, (CHAR, 1, 11, access("r"))), 0, "/dev/kmsg");
    assert_eq!(run(&program, (BLOCK, 8, 0, access("r"))), 0, "a disk");
    let replaced = compile(&all_rules(&resources, &["/dev/null"]));
    assert_eq!(
        run(&replaced, (CHAR, 1, 3, access("rw"))),
        0,
        "the config's own /dev/null needs its own rule"
    );
}

#[test]
fn every_jump_stays_inside_and_the_last_instruction_ends_the_program() {
    let rules = alloc::vec![rule("deny c 1:3 r"), rule("allow b *:* rm"), rule("allow c 5:* rwm")];
    let program = compile(&rules);
    for (index, instruction) in program.iter().enumerate() {
        let target = index + 1 + usize::try_from(instruction.offset).unwrap_or(0);
        let jumps = matches!(instruction.code, JUMP_IF_EQUAL | JUMP_UNLESS_EQUAL);
        assert!(!jumps || (target > index + 1 && target < program.len()), "{index}: {instruction:?}");
    }
    assert_eq!(program.last().map(|instruction| instruction.code), Some(EXIT));
}
