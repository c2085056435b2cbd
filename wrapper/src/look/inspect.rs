//! A container as docker's document.

use super::Listed;
use super::ports::with_protocol;
use super::status::{is_up, word};
use crate::clock::NEVER;
use crate::container::{Attachment, Container, Endpoint, MountKind, Root, State, Status};
use crate::home::Home;
use crate::network::Networks;
use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// The document; `sizes` are what the changes take and what everything takes.
#[must_use]
pub fn document(home: &Home, listed: &Listed, sizes: Option<(u64, u64)>) -> Value {
    let Listed { container, state } = listed;
    let place = home.container(&container.id);
    let command = container.command();
    let mut document = json!({
        "Id": container.id,
        "Created": container.created,
        "Path": command.first(),
        "Args": command.get(1..).unwrap_or_default(),
        "State": state_of(state),
        "Image": container.image.as_ref().map_or("", |image| &image.id),
        "ResolvConfPath": place.join("resolv.conf"),
        "HostnamePath": place.join("hostname"),
        "HostsPath": place.join("hosts"),
        "LogPath": log_path(home, container),
        "Name": format!("/{}", container.name),
        "RestartCount": state.restart_count,
        "Driver": "overlay",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": Value::Null,
        "HostConfig": host_config(container),
        "GraphDriver": { "Name": "overlay", "Data": layers(home, container) },
        "Mounts": container.mounts.iter().map(mount).collect::<Vec<_>>(),
        "Config": config(listed),
        "NetworkSettings": network_settings(home, listed),
    });
    if let Some((own, all)) = sizes {
        document["SizeRw"] = own.into();
        document["SizeRootFs"] = all.into();
    }
    document
}

fn state_of(state: &State) -> Value {
    let moment = |moment: &Option<String>| moment.clone().unwrap_or_else(|| NEVER.to_owned());
    let mut document = json!({
        "Status": word(state.status),
        "Running": is_up(state.status),
        "Paused": state.status == Status::Paused,
        "Restarting": state.status == Status::Restarting,
        "OOMKilled": state.oom_killed,
        "Dead": state.status == Status::Dead,
        "Pid": state.process.filter(|_| is_up(state.status)).map_or(0, |process| process.pid),
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": moment(&state.started_at),
        "FinishedAt": moment(&state.finished_at),
    });
    if let Some(health) = &state.health {
        document["Health"] = json!(health);
    }
    document
}

/// Docker has an empty path where there is no file.
fn log_path(home: &Home, container: &Container) -> String {
    match container.host_config.log_config.driver.as_str() {
        "none" => String::new(),
        _ => crate::log::path(home, container).to_string_lossy().into_owned(),
    }
}

fn host_config(container: &Container) -> Value {
    let settings = &container.host_config;
    let mut document = json!(settings);
    let mut bindings: Map<String, Value> = Map::new();
    for port in &settings.port_bindings {
        let binding = json!({
            "HostIp": port.host_ip.map(|ip| ip.to_string()).unwrap_or_default(),
            "HostPort": port.host_ports(),
        });
        push(&mut bindings, &format!("{}/{}", port.container_port, port.protocol), binding);
    }
    document["PortBindings"] = bindings.into();
    let tmpfs = container.mounts.iter().filter(|mount| mount.kind == MountKind::Tmpfs);
    let tmpfs: Map<String, Value> = tmpfs
        .map(|mount| (mount.destination.to_string_lossy().into_owned(), mount.mode.clone().into()))
        .collect();
    document["Tmpfs"] = if tmpfs.is_empty() { Value::Null } else { tmpfs.into() };
    document
}

fn push(lists: &mut Map<String, Value>, key: &str, item: Value) {
    match lists.get_mut(key) {
        Some(Value::Array(items)) => items.push(item),
        _ => drop(lists.insert(key.to_owned(), json!([item]))),
    }
}

fn layers(home: &Home, container: &Container) -> Value {
    let place = home.container(&container.id);
    let lower = match &container.root {
        Root::Layers(layers) => {
            // The uppermost comes first, as in a mount's options.
            let path = |diff_id: &String| {
                let (algorithm, hex) = diff_id.split_once(':').unwrap_or(("sha256", diff_id));
                home.images().join("layers").join(algorithm).join(hex).to_string_lossy().into_owned()
            };
            layers.iter().rev().map(path).collect::<Vec<_>>().join(":")
        }
        Root::View(path) => path.to_string_lossy().into_owned(),
        Root::Directory(path) => return json!({ "MergedDir": path }),
    };
    json!({
        "LowerDir": lower,
        "MergedDir": place.join("bundle/rootfs"),
        "UpperDir": place.join("upper"),
        "WorkDir": place.join("work"),
    })
}

