//! `create`: what was typed becomes a container that can be started.

use crate::cli::{ContainerArgs, CreateArgs, Failure, Outcome};
use crate::container::{Container, Containers, ContainersError, ImageOf, Mount, MountKind, Root};
use crate::events::{self, Event};
use crate::home::{Home, program};
use crate::plan::{Security, SecurityError};
use crate::request::{Origin, RequestError, build};
use crate::volume::{VolumeError, Volumes};
use mydocker_cmdline::print;
use mydocker_img::commands::{FindError, find};
use mydocker_img::image::{ContainerConfig, Descriptor, Document};
use mydocker_img::platform::{Platform, PlatformError};
use mydocker_img::store::{Hold, Holder, Image, Store, StoreError};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why a container is not made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// A flag.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// `--security-opt`
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// The containers.
    #[error(transparent)]
    Containers(#[from] ContainersError),
    /// A volume.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// The store of images.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The image.
    #[error(transparent)]
    Find(#[from] FindError),
    /// The platform is none.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// There is no such image, and none was fetched.
    #[error("No such image: {0}")]
    NoImage(String),
    /// Without an image there is this host's alone.
    #[error(
        "--platform {0} needs an image: what is run without one is this host's; leave it out, or name an image"
    )]
    NotThisHost(String),
    /// The image is not there for the platform.
    #[error("image {0} is here, but not for {1}; --pull always fetches it")]
    OtherPlatform(String, String),
    /// It was not fetched.
    #[error("the image {0} was not pulled")]
    Pull(String),
    /// The image tool cannot be run.
    #[error("cannot run {0:?}, which pulls images")]
    ImageTool(PathBuf, #[source] io::Error),
    /// There is no image's name.
    #[error("no image is given; a command that begins with '/' needs none")]
    NoOrigin,
    /// `--cidfile`
    #[error("cannot write {0:?}, the file of --cidfile")]
    CidFile(PathBuf, #[source] io::Error),
    /// A directory of the container.
    #[error("cannot make the directory {0:?}")]
    Directory(PathBuf, #[source] io::Error),
}

/// Makes a container, and prints its id.
///
/// # Errors
/// [`CreateError`]; then nothing is left.
pub fn create(args: &CreateArgs, home: &Home) -> Outcome {
    let container = make(home, &args.container, |_| {}).map_err(Failure::own)?;
    print(&format!("{}\n", container.id))?;
    Ok(0)
}

/// Makes the container that was typed; `adapt` changes what the flags of `run` alone say about it.
///
/// # Errors
/// [`CreateError`]; then nothing is left.
pub fn make(
    home: &Home,
    args: &ContainerArgs,
    adapt: impl FnOnce(&mut Container),
) -> Result<Container, CreateError> {
    let containers = Containers::open(home)?;
    let id = Containers::new_id()?;
    let cidfile = args.origin.cidfile.as_deref().map(CidFile::reserve).transpose()?;
    let (origin, held) = origin(home, args)?;
    let mut container = build(&id, args, origin, home.runtime(), home.cgroup_manager())?;
    adapt(&mut container);
    Security::parse(&container.host_config.security_opt)?;
    let volumes = Volumes::open(home)?;
    let _volumes_held = volumes.hold()?;
    add_volumes_of_others(&containers, &mut container)?;
    find_volumes(&volumes, &mut container)?;
    let owner = home.container(&id);
    let container = containers.create(container, |directory, container| {
        let bundle = directory.join("bundle");
        fs::create_dir(&bundle).map_err(|source| CreateError::Directory(bundle, source))?;
        if let (Some((store, hold)), Some(image)) = (&held, &container.image) {
            store.lease(hold, &container.id, Holder::Container, &image.target, &owner)?;
        }
        Ok::<_, CreateError>(())
    })?;
    if let Some(file) = cidfile {
        file.write(&container.id)?;
    }
    warn_of_ports(&container);
    events::record(home, &Event::of(&container, "create"));
    Ok(container)
}

/// As docker: a container on the host's network, or on none, has no ports to be published.
fn warn_of_ports(container: &Container) {
    let (mode, asked) = (&*container.host_config.network_mode, &container.host_config);
    if matches!(mode, "host" | "none") && (!asked.port_bindings.is_empty() || asked.publish_all_ports) {
        let text = format!("WARNING: published ports are discarded with --network {mode}");
        // When standard error is closed there is nobody left to warn.
        writeln!(io::stderr(), "{text}").unwrap_or_default();
    }
}

/// A store from which nothing goes away before the container has its lease.
type Held = (Store, Hold);

/// What the words begin with: an image, a directory with `--rootfs`, or a command of the host's own root.
fn origin(home: &Home, args: &ContainerArgs) -> Result<(Origin, Option<Held>), CreateError> {
    let mut words = args.words.clone();
    let command = args.origin.cmds.as_ref().map(|text| text.split_whitespace().map(str::to_owned));
    if let Some(image) = &args.origin.img {
        words.insert(0, image.clone());
    }
    let first = words.first().cloned();
    let on_host = |words: Vec<String>, root| {
        // A directory does not say what it is for.
        let platform = args.origin.platform.as_deref().map(Platform::parse).transpose()?;
        if let Some(other) = platform.filter(|platform| platform.accepts(&Platform::host()).is_none()) {
            return Err(CreateError::NotThisHost(other.to_string()));
        }
        let settings = ContainerConfig::default();
        Ok((Origin { image: None, root, settings, words }, None))
    };
    match first {
        Some(first) if args.origin.rootfs => {
            let rest = words.split_off(1);
            on_host(rest, directory(&first))
        }
        Some(first) if first.starts_with('/') && args.origin.img.is_none() => {
            on_host(words, Root::View(PathBuf::from("/")))
        }
        Some(first) => {
            let mut rest = words.split_off(1);
            rest.splice(0..0, command.into_iter().flatten());
            from_image(home, args, &first, rest)
        }
        None => match command {
            Some(command) => on_host(command.collect(), Root::View(PathBuf::from("/"))),
            None => Err(CreateError::NoOrigin),
        },
    }
}

/// `DIR` as it is, or `DIR:O` under the container's changes.
fn directory(text: &str) -> Root {
    let (path, is_view) = text.strip_suffix(":O").map_or((text, false), |path| (path, true));
    let path = std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path));
    if is_view { Root::View(path) } else { Root::Directory(path) }
}

