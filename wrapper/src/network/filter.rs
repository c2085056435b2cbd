//! The packet filter: iptables-save and iptables-restore, and whether it has changed.

use super::NetworkError;
use super::error::failed;
use super::netavark::{on_path, read, wait};
use mydocker_sys::fs::memfd;
use mydocker_sys::netlink::{HEADER, NetlinkSocket, Request, attributes};
use mydocker_sys::process::die_with_parent;
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// `<linux/netfilter/nfnetlink.h>`, `<linux/netfilter/nf_tables.h>`
const NFT_MSG_GETGEN: u16 = 10 << 8 | 16;
const NFTA_GEN_ID: u16 = 1;
/// The family, the version and a number, which no answer depends on.
const NFGENMSG: [u8; 4] = [0; 4];

/// What is in the packet filter for IPv4, as iptables-save tells it.
pub(super) fn saved() -> Result<String, NetworkError> {
    let program = program("iptables-save")?;
    let mut command = Command::new(&program);
    command.stdin(Stdio::null());
    run(command, &program, "iptables-save")
}

/// Changes the packet filter for IPv4: all of a table or nothing.
pub(super) fn restore(text: &str) -> Result<(), NetworkError> {
    let program = program("iptables-restore")?;
    let mut input = File::from(memfd(c"iptables")?);
    let written = input.write_all(text.as_bytes()).and_then(|()| input.rewind());
    written.map_err(failed("write", Path::new("memfd")))?;
    let mut command = Command::new(&program);
    command.args(["--wait", "--noflush"]).stdin(input);
    run(command, &program, "iptables-restore").map(drop)
}

/// The number of changes to nf_tables; `None` where the kernel has none, or does not tell.
pub(super) fn generation() -> Option<u32> {
    let mut request = Request::new("NFT_MSG_GETGEN", NFT_MSG_GETGEN, 0);
    request.part(&NFGENMSG);
    let answers = NetlinkSocket::netfilter().and_then(|socket| socket.talk(&request)).ok()?;
    let rest = answers.first()?.get(HEADER + NFGENMSG.len()..)?;
    let (_, number) = attributes(rest).find(|(kind, _)| *kind == NFTA_GEN_ID)?;
    Some(u32::from_be_bytes(number.try_into().ok()?))
}

/// Whether iptables works on nf_tables, so that [`generation`] tells of its changes; the other kind has no such number.
pub(super) fn is_counted(saved: &str) -> bool {
    saved.lines().next().is_some_and(|line| line.contains("(nf_tables)"))
}

fn program(name: &'static str) -> Result<PathBuf, NetworkError> {
    on_path(name).ok_or(NetworkError::Missing { program: name, package: "iptables" })
}

/// Runs it to its end. It ends with its starter: what nobody waits for must not come after what the next one does.
fn run(mut command: Command, program: &Path, name: &'static str) -> Result<String, NetworkError> {
    let (out, err) = (File::from(memfd(c"iptables")?), File::from(memfd(c"iptables")?));
    let copy = |file: &File| file.try_clone().map_err(failed("copy", Path::new("memfd")));
    command.stdout(copy(&out)?).stderr(copy(&err)?).current_dir("/");
    die_with_parent(&mut command);
    let child = command.spawn().map_err(|source| NetworkError::Run(program.to_owned(), source))?;
    if wait(child, program)? {
        return read(out);
    }
    let said = read(err)?;
    let message = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("it failed without a word");
    Err(NetworkError::Program { program: name, message: message.to_owned() })
}
