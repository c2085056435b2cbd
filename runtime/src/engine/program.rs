//! The user's program: found along the container's PATH, and its failures told apart.

use super::child::{Child, Fault, Outcome};
use super::failure::{Code, ProgramFault};
use mydocker_sys::{BorrowedFd, Errno, fs, process};
use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What is executed, in the form that execve takes.
#[derive(Debug, Clone)]
pub struct Program {
    /// The arguments, the program's name first.
    pub args: Vec<CString>,
    /// The whole environment.
    pub env: Vec<CString>,
    /// The user who runs it.
    pub uid: u32,
}

/// Where programs are looked for when the environment has no PATH, as execvp has it.
const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Program {
    /// The value of a variable in the program's environment.
    fn variable(&self, name: &[u8]) -> Option<&[u8]> {
        self.env.iter().find_map(|entry| entry.as_bytes().strip_prefix(name)?.strip_prefix(b"="))
    }
}

/// Says whether a path can be the program.
type Test = fn(&Path) -> Result<(), Errno>;

/// The path of the program: as it is where it has a slash, else the first match along PATH. Whether it can be run is
/// left to [`execute`].
pub(super) fn find(program: &Program) -> Outcome<CString> {
    look(program, executable)
}

/// The same of a program that is not executed at once: it is a regular file that the process may run as it is now.
pub(super) fn find_runnable(program: &Program) -> Outcome<CString> {
    look(program, runnable)
}

fn look(program: &Program, test: Test) -> Outcome<CString> {
    let Some(name) = program.args.first() else {
        return Err(Fault::Other(Code::ExecutableNotFound, "the process has no arguments".into()));
    };
    let bytes = name.as_bytes();
    if bytes.contains(&b'/') {
        return match test(Path::new(OsStr::from_bytes(bytes))) {
            Ok(()) => Ok(name.clone()),
            Err(errno) => Err(cannot_run(bytes, errno)),
        };
    }
    search(program, bytes, test)
}

/// Executes the program that was found, or as execvp does the next along PATH that may be executed; returns why none was.
pub(super) fn execute(program: &Program, found: &CStr, env: &[CString]) -> Fault {
    let error = process::exec(found, &program.args, env);
    let further = Some(Errno::EACCES).filter(|errno| *errno == error.errno());
    for path in further.into_iter().flat_map(|_| after(program, found)) {
        let error = process::exec(&path, &program.args, env);
        if error.errno() != Errno::EACCES && !is_elsewhere(error.errno()) {
            return explain(&path, &error);
        }
    }
    explain(found, &error)
}

/// Where else along PATH the program may be.
fn after(program: &Program, found: &CStr) -> impl Iterator<Item = CString> {
    let name = program.args.first().map(|name| name.as_bytes()).filter(|name| !name.contains(&b'/'));
    let paths = name.into_iter().flat_map(|name| candidates(program, name));
    let paths = paths.filter_map(|path| fs::cstring(&path).ok());
    paths.skip_while(move |path| path.as_c_str() != found).skip(1)
}

/// A name in every directory of PATH.
fn candidates<'a>(program: &'a Program, name: &'a [u8]) -> impl Iterator<Item = PathBuf> {
    let path = program.variable(b"PATH").unwrap_or(DEFAULT_PATH);
    let directories = path.split(|byte| *byte == b':');
    let directories = directories.filter(|directory| !name.is_empty() && !directory.is_empty());
    directories.map(|directory| Path::new(OsStr::from_bytes(directory)).join(OsStr::from_bytes(name)))
}

/// `HOME=...` for an environment without one, from the container's own passwd file; `/` for a user without an entry.
/// The image controls that file: only a regular one of ordinary size is read.
pub(super) fn missing_home(child: &mut Child<'_>) -> Outcome<Option<CString>> {
    let program = &child.compiled.program;
    if program.variable(b"HOME").is_some_and(|home| !home.is_empty()) {
        return Ok(None);
    }
    let home =
        passwd(child.root()?)?.and_then(|passwd| home_of(&passwd, program.uid)).unwrap_or_else(|| "/".into());
    Ok(CString::new(format!("HOME={home}")).ok())
}

/// The container's passwd file, if it has one that a process of its own could read, and not one of the host's: the image may
/// make `/etc` a link to a descriptor of the runtime's (CVE-2024-21626). A disk that fails is no reason to put a user into
/// another directory.
fn passwd(root: BorrowedFd<'_>) -> Outcome<Option<String>> {
    const MOST: usize = 1 << 20;
    let flags = fs::OFlag::O_RDONLY | fs::OFlag::O_NONBLOCK | fs::OFlag::O_NOFOLLOW | fs::OFlag::O_NOCTTY;
    let file = match fs::open_in_root_if_present(root, Path::new("/etc/passwd"), flags) {
        Err(error) if matches!(error.errno(), Errno::EIO | Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM) => {
            return Err(error.into());
        }
        Err(_) | Ok(None) => return Ok(None),
        Ok(Some(file)) => file,
    };
    let stat = fs::fstat(&file)?;
    if stat.st_mode & libc::S_IFMT != libc::S_IFREG || stat.st_size as usize > MOST {
        return Ok(None);
    }
    let mut text = vec![0u8; stat.st_size as usize];
    let length = fs::read(&file, &mut text)?;
    text.truncate(length);
    Ok(Some(String::from_utf8_lossy(&text).into_owned()))
}

