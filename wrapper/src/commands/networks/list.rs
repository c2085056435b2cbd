//! `network ls` and `network inspect`.

use super::change::used;
use super::filters::parse_all;
use crate::cli::{NetworkInspectArgs, NetworkLsArgs, Outcome};
use crate::container::{Containers, Endpoint};
use crate::home::Home;
use crate::look::document;
use crate::look::row::join_labels;
use crate::look::table::{self, Titles};
use crate::network::{Network, NetworkError, Networks};
use mydocker_cmdline::{one_line, print};
use mydocker_img::cli::{Moment, Row};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

const TITLES: &Titles = &[
    ("CreatedAt", "CREATED AT"),
    ("Driver", "DRIVER"),
    ("ID", "NETWORK ID"),
    ("IPv6", "IPV6"),
    ("Internal", "INTERNAL"),
    ("Labels", "LABELS"),
    ("Name", "NAME"),
    ("Scope", "SCOPE"),
];

/// Lists networks.
///
/// # Errors
/// A filter or a format that is none; the networks cannot be read.
pub fn ls(args: &NetworkLsArgs, home: &Home) -> Outcome {
    let filters = parse_all(&args.filter, false)?;
    let quiet = args.quiet.then_some("{{.ID}}");
    let usual = "table {{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}";
    let template = table::template(args.format.as_deref(), quiet, usual, TITLES)?;
    let mut all = Networks::open(home)?.all()?;
    if !filters.is_empty() {
        let used = used(&Containers::open(home)?)?;
        all.retain(|network| filters.iter().all(|filter| filter.takes(network, &used)));
    }
    let rows: Vec<(Row, _)> =
        all.iter().map(|network| (row(network, args.no_trunc), &network.labels)).collect();
    print(&template.render_labelled(TITLES, &rows)?)?;
    Ok(0)
}

fn row(network: &Network, in_full: bool) -> Row {
    let id = if in_full { &network.id } else { network.short_id() };
    let values = [
        Moment::parse(&network.created).map(Moment::at).unwrap_or_default(),
        network.driver.clone(),
        id.to_owned(),
        network.ipv6.to_string(),
        network.internal.to_string(),
        join_labels(&network.labels),
        network.name.clone(),
        "local".to_owned(),
    ];
    TITLES.iter().zip(values).map(|((field, _), value)| (*field, one_line(&value))).collect()
}

/// Tells all about networks.
///
/// # Errors
/// A format that is none; standard output.
pub fn inspect(args: &NetworkInspectArgs, home: &Home) -> Outcome {
    let (networks, containers) = (Networks::open(home)?, Containers::open(home)?);
    document::print_each(&args.names, args.format.as_deref(), |name| {
        networks.find(name).and_then(|network| to_json(&networks, &containers, &network))
    })
}

/// A network as docker's document.
///
/// # Errors
/// Its addresses cannot be read.
pub fn to_json(
    networks: &Networks,
    containers: &Containers,
    network: &Network,
) -> Result<Value, NetworkError> {
    Ok(json!({
        "Name": network.name,
        "Id": network.id,
        "Created": network.created,
        "Scope": "local",
        "Driver": network.driver,
        "EnableIPv6": network.ipv6,
        "IPAM": network.ipam,
        "Internal": network.internal,
        "Attachable": false,
        "Ingress": false,
        "ConfigFrom": { "Network": "" },
        "ConfigOnly": false,
        "Containers": on_it(networks, containers, network)?,
        "Options": options(network),
        "Labels": network.labels,
    }))
}

/// The name of the bridge is worth telling, also where nobody has chosen it.
fn options(network: &Network) -> Value {
    let mut options = json!(network.options);
    if network.is_bridge() {
        options["com.docker.network.bridge.name"] = network.interface.clone().into();
    }
    options
}

fn on_it(
    networks: &Networks,
    containers: &Containers,
    network: &Network,
) -> Result<Map<String, Value>, NetworkError> {
    let ids: BTreeSet<String> = networks.holders(network)?.into_iter().collect();
    let mut documents = Map::new();
    for id in ids {
        let (Ok(container), Ok(state)) = (containers.load(&id), containers.recorded_state(&id)) else {
            continue;
        };
        if let Some(endpoint) = state.endpoints.get(&network.name) {
            documents.insert(id, endpoint_document(&container.name, endpoint));
        }
    }
    Ok(documents)
}

fn endpoint_document(name: &str, endpoint: &Endpoint) -> Value {
    let address = |v4: bool| {
        let found = endpoint.addresses.iter().find(|(address, _)| address.is_ipv4() == v4);
        found.map(|(address, length)| format!("{address}/{length}")).unwrap_or_default()
    };
    json!({
        "Name": name,
        "EndpointID": "",
        "MacAddress": endpoint.mac,
        "IPv4Address": address(true),
        "IPv6Address": address(false),
    })
}
