//! How containers are shown: runc's tables and JSON documents, as text.

use mydocker_cmdline::one_line;
use serde::Serialize;
use std::collections::BTreeMap;

/// A container as `list` and `state` show it; the fields are in runc's order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerState<'a> {
    /// The version of the specification that its configuration complies with.
    pub oci_version: &'a str,
    /// Its id.
    pub id: &'a str,
    /// Its first process on the host; 0 if it has stopped.
    pub pid: i32,
    /// `creating`, `created`, `running`, `paused` or `stopped`.
    pub status: &'a str,
    /// The absolute path of its bundle.
    pub bundle: &'a str,
    /// The absolute path of its root file system.
    pub rootfs: &'a str,
    /// When it was created: RFC 3339 in UTC with nanoseconds, see [`rfc3339_nano`](super::rfc3339_nano).
    pub created: &'a str,
    /// The annotations of its configuration.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: &'a BTreeMap<String, String>,
    /// The name of its owner, or `#` and the user id; empty in `state`.
    pub owner: &'a str,
    /// How it ended, where that was seen: an additional property, which runtime.md, State, allows and runc has not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<&'a crate::state::ExitRecord>,
}

/// What `state` prints: two spaces for each level, no line break at the end.
///
/// # Errors
/// None that strings and numbers can cause.
pub fn state_json(state: &ContainerState<'_>) -> serde_json::Result<String> {
    serde_json::to_string_pretty(state)
}

/// What `list --format json` prints: one line; `null` for no container, as Go writes an empty list.
///
/// # Errors
/// None that strings and numbers can cause.
pub fn list_json(states: &[ContainerState<'_>]) -> serde_json::Result<String> {
    json_line(states)
}

/// What `ps --format json` prints: the process ids in one line.
///
/// # Errors
/// None that numbers can cause.
pub fn ps_json(pids: &[i32]) -> serde_json::Result<String> {
    json_line(pids)
}

fn json_line<T: Serialize>(list: &[T]) -> serde_json::Result<String> {
    let mut line = serde_json::to_string(&(!list.is_empty()).then_some(list))?;
    line.push('\n');
    Ok(line)
}

/// What `list --quiet` prints.
#[must_use]
pub fn list_ids(states: &[ContainerState<'_>]) -> String {
    states.iter().map(|state| format!("{}\n", state.id)).collect()
}

/// What `list` prints.
#[must_use]
pub fn list_table(states: &[ContainerState<'_>]) -> String {
    let header = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned);
    let rows = states.iter().map(|state| {
        [state.id, &state.pid.to_string(), state.status, state.bundle, state.created, state.owner]
            .map(one_line)
    });
    table(&[header].into_iter().chain(rows).collect::<Vec<_>>())
}

/// Columns as Go's tabwriter makes them with runc's settings: at least 12 wide, 3 of them blank; the last is as long
/// as its text.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let widths: [usize; N] = std::array::from_fn(|column| {
        let longest = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        (longest + 3).max(12)
    });
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            let blanks = if column + 1 == N { 0 } else { widths[column] - cell.chars().count() };
            text.push_str(cell);
            text.extend(std::iter::repeat_n(' ', blanks));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(annotations: &BTreeMap<String, String>) -> ContainerState<'_> {
        ContainerState {
            oci_version: "1.0.2-dev",
            id: "cli-probe-1",
            pid: 14622,
            status: "running",
            bundle: "/tmp/clitest/b",
            rootfs: "/tmp/clitest/b/rootfs",
            created: "2026-11-22T02:10:47.127043721Z",
            annotations,
            owner: "root",
            exit: None,
        }
    }

    // The three texts are what runc 1.1.5 printed for such a container.
    #[test]
    fn the_table_is_runcs() {
        let none = BTreeMap::new();
        assert_eq!(
            list_table(&[probe(&none)]),
            "ID            PID         STATUS      BUNDLE           CREATED                          OWNER\n\
             cli-probe-1   14622       running     /tmp/clitest/b   2026-11-22T02:10:47.127043721Z   root\n"
        );
        assert_eq!(list_table(&[]), "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n");
    }

    #[test]
    fn the_json_list_is_runcs() {
        let none = BTreeMap::new();
        assert_eq!(
            list_json(&[probe(&none)]).expect("JSON"),
            "[{\"ociVersion\":\"1.0.2-dev\",\"id\":\"cli-probe-1\",\"pid\":14622,\"status\":\"running\",\
             \"bundle\":\"/tmp/clitest/b\",\"rootfs\":\"/tmp/clitest/b/rootfs\",\
             \"created\":\"2026-11-22T02:10:47.127043721Z\",\"owner\":\"root\"}]\n"
        );
        assert_eq!(list_json(&[]).expect("JSON"), "null\n");
    }

    #[test]
    fn the_state_is_runcs() {
        let none = BTreeMap::new();
        let state = ContainerState { owner: "", ..probe(&none) };
        assert_eq!(
            state_json(&state).expect("JSON"),
            "{\n  \"ociVersion\": \"1.0.2-dev\",\n  \"id\": \"cli-probe-1\",\n  \"pid\": 14622,\n  \
             \"status\": \"running\",\n  \"bundle\": \"/tmp/clitest/b\",\n  \
             \"rootfs\": \"/tmp/clitest/b/rootfs\",\n  \"created\": \"2026-11-22T02:10:47.127043721Z\",\n  \
             \"owner\": \"\"\n}"
        );
    }

    #[test]
    fn annotations_stand_before_the_owner() {
        let some = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
        let json = list_json(&[probe(&some)]).expect("JSON");
        assert!(json.contains("\"annotations\":{\"a\":\"1\"},\"owner\":\"root\""), "{json}");
    }

    #[test]
    fn ids_stand_alone_with_quiet() {
        let none = BTreeMap::new();
        assert_eq!(list_ids(&[probe(&none), probe(&none)]), "cli-probe-1\ncli-probe-1\n");
    }

    #[test]
    fn a_path_cannot_break_the_table() {
        let none = BTreeMap::new();
        let table = list_table(&[ContainerState { bundle: "/a\nb\x1b[2J", ..probe(&none) }]);
        assert_eq!(table.lines().count(), 2);
        assert!(table.contains("/a\\nb\\u{1b}[2J"), "{table}");
    }

    #[test]
    fn process_ids_are_a_json_list() {
        assert_eq!(ps_json(&[1, 22]).expect("JSON"), "[1,22]\n");
    }
}
