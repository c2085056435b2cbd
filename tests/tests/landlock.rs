//! The annotation `org.mydocker.landlock` (docs/landlock.md).

use mydocker_tests::{Bundle, Runtime};
use serde_json::{Value, json};

/// What busybox needs to begin.
const PROGRAMS: &str = r#"{"paths": ["/bin"], "access": ["read", "execute"]}"#;

fn restricted(bundle: Bundle, rules: &Value) -> Bundle {
    bundle.with(|config| config["annotations"] = json!({"org.mydocker.landlock": rules.to_string()}))
}

fn programs() -> Value {
    serde_json::from_str(PROGRAMS).expect("JSON")
}

#[test]
fn privileged_files_are_forbidden_but_for_the_rules() {
    let runtime = Runtime::new();
    let rules = json!({"abi": 3, "fs": [
        programs(),
        {"paths": ["/tmp"], "access": ["read", "write"]},
        {"paths": ["/etc/passwd"], "access": ["read"]},
    ]});
    let script = "cat /etc/passwd >/tmp/copy && echo copied; cat /etc/group; echo x >/root/y; ls /tmp; rm /tmp/copy && echo gone";
    let bundle = restricted(runtime.bundle().script(script), &rules);
    let outcome = runtime.run(&bundle).succeeds();
    assert_eq!(outcome.stdout, "copied\ncopy\ngone\n", "{}", outcome.describe());
    assert_eq!(outcome.stderr.matches("ermission denied").count(), 2, "{}", outcome.describe());
}

#[test]
fn privileged_without_no_new_privileges_and_behind_a_filter_the_rules_hold_too() {
    let runtime = Runtime::new();
    let rules = json!({"fs": [programs()]});
    let filter = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"], "action": "SCMP_ACT_KILL_PROCESS"},
    ]});
    for no_new_privileges in [false, true] {
        let bundle =
            restricted(runtime.bundle().script("cat /etc/passwd || echo denied"), &rules).with(|config| {
                config["process"]["noNewPrivileges"] = json!(no_new_privileges);
                config["linux"]["seccomp"] = filter.clone();
            });
        assert_eq!(runtime.run(&bundle).succeeds().stdout, "denied\n");
    }
}

#[test]
fn privileged_a_process_that_joins_is_bound_by_the_rules_of_the_container() {
    let runtime = Runtime::new();
    let rules = json!({"fs": [programs()]});
    let bundle = restricted(runtime.bundle().args(["sleep", "1000"]), &rules);
    runtime.run_detached(&bundle);
    let outcome = runtime.exec(bundle.id(), ["cat", "/etc/passwd"]);
    runtime.kill_and_delete(bundle.id());
    assert!(outcome.fails().stderr.contains("ermission denied"));
}

#[test]
fn privileged_ports_are_forbidden_but_for_the_rules() {
    let runtime = Runtime::new();
    let rules = json!({"abi": 4, "net": [{"ports": [8080], "access": ["bind-tcp"]}]});
    // busybox's nc ends at once where it may not bind.
    let script = "timeout 1 nc -l -p 8080; echo $?; timeout 1 nc -l -p 9090; echo $?";
    let bundle = restricted(runtime.bundle().script(script), &rules);
    let outcome = runtime.run(&bundle).succeeds();
    assert_eq!(outcome.stdout, "143\n1\n", "{}", outcome.describe());
    assert!(outcome.stderr.contains("ermission denied"), "{}", outcome.describe());
}

#[test]
fn privileged_rules_that_are_wrong_or_name_a_missing_path_are_refused() {
    let runtime = Runtime::new();
    for (rules, words) in [
        (json!({"fs": [{"paths": ["/never"], "access": ["all"]}]}), "/never"),
        (json!({"fs": [{"paths": ["/"], "access": ["fly"]}]}), "/annotations/org.mydocker.landlock"),
        (json!({"abi": 99, "fs": []}), "versions 1 to"),
    ] {
        let outcome = runtime.run(&restricted(runtime.bundle(), &rules)).fails();
        assert!(outcome.stderr.contains(words), "{words}: {}", outcome.describe());
    }
}