/// The sixth field of the first entry whose third field is the number: names that look like numbers are names.
fn home_of(passwd: &str, uid: u32) -> Option<String> {
    let entry = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    entry
        .filter(|fields| fields.len() >= 6 && fields[2].parse() == Ok(uid))
        .map(|fields| fields[5].to_owned())
        .find(|home| home.starts_with('/'))
}

fn search(program: &Program, name: &[u8], test: Test) -> Outcome<CString> {
    let mut denied = false;
    for candidate in candidates(program, name) {
        match test(&candidate) {
            Ok(()) => return Ok(fs::cstring(&candidate)?),
            // execve says the first of a directory, too.
            Err(Errno::EACCES | Errno::EISDIR) => denied = true,
            Err(errno) if is_elsewhere(errno) => {}
            Err(errno) => return Err(cannot_run(candidate.as_os_str().as_bytes(), errno)),
        }
    }
    if denied {
        return Err(cannot_run(name, Errno::EACCES));
    }
    let message = format!("exec: {:?}: executable file not found in $PATH", String::from_utf8_lossy(name));
    Err(fault(Code::ExecutableNotFound, name, None, message))
}

/// Whether an error says no more than that this directory does not have the program.
fn is_elsewhere(errno: Errno) -> bool {
    matches!(errno, Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::ENAMETOOLONG)
}

/// Whether a path may be executed, or is a directory that may be entered.
fn executable(path: &Path) -> Result<(), Errno> {
    fs::executable(path).map_err(|error| error.errno())?;
    if path.as_os_str().as_bytes().ends_with(b"/") { Err(Errno::EISDIR) } else { Ok(()) }
}

/// Whether a path is a regular file that may be executed.
fn runnable(path: &Path) -> Result<(), Errno> {
    executable(path)?;
    match fs::stat(path).map_err(|error| error.errno())?.st_mode & libc::S_IFMT {
        libc::S_IFREG => Ok(()),
        libc::S_IFDIR => Err(Errno::EISDIR),
        _ => Err(Errno::EACCES),
    }
}

fn fault(code: Code, path: &[u8], errno: impl Into<Option<Errno>>, message: String) -> Fault {
    let path = String::from_utf8_lossy(path).into_owned();
    Fault::Program(ProgramFault { code, path, errno: errno.into(), message })
}

fn cannot_run(program: &[u8], errno: Errno) -> Fault {
    let name = String::from_utf8_lossy(program);
    let reason = lowercase(errno);
    let (code, message) = match errno {
        Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP => {
            (Code::ExecutableNotFound, format!("exec: {name:?}: stat {name}: {reason}"))
        }
        // Callers look for the words of EACCES, which execve says of a directory.
        Errno::EISDIR => {
            let denied = lowercase(Errno::EACCES);
            (Code::ExecutableNotRunnable, format!("exec: {name:?}: {reason}: {denied}"))
        }
        _ => (Code::ExecutableNotRunnable, format!("exec: {name:?}: {reason}")),
    };
    fault(code, program, errno, message)
}

/// The C library's words as runc's callers know them.
fn lowercase(errno: Errno) -> String {
    errno.desc().to_lowercase()
}

/// Tells why execve failed: with ENOENT the file itself may be there and what it needs may not.
pub(super) fn explain(path: &CStr, error: &mydocker_sys::Error) -> Fault {
    let shown = path.to_string_lossy();
    let file = Path::new(OsStr::from_bytes(path.to_bytes()));
    match error.errno() {
        Errno::ENOENT => missing_helper(file).unwrap_or_else(|| cannot_run(path.to_bytes(), Errno::ENOENT)),
        errno => {
            let reason = lowercase(errno);
            let more = if errno == Errno::ENOEXEC {
                ": it is neither a script with a #! line nor a binary for this machine"
            } else {
                ""
            };
            let message = format!("exec {shown}: {reason}{more}");
            fault(Code::ExecutableNotRunnable, path.to_bytes(), errno, message)
        }
    }
}

