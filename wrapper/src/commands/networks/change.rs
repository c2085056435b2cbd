//! Making, removing and joining networks.

use super::filters::{Filter, parse_all};
use crate::cli::{
    NetworkConnectArgs, NetworkCreateArgs, NetworkDisconnectArgs, NetworkPruneArgs, NetworkRmArgs, Outcome,
    complain_of, each,
};
use crate::commands::Pruned;
use crate::container::{Attachment, Containers, ContainersError};
use crate::events::{Event, Kind, record};
use crate::home::Home;
use crate::network::{self, Network, NetworkError, Networks, Subnet, Wish};
use crate::prepare;
use crate::request;
use mydocker_cmdline::print;
use std::collections::{BTreeMap, BTreeSet};

/// Makes a network, and prints its id.
///
/// # Errors
/// [`NetworkError`].
pub fn create(args: &NetworkCreateArgs, home: &Home) -> Outcome {
    let subnets =
        |texts: &[String]| texts.iter().map(|text| text.parse()).collect::<Result<Vec<Subnet>, _>>();
    let wish = Wish {
        name: args.name.clone(),
        driver: args.driver.clone(),
        subnets: subnets(&args.subnet)?,
        ranges: subnets(&args.ip_range)?,
        gateways: args.gateway.clone(),
        ipv6: args.ipv6,
        internal: args.internal,
        without_names: args.disable_dns,
        options: pairs(&args.opt),
        labels: pairs(&args.label),
    };
    let network = Networks::open(home)?.create(&wish)?;
    record(home, &event(&network, "create"));
    print(&format!("{}\n", network.id))?;
    Ok(0)
}

fn pairs(texts: &[String]) -> BTreeMap<String, String> {
    let split = |text: &String| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        (name.to_owned(), value.to_owned())
    };
    texts.iter().map(split).collect()
}

fn event(network: &Network, action: &str) -> Event {
    Event::new(Kind::Network, action, &network.id).with("name", &network.name).with("type", &network.driver)
}

/// Removes networks, and prints the name of each.
///
/// # Errors
/// The networks or the containers cannot be read.
pub fn rm(args: &NetworkRmArgs, home: &Home) -> Outcome {
    let (networks, containers) = (Networks::open(home)?, Containers::open(home)?);
    each(&args.names, |name| {
        match networks.find(name) {
            Err(NetworkError::NotFound(_)) if args.force => {}
            found => {
                let network = found?;
                networks.remove(&containers, &network)?;
                record(home, &event(&network, "destroy"));
            }
        }
        Ok::<(), Box<dyn std::error::Error>>(print(&format!("{name}\n"))?)
    })
}

const WARNING: &str = "WARNING! This will remove all custom networks not used by at least one container.";

/// Removes networks that no container has.
///
/// # Errors
/// A filter that is none; the networks cannot be read.
pub fn prune(args: &NetworkPruneArgs, home: &Home) -> Outcome {
    let filters = parse_all(&args.filter, true)?;
    if !args.force && !crate::commands::confirm(WARNING)? {
        return Ok(0);
    }
    let pruned = prune_now(home, &filters)?;
    if !pruned.removed.is_empty() {
        print(&format!("Deleted Networks:\n{}\n\n", pruned.removed.join("\n")))?;
    }
    Ok(u8::from(pruned.failed))
}

/// Removes the networks that no container has, running or not, of those that the filters choose. The default network
/// stays, but if they choose it, its bridge is taken down while no container is on it; the next container brings it back.
///
/// # Errors
/// The networks or the containers cannot be read.
pub fn prune_now(home: &Home, filters: &[Filter]) -> Result<Pruned, NetworkError> {
    let (networks, containers) = (Networks::open(home)?, Containers::open(home)?);
    let used = used(&containers)?;
    let mut pruned = Pruned::default();
    for network in networks.all()?.into_iter().filter(|network| !network.is_predefined()) {
        if used.contains(&network.name) || !filters.iter().all(|filter| filter.takes(&network, &used)) {
            continue;
        }
        match networks.remove(&containers, &network) {
            Ok(()) => {
                record(home, &event(&network, "destroy"));
                pruned.removed.push(network.name);
            }
            // Somebody has joined it, or has been quicker.
            Err(NetworkError::InUse { .. } | NetworkError::NotFound(_)) => {}
            Err(error) => {
                complain_of(error);
                pruned.failed = true;
            }
        }
    }
    let takes = |network: &Network| filters.iter().all(|filter| filter.takes(network, &used));
    if takes(&networks.find("bridge")?)
        && let Err(error) = network::take_down_idle(home)
    {
        complain_of(error);
        pruned.failed = true;
    }
    Ok(pruned)
}

/// The networks that containers want to be on.
pub(super) fn used(containers: &Containers) -> Result<BTreeSet<String>, NetworkError> {
    let mut used = BTreeSet::new();
    for id in containers.ids()? {
        match containers.load(&id) {
            Ok(container) => used.extend(container.networks.into_iter().map(|wish| wish.network)),
            Err(ContainersError::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(used)
}

/// Puts a container on a network.
///
/// # Errors
/// [`NetworkError`].
pub fn connect(args: &NetworkConnectArgs, home: &Home) -> Outcome {
    let containers = Containers::open(home)?;
    let network = Networks::open(home)?.find(&args.network)?;
    let id = containers.find_id(&args.container)?;
    let wish = Attachment {
        network: network.name.clone(),
        aliases: args.alias.clone(),
        addresses: args.ip.into_iter().chain(args.ip6).collect(),
        mac: args.mac_address.as_deref().map(request::mac_address).transpose()?,
    };
    network::connect(&containers, &network, &id, wish)?;
    prepare::tell_names(&containers, &id)?;
    Ok(0)
}

/// Takes a container off a network.
///
/// # Errors
/// [`NetworkError`].
pub fn disconnect(args: &NetworkDisconnectArgs, home: &Home) -> Outcome {
    let containers = Containers::open(home)?;
    let network = Networks::open(home)?.find(&args.network)?;
    let id = containers.find_id(&args.container)?;
    match network::disconnect(&containers, &network, &id) {
        Err(NetworkError::NotConnected { .. }) if args.force => return Ok(0),
        other => other?,
    }
    prepare::tell_names(&containers, &id)?;
    Ok(0)
}
