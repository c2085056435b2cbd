//! config.md: the process, its terminal, its environment and its limits.

use super::{has, list, same};
use crate::bundle::PROBE;
use crate::case::Case;
use anyhow::{Context, Result, ensure};
use mydocker_sys as sys;
use serde_json::{Value, json};
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::time::Instant;

list![
    the_working_directory_is_set,
    a_relative_working_directory_is_refused,
    the_environment_is_what_is_given,
    the_arguments_are_what_is_given,
    the_program_is_searched_in_the_path_of_the_environment,
    an_empty_list_of_arguments_is_refused,
    a_program_that_is_missing_is_an_error,
    a_terminal_is_made_and_sent,
    the_console_has_the_size_that_is_given,
    the_console_size_is_ignored_without_a_terminal,
    rlimits_are_what_is_given,
    a_limit_that_linux_lacks_is_refused,
    a_limit_that_is_given_twice_is_refused,
    only_the_standard_streams_are_open,
    the_hostname_is_set,
    the_domainname_is_set,
];

fn the_working_directory_is_set(case: &Case<'_>) -> Result<()> {
    same("the directory", &case.report_of(case.bundle()?.set("/process/cwd", "/data"))?["cwd"], "/data")
}

fn a_relative_working_directory_is_refused(case: &Case<'_>) -> Result<()> {
    for cwd in ["data", "", "./"] {
        let bundle = case.bundle()?.set("/process/cwd", cwd);
        case.refuses(&bundle).with_context(|| format!("{cwd:?}"))?;
    }
    Ok(())
}

