//! Which cgroup hierarchies are mounted where, and in which cgroup of each this process is.
//!
//! Everything comes from `/proc/self/mountinfo` and, where it is asked for, `/proc/self/cgroup`: no `stat` of directories.

use mydocker_sys::{self as sys, fs};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// A controller, under the name that it has on cgroup v1 (`blkio` is called `io` on v2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are the kernel's")]
pub enum Controller {
    Cpuset,
    Cpu,
    CpuAcct,
    BlkIo,
    Memory,
    Devices,
    Freezer,
    NetCls,
    PerfEvent,
    NetPrio,
    HugeTlb,
    Pids,
    Rdma,
    Misc,
    Dmem,
}

impl Controller {
    /// Every controller that this runtime knows.
    pub const ALL: [Self; 15] = [
        Self::Cpuset,
        Self::Cpu,
        Self::CpuAcct,
        Self::BlkIo,
        Self::Memory,
        Self::Devices,
        Self::Freezer,
        Self::NetCls,
        Self::PerfEvent,
        Self::NetPrio,
        Self::HugeTlb,
        Self::Pids,
        Self::Rdma,
        Self::Misc,
        Self::Dmem,
    ];

    /// The name on cgroup v1.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpuset => "cpuset",
            Self::Cpu => "cpu",
            Self::CpuAcct => "cpuacct",
            Self::BlkIo => "blkio",
            Self::Memory => "memory",
            Self::Devices => "devices",
            Self::Freezer => "freezer",
            Self::NetCls => "net_cls",
            Self::PerfEvent => "perf_event",
            Self::NetPrio => "net_prio",
            Self::HugeTlb => "hugetlb",
            Self::Pids => "pids",
            Self::Rdma => "rdma",
            Self::Misc => "misc",
            Self::Dmem => "dmem",
        }
    }

    /// The name on cgroup v2.
    #[must_use]
    pub const fn unified_name(self) -> &'static str {
        match self {
            Self::BlkIo => "io",
            other => other.name(),
        }
    }

    /// The controller of a name of either version.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        // Asked for each word of each hierarchy: a search through all names would be most of a layout's price.
        Some(match name {
            "cpuset" => Self::Cpuset,
            "cpu" => Self::Cpu,
            "cpuacct" => Self::CpuAcct,
            "blkio" | "io" => Self::BlkIo,
            "memory" => Self::Memory,
            "devices" => Self::Devices,
            "freezer" => Self::Freezer,
            "net_cls" => Self::NetCls,
            "perf_event" => Self::PerfEvent,
            "net_prio" => Self::NetPrio,
            "hugetlb" => Self::HugeTlb,
            "pids" => Self::Pids,
            "rdma" => Self::Rdma,
            "misc" => Self::Misc,
            "dmem" => Self::Dmem,
            _ => return None,
        })
    }

    /// Whether cgroup v2 has it in every cgroup without a controller having to be enabled: `devices` is an eBPF
    /// program there, `freezer` and `cpuacct` are part of the core, and `perf_event` is enabled by itself.
    #[must_use]
    pub const fn is_core_of_unified(self) -> bool {
        matches!(self, Self::Devices | Self::Freezer | Self::CpuAcct | Self::PerfEvent)
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of controllers.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct ControllerSet(u16);

impl fmt::Debug for ControllerSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl ControllerSet {
    /// Whether it holds `controller`.
    #[must_use]
    pub const fn contains(self, controller: Controller) -> bool {
        self.0 & (1 << controller as u16) != 0
    }

    /// Adds `controller`.
    pub const fn insert(&mut self, controller: Controller) {
        self.0 |= 1 << controller as u16;
    }

    /// Whether it holds none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the two share a controller.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Those that it holds, in the kernel's order.
    pub fn iter(self) -> impl Iterator<Item = Controller> {
        Controller::ALL.into_iter().filter(move |controller| self.contains(*controller))
    }

    /// The known controllers among `names`; others (`rw`, `xattr`, `debug`) are passed over.
    pub fn from_names<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        names.filter_map(Controller::from_name).collect()
    }
}

impl FromIterator<Controller> for ControllerSet {
    fn from_iter<I: IntoIterator<Item = Controller>>(controllers: I) -> Self {
        let mut set = Self::default();
        controllers.into_iter().for_each(|controller| set.insert(controller));
        set
    }
}

