//! `cp`: files between a container and the host.

use crate::carry::{ArchiveSink, CarryError, Side, TreeSink, open_root, unpack, walk};
use crate::cli::{CpArgs, Outcome};
use crate::container::{Containers, ContainersError};
use crate::events::{Event, record};
use crate::home::Home;
use mydocker_img::cli::human_size;
use mydocker_sys::fs::{OFlag, STDOUT, open, open_in_root};
use mydocker_sys::tty::is_terminal;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// Why nothing is copied.
#[derive(Debug, thiserror::Error)]
pub enum CpError {
    /// Neither side is a container.
    #[error("must specify at least one container source; write CONTAINER:PATH")]
    NoContainer,
    /// Both are.
    #[error(
        "copying between containers is not supported; copy to the host first, or pipe: cp A:PATH - | cp - B:PATH"
    )]
    TwoContainers,
    /// An archive would go to a person's terminal.
    #[error("an archive is not for a terminal; redirect the output, or name a file")]
    Terminal,
    /// The container.
    #[error(transparent)]
    Containers(#[from] ContainersError),
    /// The files.
    #[error(transparent)]
    Carry(#[from] CarryError),
    /// The host's root or working directory.
    #[error("cannot find out where relative paths begin")]
    Here(#[source] io::Error),
    /// A system call.
    #[error(transparent)]
    System(#[from] mydocker_sys::Error),
}

/// One end of a copy as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum End<'a> {
    Container(&'a str, &'a str),
    Host(&'a str),
    /// `-`
    Stream,
}

/// Copies files from a container to the host, or the other way round.
///
/// # Errors
/// [`CpError`]; what has been copied by then stays.
pub fn cp(args: &CpArgs, home: &Home) -> Outcome {
    let (source, destination) = (end(&args.source), end(&args.destination));
    let containers = Containers::open(home)?;
    let (size, to) = match (&source, &destination) {
        (End::Container(..), End::Container(..)) => return Err(CpError::TwoContainers.into()),
        (End::Container(name, path), End::Stream) => {
            copy_to_stream(args, &containers, name, path)?;
            return Ok(0);
        }
        (End::Container(name, path), End::Host(to)) => (copy_out(args, &containers, name, path, to)?, *to),
        (End::Stream, End::Container(name, path)) => {
            copy_from_stream(args, &containers, name, path)?;
            return Ok(0);
        }
        (End::Host(from), End::Container(name, path)) => {
            (copy_in(args, &containers, from, name, path)?, args.destination.as_str())
        }
        _ => return Err(CpError::NoContainer.into()),
    };
    if !args.quiet {
        // When standard error is closed there is nobody left to tell.
        let line = mydocker_cmdline::one_line(&format!("Successfully copied {} to {to}", human_size(size)));
        writeln!(io::stderr(), "{line}").unwrap_or_default();
    }
    Ok(0)
}

/// What begins with `.` or `/` is a path of the host, whatever follows.
fn end(text: &str) -> End<'_> {
    match text.split_once(':') {
        _ if text == "-" => End::Stream,
        Some((name, path)) if !name.is_empty() && !text.starts_with(['.', '/']) => End::Container(name, path),
        _ => End::Host(text),
    }
}

fn container_side(
    containers: &Containers,
    name: &str,
    action: &str,
) -> Result<(Side, crate::carry::Root), CpError> {
    let container = containers.find(name)?;
    let root = open_root(containers, &container)?;
    record(containers.home(), &Event::of(&container, action));
    let fd = mydocker_sys::fs::dup(&root.fd)?;
    Ok((Side { root: fd, container: Some(name.to_owned()) }, root))
}

fn host_side() -> Result<Side, CpError> {
    Ok(Side { root: open(Path::new("/"), OFlag::O_PATH | OFlag::O_DIRECTORY)?, container: None })
}

/// A path of the host from its root, with the ending that says what it means.
fn from_root(text: &str) -> Result<String, CpError> {
    let here = if text.starts_with('/') {
        PathBuf::new()
    } else {
        std::env::current_dir().map_err(CpError::Here)?
    };
    Ok(format!("{}/{text}", here.display()))
}

fn copy_to_stream(args: &CpArgs, containers: &Containers, name: &str, path: &str) -> Result<(), CpError> {
    if is_terminal(STDOUT) {
        return Err(CpError::Terminal);
    }
    let (side, root) = container_side(containers, name, "archive-path")?;
    let origin = side.origin(path, args.follow_link)?;
    let mut sink = ArchiveSink::new(BufWriter::new(io::stdout().lock()));
    walk(&origin.fd, &origin.name, &mut sink)?;
    sink.finish()?;
    Ok(root.close()?)
}

fn copy_out(
    args: &CpArgs,
    containers: &Containers,
    name: &str,
    path: &str,
    to: &str,
) -> Result<u64, CpError> {
    // The host's root first: a container that does not run is mounted in a namespace of this process.
    let host = host_side()?;
    let (side, root) = container_side(containers, name, "archive-path")?;
    let origin = side.origin(path, args.follow_link)?;
    let place = host.destination(&from_root(to)?, &origin)?;
    let directory = open_in_root(&host.root, &place.directory, OFlag::O_PATH | OFlag::O_DIRECTORY, 0)?;
    let mut sink = TreeSink::on_host(directory, args.archive);
    let size = walk(&origin.fd, &place.name, &mut sink)?;
    sink.finish()?;
    root.close()?;
    Ok(size)
}

fn copy_in(
    args: &CpArgs,
    containers: &Containers,
    from: &str,
    name: &str,
    path: &str,
) -> Result<u64, CpError> {
    let origin = host_side()?.origin(&from_root(from)?, args.follow_link)?;
    let (side, root) = container_side(containers, name, "extract-to-dir")?;
    let place = side.destination(path, &origin)?;
    let mut sink = TreeSink::in_container(side.root, place.directory, args.archive);
    let size = walk(&origin.fd, &place.name, &mut sink)?;
    sink.finish()?;
    root.close()?;
    Ok(size)
}

fn copy_from_stream(args: &CpArgs, containers: &Containers, name: &str, path: &str) -> Result<(), CpError> {
    let (side, root) = container_side(containers, name, "extract-to-dir")?;
    let directory = side.directory(path)?;
    let mut sink = TreeSink::in_container(side.root, directory, args.archive);
    unpack(io::stdin().lock(), &mut sink)?;
    sink.finish()?;
    Ok(root.close()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_told_apart() {
        for (text, expected) in [
            ("-", End::Stream),
            ("web:/etc", End::Container("web", "/etc")),
            ("web:", End::Container("web", "")),
            ("./a:b", End::Host("./a:b")),
            ("/a:b", End::Host("/a:b")),
            ("a", End::Host("a")),
            (":a", End::Host(":a")),
        ] {
            assert_eq!(end(text), expected, "{text}");
        }
    }
}
