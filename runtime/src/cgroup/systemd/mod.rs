//! The systemd driver: the container's cgroup is that of a transient scope, which systemd makes around the container's
//! first process.
//!
//! ```text
//! Unit::parse                which scope below which slice, from cgroupsPath    (pure)
//! annotations::properties    what org.systemd.property.* asks for              (pure)
//! ResourcePlan::properties   the limits as properties of the unit              (pure)
//! Manager                    calls of systemd over D-Bus
//! Cgroup::start_unit         one StartTransientUnit with all of it; then what systemd does not manage
//! ```
//!
//! systemd knows some limits and some v1 hierarchies only, and rounds others. So the plan of limits is lowered twice:
//! to properties, which systemd keeps in force when it writes the files anew (on a reload), and to files as without
//! systemd. The record of a container names the unit before it is started.

pub mod annotations;
mod lifecycle;
mod manager;
mod properties;
mod unit;

pub use manager::{Error, Manager};
pub use properties::Property;
pub use unit::{Instance, Unit, UnitError};

use super::layout::{HierarchyKind, Layout, Mode};
use super::path::CgroupPath;
use super::plan::PlanError;
use super::record::{CgroupRecord, UnitRecord};
use super::{Limit, ResourcePlan};

/// A unit to be started.
#[derive(Debug, Clone, PartialEq)]
pub struct UnitPlan {
    /// Its name and place.
    pub unit: Unit,
    /// Which systemd starts it.
    pub instance: Instance,
    /// All of its properties, but for the process in it.
    pub properties: Vec<Property>,
}

/// Why a container cannot be put into a unit.
#[derive(Debug, thiserror::Error)]
pub enum UnitPlanError {
    /// `cgroupsPath` names no unit.
    #[error(transparent)]
    Unit(#[from] UnitError),
    /// An annotation is no property.
    #[error(transparent)]
    Annotation(#[from] annotations::AnnotationError),
    /// A limit is none.
    #[error(transparent)]
    Limit(#[from] PlanError),
    /// The user's systemd has no place in v1 hierarchies.
    #[error(
        "the systemd of an ordinary user makes no cgroups on cgroup v1: run without --systemd-cgroup, or on a host with cgroup v2"
    )]
    UserOnV1,
    /// The host shows no hierarchy that systemd uses.
    #[error(
        "systemd has no cgroup hierarchy on this host: neither cgroup v2 nor name=systemd is mounted (with hybrid cgroups the latter)"
    )]
    NoHierarchy,
}

impl UnitPlan {
    /// The plan of a container's scope.
    ///
    /// # Errors
    /// [`UnitPlanError`]
    pub fn new(
        cgroups_path: &str,
        id: &str,
        instance: Instance,
        layout: &Layout,
        limits: &ResourcePlan,
        annotations: &std::collections::BTreeMap<String, String>,
    ) -> Result<Self, UnitPlanError> {
        let v2 = layout.mode() == Mode::V2;
        if instance == Instance::User && !v2 {
            return Err(UnitPlanError::UserOnV1);
        }
        let named = |hierarchy: &super::Hierarchy| matches!(hierarchy.kind, HierarchyKind::Named(_));
        if !v2 && !layout.hierarchies.iter().any(named) {
            return Err(UnitPlanError::NoHierarchy);
        }
        let unit = Unit::parse(cgroups_path, id, instance)?;
        let mut properties = properties::of_a_scope(&unit, id, v2);
        properties.extend(limits.properties(layout, instance)?);
        properties.extend(annotations::properties(annotations)?);
        Ok(Self { unit, instance, properties })
    }

    /// Where systemd will put the unit in each hierarchy, below `root`: the cgroup of that systemd.
    ///
    /// # Errors
    /// [`super::PathError`] for a path that is none.
    pub fn place(&self, layout: &Layout, root: &str) -> Result<CgroupRecord, super::PathError> {
        let path = CgroupPath::parse(&format!("{}/{}", root.trim_end_matches('/'), self.unit.path()), "")?;
        let mut record = CgroupRecord::place(layout, &path);
        record.unit = Some(UnitRecord { name: self.unit.name.clone(), instance: self.instance });
        Ok(record)
    }
}

impl ResourcePlan {
    /// Whether the plan asks for a share of CPU time only when nobody else wants it.
    fn is_idle(&self) -> bool {
        self.settings.iter().any(|setting| match &setting.limit {
            Limit::CpuIdle(idle) => *idle == 1,
            Limit::Unified(file, value) => file == "cpu.idle" && value.trim() == "1",
            _ => false,
        })
    }
}
