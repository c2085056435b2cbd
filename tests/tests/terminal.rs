//! Terminals: over a console socket, and the caller's own in the foreground.

use mydocker_tests::{FdSocket, Runtime, Terminal};
use rustix::termios::{InputModes, LocalModes, OutputModes};
use serde_json::json;
use std::fs;

/// A bundle with a terminal whose shell runs the script.
fn with_terminal(runtime: &Runtime, script: &str) -> mydocker_tests::Bundle {
    runtime.bundle().script(script).with(|config| config["process"]["terminal"] = json!(true))
}

#[test]
fn privileged_create_sends_the_terminal_over_the_console_socket() {
    let runtime = Runtime::new();
    let script =
        "test -t 0 && test -t 1 && test -t 2 && tty; stat -c %t:%T /dev/console; read line; echo got:$line";
    let bundle = with_terminal(&runtime, script);
    let socket = FdSocket::bind(runtime.scratch().join("console"));
    let path = socket.path().to_str().expect("a plain path").to_owned();
    let create = runtime.bundle_command("create", &bundle, &["--console-socket", &path]).spawn();
    let mut terminal = socket.receive_terminal();
    create.wait().succeeds();
    runtime.start(bundle.id()).succeeds();
    let shown = terminal.read_until(":0\r\n");
    // The terminal is the first of the container's own, and /dev/console is the same device.
    assert_eq!(shown, "/dev/pts/0\r\n88:0\r\n");
    terminal.type_text("words\n");
    terminal.read_until("got:words\r\n");
    runtime.wait_for_status(bundle.id(), "stopped");
}

#[test]
fn privileged_run_detached_sends_the_terminal_too() {
    let runtime = Runtime::new();
    let bundle = with_terminal(&runtime, "read line; echo got:$line; exec sleep 1000");
    let socket = FdSocket::bind(runtime.scratch().join("console"));
    let path = socket.path().to_str().expect("a plain path").to_owned();
    let run = runtime.bundle_command("run", &bundle, &["--detach", "--console-socket", &path]).spawn();
    let mut terminal = socket.receive_terminal();
    run.wait().succeeds();
    terminal.type_text("words\n");
    terminal.read_until("got:words\r\n");
}

/// An address takes 107 bytes; engines whose directories lie deep have longer ones.
#[test]
fn privileged_the_path_of_a_console_socket_may_be_longer_than_an_address() {
    let runtime = Runtime::new();
    let bundle = with_terminal(&runtime, "echo shown; exec sleep 1000");
    let socket = FdSocket::bind(runtime.scratch().join("console"));
    let deep = runtime.scratch().join("d".repeat(100));
    fs::create_dir(&deep).expect("the scratch directory is writable");
    let path = deep.join("console".repeat(20));
    fs::rename(socket.path(), &path).expect("the same file system");
    let path = path.to_str().expect("a plain path").to_owned();
    let run = runtime.bundle_command("run", &bundle, &["--detach", "--console-socket", &path]).spawn();
    let mut terminal = socket.receive_terminal();
    run.wait().succeeds();
    terminal.read_until("shown\r\n");
    drop(socket);
    let other = with_terminal(&runtime, "true");
    let create = runtime.bundle_command("create", &other, &["--console-socket", &path]);
    create.run().fails().says(&path);
}

/// conmon and containerd-shim read one message with one descriptor, whose name is the terminal's.
#[test]
fn privileged_the_message_on_the_console_socket_names_the_terminal() {
    let runtime = Runtime::new();
    let bundle = with_terminal(&runtime, "exit");
    let socket = FdSocket::bind(runtime.scratch().join("console"));
    let path = socket.path().to_str().expect("a plain path").to_owned();
    let create = runtime.bundle_command("create", &bundle, &["--console-socket", &path]).spawn();
    let (bytes, fds) = socket.receive();
    create.wait().succeeds();
    assert_eq!(fds.len(), 1);
    let name = String::from_utf8_lossy(&bytes).trim_end_matches('\0').to_owned();
    assert!(name.starts_with("/dev/pt"), "{name:?}");
}

#[test]
fn privileged_the_console_size_is_set_before_the_program_starts() {
    let runtime = Runtime::new();
    let bundle = with_terminal(&runtime, "stty size");
    let bundle = bundle.with(|config| config["process"]["consoleSize"] = json!({"height": 30, "width": 100}));
    let socket = FdSocket::bind(runtime.scratch().join("console"));
    let path = socket.path().to_str().expect("a plain path").to_owned();
    let create = runtime.bundle_command("create", &bundle, &["--console-socket", &path]).spawn();
    let mut terminal = socket.receive_terminal();
    create.wait().succeeds();
    runtime.start(bundle.id()).succeeds();
    terminal.read_until("30 100\r\n");
    runtime.wait_for_status(bundle.id(), "stopped");
}