/// What a hierarchy is for, spelled in records as the second field of `/proc/self/cgroup`: `cpu,cpuacct`,
/// `name=systemd`, or nothing for cgroup v2.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HierarchyKind {
    /// cgroup v1 with these controllers.
    V1(ControllerSet),
    /// cgroup v1 without a controller, for tracking processes under this name.
    Named(String),
    /// cgroup v2.
    Unified,
}

/// A text that names no hierarchy: no runtime has written it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no cgroup controller")]
pub struct UnknownController(String);

impl TryFrom<String> for HierarchyKind {
    type Error = UnknownController;

    fn try_from(text: String) -> Result<Self, UnknownController> {
        if let Some(name) = text.strip_prefix("name=") {
            return Ok(Self::Named(name.to_owned()));
        }
        if text.is_empty() {
            return Ok(Self::Unified);
        }
        match text.split(',').find(|name| Controller::from_name(name).is_none()) {
            Some(unknown) => Err(UnknownController(unknown.to_owned())),
            None => Ok(Self::V1(ControllerSet::from_names(text.split(',')))),
        }
    }
}

impl From<HierarchyKind> for String {
    fn from(kind: HierarchyKind) -> Self {
        kind.to_string()
    }
}

impl fmt::Display for HierarchyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unified => Ok(()),
            Self::Named(name) => write!(f, "name={name}"),
            Self::V1(set) => set.iter().enumerate().try_for_each(|(index, controller)| {
                write!(f, "{}{controller}", if index == 0 { "" } else { "," })
            }),
        }
    }
}

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// What it is for.
    pub kind: HierarchyKind,
    /// Where it is mounted, absolute.
    pub mount_point: String,
    /// This process's cgroup as a path below the mount point: `/` or `/a/b`.
    ///
    /// Where the mount does not show it (the mount's root is elsewhere, or above the root of the cgroup
    /// namespace, whose names nobody tells us), or nobody looked ([`Layout::load`]), it is `/`.
    pub own: String,
}

/// Which versions of cgroups are in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// v1 alone.
    V1,
    /// v1 for controllers, and a v2 hierarchy beside it.
    Hybrid,
    /// v2 for all controllers.
    V2,
}

/// The hierarchies that a container has a cgroup in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Every mounted hierarchy with a known controller, `name=systemd`, and cgroup v2; v2 comes last.
    pub hierarchies: Vec<Hierarchy>,
    /// The controllers that the root of the v2 mount offers (`cgroup.controllers`); empty where nobody looked.
    pub unified_controllers: ControllerSet,
}

/// Why the layout could not be found out.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// A file of /proc or of the cgroup file system could not be read.
    #[error("the cgroup layout cannot be read")]
    Read(#[from] sys::Error),
    /// There is neither cgroup v1 nor v2.
    #[error("no cgroup file system is mounted (expected cgroup v2 at /sys/fs/cgroup, or v1 below it)")]
    NotMounted,
}

/// Large enough for the mount table of a host with some ten thousand mounts.
const MAX_PROC_FILE: u64 = 16 << 20;

impl Layout {
    /// Reads the layout of this process's mount namespace, and does not look for the process in it.
    ///
    /// Of a cgroup v2 mount the available controllers are read too; beside v1 hierarchies only when `wanted` has
    /// one that none of them carries.
    ///
    /// # Errors
    /// [`LayoutError`]
    pub fn load(wanted: ControllerSet) -> Result<Self, LayoutError> {
        Self::load_for("", wanted)
    }

    /// The same with this process's own cgroups.
    ///
    /// # Errors
    /// [`LayoutError`]
    pub fn load_with_own(wanted: ControllerSet) -> Result<Self, LayoutError> {
        Self::load_for(&read("/proc/self/cgroup")?, wanted)
    }

    fn load_for(cgroup: &str, wanted: ControllerSet) -> Result<Self, LayoutError> {
        let mounts = text(fs::read_at(fs::AT_FDCWD, Path::new("/proc/self/mountinfo"), MAX_PROC_FILE)?);
        let mut layout = Self::parse(&mounts, cgroup)?;
        let missing = wanted.iter().any(|controller| layout.v1(controller).is_none());
        if let Some(unified) = layout.unified()
            && (missing || layout.mode() == Mode::V2)
        {
            let names = read(&format!("{}/cgroup.controllers", unified.mount_point))?;
            layout.unified_controllers = ControllerSet::from_names(names.split_whitespace());
        }
        Ok(layout)
    }

