//! `top`: the processes of a container.

use crate::cli::{Outcome, TopArgs};
use crate::container::Containers;
use crate::home::Home;
use crate::look::Listed;
use crate::look::status::is_up;
use crate::oci::Oci;
use mydocker_img::cli::print_value;
use mydocker_sys::process::output;
use std::io;
use std::process::{Command, Stdio};

/// Why the processes are not shown.
#[derive(Debug, thiserror::Error)]
pub enum TopError {
    /// It has none.
    #[error("container {0} is not running")]
    NotRunning(String),
    /// The program that describes processes.
    #[error("cannot run ps, which describes processes; it is in Debian's package procps")]
    Ps(#[source] io::Error),
    /// It does not like its options.
    #[error("ps says: {0}")]
    Refused(String),
    /// There is nothing to choose the processes by.
    #[error("the output of ps has no column PID; add 'pid' to the columns, as in -o pid,cmd")]
    NoPid,
    /// What the OCI runtime says of them.
    #[error("the OCI runtime does not tell the processes of the container as a list")]
    NoList(#[source] serde_json::Error),
}

/// Prints what ps says of the processes of a container.
///
/// # Errors
/// [`TopError`] and those of the container's records.
pub fn top(args: &TopArgs, home: &Home) -> Outcome {
    let containers = Containers::open(home)?;
    let listed = Listed::read(&containers, &containers.find_id(&args.container)?)?;
    if !is_up(listed.state.status) {
        return Err(TopError::NotRunning(args.container.clone()).into());
    }
    let oci = Oci::new(home, &listed.container.host_config.runtime);
    let list = oci.run("ps", &["--format", "json", &listed.container.id])?;
    let pids: Vec<i32> = serde_json::from_slice(&list).map_err(TopError::NoList)?;
    let usual = ["-ef".to_owned()];
    let options = if args.options.is_empty() { &usual[..] } else { &args.options };
    let output = output(Command::new("ps").args(options).stdin(Stdio::null())).map_err(TopError::Ps)?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(TopError::Refused(text.lines().next().unwrap_or("no").to_owned()).into());
    }
    let text = choose(&String::from_utf8_lossy(&output.stdout), &pids).ok_or(TopError::NoPid)?;
    print_value(&text)?;
    Ok(0)
}

/// The title, and the lines of these processes.
fn choose(table: &str, pids: &[i32]) -> Option<String> {
    let mut lines = table.lines();
    let title = lines.next()?;
    let column = title.split_whitespace().position(|word| word == "PID")?;
    let is_one = |line: &&str| {
        let pid = line.split_whitespace().nth(column).and_then(|word| word.parse::<i32>().ok());
        pid.is_some_and(|pid| pids.contains(&pid))
    };
    let mut text = format!("{title}\n");
    for line in lines.filter(is_one) {
        text.push_str(line);
        text.push('\n');
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_of_others_are_left_out() {
        let table =
            "UID          PID    PPID CMD\nroot           1       0 init\nroot          42       1 sleep 1\n";
        let chosen = choose(table, &[42]).expect("a column");
        assert_eq!(chosen, "UID          PID    PPID CMD\nroot          42       1 sleep 1\n");
        assert_eq!(choose("CMD\nsleep 42\n", &[42]), None);
    }
}
