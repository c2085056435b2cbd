//! All flags together.

use super::limits::{
    capability, check_cpus, cpus, device, healthcheck, mac_address, restart_policy, signal, throttle, ulimit,
    weight,
};
use super::mounts::{anonymous, mount, tmpfs, volume};
use super::security::security_options;
use super::variables::{environment, labels, pairs};
use super::{RequestError, bad, bytes, exposed, published};
use crate::cli::{ContainerArgs, NetworkArgs};
use crate::clock;
use crate::container::{
    Attachment, CgroupManager, Config, Container, HostConfig, ImageOf, LogConfig, Mount, MountKind, Root,
    ThrottleDevice, Ulimit,
};
use crate::log::LogSettings;
use crate::plan::device_rule;
use mydocker_img::image::ContainerConfig;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The smallest limit of memory: with less the kernel cannot run a program.
const LEAST_MEMORY: u64 = 6 << 20;

/// What a container is made from.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// The image, if it is one.
    pub image: Option<ImageOf>,
    /// What lies below the container's changes.
    pub root: Root,
    /// What the image says.
    pub settings: ContainerConfig,
    /// The command's words, without the image's name.
    pub words: Vec<String>,
}

/// What was typed, over what the image says. The sources of volumes and the mounts of `--volumes-from` are still to be
/// filled in.
///
/// # Errors
/// [`RequestError`]: the first flag that does not fit.
pub fn build(
    id: &str,
    args: &ContainerArgs,
    origin: Origin,
    runtime: &str,
    cgroup_manager: CgroupManager,
) -> Result<Container, RequestError> {
    let attachments = attachments(&args.network)?;
    let mut host_config = HostConfig { cgroup_manager, ..host_config(args, runtime)? };
    let config = config(id, args, origin.settings, &origin.words)?;
    if config.image.entrypoint.iter().chain(&config.image.cmd).flatten().next().is_none() {
        return Err(RequestError::NoCommand);
    }
    publish_all(args, &config, &mut host_config)?;
    let mounts = mounts(args, &config)?;
    check(args, &host_config)?;
    Ok(Container {
        id: id.to_owned(),
        name: args.origin.name.clone().unwrap_or_default(),
        created: clock::now(),
        image: origin.image,
        root: origin.root,
        config,
        host_config,
        mounts,
        networks: attachments,
    })
}

fn config(
    id: &str,
    args: &ContainerArgs,
    image: ContainerConfig,
    words: &[String],
) -> Result<Config, RequestError> {
    let process = &args.process;
    let mut image = image;
    let host = |name: &str| std::env::var(name).ok();
    image.env = environment(&image.env, &process.env_file, &process.env, host)?;
    image.labels.extend(labels(&args.origin.label_file, &args.origin.label)?);
    if let Some(entrypoint) = &process.entrypoint {
        // The image's arguments belong to the image's program.
        image.cmd = None;
        image.entrypoint = (!entrypoint.is_empty()).then(|| vec![entrypoint.clone()]);
    }
    if !words.is_empty() {
        image.cmd = Some(words.to_owned());
    }
    if let Some(user) = &process.user {
        image.user.clone_from(user);
    }
    if let Some(directory) = process.workdir.as_ref().filter(|directory| !directory.is_empty()) {
        if !directory.starts_with('/') {
            return Err(bad("workdir", directory, "the path is not absolute"));
        }
        image.working_dir.clone_from(directory);
    }
    for text in &args.network.expose {
        let keys = exposed(text)?
            .into_iter()
            .map(|(port, protocol)| (format!("{port}/{protocol}"), Value::Object(Map::new())));
        image.exposed_ports.extend(keys);
    }
    if let Some(name) = &args.life.stop_signal {
        image.stop_signal = Some(signal("stop-signal", name)?);
    }
    image.healthcheck = healthcheck(image.healthcheck.take(), &args.life)?;
    Ok(Config {
        image,
        hostname: hostname(id, args)?,
        domainname: process.domainname.clone().unwrap_or_default(),
        tty: process.tty,
        open_stdin: process.interactive,
        stdin_once: process.interactive,
        stop_timeout: args.life.stop_timeout,
    })
}