/// The interpreter or the loader that an existing file names and that does not exist.
fn missing_helper(file: &Path) -> Option<Fault> {
    let head = read_head(file)?;
    let shown = file.display();
    if let Some(interpreter) = script_interpreter(&head) {
        let message = format!(
            "exec {shown}: no such file or directory: its #! line names the interpreter {interpreter:?}, which is not in \
             the container"
        );
        return Some(fault(Code::InterpreterNotFound, file.as_os_str().as_bytes(), Errno::ENOENT, message));
    }
    let loader = elf_loader(&head)?;
    let message = format!(
        "exec {shown}: no such file or directory: it needs the ELF loader {loader:?}, which is not in the container"
    );
    Some(fault(Code::LoaderNotFound, file.as_os_str().as_bytes(), Errno::ENOENT, message))
}

/// The first kilobytes of a regular file; the program headers of an ELF file lie there.
fn read_head(file: &Path) -> Option<Vec<u8>> {
    let fd = fs::open(file, fs::OFlag::O_RDONLY | fs::OFlag::O_NONBLOCK).ok()?;
    let mut head = vec![0u8; 8192];
    let length = fs::read(&fd, &mut head).ok()?;
    head.truncate(length);
    Some(head)
}

fn script_interpreter(head: &[u8]) -> Option<String> {
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let text = String::from_utf8_lossy(line);
    // A file from another system ends its lines with \r, which the kernel takes as part of the name.
    text.split([' ', '\t']).find(|word| !word.is_empty()).map(str::to_owned)
}

/// The path in the `PT_INTERP` segment of an ELF file of either size and byte order.
fn elf_loader(head: &[u8]) -> Option<String> {
    const PT_INTERP: u64 = 3;
    let elf = Elf::new(head)?;
    let (table, entry_size, count) = if elf.wide {
        (elf.number(32, 8)?, elf.number(54, 2)?, elf.number(56, 2)?)
    } else {
        (elf.number(28, 4)?, elf.number(42, 2)?, elf.number(44, 2)?)
    };
    for index in 0..count {
        let entry = usize::try_from(table.checked_add(index.checked_mul(entry_size)?)?).ok()?;
        if elf.number(entry, 4)? != PT_INTERP {
            continue;
        }
        let (offset, size) = if elf.wide {
            (elf.number(entry + 8, 8)?, elf.number(entry + 32, 8)?)
        } else {
            (elf.number(entry + 4, 4)?, elf.number(entry + 16, 4)?)
        };
        let start = usize::try_from(offset).ok()?;
        let end = start.checked_add(usize::try_from(size).ok()?)?;
        let name = head.get(start..end)?.split(|byte| *byte == 0).next()?;
        return Some(String::from_utf8_lossy(name).into_owned());
    }
    None
}

/// The beginning of an ELF file.
struct Elf<'a> {
    head: &'a [u8],
    wide: bool,
    big_endian: bool,
}

impl<'a> Elf<'a> {
    fn new(head: &'a [u8]) -> Option<Self> {
        let ident = head.get(..6)?;
        ident.starts_with(b"\x7fELF").then_some(Self { head, wide: ident[4] == 2, big_endian: ident[5] == 2 })
    }

    fn number(&self, offset: usize, length: usize) -> Option<u64> {
        let bytes = self.head.get(offset..offset.checked_add(length)?)?;
        let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        Some(if self.big_endian { bytes.iter().fold(0, fold) } else { bytes.iter().rev().fold(0, fold) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interpreter_of_a_script_is_its_first_word() {
        assert_eq!(script_interpreter(b"#! /bin/sh -e\necho"), Some("/bin/sh".into()));
        assert_eq!(script_interpreter(b"#!/bin/sh\r\n"), Some("/bin/sh\r".into()));
        assert_eq!(script_interpreter(b"echo"), None);
        assert_eq!(script_interpreter(b"#!"), None);
    }

    #[test]
    fn home_is_found_by_number_and_never_by_a_name_that_looks_like_one() {
        let passwd =
            "root:x:0:0:root:/root:/bin/sh\n1000:x:0:0::/evil:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\n";
        assert_eq!(home_of(passwd, 1000), Some("/home/me".into()));
        assert_eq!(home_of(passwd, 0), Some("/root".into()));
        assert_eq!(home_of(passwd, 7), None);
        assert_eq!(home_of("x:y:z", 0), None);
    }

    #[test]
    fn the_loader_is_read_from_the_program_headers() {
        let shell = std::fs::read("/bin/sh").unwrap();
        let loader = elf_loader(&shell[..8192]).unwrap();
        assert!(loader.starts_with("/lib"), "{loader}");
    }

    #[test]
    fn damaged_elf_headers_are_no_loader() {
        let mut shell = std::fs::read("/bin/sh").unwrap();
        shell.truncate(8192);
        for cut in [0, 3, 6, 20, 60, 70] {
            assert_eq!(elf_loader(&shell[..cut]), None);
        }
        shell[32..40].fill(0xff);
        assert_eq!(elf_loader(&shell), None);
    }
}
