//! Logs: what is kept of what containers print.

use mydocker_tests::{Engine, Terminal, wait};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::Command;

fn script<'a>(flags: &[&'a str], text: &'a str) -> Vec<&'a str> {
    let mut words = vec!["run", "--network", "none"];
    words.extend(flags);
    words.extend(["/bin/sh", "-c", text]);
    words
}

fn log_of(engine: &Engine, name: &str) -> PathBuf {
    let id = fs::read_link(engine.path("root/names").join(name)).expect("a container");
    engine.path("root/containers").join(id).join("container.log")
}

fn run(engine: &Engine, flags: &[&str], text: &str) {
    engine.command(script(flags, text)).run().succeeds().discard();
}

#[test]
fn privileged_the_file_is_dockers_and_streams_come_apart() {
    let engine = Engine::new();
    run(&engine, &["--name", "a"], "echo out; echo 'e \"<&>\"' >&2; printf end");
    let text = fs::read_to_string(log_of(&engine, "a")).expect("a log");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let mut found: Vec<_> =
        lines.iter().map(|line| (line["stream"].as_str(), line["log"].as_str())).collect();
    found.sort_unstable();
    let wanted = [("stderr", "e \"<&>\"\n"), ("stdout", "end"), ("stdout", "out\n")];
    assert_eq!(found, wanted.map(|(stream, log)| (Some(stream), Some(log))));
    assert!(text.contains("\\u003c\\u0026\\u003e"), "{text}");
    let shown = engine.command(["logs", "a"]).run().succeeds();
    assert_eq!((&*shown.stdout, &*shown.stderr), ("out\nend", "e \"<&>\"\n"));
}

#[test]
fn privileged_tails_times_and_details() {
    let engine = Engine::new();
    let options =
        ["--name", "a", "-e", "V=1", "-l", "team=red", "--log-opt", "labels=team", "--log-opt", "env=V"];
    run(&engine, &options, "for i in 1 2 3 4 5; do echo $i; sleep 0.02; done");
    assert_eq!(engine.ok(["logs", "--tail", "2", "a"]), "4\n5");
    assert_eq!(engine.ok(["logs", "-n", "0", "a"]), "");
    assert_eq!(engine.ok(["logs", "--tail=all", "a"]).lines().count(), 5);
    assert_eq!(engine.ok(["logs", "--details", "-n", "1", "a"]), "V=1,team=red 5");
    let timed = engine.ok(["logs", "-t", "a"]);
    let times: Vec<&str> =
        timed.lines().filter_map(|line| line.split_once(' ')).map(|(time, _)| time).collect();
    assert_eq!(times.len(), 5);
    assert_eq!(engine.ok(["logs", "--since", times[3], "a"]), "4\n5");
    assert_eq!(engine.ok(["logs", "--until", times[1], "a"]), "1\n2");
    assert_eq!(engine.ok(["logs", "--since", "1h", "a"]).lines().count(), 5);
    engine.command(["logs", "--since", "tomorrow", "a"]).run().exits(1).says("--since tomorrow").discard();
    engine.command(["logs", "--tail", "few", "a"]).run().exits(1).says("--tail few").discard();
    engine.command(["logs", "nosuch"]).run().exits(1).says("No such container: nosuch").discard();
}

#[test]
fn privileged_bytes_and_long_lines_survive() {
    let engine = Engine::new();
    let text = "head -c 100000 /dev/zero | tr '\\0' y; echo; printf '\\377\\000\\n'";
    run(&engine, &["--name", "k8s", "--log-driver", "k8s-file"], text);
    let shown = engine.command(["logs", "k8s"]).run().succeeds().stdout_bytes;
    let mut wanted = vec![b'y'; 100_000];
    wanted.extend(b"\n\xff\x00\n");
    assert!(shown == wanted, "{} bytes", shown.len());
    let file = fs::read(log_of(&engine, "k8s")).expect("a log");
    let first = file.split(|byte| *byte == b'\n').next().expect("a line");
    let words: Vec<_> = first.splitn(4, |byte| *byte == b' ').collect();
    assert_eq!((words[1], words[2], words[3].len()), (&b"stdout"[..], &b"P"[..], 16384));
    run(&engine, &["--name", "json"], text);
    let shown = engine.ok(["logs", "json"]);
    assert!(shown.ends_with("y\n\u{fffd}\0") && shown.len() > 100_000);
}

/// A million bytes: lines of all lengths, and all that is escaped. The longest ones are cut, and have one byte a character:
/// of a longer one that is cut nothing would stay, as with docker.
fn mixed_lines() -> Vec<u8> {
    let words =
        ["plain words of a line ", "\"quoted\" ", "<a & b> ", "grün ", "back\\slash ", "\t\u{1b}[0m ", "€"];
    let (mut text, mut number) = (String::new(), 0);
    while text.len() < 1_000_000 {
        let length = [0, 1, 7, 16, 33, 80, 100, 250, 1000, 16_383, 16_384, 16_385, 40_000][number % 13];
        let words = if length > 5000 { &words[..3] } else { &words[..] };
        let characters = words.iter().cycle().skip(number % 5).flat_map(|word| word.chars());
        text.extend(characters.take(length).chain(['\n']));
        number += 1;
    }
    text.into_bytes()
}

