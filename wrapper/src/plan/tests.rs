use super::*;
use crate::cli::ContainerArgs;
use crate::container::{CgroupManager, Container, Root};
use crate::request::{Origin, build};
use clap::Args as _;
use mydocker_img::image::ContainerConfig;
use serde_json::{Value, json};

/// The record of `run FLAGS... IMAGE true`, where the image says `settings`.
fn container_of(flags: &[&str], settings: Value) -> Container {
    let settings: ContainerConfig = serde_json::from_value(settings).expect("settings of an image");
    let command =
        ContainerArgs::augment_args(clap::Command::new("run").no_binary_name(true).disable_help_flag(true));
    let matches = command.try_get_matches_from(flags).expect("flags that exist");
    let args = <ContainerArgs as clap::FromArgMatches>::from_arg_matches(&matches).expect("flags that fit");
    let origin =
        Origin { image: None, root: Root::Layers(Vec::new()), settings, words: vec!["true".to_owned()] };
    build(&"0123456789ab".repeat(6)[..64], &args, origin, "runtime", CgroupManager::Cgroupfs)
        .expect("a container")
}

fn config_of(flags: &[&str], facts: &Facts) -> Value {
    config(&container_of(flags, json!({})), facts)
}

fn mount<'a>(config: &'a Value, place: &str) -> Option<&'a Value> {
    config["mounts"].as_array().expect("mounts").iter().find(|mount| mount["destination"] == place)
}

fn has_namespace(config: &Value, kind: &str) -> bool {
    config["linux"]["namespaces"]
        .as_array()
        .expect("namespaces")
        .iter()
        .any(|namespace| namespace["type"] == kind)
}

#[test]
fn a_container_without_flags_is_as_confined_as_docker_s() {
    let config = config_of(&[], &Facts::default());
    assert_eq!(config["hostname"], "0123456789ab");
    assert_eq!(config["process"]["capabilities"]["bounding"].as_array().map(Vec::len), Some(14));
    assert_eq!(config["linux"]["resources"]["devices"], json!([{ "allow": false, "access": "rwm" }]));
    assert!(config["linux"]["seccomp"]["defaultAction"] == "SCMP_ACT_ERRNO");
    for kind in ["mount", "network", "pid", "ipc", "uts", "cgroup"] {
        assert!(has_namespace(&config, kind), "{kind}");
    }
    assert!(config["linux"]["maskedPaths"].as_array().is_some_and(|paths| !paths.is_empty()));
    assert_eq!(
        config["process"]["env"][0],
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    );
}

#[test]
fn a_privileged_container_has_all_there_is() {
    let config = config_of(&["--privileged"], &Facts::default());
    assert_eq!(config["process"]["capabilities"]["bounding"].as_array().map(Vec::len), Some(41));
    assert!(config["linux"]["seccomp"].is_null() && !has_namespace(&config, "cgroup"));
    assert_eq!(config["linux"]["maskedPaths"], json!([]));
    let sys = mount(&config, "/sys").expect("sysfs");
    assert!(!sys["options"].as_array().expect("options").contains(&json!("ro")));
}

#[test]
fn capabilities_are_dropped_and_added() {
    let held =
        |flags: &[&str]| config_of(flags, &Facts::default())["process"]["capabilities"]["bounding"].clone();
    assert_eq!(held(&["--cap-drop=ALL", "--cap-add=chown"]), json!(["CAP_CHOWN"]));
    assert_eq!(held(&["--cap-add=ALL", "--cap-drop=NET_RAW"]).as_array().map(Vec::len), Some(40));
    assert!(!held(&["--cap-drop=CAP_KILL"]).as_array().expect("a list").contains(&json!("CAP_KILL")));
}

#[test]
fn what_is_asked_for_takes_the_place_of_what_is_usual() {
    let flags = [
        "--volume=/srv:/dev/shm:ro",
        "--shm-size=1m",
        "--tmpfs=/run:size=1m,exec",
        "--network=host",
        "--pid=host",
    ];
    let config = config_of(&flags, &Facts::default());
    let shm = mount(&config, "/dev/shm").expect("a mount");
    assert_eq!((&shm["source"], &shm["options"]), (&json!("/srv"), &json!(["rbind", "rprivate", "ro"])));
    let run = mount(&config, "/run").expect("a tmpfs");
    assert_eq!(run["options"], json!(["nosuid", "nodev", "size=1m", "exec", "mode=1777", "rw"]));
    assert!(!has_namespace(&config, "network") && !has_namespace(&config, "pid"));
}

#[test]
fn limits_are_in_the_units_of_the_runtime() {
    let flags = ["--memory=100m", "--cpus=0.5", "--pids-limit=7", "--cpuset-cpus=1", "--ulimit=nofile=5:-1"];
    let config = config_of(&flags, &Facts { limits_swap: true, ..Facts::default() });
    let resources = &config["linux"]["resources"];
    assert_eq!(resources["memory"], json!({ "limit": 100 << 20, "swap": 200 << 20 }));
    assert_eq!(resources["cpu"], json!({ "quota": 50_000, "period": 100_000, "cpus": "1" }));
    assert_eq!(resources["pids"], json!({ "limit": 7 }));
    assert_eq!(
        config["process"]["rlimits"],
        json!([{ "type": "RLIMIT_NOFILE", "soft": 5, "hard": u64::MAX }])
    );
}

#[test]
fn the_image_s_settings_are_under_those_of_the_command_line() {
    let settings =
        json!({ "Env": ["A=1", "B=2"], "WorkingDir": "/srv", "User": "web", "Entrypoint": ["/entry"] });
    let container = container_of(&["--env=B=3", "--tty", "--user=7"], settings);
    let config = config(&container, &Facts::default());
    let env = config["process"]["env"].as_array().expect("an environment");
    assert!(
        ["A=1", "B=3", "TERM=xterm", "HOSTNAME=0123456789ab"].iter().all(|text| env.contains(&json!(text)))
    );
    assert_eq!(config["process"]["args"], json!(["/entry", "true"]));
    assert_eq!((&config["process"]["cwd"], &config["process"]["terminal"]), (&json!("/srv"), &json!(true)));
    assert_eq!(container.config.image.user, "7");
}

#[test]
fn flags_that_do_not_fit_together_are_refused() {
    let build = |flags: &[&str]| {
        let command = ContainerArgs::augment_args(
            clap::Command::new("run").no_binary_name(true).disable_help_flag(true),
        );
        let matches = command.try_get_matches_from(flags).expect("flags that exist");
        let args =
            <ContainerArgs as clap::FromArgMatches>::from_arg_matches(&matches).expect("flags that fit");
        let words = vec!["true".to_owned()];
        let origin = Origin {
            image: None,
            root: Root::Layers(Vec::new()),
            settings: ContainerConfig::default(),
            words,
        };
        build(&"ab".repeat(32), &args, origin, "runtime", CgroupManager::Cgroupfs)
    };
    for flags in [
        &["--rm", "--restart=always"][..],
        &["--cpus=1", "--cpu-quota=5"],
        &["--memory=1m"],
        &["--memory-swap=1g"],
        &["--memory-swappiness=-5"],
        &["--memory-swappiness=101"],
        &["--network=host", "--network=other"],
        &["--network=container:x", "--publish=80:80"],
        &["--volume=/a:/b", "--tmpfs=/b"],
        &["--no-healthcheck", "--health-cmd=true"],
        &["--hostname=a b"],
        &["--attach=stdin"],
    ] {
        assert!(build(flags).is_err(), "{flags:?}");
    }
}
