//! The profile with its names resolved and its mistakes refused.

use super::arch::Arch;
use super::names::Name;
use super::{
    Error, FLAG_NEW_LISTENER, FLAG_SPEC_ALLOW, FLAG_WAIT_KILLABLE_RECV, Facts, KNOWN_FLAGS, Problem, Warning,
    error,
};
use crate::spec::{Seccomp, SeccompAction, SeccompArg, SeccompRule};

/// `SECCOMP_RET_KILL_THREAD`: also what a call of an architecture outside the profile gets.
pub(super) const KILL_THREAD: u32 = 0;
/// `SECCOMP_RET_ERRNO` with `ENOSYS`.
pub(super) const ERRNO_ENOSYS: u32 = RET_ERRNO | 38;

const RET_KILL_PROCESS: u32 = 0x8000_0000;
const RET_TRAP: u32 = 0x0003_0000;
const RET_ERRNO: u32 = 0x0005_0000;
const RET_USER_NOTIF: u32 = 0x7fc0_0000;
const RET_TRACE: u32 = 0x7ff0_0000;
const RET_LOG: u32 = 0x7ffc_0000;
const RET_ALLOW: u32 = 0x7fff_0000;
const EPERM: u32 = 1;
/// The kernel cuts larger error numbers down to this one (`MAX_ERRNO`).
const MAX_ERRNO: u32 = 4095;

/// What the later stages need of a profile.
pub(super) struct Profile {
    /// What a call gets that no rule names.
    pub default: u32,
    /// Whether calls newer than the profile get `ENOSYS`.
    pub newer_is_enosys: bool,
    /// Without repetition, the machine's own first.
    pub archs: Vec<Arch>,
    /// In the order of the profile.
    pub rules: Vec<Rule>,
    pub flags: u64,
    pub notify: bool,
    pub warnings: Vec<Warning>,
}

/// A rule for some calls.
pub(super) struct Rule {
    pub names: Vec<Name>,
    /// What the filter returns.
    pub action: u32,
    /// Whether this is the default action: such a rule only makes its calls known.
    pub redundant: bool,
    /// The rule applies where all conditions of one of the alternatives hold; a rule without conditions has one
    /// alternative without any.
    pub alternatives: Vec<Vec<SeccompArg>>,
}

impl Profile {
    pub fn new(seccomp: &Seccomp, host: &Facts) -> Result<Self, Error> {
        let default = default_action(seccomp)?;
        let notify = check_listener(seccomp)?;
        let mut warnings = Vec::new();
        let rules = seccomp.syscalls.iter().enumerate();
        let rules =
            rules.map(|(at, rule)| Rule::new(at, rule, default, &mut warnings)).collect::<Result<_, _>>()?;
        Ok(Self {
            default,
            newer_is_enosys: !matches!(
                seccomp.default_action,
                SeccompAction::Allow | SeccompAction::Log | SeccompAction::Trace
            ),
            archs: archs(seccomp, host)?,
            rules,
            flags: flags(seccomp, notify)?,
            notify,
            warnings,
        })
    }
}

impl Rule {
    fn new(at: usize, rule: &SeccompRule, default: u32, warnings: &mut Vec<Warning>) -> Result<Self, Error> {
        let place = || format!("/syscalls/{at}/errnoRet");
        let action = ret(rule.action, rule.errno_ret).map_err(|problem| error(place(), problem))?;
        let too_far = |(index, arg): (usize, &SeccompArg)| (arg.index > 5).then_some((index, arg.index));
        if let Some((index, number)) = rule.args.iter().enumerate().find_map(too_far) {
            let place = format!("/syscalls/{at}/args/{index}/index");
            return Err(error(place, Problem::ArgumentIndex(number)));
        }
        Ok(Self {
            names: names(at, rule, warnings)?,
            action,
            redundant: action == default,
            alternatives: alternatives(&rule.args),
        })
    }
}

fn names(at: usize, rule: &SeccompRule, warnings: &mut Vec<Warning>) -> Result<Vec<Name>, Error> {
    if rule.names.is_empty() {
        return Err(error(format!("/syscalls/{at}/names"), Problem::NoNames));
    }
    let mut names = Vec::with_capacity(rule.names.len());
    for (index, name) in rule.names.iter().enumerate() {
        let place = || format!("/syscalls/{at}/names/{index}");
        if name.is_empty() {
            return Err(error(place(), Problem::EmptyName));
        }
        if rule.action == SeccompAction::Notify && name == "write" {
            return Err(error(place(), Problem::NotifyWrite));
        }
        match Name::find(name) {
            Some(known) => names.push(known),
            None => warnings.push(Warning::UnknownSyscall {
                pointer: format!("/linux/seccomp{}", place()),
                name: name.clone(),
            }),
        }
    }
    Ok(names)
}

