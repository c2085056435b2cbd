//! Mounts below the container's root, each made detached and attached to a descriptor of its target.

use super::child::{Child, Fault, Outcome};
use super::failure::Code;
use super::grounds::{self, Found};
use super::rootfs::{self, Kind};
use super::{nodes, plain};
use crate::plan::{Attributes, Hierarchy, MountKind, MountStep, Node, Opener, TargetRule};
use mydocker_sys::fs::{self, OFlag};
use mydocker_sys::mount::{self, FsContext, MountAttrFlags};
use mydocker_sys::{AsFd, BorrowedFd, OwnedFd, process};
use std::borrow::Cow;
use std::path::Path;

/// Carries out one mount, and remembers it.
pub(super) fn mount<'a>(child: &mut Child<'a>, step: &'a MountStep) -> Outcome {
    let root = if plain::mount_on_own(child, step).is_some() {
        None
    } else {
        // Every other way may leave the working directory elsewhere.
        child.is_among_own = false;
        make(child, step)?
    };
    child.grounds.add(step, root);
    Ok(())
}

/// Carries out one mount. Returns the root of a new file system where it was needed.
fn make(child: &mut Child<'_>, step: &MountStep) -> Outcome<Option<OwnedFd>> {
    match &step.what {
        MountKind::Filesystem { fs_type, source, options, contents, copy_up, mode_of_target } => {
            let is_plain = !copy_up && plain::suits(child, step, fs_type, contents);
            let (target, options) = prepare(child, step, options, *mode_of_target)?;
            if is_plain && plain::mount(&target, step, fs_type, source, &options).is_some() {
                let root = plain::complete(child, step, &target, contents)?;
                child.keep(target);
                return Ok(root);
            }
            let tree = if *copy_up {
                copy_of(child, step, &target, fs_type, source, &options)?
            } else {
                filesystem(child, fs_type, source, &options, &step.attributes)?
            };
            nodes::fill(tree.as_fd(), contents)?;
            attach(&tree, &target, step)?;
            child.keep(tree);
            child.keep(target);
        }
        MountKind::Bind { source, recursive, opener } => {
            let tree = bind_source(child, source, *recursive, *opener)?;
            apply(tree.as_fd(), &step.attributes)?;
            let kind = kind_of(tree.as_fd());
            place(child, step, tree, || kind)?;
        }
        MountKind::CgroupV1 { hierarchies, top_is_writable } => {
            cgroup_v1(child, step, hierarchies, *top_is_writable)?;
        }
        MountKind::CgroupV2 { cgroup, namespaced } => {
            let tree = cgroup_v2(child, cgroup, *namespaced, &step.attributes)?;
            place(child, step, tree, || Ok(Kind::Directory))?;
        }
        MountKind::Remount => {
            let target = rootfs::open(child.root()?, &step.target, step.target_rule)?;
            apply(target.as_fd(), &step.attributes)?;
            child.keep(target);
        }
    }
    Ok(None)
}

/// Opens the target of a new file system, and adds its mode to the options where the file system takes that over. A
/// target that had to be made says nothing: the file system keeps the mode that it has by itself.
fn prepare<'a>(
    child: &mut Child<'_>,
    step: &MountStep,
    options: &'a [String],
    mode_of_target: bool,
) -> Outcome<(OwnedFd, Cow<'a, [String]>)> {
    let mut made = false;
    let target = target(child, step, || {
        made = true;
        Ok(Kind::Directory)
    })?;
    if !mode_of_target || made {
        return Ok((target, Cow::Borrowed(options)));
    }
    let mode = fs::fstat(&target)?.st_mode & 0o7777;
    let mut options = options.to_vec();
    options.push(format!("mode={mode:o}"));
    Ok((target, Cow::Owned(options)))
}