/// The host's name comes with the host's namespace, and is filled in when the container starts.
fn hostname(id: &str, args: &ContainerArgs) -> Result<String, RequestError> {
    let is_host = args.security.uts.as_deref() == Some("host");
    match args.process.hostname.as_ref().filter(|name| !name.is_empty()) {
        Some(_) if is_host => Err(RequestError::Together("--hostname does not go with --uts host")),
        Some(name)
            if name.len() > 64
                || !name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')) =>
        {
            Err(bad(
                "hostname",
                name,
                "it is no host name; letters, digits, '-' and '.' make one, 64 at the most",
            ))
        }
        Some(name) => Ok(name.clone()),
        // Who has the host's network has its name as well, by which it finds itself there.
        None if is_host || network_mode(&args.network) == "host" => Ok(String::new()),
        None => Ok(id.get(..12).unwrap_or(id).to_owned()),
    }
}

fn host_config(args: &ContainerArgs, runtime: &str) -> Result<HostConfig, RequestError> {
    let (security, limits, network) = (&args.security, &args.limits, &args.network);
    let size = |flag, text: &Option<String>| text.as_ref().map_or(Ok(0), |text| bytes(flag, text));
    let many = |flag, texts: &[String]| {
        texts.iter().map(|text| capability(flag, text)).collect::<Result<Vec<_>, _>>()
    };
    let memory = match limits.mmem {
        Some(mebibytes) => mebibytes
            .checked_mul(1 << 20)
            .ok_or_else(|| bad("mmem", &mebibytes.to_string(), "it is too much"))?,
        None => size("memory", &limits.memory)?,
    };
    Ok(HostConfig {
        binds: args.volumes.volume.clone(),
        container_id_file: args
            .origin
            .cidfile
            .as_ref()
            .map_or_else(String::new, |path| path.display().to_string()),
        log_config: log_config(args)?,
        network_mode: network_mode(network),
        port_bindings: network
            .publish
            .iter()
            .map(|text| published(text))
            .collect::<Result<Vec<_>, _>>()?
            .concat(),
        publish_all_ports: network.publish_all,
        restart_policy: args.life.restart.as_deref().map_or(Ok(Default::default()), restart_policy)?,
        auto_remove: args.life.rm,
        volumes_from: args.volumes.volumes_from.clone(),
        cap_add: many("cap-add", &security.cap_add)?,
        cap_drop: many("cap-drop", &security.cap_drop)?,
        cgroupns_mode: security
            .cgroupns
            .clone()
            .unwrap_or_else(|| if security.privileged { "host" } else { "private" }.to_owned()),
        dns: network.dns.clone(),
        dns_options: network.dns_option.clone(),
        dns_search: network.dns_search.clone(),
        extra_hosts: network.add_host.iter().map(|text| extra_host(text)).collect::<Result<_, _>>()?,
        group_add: args.process.group_add.clone(),
        ipc_mode: joined("ipc", &security.ipc, &["private", "shareable", "host", "none"])?,
        pid_mode: joined("pid", &security.pid, &["host"])?,
        uts_mode: joined("uts", &security.uts, &["host"])?.replace("private", ""),
        userns_mode: userns(&security.userns)?,
        oom_score_adj: args.process.oom_score_adj.unwrap_or(0),
        oom_kill_disable: limits.oom_kill_disable,
        privileged: security.privileged,
        readonly_rootfs: args.volumes.read_only,
        security_opt: security_options(&security.security_opt)?,
        shm_size: match size("shm-size", &args.volumes.shm_size)? {
            0 => 64 << 20,
            size => size,
        },
        sysctls: sysctls(&security.sysctl)?,
        runtime: args.origin.runtime.clone().unwrap_or_else(|| runtime.to_owned()),
        init: args.process.init,
        memory,
        memory_reservation: size("memory-reservation", &limits.memory_reservation)?,
        memory_swap: match limits.memory_swap.as_deref() {
            Some("-1") => -1,
            Some(text) => i64::try_from(bytes("memory-swap", text)?).unwrap_or(i64::MAX),
            None => 0,
        },
        nano_cpus: limits.cpus.as_deref().map_or(Ok(0), cpus)?,
        cpu_shares: limits.cpu_shares.unwrap_or(0),
        cpu_period: limits.cpu_period.unwrap_or(0),
        cpu_quota: limits.cpu_quota.unwrap_or(0),
        cpuset_cpus: limits.cpuset_cpus.clone().unwrap_or_default(),
        cpuset_mems: limits.cpuset_mems.clone().unwrap_or_default(),
        blkio_weight: limits.blkio_weight.unwrap_or(0),
        blkio_weight_device: limits
            .blkio_weight_device
            .iter()
            .map(|text| weight(text))
            .collect::<Result<_, _>>()?,
        blkio_device_read_bps: rates("device-read-bps", &limits.device_read_bps)?,
        blkio_device_write_bps: rates("device-write-bps", &limits.device_write_bps)?,
        blkio_device_read_iops: rates("device-read-iops", &limits.device_read_iops)?,
        blkio_device_write_iops: rates("device-write-iops", &limits.device_write_iops)?,
        memory_swappiness: swappiness(limits.memory_swappiness)?,
        pids_limit: limits.pids_limit.unwrap_or(0),
        ulimits: ulimits(&args.process.ulimit)?,
        devices: security.device.iter().map(|text| device(text)).collect::<Result<_, _>>()?,
        device_cgroup_rules: device_rules(&security.device_cgroup_rule)?,
        cgroup_parent: limits.cgroup_parent.clone().unwrap_or_default(),
        cgroup_manager: CgroupManager::default(),
        annotations: pairs("annotation", &args.origin.annotation)?,
        detach_keys: String::new(),
    })
}

