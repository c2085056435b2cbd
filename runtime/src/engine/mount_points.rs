//! The mount points of a container that comes back from a checkpoint: criu mounts, but makes none.

use super::child::{Fault, Outcome};
use super::mounts::clone_kind;
use super::rootfs::{self, Kind};
use crate::plan::TargetRule;
use crate::validate::{Mount, ValidSpec};
use mydocker_sys::fs::{self, OFlag};
use mydocker_sys::process::{self, Exit};
use mydocker_sys::{AsFd, OwnedFd, mount, namespace};
use std::path::Path;

/// Makes every directory and file that something is mounted on and that no tmpfs brings along. Bind mounts are made
/// on the way, for what is mounted in them; all are gone at the end with their mount namespace.
///
/// # Errors
/// What went wrong, in words.
pub fn make_mount_points(spec: &ValidSpec) -> Result<(), String> {
    in_child(libc::CLONE_NEWNS as u64, || {
        let slave = mount::MsFlags::MS_SLAVE | mount::MsFlags::MS_REC;
        mount::mount(None, c"/", None, slave, None)?;
        let root = fs::open(&spec.root.path, OFlag::O_PATH | OFlag::O_DIRECTORY)?;
        spec.mounts
            .iter()
            .filter(|mount| is_needed(mount, &spec.mounts))
            .try_for_each(|mount| make(&root, mount))
    })
}

/// A tmpfs comes back with what was in it; the directories of cgroups are the kernel's, or lie on a tmpfs.
fn is_needed(mount: &Mount, all: &[Mount]) -> bool {
    let is_cgroup = matches!(mount.fs_type.as_str(), "cgroup" | "cgroup2");
    let above = |other: &Mount| {
        let inside = mount.destination.starts_with(&other.destination);
        other.fs_type == "tmpfs" && inside && other.destination != mount.destination
    };
    !is_cgroup && !mount.options.remount && !all.iter().any(above)
}

fn make(root: &OwnedFd, wanted: &Mount) -> Outcome {
    let source = match wanted.options.bind {
        Some(kind) => {
            let recursive = kind == mount::Clone::Recursive;
            Some(mount::open_tree_at(fs::AT_FDCWD, &wanted.source, clone_kind(recursive))?)
        }
        None => None,
    };
    let kind = match &source {
        Some(source) if fs::fstat(source)?.st_mode & libc::S_IFMT != libc::S_IFDIR => Kind::File,
        _ => Kind::Directory,
    };
    let target = rootfs::ensure(root.as_fd(), &wanted.destination, TargetRule::Inside, || Ok(kind))?;
    match source {
        Some(source) => Ok(mount::attach(&source, &target)?),
        None => Ok(()),
    }
}

/// Brings the loopback device up in the network namespace of a process.
///
/// # Errors
/// What went wrong, in words.
pub fn raise_loopback_of(pid: i32) -> Result<(), String> {
    in_child(0, || {
        let path = format!("/proc/{pid}/ns/net");
        let file = fs::open(Path::new(&path), OFlag::O_RDONLY)?;
        namespace::setns(&file, namespace::CloneFlags::CLONE_NEWNET)?;
        Ok(namespace::raise_loopback().map(drop)?)
    })
}

/// Does something in a process of its own, whose namespaces it may change.
fn in_child(flags: u64, act: impl FnOnce() -> Outcome) -> Result<(), String> {
    let words = |error: mydocker_sys::Error| error.to_string();
    let (told, tell) = fs::pipe().map_err(words)?;
    match process::clone3(process::CloneArgs { flags, cgroup: None }).map_err(words)? {
        process::Forked::Child => {
            let done = act().map_err(|fault| describe(&fault));
            // A failure that cannot be told shows in the exit status.
            let told = done.as_ref().err().map(|text| fs::write_once(&tell, text.as_bytes()));
            drop(told);
            process::exit_now(i32::from(done.is_err()))
        }
        process::Forked::Parent { pidfd, .. } => {
            drop(tell);
            let mut text = [0u8; 2048];
            let length = fs::read(&told, &mut text).map_err(words)?;
            let exit = process::wait(&pidfd).map_err(words)?;
            match (length, exit) {
                (0, Exit::Code(0)) => Ok(()),
                (0, exit) => Err(format!("a helper process ended with status {}", exit.status())),
                _ => Err(String::from_utf8_lossy(&text[..length]).into_owned()),
            }
        }
    }
}

fn describe(fault: &Fault) -> String {
    match fault {
        Fault::Call(error) => error.to_string(),
        Fault::Other(_, message) => message.clone(),
        Fault::Program(fault) => fault.message.clone(),
        Fault::Told(failure) => failure.to_string(),
    }
}
