//! The compiler's filters against libseccomp's, call by call.

use mydocker_oracle_seccomp::cause::Cause;
use mydocker_oracle_seccomp::comparison::{Comparison, arguments};
use mydocker_oracle_seccomp::interpreter::{Call, run};
use mydocker_oracle_seccomp::model::is_multiplexer;
use mydocker_oracle_seccomp::oracle::{CORRECTED, Oracle};
use mydocker_oracle_seccomp::profiles;
use mydocker_oracle_seccomp::random::{Conflicts, Random, profile};
use mydocker_runtime::seccomp::{Arch, Facts, compile};
use mydocker_runtime::spec::{Seccomp, SeccompRule};
use mydocker_sys::seccomp::Instruction;
use serde_json::json;
use std::collections::BTreeSet;
use tempfile::TempDir;

fn oracle() -> (TempDir, Oracle) {
    let dir = tempfile::tempdir().expect("a directory");
    let oracle = Oracle::start(dir.path());
    (dir, oracle)
}

/// Each argument drawn from the values on its own.
fn mixed(profile: &Seccomp, random: &mut Random, count: usize) -> Vec<[u64; 6]> {
    let values: Vec<u64> = arguments(profile).iter().map(|args| args[0]).collect();
    (0..count).map(|_| std::array::from_fn(|_| random.pick(&values))).collect()
}

fn some_arguments(profile: &Seccomp, random: &mut Random) -> Vec<[u64; 6]> {
    let mut args = arguments(profile);
    args.extend(mixed(profile, random, 30));
    args
}

fn check_shipped(profile: &Seccomp, native: Arch) {
    let (_dir, mut oracle) = oracle();
    // The oracle may be older than the table: a name that it does not know would be no difference worth telling.
    let profile = known_to(&mut oracle, profile.clone(), native);
    let comparison = Comparison::new(&profile, native, &mut oracle);
    assert!(comparison.theirs.is_some(), "libseccomp takes the profile");
    comparison.check_all(&some_arguments(&profile, &mut Random(1)));
}

/// The profile without names that the oracle does not know on any of its architectures.
fn known_to(oracle: &mut Oracle, mut profile: Seccomp, native: Arch) -> Seccomp {
    let known = all_names(oracle, &archs_of(&profile, native));
    profile.syscalls.iter_mut().for_each(|rule| {
        rule.names.retain(|name| known.contains(name) && !CORRECTED.contains(&name.as_str()))
    });
    profile.syscalls.retain(|rule: &SeccompRule| !rule.names.is_empty());
    assert!(profile.syscalls.len() > 5);
    profile
}

fn archs_of(profile: &Seccomp, native: Arch) -> Vec<Arch> {
    let listed = profile.architectures.iter().map(|name| Arch::from_name(name).expect("an architecture"));
    [native].into_iter().chain(listed).collect()
}

/// Names for random profiles.
fn usable_names(oracle: &mut Oracle, native: Arch) -> Vec<String> {
    oracle.names(native).into_keys().filter(|name| !CORRECTED.contains(&name.as_str())).collect()
}

fn all_names(oracle: &mut Oracle, archs: &[Arch]) -> BTreeSet<String> {
    archs.iter().flat_map(|arch| oracle.names(*arch).into_keys()).collect()
}

#[test]
fn a_docker_profile_agrees() {
    check_shipped(&profiles::docker(), Arch::X86_64);
}

#[test]
fn a_podman_profile_agrees() {
    check_shipped(&profiles::podman(), Arch::X86_64);
}

#[test]
fn a_containerd_profile_agrees() {
    check_shipped(&profiles::containerd(), Arch::X86_64);
}

#[test]
fn a_denying_profile_agrees() {
    check_shipped(&profiles::denying(), Arch::X86_64);
}

#[test]
fn a_docker_profile_agrees_on_other_machines() {
    let machines = [
        (Arch::Aarch64, json!(["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"])),
        (Arch::S390X, json!(["SCMP_ARCH_S390X", "SCMP_ARCH_S390"])),
        (Arch::Ppc64Le, json!([])),
        (Arch::Ppc64, json!(["SCMP_ARCH_PPC64", "SCMP_ARCH_PPC"])),
        (Arch::Riscv64, json!(["SCMP_ARCH_RISCV64"])),
        (Arch::Mips64, json!(["SCMP_ARCH_MIPS", "SCMP_ARCH_MIPS64", "SCMP_ARCH_MIPS64N32"])),
        (Arch::Mipsel64, json!(["SCMP_ARCH_MIPSEL", "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32"])),
        (Arch::Parisc64, json!(["SCMP_ARCH_PARISC"])),
    ];
    for (native, archs) in machines {
        check_shipped(&profiles::docker_on(&archs), native);
    }
}