fn the_environment_is_what_is_given(case: &Case<'_>) -> Result<()> {
    let given = ["PATH=/bin", "EMPTY=", "WITH=an=equals sign", "HOME=/data"];
    let report = case.report_of(case.bundle()?.set("/process/env", json!(given)))?;
    for entry in given {
        ensure!(has(&report["env"], entry), "{entry:?} is missing in {}", report["env"]);
    }
    let names = report["env"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let foreign: Vec<&str> = names.filter(|entry| !given.contains(entry)).collect();
    ensure!(foreign.is_empty(), "nobody asked for {foreign:?}");
    Ok(())
}

fn the_arguments_are_what_is_given(case: &Case<'_>) -> Result<()> {
    let args = json!([PROBE, "report", ";", "exit", "0", "", "two words", "\"quoted\"", "$HOME"]);
    let bundle = case.bundle()?.set("/process/args", args.clone());
    same("argv", &case.run(&bundle)?.answers[0]["args"], args)
}

/// As execvp does: a name without a slash is looked for in PATH.
fn the_program_is_searched_in_the_path_of_the_environment(case: &Case<'_>) -> Result<()> {
    let bundle = case.bundle()?;
    fs::hard_link(bundle.path(PROBE), bundle.path("/data/renamed"))?;
    let bundle = bundle
        .set("/process/env", json!(["PATH=/nowhere:/data"]))
        .set("/process/args", json!(["renamed", "report"]));
    same("argv[0]", &case.run(&bundle)?.answers[0]["args"][0], "renamed")
}

fn an_empty_list_of_arguments_is_refused(case: &Case<'_>) -> Result<()> {
    case.refuses_to_run(&case.bundle()?.set("/process/args", json!([])))?;
    case.refuses_to_run(&case.bundle()?.without("/process/args")).map(drop)
}

fn a_program_that_is_missing_is_an_error(case: &Case<'_>) -> Result<()> {
    case.refuses_to_run(&case.bundle()?.set("/process/args", json!(["/no/such/program"]))).map(drop)
}

/// A created container with a terminal, and the other end of it, as it came through the console socket.
fn with_terminal(case: &Case<'_>, size: Option<Value>) -> Result<(Vec<Value>, String)> {
    let mut bundle =
        case.bundle()?.set("/process/terminal", true).ask(&[&["write", "/data/begun", ""], &["report"]]);
    if let Some(size) = size {
        bundle = bundle.set("/process/consoleSize", size);
    }
    let bundle = bundle.ask(&[&["report"], &["stat", "/dev/console"]]);
    let socket = case.dir().join("console");
    let listener = UnixListener::bind(&socket)?;
    let path = socket.display().to_string();
    case.try_create_with(&bundle, &["--console-socket", &path])?.success()?;
    let (stream, _) = listener.accept()?;
    let mut buffer = [0; 4096];
    let message = sys::socket::receive(&stream, &mut buffer)?;
    let console = message.fds.into_iter().next().context("no descriptor came through the console socket")?;
    case.start(&bundle.id)?;
    let text = read_all(&console)?;
    case.finish(&bundle)?;
    let answers = text.lines().map(str::trim).filter_map(|line| serde_json::from_str(line).ok()).collect();
    Ok((answers, text))
}

/// What is written to the terminal until the last writer closes it, which reads as EIO.
fn read_all(console: impl AsFd) -> Result<String> {
    let deadline = Instant::now() + crate::process::PATIENCE;
    let mut text = Vec::new();
    loop {
        sys::poll::poll(
            &[sys::poll::Interest::read(console.as_fd())],
            Some(deadline),
            "output on the terminal",
        )?;
        let mut buffer = [0; 4096];
        match sys::fs::read(&console, &mut buffer) {
            Ok(0) => break,
            Ok(count) => text.extend_from_slice(&buffer[..count]),
            Err(error) if error.errno() == sys::Errno::EIO => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn a_terminal_is_made_and_sent(case: &Case<'_>) -> Result<()> {
    let (answers, text) = with_terminal(case, None)?;
    let report = answers.first().with_context(|| format!("the terminal said {text:?}"))?;
    same("whether the streams are a terminal", &report["terminal"]["streams"], json!([true, true, true]))?;
    let console = answers.get(1).context("no second answer")?;
    same("the kind of /dev/console", &console["kind"], "c")?;
    let mounted = super::mount_at(report, "/dev/console")?;
    same("what is mounted at /dev/console", &mounted["kind"], "devpts")
}

fn the_console_has_the_size_that_is_given(case: &Case<'_>) -> Result<()> {
    let size = json!({"height": 33, "width": 77});
    let (answers, text) = with_terminal(case, Some(size.clone()))?;
    let report = answers.first().with_context(|| format!("the terminal said {text:?}"))?;
    same("the size", &report["terminal"]["size"], size)
}

fn the_console_size_is_ignored_without_a_terminal(case: &Case<'_>) -> Result<()> {
    let size = json!({"height": 33, "width": 77});
    let report = case.report_of(
        case.bundle()?.set("/process/terminal", false).set("/process/consoleSize", size.clone()),
    )?;
    same("whether the streams are a terminal", &report["terminal"]["streams"], json!([false, false, false]))?;
    case.report_of(case.bundle()?.set("/process/consoleSize", size)).map(drop)
}

/// Lower than what is in force, so that no privilege is needed.
fn rlimits_are_what_is_given(case: &Case<'_>) -> Result<()> {
    let limits = [
        ("RLIMIT_NOFILE", 200, 300),
        ("RLIMIT_CORE", 0, 0),
        ("RLIMIT_FSIZE", 1 << 30, 1 << 30),
        ("RLIMIT_AS", 1 << 40, 1 << 41),
    ];
    let list: Vec<Value> = limits
        .iter()
        .map(|(kind, soft, hard): &(_, i64, i64)| json!({"type": kind, "soft": soft, "hard": hard}))
        .collect();
    let report = case.report_of(case.bundle()?.set("/process/rlimits", list))?;
    for (kind, soft, hard) in limits {
        same(kind, &report["limits"][kind], json!({"soft": soft, "hard": hard}))?;
    }
    Ok(())
}

fn a_limit_that_linux_lacks_is_refused(case: &Case<'_>) -> Result<()> {
    let bundle =
        case.bundle()?.set("/process/rlimits", json!([{"type": "RLIMIT_PATIENCE", "soft": 1, "hard": 1}]));
    case.refuses_to_run(&bundle).map(drop)
}

fn a_limit_that_is_given_twice_is_refused(case: &Case<'_>) -> Result<()> {
    let entry = |soft: u32| json!({"type": "RLIMIT_NOFILE", "soft": soft, "hard": 300});
    let bundle = case.bundle()?.set("/process/rlimits", json!([entry(100), entry(200)]));
    case.refuses_to_run(&bundle).map(drop)
}

fn only_the_standard_streams_are_open(case: &Case<'_>) -> Result<()> {
    let report = case.report_of(case.bundle()?)?;
    let names: Vec<&String> = report["fds"].as_object().into_iter().flat_map(|fds| fds.keys()).collect();
    // The one that the directory is read with is closed again before the links are.
    let others: Vec<_> = names.iter().filter(|name| !["0", "1", "2"].contains(&name.as_str())).collect();
    let foreign: Vec<_> = others
        .iter()
        .filter(|name| !report["fds"][name.as_str()].as_str().is_some_and(|t| t.starts_with("/proc/")))
        .collect();
    ensure!(foreign.is_empty(), "descriptors are open: {}", report["fds"]);
    ensure!(
        ["0", "1", "2"].iter().all(|name| names.iter().any(|found| found == name)),
        "closed: {}",
        report["fds"]
    );
    Ok(())
}

fn the_hostname_is_set(case: &Case<'_>) -> Result<()> {
    let report = case.report_of(case.bundle()?.set("/hostname", "named-by-test"))?;
    same("the name", &report["host"]["name"], "named-by-test")
}

fn the_domainname_is_set(case: &Case<'_>) -> Result<()> {
    let report = case.report_of(case.bundle()?.set("/domainname", "domain.test"))?;
    same("the domain", &report["host"]["domain"], "domain.test")
}