/// -1 leaves it to the host, as with docker.
fn swappiness(typed: Option<i64>) -> Result<Option<u64>, RequestError> {
    match typed {
        None | Some(-1) => Ok(None),
        Some(number @ 0..=100) => Ok(Some(number.unsigned_abs())),
        Some(number) => {
            Err(bad("memory-swappiness", &number.to_string(), "it is not between 0 and 100, and not -1"))
        }
    }
}

fn rates(flag: &'static str, typed: &[String]) -> Result<Vec<ThrottleDevice>, RequestError> {
    typed.iter().map(|text| throttle(flag, text)).collect()
}

/// The last of a name wins, as docker has it.
fn ulimits(typed: &[String]) -> Result<Vec<Ulimit>, RequestError> {
    let mut ulimits: Vec<Ulimit> = Vec::new();
    for text in typed {
        let limit = ulimit(text)?;
        ulimits.retain(|other| other.name != limit.name);
        ulimits.push(limit);
    }
    Ok(ulimits)
}

fn sysctls(typed: &[String]) -> Result<BTreeMap<String, String>, RequestError> {
    match typed.iter().find(|text| !text.contains('=')) {
        Some(text) => Err(bad("sysctl", text, "it has no value; write NAME=VALUE")),
        None => pairs("sysctl", typed),
    }
}

fn device_rules(typed: &[String]) -> Result<Vec<String>, RequestError> {
    let wrong = |text: &String| device_rule(text).is_none();
    match typed.iter().find(|text| wrong(text)) {
        Some(text) => Err(bad(
            "device-cgroup-rule",
            text,
            "write TYPE MAJOR:MINOR ACCESS, such as 'c 10:200 rwm' or 'b *:* r'",
        )),
        None => Ok(typed.to_owned()),
    }
}

fn log_config(args: &ContainerArgs) -> Result<LogConfig, RequestError> {
    let driver = args.life.log_driver.clone().unwrap_or_else(|| "json-file".to_owned());
    let config = pairs("log-opt", &args.life.log_opt)?;
    let config = LogConfig { driver, config };
    LogSettings::check(&config)?;
    Ok(config)
}

/// `NAME:ADDRESS`, or docker's newer `NAME=ADDRESS`; the address may be `host-gateway`.
fn extra_host(text: &str) -> Result<String, RequestError> {
    let wrong = || bad("add-host", text, "write NAME:ADDRESS");
    let (name, address) = text.split_once('=').or_else(|| text.split_once(':')).ok_or_else(wrong)?;
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let is_address = address == "host-gateway" || address.parse::<IpAddr>().is_ok();
    let is_name =
        !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '#');
    if is_address && is_name { Ok(format!("{name}:{address}")) } else { Err(wrong()) }
}

/// A namespace: one of the words, or `container:NAME`.
fn joined(flag: &'static str, value: &Option<String>, words: &[&str]) -> Result<String, RequestError> {
    match value.as_deref() {
        None | Some("") => Ok(String::new()),
        Some(text) if words.contains(&text) || text == "private" => Ok(text.to_owned()),
        Some(text)
            if flag != "uts" && text.strip_prefix("container:").is_some_and(|name| !name.is_empty()) =>
        {
            Ok(text.to_owned())
        }
        Some(text) => Err(bad(
            flag,
            text,
            format!(
                "it is none of {}{}",
                words.join(", "),
                if flag == "uts" { "" } else { " and container:NAME" }
            ),
        )),
    }
}

