//! What a person types and what a container prints: attached, with a terminal, beside a container.

use mydocker_tests::{Engine, Invocation, Terminal, wait};
use rustix::process::Signal;
use std::fs;

fn script<'a>(flags: &[&'a str], text: &'a str) -> Vec<&'a str> {
    let mut words = vec!["run", "--network", "none"];
    words.extend(flags);
    words.extend(["/bin/sh", "-c", text]);
    words
}

/// A command whose standard streams are a terminal of the test's.
fn at<'a>(engine: &Engine, terminal: &Terminal, words: impl IntoIterator<Item = &'a str>) -> Invocation {
    engine.command(words).on_terminal(terminal)
}

#[test]
fn privileged_streams_come_apart_and_the_status_passes() {
    let engine = Engine::new();
    let outcome = engine.command(script(&["--rm"], "echo out; echo err >&2; exit 7")).run().exits(7);
    assert_eq!((&*outcome.stdout, &*outcome.stderr), ("out\n", "err\n"));
}

#[test]
fn privileged_input_and_output_pass_whole() {
    let engine = Engine::new();
    let input: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let outcome =
        engine.command(script(&["--rm", "-i", "--log-driver", "none"], "cat")).stdin(&input).run().succeeds();
    assert!(outcome.stdout_bytes == input, "{} bytes of {}", outcome.stdout_bytes.len(), input.len());
    // Without -i there is none.
    let outcome = engine.command(script(&["--rm"], "cat; echo end")).stdin("typed\n").run().succeeds();
    assert_eq!(outcome.stdout, "end\n");
}