fn from_image(
    home: &Home,
    args: &ContainerArgs,
    name: &str,
    words: Vec<String>,
) -> Result<(Origin, Option<Held>), CreateError> {
    let platform = args.origin.platform.as_deref().map(Platform::parse).transpose()?;
    let store = Store::open(&home.images())?;
    if args.origin.pull == "always" {
        pull(home, args, name)?;
    }
    let mut hold = store.hold()?;
    let mut found = look_up(&store, name, platform.as_ref());
    if matches!(found, Err(CreateError::Find(FindError::None(_)) | CreateError::OtherPlatform(..)))
        && args.origin.pull == "missing"
    {
        // Whoever pulls has to be let in.
        drop(hold);
        if !args.origin.quiet {
            // When standard error is closed there is nobody left to tell.
            writeln!(io::stderr(), "Unable to find image '{name}' locally").unwrap_or_default();
        }
        pull(home, args, name)?;
        hold = store.hold()?;
        found = look_up(&store, name, platform.as_ref());
    }
    let image = match found {
        Err(CreateError::Find(FindError::None(name))) => return Err(CreateError::NoImage(name)),
        other => other?,
    };
    let layers = store.layer_keys(&image.config).iter().map(ToString::to_string).collect();
    let origin = Origin {
        image: Some(ImageOf {
            name: name.to_owned(),
            id: image.id().to_string(),
            target: image.target.clone(),
        }),
        root: Root::Layers(layers),
        settings: image.config.config,
        words,
    };
    Ok((origin, Some((store, hold))))
}