fn mount(mount: &crate::container::Mount) -> Value {
    let mut document = json!({
        "Type": mount.kind,
        "Source": mount.source,
        "Destination": mount.destination,
        "Mode": mount.mode,
        "RW": mount.writable,
        "Propagation": mount.propagation,
    });
    if let Some(name) = &mount.name {
        document["Name"] = name.clone().into();
        document["Driver"] = crate::volume::DRIVER.into();
    }
    document
}

/// Docker's document has these fields also where nothing was said.
fn config(listed: &Listed) -> Value {
    let config = &listed.container.config;
    let mut document = json!({
        "AttachStdin": config.open_stdin,
        "AttachStdout": true,
        "AttachStderr": true,
        "Cmd": Value::Null,
        "Entrypoint": Value::Null,
        "Env": [],
        "Image": listed.image(),
        "Labels": {},
        "User": "",
        "Volumes": Value::Null,
        "WorkingDir": "",
    });
    if let (Value::Object(document), Value::Object(said)) = (&mut document, json!(config)) {
        document.extend(said);
    }
    document
}

fn network_settings(home: &Home, listed: &Listed) -> Value {
    let Listed { container, state } = listed;
    let networks = networks(home, listed);
    let first = container.networks.first().and_then(|first| state.endpoints.get(&first.network));
    let mut document = addresses(first.unwrap_or(&Endpoint::default()));
    let has_own = !container.networks.is_empty();
    document["Bridge"] = "".into();
    document["SandboxKey"] = if has_own { json!(home.netns(&container.id)) } else { "".into() };
    document["SandboxID"] = if has_own { container.id.clone().into() } else { "".into() };
    document["Ports"] = ports(listed).into();
    document["Networks"] = networks.into();
    document
}

/// What docker tells of an endpoint, in a network and of the first one again.
fn addresses(endpoint: &Endpoint) -> Value {
    let of = |v4: bool| endpoint.addresses.iter().find(|(ip, _)| ip.is_ipv4() == v4);
    let gateway = |v4: bool| endpoint.gateways.iter().find(|ip| ip.is_ipv4() == v4);
    let text = |ip: Option<&IpAddr>| ip.map(IpAddr::to_string).unwrap_or_default();
    let (v4, v6) = (of(true), of(false));
    json!({
        "EndpointID": "",
        "Gateway": text(gateway(true)),
        "IPAddress": text(v4.map(|(ip, _)| ip)),
        "IPPrefixLen": v4.map_or(0, |(_, length)| *length),
        "IPv6Gateway": text(gateway(false)),
        "GlobalIPv6Address": text(v6.map(|(ip, _)| ip)),
        "GlobalIPv6PrefixLen": v6.map_or(0, |(_, length)| *length),
        "MacAddress": endpoint.mac,
    })
}

fn networks(home: &Home, listed: &Listed) -> Map<String, Value> {
    let nothing = Attachment::default();
    let mut networks = Map::new();
    for name in listed.networks() {
        let wish = listed.container.networks.iter().find(|wish| wish.network == name).unwrap_or(&nothing);
        let endpoint = listed.state.endpoints.get(&name).cloned().unwrap_or_default();
        let mut document = addresses(&endpoint);
        let aliases = if endpoint.aliases.is_empty() { &wish.aliases } else { &endpoint.aliases };
        document["Aliases"] = if aliases.is_empty() { Value::Null } else { json!(aliases) };
        document["NetworkID"] = network_id(home, &name).into();
        document["Links"] = Value::Null;
        document["DriverOpts"] = Value::Null;
        document["IPAMConfig"] = ipam(wish);
        networks.insert(name, document);
    }
    networks
}

/// Empty for a network that has gone meanwhile.
fn network_id(home: &Home, name: &str) -> String {
    let name = if name == "default" { "bridge" } else { name };
    let network = Networks::open(home).and_then(|networks| networks.find(name));
    network.map(|network| network.id).unwrap_or_default()
}

fn ipam(wish: &Attachment) -> Value {
    let of = |v4: bool| wish.addresses.iter().find(|ip| ip.is_ipv4() == v4).map(IpAddr::to_string);
    let mut document = Map::new();
    for (name, address) in [("IPv4Address", of(true)), ("IPv6Address", of(false))] {
        document.extend(address.map(|address| (name.to_owned(), address.into())));
    }
    if document.is_empty() { Value::Null } else { document.into() }
}