#[test]
fn privileged_the_console_size_is_ignored_without_a_terminal() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("test -t 1 || echo none");
    let bundle = bundle.with(|config| config["process"]["consoleSize"] = json!({"height": 30, "width": 100}));
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "none\n");
}

#[test]
fn privileged_the_terminal_is_controlling_and_interrupts() {
    let runtime = Runtime::new();
    let bundle = with_terminal(
        &runtime,
        "trap 'echo interrupted; exit 4' INT; echo ready >/dev/tty; while :; do sleep 0.02; done",
    );
    let socket = FdSocket::bind(runtime.scratch().join("console"));
    let path = socket.path().to_str().expect("a plain path").to_owned();
    let run = runtime.bundle_command("run", &bundle, &["--detach", "--console-socket", &path]).spawn();
    let mut terminal = socket.receive_terminal();
    run.wait().succeeds();
    terminal.read_until("ready");
    terminal.type_text("\u{3}");
    terminal.read_until("interrupted");
    runtime.wait_for_status(bundle.id(), "stopped");
}

#[test]
fn privileged_the_terminal_belongs_to_the_containers_user() {
    let runtime = Runtime::new();
    let bundle = with_terminal(&runtime, "stat -c %u /dev/pts/0; test -w /dev/pts/0 && echo open");
    let bundle = bundle.with(|config| config["process"]["user"] = json!({"uid": 1000, "gid": 1000}));
    let mut terminal = Terminal::open();
    let running = runtime.run_command(&bundle).on_terminal(&terminal).spawn();
    terminal.read_until("1000\r\nopen\r\n");
    running.wait().succeeds();
}

#[test]
fn privileged_a_terminal_in_the_foreground_is_the_callers() {
    let runtime = Runtime::new();
    let bundle = with_terminal(&runtime, "test -t 0 && tty; read line; echo got:$line; exit 5");
    let mut terminal = Terminal::open();
    let running = runtime.run_command(&bundle).on_terminal(&terminal).spawn();
    terminal.read_until("/dev/pts/0\r\n");
    terminal.type_text("words\r");
    let shown = terminal.read_until("got:words");
    // The outer terminal is raw, so what is typed is echoed once, by the inner one.
    assert_eq!(shown.matches("words").count(), 2, "{shown:?}");
    running.wait().exits(5);
}

#[test]
fn privileged_the_callers_terminal_is_raw_meanwhile_and_as_before_afterwards() {
    let runtime = Runtime::new();
    let bundle = with_terminal(&runtime, "echo ready; read line");
    let mut terminal = Terminal::open();
    let before = terminal.modes();
    assert!(before.local_modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG));
    let running = runtime.run_command(&bundle).on_terminal(&terminal).spawn();
    terminal.read_until("ready");
    let raw = terminal.modes();
    assert!(!raw.local_modes.intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG), "{raw:?}");
    assert!(!raw.input_modes.intersects(InputModes::ICRNL | InputModes::IXON), "{raw:?}");
    terminal.type_text("\r");
    running.wait().succeeds();
    let after = terminal.modes();
    assert_eq!(after.local_modes, before.local_modes);
    assert_eq!(after.input_modes, before.input_modes);
    assert_eq!(after.output_modes, before.output_modes);
}

#[test]
fn privileged_lines_end_with_one_carriage_return_in_the_foreground() {
    let runtime = Runtime::new();
    let bundle = with_terminal(&runtime, "echo one; echo two");
    let mut terminal = Terminal::open();
    assert!(terminal.modes().output_modes.contains(OutputModes::ONLCR));
    let running = runtime.run_command(&bundle).on_terminal(&terminal).spawn();
    assert_eq!(terminal.read_until("two\r\n"), "one\r\ntwo\r\n");
    running.wait().succeeds();
}

#[test]
fn privileged_what_a_terminal_shows_goes_into_a_file_without_carriage_returns() {
    let runtime = Runtime::new();
    let bundle = with_terminal(&runtime, "stty size; stty -a | grep -o .onlcr");
    let terminal = Terminal::open();
    terminal.resize(31, 83);
    let file = runtime.scratch().join("shown");
    let script = "out=$1; shift; exec \"$@\" </dev/null >\"$out\"";
    let run = runtime.run_command(&bundle).through([
        "sh",
        "-c",
        script,
        "sh",
        file.to_str().expect("a plain path"),
    ]);
    run.on_terminal(&terminal).run().succeeds();
    assert_eq!(fs::read_to_string(&file).expect("it was written"), "31 83\n-onlcr\n");
}

