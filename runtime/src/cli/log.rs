//! The log: one line a message, in logrus' text form or as JSON, which containerd, podman and docker read the last
//! error from.

use super::args::{GlobalArgs, LogFormat};
use super::time::rfc3339;
use crate::timings::Timings;
use mydocker_cmdline::one_line;
use mydocker_sys::fs::{OFlag, openat, write_fully};
use serde_json::{Map, Value};
use std::error::Error;
use std::ffi::OsStr;
use std::io::Write as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::SystemTime;

/// The fields of a message beside its text, in the order of their names.
type Fields = Map<String, Value>;

/// How much a message matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Debug,
    Info,
    Warning,
    Error,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// An error as it leaves the program: one line of text and what a program wants to know apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// A stable name of the kind of error, such as `no-such-container`.
    pub code: &'static str,
    /// The whole chain in one line, the outermost error first, joined by `: `.
    pub message: String,
    /// The phase of the plan in which it happened.
    pub phase: Option<String>,
    /// The step of the plan.
    pub step: Option<String>,
    /// The name of the system call that failed.
    pub syscall: Option<String>,
    /// The path that it is about.
    pub path: Option<String>,
    /// The kernel's error number.
    pub errno: Option<i32>,
    /// What would mend it.
    pub hint: Option<String>,
}

impl Report {
    /// Makes a report of a chain of errors; a system call among them gives its name and error number.
    #[must_use]
    pub fn new(code: &'static str, error: &(dyn Error + 'static)) -> Self {
        let mut report = Self { code, message: error.to_string(), ..Self::default() };
        let mut link = Some(error);
        while let Some(error) = link {
            if let Some(call) = error.downcast_ref::<mydocker_sys::Error>() {
                report.syscall = Some(call.call().to_owned());
                report.errno = Some(call.errno() as i32);
                report.path = call.path().map(|path| path.display().to_string());
            } else if let Some(error) = error.downcast_ref::<std::io::Error>() {
                report.errno = error.raw_os_error().or(report.errno);
            }
            link = error.source();
            if let Some(source) = link {
                report.message.push_str(": ");
                report.message.push_str(&source.to_string());
            }
        }
        report
    }

    /// Adds what would mend it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn fields(&self) -> Fields {
        let texts = [
            ("phase", &self.phase),
            ("step", &self.step),
            ("syscall", &self.syscall),
            ("path", &self.path),
            ("hint", &self.hint),
        ];
        let mut fields = Fields::new();
        if !self.code.is_empty() {
            fields.insert("code".to_owned(), self.code.into());
        }
        for (name, text) in texts {
            fields.extend(text.as_ref().map(|text| (name.to_owned(), Value::from(text.as_str()))));
        }
        fields.extend(self.errno.map(|errno| ("errno".to_owned(), errno.into())));
        fields
    }
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file cannot be opened.
    #[error("cannot open the log")]
    Open(#[source] mydocker_sys::Error),
    /// It is crun's word for a log that is no file.
    #[error(
        "--log {0:?}: this runtime writes its log to files alone: give file:PATH (a file of that very name is ./{0})"
    )]
    NoFile(String),
}

/// Where messages go.
#[derive(Debug)]
pub struct Log {
    file: Option<OwnedFd>,
    format: LogFormat,
    debug: bool,
}

impl Log {
    /// Standard error, in text: what there is before the command line is understood.
    #[must_use]
    pub fn stderr() -> Self {
        Self { file: None, format: LogFormat::Text, debug: false }
    }

