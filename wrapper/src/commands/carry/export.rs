//! `export` and `diff`: all files of a container, and those that it has changed.

use crate::carry::{CarryError, tops};
use crate::cli::{DiffArgs, ExportArgs, Outcome};
use crate::container::Containers;
use crate::events::{Event, record};
use crate::home::Home;
use crate::look::changes::{Change, changes};
use crate::look::table::{self, Titles};
use mydocker_cmdline::{one_line, print};
use mydocker_img::cli::Row;
use mydocker_img::layer::pack::{PackError, Source, pack};
use mydocker_sys::fs::STDOUT;
use mydocker_sys::tty::is_terminal;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

const TITLES: &Titles = &[("Path", "PATH"), ("Type", "CHANGE TYPE")];

/// Why files are not told of, or not exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The files.
    #[error(transparent)]
    Carry(#[from] CarryError),
    /// The archive.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// A file for it.
    #[error("cannot write {0:?}")]
    File(PathBuf, #[source] io::Error),
    /// Standard output.
    #[error("cannot write to standard output")]
    Output(#[from] io::Error),
    /// An archive would go to a person's terminal.
    #[error("cowardly refusing to save to a terminal. Use the -o flag or redirect")]
    Terminal,
    /// Nothing is kept apart.
    #[error(
        "container {0} runs on a directory of the host as it is, so that nobody knows what it has changed"
    )]
    NoChanges(String),
    /// A system call.
    #[error(transparent)]
    System(#[from] mydocker_sys::Error),
}

/// Writes all files of a container to a tar, without those of its volumes.
///
/// # Errors
/// [`ExportError`]; no file is left then.
pub fn export(args: &ExportArgs, home: &Home) -> Outcome {
    let container = Containers::open(home)?.find(&args.container)?;
    if args.output.is_none() && is_terminal(STDOUT) {
        return Err(ExportError::Terminal.into());
    }
    let tree = tops(home, &container)?.all;
    let source = Source::Tree { tree, is_layer: false };
    match &args.output {
        None => write(&source, io::stdout().lock())?,
        Some(path) => {
            let failed = |source| ExportError::File(path.clone(), source);
            let written = File::create(path).map_err(failed).and_then(|file| write(&source, file));
            if let Err(error) = written {
                // The reason is told; half an archive is of no use.
                fs::remove_file(path).unwrap_or_default();
                return Err(error.into());
            }
        }
    }
    record(home, &Event::of(&container, "export"));
    Ok(0)
}

fn write(source: &Source, out: impl Write) -> Result<(), ExportError> {
    Ok(pack(source, BufWriter::new(out))?.flush()?)
}

/// Prints what a container has changed.
///
/// # Errors
/// [`ExportError`].
pub fn diff(args: &DiffArgs, home: &Home) -> Outcome {
    let container = Containers::open(home)?.find(&args.container)?;
    let template = table::template(args.format.as_deref(), None, "{{.Type}} {{.Path}}", TITLES)?;
    if matches!(container.root, crate::container::Root::Directory(_)) {
        return Err(ExportError::NoChanges(container.name).into());
    }
    let tops = tops(home, &container)?;
    let changed = match &tops.upper {
        Some(upper) => changes(upper, &tops.lower).map_err(ExportError::System)?,
        None => Vec::new(),
    };
    let rows: Vec<Row> = changed.iter().map(row).collect();
    print(&template.render(TITLES, &rows)?)?;
    Ok(0)
}

fn row((kind, path): &Change) -> Row {
    let path = one_line(&String::from_utf8_lossy(path));
    vec![("Path", path), ("Type", kind.letter().to_owned())]
}
