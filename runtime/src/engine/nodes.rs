//! Devices, links and directories.

use super::child::{Child, Fault, Outcome};
use super::failure::Code;
use super::rootfs;
use crate::plan::{DeviceNode, Node, TargetRule};
use crate::validate::DeviceKind;
use mydocker_sys::fs::{self, OFlag, SFlag};
use mydocker_sys::{AsFd, BorrowedFd, Errno, mount};
use std::path::Path;

/// Fills a fresh file system that nobody else can reach yet.
pub(super) fn fill(directory: BorrowedFd<'_>, nodes: &[Node]) -> Outcome {
    for node in nodes {
        if let Some(parent) = node.path().parent().filter(|parent| !parent.as_os_str().is_empty()) {
            rootfs::ensure_directory(directory, parent)?;
        }
        make(directory, node.path(), node)?;
    }
    Ok(())
}

/// Makes nodes below the container's root, whose directories an image may have laid out in any way.
pub(super) fn make_below_root(child: &mut Child<'_>, nodes: &[Node]) -> Outcome {
    for node in nodes {
        match node {
            Node::Device(device) if device.bind.is_some() => bind_device(child, device)?,
            _ => {
                let (parent, name) = rootfs::split(node.path())?;
                let directory = rootfs::ensure_directory(child.root()?, parent)?;
                make(directory.as_fd(), name, node)?;
            }
        }
    }
    Ok(())
}

fn make(directory: BorrowedFd<'_>, name: &Path, node: &Node) -> Outcome {
    match node {
        Node::Device(device) => make_device(directory, name, device),
        Node::Link { target, .. } => accept_existing(fs::symlinkat(target, directory, name)),
        Node::Directory { .. } => accept_existing(fs::mkdirat(directory, name, 0o755)),
    }
}

fn accept_existing(result: mydocker_sys::Result<()>) -> Outcome {
    match result {
        Err(error) if error.errno() == Errno::EEXIST => Ok(()),
        other => Ok(other?),
    }
}

fn make_device(directory: BorrowedFd<'_>, name: &Path, device: &DeviceNode) -> Outcome {
    let number = fs::makedev(device.major, device.minor);
    match fs::mknodat(directory, name, file_type(device.kind), device.mode, number) {
        Ok(()) => {}
        Err(error) if error.errno() == Errno::EEXIST => return verify(directory, name, device),
        Err(error) => return Err(error.into()),
    }
    if device.uid != 0 || device.gid != 0 {
        fs::lchownat(directory, name, device.uid, device.gid)?;
    }
    Ok(())
}

fn file_type(kind: DeviceKind) -> SFlag {
    match kind {
        DeviceKind::Character => SFlag::S_IFCHR,
        DeviceKind::Block => SFlag::S_IFBLK,
        DeviceKind::Fifo => SFlag::S_IFIFO,
    }
}

/// Accepts a node that is there already only if it is the very device: an image may have put a file or a link in
/// its place (CVE-2025-31133).
fn verify(directory: BorrowedFd<'_>, name: &Path, device: &DeviceNode) -> Outcome {
    let stat = fs::lstatat(directory, name)?;
    let same_type = stat.st_mode & libc::S_IFMT == file_type(device.kind).bits();
    let same_number =
        device.kind == DeviceKind::Fifo || stat.st_rdev == fs::makedev(device.major, device.minor);
    if same_type && same_number {
        return Ok(());
    }
    let path = device.path.display();
    let message = format!("{path} is there already and is not the device {}:{}", device.major, device.minor);
    Err(Fault::Other(Code::Setup, message))
}

/// In a user namespace no device can be made: the host's is bound instead.
fn bind_device(child: &mut Child<'_>, device: &DeviceNode) -> Outcome {
    let Some(source) = &device.bind else { return Ok(()) };
    let host = fs::open(source, OFlag::O_PATH | OFlag::O_NOFOLLOW)?;
    if device.kind != DeviceKind::Fifo {
        let stat = fs::fstat(&host)?;
        if stat.st_rdev != fs::makedev(device.major, device.minor) {
            let message = format!(
                "the host's {} is not the device {}:{}, and no other can be had in a user namespace",
                source.display(),
                device.major,
                device.minor
            );
            return Err(Fault::Other(Code::Setup, message));
        }
    }
    let tree = mount::open_tree(&host, mount::Clone::One)?;
    let target = rootfs::ensure(child.root()?, &device.path, TargetRule::Inside, || Ok(rootfs::Kind::File))?;
    mount::attach(&tree, &target)?;
    Ok(())
}
