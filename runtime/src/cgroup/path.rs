//! From `linux.cgroupsPath` to a directory in each hierarchy.

use super::layout::{Hierarchy, HierarchyKind, Layout, Mode};

/// A checked `cgroupsPath` (config-linux.md, Cgroups Path): no `.`, `..`, empty or overlong component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CgroupPath {
    absolute: bool,
    /// Without a slash at either end; never empty.
    path: String,
}

/// Why a `cgroupsPath` is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It would leave the place that it starts from.
    #[error("/linux/cgroupsPath: {0:?} must not contain \"..\"")]
    DotDot(String),
    /// It names the root of the hierarchy, which nobody can limit or remove.
    #[error("/linux/cgroupsPath: {0:?} names the root cgroup; a container needs one of its own below it")]
    Root(String),
    /// A component is longer than a file name can be.
    #[error("/linux/cgroupsPath: the component {0:?} is longer than 255 bytes")]
    Long(String),
    /// The kernel refuses the name (a newline would make /proc/PID/cgroup unreadable).
    #[error("/linux/cgroupsPath: {0:?} contains a newline or a NUL byte")]
    Character(String),
}

impl CgroupPath {
    /// Checks `cgroups_path`; an empty one stands for the relative path `id`.
    ///
    /// # Errors
    /// [`PathError`]
    pub fn parse(cgroups_path: &str, id: &str) -> Result<Self, PathError> {
        let text = if cgroups_path.is_empty() { id } else { cgroups_path };
        if text.contains(['\n', '\0']) {
            return Err(PathError::Character(text.into()));
        }
        let mut path = String::with_capacity(text.len());
        for name in text.split('/').filter(|name| !name.is_empty() && *name != ".") {
            match name {
                ".." => return Err(PathError::DotDot(text.into())),
                _ if name.len() > 255 => return Err(PathError::Long(name.into())),
                _ if path.is_empty() => path.push_str(name),
                _ => path.extend(["/", name]),
            }
        }
        match path.as_str() {
            "" => Err(PathError::Root(text.into())),
            _ => Ok(Self { absolute: text.starts_with('/'), path }),
        }
    }

    /// Whether it has the form `slice:prefix:name` of the systemd driver. As with runc it is the name of a directory all the
    /// same: where a kubelet and its containerd disagree about the driver, every container's path looks like this.
    #[must_use]
    pub fn looks_like_a_unit(&self) -> bool {
        !self.absolute
            && !self.path.contains('/')
            && self.path.split(':').count() == 3
            && self.path.contains(".slice:")
    }

    /// Whether it starts at the mount points, wherever the runtime itself is.
    #[must_use]
    pub fn is_absolute(&self) -> bool {
        self.absolute
    }

    /// The directory below the mount point of `hierarchy`, without a slash at either end.
    ///
    /// An absolute path starts at the mount point. A relative one starts at the runtime's own cgroup on v1 (and on
    /// the v2 hierarchy beside it), and at the parent of the runtime's own cgroup where v2 has the controllers: a v2
    /// cgroup with processes, as the runtime's is, cannot hand controllers to children. That is what runc does.
    #[must_use]
    pub fn below(&self, hierarchy: &Hierarchy, mode: Mode) -> String {
        let own = hierarchy.own.trim_matches('/');
        let start = match (self.absolute, mode, &hierarchy.kind) {
            (true, ..) => "",
            (false, Mode::V2, HierarchyKind::Unified) => {
                own.rsplit_once('/').map_or("", |(parent, _)| parent)
            }
            (false, ..) => own,
        };
        if start.is_empty() { self.path.clone() } else { format!("{start}/{}", self.path) }
    }

    /// The directory in each hierarchy of `layout`, in its order.
    pub fn in_each<'a>(&'a self, layout: &'a Layout) -> impl Iterator<Item = (&'a Hierarchy, String)> {
        let mode = layout.mode();
        layout.hierarchies.iter().map(move |hierarchy| (hierarchy, self.below(hierarchy, mode)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::layout::ControllerSet;

    fn hierarchy(kind: HierarchyKind, own: &str) -> Hierarchy {
        Hierarchy { kind, mount_point: "/sys/fs/cgroup/x".into(), own: own.into() }
    }

    fn v1(own: &str) -> Hierarchy {
        hierarchy(HierarchyKind::V1(ControllerSet::default()), own)
    }

    fn below(path: &str, hierarchy: &Hierarchy, mode: Mode) -> String {
        CgroupPath::parse(path, "id").unwrap().below(hierarchy, mode)
    }

    #[test]
    fn an_absolute_path_starts_at_the_mount_point() {
        assert_eq!(below("/a//b/./c/", &v1("/own"), Mode::V1), "a/b/c");
    }

    #[test]
    fn a_relative_path_starts_at_the_own_cgroup_on_v1() {
        assert_eq!(below("a/b", &v1("/own/x"), Mode::Hybrid), "own/x/a/b");
        assert_eq!(below("a/b", &v1("/"), Mode::V1), "a/b");
        assert_eq!(below("a", &hierarchy(HierarchyKind::Unified, "/own"), Mode::Hybrid), "own/a");
    }

    #[test]
    fn a_relative_path_starts_beside_the_own_cgroup_on_v2() {
        let unified = hierarchy(HierarchyKind::Unified, "/user.slice/session-1.scope");
        assert_eq!(below("a", &unified, Mode::V2), "user.slice/a");
        assert_eq!(below("a", &hierarchy(HierarchyKind::Unified, "/"), Mode::V2), "a");
        assert_eq!(below("/a", &unified, Mode::V2), "a");
    }

    #[test]
    fn an_empty_path_is_the_container_id() {
        assert_eq!(below("", &v1("/own"), Mode::V1), "own/id");
    }

    #[test]
    fn what_leaves_its_place_is_refused() {
        let error = |path: &str| CgroupPath::parse(path, "id").unwrap_err();
        assert_eq!(error("a/../../b"), PathError::DotDot("a/../../b".into()));
        assert_eq!(error("/.."), PathError::DotDot("/..".into()));
        assert_eq!(error("/"), PathError::Root("/".into()));
        assert_eq!(error("./"), PathError::Root("./".into()));
        assert_eq!(error("a\nb"), PathError::Character("a\nb".into()));
        assert_eq!(error(&"x".repeat(256)), PathError::Long("x".repeat(256)));
    }

    #[test]
    fn the_name_of_a_systemd_unit_is_known_and_taken_for_a_directory() {
        let unit = "system.slice:docker:1234";
        let is_unit = |path: &str| CgroupPath::parse(path, "id").unwrap().looks_like_a_unit();
        assert!(is_unit(unit));
        assert_eq!(below(unit, &v1("/a"), Mode::V1), "a/system.slice:docker:1234");
        for path in ["/system.slice:docker:1234", "a:b:c", "system.slice:docker", "a/system.slice:b:c", "a"] {
            assert!(!is_unit(path), "{path}");
        }
    }
}
