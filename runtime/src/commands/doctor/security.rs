//! What confines a container: security modules, system call filters.

use super::{Finding, Status, read};
use crate::{landlock, support};

const AREA: &str = "security";

pub(super) fn examine() -> Vec<Finding> {
    let mut findings = vec![filters(), notification(), rules()];
    findings.push(module("AppArmor", support::apparmor(), "boot with apparmor among lsm= and load profiles"));
    findings.push(module("SELinux", support::selinux(), "boot with selinux among lsm= and install a policy"));
    findings.extend(read("/sys/kernel/security/lsm").map(|list| Finding::ok(AREA, "modules", list)));
    findings
}

fn filters() -> Finding {
    // The first line of the kernel's list; without it there are no filters at all.
    let actions = read("/proc/sys/kernel/seccomp/actions_avail");
    match actions {
        Some(actions) => Finding::ok(AREA, "system call filters", actions),
        None => {
            let mend = "run a kernel with CONFIG_SECCOMP_FILTER";
            Finding::wanting(AREA, "system call filters", Status::Missing, "this kernel has none", mend)
        }
    }
}

fn notification() -> Finding {
    const SECCOMP_RET_USER_NOTIF: u32 = 0x7fc0_0000;
    let there = mydocker_sys::seccomp::action_available(SECCOMP_RET_USER_NOTIF);
    let details = ["available", "SCMP_ACT_NOTIFY cannot be used"];
    Finding::either(AREA, "filter notification", there, details, "run Linux 5.0 or newer")
}

fn rules() -> Finding {
    match mydocker_sys::landlock::version() {
        Ok(version) if version >= landlock::NEWEST => {
            Finding::ok(AREA, "Landlock", format!("version {version}"))
        }
        Ok(version) => {
            let detail = format!("version {version}; rules may ask for {}", landlock::NEWEST);
            Finding::wanting(
                AREA,
                "Landlock",
                Status::Limited,
                detail,
                "run a newer kernel for the newer rights",
            )
        }
        Err(error) => {
            let mend = "run Linux 5.13 or newer with landlock among lsm=";
            Finding::wanting(AREA, "Landlock", Status::Missing, error.to_string(), mend)
        }
    }
}

fn module(name: &str, enabled: bool, mend: &str) -> Finding {
    Finding::either(AREA, name, enabled, ["enabled", "not enabled: labels of it are refused"], mend)
}
