//! What the kernel has: namespaces, system calls, file systems.

use super::{Finding, Status, read};
use crate::host::find_program;
use crate::spec::NamespaceKind;
use crate::{resctrl, support};
use mydocker_sys::fs::{self, OFlag};
use mydocker_sys::mount::{self, FsContext};
use mydocker_sys::process::{self, CloneArgs, Forked};
use mydocker_sys::{AsFd, Errno, Error};
use std::path::Path;

const AREA: &str = "kernel";

pub(super) fn examine() -> Vec<Finding> {
    let release = read("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".into());
    let mut findings = vec![Finding::ok(AREA, "release", release)];
    findings.extend(NamespaceKind::ALL.map(namespace));
    findings.extend(calls());
    findings.extend(["overlay", "tmpfs", "mqueue", "proc", "sysfs", "devpts"].map(file_system));
    findings.push(resctrl());
    findings.push(criu());
    findings
}

fn namespace(kind: NamespaceKind) -> Finding {
    let mend = "run a kernel with this kind of namespaces";
    let there = support::has_namespace(kind);
    Finding::either(AREA, &format!("{kind} namespaces"), there, ["available", "this kernel has none"], mend)
}

/// Calls that the runtime cannot do without, or that make it faster, each made so that nothing happens.
fn calls() -> Vec<Finding> {
    let root = fs::open(Path::new("/"), OFlag::O_PATH | OFlag::O_DIRECTORY);
    let on_root = |call: fn(mydocker_sys::BorrowedFd<'_>) -> Result<(), Error>| {
        root.as_ref().map_err(Clone::clone).and_then(|root| call(root.as_fd()))
    };
    vec![
        call(
            "openat2",
            on_root(|root| fs::open_in_root(root, Path::new("."), OFlag::O_PATH, 0).map(drop)),
            "5.6",
        ),
        call("new mount calls", FsContext::open("tmpfs").map(drop), "5.2"),
        // Without any change asked for the kernel returns before it looks at the mount.
        call(
            "mount attributes and id-mapped mounts",
            on_root(|root| mount::set_attributes(root, mount::Attributes::default())),
            "5.12",
        ),
        call("pidfd", process::pidfd_open(process::getpid()).map(drop), "5.3"),
        call("clone into a cgroup", on_root(clone_into), "5.7"),
    ]
}

fn call(name: &str, result: Result<(), Error>, since: &str) -> Finding {
    let mend = format!("run Linux {since} or newer, or let a filter around this process pass the call");
    match result {
        Err(error) if matches!(error.errno(), Errno::ENOSYS | Errno::E2BIG) => {
            Finding::wanting(AREA, name, Status::Missing, error.to_string(), mend)
        }
        // A call that is refused is there: the user lacks a privilege, which another line tells.
        _ => Finding::ok(AREA, name, "available"),
    }
}

/// Asks to be cloned into what is no cgroup: a kernel that knows the flag refuses the descriptor.
fn clone_into(no_cgroup: mydocker_sys::BorrowedFd<'_>) -> Result<(), Error> {
    match process::clone3(CloneArgs { flags: 0, cgroup: Some(no_cgroup) }) {
        Ok(Forked::Child) => process::exit_now(0),
        Ok(Forked::Parent { pidfd, .. }) => process::wait(&pidfd).map(drop),
        Err(error) if error.errno() == Errno::EINVAL => {
            Err(Error::new("clone3", "CLONE_INTO_CGROUP", Errno::ENOSYS))
        }
        Err(error) => Err(error),
    }
}

fn file_system(name: &'static str) -> Finding {
    let there = support::file_system_types().iter().any(|known| known == name);
    let details = ["available", "not among those that are loaded"];
    Finding::either(AREA, &format!("file system {name}"), there, details, &format!("modprobe {name}"))
}

fn resctrl() -> Finding {
    let known = support::file_system_types().iter().any(|name| name == "resctrl");
    match (resctrl::find_here(), known) {
        (Ok(path), _) => Finding::ok(AREA, "Intel RDT", format!("mounted at {}", path.display())),
        (Err(_), true) => {
            let mend = "mount -t resctrl resctrl /sys/fs/resctrl";
            Finding::wanting(
                AREA,
                "Intel RDT",
                Status::Missing,
                "the resctrl file system is not mounted",
                mend,
            )
        }
        (Err(_), false) => {
            let detail = "this machine or its kernel has no resctrl file system";
            Finding::wanting(
                AREA,
                "Intel RDT",
                Status::Missing,
                detail,
                "needs a processor with RDT or QoS, and CONFIG_X86_CPU_RESCTRL",
            )
        }
    }
}

fn criu() -> Finding {
    match find_program("criu") {
        Some(path) => Finding::ok(AREA, "criu", format!("{} (checkpoint and restore)", path.display())),
        None => {
            let detail = "the program is not in PATH: no checkpoint and restore";
            Finding::wanting(AREA, "criu", Status::Missing, detail, "install criu")
        }
    }
}
