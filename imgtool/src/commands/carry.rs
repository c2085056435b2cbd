//! `save`, `load`, `import` and `export`: images and trees as files.

use super::commit::{CommitCommandError, new_name, options};
use super::local::{FindError, find};
use super::tree::{TreeError, tree};
use super::trust::{TrustError, demand_file};
use crate::carry::{
    Format, Layout, LoadError, Loaded, SaveError, SavedImage, SpoolError, load, save, save_directory,
    spool_directory,
};
use crate::cli::{Context, Display, ExportArgs, ImportArgs, LoadArgs, SaveArgs, SaveFormat};
use crate::layer::pack::{PackError, Source, pack};
use crate::make::{CommitOptions, ImportError, import};
use crate::platform::{Platform, PlatformError};
use crate::reference::ReferenceError;
use crate::store::{Store, StoreError};
use crate::verify::Transport;
use mydocker_cmdline::print;
use std::fs::{self, File};
use std::io::{self, BufWriter, Cursor, IsTerminal as _, Read, Write as _};
use std::path::{Path, PathBuf};

/// From which length on a file of an archive is shown while it comes, in bytes: it is a layer then, and takes a while.
const LARGE: u64 = 1 << 20;

/// Why nothing was carried.
#[derive(Debug, thiserror::Error)]
pub enum CarryError {
    /// There is no such image.
    #[error(transparent)]
    Find(#[from] FindError),
    /// A name is none.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// A platform is none.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The images are not saved.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// The archive is not loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The policy does not let it in.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The archive does not become an image.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// What was said about the new image.
    #[error(transparent)]
    Make(#[from] CommitCommandError),
    /// The tree.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The tree does not become an archive.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// An archive is nothing for a terminal.
    #[error("an archive is not written to a terminal; name a file with --output, or redirect the output")]
    Terminal,
    /// An archive does not come from a terminal.
    #[error("an archive is not read from a terminal; name a file with --input, or redirect the input")]
    FromTerminal,
    /// A layout needs a directory.
    #[error("oci-dir needs a directory; name it with --output")]
    NoDirectory,
    /// What is not fetched.
    #[error(
        "{0:?} is not fetched: fetch it with another program and give '-', as in 'curl -L URL | mydocker-img import - NAME'"
    )]
    Url(String),
    /// How an archive is compressed.
    #[error(
        "the archive is compressed with {0}, which is not supported; uncompress it with '{1} -dc' and give the result"
    )]
    Compressed(&'static str, &'static str),
    /// A file.
    #[error("cannot {action} {path:?}")]
    File {
        /// What was to be done.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// Standard input or output.
    #[error("cannot use standard input or output")]
    Standard(#[from] io::Error),
    /// What to write.
    #[error("{0:?} is no output; write oci-archive:FILE, docker-archive:FILE or oci-dir:DIRECTORY")]
    Output(String),
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CarryError {
    let path = path.to_owned();
    move |source| CarryError::File { action, path, source }
}

/// Writes images to an archive or a layout.
///
/// # Errors
/// [`CarryError`]; a file that was to be written is then what it was.
pub fn save_command(args: &SaveArgs, context: &Context) -> Result<(), CarryError> {
    let store = context.store()?;
    let _hold = store.hold()?;
    let mut images: Vec<SavedImage> = Vec::new();
    for text in &args.images {
        let found = find(&store, text)?;
        match images.iter_mut().find(|image| image.target == found.target) {
            Some(known) => known.names.extend(found.name.filter(|name| !known.names.contains(name))),
            None => images.push(SavedImage { target: found.target, names: found.name.into_iter().collect() }),
        }
    }
    save_images(&store, &images, args.format, args.output.as_deref())
}

fn save_images(
    store: &Store,
    images: &[SavedImage],
    format: SaveFormat,
    output: Option<&Path>,
) -> Result<(), CarryError> {
    let format = match format {
        SaveFormat::DockerArchive => Format::DockerArchive,
        SaveFormat::OciArchive => Format::OciArchive,
        SaveFormat::OciDir => {
            let directory = output.ok_or(CarryError::NoDirectory)?;
            return Ok(save_directory(store, images, directory)?);
        }
    };
    write_to(output, |file| Ok(save(store, images, format, file).map(drop)?))
}

/// Writes one image to what `KIND:FILE` says.
///
/// # Errors
/// [`CarryError`].
pub(super) fn save_as(store: &Store, image: &SavedImage, output: &Output) -> Result<(), CarryError> {
    save_images(store, std::slice::from_ref(image), output.format, Some(&output.path))
}

/// Where an image is written to: `KIND:FILE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Output {
    format: SaveFormat,
    path: PathBuf,
}

impl Output {
    /// # Errors
    /// [`CarryError::Output`].
    pub(super) fn parse(text: &str) -> Result<Self, CarryError> {
        let refuse = || CarryError::Output(text.to_owned());
        let (kind, path) = text.split_once(':').filter(|(_, path)| !path.is_empty()).ok_or_else(refuse)?;
        let format = match kind {
            "oci-archive" => SaveFormat::OciArchive,
            "docker-archive" => SaveFormat::DockerArchive,
            "oci-dir" => SaveFormat::OciDir,
            _ => return Err(refuse()),
        };
        Ok(Self { format, path: PathBuf::from(path) })
    }
}

/// Writes to a file, which is there when it is complete, or to standard output, unless that is a terminal.
fn write_to(
    output: Option<&Path>,
    write: impl FnOnce(&mut dyn io::Write) -> Result<(), CarryError>,
) -> Result<(), CarryError> {
    let Some(path) = output else {
        let stdout = io::stdout();
        if stdout.is_terminal() {
            return Err(CarryError::Terminal);
        }
        let mut out = BufWriter::with_capacity(256 << 10, stdout);
        write(&mut out)?;
        return Ok(out.flush()?);
    };
    // A device or a pipe is written to, a file replaced.
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        let mut out = fs::OpenOptions::new().write(true).open(path).map_err(failed("open", path))?;
        return write(&mut out);
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let mut out =
        BufWriter::with_capacity(256 << 10, File::create(&temporary).map_err(failed("write", &temporary))?);
    let written = write(&mut out)
        .and_then(|()| out.flush().map_err(failed("write", &temporary)))
        .and_then(|()| fs::rename(&temporary, path).map_err(failed("rename", &temporary)));
    if written.is_err() {
        // The reason why it is given up is told.
        fs::remove_file(&temporary).unwrap_or_default();
    }
    written
}

/// Brings the images of an archive into the store.
///
/// # Errors
/// [`CarryError`].
pub fn load_command(args: &LoadArgs, context: &Context) -> Result<(), CarryError> {
    let store = context.store()?;
    let _hold = store.hold()?;
    let display = Display::new(args.quiet);
    let loaded = display.during(|| read_archive(args, context, &store, &display))?;
    let mut text = String::new();
    for Loaded { target, names, .. } in &loaded {
        if names.is_empty() {
            text += &format!("Loaded image ID: {}\n", store.image(target)?.id());
        }
        text.extend(names.iter().map(|name| format!("Loaded image: {}\n", name.familiar())));
    }
    Ok(print(&text)?)
}

fn read_archive(
    args: &LoadArgs,
    context: &Context,
    store: &Store,
    display: &Display,
) -> Result<Vec<Loaded>, CarryError> {
    let name = args.name.as_deref().map(new_name).transpose()?;
    let name = name.as_ref();
    let input = args.input.as_deref().map(without_links);
    let is_directory = input.as_ref().is_some_and(|path| path.is_dir());
    let admit = |layout: Layout| -> Result<(), CarryError> {
        let transport = match layout {
            Layout::Docker => Transport::DockerArchive,
            Layout::Oci if is_directory => Transport::Oci,
            Layout::Oci => Transport::OciArchive,
        };
        Ok(demand_file(args.signature_policy.as_deref(), context, transport, input.as_deref())?)
    };
    let told = |file: &str, here, size| {
        if size >= LARGE {
            display.loading(short_name(file), here, size);
        }
    };
    match &input {
        Some(path) if is_directory => {
            let directory = File::open(path).map_err(failed("open", path))?;
            spool_directory(directory.into(), |archive| load(store, archive, name, &told, admit))
        }
        Some(path) => load(store, input_file(path)?, name, &told, admit),
        None => load(store, standard_input()?, name, &told, admit),
    }
}

/// What a layer is called in an archive, shortened: `blobs/sha256/HEX`, `HEX.tar`, `HEX/layer.tar`.
fn short_name(file: &str) -> &str {
    let name = file.strip_suffix("/layer.tar").unwrap_or(file);
    let name = name.rsplit('/').next().unwrap_or(name);
    name.get(..12).unwrap_or(name)
}

/// An archive whose first bytes have been looked at.
type Input<R> = io::Chain<Cursor<Vec<u8>>, R>;

/// The path by which a file is opened and by which a policy is asked about it; what has none, such as a pipe, as it was typed.
fn without_links(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

fn input_file(path: &Path) -> Result<Input<File>, CarryError> {
    looked_at(File::open(path).map_err(failed("open", path))?).map_err(|error| match error {
        CarryError::Standard(error) => failed("read", path)(error),
        other => other,
    })
}

fn standard_input() -> Result<Input<io::Stdin>, CarryError> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return Err(CarryError::FromTerminal);
    }
    looked_at(stdin)
}