/// Conditions hold together, unless two look at the same argument: then any one suffices.
fn alternatives(args: &[SeccompArg]) -> Vec<Vec<SeccompArg>> {
    let repeated =
        args.iter().enumerate().any(|(at, arg)| args[..at].iter().any(|other| other.index == arg.index));
    if repeated { args.iter().map(|arg| vec![*arg]).collect() } else { vec![args.to_vec()] }
}

fn default_action(seccomp: &Seccomp) -> Result<u32, Error> {
    if seccomp.default_action == SeccompAction::Notify {
        return Err(error("/defaultAction", Problem::NotifyByDefault));
    }
    ret(seccomp.default_action, seccomp.default_errno_ret)
        .map_err(|problem| error("/defaultErrnoRet", problem))
}

/// What the filter returns for an action.
fn ret(action: SeccompAction, errno: Option<u32>) -> Result<u32, Problem> {
    let plain = |value| if errno.is_none() { Ok(value) } else { Err(Problem::ErrnoNotTaken(action)) };
    let with_number = |value, largest| match errno.unwrap_or(EPERM) {
        number if number > largest => Err(Problem::ErrnoTooLarge { number, largest }),
        number => Ok(value | number),
    };
    match action {
        SeccompAction::Kill | SeccompAction::KillThread => plain(KILL_THREAD),
        SeccompAction::KillProcess => plain(RET_KILL_PROCESS),
        SeccompAction::Trap => plain(RET_TRAP),
        SeccompAction::Errno => with_number(RET_ERRNO, MAX_ERRNO),
        SeccompAction::Notify => plain(RET_USER_NOTIF),
        SeccompAction::Trace => with_number(RET_TRACE, u32::from(u16::MAX)),
        SeccompAction::Log => plain(RET_LOG),
        SeccompAction::Allow => plain(RET_ALLOW),
    }
}

/// Whether loading gives a listener: where a rule asks for it, even if no architecture has its calls, as in runc.
fn check_listener(seccomp: &Seccomp) -> Result<bool, Error> {
    let notify = seccomp.syscalls.iter().any(|rule| rule.action == SeccompAction::Notify);
    if !seccomp.listener_path.is_empty() {
        return Ok(notify);
    }
    if notify {
        return Err(error("/listenerPath", Problem::NoListenerPath));
    }
    if !seccomp.listener_metadata.is_empty() {
        return Err(error("/listenerMetadata", Problem::MetadataWithoutListener));
    }
    Ok(notify)
}

fn archs(seccomp: &Seccomp, host: &Facts) -> Result<Vec<Arch>, Error> {
    let mut archs = vec![host.native];
    for (at, name) in seccomp.architectures.iter().enumerate() {
        let unknown = || error(format!("/architectures/{at}"), Problem::UnknownArchitecture(name.clone()));
        let arch = Arch::from_name(name).ok_or_else(unknown)?;
        if !archs.contains(&arch) {
            archs.push(arch);
        }
    }
    Ok(archs)
}

/// Without any list of flags, speculative store bypass stays enabled, as in runc: its mitigation costs every
/// process of the container time, and the kernel has not tied it to seccomp by default since 5.16.
fn flags(seccomp: &Seccomp, notify: bool) -> Result<u64, Error> {
    let listener = if notify { FLAG_NEW_LISTENER } else { 0 };
    let Some(names) = &seccomp.flags else {
        return Ok(listener | FLAG_SPEC_ALLOW);
    };
    let mut flags = listener;
    for (at, name) in names.iter().enumerate() {
        let unknown = || error(format!("/flags/{at}"), Problem::UnknownFlag(name.clone()));
        let (_, bit) = KNOWN_FLAGS.iter().find(|(known, _)| known == name).ok_or_else(unknown)?;
        if *bit == FLAG_WAIT_KILLABLE_RECV && !notify {
            return Err(error(format!("/flags/{at}"), Problem::NothingToReceive));
        }
        flags |= bit;
    }
    Ok(flags)
}