#[test]
fn privileged_who_reads_slowly_loses_nothing() {
    let engine = Engine::new();
    let fifo = engine.path("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().expect("coreutils").success());
    let line = "mydocker() { \"$@\" >\"$FIFO\"; }; mydocker \"$@\"";
    let words = script(&["--rm", "--name", "much"], "head -c 5000000 /dev/zero | tr '\\0' x");
    let run = engine.command(words).through(["/bin/sh", "-c", line, "sh"]).env("FIFO", &fifo).spawn();
    let reader = fs::File::open(&fifo).expect("a fifo");
    // The container has to wait: its program cannot have ended before anybody reads.
    wait::until("the container", || (engine.path("root/names/much").is_symlink()).then_some(()));
    engine.wait_for_record("much", "running");
    let mut text = Vec::new();
    std::io::Read::read_to_end(&mut &reader, &mut text).expect("a fifo");
    run.wait().succeeds().discard();
    assert_eq!(text.len(), 5_000_000);
    assert!(text.iter().all(|byte| *byte == b'x'));
}

#[test]
fn privileged_signals_pass_through_the_caller() {
    let engine = Engine::new();
    let text = "trap 'echo hup' HUP; trap 'exit 5' INT; echo ready; while :; do sleep 0.1; done";
    let run = engine.command(script(&["--rm"], text)).spawn();
    run.wait_for_output("ready");
    run.signal(Signal::HUP);
    run.wait_for_output("hup");
    run.signal(Signal::INT);
    run.wait().exits(5).discard();
    let run = engine.command(script(&["--name", "own", "--sig-proxy=false"], text)).spawn();
    run.wait_for_output("ready");
    run.signal(Signal::TERM);
    run.wait().exits(143).discard();
    assert_eq!(engine.state("own")["status"], "running");
    engine.ok(["kill", "own"]);
}

#[test]
fn privileged_a_terminal_is_raw_resized_and_put_back() {
    let engine = Engine::new();
    let mut terminal = Terminal::open();
    terminal.resize(31, 97);
    let before = terminal.modes();
    let words = script(
        &["-it", "--rm", "--name", "t"],
        "stty size; trap 'stty size' WINCH; echo ready; while :; do read line; echo \"got $line\"; test \"$line\" = end && exit 3; done",
    );
    let run = at(&engine, &terminal, words).spawn();
    let seen = terminal.read_until("ready");
    assert!(seen.contains("31 97"), "{seen:?}");
    assert!(!terminal.modes().local_modes.contains(rustix::termios::LocalModes::ICANON));
    terminal.resize(20, 50);
    terminal.read_until("20 50");
    terminal.type_text("hello\r");
    terminal.read_until("got hello");
    terminal.type_text("end\r");
    run.wait().exits(3).discard();
    let after = terminal.modes();
    assert_eq!((after.local_modes, after.input_modes), (before.local_modes, before.input_modes));
}

#[test]
fn privileged_the_modes_come_back_when_the_caller_is_ended() {
    let engine = Engine::new();
    let mut terminal = Terminal::open();
    let before = terminal.modes().local_modes;
    let words = script(&["-it", "--name", "t", "--sig-proxy=false"], "echo ready; sleep 100");
    let run = at(&engine, &terminal, words).spawn();
    terminal.read_until("ready");
    run.signal(Signal::TERM);
    run.wait().exits(143).discard();
    assert_eq!(terminal.modes().local_modes, before);
    assert_eq!(engine.state("t")["status"], "running");
}

#[test]
fn privileged_keys_leave_and_attach_comes_back() {
    let engine = Engine::new();
    let mut terminal = Terminal::open();
    let words = script(
        &["-it", "--name", "t"],
        "echo ready; while read line; do echo \"got $line\"; test \"$line\" = end && exit 4; done",
    );
    let run = at(&engine, &terminal, words).spawn();
    terminal.read_until("ready");
    terminal.type_text("\u{10}\u{11}");
    run.wait().exits(0).discard();
    assert_eq!(engine.state("t")["status"], "running");
    let mut second = Terminal::open();
    second.resize(10, 44);
    let attach = at(&engine, &second, ["attach", "--detach-keys", "ctrl-a,x", "t"]).spawn();
    // A ctrl-p alone is the container's.
    second.type_text("one\r");
    second.read_until("got one");
    second.type_text("\u{1}x");
    attach.wait().exits(0).discard();
    let attach = at(&engine, &second, ["attach", "t"]).spawn();
    second.type_text("end\r");
    attach.wait().exits(4).discard();
    engine.command(["attach", "t"]).run().exits(1).says("cannot attach to a stopped container").discard();
    engine.command(["attach", "--detach-keys", "ctrl-9", "t"]).run().exits(1).discard();
}

#[test]
fn privileged_many_can_watch_one_container() {
    let engine = Engine::new();
    let words = ["-d", "-i", "--name", "many"];
    engine.ok(script(&words, "while read line; do echo \"got $line\"; test \"$line\" = end && exit 0; done"));
    let first = engine.command(["attach", "many"]).stdin_pipe().spawn();
    let second = engine.command(["attach", "--no-stdin", "many"]).spawn();
    let mut stdin = first.stdin.as_ref().expect("a pipe");
    // Who has just come sees what is printed from then on.
    wait::until("both to be there", || {
        std::io::Write::write_all(&mut stdin, b"again\n").expect("a reader");
        (first.stdout().contains("got again") && second.stdout().contains("got again")).then_some(())
    });
    std::io::Write::write_all(&mut stdin, b"end\n").expect("a reader");
    second.wait().succeeds().discard();
    first.wait().succeeds().discard();
}

#[test]
fn privileged_input_ends_with_its_first_client_and_no_other() {
    let engine = Engine::new();
    // -i in the foreground: the end of the input is the container's.
    engine.command(script(&["-i", "--rm"], "cat; echo end")).stdin("x\n").run().succeeds().discard();
    // -d -i: it stays open for the next.
    engine.ok(script(&["-d", "-i", "--name", "open"], "while read line; do echo \"got $line\"; done"));
    for word in ["one", "two"] {
        let attach = engine.command(["attach", "open"]).stdin(format!("{word}\n")).spawn();
        attach.wait_for_output(&format!("got {word}"));
    }
    assert_eq!(engine.state("open")["status"], "running");
    engine.ok(["kill", "open"]);
}

#[test]
fn privileged_start_attached_passes_streams_and_status() {
    let engine = Engine::new();
    engine.ok(["create", "-i", "--network", "none", "--name", "a", "/bin/sh", "-c", "cat; exit 6"]);
    let started = engine.command(["start", "-ai", "a"]).stdin("text\n").run().exits(6);
    assert_eq!(started.stdout, "text\n");
    engine.command(["start", "-a", "nosuch"]).run().exits(1).says("No such container").discard();
}

#[test]
fn privileged_exec_has_the_containers_environment_and_what_is_added() {
    let engine = Engine::with_busybox();
    let words = [
        "run",
        "-d",
        "--network",
        "none",
        "--name",
        "a",
        "-e",
        "OWN=1",
        "-w",
        "/tmp",
        "busybox",
        "sleep",
        "1000",
    ];
    engine.ok(words);
    let inside = |words: &[&str]| {
        let all: Vec<&str> = ["exec"].iter().chain(words).copied().collect();
        engine.command(all).run().succeeds().stdout
    };
    assert_eq!(inside(&["a", "sh", "-c", "echo $OWN $FROM_IMAGE; pwd"]), "1 yes\n/tmp\n");
    fs::write(engine.path("vars"), "# a comment\n\nFILE=f 1\n").expect("room");
    let file = engine.path("vars");
    let text = inside(&[
        "-e",
        "A=b c",
        "--env-file",
        file.to_str().expect("UTF-8"),
        "a",
        "sh",
        "-c",
        "echo $A-$FILE",
    ]);
    assert_eq!(text, "b c-f 1\n");
    assert_eq!(inside(&["-w", "/etc", "a", "pwd"]), "/etc\n");
    assert_eq!(inside(&["-u", "nobody", "a", "id", "-u"]), "65534\n");
    assert_eq!(inside(&["-u", "5:6", "a", "sh", "-c", "id -u; id -g"]), "5\n6\n");
    engine
        .command(["exec", "-u", "nosuch", "a", "id"])
        .run()
        .exits(126)
        .says("unable to find user nosuch")
        .discard();
    let capabilities = |flags: &[&str]| {
        let words: Vec<&str> =
            flags.iter().copied().chain(["a", "grep", "CapEff", "/proc/self/status"]).collect();
        inside(&words)
    };
    assert_ne!(capabilities(&[]), capabilities(&["--privileged"]));
    let outcome = engine.command(["exec", "-i", "a", "cat"]).stdin("typed").run().succeeds();
    assert_eq!(outcome.stdout, "typed");
    assert_eq!(inside(&["a", "cat"]), "");
}

#[test]
fn privileged_exec_ends_as_its_command_does() {
    let engine = Engine::new();
    engine.ok(script(&["-d", "--name", "a"], "sleep 1000"));
    engine.command(["exec", "a", "sh", "-c", "exit 9"]).run().exits(9).discard();
    engine.command(["exec", "a", "sh", "-c", "kill -TERM $$"]).run().exits(143).discard();
    engine.command(["exec", "a", "no-such-program"]).run().exits(127).says("not found").discard();
    engine.command(["exec", "a", "/etc"]).run().exits(126).says("permission denied").discard();
    engine.command(["exec", "-t", "a", "no-such-program"]).run().exits(127).says("not found").discard();
    engine.command(["exec", "-d", "a", "no-such-program"]).run().exits(127).says("not found").discard();
    engine.command(["exec", "-d", "a", "sh", "-c", "echo there >/tmp/there"]).run().succeeds().discard();
    wait::until("its file", || {
        engine.command(["exec", "a", "cat", "/tmp/there"]).run().stdout.contains("there").then_some(())
    });
    engine.ok(["kill", "a"]);
    engine.wait_for_record("a", "exited");
    engine.command(["exec", "a", "true"]).run().exits(1).says("is not running").discard();
}

#[test]
fn privileged_exec_on_a_terminal_is_resized_left_and_ends() {
    let engine = Engine::new();
    engine.ok(script(&["-d", "--name", "a"], "sleep 1000"));
    let mut terminal = Terminal::open();
    terminal.resize(12, 34);
    let before = terminal.modes().local_modes;
    let exec = at(
        &engine,
        &terminal,
        ["exec", "-it", "a", "sh", "-c", "stty size; tty; read line; echo \"got $line\"; exit 8"],
    )
    .spawn();
    let seen = terminal.read_until("/dev/pts/");
    assert!(seen.contains("12 34"), "{seen:?}");
    terminal.type_text("word\r");
    terminal.read_until("got word");
    exec.wait().exits(8).discard();
    assert_eq!(terminal.modes().local_modes, before);
    // Left alone, it goes on: its terminal is neither gone nor full.
    let words = [
        "exec",
        "-it",
        "a",
        "sh",
        "-c",
        "echo ready; read line; head -c 300000 /dev/zero; echo >/tmp/survived; sleep 1000",
    ];
    let exec = at(&engine, &terminal, words).spawn();
    terminal.read_until("ready");
    terminal.type_text("\r\u{10}\u{11}");
    exec.wait().exits(0).discard();
    wait::until("it to go on", || {
        (engine.command(["exec", "a", "test", "-e", "/tmp/survived"]).run().status.code() == Some(0))
            .then_some(())
    });
    engine.command(["exec", "-it", "a", "true"]).run().exits(1).says("not a TTY").discard();
}