/// The lines of the files of a log, the oldest first, without their times. Each file has whole lines alone.
fn lines_without_times(files: &[PathBuf]) -> impl Iterator<Item = Vec<u8>> {
    let readers = files.iter().map(|file| BufReader::new(File::open(file).expect("a log")));
    let lines = readers.flat_map(|mut reader| {
        std::iter::from_fn(move || {
            let mut line = Vec::new();
            reader.read_until(b'\n', &mut line).expect("a log");
            Some(line).filter(|line| !line.is_empty())
        })
    });
    lines.map(|mut line| {
        let time = line.iter().rposition(|byte| *byte == b',').expect("a line of json-file");
        assert!(line[time..].starts_with(b",\"time\":\"") && line.ends_with(b"Z\"}\n"));
        line.truncate(time);
        line
    })
}

#[test]
fn privileged_older_parts_are_compressed_and_read_all_the_same() {
    let engine = Engine::new();
    let options = [
        "--name",
        "a",
        "--log-opt",
        "max-size=20k",
        "--log-opt",
        "max-file=50",
        "--log-opt",
        "compress=true",
    ];
    run(&engine, &options, "seq 2000");
    let wanted: Vec<String> = (1..=2000).map(|number| number.to_string()).collect();
    assert_eq!(engine.ok(["logs", "a"]), wanted.join("\n"));
    assert_eq!(engine.ok(["logs", "-f", "--tail", "1500", "a"]), wanted[500..].join("\n"));
    let log = log_of(&engine, "a");
    let packed = log.with_extension("log.1.gz");
    assert!(packed.is_file() && !log.with_extension("log.1").exists());
    // It is what gzip itself reads.
    let unpacked = Command::new("gzip").arg("-dc").arg(&packed).output().expect("gzip").stdout;
    assert!(unpacked.len() > 10_000 && unpacked.len() <= 20_000 && unpacked.ends_with(b"\"}\n"));
    let words = ["run", "--log-opt", "compress=true", "--network", "none", "/bin/true"];
    engine.command(words).run().exits(125).says("max-size is not set").discard();
}

#[test]
fn privileged_no_line_of_a_hundred_megabytes_is_lost_or_torn() {
    let engine = Engine::new();
    let block = mixed_lines();
    fs::write(engine.path("block"), &block).expect("room");
    let volume = format!("{}:/tmp/block", engine.path("block").display());
    let options =
        ["-d", "--name", "a", "-v", &volume, "--log-opt", "max-size=20m", "--log-opt", "max-file=100"];
    engine.ok(script(&options, "for i in $(seq 100); do cat /tmp/block; done"));
    assert_eq!(engine.ok(["wait", "a"]), "0");
    let log = log_of(&engine, "a");
    let older = (1..100).rev().map(|number| log.with_extension(format!("log.{number}")));
    let files: Vec<_> = older.filter(|file| file.exists()).chain([log.clone()]).collect();
    assert!(
        files.len() > 5 && files.iter().all(|file| fs::metadata(file).expect("a log").len() <= 20_000_000)
    );
    let mut lines = lines_without_times(&files);
    let (mut first, mut text) = (Vec::new(), String::new());
    while text.len() < block.len() {
        let line = lines.next().expect("a whole block");
        let value: Value = serde_json::from_slice(&[&line[..], b"}"].concat()).expect("a whole line");
        text.push_str(value["log"].as_str().expect("text"));
        first.push(line);
    }
    assert!(text.as_bytes() == block, "the first million bytes");
    for at in 0..99 * first.len() {
        assert!(
            lines.next().as_ref() == Some(&first[at % first.len()]),
            "line {at} after the first million bytes"
        );
    }
    assert_eq!(lines.next(), None);
}

#[test]
fn privileged_what_is_followed_comes_until_the_end_over_all_files() {
    let engine = Engine::new();
    let options = ["-d", "--name", "a", "--log-opt", "max-size=2k", "--log-opt", "max-file=50"];
    engine
        .ok(script(&options, "for i in $(seq 1 200); do echo \"line $i\"; test $i = 100 && sleep 0.3; done"));
    let followed = engine.command(["logs", "-f", "a"]).run().succeeds().stdout;
    let wanted: String = (1..=200).map(|number| format!("line {number}\n")).collect();
    assert_eq!(followed, wanted);
    assert_eq!(engine.ok(["logs", "a"]) + "\n", wanted);
    let log = log_of(&engine, "a");
    assert!(fs::metadata(&log).expect("a log").len() <= 2000);
    assert!(log.with_extension("log.5").exists());
    let few = ["--name", "few", "--log-opt", "max-size=2k", "--log-opt", "max-file=2"];
    run(&engine, &few, "for i in $(seq 1 200); do echo \"line $i\"; done");
    let kept = engine.ok(["logs", "few"]);
    assert!(kept.ends_with("line 200") && kept.lines().count() < 100 && !kept.contains("line 1\n"), "{kept}");
    assert!(!log_of(&engine, "few").with_extension("log.2").exists());
}