/// Nothing for what is not up; else what the host has, and `null` for what only the image names.
fn ports(listed: &Listed) -> Map<String, Value> {
    let mut ports = Map::new();
    if !is_up(listed.state.status) {
        return ports;
    }
    for exposed in listed.container.config.image.exposed_ports.keys() {
        ports.insert(with_protocol(exposed), Value::Null);
    }
    for port in &listed.state.ports {
        let binding = json!({ "HostIp": port.host_ip.to_string(), "HostPort": port.host_port.to_string() });
        push(&mut ports, &format!("{}/{}", port.container_port, port.protocol), binding);
    }
    ports
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::{Mount, PortBinding, Process, PublishedPort};
    use crate::home::Wishes;
    use crate::look::listed::tests::listed;
    use mydocker_img::cli::Template;
    use std::path::PathBuf;

    fn web() -> Value {
        let mut web = listed("web");
        web.state.status = Status::Running;
        web.state.process = Some(Process { pid: 42, began: 1 });
        let endpoint = Endpoint {
            interface: "eth0".to_owned(),
            mac: "02:42:ac:11:00:02".to_owned(),
            addresses: vec![("172.17.0.2".parse().expect("an address"), 16)],
            gateways: vec!["172.17.0.1".parse().expect("an address")],
            aliases: vec!["www".to_owned()],
        };
        web.state.endpoints.insert("bridge".to_owned(), endpoint);
        web.container.networks = vec![Attachment { network: "bridge".to_owned(), ..Attachment::default() }];
        let port = PublishedPort { host_port: 8080, container_port: 80, ..PublishedPort::default() };
        web.state.ports = vec![port];
        let binding = PortBinding {
            container_port: 80,
            protocol: "tcp".to_owned(),
            host_ip: None,
            host_port: Some(8080),
            last_host_port: None,
        };
        web.container.host_config.port_bindings = vec![binding];
        web.container.config.image.exposed_ports.insert("443".to_owned(), json!({}));
        web.container.config.image.cmd = Some(vec!["sleep".to_owned(), "9".to_owned()]);
        web.container.config.image.labels.insert("a.b".to_owned(), "c".to_owned());
        web.container.mounts = vec![Mount {
            kind: MountKind::Volume,
            name: Some("data".to_owned()),
            anonymous: false,
            source: "/v/data/_data".into(),
            destination: "/data".into(),
            mode: "ro".to_owned(),
            writable: false,
            propagation: String::new(),
            options: Vec::new(),
            copy_up: true,
            create_source: false,
            subpath: None,
            volume_options: Default::default(),
            volume_labels: Default::default(),
        }];
        let (root, run) = (Some(PathBuf::from("/r")), Some(PathBuf::from("/run/r")));
        let home = Home::find(Wishes { root, run_root: run, ..Wishes::default() }).expect("a home");
        document(&home, &web, None)
    }

    #[test]
    fn templates_that_people_use_give_what_docker_gives() {
        let web = web();
        for (format, text) in [
            ("{{.State.Status}} {{.State.Pid}} {{.State.Running}}", "running 42 true"),
            ("{{.Name}} {{.Config.User}}{{.Config.Image}}", "/web /"),
            ("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", "172.17.0.2"),
            ("{{.NetworkSettings.IPAddress}}/{{.NetworkSettings.IPPrefixLen}}", "172.17.0.2/16"),
            ("{{.NetworkSettings.Networks.bridge.Gateway}}", "172.17.0.1"),
            ("{{index .Config.Labels \"a.b\"}}", "c"),
            ("{{(index (index .NetworkSettings.Ports \"80/tcp\") 0).HostPort}}", "8080"),
            ("{{json (index .NetworkSettings.Ports \"443/tcp\")}}", "\"\""),
            (
                "{{range $p, $conf := .HostConfig.PortBindings}}{{$p}}={{(index $conf 0).HostPort}}{{end}}",
                "80/tcp=8080",
            ),
            ("{{range .Mounts}}{{.Type}} {{.Name}} {{.RW}} {{.Mode}}{{end}}", "volume data false ro"),
            ("{{.Path}} {{.Args}}", "sleep [9]"),
            ("{{.State.StartedAt}}", NEVER),
            ("{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.LogConfig.Type}}", "no json-file"),
            (
                "{{.GraphDriver.Data.UpperDir}}",
                "/r/containers/7765620000000000000000000000000000000000000000000000000000000000/upper",
            ),
        ] {
            let template = Template::of_value(format).expect(format);
            assert_eq!(template.render_value(&web).as_deref(), Ok(text), "{format}");
        }
    }
}