    /// The layout from the text of `/proc/self/mountinfo` and `/proc/self/cgroup` (proc(5), cgroups(7)).
    ///
    /// # Errors
    /// [`LayoutError::NotMounted`]
    pub fn parse(mountinfo: &str, cgroup: &str) -> Result<Self, LayoutError> {
        let mut hierarchies: Vec<Hierarchy> = Vec::new();
        let groups = groups_of(cgroup);
        for mount in visible_mounts(mountinfo) {
            let own = below_mount(path_in(&groups, &mount.kind), &unescape(mount.root));
            let found = Hierarchy { kind: mount.kind, mount_point: unescape(mount.point), own };
            match hierarchies.iter_mut().find(|known| same_hierarchy(&known.kind, &found.kind)) {
                None => hierarchies.push(found),
                // A second mount of a hierarchy is usually a container's; the host's own place goes first.
                Some(known) if is_usual(&found.mount_point) && !is_usual(&known.mount_point) => {
                    *known = found
                }
                Some(_) => {}
            }
        }
        hierarchies.sort_by_key(|hierarchy| hierarchy.kind == HierarchyKind::Unified);
        let layout = Self { hierarchies, unified_controllers: ControllerSet::default() };
        let usable = |hierarchy: &Hierarchy| !matches!(hierarchy.kind, HierarchyKind::Named(_));
        if layout.hierarchies.iter().any(usable) { Ok(layout) } else { Err(LayoutError::NotMounted) }
    }

    /// The layout of a host without any cgroup file system, as a container's may be.
    #[must_use]
    pub fn none() -> Self {
        Self { hierarchies: Vec::new(), unified_controllers: ControllerSet::default() }
    }

    /// Which versions are in use.
    #[must_use]
    pub fn mode(&self) -> Mode {
        let v1 = self.hierarchies.iter().any(|hierarchy| matches!(hierarchy.kind, HierarchyKind::V1(_)));
        match (v1, self.unified().is_some()) {
            (true, true) => Mode::Hybrid,
            (true, false) => Mode::V1,
            (false, _) => Mode::V2,
        }
    }

    /// The cgroup v2 hierarchy.
    #[must_use]
    pub fn unified(&self) -> Option<&Hierarchy> {
        self.hierarchies.iter().find(|hierarchy| hierarchy.kind == HierarchyKind::Unified)
    }

    /// The cgroup v1 hierarchy that carries `controller`.
    #[must_use]
    pub fn v1(&self, controller: Controller) -> Option<&Hierarchy> {
        self.hierarchies
            .iter()
            .find(|hierarchy| matches!(&hierarchy.kind, HierarchyKind::V1(set) if set.contains(controller)))
    }
}

fn read(path: &str) -> Result<String, sys::Error> {
    fs::read_record(fs::open(Path::new(path), fs::OFlag::O_RDONLY)?, MAX_PROC_FILE).map(text)
}

/// Mount points of others may be no UTF-8; ours are, or they cannot be used anyway.
fn text(bytes: Vec<u8>) -> String {
    match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }
}

/// Whether a mount point is where hosts have their cgroups (systemd's file-hierarchy).
fn is_usual(mount_point: &str) -> bool {
    mount_point.starts_with("/sys/fs/cgroup")
}

fn same_hierarchy(one: &HierarchyKind, other: &HierarchyKind) -> bool {
    match (one, other) {
        (HierarchyKind::V1(one), HierarchyKind::V1(other)) => one.intersects(*other),
        _ => one == other,
    }
}

/// A line of mountinfo that mounts a hierarchy of interest, its paths still escaped.
struct Mount<'text> {
    id: u32,
    parent: u32,
    root: &'text str,
    point: &'text str,
    kind: HierarchyKind,
}