#[test]
fn privileged_who_follows_ends_with_the_container_or_its_monitor() {
    let engine = Engine::new();
    engine.ok(script(&["-d", "--name", "a"], "echo ready; while :; do sleep 0.1; done"));
    let follows = engine.command(["logs", "-f", "a"]).spawn();
    follows.wait_for_output("ready");
    engine.ok(["rm", "-f", "a"]);
    follows.wait().succeeds().discard();
    engine.ok(script(&["-d", "--name", "b"], "echo ready; while :; do sleep 0.1; done"));
    let follows = engine.command(["logs", "-f", "b"]).spawn();
    follows.wait_for_output("ready");
    let monitor = rustix::process::Pid::from_raw(engine.pid("b", "monitor")).expect("a process");
    rustix::process::kill_process(monitor, rustix::process::Signal::KILL).expect("it is there");
    follows.wait().succeeds().discard();
}

#[test]
fn privileged_nothing_is_kept_where_nothing_is_wanted() {
    let engine = Engine::new();
    run(&engine, &["--name", "a", "--log-driver", "none"], "echo x");
    assert!(!log_of(&engine, "a").exists());
    engine.command(["logs", "a"]).run().exits(1).says("does not support reading").discard();
    for (flags, text) in [
        (["--log-driver", "syslog"], "syslog"),
        (["--log-opt", "compress=true"], "compress"),
        (["--log-opt", "max-size=huge"], "max-size"),
    ] {
        engine.command(script(&flags, "true")).run().exits(125).says(text).discard();
    }
}

#[test]
fn privileged_a_log_cannot_command_a_terminal() {
    let engine = Engine::new();
    run(&engine, &["--name", "a"], "printf '\\033]0;title\\007\\033[31mred\\033[0m\\n'");
    let mut terminal = Terminal::open();
    let logs = engine.command(["logs", "a"]).on_terminal(&terminal).spawn();
    let seen = terminal.read_until("\n");
    assert_eq!(seen, "\\x1b]0;title\\x07\u{1b}[31mred\u{1b}[0m\r\n");
    logs.wait().succeeds().discard();
    assert!(engine.ok(["logs", "a"]).contains('\u{7}'));
}

/// A small file system in memory, gone with its guard.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn new(place: PathBuf) -> Self {
        fs::create_dir(&place).expect("room");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k", "small"]).arg(&place).status();
        assert!(mounted.expect("mount").success());
        Self(place)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

#[test]
fn privileged_a_full_disk_costs_lines_and_neither_the_container_nor_other_lines() {
    let engine = Engine::new();
    let disk = SmallDisk::new(engine.path("small"));
    let log = disk.0.join("log");
    fs::write(disk.0.join("ballast"), vec![0; 128 << 10]).expect("room");
    let shared = engine.path("out");
    let text = "i=0; while [ $i -lt 8000 ]; do echo line $i of many; i=$((i+1)); done; touch $OUT/printed; while [ ! -e $OUT/go ]; do sleep 0.05; done; echo after";
    let (path, out) = (format!("path={}", log.display()), format!("OUT={}", shared.display()));
    let volume = format!("{0}:{0}", shared.display());
    let flags =
        ["-d", "--name", "a", "--log-driver", "k8s-file", "--log-opt", &path, "-e", &out, "-v", &volume];
    run(&engine, &flags, text);
    wait::until("the lines to be printed", || shared.join("printed").exists().then_some(()));
    assert_eq!(engine.inspect("a")["State"]["Status"], "running");
    // Far more than there was room for, whatever is still on its way.
    fs::remove_file(disk.0.join("ballast")).expect("it is there");
    fs::write(shared.join("go"), "").expect("room");
    assert_eq!(engine.ok(["wait", "a"]), "0");
    let error = engine.ok(["inspect", "-f", "{{.State.Error}}", "a"]);
    assert!(error.contains("not all in its log") && error.contains("No space left"), "{error}");
    let shown = engine.ok(["logs", "a"]);
    assert!(
        shown.starts_with("line 0 of many\nline 1 of many\n") && shown.ends_with("\nafter"),
        "{shown:.60}"
    );
    let is_whole = |line: &&str| *line == "after" || line.ends_with(" of many");
    let torn = shown.lines().filter(|line| !is_whole(line)).count();
    assert!(torn <= 1 && shown.lines().count() < 8001, "{torn} torn lines");
}
