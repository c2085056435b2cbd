//! What is measured of engines, as scripts.

use super::{Brand, Engine};
use crate::arena::Arena;
use crate::meter::Part;
use crate::runtime::Entrant;
use crate::workload::{PROOF, PROOF_STATUS, Script, Step, Workload};
use mydocker_tests::plug::BUSYBOX;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// How many containers [`Workload::EnginePs`] has.
const MANY: u64 = 100;
/// How many containers [`Workload::EnginePsMany`] has.
const VERY_MANY: u64 = 1000;
/// How many containers [`Workload::EngineAtOnce`] starts.
const AT_ONCE: u64 = 50;
/// Where their ports of the host begin.
const FIRST_PORT: u64 = 20_000;
/// How long a line is that goes through the log, with its end, in bytes.
pub const LINE: u64 = 100;
/// What a line of docker's log file has besides the line's text: keys, quotes, the escaped newline, the time.
const LOG_OVERHEAD: u64 = 70;
/// How many lines the monitor has copied when its memory is looked at: 10 MB.
const LINES_OF_IDLER: u64 = 100_000;

/// Prints how many of `$1` containers, which serve at ports from `$2` on, are not up, have a name that another one has, or
/// do not answer with their number.
const LOST: &str = r#"
want=$1 first=$2
shift 2
up=$("$@" ps --quiet | wc -l)
names=$("$@" ps --format '{{.Names}}' | sort -u | wc -l)
end=$(($(date +%s) + 20))
answers() {
    until said=$(curl --silent --fail --max-time 2 "http://127.0.0.1:$((first + $1))/") || [ "$(date +%s)" -ge $end ]; do
        sleep 0.1
    done
    [ "$said" = "$1" ]
}
good=0 number=0
while [ $number -lt "$want" ]; do
    answers $number 2>/dev/null && good=$((good + 1))
    number=$((number + 1))
done
echo $((3 * want - up - names - good))
"#;

