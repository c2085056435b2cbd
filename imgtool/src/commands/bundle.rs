//! `bundle`: an image becomes a directory that any OCI runtime runs.

use super::local::{FindError, find};
use crate::cli::{BundleArgs, Context};
use crate::fetch::LayerJob;
use crate::image::BUNDLE_ANNOTATION;
use crate::layer::{Inflate, LayerError, Unpack, Unpacker, Whiteouts};
use crate::mounts::{MountError, Purpose, lease_name, mount_layers, unmount, whole_path};
use crate::plan::{PlanError, layer_jobs};
use crate::store::{Budget, Hold, Holder, Image, Store, StoreError};
use mydocker_bundles::{ImageSettings, UserError, config, find_user, rootless};
use mydocker_sys::process::{egid, euid};
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// There is no such image.
    #[error(transparent)]
    Find(#[from] FindError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its documents do not fit each other.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A layer.
    #[error("cannot unpack layer {0}")]
    Layer(crate::digest::Digest, #[source] LayerError),
    /// Its mount.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// Its user.
    #[error("cannot tell who the image's process runs as")]
    User(#[from] UserError),
    /// The directory has something in it.
    #[error("{0:?} is not empty; name a directory that is new or empty")]
    NotEmpty(PathBuf),
    /// The directory.
    #[error("cannot {action} {path:?}")]
    Io {
        /// What was to be done.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
}

/// Makes a bundle.
///
/// # Errors
/// [`BundleError`]; then nothing is left of the bundle.
pub fn bundle(args: &BundleArgs, context: &Context) -> Result<(), BundleError> {
    let store = context.store()?;
    let hold = store.hold()?;
    let image = store.image(&find(&store, &args.image)?.target)?;
    let jobs = layer_jobs(&image.manifest, &image.config)?;
    let is_new = make_directory(&args.directory)?;
    let made = match args.overlay {
        true => mount(&store, &hold, &image, &jobs, &args.directory),
        false => copy(&store, &jobs, &args.directory),
    };
    let made = made.and_then(|()| configure(&image, &args.directory));
    if made.is_err() {
        // What was wrong first is what has to be mended; if this fails too, the next attempt says that something is there.
        take_back(&store, args.overlay, &args.directory, is_new).unwrap_or_default();
    }
    made
}

pub(super) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BundleError {
    let path = path.to_owned();
    move |source| BundleError::Io { action, path, source }
}

/// Makes the directory, and returns whether it is new. Setuid programs of the image are nobody's on the host.
pub(super) fn make_directory(directory: &Path) -> Result<bool, BundleError> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let mut entries = fs::read_dir(directory).map_err(failed("read the directory", directory))?;
            if entries.next().is_some() {
                return Err(BundleError::NotEmpty(directory.to_owned()));
            }
            Ok(false)
        }
        other => other.map(|()| true).map_err(failed("make the directory", directory)),
    }
}

fn take_back(store: &Store, overlay: bool, directory: &Path, is_new: bool) -> Result<(), BundleError> {
    if overlay {
        let owner = whole_path(directory)?;
        let name = lease_name(Holder::Bundle, &owner);
        if let Some(lease) = store.leases()?.iter().find(|lease| lease.name == name) {
            unmount(store, lease)?;
        }
    }
    for name in ["rootfs", "upper", "work"] {
        let path = directory.join(name);
        if path.is_dir() {
            fs::remove_dir_all(&path).map_err(failed("remove", &path))?;
        }
    }
    if is_new {
        fs::remove_dir(directory).map_err(failed("remove", directory))?;
    }
    Ok(())
}

fn make(directory: &Path, name: &str) -> Result<PathBuf, BundleError> {
    let path = directory.join(name);
    DirBuilder::new().mode(0o700).create(&path).map_err(failed("make the directory", &path))?;
    Ok(path)
}

fn copy(store: &Store, jobs: &[LayerJob], directory: &Path) -> Result<(), BundleError> {
    unpack_into(store, jobs, &make(directory, "rootfs")?)
}

