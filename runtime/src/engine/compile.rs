//! Everything that can be computed before the first process exists, in the form that system calls take.

use super::program::Program;
use crate::plan::Plan;
use crate::seccomp;
use crate::spec::Seccomp;
use crate::state::State;
use crate::validate::Process;
use std::ffi::CString;

/// A plan with all that its steps need.
#[derive(Debug)]
pub struct Compiled {
    /// The plan.
    pub plan: Plan,
    /// The user's program.
    pub program: Program,
    /// The system call filter.
    pub seccomp: Option<seccomp::Compiled>,
    /// The flags of the clone that makes the first process.
    pub clone_flags: u64,
    /// Whether a mount of the container may have copies elsewhere ([`Plan::shares_mounts`]).
    pub shares_mounts: bool,
    /// The container's state as hooks are told, but for the pid.
    pub state: State,
}

/// What is compiled.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// The plan.
    pub plan: Plan,
    /// The user's program; none where the container can only be created.
    pub process: Option<&'a Process>,
    /// Entries added to the program's environment.
    pub environment: Vec<String>,
    /// The system call filter as it is written.
    pub seccomp: Option<&'a Seccomp>,
    /// The container's state as hooks are told, but for the pid.
    pub state: State,
}

/// Why a plan could not be compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The system call filter is wrong.
    #[error("the system call filter cannot be compiled")]
    Seccomp(#[from] seccomp::Error),
    /// The program was built for a machine whose system calls are not known here.
    #[error("/linux/seccomp: system call filters are not supported on this machine's architecture")]
    Architecture,
    /// A text has a NUL byte.
    #[error("{what} {text:?} contains a NUL byte")]
    Nul {
        /// What it is.
        what: &'static str,
        /// The text.
        text: String,
    },
}

/// Compiles a plan.
///
/// # Errors
/// [`CompileError`].
pub fn compile(inputs: Inputs<'_>) -> Result<Compiled, CompileError> {
    let seccomp = inputs.seccomp.map(filter).transpose()?;
    let (args, mut env) = match inputs.process {
        Some(process) => {
            (strings("the argument", &process.args)?, strings("the environment entry", &process.env)?)
        }
        None => (Vec::new(), Vec::new()),
    };
    env.extend(strings("the environment entry", &inputs.environment)?);
    let kinds = &inputs.plan.parent.new_namespaces;
    Ok(Compiled {
        clone_flags: kinds.iter().fold(0, |flags, kind| flags | kind.clone_flag() as u64),
        program: Program { args, env, uid: inputs.process.map_or(0, |process| process.uid) },
        shares_mounts: inputs.plan.shares_mounts(),
        plan: inputs.plan,
        seccomp,
        state: inputs.state,
    })
}

fn filter(seccomp: &Seccomp) -> Result<seccomp::Compiled, CompileError> {
    let native = seccomp::Arch::BUILD.ok_or(CompileError::Architecture)?;
    Ok(seccomp::compile(seccomp, &seccomp::Facts { native })?)
}

fn strings(what: &'static str, texts: &[String]) -> Result<Vec<CString>, CompileError> {
    texts
        .iter()
        .map(|text| CString::new(text.as_str()).map_err(|_| CompileError::Nul { what, text: text.clone() }))
        .collect()
}