#[test]
fn privileged_keys_still_make_signals_where_nothing_is_read_from_the_terminal() {
    let runtime = Runtime::new();
    let bundle = with_terminal(&runtime, "trap 'exit 6' INT; echo ready; while :; do sleep 0.02; done");
    let mut terminal = Terminal::open();
    let run = runtime.run_command(&bundle).through(["sh", "-c", "exec \"$@\" </dev/null", "sh"]);
    let running = run.on_terminal(&terminal).spawn();
    terminal.read_until("ready");
    terminal.type_text("\u{3}");
    running.wait().exits(6);
}

#[test]
fn privileged_the_size_of_the_callers_terminal_is_passed_and_followed() {
    let runtime = Runtime::new();
    let bundle = with_terminal(
        &runtime,
        "trap 'stty size' WINCH; stty size; echo ready; while :; do sleep 0.02; done",
    );
    let mut terminal = Terminal::open();
    terminal.resize(35, 99);
    let running = runtime.run_command(&bundle).on_terminal(&terminal).spawn();
    terminal.read_until("35 99\r\n");
    terminal.read_until("ready");
    for (rows, columns) in [(20, 70), (50, 132)] {
        terminal.resize(rows, columns);
        terminal.read_until(&format!("{rows} {columns}\r\n"));
    }
    runtime.kill(bundle.id(), "KILL").succeeds();
    running.wait().exits(137);
}

#[test]
fn privileged_control_c_goes_to_the_container_and_not_to_the_runtime() {
    let runtime = Runtime::new();
    let bundle = with_terminal(
        &runtime,
        "trap 'echo interrupted; exit 6' INT; echo ready; while :; do sleep 0.02; done",
    );
    let mut terminal = Terminal::open();
    let running = runtime.run_command(&bundle).on_terminal(&terminal).spawn();
    terminal.read_until("ready");
    terminal.type_text("\u{3}");
    terminal.read_until("interrupted");
    running.wait().exits(6);
}

#[test]
fn privileged_large_output_through_the_terminal_is_whole() {
    let runtime = Runtime::new();
    let bundle = with_terminal(&runtime, "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done");
    let mut terminal = Terminal::open();
    let running = runtime.run_command(&bundle).on_terminal(&terminal).spawn();
    let shown = terminal.read_until("line 19999\r\n");
    let expected: String = (0..20_000).map(|n| format!("line {n}\r\n")).collect();
    assert!(shown == expected, "{} of {} bytes", shown.len(), expected.len());
    running.wait().succeeds();
}

#[test]
fn privileged_create_with_a_terminal_needs_a_console_socket() {
    let runtime = Runtime::new();
    let bundle = with_terminal(&runtime, "exit");
    runtime.create(&bundle).fails().says("console socket");
    assert!(!runtime.knows(bundle.id()));
    runtime.bundle_command("run", &bundle, &["--detach"]).run().fails().says("console socket");
}

#[test]
fn privileged_a_console_socket_needs_a_terminal() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle();
    let socket = FdSocket::bind(runtime.scratch().join("console"));
    let path = socket.path().to_str().expect("a plain path").to_owned();
    runtime.bundle_command("create", &bundle, &["--console-socket", &path]).run().fails();
    assert!(!runtime.knows(bundle.id()));
}

#[test]
fn privileged_a_console_socket_that_nobody_serves_is_an_error() {
    let runtime = Runtime::new();
    let bundle = with_terminal(&runtime, "exit");
    let path = runtime.scratch().join("nobody").display().to_string();
    runtime.bundle_command("create", &bundle, &["--console-socket", &path]).run().fails().says("nobody");
    assert!(!runtime.knows(bundle.id()));
}

#[test]
fn privileged_a_terminal_works_in_a_user_namespace() {
    let runtime = Runtime::new();
    let bundle = with_terminal(&runtime, "tty; stat -c %u /dev/console").user_namespace(100_000, 65_536);
    let mut terminal = Terminal::open();
    let running = runtime.run_command(&bundle).on_terminal(&terminal).spawn();
    terminal.read_until("/dev/pts/0\r\n0\r\n");
    running.wait().succeeds();
}
