//! The configuration, part by part. It begins as the one that an image alone would have.

use super::mounts::mounts;
use super::resources::{device_nodes, resources, rlimits};
use super::{Facts, INIT, Seccomp, cgroup_path};
use crate::container::{CgroupManager, Container};
use mydocker_bundles::{CAPABILITIES, ImageSettings, all_capabilities, default_seccomp};
use serde_json::{Value, json};

/// The `config.json` of a container.
#[must_use]
pub fn config(container: &Container, facts: &Facts) -> Value {
    let mut config = mydocker_bundles::config(&settings(container), &facts.user);
    let host = &container.host_config;
    config["root"] = json!({ "path": facts.root, "readonly": host.readonly_rootfs });
    if !container.config.hostname.is_empty() {
        config["hostname"] = json!(container.config.hostname);
    }
    if !container.config.domainname.is_empty() {
        config["domainname"] = json!(container.config.domainname);
    }
    let base = config["mounts"].as_array().cloned().unwrap_or_default();
    config["mounts"] = Value::Array(mounts(&base, container, facts));
    config["annotations"] = json!(host.annotations);
    process(&mut config["process"], container, facts);
    linux(&mut config["linux"], container, facts);
    config
}

fn settings(container: &Container) -> ImageSettings {
    let image = &container.config.image;
    let mut env = Vec::new();
    if !image.env.iter().any(|variable| variable.starts_with("HOSTNAME="))
        && !container.config.hostname.is_empty()
    {
        env.push(format!("HOSTNAME={}", container.config.hostname));
    }
    if container.config.tty && !image.env.iter().any(|variable| variable.starts_with("TERM=")) {
        env.push("TERM=xterm".to_owned());
    }
    env.extend(image.env.iter().cloned());
    ImageSettings {
        env,
        entrypoint: image.entrypoint.clone().unwrap_or_default(),
        cmd: image.cmd.clone().unwrap_or_default(),
        working_dir: image.working_dir.clone(),
        volumes: Vec::new(),
        annotations: container.host_config.annotations.clone(),
    }
}

fn process(process: &mut Value, container: &Container, facts: &Facts) {
    let host = &container.host_config;
    process["terminal"] = json!(container.config.tty);
    process["noNewPrivileges"] = json!(facts.security.no_new_privileges);
    if facts.init.is_some() {
        let program = process["args"].as_array().cloned().unwrap_or_default();
        let init = [json!(INIT), json!("--")];
        process["args"] = init.into_iter().chain(program).collect();
    }
    let bounding = capabilities(container);
    // Whoever is not root loses these with execve anyway.
    let held = if facts.user.uid == 0 { &*bounding } else { &[] };
    process["capabilities"] = json!({ "bounding": bounding, "effective": held, "permitted": held });
    if host.oom_score_adj != 0 {
        process["oomScoreAdj"] = json!(host.oom_score_adj);
    }
    if !host.ulimits.is_empty() {
        process["rlimits"] = Value::Array(rlimits(&host.ulimits));
    }
    if let Some(profile) = &facts.security.apparmor {
        process["apparmorProfile"] = json!(profile);
    }
    if let Some(label) = &facts.security.label {
        process["selinuxLabel"] = json!(label);
    }
}

/// Docker's, less what is dropped, and what is added; `ALL` comes first, whichever way it was typed.
#[must_use]
pub fn capabilities(container: &Container) -> Vec<String> {
    let host = &container.host_config;
    let all = all_capabilities();
    if host.privileged {
        return all;
    }
    let is_all = |list: &[String]| list.iter().any(|name| name == "ALL");
    let mut held: Vec<String> = match (is_all(&host.cap_add), is_all(&host.cap_drop)) {
        (true, _) => all.clone(),
        (false, true) => Vec::new(),
        (false, false) => CAPABILITIES.iter().map(|name| (*name).to_owned()).collect(),
    };
    if !is_all(&host.cap_drop) || is_all(&host.cap_add) {
        held.retain(|name| !host.cap_drop.contains(name));
    }
    held.extend(host.cap_add.iter().filter(|name| *name != "ALL").cloned());
    // In the kernel's order, each once.
    all.into_iter().filter(|name| held.contains(name)).collect()
}

fn linux(linux: &mut Value, container: &Container, facts: &Facts) {
    let host = &container.host_config;
    // The runtime finds a cgroup for an ordinary user where there is one, and systemd gives everybody one.
    if !facts.is_rootless || host.cgroup_manager == CgroupManager::Systemd {
        linux["cgroupsPath"] = json!(cgroup_path(container));
    }
    linux["namespaces"] = Value::Array(namespaces(container, facts));
    linux["resources"] = resources(host, facts);
    if !facts.devices.is_empty() {
        linux["devices"] = Value::Array(device_nodes(&facts.devices));
    }
    if !host.sysctls.is_empty() {
        linux["sysctl"] = json!(host.sysctls);
    }
    if host.privileged || facts.security.unmasked {
        linux["maskedPaths"] = json!([]);
        linux["readonlyPaths"] = json!([]);
    }
    if let Some(label) = facts.security.file_label() {
        linux["mountLabel"] = json!(label);
    }
    if container.mounts.iter().any(|mount| mount.propagation.ends_with("shared")) {
        linux["rootfsPropagation"] = json!("shared");
    } else if container.mounts.iter().any(|mount| mount.propagation.ends_with("slave")) {
        linux["rootfsPropagation"] = json!("slave");
    }
    let filter = match &facts.security.seccomp {
        _ if host.privileged && facts.security.seccomp == Seccomp::Default => None,
        Seccomp::Unconfined => None,
        Seccomp::Profile(_) => facts.seccomp.clone(),
        Seccomp::Default => Some(default_seccomp(&capabilities(container))),
    };
    if let Some(filter) = filter {
        linux["seccomp"] = filter;
    }
}

fn namespaces(container: &Container, facts: &Facts) -> Vec<Value> {
    let host = &container.host_config;
    let joined = &facts.joined;
    let mut namespaces = vec![json!({ "type": "mount" })];
    let mut add = |kind: &str, is_host: bool, path: &Option<std::path::PathBuf>| match path {
        Some(path) => namespaces.push(json!({ "type": kind, "path": path })),
        None if is_host => {}
        None => namespaces.push(json!({ "type": kind })),
    };
    add("network", host.network_mode == "host", &joined.network);
    add("pid", host.pid_mode == "host", &joined.pid);
    add("ipc", host.ipc_mode == "host", &joined.ipc);
    add("uts", host.uts_mode == "host", &None);
    add("cgroup", host.cgroupns_mode == "host", &None);
    namespaces
}
