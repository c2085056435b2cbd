//! `system check`: what killed commands and reboots have left, what is wrong with the store of images, and the mend of both.

use crate::cli::{Outcome, SystemCheckArgs};
use crate::commands::images::{ImageToolError, tool};
use crate::container::{Containers, ContainersError, Status};
use crate::home::Home;
use crate::look::status::is_up;
use crate::monitor::mend;
use crate::oci::Oci;
use crate::{network, prepare};
use mydocker_cmdline::{one_line, print};
use mydocker_img::cli::chain;
use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How long a command may work on something that it has not given its name yet.
const WORKING: Duration = Duration::from_secs(600);

/// Something that is not in order.
struct Finding {
    /// What.
    what: String,
    /// How it is mended; `None` if a person has to.
    mend: Option<Mend>,
}

enum Mend {
    /// Removes what nobody has given a name.
    Remove(PathBuf),
    /// Removes a name that leads nowhere.
    Name(String),
    /// Clears up after the monitor of a container.
    Container(String),
    /// Removes the network namespace of no container.
    Namespace(PathBuf),
    /// Has the OCI runtime forget a container.
    Runtime(String),
}

/// Finds what is not in order, tells it, and mends it if it is asked to. The status is 1 if something is not in order at the
/// end.
///
/// # Errors
/// Something cannot be looked at.
pub fn check(args: &SystemCheckArgs, home: &Home) -> Outcome {
    let containers = Containers::open(home)?;
    let found = find(&containers)?;
    let mut left = 0;
    for finding in &found {
        let verdict = match &finding.mend {
            None => "has to be removed by hand: 'rm -f' it, or its directory".to_owned(),
            Some(_) if !args.repair => "'system check --repair' mends it".to_owned(),
            Some(how) => match carry_out(how, &containers) {
                Ok(()) => "mended".to_owned(),
                Err(error) => format!("cannot be mended: {}", chain(&*error)),
            },
        };
        left += u32::from(verdict != "mended");
        print(&format!("{}; {}\n", one_line(&finding.what), one_line(&verdict)))?;
    }
    let images = check_images(home, args.repair)?;
    for line in &images.told {
        print(&format!("image store: {line}\n"))?;
    }
    if found.is_empty() && images.told.is_empty() {
        print("everything is in order\n")?;
    }
    Ok(u8::from(left > 0 || !images.is_whole))
}

/// What the image tool says of its store.
struct Images {
    /// What is wrong, and what was mended.
    told: Vec<String>,
    is_whole: bool,
}

/// Has the image tool check its store, and mend it if that is asked for.
fn check_images(home: &Home, repair: bool) -> Result<Images, Box<dyn Error>> {
    if !home.images().exists() {
        return Ok(Images { told: Vec::new(), is_whole: true });
    }
    let mut tool = tool(home);
    tool.arg("fsck").args(repair.then_some("--repair"));
    let path = PathBuf::from(tool.get_program());
    let output = tool.output().map_err(|source| ImageToolError::Run(path, source))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let is_about_something = |line: &&str| line.starts_with("wrong: ") || line.starts_with("mended: ");
    let told: Vec<String> = text.lines().filter(is_about_something).map(str::to_owned).collect();
    if !output.status.success() && told.is_empty() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned().into());
    }
    Ok(Images { told, is_whole: output.status.success() })
}

fn find(containers: &Containers) -> Result<Vec<Finding>, Box<dyn Error>> {
    let home = containers.home();
    let ids: BTreeSet<String> = containers.ids()?.into_iter().collect();
    let mut found = unfinished(&home.containers(), "container")?;
    found.extend(unfinished(&home.volumes(), "volume")?);
    for id in &ids {
        found.extend(of_container(containers, id));
    }
    found.extend(names(home, &ids)?);
    found.extend(of_nobody(home, &ids)?);
    Ok(found)
}

/// Directories that a killed command was making or removing. One that has changed lately may be worked on.
fn unfinished(place: &Path, what: &str) -> Result<Vec<Finding>, Box<dyn Error>> {
    let mut found = Vec::new();
    for name in
        entries(place)?.into_iter().filter(|name| name.starts_with(".new-") || name.starts_with(".gone-"))
    {
        let path = place.join(&name);
        let changed = fs::symlink_metadata(&path).and_then(|stat| stat.modified());
        let age = changed.ok().and_then(|changed| SystemTime::now().duration_since(changed).ok());
        if age.is_some_and(|age| age > WORKING) {
            let doing = if name.starts_with(".new-") { "made" } else { "removed" };
            let what = format!("a {what} was only half {doing}: {}", path.display());
            found.push(Finding { what, mend: Some(Mend::Remove(path)) });
        }
    }
    Ok(found)
}

