//! `list`, `state` and `ps`.

use super::container::{Container, store};
use super::report::{failed, state_failed};
use super::{Outcome, exit, print, processes};
use crate::cli::{
    self, ContainerState, Context, IdArgs, ListArgs, PsArgs, TableFormat, filter_ps, list_ids, list_json,
    list_table, ps_json, run_ps, state_json,
};
use crate::state::Status;

/// `state`: the container's state as JSON (runtime.md, Query State).
///
/// # Errors
/// If there is no such container.
pub fn state(args: &IdArgs, context: &Context) -> Outcome {
    let mut container = Container::look(context, &args.id)?;
    exit::learn(&mut container, context);
    let texts = Texts::of(&container, String::new());
    print(&state_json(&texts.view(&container)).map_err(failed("state-io"))?)
}

/// `list`: all containers.
///
/// # Errors
/// If the state root cannot be read; one that does not exist is empty.
pub fn list(args: &ListArgs, context: &Context) -> Outcome {
    let containers = all(context)?;
    let texts: Vec<_> = containers.iter().map(|c| Texts::of(c, owner_name(c.record.owner))).collect();
    let views: Vec<_> =
        texts.iter().zip(&containers).map(|(texts, container)| texts.view(container)).collect();
    print(&match (args.quiet, args.format) {
        (true, _) => list_ids(&views),
        (false, TableFormat::Table) => list_table(&views),
        (false, TableFormat::Json) => list_json(&views).map_err(failed("state-io"))?,
    })
}

/// Every container that can be read; one that is being made or deleted at this moment is passed over, and a damaged
/// one is told of.
fn all(context: &Context) -> Result<Vec<Container>, Box<cli::Report>> {
    let mut containers = Vec::new();
    for id in store(context).ids().map_err(state_failed)? {
        match Container::look(context, id.as_str()) {
            Ok(container) => containers.push(container),
            Err(report) if report.code == "no-such-container" => {}
            Err(report) => context.log.warning(&report.message),
        }
    }
    Ok(containers)
}

/// The texts that a view borrows.
struct Texts {
    bundle: String,
    rootfs: String,
    owner: String,
}

impl Texts {
    fn of(container: &Container, owner: String) -> Self {
        let record = &container.record;
        Self {
            bundle: record.bundle.display().to_string(),
            rootfs: record.rootfs.display().to_string(),
            owner,
        }
    }

    fn view<'a>(&'a self, container: &'a Container) -> ContainerState<'a> {
        let record = &container.record;
        let pid = match container.status {
            Status::Stopped => 0,
            _ => record.init.map_or(0, |init| init.pid),
        };
        ContainerState {
            oci_version: &record.oci_version,
            id: &record.id,
            pid,
            status: container.status.name(),
            bundle: &self.bundle,
            rootfs: &self.rootfs,
            created: &record.created,
            annotations: &record.annotations,
            owner: &self.owner,
            exit: record.exit.as_ref(),
        }
    }
}

/// The user's name in the host's passwd file; `#` and the number where there is none.
fn owner_name(uid: u32) -> String {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| format!("#{uid}"))
}

/// `ps`: the processes of a container, as the host's ps shows them or as pids.
///
/// # Errors
/// If there is no such container, or ps fails.
pub fn ps(args: &PsArgs, context: &Context) -> Outcome {
    let container = Container::look(context, &args.id)?;
    let pids = processes::of(&container)?;
    print(&match args.format {
        TableFormat::Json => ps_json(&pids).map_err(failed("state-io"))?,
        TableFormat::Table => {
            let table = run_ps(&args.options).map_err(failed("ps"))?;
            filter_ps(&table, &pids).map_err(failed("ps"))?
        }
    })
}