/// All containers of an owner have the same ids, so that there is nothing but `host` to ask for.
fn userns(value: &Option<String>) -> Result<String, RequestError> {
    match value.as_deref() {
        None | Some("") => Ok(String::new()),
        Some("host") => Ok("host".to_owned()),
        Some(text) => Err(bad(
            "userns",
            text,
            "user namespaces of single containers are not supported; leave it out, or run as an ordinary user, whose containers are in one",
        )),
    }
}

fn network_mode(args: &NetworkArgs) -> String {
    match args.network.first().map(|text| text.split(',').next().unwrap_or_default()) {
        None => "default".to_owned(),
        Some(text) => text.strip_prefix("name=").unwrap_or(text).to_owned(),
    }
}

/// The bridge networks that are asked for: `NAME`, or docker's `name=NAME,alias=...,ip=...`.
fn attachments(args: &NetworkArgs) -> Result<Vec<Attachment>, RequestError> {
    let default = ["bridge".to_owned()];
    let asked = if args.network.is_empty() { &default[..] } else { &args.network };
    let mut attachments = asked.iter().map(|text| attachment(text)).collect::<Result<Vec<_>, _>>()?;
    let is_alone = |name: &str| matches!(name, "host" | "none") || name.starts_with("container:");
    if attachments.iter().any(|attachment| is_alone(&attachment.network)) {
        if attachments.len() > 1 {
            return Err(RequestError::Together(
                "--network host, none and container:NAME go with no other network",
            ));
        }
        let is_alone = args.network_alias.is_empty() && args.ip.is_none() && args.ip6.is_none();
        if !is_alone || args.mac_address.is_some() {
            return Err(RequestError::Together(
                "--network-alias, --ip, --ip6 and --mac-address need a network of the container's own",
            ));
        }
        return Ok(Vec::new());
    }
    if let Some(first) = attachments.first_mut() {
        first.aliases.extend(args.network_alias.iter().cloned());
        first.addresses.extend(args.ip.iter().chain(&args.ip6));
        if let Some(text) = &args.mac_address {
            first.mac = Some(mac_address(text)?);
        }
    }
    Ok(attachments)
}

fn attachment(text: &str) -> Result<Attachment, RequestError> {
    let mut attachment = Attachment::default();
    for field in text.split(',') {
        let address =
            |value: &str| value.parse().map_err(|_| bad("network", text, format!("{value:?} is no address")));
        match field.split_once('=') {
            None => field.clone_into(&mut attachment.network),
            Some(("name", value)) => value.clone_into(&mut attachment.network),
            Some(("alias", value)) => attachment.aliases.push(value.to_owned()),
            Some(("ip" | "ip6", value)) => attachment.addresses.push(address(value)?),
            Some(("mac-address", value)) => attachment.mac = Some(mac_address(value)?),
            Some((name, _)) => {
                return Err(bad(
                    "network",
                    text,
                    format!(
                        "the field {name:?} is not known; there are name, alias, ip, ip6 and mac-address"
                    ),
                ));
            }
        }
    }
    if attachment.network == "default" {
        "bridge".clone_into(&mut attachment.network);
    }
    if attachment.network.is_empty() {
        return Err(bad("network", text, "it names no network"));
    }
    Ok(attachment)
}

/// `-P`: every exposed port that is not published yet gets one of the host's.
fn publish_all(
    args: &ContainerArgs,
    config: &Config,
    host_config: &mut HostConfig,
) -> Result<(), RequestError> {
    if !args.network.publish_all {
        return Ok(());
    }
    for text in config.image.exposed_ports.keys() {
        for (port, protocol) in exposed(text)? {
            let is_there = host_config
                .port_bindings
                .iter()
                .any(|binding| binding.container_port == port && binding.protocol == protocol);
            if !is_there {
                host_config.port_bindings.extend(published(&format!("{port}/{protocol}"))?);
            }
        }
    }
    Ok(())
}