/// Refuses what is compressed in a way that is not supported, by its name.
fn looked_at<R: Read>(mut input: R) -> Result<Input<R>, CarryError> {
    let mut start = Vec::new();
    input.by_ref().take(6).read_to_end(&mut start)?;
    match start.as_slice() {
        b"\xfd7zXZ\0" => Err(CarryError::Compressed("xz", "xz")),
        [b'B', b'Z', b'h', ..] => Err(CarryError::Compressed("bzip2", "bzip2")),
        [4, 0x22, 0x4d, 0x18, ..] => Err(CarryError::Compressed("lz4", "lz4")),
        [b'L', b'Z', b'I', b'P', ..] => Err(CarryError::Compressed("lzip", "lzip")),
        _ => Ok(Cursor::new(start).chain(input)),
    }
}

/// Makes a tar of a root file system an image, and prints its id.
///
/// # Errors
/// [`CarryError`].
pub fn import_command(args: &ImportArgs, context: &Context) -> Result<(), CarryError> {
    if args.file.starts_with("http://") || args.file.starts_with("https://") {
        return Err(CarryError::Url(args.file.clone()));
    }
    let mut options = options(&args.make, context, new_name(&args.image)?)?;
    let path = Some(Path::new(&args.file)).filter(|_| args.file != "-").map(without_links);
    demand_file(args.signature_policy.as_deref(), context, Transport::Tarball, path.as_deref())?;
    options.platform = args.platform.as_deref().map(Platform::parse).transpose()?;
    let message = options.message.take().unwrap_or_else(|| format!("Imported from {}", args.file));
    let options = CommitOptions { message: Some(message), ..options };
    let store = context.store()?;
    let image = match &path {
        None => import(&store, standard_input()?, &options)?,
        Some(file) => import(&store, input_file(file)?, &options)?,
    };
    Ok(print(&format!("{}\n", image.id()))?)
}

/// Writes the whole tree of an image or a bundle as one tar.
///
/// # Errors
/// [`CarryError`].
pub fn export_command(args: &ExportArgs, context: &Context) -> Result<(), CarryError> {
    let store = context.store()?;
    let _hold = store.hold()?;
    let source = Source::Tree { tree: tree(&store, &args.source)?, is_layer: false };
    write_to(args.output.as_deref(), |file| Ok(pack(&source, file).map(drop)?))
}

impl From<SpoolError> for CarryError {
    fn from(error: SpoolError) -> Self {
        Self::Load(error.into())
    }
}