    /// The log that the flags ask for. A file is appended to, and made if there is none.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn open(args: &GlobalArgs) -> Result<Self, LogError> {
        let path = args.log.as_deref().map(file_of).transpose()?.filter(|path| !path.as_os_str().is_empty());
        let file = path.map(open_file).transpose().map_err(LogError::Open)?;
        Ok(Self { file, format: args.log_format, debug: args.debug })
    }

    /// The descriptor of the log, for a child that has to write to it too; none if it is standard error.
    #[must_use]
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_ref().map(AsFd::as_fd)
    }

    /// Whether debug messages are wanted; what is costly to say should be asked first.
    #[must_use]
    pub fn is_debug(&self) -> bool {
        self.debug
    }

    /// Says why the program fails: to the log, and if that is a file, to a person on standard error too.
    pub fn error(&self, report: &Report) {
        self.write(Level::Error, &report.message, report.fields());
        if self.file.is_some() {
            let hint = report.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
            write_stderr(format!("{}{hint}\n", one_line(&report.message)).as_bytes());
        }
    }

    /// Says what is odd but no reason to stop.
    pub fn warning(&self, message: &str) {
        self.write(Level::Warning, message, Fields::new());
    }

    /// Says what is done, for whoever asked with `--debug`.
    pub fn debug(&self, message: &str) {
        if self.debug {
            self.write(Level::Debug, message, Fields::new());
        }
    }

    /// Tells how long the parts of a command took: as JSON in the log, else for a person on standard error.
    pub fn timings(&self, command: &str, timings: &Timings) {
        if self.format == LogFormat::Text {
            timings.to_text(command).iter().for_each(|text| write_stderr(text.as_bytes()));
        } else if let Some((parts, total)) = timings.to_json() {
            let fields = [("command", command.into()), ("phases", parts), ("total", total.into())];
            let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
            self.write(Level::Info, "timings", fields.collect());
        }
    }

    fn write(&self, level: Level, message: &str, fields: Fields) {
        let time = rfc3339(SystemTime::now());
        let line = match self.format {
            LogFormat::Text => text_line(level, message, fields, &time),
            LogFormat::Json => json_line(level, message, fields, &time),
        };
        match &self.file {
            // A log on a full disk is no reason to fail; the message is not lost.
            Some(file) if write_fully(file, line.as_bytes()).is_ok() => {}
            _ => write_stderr(line.as_bytes()),
        }
    }
}

/// The file that `--log` names, in runc's words or in crun's.
fn file_of(log: &Path) -> Result<&Path, LogError> {
    let bytes = log.as_os_str().as_bytes();
    if [&b"syslog:"[..], b"journald:"].iter().any(|kind| bytes.starts_with(kind)) {
        return Err(LogError::NoFile(log.display().to_string()));
    }
    Ok(bytes.strip_prefix(b"file:").map_or(log, |path| Path::new(OsStr::from_bytes(path))))
}

fn open_file(path: &Path) -> mydocker_sys::Result<OwnedFd> {
    let flags = OFlag::O_CREAT | OFlag::O_WRONLY | OFlag::O_APPEND;
    openat(mydocker_sys::fs::AT_FDCWD, path, flags, 0o644)
}

/// When standard error is closed there is nobody left to tell.
fn write_stderr(bytes: &[u8]) {
    std::io::stderr().write_all(bytes).unwrap_or_default();
}

/// runc's shape: keys in the order of their names, `level`, `msg` and `time` among them.
fn json_line(level: Level, message: &str, mut fields: Fields, time: &str) -> String {
    fields.insert("level".to_owned(), level.name().into());
    fields.insert("msg".to_owned(), message.into());
    fields.insert("time".to_owned(), time.into());
    format!("{}\n", Value::Object(fields))
}

/// logrus' shape: `time`, `level`, `msg`, then the fields by name.
fn text_line(level: Level, message: &str, fields: Fields, time: &str) -> String {
    let mut line = format!("time={} level={} msg={}", quoted(time), level.name(), quoted(message));
    for (name, value) in fields {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        line.push_str(&format!(" {name}={}", quoted(&text)));
    }
    line.push('\n');
    line
}

