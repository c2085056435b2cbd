//! `list` and `ps`.

use mydocker_tests::Runtime;
use serde_json::json;

#[test]
fn privileged_list_shows_the_columns_of_runc() {
    let runtime = Runtime::new();
    let header =
        |text: &str| text.lines().next().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let titles = Some("ID PID STATUS BUNDLE CREATED OWNER".to_owned());
    let empty = runtime.command(["list"]).run().succeeds();
    assert_eq!((header(&empty.stdout), empty.stdout.lines().count()), (titles.clone(), 1));
    assert_eq!(runtime.command(["list", "--format", "json"]).run().succeeds().stdout.trim(), "null");
    assert_eq!(runtime.command(["list", "--quiet"]).run().succeeds().stdout, "");

    let bundles = [runtime.waiting_bundle(), runtime.waiting_bundle()];
    runtime.create(&bundles[0]).succeeds();
    runtime.run_detached(&bundles[1]);
    let table = runtime.command(["list"]).run().succeeds();
    assert_eq!((header(&table.stdout), table.stdout.lines().count()), (titles, 3));
    for (bundle, status) in bundles.iter().zip(["created", "running"]) {
        let row = table.stdout.lines().find(|line| line.starts_with(bundle.id())).expect("a row");
        let state = runtime.state(bundle.id());
        let cells: Vec<&str> = row.split_whitespace().collect();
        let dir = bundle.dir().display().to_string();
        let created = state["created"].as_str().expect("a time");
        assert_eq!(cells, [bundle.id(), &state["pid"].to_string(), status, &dir, created, "root"]);
    }
    let mut ids = [bundles[0].id(), bundles[1].id()];
    ids.sort_unstable();
    let quiet = runtime.command(["list", "-q"]).run().succeeds();
    assert_eq!(quiet.stdout.lines().collect::<Vec<_>>(), ids);
    runtime.command(["list", "--format", "yaml"]).run().fails();
}

#[test]
fn privileged_list_as_json_tells_the_state_and_the_owner() {
    let runtime = Runtime::new();
    let bundle = runtime.waiting_bundle();
    runtime.create(&bundle).succeeds();
    let list = runtime.command(["list", "-f", "json"]).run().succeeds().json();
    let mut expected = runtime.state(bundle.id());
    expected["owner"] = json!("root");
    assert_eq!(list, json!([expected]));
}

#[test]
fn privileged_ps_tells_the_processes_of_the_container_alone() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("sleep 1234 & echo ready; wait");
    let running = runtime.spawn(&bundle);
    running.wait_for_output("ready");
    let pid = runtime.pid(bundle.id());
    let table = runtime.command(["ps", bundle.id()]).run().succeeds().stdout;
    assert!(table.lines().next().is_some_and(|line| line.contains("PID") && line.contains("CMD")), "{table}");
    assert!(table.contains("sleep 1234") && table.contains(&pid.to_string()), "{table}");
    assert_eq!(table.lines().count(), 3, "{table}");

    let json = runtime.command(["ps", "--format", "json", bundle.id()]).run().succeeds().json();
    let pids: Vec<i64> =
        json.as_array().expect("a list").iter().filter_map(serde_json::Value::as_i64).collect();
    assert!(pids.len() == 2 && pids.contains(&i64::from(pid)), "{pids:?}");

    let chosen = runtime.command(["ps", bundle.id(), "-o", "pid,comm"]).run().succeeds().stdout;
    assert!(
        chosen.lines().next().is_some_and(|line| line.split_whitespace().eq(["PID", "COMMAND"])),
        "{chosen}"
    );
    runtime.command(["ps", "--format", "yaml", bundle.id()]).run().fails();
    runtime.kill(bundle.id(), "KILL").succeeds();
    running.wait().exits(137);
}
