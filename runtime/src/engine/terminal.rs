//! The container's terminal, made in its own devpts.

use super::child::{Child, Fault, Outcome};
use super::failure::Code;
use super::message::Report;
use super::rootfs::{self, Kind};
use crate::plan::TargetRule;
use mydocker_sys::fs::{self, OFlag};
use mydocker_sys::{AsFd, BorrowedFd, OwnedFd, mount, process, tty};
use std::path::Path;

/// [`fs::fs_magic`] of devpts.
const DEVPTS_SUPER_MAGIC: i64 = 0x1cd1;

/// Opens a terminal, makes it the controlling one and the standard streams, and sends its other end to the parent.
pub(super) fn open(child: &mut Child<'_>, size: Option<(u16, u16)>, console: bool) -> Outcome {
    let multiplexer = open_multiplexer(child.root()?)?;
    let terminal = tty::open_peer(&multiplexer)?;
    if let Some((rows, columns)) = size {
        tty::set_size(&terminal, tty::Size { rows, columns })?;
    }
    if console {
        mount_console(child, terminal.as_fd())?;
    }
    child.slots.channel.report(&Report::Terminal(multiplexer))?;
    child.slots.channel.await_go()?;
    tty::set_controlling(&terminal)?;
    for number in 0..3 {
        process::dup_to(&terminal, number)?;
    }
    Ok(())
}

/// The multiplexer of the container's devpts, found without following a link and held against what it must be: an
/// image may have put anything there (CVE-2025-52565).
fn open_multiplexer(root: BorrowedFd<'_>) -> Outcome<OwnedFd> {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY;
    let fd = fs::open_in_root_no_links(root, Path::new("/dev/pts/ptmx"), flags)?;
    let stat = fs::fstat(&fd)?;
    let is_multiplexer = stat.st_mode & libc::S_IFMT == libc::S_IFCHR && stat.st_rdev == fs::makedev(5, 2);
    if is_multiplexer && fs::fs_magic(&fd)? == DEVPTS_SUPER_MAGIC {
        return Ok(fd);
    }
    let message =
        "the container's /dev/pts/ptmx is no terminal multiplexer: a terminal needs a devpts at /dev/pts";
    Err(Fault::Other(Code::Setup, message.into()))
}

/// Mounts the terminal itself at `/dev/console`, descriptor onto descriptor.
fn mount_console(child: &mut Child<'_>, terminal: BorrowedFd<'_>) -> Outcome {
    let target =
        rootfs::ensure(child.root()?, Path::new("/dev/console"), TargetRule::NoLinks, || Ok(Kind::File))?;
    let tree = mount::open_tree(terminal, mount::Clone::One)?;
    mount::attach(&tree, &target)?;
    child.keep(tree);
    child.keep(target);
    Ok(())
}