fn look_up(store: &Store, name: &str, platform: Option<&Platform>) -> Result<Image, CreateError> {
    let found = find(store, name)?;
    let Some(platform) = platform else { return Ok(store.image(&found.target)?) };
    let fits = |image: &Image| platform.accepts(&image.config.platform()).is_some();
    if let Document::Index(index) = store.document(&found.target)? {
        let fit = |entry: &&Descriptor| entry.platform.as_ref().and_then(|other| platform.accepts(other));
        let entries = index.manifests.iter().filter(|entry| store.has_blob(&entry.digest));
        if let Some(entry) = entries.filter(|entry| fit(entry).is_some()).min_by_key(fit) {
            return Ok(store.image(entry)?);
        }
    }
    let image = store.image(&found.target)?;
    if fits(&image) {
        Ok(image)
    } else {
        Err(CreateError::OtherPlatform(name.to_owned(), platform.to_string()))
    }
}

/// Has the image tool fetch an image; what it says goes to standard error, since standard output is the container's.
fn pull(home: &Home, args: &ContainerArgs, name: &str) -> Result<(), CreateError> {
    let program = program("mydocker-img", "MYDOCKER_IMG");
    let mut command = Command::new(&program);
    command.arg("--root").arg(home.images()).arg("pull");
    if let Some(platform) = &args.origin.platform {
        command.arg(format!("--platform={platform}"));
    }
    if args.origin.quiet {
        command.arg("--quiet");
    }
    command.arg("--").arg(name).stdin(Stdio::null()).stdout(io::stderr());
    let status = command.status().map_err(|source| CreateError::ImageTool(program, source))?;
    if status.success() { Ok(()) } else { Err(CreateError::Pull(name.to_owned())) }
}

/// `--volumes-from`: binds and volumes of other containers, where nothing else is mounted.
fn add_volumes_of_others(containers: &Containers, container: &mut Container) -> Result<(), CreateError> {
    for text in container.host_config.volumes_from.clone() {
        let (name, mode) = text.split_once(':').unwrap_or((&text, ""));
        if !matches!(mode, "" | "ro" | "rw" | "z" | "Z") {
            let problem = "after the container's name there is ro or rw".to_owned();
            return Err(RequestError::Value { flag: "volumes-from", value: text.clone(), problem }.into());
        }
        for mut mount in
            containers.find(name)?.mounts.into_iter().filter(|mount| mount.kind != MountKind::Tmpfs)
        {
            let is_taken = container.mounts.iter().any(|other| other.destination == mount.destination);
            mount.writable &= mode != "ro";
            mount.copy_up = false;
            if !is_taken {
                container.mounts.push(mount);
            }
        }
    }
    container.mounts.sort_by_key(|mount| mount.destination.components().count());
    Ok(())
}

/// Finds or makes the volumes; what is made for a container that then is not, stays as an empty volume, as with docker.
fn find_volumes(volumes: &Volumes, container: &mut Container) -> Result<(), CreateError> {
    let is_new = |mount: &&mut Mount| mount.kind == MountKind::Volume && mount.source.as_os_str().is_empty();
    for mount in container.mounts.iter_mut().filter(is_new) {
        let (labels, options) = (mount.volume_labels.clone(), mount.volume_options.clone());
        let volume = volumes.create(mount.name.as_deref(), labels, options)?;
        mount.name = Some(volume.name);
        mount.source = volume.path;
    }
    Ok(())
}

/// The file of `--cidfile`, which must not be there before, and goes if there is no container.
struct CidFile {
    path: PathBuf,
    file: File,
    is_written: bool,
}

impl CidFile {
    fn reserve(path: &Path) -> Result<Self, CreateError> {
        let file = OpenOptions::new().write(true).create_new(true).open(path);
        let file = file.map_err(|source| CreateError::CidFile(path.to_owned(), source))?;
        Ok(Self { path: path.to_owned(), file, is_written: false })
    }

    fn write(mut self, id: &str) -> Result<(), CreateError> {
        let written = self.file.write_all(id.as_bytes());
        self.is_written = written.is_ok();
        written.map_err(|source| CreateError::CidFile(self.path.clone(), source))
    }
}

impl Drop for CidFile {
    fn drop(&mut self) {
        if !self.is_written {
            // Why there is no container is told; an empty file is not worth a second complaint.
            fs::remove_file(&self.path).unwrap_or_default();
        }
    }
}