#[test]
fn every_call_has_libseccomps_number_on_every_architecture() {
    let (_dir, mut oracle) = oracle();
    let archs = oracle.archs();
    let names = all_names(&mut oracle, &archs);
    assert!(names.len() > 480);
    for arch in archs {
        let table = oracle.names(arch);
        assert!(table.len() > 250, "{arch:?}");
        let newest = table.values().copied().filter(|nr| *nr < 0xf_0000 || *nr >= 0x4000_0000).max();
        let newest = u32::try_from(newest.expect("a number")).expect("a number");
        for name in &names {
            let json = json!({"defaultAction": "SCMP_ACT_LOG", "syscalls": [{"names": [name], "action": "SCMP_ACT_ALLOW"}]});
            let profile: Seccomp = serde_json::from_value(json).expect("a profile");
            let filter = compile(&profile, &Facts { native: arch }).expect("a filter");
            assert_eq!(filter.warnings, [], "{name}");
            let says = |nr: u32| {
                let call = Call { nr, arch: arch.audit(), args: [0; 6], big_endian: arch.is_big_endian() };
                run(&filter.program, &call).0
            };
            match table.get(name).copied().and_then(|nr| u32::try_from(nr).ok()) {
                Some(nr) => {
                    assert_eq!(says(nr), 0x7fff_0000, "{name} on {arch:?}");
                    assert!(
                        ![says(nr + 1), says(nr.wrapping_sub(1))].contains(&0x7fff_0000),
                        "{name} on {arch:?}"
                    );
                }
                // A name that the oracle lacks here may have come with a newer kernel, at the end of the numbers.
                None => {
                    let base = newest & 0x4000_0000;
                    let hit = (base..newest).find(|nr| says(*nr) == 0x7fff_0000);
                    assert_eq!(hit, None, "{name} on {arch:?}");
                }
            }
        }
    }
}

#[test]
fn random_profiles_agree_with_libseccomp() {
    agree(Conflicts::None, 2000, 0x5eed_0001);
}

#[test]
fn random_profiles_with_several_rules_on_a_call_agree_with_libseccomp() {
    agree(Conflicts::OneAction, 1000, 0x5eed_0002);
}

#[test]
fn random_profiles_with_conflicting_rules_mean_what_the_documentation_says() {
    let (_dir, mut oracle) = oracle();
    let mut random = Random(0x5eed_0003);
    for _ in 0..1000 {
        let (native, archs) = machine(&mut random);
        let names: Vec<String> = usable_names(&mut oracle, native);
        let profile = profile(&mut random, &archs, &names, Conflicts::Any);
        let mut comparison = Comparison::new(&profile, native, &mut oracle);
        // libseccomp merges rules of different actions into a tree in an order of its own and refuses some pairs: the
        // model alone judges.
        comparison.theirs = None;
        comparison.check_all(&some_arguments(&profile, &mut random));
    }
}

fn agree(conflicts: Conflicts, count: usize, seed: u64) {
    let (_dir, mut oracle) = oracle();
    let mut random = Random(seed);
    let mut compared = 0;
    for _ in 0..count {
        let (native, archs) = machine(&mut random);
        let mut names = usable_names(&mut oracle, native);
        // A rule on a multiplexer conflicts with those on the calls that it makes.
        names.retain(|name| !is_multiplexer(name));
        let profile = profile(&mut random, &archs, &names, conflicts);
        let comparison = Comparison::new(&profile, native, &mut oracle);
        compared += usize::from(comparison.theirs.is_some());
        comparison.check_all(&some_arguments(&profile, &mut random));
    }
    assert!(compared * 10 > count * 9, "libseccomp took only {compared} of {count} profiles");
}

/// Ours is right, libseccomp's is not, and the cause shows.
fn differs(native: Arch, profile: serde_json::Value, call: Call, meant: u32, theirs: u32, cause: Cause) {
    let (_dir, mut oracle) = oracle();
    let profile: Seccomp = serde_json::from_value(profile).expect("a profile");
    let comparison = Comparison::new(&profile, native, &mut oracle);
    assert_eq!(run(&comparison.ours, &call).0, meant);
    assert_eq!(comparison.model.verdict(&call), meant);
    let filter = comparison.theirs.expect("a filter");
    assert_eq!(run(&filter, &call).0, theirs);
    assert_eq!(Cause::find(&filter, &call, &comparison.model), Some(cause));
}

fn call(arch: Arch, nr: u32, args: [u64; 6]) -> Call {
    Call { nr, arch: arch.audit(), args, big_endian: arch.is_big_endian() }
}

fn arg(index: u32, op: &str, value: u64) -> serde_json::Value {
    json!({"index": index, "op": format!("SCMP_CMP_{op}"), "value": value})
}