/// A new file system with a copy of what its target holds. It can be written until it is full.
fn copy_of(
    child: &mut Child<'_>,
    step: &MountStep,
    target: &OwnedFd,
    fs_type: &str,
    source: &str,
    options: &[String],
) -> Outcome<OwnedFd> {
    let writable = |bits: u64| bits & !libc::MOUNT_ATTR_RDONLY;
    let attributes = Attributes {
        set: writable(step.attributes.set),
        set_recursive: writable(step.attributes.set_recursive),
        ..Attributes::default()
    };
    let tree = filesystem(child, fs_type, source, options, &attributes)?;
    mydocker_trees::copy(target.as_fd(), tree.as_fd())?;
    if attributes.set != step.attributes.set || attributes.set_recursive != step.attributes.set_recursive {
        let readonly = mount::Attributes { set: libc::MOUNT_ATTR_RDONLY, ..Default::default() };
        mount::set_attributes(&tree, readonly)?;
    }
    Ok(tree)
}

/// A new file system, detached.
pub(super) fn filesystem(
    child: &mut Child<'_>,
    fs_type: &str,
    source: &str,
    options: &[String],
    attributes: &Attributes,
) -> Outcome<OwnedFd> {
    let context = FsContext::open(fs_type)?;
    if !source.is_empty() {
        context.set("source", source)?;
    }
    for option in options {
        match option.split_once('=') {
            Some((key, value)) => context.set(key, value)?,
            None => context.flag(option)?,
        }
    }
    let set = MountAttrFlags::from_bits_retain((attributes.set | attributes.set_recursive) as u32);
    let tree = context.mount(set)?;
    child.keep(context.into_fd());
    Ok(tree)
}

fn bind_source(child: &mut Child<'_>, source: &Path, recursive: bool, opener: Opener) -> Outcome<OwnedFd> {
    match opener {
        Opener::Parent(index) => Ok(child.slots.channel.request_source(index)?),
        Opener::Child => Ok(mount::open_tree_at(fs::AT_FDCWD, source, clone_kind(recursive))?),
    }
}

pub(super) fn clone_kind(recursive: bool) -> mount::Clone {
    if recursive { mount::Clone::Recursive } else { mount::Clone::One }
}

/// What a missing target of this source is made as.
fn kind_of(tree: BorrowedFd<'_>) -> Outcome<Kind> {
    let is_directory = fs::fstat(tree)?.st_mode & libc::S_IFMT == libc::S_IFDIR;
    Ok(if is_directory { Kind::Directory } else { Kind::File })
}

/// Sets the attributes of a mount, of it alone and of everything below.
fn apply(tree: BorrowedFd<'_>, attributes: &Attributes) -> Outcome {
    if attributes.set != 0 || attributes.clear != 0 {
        let change = mount::Attributes { set: attributes.set, clear: attributes.clear, ..Default::default() };
        mount::set_attributes(tree, change)?;
    }
    if attributes.set_recursive != 0 || attributes.clear_recursive != 0 {
        let change = mount::Attributes {
            set: attributes.set_recursive,
            clear: attributes.clear_recursive,
            recursive: true,
            ..Default::default()
        };
        mount::set_attributes(tree, change)?;
    }
    Ok(())
}

/// Opens the target of a mount, made where it is missing, and holds it against the rule.
pub(super) fn target(
    child: &mut Child<'_>,
    step: &MountStep,
    kind: impl FnOnce() -> Outcome<Kind>,
) -> Outcome<OwnedFd> {
    let (path, rule) = (&step.target, step.target_rule);
    let found = match rule {
        TargetRule::Inside => grounds::find(child, path)?,
        TargetRule::NoLinks => return rootfs::ensure(child.root()?, path, rule, kind),
        TargetRule::ProcFile => Found::Elsewhere,
    };
    let target = match found {
        Found::Known(target) => return Ok(target),
        Found::Missing => rootfs::make(child.root()?, path, kind()?)?,
        Found::Elsewhere => {
            child.grounds.lose();
            rootfs::ensure(child.root()?, path, rule, kind)?
        }
    };
    if rule == TargetRule::Inside {
        rootfs::refuse_procfs(target.as_fd(), path)?;
    }
    Ok(target)
}

/// Attaches a detached mount at its target and sets its propagation.
fn place(
    child: &mut Child<'_>,
    step: &MountStep,
    tree: OwnedFd,
    kind: impl FnOnce() -> Outcome<Kind>,
) -> Outcome {
    let target = target(child, step, kind)?;
    attach(&tree, &target, step)?;
    child.keep(tree);
    child.keep(target);
    Ok(())
}

