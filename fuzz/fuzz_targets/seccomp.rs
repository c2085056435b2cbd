//! The seccomp compiler, against the model of what a profile means and against libseccomp.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mydocker_oracle_seccomp::comparison::{Comparison, arguments};
use mydocker_oracle_seccomp::model::is_multiplexer;
use mydocker_oracle_seccomp::oracle::{CORRECTED, Oracle, alternatives};
use mydocker_runtime::seccomp::{Arch, Facts, compile};
use mydocker_runtime::spec::Seccomp;
use std::cell::RefCell;
use std::collections::BTreeSet;
use tempfile::TempDir;

/// More values than these, and one profile would take seconds.
const MAX_ARGUMENTS: usize = 64;

thread_local! {
    static ORACLE: RefCell<(TempDir, Oracle)> = RefCell::new({
        let dir = tempfile::tempdir().expect("a directory");
        let oracle = Oracle::start(dir.path());
        (dir, oracle)
    });
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(profile) = serde_json::from_slice::<Seccomp>(bytes) else { return };
    let facts = Facts { native: Arch::X86_64 };
    let Ok(compiled) = compile(&profile, &facts) else { return };
    ORACLE.with_borrow_mut(|(_, oracle)| {
        let known = oracle.archs();
        let archs = profile.architectures.iter().filter_map(|name| Arch::from_name(name));
        let can_judge = archs.clone().all(|arch| known.contains(&arch)) && compiled.warnings.is_empty();
        // A name that only newer kernels have, and an architecture that the oracle does not know, it cannot judge.
        if !can_judge || !names_are_known(&profile, oracle) {
            return;
        }
        let mut comparison = Comparison::new(&profile, facts.native, oracle);
        if has_conflicts(&profile) {
            comparison.theirs = None;
        }
        let mut args = arguments(&profile);
        args.truncate(MAX_ARGUMENTS);
        comparison.check_all(&args);
    });
});

fn names_are_known(profile: &Seccomp, oracle: &mut Oracle) -> bool {
    let listed = profile.architectures.iter().filter_map(|name| Arch::from_name(name));
    let known: BTreeSet<String> =
        listed.chain([Arch::X86_64]).flat_map(|arch| oracle.names(arch).into_keys()).collect();
    let mut names = profile.syscalls.iter().flat_map(|rule| &rule.names);
    names.all(|name| known.contains(name) && !CORRECTED.contains(&name.as_str()))
}

/// libseccomp merges several rules of a call in an order of its own, and wrongly in some cases of one argument (above
/// 4294967297 or at most 1, it takes 2 too): there the model alone judges. A rule with two conditions on one argument is several.
fn has_conflicts(profile: &Seccomp) -> bool {
    let mut seen = BTreeSet::new();
    if profile.syscalls.iter().any(|rule| alternatives(&rule.args).len() > 1) {
        return true;
    }
    profile
        .syscalls
        .iter()
        .flat_map(|rule| &rule.names)
        .any(|name| !seen.insert(name) || is_multiplexer(name))
}