/// What is mounted, each place once; volumes of the image where nothing else is.
fn mounts(args: &ContainerArgs, config: &Config) -> Result<Vec<Mount>, RequestError> {
    let volumes = &args.volumes;
    let mut mounts = volumes.volume.iter().map(|text| volume(text)).collect::<Result<Vec<_>, _>>()?;
    mounts.extend(volumes.mount.iter().map(|text| mount(text)).collect::<Result<Vec<_>, _>>()?);
    mounts.extend(volumes.tmpfs.iter().map(|text| tmpfs(text)).collect::<Result<Vec<_>, _>>()?);
    let mut places = BTreeSet::new();
    if let Some(twice) = mounts.iter().find(|mount| !places.insert(mount.destination.clone())) {
        return Err(RequestError::Duplicate(twice.destination.clone()));
    }
    let of_image = config.image.volumes.keys().filter_map(|path| anonymous(path));
    mounts.extend(of_image.filter(|mount| !places.contains(&mount.destination)));
    // A mount below another one has to come after it.
    mounts.sort_by_key(|mount| mount.destination.components().count());
    for mount in mounts.iter_mut().filter(|mount| mount.kind == MountKind::Tmpfs) {
        if !mount.options.iter().any(|option| option.starts_with("mode=")) {
            mount.options.push("mode=1777".to_owned());
        }
    }
    Ok(mounts)
}

fn check(args: &ContainerArgs, host: &HostConfig) -> Result<(), RequestError> {
    if host.auto_remove && host.restart_policy.name != Default::default() {
        return together("--rm does not go with --restart: what is removed cannot be started again");
    }
    check_processors(host)?;
    check_memory(args, host)?;
    check_numbers(host)?;
    check_cgroup_parent(host)?;
    if host.network_mode.starts_with("container:") {
        check_shared_network(args, host)?;
    }
    if !args.process.attach.is_empty()
        && args.process.attach.iter().any(|name| name.eq_ignore_ascii_case("stdin"))
        && !args.process.interactive
    {
        return together("--attach stdin needs --interactive");
    }
    Ok(())
}

fn together(problem: &'static str) -> Result<(), RequestError> {
    Err(RequestError::Together(problem))
}

fn check_processors(host: &HostConfig) -> Result<(), RequestError> {
    if host.nano_cpus > 0 && (host.cpu_period > 0 || host.cpu_quota != 0) {
        return together("--cpus does not go with --cpu-period and --cpu-quota: they say the same");
    }
    check_cpus(host.nano_cpus)
}

fn check_memory(args: &ContainerArgs, host: &HostConfig) -> Result<(), RequestError> {
    if host.memory > 0 && host.memory < LEAST_MEMORY {
        let typed = args.limits.memory.as_deref().unwrap_or_default();
        return Err(bad("memory", typed, "it is less than 6m, with which no program runs"));
    }
    if host.memory > 0 && host.memory_reservation > host.memory {
        return together("--memory-reservation is what is left of --memory at least, and cannot be more");
    }
    let swap = u64::try_from(host.memory_swap).unwrap_or(u64::MAX);
    if host.memory_swap > 0 && host.memory == 0 {
        return together("--memory-swap is memory and swap together, and needs --memory");
    }
    if host.memory_swap != 0 && swap < host.memory {
        return together("--memory-swap is memory and swap together, and cannot be less than --memory");
    }
    Ok(())
}

fn check_numbers(host: &HostConfig) -> Result<(), RequestError> {
    if !(-1000..=1000).contains(&host.oom_score_adj) {
        let typed = host.oom_score_adj.to_string();
        return Err(bad("oom-score-adj", &typed, "it is not between -1000 and 1000"));
    }
    if host.blkio_weight != 0 && !(10..=1000).contains(&host.blkio_weight) {
        return Err(bad("blkio-weight", &host.blkio_weight.to_string(), "it is not between 10 and 1000"));
    }
    Ok(())
}

fn check_cgroup_parent(host: &HostConfig) -> Result<(), RequestError> {
    let is_systemd = host.cgroup_manager == CgroupManager::Systemd;
    if is_systemd && !host.cgroup_parent.is_empty() && !host.cgroup_parent.ends_with(".slice") {
        return Err(bad(
            "cgroup-parent",
            &host.cgroup_parent,
            "systemd makes the cgroups here, so write a slice, such as batch.slice, or use --cgroup-manager cgroupfs",
        ));
    }
    Ok(())
}

fn check_shared_network(args: &ContainerArgs, host: &HostConfig) -> Result<(), RequestError> {
    if args.process.hostname.as_ref().is_some_and(|name| !name.is_empty()) {
        return together("--hostname does not go with --network container:NAME, whose name it is");
    }
    if !host.port_bindings.is_empty() || host.publish_all_ports {
        return together(
            "--publish does not go with --network container:NAME; publish the ports of that container",
        );
    }
    if !host.dns.is_empty() || !host.extra_hosts.is_empty() {
        return together(
            "--dns and --add-host do not go with --network container:NAME, whose files it shares",
        );
    }
    Ok(())
}