/// The cgroup mounts that no later mount hides, in the order of the file.
///
/// A mount is hidden when a later one lies on its mount point or above without being one of its ancestors.
fn visible_mounts(mountinfo: &str) -> Vec<Mount<'_>> {
    let mut parents: Vec<(u32, u32)> = Vec::new();
    let mut mounts: Vec<Mount<'_>> = Vec::new();
    for line in mountinfo.lines() {
        let mut fields = line.split(' ');
        let (Some(id), Some(parent)) = (number(fields.next()), number(fields.next())) else { continue };
        let (Some(root), Some(point)) = (fields.nth(1), fields.next()) else { continue };
        parents.push((id, parent));
        mounts.retain(|mount| !is_below(mount.point, point) || descends(&parents, mount, id));
        if let Some(kind) = hierarchy_kind(fields) {
            mounts.push(Mount { id, parent, root, point, kind });
        }
    }
    mounts
}

fn number(field: Option<&str>) -> Option<u32> {
    field?.parse().ok()
}

/// Whether `path` is `above` or lies below it.
fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || above == "/")
}

fn descends(parents: &[(u32, u32)], mount: &Mount<'_>, ancestor: u32) -> bool {
    if mount.id == ancestor {
        return true;
    }
    let mut current = mount.parent;
    // Each step goes to another mount of the table, so that its length bounds the walk.
    for _ in 0..=parents.len() {
        if current == ancestor {
            return true;
        }
        match parents.iter().find(|(id, _)| *id == current) {
            Some((id, parent)) if id != parent => current = *parent,
            _ => return false,
        }
    }
    false
}

/// What the rest of a line (from the mount options on) mounts, if it is a hierarchy of interest.
fn hierarchy_kind<'text>(mut fields: impl Iterator<Item = &'text str>) -> Option<HierarchyKind> {
    fields.find(|field| *field == "-")?;
    match fields.next()? {
        "cgroup2" => Some(HierarchyKind::Unified),
        "cgroup" => {
            let options = fields.nth(1)?;
            let set = ControllerSet::from_names(options.split(','));
            if !set.is_empty() {
                return Some(HierarchyKind::V1(set));
            }
            // Other named hierarchies belong to whoever made them; the container stays where it is in them.
            options
                .split(',')
                .any(|option| option == "name=systemd")
                .then(|| HierarchyKind::Named("systemd".into()))
        }
        _ => None,
    }
}

/// A line of `/proc/PID/cgroup`.
struct Group<'text> {
    names: &'text str,
    controllers: ControllerSet,
    path: &'text str,
}

impl Group<'_> {
    fn is_in(&self, kind: &HierarchyKind) -> bool {
        match kind {
            HierarchyKind::Unified => self.names.is_empty(),
            HierarchyKind::Named(name) => self.names.strip_prefix("name=") == Some(name),
            HierarchyKind::V1(set) => self.controllers.intersects(*set),
        }
    }
}

/// A process's cgroups, as its `/proc/PID/cgroup` tells them.
fn groups_of(cgroup: &str) -> Vec<Group<'_>> {
    let group = |line| {
        let (names, path) = str::split_once(line, ':')?.1.split_once(':')?;
        Some(Group { names, controllers: ControllerSet::from_names(names.split(',')), path })
    };
    cgroup.lines().filter_map(group).collect()
}

fn path_in<'text>(groups: &[Group<'text>], kind: &HierarchyKind) -> &'text str {
    groups.iter().find(|group| group.is_in(kind)).map_or("/", |group| group.path)
}

/// A process's cgroup in a hierarchy, as its `/proc/PID/cgroup` tells it.
pub(super) fn cgroup_of(cgroup: &str, kind: &HierarchyKind) -> String {
    path_in(&groups_of(cgroup), kind).to_owned()
}

/// The cgroup `own` as a path below a mount whose root is the cgroup `root`.
fn below_mount(own: &str, root: &str) -> String {
    let rest = if root == "/" { Some(own) } else { own.strip_prefix(root) };
    match rest {
        Some(rest) if rest.starts_with('/') && !rest.split('/').any(|name| name == "..") => rest.to_owned(),
        _ => "/".to_owned(),
    }
}

/// Undoes mountinfo's octal escapes (`\040` for a space).
pub(crate) fn unescape(field: &str) -> String {
    let mut text = String::with_capacity(field.len());
    let mut rest = field;
    while let Some((before, after)) = rest.split_once('\\') {
        text.push_str(before);
        match after.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if byte.is_ascii() => {
                text.push(byte.into());
                rest = &after[3..];
            }
            _ => {
                text.push('\\');
                rest = after;
            }
        }
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests;
