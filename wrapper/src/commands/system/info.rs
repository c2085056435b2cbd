//! `info` and `version`: what there is, and which programs work together here.

use crate::cli::{InfoArgs, Outcome, VersionArgs};
use crate::container::{Containers, Status};
use crate::home::Home;
use crate::look::{Listing, status};
use crate::oci::Oci;
use mydocker_cmdline::{one_line, print};
use mydocker_img::cli::{Template, human_size};
use mydocker_img::store::Store;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;

/// Prints what there is.
///
/// # Errors
/// A format that is none; the containers or the images cannot be read.
pub fn info(args: &InfoArgs, home: &Home) -> Outcome {
    let facts = facts(home)?;
    match format(args.format.as_deref())? {
        Some(template) => print(&format!("{}\n", template.render_value(&facts)?))?,
        None => print(&lines(&facts))?,
    }
    Ok(0)
}

fn format(format: Option<&str>) -> Result<Option<Template>, mydocker_img::cli::TemplateError> {
    format.filter(|format| !format.is_empty()).map(Template::of_value).transpose()
}

/// With docker's names.
fn facts(home: &Home) -> Result<Value, Box<dyn Error>> {
    let listing = Listing::read(&Containers::open(home)?)?;
    let count = |wanted: &dyn Fn(Status) -> bool| {
        listing.containers.iter().filter(|listed| wanted(listed.state.status)).count()
    };
    let store = Store::open(&home.images())?;
    let images: BTreeSet<String> =
        store.entries()?.into_iter().map(|(_, target)| target.digest.to_string()).collect();
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let runtime = Oci::new(home, home.runtime());
    Ok(json!({
        "Containers": listing.containers.len(),
        "ContainersRunning": count(&|status| matches!(status, Status::Running | Status::Restarting)),
        "ContainersPaused": count(&|status| status == Status::Paused),
        "ContainersStopped": count(&|status| !status::is_up(status)),
        "Images": images.len(),
        "Driver": "overlay",
        "LoggingDriver": "json-file",
        "CgroupDriver": home.cgroup_manager().name(),
        "CgroupVersion": cgroup_version(),
        "KernelVersion": read("/proc/sys/kernel/osrelease"),
        "OperatingSystem": operating_system(),
        "OSType": "linux",
        "Architecture": std::env::consts::ARCH,
        "NCPU": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        "MemTotal": memory(),
        "Name": read("/proc/sys/kernel/hostname"),
        "DockerRootDir": home.root(),
        "RunRoot": home.run(),
        "DefaultRuntime": home.runtime(),
        "RuntimePath": runtime.program(),
        "Rootless": mydocker_sys::process::euid() != 0,
        "ServerVersion": env!("CARGO_PKG_VERSION"),
    }))
}

fn cgroup_version() -> &'static str {
    if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() { "2" } else { "1" }
}

fn operating_system() -> String {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.unwrap_or("Linux").trim_matches('"').to_owned()
}

fn memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kibibytes =
        line.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|text| text.parse::<u64>().ok());
    kibibytes.unwrap_or(0) * 1024
}

fn lines(facts: &Value) -> String {
    let memory = human_size(facts["MemTotal"].as_u64().unwrap_or(0));
    let rows = [
        ("Containers", &facts["Containers"]),
        (" Running", &facts["ContainersRunning"]),
        (" Paused", &facts["ContainersPaused"]),
        (" Stopped", &facts["ContainersStopped"]),
        ("Images", &facts["Images"]),
        ("Server Version", &facts["ServerVersion"]),
        ("Storage Driver", &facts["Driver"]),
        ("Logging Driver", &facts["LoggingDriver"]),
        ("Cgroup Driver", &facts["CgroupDriver"]),
        ("Cgroup Version", &facts["CgroupVersion"]),
        ("Default Runtime", &facts["DefaultRuntime"]),
        ("Runtime Path", &facts["RuntimePath"]),
        ("Rootless", &facts["Rootless"]),
        ("Kernel Version", &facts["KernelVersion"]),
        ("Operating System", &facts["OperatingSystem"]),
        ("OSType", &facts["OSType"]),
        ("Architecture", &facts["Architecture"]),
        ("CPUs", &facts["NCPU"]),
        ("Total Memory", &Value::from(memory)),
        ("Name", &facts["Name"]),
        ("Root Dir", &facts["DockerRootDir"]),
        ("Run Dir", &facts["RunRoot"]),
    ];
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), one_line);
    rows.iter().map(|(name, value)| format!("{name}: {}\n", text(value))).collect()
}

/// Prints the versions of this program, of the image tool and of the OCI runtime.
///
/// # Errors
/// The other programs cannot be run; a format that is none.
pub fn version(args: &VersionArgs, home: &Home) -> Outcome {
    let own = env!("CARGO_PKG_VERSION");
    let template = format(args.format.as_deref())?;
    let runtime = Oci::new(home, home.runtime()).run("--version", &[""; 0])?;
    let runtime = String::from_utf8_lossy(&runtime).into_owned();
    let Some(template) = template else {
        print(&format!("mydocker version {own}\n{runtime}"))?;
        return Ok(0);
    };
    let first = runtime.lines().next().unwrap_or_default();
    let (name, number) = first.split_once(" version ").unwrap_or((first, ""));
    let versions = json!({
        "Version": own,
        "Os": "linux",
        "Arch": std::env::consts::ARCH,
        "Runtime": { "Name": name, "Version": number, "Path": Oci::new(home, home.runtime()).program() },
    });
    print(&format!("{}\n", template.render_value(&versions)?))?;
    Ok(0)
}
