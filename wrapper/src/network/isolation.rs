//! That containers of one network do not reach those of another one, but by the ports that these publish.
//!
//! netavark makes the rules: whatever comes from one bridge and goes to another one is dropped. Two things it does not see
//! to, and so are done here. What comes for a published port of the host is to reach it from everywhere, also from another
//! network. And netavark 1.4 takes the rule that leads to all this away with the last container of any network, although
//! others rely on it: so there is another one to the same end, which it does not know.

use super::NetworkError;
use super::netavark::{Info, on_path, read, wait};
use super::networks::interface_exists;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// netavark's chain with a rule for each bridge.
const CHAIN: &str = "NETAVARK_ISOLATION_1";
/// What the packet filter has led from a port of the host to a container, and the answers to it.
const PUBLISHED: &[&str] = &["-m", "conntrack", "--ctstate", "DNAT", "-j", "RETURN"];

/// The rule by which forwarded packets come to the chain. Its comment makes it another one than netavark's.
const JUMP: &[&str] = &["FORWARD", "-m", "comment", "--comment", "mydocker", "-j", CHAIN];

/// Isolates networks, and lets what is published through: to be called when netavark has made the rules of a network, which come before those
/// that were there.
pub(super) fn after_joining(info: &Info, publishes: bool) -> Result<(), NetworkError> {
    for program in programs(info) {
        if !filter(&program, &[&["-C"], JUMP].concat(), Stdio::null())? {
            filter(&program, &[&["-I"], JUMP].concat(), Stdio::null())?;
        }
        let rules = rules(&program)?;
        let is_published = |rule: &String| rule.ends_with(&PUBLISHED.join(" "));
        let is_there = rules.iter().any(is_published);
        if rules.first().is_some_and(is_published) || !(publishes || is_there) {
            continue;
        }
        if is_there {
            filter(&program, &[&["-D", CHAIN], PUBLISHED].concat(), Stdio::null())?;
        }
        filter(&program, &[&["-I", CHAIN, "1"], PUBLISHED].concat(), Stdio::null())?;
    }
    Ok(())
}

/// Forgets all that when no network is left: to be called when netavark has taken a container off a network.
pub(super) fn after_parting(info: &Info) -> Result<(), NetworkError> {
    if interface_exists(&info.network_interface) {
        return Ok(());
    }
    for program in programs(info) {
        let rules = rules(&program)?;
        if rules.iter().any(|rule| rule.contains(" -i ")) {
            continue;
        }
        // What is not there need not go.
        filter(&program, &[&["-D"], JUMP].concat(), Stdio::null())?;
        if !rules.is_empty() {
            filter(&program, &[&["-D", CHAIN], PUBLISHED].concat(), Stdio::null())?;
        }
    }
    Ok(())
}

/// The packet filter's commands for the kinds of addresses that a network has.
fn programs(info: &Info) -> impl Iterator<Item = PathBuf> {
    let kinds = [("iptables", '.'), ("ip6tables", ':')];
    let has = |sign: char| info.subnets.iter().any(|subnet| subnet.subnet.contains(sign));
    let wanted = kinds.map(|(program, sign)| has(sign).then(|| on_path(program)).flatten());
    wanted.into_iter().flatten()
}

/// The rules of the chain; none if there is no such chain.
fn rules(program: &Path) -> Result<Vec<String>, NetworkError> {
    let out = File::from(mydocker_sys::fs::memfd(c"iptables")?);
    let copy = out.try_clone().map_err(super::error::failed("copy", Path::new("memfd")))?;
    filter(program, &["-S", CHAIN], copy.into())?;
    Ok(read(out)?.lines().filter(|line| line.starts_with("-A ")).map(str::to_owned).collect())
}

/// Runs the packet filter's command; says whether it succeeded.
fn filter(program: &Path, arguments: &[&str], out: Stdio) -> Result<bool, NetworkError> {
    let mut command = Command::new(program);
    command.arg("-w").args(arguments).stdin(Stdio::null()).stdout(out).stderr(Stdio::null()).current_dir("/");
    wait(command.spawn().map_err(|source| NetworkError::Run(program.to_owned(), source))?, program)
}
