//! What `checkpoint` and `restore` have in common: directories, options, and what is told of a failure.

use super::report::{failed, refusal};
use crate::cli::{Context, CriuArgs, Report};
use crate::criu::{self, CgroupMode, Options, PageServer};
use crate::spec::NamespaceKind;
use crate::validate::{Placement, ValidSpec};
use mydocker_sys::fs::{self, OFlag};
use mydocker_sys::{AsRawFd, Errno, OwnedFd};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The file beside criu's with the names of the standard streams; runc has the same.
pub(super) const DESCRIPTORS: &str = "descriptors.json";

/// criu's configuration for containers, shared with runc.
const CONFIG_FILE: &str = "/etc/criu/runc.conf";

/// A criu log has some hundred kilobytes.
const MAX_LOG_BYTES: u64 = 16 << 20;

/// Finds criu, before anything is touched.
pub(super) fn program(context: &Context) -> Result<criu::Program, Box<Report>> {
    criu::Program::find(context.criu.as_deref()).map_err(criu_failed)
}

/// A failure of criu, by its kind.
pub(super) fn criu_failed(error: criu::Error) -> Box<Report> {
    let code = match &error {
        criu::Error::Missing(_) => "criu-missing",
        criu::Error::Old(_) | criu::Error::Kernel { .. } | criu::Error::Feature { .. } => "criu-unsupported",
        _ => "criu",
    };
    Report::new(code, &error).into()
}

/// The same with what criu's log says.
pub(super) fn criu_failed_with_log(error: criu::Error, log: &Path) -> Box<Report> {
    let text = fs::read_at(fs::AT_FDCWD, log, MAX_LOG_BYTES).unwrap_or_default();
    let told = matches!(error, criu::Error::Failed(_) | criu::Error::NoAnswer(_));
    let errors = criu::errors_in(&String::from_utf8_lossy(&text));
    let errors = if told { errors } else { String::new() };
    let mut report = criu_failed(error);
    if !errors.is_empty() {
        report.message = format!("criu failed: {errors}");
    }
    report.message = format!("{} (log: {})", report.message, log.display());
    report.path = Some(log.display().to_string());
    report
}

/// What was typed, checked as far as it can be without touching anything.
pub(super) struct Checked {
    pub(super) images: PathBuf,
    pub(super) work: Option<PathBuf>,
    cgroup_mode: CgroupMode,
}

/// Checks the common flags.
pub(super) fn check(args: &CriuArgs) -> Result<Checked, Box<Report>> {
    let mode = CgroupMode::of(&args.manage_cgroups_mode).ok_or_else(|| {
        refusal(
            "usage",
            format!(
                "--manage-cgroups-mode {:?}: give soft, full, strict or ignore",
                args.manage_cgroups_mode
            ),
        )
    })?;
    if let Some(kind) = args.empty_ns.iter().find(|kind| *kind != "network") {
        return Err(refusal("usage", format!("--empty-ns {kind:?} is not supported: only network is")));
    }
    let absolute = |path: &Path| std::path::absolute(path).map_err(failed("bad-checkpoint"));
    let images = absolute(args.image_path.as_deref().unwrap_or(Path::new("checkpoint")))?;
    let work = args.work_path.as_deref().map(absolute).transpose()?;
    Ok(Checked { images, work, cgroup_mode: mode })
}

/// The two directories, which are there.
pub(super) struct Directories {
    pub(super) images: OwnedFd,
    paths: Vec<PathBuf>,
    log: PathBuf,
}

impl Checked {
    /// Opens the directories; the work directory is made where it is missing, that of the images only if asked.
    pub(super) fn open(&self, make: bool, log_file: &str) -> Result<Directories, Box<Report>> {
        if make {
            make_directory(&self.images)?;
        }
        let images = open_directory(&self.images)?;
        if let Some(path) = &self.work {
            make_directory(path)?;
        }
        let paths = std::iter::once(&self.images).chain(&self.work).cloned().collect();
        let log = self.work.as_ref().unwrap_or(&self.images).join(log_file);
        Ok(Directories { images, paths, log })
    }
}

impl Directories {
    /// The log's path.
    pub(super) fn log(&self) -> &Path {
        &self.log
    }

    /// What criu opens.
    pub(super) fn paths(&self) -> Vec<&Path> {
        self.paths.iter().map(PathBuf::as_path).collect()
    }