pub(super) fn attach(tree: &OwnedFd, target: &OwnedFd, step: &MountStep) -> Outcome {
    mount::attach(tree, target)?;
    for flags in &step.propagation {
        let change = mount::Attributes {
            propagation: flags & !libc::MS_REC,
            recursive: flags & libc::MS_REC != 0,
            ..Default::default()
        };
        mount::set_attributes(tree, change)?;
    }
    Ok(())
}

/// A tmpfs with a directory for each cgroup v1 hierarchy, and the hierarchies mounted there. The tmpfs is attached
/// first: a detached mount takes no mounts before Linux 6.15. Nobody else can see it, so names below it are safe; they
/// are looked up from the working directory, and the attributes of all are set at once at the end.
fn cgroup_v1(
    child: &mut Child<'_>,
    step: &MountStep,
    hierarchies: &[Hierarchy],
    top_is_writable: bool,
) -> Outcome {
    let target = target(child, step, || Ok(Kind::Directory))?;
    let nodes: Vec<Node> = hierarchies.iter().flat_map(hierarchy_nodes).collect();
    let tmpfs = cgroup_tmpfs(child, step, &target, &nodes)?;
    child.keep(target);
    process::fchdir(&tmpfs)?;
    for hierarchy in hierarchies {
        // In a cgroup namespace a fresh mount would show the same directory as its root, for five calls instead of one.
        mount::bind_in_working_directory(&hierarchy.cgroup, Path::new(&hierarchy.name))?;
    }
    let Attributes { set, clear, set_recursive, clear_recursive } = step.attributes;
    let all = Attributes {
        set_recursive: set | set_recursive,
        clear_recursive: clear | clear_recursive,
        ..Attributes::default()
    };
    apply(tmpfs.as_fd(), &all)?;
    if top_is_writable {
        apply(tmpfs.as_fd(), &Attributes { clear: libc::MOUNT_ATTR_RDONLY, ..Attributes::default() })?;
    }
    child.keep(tmpfs);
    Ok(())
}

/// The tmpfs for the hierarchies, attached and filled. It is made read-only with the rest of them.
fn cgroup_tmpfs(
    child: &mut Child<'_>,
    step: &MountStep,
    target: &OwnedFd,
    nodes: &[Node],
) -> Outcome<OwnedFd> {
    let options = ["mode=755".into()];
    if plain::suits(child, step, "tmpfs", nodes)
        && plain::mount(target, step, "tmpfs", "tmpfs", &options).is_some()
    {
        let tmpfs = mount::mounted_on(target, OFlag::O_PATH)?;
        nodes::fill(tmpfs.as_fd(), nodes)?;
        return Ok(tmpfs);
    }
    let base = Attributes { set: step.attributes.set & !libc::MOUNT_ATTR_RDONLY, ..Attributes::default() };
    let tmpfs = filesystem(child, "tmpfs", "tmpfs", &options, &base)?;
    nodes::fill(tmpfs.as_fd(), nodes)?;
    attach(&tmpfs, target, step)?;
    Ok(tmpfs)
}

fn hierarchy_nodes(hierarchy: &Hierarchy) -> impl Iterator<Item = Node> {
    let link = |name: &String| Node::Link { path: name.into(), target: (&hierarchy.name).into() };
    let directory = Node::Directory { path: (&hierarchy.name).into() };
    std::iter::once(directory).chain(hierarchy.links.iter().map(link))
}

fn cgroup_v2(
    child: &mut Child<'_>,
    cgroup: &Path,
    namespaced: bool,
    attributes: &Attributes,
) -> Outcome<OwnedFd> {
    if namespaced {
        return filesystem(child, "cgroup2", "cgroup", &[], attributes);
    }
    let tree = mount::open_tree_at(fs::AT_FDCWD, cgroup, mount::Clone::One)?;
    if fs::fs_magic(&tree)? != fs::CGROUP2_SUPER_MAGIC {
        let message = format!("{} is not on a cgroup2 file system", cgroup.display());
        return Err(Fault::Other(Code::Setup, message));
    }
    apply(tree.as_fd(), attributes)?;
    Ok(tree)
}