/// A killed call is allowed: the second condition compares the low word that the first has loaded as a high one.
#[test]
fn libseccomp_takes_a_low_word_for_a_high_one() {
    let args = [arg(0, "GT", 0x1_0000_0001), arg(0, "LE", 7)];
    let profile = json!({"defaultAction": "SCMP_ACT_KILL",
        "syscalls": [{"names": ["setpgid"], "action": "SCMP_ACT_ALLOW", "args": args}]});
    for (arch, nr) in [(Arch::X86_64, 109), (Arch::Aarch64, 154)] {
        let call = call(arch, nr, [8, 0, 0, 0, 0, 0]);
        differs(arch, profile.clone(), call, 0, 0x7fff_0000, Cause::StaleWord);
    }
}

/// A rule that kills is lost: `ustat`, which aarch64 lacks, comes first and takes the load of the number with it.
#[test]
fn libseccomp_forgets_to_load_the_number_behind_a_pseudo_call() {
    let profile = json!({"defaultAction": "SCMP_ACT_LOG", "architectures": ["SCMP_ARCH_AARCH64"], "syscalls": [
        {"names": ["ustat"], "action": "SCMP_ACT_TRACE"},
        {"names": ["getdents64"], "action": "SCMP_ACT_KILL", "args": [arg(2, "LT", 5)]}]});
    let call = call(Arch::Aarch64, 61, [0; 6]);
    differs(Arch::X86_64, profile, call, 0, 0x7ffc_0000, Cause::NumberNotLoaded);
}

/// The same without any condition in the profile: `accept` on x86 is the pseudo call, and its way through
/// `socketcall` has a condition.
#[test]
fn libseccomp_forgets_to_load_the_number_of_a_multiplexer() {
    let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86"],
        "syscalls": [{"names": ["accept"], "action": "SCMP_ACT_KILL"}]});
    let call = call(Arch::X86, 102, [5, 0, 0, 0, 0, 0]);
    differs(Arch::X86_64, profile, call, 0, 0x7fff_0000, Cause::NumberNotLoaded);
}

/// Its pseudo number is that of `switch_endian` too, so that a machine which lacks both takes the one for the other.
#[test]
fn libseccomp_loses_a_call_whose_pseudo_number_is_another_ones() {
    let (_dir, mut oracle) = oracle();
    let json = json!({"defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["sys_debug_setcontext"], "action": "SCMP_ACT_KILL"}]});
    let profile: Seccomp = serde_json::from_value(json).expect("a profile");
    let comparison = Comparison::new(&profile, Arch::Ppc64Le, &mut oracle);
    let theirs = comparison.theirs.expect("a filter");
    let on = |filter: &[Instruction], nr| run(filter, &call(Arch::Ppc64Le, nr, [0; 6])).0;
    let (asked, other) = (256, 363);
    assert_eq!([on(&comparison.ours, asked), on(&comparison.ours, other)], [0, 0x7fff_0000]);
    assert_eq!([on(&theirs, asked), on(&theirs, other)], [0x7fff_0000, 0]);
}

/// Podman's rules on `socket` look at arguments 0 and 2. Through `socketcall` the conditions on argument 0 are lost,
/// so that a rule without any is to replace another action's: `EEXIST`. Ours takes the first that holds.
#[test]
fn libseccomp_refuses_podmans_rules_on_socket_together_with_x86() {
    let (_dir, mut oracle) = oracle();
    let mut profile = profiles::podman();
    assert!(oracle.compile(&profile, Arch::X86_64).is_ok());
    profile.architectures.push("SCMP_ARCH_X86".to_owned());
    let profile = known_to(&mut oracle, profile, Arch::X86_64);
    let comparison = Comparison::new(&profile, Arch::X86_64, &mut oracle);
    assert!(comparison.theirs.is_none());
    comparison.check_all(&some_arguments(&profile, &mut Random(2)));
}

/// Some machines with what else runs on them; libseccomp refuses to mix the orders of bytes.
fn machine(random: &mut Random) -> (Arch, Vec<Arch>) {
    let machines = [
        (Arch::X86_64, vec![Arch::X86_64, Arch::X86, Arch::X32]),
        (Arch::X86_64, vec![]),
        (Arch::X86_64, vec![Arch::X32, Arch::X86]),
        (Arch::Aarch64, vec![Arch::Arm]),
        (Arch::S390X, vec![Arch::S390X, Arch::S390]),
        (Arch::Mips64, vec![Arch::Mips, Arch::Mips64N32]),
        (Arch::Ppc64Le, vec![]),
        (Arch::Riscv64, vec![]),
        (Arch::Arm, vec![]),
        (Arch::X86_64, vec![Arch::X32, Arch::Aarch64, Arch::Arm, Arch::Mipsel]),
        (Arch::Ppc64Le, vec![Arch::Riscv64, Arch::X86]),
        (Arch::S390X, vec![Arch::Ppc64, Arch::Mips, Arch::Parisc]),
    ];
    random.pick(&machines)
}