    /// The options that both commands give criu, but for the directories.
    pub(super) fn options(&self, args: &CriuArgs, checked: &Checked, spec: &ValidSpec) -> Options {
        Options {
            external_unix_sockets: args.ext_unix_sk,
            tcp_established: args.tcp_established,
            shell_job: args.shell_job,
            file_locks: args.file_locks,
            auto_dedup: args.auto_dedup,
            lazy_pages: args.lazy_pages,
            cgroup_mode: checked.cgroup_mode,
            // Devices and addresses are whoever's who made the network, and not the runtime's.
            empty_namespaces: libc::CLONE_NEWNET as u32,
            config_file: config_file(&spec.spec().annotations),
            ..Options::default()
        }
    }
}

fn config_file(annotations: &BTreeMap<String, String>) -> Option<String> {
    match annotations.get(criu::CONFIG_ANNOTATION) {
        None => Some(CONFIG_FILE.to_owned()),
        Some(path) if path.is_empty() => None,
        Some(path) => Some(path.clone()),
    }
}

fn make_directory(path: &Path) -> Result<(), Box<Report>> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| {
        refusal("bad-checkpoint", format!("cannot make the directory {}: {error}", path.display()))
    })
}

fn open_directory(path: &Path) -> Result<OwnedFd, Box<Report>> {
    fs::open(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY).map_err(|error| {
        let why = match error.errno() {
            Errno::ENOENT => "does not exist",
            Errno::ENOTDIR => "is no directory",
            _ => "cannot be opened",
        };
        refusal("bad-checkpoint", format!("the checkpoint directory {} {why}: {error}", path.display()))
    })
}

/// `ADDRESS:PORT`, an IPv6 address in brackets.
pub(super) fn page_server(text: &str) -> Result<PageServer, Box<Report>> {
    let server = text.rsplit_once(':').and_then(|(address, port)| {
        let address = address.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(address);
        let port = port.parse().ok().filter(|port| *port != 0)?;
        (!address.is_empty()).then(|| PageServer { address: address.to_owned(), port })
    });
    server.ok_or_else(|| refusal("usage", format!("--page-server {text:?}: give ADDRESS:PORT")))
}

/// Follows links inside a root file system, as far as they lie on it.
pub(super) fn resolver(rootfs: &Path) -> impl FnMut(&Path) -> Option<PathBuf> + use<> {
    let root = fs::open(rootfs, OFlag::O_PATH | OFlag::O_DIRECTORY).ok();
    let path_of = |fd: &OwnedFd| {
        fs::readlinkat(fs::AT_FDCWD, Path::new(&format!("/proc/self/fd/{}", fd.as_raw_fd()))).ok()
    };
    let start = root.as_ref().and_then(path_of);
    move |inside| {
        let found = fs::open_in_root(root.as_ref()?, inside, OFlag::O_PATH, 0).ok()?;
        let below = path_of(&found)?;
        Some(Path::new("/").join(below.strip_prefix(start.as_ref()?).ok()?))
    }
}

/// The kinds of namespaces that criu knows as things from outside, and what it calls them.
pub(super) const EXTERNAL_NAMESPACES: [(NamespaceKind, &str, &str); 2] =
    [(NamespaceKind::Network, "net", "extRootNetNS"), (NamespaceKind::Pid, "pid", "extRootPidNS")];

/// The file of a namespace that the configuration joins.
pub(super) fn joined(spec: &ValidSpec, kind: NamespaceKind) -> Option<&Path> {
    match spec.namespaces.get(kind) {
        Placement::Join(path) => Some(path),
        Placement::Host | Placement::New => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_servers_are_an_address_and_a_port() {
        let server = |address: &str, port| PageServer { address: address.into(), port };
        assert_eq!(page_server("127.0.0.1:9000").expect("valid"), server("127.0.0.1", 9000));
        assert_eq!(page_server("[::1]:1").expect("valid"), server("::1", 1));
        for text in ["", "host", ":80", "host:", "host:0", "host:65536", "host:x"] {
            assert!(page_server(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_annotation_names_another_configuration_or_none() {
        let of = |value: Option<&str>| {
            let pair = value.map(|value| (criu::CONFIG_ANNOTATION.to_owned(), value.to_owned()));
            config_file(&pair.into_iter().collect())
        };
        assert_eq!(of(None).as_deref(), Some(CONFIG_FILE));
        assert_eq!(of(Some("")), None);
        assert_eq!(of(Some("/x")).as_deref(), Some("/x"));
    }
}