/// The text as it is if it needs no quotes by logrus' rule, else in quotes, control characters escaped.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._/@^+".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { format!("{text:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mydocker_sys::error::Errno;
    use std::path::PathBuf;

    const TIME: &str = "2026-11-22T02:09:11Z";

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read the state of {id}")]
    struct Outer {
        id: &'static str,
        source: mydocker_sys::Error,
    }

    fn report() -> Report {
        let source = mydocker_sys::Error::new("openat", "\"c\"", Errno::ENOENT);
        Report::new("state-unreadable", &Outer { id: "c", source }).with_hint("run list")
    }

    #[test]
    fn a_report_tells_the_whole_chain_and_the_call_that_failed() {
        let report = report();
        assert_eq!(
            report.message,
            "cannot read the state of c: openat(\"c\"): ENOENT: No such file or directory"
        );
        assert_eq!((report.syscall.as_deref(), report.errno), (Some("openat"), Some(2)));
    }

    #[test]
    fn a_json_line_has_runcs_shape_and_the_fields() {
        let line = json_line(Level::Error, "no \"x\"\nhere", report().fields(), TIME);
        assert_eq!(
            line,
            "{\"code\":\"state-unreadable\",\"errno\":2,\"hint\":\"run list\",\"level\":\"error\",\
             \"msg\":\"no \\\"x\\\"\\nhere\",\"path\":\"c\",\"syscall\":\"openat\",\"time\":\"2026-11-22T02:09:11Z\"}\n"
        );
        let plain = json_line(Level::Warning, "w", Fields::new(), TIME);
        assert_eq!(plain, format!("{{\"level\":\"warning\",\"msg\":\"w\",\"time\":\"{TIME}\"}}\n"));
    }

    #[test]
    fn a_text_line_has_logrus_shape() {
        let line = text_line(Level::Error, "container does not exist", Fields::new(), TIME);
        assert_eq!(line, format!("time=\"{TIME}\" level=error msg=\"container does not exist\"\n"));
        let line = text_line(Level::Error, "word", report().fields(), TIME);
        let fields = "code=state-unreadable errno=2 hint=\"run list\" path=c syscall=openat";
        assert_eq!(line, format!("time=\"{TIME}\" level=error msg=word {fields}\n"));
    }

    #[test]
    fn no_message_can_forge_a_second_line_or_reach_the_terminal() {
        let text = text_line(Level::Error, "a\nlevel=error\x1b[2J", Fields::new(), TIME);
        assert_eq!(text.matches('\n').count(), 1);
        assert!(!text.contains('\x1b'));
    }

    #[test]
    fn a_log_file_is_appended_to() {
        let path = PathBuf::from(format!("/tmp/mydocker-log-test-{}", std::process::id()));
        std::fs::write(&path, "before\n").expect("writable /tmp");
        let log = Log { file: Some(open_file(&path).expect("open")), format: LogFormat::Json, debug: false };
        log.warning("once");
        log.debug("never");
        let text = std::fs::read_to_string(&path).expect("readable");
        std::fs::remove_file(&path).expect("removable");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!((lines.len(), lines[0]), (2, "before"));
        let line: Value = serde_json::from_str(lines[1]).expect("JSON");
        assert_eq!((&line["level"], &line["msg"]), (&Value::from("warning"), &Value::from("once")));
    }

    #[test]
    fn a_log_is_named_in_runcs_words_or_in_cruns() {
        let file = |log: &'static str| file_of(Path::new(log)).ok();
        for log in ["/a/log", "file:/a/log"] {
            assert_eq!(file(log), Some(Path::new("/a/log")));
        }
        assert_eq!(file("./syslog:x"), Some(Path::new("./syslog:x")));
        for log in ["syslog:id", "journald:id", "syslog:"] {
            let error = file_of(Path::new(log)).expect_err("no file").to_string();
            assert!(error.contains(log) && error.contains("file:PATH"), "{error}");
        }
    }

    #[test]
    fn a_log_that_cannot_be_opened_is_an_error_that_names_it() {
        let error = open_file(Path::new("/proc/no-such-directory/log")).expect_err("no directory");
        assert!(error.to_string().contains("/proc/no-such-directory/log"), "{error}");
    }
}
