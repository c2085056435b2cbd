//! Who asks: capabilities, user namespaces, ranges of ids.

use super::{Finding, Status, read};
use crate::host::find_program;
use mydocker_sys::process;
use std::path::Path;

const AREA: &str = "user";

pub(super) fn examine() -> Vec<Finding> {
    let mut findings = vec![identity()];
    findings.extend(capabilities());
    findings.extend(sysctls());
    findings.extend(["newuidmap", "newgidmap"].map(map_writer));
    findings.extend(["/etc/subuid", "/etc/subgid"].map(range));
    findings
}

fn identity() -> Finding {
    match process::euid() {
        0 => Finding::ok(AREA, "identity", "root"),
        uid => {
            let detail = format!("user {uid}: containers need a user namespace");
            Finding::wanting(
                AREA,
                "identity",
                Status::Limited,
                detail,
                "run as root where that is not enough",
            )
        }
    }
}

/// Capabilities whose absence somebody would wonder at.
fn capabilities() -> Vec<Finding> {
    let held = process::capabilities().map(|sets| sets.permitted).unwrap_or_default();
    let wanted: [(&str, u32, &str); 4] = [
        ("CAP_SYS_ADMIN", 21, "namespaces and mounts without a user namespace"),
        ("CAP_NET_ADMIN", 12, "network devices"),
        ("CAP_SYS_RESOURCE", 24, "raising hard limits and lowering OOM scores"),
        ("CAP_MKNOD", 27, "device nodes without a bind of the host's"),
    ];
    let finding = |(name, number, use_of): (&str, u32, &str)| {
        let details = [format!("held ({use_of})"), format!("not held: no {use_of}")];
        let there = held >> number & 1 == 1;
        let mend = "give it to whoever starts this program, such as the container or the unit around it";
        Finding::either(AREA, name, there, [&details[0], &details[1]], mend)
    };
    wanted.map(finding).to_vec()
}

/// Switches that keep ordinary users, or everybody, from user namespaces.
fn sysctls() -> Vec<Finding> {
    let switches = [
        ("user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=15000"),
        ("kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"),
        (
            "kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "sysctl kernel.apparmor_restrict_unprivileged_userns=0, or a profile for this program",
        ),
    ];
    let finding = |(path, bad, mend): (&str, &str, &str)| {
        // A kernel without the file has no such switch.
        let value = read(Path::new("/proc/sys").join(path))?;
        let name = path.replace('/', ".");
        Some(match value == bad {
            true => Finding::wanting(
                AREA,
                name,
                Status::Missing,
                format!("{value}: no user namespaces for ordinary users"),
                mend,
            ),
            false => Finding::ok(AREA, name, value),
        })
    };
    switches.into_iter().filter_map(finding).collect()
}

fn map_writer(name: &'static str) -> Finding {
    match find_program(name) {
        Some(path) => Finding::ok(AREA, name, path.display().to_string()),
        None => {
            let detail = "not in PATH: an ordinary user's container has one id only";
            Finding::wanting(AREA, name, Status::Missing, detail, "install uidmap (Debian) or shadow-utils")
        }
    }
}

/// The ranges of subordinate ids that this user has; root needs none.
fn range(file: &'static str) -> Finding {
    let uid = process::euid();
    let name = read("/etc/passwd").and_then(|users| user_name(&users, uid)).unwrap_or_default();
    let lines = read(file).unwrap_or_default();
    let own = ranges(&lines, &name, uid);
    if !own.is_empty() {
        return Finding::ok(AREA, file, own.join(", "));
    }
    if uid == 0 {
        return Finding::ok(AREA, file, "no range for root, who needs none");
    }
    let mend = "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER";
    Finding::wanting(AREA, file, Status::Missing, "no range for this user", mend)
}

fn user_name(users: &str, uid: u32) -> Option<String> {
    let fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let mut own = fields.filter(|fields| fields.get(2).is_some_and(|id| id.parse() == Ok(uid)));
    own.next().map(|fields| fields[0].to_owned())
}

/// The ranges of a user by name or by number (subuid(5)).
fn ranges(text: &str, name: &str, uid: u32) -> Vec<String> {
    let number = uid.to_string();
    let parts = text.lines().filter_map(|line| line.split_once(':'));
    parts
        .filter(|(owner, _)| (!name.is_empty() && *owner == name) || *owner == number)
        .filter_map(|(_, range)| {
            range.split_once(':').map(|(first, count)| format!("{count} ids from {first}"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_belong_to_names_and_to_numbers() {
        let text = "me:100000:65536\n1000:300000:10\nother:1:1\nbroken\n";
        assert_eq!(ranges(text, "me", 1000), ["65536 ids from 100000", "10 ids from 300000"]);
        assert_eq!(ranges(text, "", 7), Vec::<String>::new());
        assert_eq!(user_name("root:x:0:0\nme:x:1000:1000\n", 1000), Some("me".into()));
        assert_eq!(user_name("root:x:0:0", 7), None);
    }
}
