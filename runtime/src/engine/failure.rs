//! Why a step failed, in a form that crosses from the container's first process to the runtime and into its log.

use crate::plan::{Phase, Step};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A failed step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind of failure it is, for programs: stable names.
    pub code: Code,
    /// The phase, as `explain` names it.
    pub phase: String,
    /// The step, as `explain` tells it.
    pub step: String,
    /// What went wrong.
    pub message: String,
    /// The system call, where one failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub syscall: Option<String>,
    /// The path that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Its error number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
    /// What a person can do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// The kinds of failures that callers tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// A step of the set-up failed.
    Setup,
    /// A hook failed.
    Hook,
    /// The program was not found.
    ExecutableNotFound,
    /// The program cannot be executed.
    ExecutableNotRunnable,
    /// The program's `#!` line names an interpreter that is not there.
    InterpreterNotFound,
    /// The program is an ELF file whose loader is not there.
    LoaderNotFound,
}

impl Code {
    /// The name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Hook => "hook",
            Self::ExecutableNotFound => "executable-not-found",
            Self::ExecutableNotRunnable => "executable-not-runnable",
            Self::InterpreterNotFound => "interpreter-not-found",
            Self::LoaderNotFound => "loader-not-found",
        }
    }
}

/// Why the user's program cannot be executed.
#[derive(Debug)]
pub(super) struct ProgramFault {
    pub(super) code: Code,
    /// The program as it was given, or found.
    pub(super) path: String,
    /// What the kernel said, if it was asked.
    pub(super) errno: Option<mydocker_sys::Errno>,
    pub(super) message: String,
}

impl Code {
    /// What mends a program that cannot be executed.
    fn program_hint(self) -> &'static str {
        match self {
            Self::InterpreterNotFound => {
                "put the interpreter into the root file system, or mend the first line of the script"
            }
            Self::LoaderNotFound => {
                "put the loader and its libraries into the root file system, or use a statically linked program"
            }
            Self::ExecutableNotRunnable => {
                "the file needs the permission to be executed, on a mount without noexec, and this machine's format"
            }
            _ => "check /process/args/0, and PATH in /process/env, against the root file system",
        }
    }
}

fn path_of(error: &mydocker_sys::Error) -> Option<String> {
    error.path().map(|path| path.display().to_string())
}

impl Failure {
    /// A failed system call within a step.
    #[must_use]
    pub fn of_call(step: &Step, error: &mydocker_sys::Error) -> Self {
        Self {
            code: Code::Setup,
            phase: step.phase().name().to_owned(),
            step: step.to_string(),
            message: error.to_string(),
            syscall: Some(error.call().to_owned()),
            path: path_of(error),
            errno: Some(error.errno() as i32),
            hint: hint(step, error).map(str::to_owned),
        }
    }

    /// The first process could not be made.
    #[must_use]
    pub fn of_clone(error: &mydocker_sys::Error) -> Self {
        use mydocker_sys::Errno;
        let hint = match error.errno() {
            Errno::EPERM => Some("without privileges a container needs a user namespace"),
            Errno::ENOSPC => Some("a limit of /proc/sys/user on namespaces is reached"),
            Errno::EAGAIN => Some("a limit on the number of processes is reached"),
            Errno::EINVAL => Some("the kernel lacks one of the namespaces"),
            _ => None,
        };
        Self {
            code: Code::Setup,
            phase: Phase::Namespaces.name().to_owned(),
            step: "make the container's first process".into(),
            message: error.to_string(),
            syscall: Some(error.call().to_owned()),
            path: path_of(error),
            errno: Some(error.errno() as i32),
            hint: hint.map(str::to_owned),
        }
    }

    /// A failure that is no failed system call.
    #[must_use]
    pub fn of_step(step: &Step, code: Code, message: String) -> Self {
        Self {
            code,
            phase: step.phase().name().to_owned(),
            step: step.to_string(),
            message,
            syscall: None,
            path: None,
            errno: None,
            hint: None,
        }
    }

    /// The program cannot be executed.
    pub(super) fn of_program(step: &Step, fault: ProgramFault) -> Self {
        Self {
            syscall: fault.errno.map(|_| "execve".to_owned()),
            path: Some(fault.path),
            errno: fault.errno.map(|errno| errno as i32),
            hint: Some(fault.code.program_hint().to_owned()),
            ..Self::of_step(step, fault.code, fault.message)
        }
    }

    /// The same with texts of at most a thousand characters.
    pub(super) fn shortened(&self) -> Self {
        let cut = |text: &String| text.chars().take(1000).collect::<String>();
        Self {
            step: cut(&self.step),
            message: cut(&self.message),
            path: self.path.as_ref().map(cut),
            hint: self.hint.as_ref().map(cut),
            ..self.clone()
        }
    }
}

/// What a person can do about failures that are common and whose error number says little.
fn hint(step: &Step, error: &mydocker_sys::Error) -> Option<&'static str> {
    use mydocker_sys::Errno;
    match (step, error.errno()) {
        (Step::Mount(_), Errno::ENODEV) => Some("the kernel does not know this file system type"),
        (Step::Mount(_), Errno::ELOOP) => {
            Some("a symbolic link stands where a directory must be, or links go in a circle")
        }
        (Step::Pivot { .. }, Errno::EINVAL) => Some("on an initramfs root use --no-pivot"),
        (Step::SetIds { groups: Some(groups), .. }, Errno::EPERM) if !groups.is_empty() => Some(
            "the user namespace denies setgroups: leave the additional groups out, or map a range of groups with \
             newgidmap",
        ),
        (Step::SetIds { .. }, Errno::EINVAL) => Some("the id has no mapping in the user namespace"),
        (Step::SetLabel { file, .. }, errno) => label_hint(file, errno),
        (Step::SetCapabilities { .. } | Step::DropBounding { .. }, Errno::EPERM) => {
            Some("the runtime itself does not have these capabilities")
        }
        _ => None,
    }
}

/// A label that cannot be set stops the container: to go on without it would take away a protection that was asked for.
fn label_hint(file: &std::path::Path, errno: mydocker_sys::Errno) -> Option<&'static str> {
    use mydocker_sys::Errno;
    let apparmor = file.starts_with("apparmor");
    match errno {
        // A profile that is not loaded is ENOENT too, and a procfs without AppArmor has no file for it.
        Errno::ENOENT if apparmor => Some(
            "the profile is not loaded, or the kernel runs without apparmor: load it with apparmor_parser, or leave \
             /process/apparmorProfile out",
        ),
        Errno::EINVAL | Errno::ENOENT | Errno::EOPNOTSUPP if !apparmor => Some(
            "selinux is off, or its policy does not know the label: enable selinux, or leave /process/selinuxLabel out",
        ),
        Errno::EINVAL | Errno::EOPNOTSUPP => {
            Some("apparmor is off: enable it, or leave /process/apparmorProfile out")
        }
        Errno::EACCES | Errno::EPERM => {
            Some("the policy in force does not let the runtime change to this label")
        }
        _ => None,
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            // Callers look for these texts at the beginning, as runc has them.
            Code::ExecutableNotFound
            | Code::ExecutableNotRunnable
            | Code::InterpreterNotFound
            | Code::LoaderNotFound => return write!(f, "{}", self.message),
            Code::Setup | Code::Hook => write!(f, "{}: {}", self.step, self.message),
        }?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}
