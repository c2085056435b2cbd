use super::*;
use crate::spec::DeviceRule;

/// One access to a device: kind as in the context, major, minor, access bits.
type Request = (u32, u32, u32, u8);

/// Runs a program as the kernel would; every program ends, for jumps lead forward only.
fn run(program: &[Instruction], (kind, major, minor, access): Request) -> u64 {
    let context = [kind | u32::from(access) << 16, major, minor];
    let mut registers = [0u64; 6];
    let mut at = 0;
    loop {
        let code = program[at];
        let (destination, source) = ((code >> 8 & 0xf) as usize, (code >> 12 & 0xf) as usize);
        let (offset, value) = ((code >> 16) as u16 as i16, (code >> 32) as u32 as i32);
        at += 1;
        let jump = match code as u8 {
            LOAD_WORD => {
                assert_eq!(source, 1);
                registers[destination] = context[offset as usize / 4].into();
                false
            }
            MOVE_32 => {
                registers[destination] = u64::from(registers[source] as u32);
                false
            }
            MOVE_IMMEDIATE => {
                registers[destination] = value as i64 as u64;
                false
            }
            AND_32_IMMEDIATE => {
                registers[destination] = u64::from(registers[destination] as u32 & value as u32);
                false
            }
            SHIFT_RIGHT_32 => {
                registers[destination] = u64::from(registers[destination] as u32 >> value);
                false
            }
            JUMP_IF_EQUAL => registers[destination] == value as i64 as u64,
            JUMP_IF_NOT_EQUAL => registers[destination] != value as i64 as u64,
            EXIT => return registers[0],
            other => panic!("opcode {other:#x}"),
        };
        if jump {
            assert!(offset >= 0);
            at += offset as usize;
        }
    }
}

/// What the rules mean, said another way: each bit by itself, the last rule that speaks of it.
fn meaning(filter: &DeviceFilter, (kind, major, minor, access): Request) -> bool {
    [1u8, 2, 4].into_iter().filter(|bit| access & bit != 0).all(|bit| {
        let speaks = |rule: &&Rule| {
            let right_kind = match rule.kind {
                Kind::Any => true,
                Kind::Block => kind == 1,
                Kind::Character => kind == 2,
            };
            right_kind
                && rule.major.is_none_or(|number| number == major)
                && rule.minor.is_none_or(|number| number == minor)
                && rule.access.0 & bit != 0
        };
        filter.rules.iter().rev().find(speaks).is_some_and(|rule| rule.allow)
    })
}

fn requests() -> Vec<Request> {
    let mut all = Vec::new();
    for kind in [1, 2] {
        for major in [0, 1, 5, 8, 10, 136] {
            for minor in [0, 1, 2, 3, 200] {
                all.extend((1..=7).map(|access| (kind, major, minor, access)));
            }
        }
    }
    all
}

fn filter(rules: &[DeviceRule]) -> DeviceFilter {
    DeviceFilter::from_spec(rules, &[]).unwrap()
}

/// A fixed sequence of numbers that look random (a linear congruential generator with Knuth's constants).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn rule(&mut self) -> DeviceRule {
        let number =
            |numbers: &mut Self| [None, Some(-1), Some(1), Some(8), Some(5)][numbers.below(5) as usize];
        DeviceRule {
            allow: self.below(2) == 0,
            kind: ["", "a", "c", "b", "c", "b"][self.below(6) as usize].into(),
            major: number(self),
            minor: number(self),
            access: ["r", "w", "m", "rw", "wm", "rm", "rwm", "rwm"][self.below(8) as usize].into(),
        }
    }
}

#[test]
fn the_program_decides_as_the_rules_mean_for_any_list_of_rules() {
    let mut numbers = Numbers(1);
    for _ in 0..500 {
        let count = numbers.below(8);
        let filter = filter(&(0..count).map(|_| numbers.rule()).collect::<Vec<_>>());
        let program = program(&filter);
        for request in requests() {
            let expected = meaning(&filter, request);
            let allowed = program.as_ref().is_none_or(|program| run(program, request) == 1);
            assert_eq!(allowed, expected, "{request:?} of {filter:?}");
        }
    }
}

#[test]
fn where_cgroup_v1_can_say_it_too_both_say_the_same_of_single_accesses() {
    let mut numbers = Numbers(2);
    let mut compared = 0;
    for _ in 0..500 {
        let count = numbers.below(4);
        let filter = filter(&(0..count).map(|_| numbers.rule()).collect::<Vec<_>>());
        let Ok(writes) = filter.to_v1() else { continue };
        compared += 1;
        for request in requests().into_iter().filter(|request| request.3.is_power_of_two()) {
            assert_eq!(v1(&writes, request), meaning(&filter, request), "{request:?} of {writes:?}");
        }
    }
    assert!(compared > 100, "{compared}");
}

/// What a v1 cgroup with these writes decides of one access.
fn v1(writes: &[super::super::devices::V1Rule], (kind, major, minor, access): Request) -> bool {
    let letter = [(1, 'm'), (2, 'r'), (4, 'w')].into_iter().find(|(bit, _)| *bit == access).unwrap().1;
    let matches = |text: &str| {
        let fields: Vec<&str> = text.split([' ', ':']).collect();
        let number = |field: &str, number: u32| field == "*" || field == number.to_string();
        fields[0] == if kind == 1 { "b" } else { "c" }
            && number(fields[1], major)
            && number(fields[2], minor)
            && fields[3].contains(letter)
    };
    writes[0].allow != writes[1..].iter().any(|rule| matches(&rule.text))
}

#[test]
fn a_filter_that_allows_everything_needs_no_program() {
    let all = DeviceRule { allow: true, access: "rwm".into(), ..filter_rule() };
    assert_eq!(program(&filter(&[all])), None);
}

fn filter_rule() -> DeviceRule {
    DeviceRule { allow: false, kind: String::new(), major: None, minor: None, access: "rwm".into() }
}

#[test]
fn the_usual_program_is_short() {
    let program = program(&filter(&[filter_rule()])).unwrap();
    assert!(program.len() <= USUAL_LENGTH, "{}", program.len());
}

#[test]
fn a_number_beyond_31_bits_matches_no_device_by_accident() {
    let rule = DeviceRule { allow: true, major: Some(0xffff_ffff), kind: "b".into(), ..filter_rule() };
    let program = program(&filter(&[rule])).unwrap();
    assert_eq!(run(&program, (1, 8, 0, 2)), 0);
}