/// Removes all containers, and prints how much is left of them a moment later: containers, cgroups below `$1`, overlay
/// mounts below `$2`, network devices of containers.
const LEFT: &str = r#"
parent=$1 place=$2 force=$3
shift 3
left() {
    containers=$("$@" ps --all --quiet | wc -l)
    groups=$(find /sys/fs/cgroup/*/"$parent" /sys/fs/cgroup/"$parent" -mindepth 1 -maxdepth 1 -type d ! -name conmon 2>/dev/null | wc -l)
    mounts=$(awk -v place="$place/" '$3 == "overlay" && index($2, place) == 1' /proc/self/mounts | wc -l)
    devices=$(ip -o link show type veth | wc -l)
    echo $((containers + groups + mounts + devices))
}
ids=$("$@" ps --all --quiet)
[ -z "$ids" ] || "$@" rm $force $ids >/dev/null
tries=0
until [ "$(left "$@")" = 0 ] || [ $tries -ge 50 ]; do
    tries=$((tries + 1))
    sleep 0.1
done
left "$@"
"#;

/// Prints how many of `$1` lines are not in the log of the container `$2`.
const LINES_LOST: &str = r#"
want=$1 name=$2
shift 2
echo $((want - $("$@" logs "$name" | wc -l)))
"#;

/// Prints the peak resident set, in kilobytes, of the process that the container `$1` is a child of, once its log has `$2`
/// lines.
const MONITOR: &str = r#"
name=$1 want=$2
shift 2
tries=0
until [ "$("$@" logs "$name" | wc -l)" -ge "$want" ]; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || exit 1
    sleep 0.1
done
container=$("$@" inspect --format '{{.State.Pid}}' "$name")
monitor=$(awk '$1 == "PPid:" { print $2 }' "/proc/$container/status")
awk '$1 == "VmHWM:" { print $2 }' "/proc/$monitor/status"
"#;

/// Prints the CPU time, in microseconds, of the process that the container `$1` is a child of, once its log ends with
/// `end`. It is asked when the container writes no more: who looks at the log meanwhile disturbs.
const COPIED: &str = r#"
name=$1
shift
container=$("$@" inspect --format '{{.State.Pid}}' "$name")
tries=0
again() {
    tries=$((tries + 1))
    [ $tries -lt 1000 ] && sleep 0.1
}
until [ "$(cat "/proc/$container/comm")" = sleep ]; do again; done
until [ "$("$@" logs --tail 1 "$name")" = end ]; do again; done
monitor=$(awk '$1 == "PPid:" { print $2 }' "/proc/$container/status")
sed 's/.*) //' "/proc/$monitor/stat" | awk -v ticks="$(getconf CLK_TCK)" '{ printf "%d\n", ($12 + $13) * 1000000 / ticks }'
"#;

/// Demands that `$1` containers are up.
const ARE_UP: &str = r#"
want=$1
shift
[ "$("$@" ps --quiet | wc -l)" = "$want" ]
"#;

/// What goes through the log: `$1` lines.
fn lines(count: u64) -> String {
    format!("yes {} | head -n {count}", "x".repeat(LINE as usize - 1))
}

/// The scripts of one engine.
pub struct EngineScript<'a> {
    /// Who.
    pub entrant: &'a Entrant,
    /// The same as an engine.
    pub engine: &'a Engine,
    /// What.
    pub workload: Workload,
}

impl EngineScript<'_> {
    /// The script; `None` for what this engine is not asked.
    pub fn script(&self) -> Option<Script> {
        match self.workload {
            Workload::EngineRun => Some(self.run("none")),
            Workload::EngineBridge => Some(self.run("bridge")),
            Workload::EngineExec => Some(self.exec()),
            Workload::EnginePs => Some(self.ps(MANY)),
            Workload::EnginePsMany => (self.engine.brand == Brand::Mydocker).then(|| self.ps(VERY_MANY)),
            Workload::EngineAtOnce => Some(self.at_once()),
            // What copies docker's output is its daemon, which does everything else as well.
            Workload::EngineCopy => (self.engine.brand != Brand::Docker).then(|| self.copy()),
            Workload::EngineLog => Some(self.log()),
            Workload::EngineMonitor => Some(self.monitor()),
            _ => None,
        }
    }

    fn name(&self) -> &'static str {
        self.workload.name()
    }

    fn argv<W: AsRef<str>>(&self, words: &[W]) -> Vec<OsString> {
        let mut argv = vec![self.entrant.path.clone().into()];
        argv.extend(self.engine.options());
        argv.extend(words.iter().map(|word| OsString::from(word.as_ref())));
        argv
    }

    /// `run FLAGS... IMAGE COMMAND...` below the cgroup for it.
    fn start(&self, flags: &[&str], command: &[&str]) -> Vec<OsString> {
        let parent = ["--cgroup-parent", &self.engine.parent];
        self.argv(&[&["run"], &parent[..], flags, &[BUSYBOX], command].concat())
    }

    /// A script that gets these words, and then the engine's own.
    fn shell(&self, script: &str, words: &[&str]) -> Vec<OsString> {
        let mut argv: Vec<OsString> = ["sh", "-ec", script, "sh"].map(OsString::from).into();
        argv.extend(words.iter().map(OsString::from));
        argv.extend(self.argv::<&str>(&[]));
        argv
    }

    fn force(&self) -> &'static str {
        // podman would wait for the container's own end first.
        if self.engine.brand == Brand::Podman { "--force --time=0" } else { "--force" }
    }

    fn remove(&self, name: &str) -> Step {
        let words: Vec<&str> = ["rm"].into_iter().chain(self.force().split(' ')).chain([name]).collect();
        Step::Run(self.argv(&words))
    }

    /// Removes all there is, and demands nothing: the end of a script, after a failure as well.
    fn clear(&self) -> Vec<Step> {
        let script = r#"force=$1; shift; ids=$("$@" ps --all --quiet); [ -z "$ids" ] || "$@" rm $force $ids"#;
        vec![Step::Run(self.shell(script, &[self.force()]))]
    }

    fn run(&self, network: &str) -> Script {
        let run = |command: &[&str]| self.start(&["--rm", "--network", network], command);
        let setup = vec![Step::Prove(run(&PROOF), PROOF_STATUS)];
        Script { setup, measured: vec![Step::Run(run(&["/bin/true"]))], ..Script::default() }
    }

    fn start_sleeper(&self, name: &str) -> Step {
        let flags = ["--detach", "--network", "none", "--name", name];
        Step::Run(self.start(&flags, &["sleep", "100000"]))
    }

    fn exec(&self) -> Script {
        let exec = |command: &[&str]| self.argv(&[&["exec", self.name()], command].concat());
        let setup = vec![self.start_sleeper(self.name()), Step::Prove(exec(&PROOF), PROOF_STATUS)];
        let measured = vec![Step::Run(exec(&["/bin/true"]))];
        Script { setup, measured, teardown: self.clear(), ..Script::default() }
    }

    fn ps(&self, count: u64) -> Script {
        let mut setup: Vec<Step> =
            (0..count).map(|number| self.start_sleeper(&format!("{}-{number}", self.name()))).collect();
        setup.push(Step::Run(self.shell(ARE_UP, &[&count.to_string()])));
        let measured = vec![Step::Run(self.argv(&["ps"]))];
        Script { setup, measured, teardown: self.clear(), ..Script::default() }
    }

    fn at_once(&self) -> Script {
        let start = |number: u64| {
            let port = format!("127.0.0.1:{}:80", FIRST_PORT + number);
            let serve = format!("echo {number} >/tmp/index.html; exec httpd -f -p 80 -h /tmp");
            self.start(&["--detach", "--network", "bridge", "--publish", &port], &["sh", "-c", &serve])
        };
        let lost = self.shell(LOST, &[&AT_ONCE.to_string(), &FIRST_PORT.to_string()]);
        let place = self.engine.directory.display().to_string();
        let left = self.shell(LEFT, &[self.engine.parent.trim_start_matches('/'), &place, self.force()]);
        let measured =
            vec![Step::Together((0..AT_ONCE).map(start).collect()), Step::Lost(lost), Step::Lost(left)];
        Script { measured, teardown: self.clear(), ..Script::default() }
    }

    fn log(&self) -> Script {
        let (name, count) = (self.name(), self.engine.log_lines);
        let flags = ["--detach", "--network", "none", "--name", name];
        let measured = vec![
            Step::Run(self.start(&flags, &["sh", "-c", &lines(count)])),
            Step::Run(self.argv(&["wait", name])),
            Step::Lost(self.shell(LINES_LOST, &[&count.to_string(), name])),
        ];
        let part = Part::WithoutContainers;
        Script { measured, part, after: vec![self.remove(name)], teardown: self.clear(), ..Script::default() }
    }

    fn copy(&self) -> Script {
        let flags = ["--detach", "--network", "none", "--name", self.name()];
        let command = format!("{}; echo end; exec sleep 100000", lines(self.engine.log_lines));
        let measured = vec![
            Step::Run(self.start(&flags, &["sh", "-c", &command])),
            Step::Cpu(self.shell(COPIED, &[self.name()])),
        ];
        Script {
            measured,
            after: vec![self.remove(self.name())],
            teardown: self.clear(),
            ..Script::default()
        }
    }

    fn monitor(&self) -> Script {
        let flags = ["--detach", "--network", "none", "--name", self.name()];
        let command = format!("{}; exec sleep 100000", lines(LINES_OF_IDLER));
        let setup = vec![Step::Run(self.start(&flags, &["sh", "-c", &command]))];
        let look = self.shell(MONITOR, &[self.name(), &LINES_OF_IDLER.to_string()]);
        Script { setup, measured: vec![Step::Peak(look)], teardown: self.clear(), ..Script::default() }
    }
}

/// The script of cat, which copies a file as long as docker's log would be to another one.
pub fn cat_file(arena: &Arena, entrant: &Entrant, log_lines: u64) -> Script {
    let bytes = (log_lines * (LINE + LOG_OVERHEAD)).to_string();
    let (source, target) = (arena.path("to-copy"), arena.path("copied"));
    let shell = |script: &str, words: [OsString; 2]| {
        let mut argv: Vec<OsString> = ["sh", "-ec", script, "sh"].map(OsString::from).into();
        argv.extend(words);
        argv
    };
    let make = shell(r#"head -c "$1" /dev/zero >"$2""#, [bytes.into(), source.clone().into()]);
    let mut copy = shell(r#"exec "$3" "$1" >"$2""#, [source.clone().into(), target.clone().into()]);
    copy.push(entrant.path.clone().into());
    let remove = |path: PathBuf| vec![Step::Run(vec!["rm".into(), "-f".into(), path.into()])];
    Script {
        setup: vec![Step::Run(make)],
        measured: vec![Step::Run(copy)],
        after: remove(target),
        teardown: remove(source),
        ..Script::default()
    }
}

/// The script of cat, which copies as much as docker's log would have; what feeds it is in a group as a container is.
pub fn cat(arena: &Arena, entrant: &Entrant, producers: &Path, log_lines: u64) -> Script {
    let script = r#"{ echo 0 >"$1/cgroup.procs"; exec head -c "$2" /dev/zero; } | "$3" >"$4""#;
    let bytes = (log_lines * (LINE + LOG_OVERHEAD)).to_string();
    let target = arena.path("copied");
    let mut argv: Vec<OsString> = ["sh", "-ec", script, "sh"].map(OsString::from).into();
    argv.extend([producers.into(), bytes.into(), entrant.path.clone().into(), target.clone().into()]);
    let after = vec![Step::Run(vec!["rm".into(), target.into()])];
    Script { measured: vec![Step::Run(argv)], part: Part::WithoutContainers, after, ..Script::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_length_that_is_said() {
        let text = lines(3);
        let line = text.split(' ').nth(1).unwrap();
        assert_eq!(line.len() as u64 + 1, LINE);
        assert!(text.ends_with("head -n 3"));
    }
}