/// Mounts the layers as the root file system. The image is leased before, so that it is there as long as the bundle is.
fn mount(
    store: &Store,
    hold: &Hold,
    image: &Image,
    jobs: &[LayerJob],
    directory: &Path,
) -> Result<(), BundleError> {
    let owner = whole_path(directory)?;
    let layers =
        Unpacker::new(store).stack(jobs).map_err(|(digest, source)| BundleError::Layer(digest, source))?;
    let [rootfs, upper, work] = ["rootfs", "upper", "work"].map(|name| make(&owner, name));
    let (rootfs, upper, work) = (rootfs?, upper?, work?);
    store.lease(hold, &lease_name(Holder::Bundle, &owner), Holder::Bundle, &image.target, &owner)?;
    Ok(mount_layers(store, &layers, Purpose::Run(&upper, &work), &rootfs)?)
}

/// Unpacks all layers into an empty directory.
pub(super) fn unpack_into(store: &Store, jobs: &[LayerJob], rootfs: &Path) -> Result<(), BundleError> {
    let root = File::open(rootfs).map_err(failed("open", rootfs))?;
    let mut unpack = Unpack::new(root.into(), Whiteouts::Apply).within(store.budget());
    for job in jobs {
        let blob = store.blob(&job.digest)?.ok_or_else(|| StoreError::Missing(job.digest.clone()))?;
        apply(&mut unpack, job, blob.file(), store.budget())
            .map_err(|source| BundleError::Layer(job.digest.clone(), source))?;
    }
    match jobs.last() {
        Some(last) => unpack.finish().map_err(|source| BundleError::Layer(last.digest.clone(), source)),
        None => Ok(()),
    }
}

/// Writes config.json, for which the lists of users in the root file system are needed.
fn configure(image: &Image, directory: &Path) -> Result<(), BundleError> {
    let rootfs = directory.join("rootfs");
    let root = File::open(&rootfs).map_err(failed("open", &rootfs))?;
    let user = find_user(root.as_fd(), &image.config.config.user)?;
    let mut config = config(&settings(image), &user);
    if euid() != 0 {
        config = rootless(config, euid(), egid());
    }
    let path = directory.join("config.json");
    fs::write(&path, format!("{config:#}\n")).map_err(failed("write", &path))
}

/// Unpacks one layer on those below, and demands that it is the right one.
fn apply(unpack: &mut Unpack, job: &LayerJob, blob: &File, budget: Budget) -> Result<(), LayerError> {
    let archive = Inflate::new(blob, job.diff_id.algorithm(), budget).map_err(LayerError::Read)?;
    let found = unpack.layer(archive)?.finish().map_err(LayerError::Read)?;
    if found != job.diff_id {
        return Err(LayerError::WrongDiffId { found, expected: job.diff_id.clone() });
    }
    Ok(())
}

/// What the image says, with the annotations of image-spec's conversion.md; a label of the same name is stronger.
fn settings(image: &Image) -> ImageSettings {
    let id = (BUNDLE_ANNOTATION.to_owned(), image.id().to_string());
    let image = &image.config;
    let config = &image.config;
    let ports = config.exposed_ports.keys().cloned().collect::<Vec<_>>().join(",");
    let fields = [
        ("os", Some(image.os.clone())),
        ("architecture", Some(image.architecture.clone())),
        ("variant", image.variant.clone()),
        ("author", image.author.clone()),
        ("created", image.created.clone()),
        ("exposedPorts", Some(ports)),
        ("stopSignal", config.stop_signal.clone()),
    ];
    let fields = fields.into_iter().filter_map(|(name, value)| {
        let value = value.filter(|value| !value.is_empty())?;
        Some((format!("org.opencontainers.image.{name}"), value))
    });
    ImageSettings {
        env: config.env.clone(),
        entrypoint: config.entrypoint.clone().unwrap_or_default(),
        cmd: config.cmd.clone().unwrap_or_default(),
        working_dir: config.working_dir.clone(),
        volumes: config.volumes.keys().cloned().collect(),
        annotations: fields.chain(config.labels.clone()).chain([id]).collect(),
    }
}