/// A container whose records cannot be read, or whose monitor was cut off.
fn of_container(containers: &Containers, id: &str) -> Option<Finding> {
    let read = || {
        Ok::<_, ContainersError>((
            containers.load(id)?,
            containers.recorded_state(id)?,
            containers.state(id)?,
        ))
    };
    let (container, recorded, state) = match read() {
        Ok(read) => read,
        Err(ContainersError::NotFound(_)) => return None,
        Err(error) => return Some(Finding { what: chain(&error), mend: None }),
    };
    let monitor_lives =
        recorded.monitor.is_some_and(|monitor| monitor.lives()) && recorded.boot == containers.boot();
    let name = &container.name;
    let what = if recorded.status != state.status {
        format!("container {name} has ended unseen: its monitor was killed, or the host went down")
    } else if recorded.monitor.is_some() && !monitor_lives && !is_up(state.status) {
        format!("the monitor of container {name} was killed before it had cleared up")
    } else if recorded.monitor.is_some() && !monitor_lives {
        let what = format!(
            "container {name} runs without its monitor, which was killed; its output is lost until it is restarted"
        );
        return Some(Finding { what, mend: None });
    } else if state.status == Status::Dead || state.status == Status::Removing && !monitor_lives {
        format!("container {name} was only half removed")
    } else {
        return None;
    };
    Some(Finding { what, mend: Some(Mend::Container(id.to_owned())) })
}

/// Names that lead to no container.
fn names(home: &Home, ids: &BTreeSet<String>) -> Result<Vec<Finding>, Box<dyn Error>> {
    let names = entries(&home.names())?.into_iter().filter(|name| !name.starts_with('.'));
    let lost = names.filter(|name| {
        let id = fs::read_link(home.names().join(name));
        id.is_ok_and(|id| !ids.contains(&*id.to_string_lossy()))
    });
    let finding = |name: String| {
        let what = format!("the name {name} is of a container that is not there");
        Finding { what, mend: Some(Mend::Name(name)) }
    };
    Ok(lost.map(finding).collect())
}

/// What belongs to containers that are not there.
fn of_nobody(home: &Home, ids: &BTreeSet<String>) -> Result<Vec<Finding>, Box<dyn Error>> {
    let mut found = Vec::new();
    let mut add = |what: String, mend| found.push(Finding { what, mend: Some(mend) });
    for id in entries(&home.run().join("netns"))?.into_iter().filter(|id| is_id(id) && !ids.contains(id)) {
        let path = home.netns(&id);
        add(format!("a network namespace is left of a container: {}", path.display()), Mend::Namespace(path));
    }
    for id in entries(&home.runtime_root())?.into_iter().filter(|id| is_id(id) && !ids.contains(id)) {
        add(format!("the OCI runtime still has a container that is not there: {id}"), Mend::Runtime(id));
    }
    let short: BTreeSet<&str> = ids.iter().map(|id| id.get(..32).unwrap_or(id)).collect();
    let run = home.run().join("containers");
    for name in entries(&run)?.into_iter().filter(|name| !short.contains(&**name)) {
        let path = run.join(name);
        add(format!("a directory is left of a container: {}", path.display()), Mend::Remove(path));
    }
    Ok(found)
}

fn is_id(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The names in a directory, which need not be there.
fn entries(place: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let entries = match fs::read_dir(place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|error| format!("cannot read the directory {place:?}: {error}"))?,
    };
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}

fn carry_out(how: &Mend, containers: &Containers) -> Result<(), Box<dyn Error>> {
    let home = containers.home();
    match how {
        Mend::Remove(path) => Ok(fs::remove_dir_all(path)?),
        Mend::Name(name) => Ok(containers.release_lost_name(name)?),
        Mend::Container(id) => container(containers, id),
        Mend::Namespace(path) => Ok(network::remove_namespace(path)?),
        Mend::Runtime(id) => {
            Oci::new(home, home.runtime()).run("delete", &["--force", id])?;
            Ok(())
        }
    }
}

fn container(containers: &Containers, id: &str) -> Result<(), Box<dyn Error>> {
    let lock = containers.lock(id)?;
    let state = mend(containers, id)?;
    if matches!(state.status, Status::Dead | Status::Removing) {
        let container = containers.load(id)?;
        prepare::undo(containers.home(), &container).into_iter().next().map_or(Ok(()), Err)?;
        crate::monitor::remove(containers, &container, false)?;
    }
    drop(lock);
    Ok(())
}
