//! `ps`: the lines of the host's ps program that belong to a container.

use mydocker_sys::process::output;
use std::ffi::OsString;
use std::process::{Command, Stdio};

/// Why the processes cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum PsError {
    /// The ps program cannot be run.
    #[error("cannot run ps")]
    Spawn(#[source] std::io::Error),
    /// It failed.
    #[error("ps failed ({status}): {stderr}")]
    Failed {
        /// How it ended.
        status: std::process::ExitStatus,
        /// What it said.
        stderr: String,
    },
    /// Its options leave out the process id, or give it no heading.
    #[error("couldn't find PID field in ps output")]
    NoPidColumn,
    /// A line has no number where the process id is.
    #[error("ps printed no process id in {0:?}")]
    NoPid(String),
}

/// Runs the host's ps with `options`, or `-ef` if there are none, and returns what it prints.
///
/// # Errors
/// [`PsError`] if it cannot be run or fails.
pub fn run_ps(options: &[OsString]) -> Result<String, PsError> {
    let mut command = Command::new("ps");
    if options.is_empty() {
        command.arg("-ef")
    } else {
        command.args(options)
    };
    let output = output(command.stdin(Stdio::null())).map_err(PsError::Spawn)?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
        return Err(PsError::Failed { status: output.status, stderr });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The heading and the lines whose process id is among `pids`.
///
/// # Errors
/// [`PsError::NoPidColumn`] or [`PsError::NoPid`] if it cannot be told.
pub fn filter_ps(output: &str, pids: &[i32]) -> Result<String, PsError> {
    let mut lines = output.lines();
    let heading = lines.next().unwrap_or_default();
    let column = heading.split_whitespace().position(|name| name == "PID").ok_or(PsError::NoPidColumn)?;
    let mut kept = format!("{heading}\n");
    for line in lines.filter(|line| !line.is_empty()) {
        let pid = line.split_whitespace().nth(column).and_then(|field| field.parse().ok());
        if pids.contains(&pid.ok_or_else(|| PsError::NoPid(line.to_owned()))?) {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
UID        PID  PPID  C STIME TTY          TIME CMD
root         1     0  0 02:00 ?        00:00:01 init
root     14622     1  0 02:10 ?        00:00:00 sleep 60
";

    #[test]
    fn only_the_containers_lines_are_kept() {
        let kept = filter_ps(OUTPUT, &[14622]).expect("lines");
        assert_eq!(kept.lines().count(), 2);
        assert!(kept.ends_with("sleep 60\n"));
    }

    #[test]
    fn output_without_process_ids_is_refused() {
        assert!(matches!(filter_ps("COMMAND\nsh\n", &[1]), Err(PsError::NoPidColumn)));
        assert!(matches!(filter_ps("", &[1]), Err(PsError::NoPidColumn)));
        assert!(matches!(filter_ps("USER PID\nroot\n", &[1]), Err(PsError::NoPid(_))));
        assert!(matches!(filter_ps("PID\n-x\n", &[1]), Err(PsError::NoPid(_))));
    }

    #[test]
    fn the_hosts_ps_shows_this_process_and_says_why_it_fails() {
        let own = i32::try_from(std::process::id()).expect("a process id");
        let kept = filter_ps(&run_ps(&[]).expect("ps runs"), &[own]).expect("lines");
        assert_eq!(kept.lines().count(), 2, "{kept}");
        let error = run_ps(&["--no-such-option".into()]).expect_err("refused");
        assert!(error.to_string().contains("option"), "{error}");
    }
}
