//! `update`: other limits for containers, also while they run.

use crate::cli::{Outcome, UpdateArgs, each};
use crate::container::{Container, Containers, ContainersError, HostConfig, RestartWhen};
use crate::events::{Event, record};
use crate::home::Home;
use crate::look::status::is_up;
use crate::oci::{Oci, OciError};
use crate::request::{self, RequestError};
use mydocker_cmdline::print;
use serde_json::{Map, Value, json};
use std::io;

/// The period that `--cpus` is a share of, in microseconds.
const PERIOD: u64 = 100_000;

/// Why limits are not changed.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// The container.
    #[error(transparent)]
    Containers(#[from] ContainersError),
    /// A flag's value.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// Limits that contradict each other.
    #[error("{0}")]
    Limits(&'static str),
    /// The restart policy of what goes when it ends.
    #[error("the restart policy of {0} cannot be changed, since it was run with --rm")]
    AutoRemove(String),
    /// Nothing was asked for.
    #[error("nothing is to be changed; give at least one limit, such as --memory 100m, or --restart")]
    Nothing,
    /// The running container.
    #[error("cannot change the limits of container {0} while it runs")]
    Runtime(String, #[source] OciError),
    /// Standard output.
    #[error("cannot write to standard output")]
    Output(#[from] io::Error),
}

/// Changes limits: first of the running container, which the kernel may refuse, then in its record.
///
/// # Errors
/// What is wrong with the flags.
pub fn update(args: &UpdateArgs, home: &Home) -> Outcome {
    let changes = Changes::parse(args)?;
    let containers = Containers::open(home)?;
    each(&args.containers, |name| {
        one(&changes, &containers, name)?;
        Ok::<_, UpdateError>(print(&format!("{name}\n"))?)
    })
}

fn one(changes: &Changes, containers: &Containers, name: &str) -> Result<(), UpdateError> {
    let id = containers.find_id(name)?;
    let _lock = containers.lock(&id)?;
    let mut container = containers.load(&id)?;
    changes.apply(&mut container)?;
    let resources = changes.resources(&container.host_config);
    if is_up(containers.state(&id)?.status) && !resources.is_empty() {
        let oci = Oci::new(containers.home(), &container.host_config.runtime);
        let text = Value::Object(resources).to_string();
        let updated = oci.run_with_input("update", &["--resources", "-", &id], text.as_bytes());
        updated.map_err(|error| UpdateError::Runtime(container.name.clone(), error))?;
    }
    containers.save(&container)?;
    record(containers.home(), &Event::of(&container, "update"));
    Ok(())
}

/// What is to change; `None` stays.
#[derive(Debug, Clone, PartialEq, Default)]
struct Changes {
    blkio_weight: Option<u16>,
    cpu_period: Option<u64>,
    cpu_quota: Option<i64>,
    cpu_shares: Option<u64>,
    nano_cpus: Option<u64>,
    cpuset_cpus: Option<String>,
    cpuset_mems: Option<String>,
    memory: Option<u64>,
    memory_reservation: Option<u64>,
    memory_swap: Option<i64>,
    pids_limit: Option<i64>,
    restart: Option<crate::container::RestartPolicy>,
}

impl Changes {
    fn parse(args: &UpdateArgs) -> Result<Self, UpdateError> {
        let size =
            |flag, text: &Option<String>| text.as_deref().map(|text| request::bytes(flag, text)).transpose();
        let changes = Self {
            blkio_weight: args.blkio_weight,
            cpu_period: args.cpu_period,
            cpu_quota: args.cpu_quota,
            cpu_shares: args.cpu_shares,
            nano_cpus: args.cpus.as_deref().map(enough_cpus).transpose()?,
            cpuset_cpus: args.cpuset_cpus.clone(),
            cpuset_mems: args.cpuset_mems.clone(),
            memory: size("memory", &args.memory)?,
            memory_reservation: size("memory-reservation", &args.memory_reservation)?,
            memory_swap: args.memory_swap.as_deref().map(swap).transpose()?,
            pids_limit: args.pids_limit,
            restart: args.restart.as_deref().map(request::restart_policy).transpose()?,
        };
        if changes == Self::default() { Err(UpdateError::Nothing) } else { Ok(changes) }
    }

    fn apply(&self, container: &mut Container) -> Result<(), UpdateError> {
        let host = &mut container.host_config;
        if let Some(policy) = &self.restart {
            if host.auto_remove && policy.name != RestartWhen::No {
                return Err(UpdateError::AutoRemove(container.name.clone()));
            }
            host.restart_policy = policy.clone();
        }
        if self.nano_cpus.is_some() && (host.cpu_period != 0 || host.cpu_quota != 0)
            || host.nano_cpus != 0 && (self.cpu_period.is_some() || self.cpu_quota.is_some())
        {
            return Err(UpdateError::Limits(
                "--cpus does not go with --cpu-period and --cpu-quota, one of which the container has already",
            ));
        }
        set(&mut host.blkio_weight, &self.blkio_weight);
        set(&mut host.cpu_period, &self.cpu_period);
        set(&mut host.cpu_quota, &self.cpu_quota);
        set(&mut host.cpu_shares, &self.cpu_shares);
        set(&mut host.nano_cpus, &self.nano_cpus);
        set(&mut host.cpuset_cpus, &self.cpuset_cpus);
        set(&mut host.cpuset_mems, &self.cpuset_mems);
        set(&mut host.memory, &self.memory);
        set(&mut host.memory_reservation, &self.memory_reservation);
        set(&mut host.memory_swap, &self.memory_swap);
        set(&mut host.pids_limit, &self.pids_limit);
        check(host)
    }

    /// What the OCI runtime is to change: `linux.resources` with nothing else in it.
    fn resources(&self, host: &HostConfig) -> Map<String, Value> {
        let mut resources = Map::new();
        let mut put = |part: &str, name: &str, value: Value| {
            let part = resources.entry(part.to_owned()).or_insert_with(|| json!({}));
            part[name] = value;
        };
        if self.memory.is_some() || self.memory_swap.is_some() {
            // The two belong together: the kernel refuses a limit of memory above that of both.
            put("memory", "limit", json!(host.memory));
            if let Some(both) = both(host) {
                put("memory", "swap", both.into());
            }
        }
        if let Some(size) = self.memory_reservation {
            put("memory", "reservation", size.into());
        }
        if let Some(cpus) = self.nano_cpus {
            let quota = u128::from(cpus) * u128::from(PERIOD) / 1_000_000_000;
            put("cpu", "quota", u64::try_from(quota).unwrap_or(u64::MAX).into());
            put("cpu", "period", PERIOD.into());
        }
        let numbers = [
            ("cpu", "period", self.cpu_period.map(Value::from)),
            ("cpu", "quota", self.cpu_quota.map(Value::from)),
            ("cpu", "shares", self.cpu_shares.map(Value::from)),
            ("cpu", "cpus", self.cpuset_cpus.clone().map(Value::from)),
            ("cpu", "mems", self.cpuset_mems.clone().map(Value::from)),
            ("pids", "limit", self.pids_limit.map(Value::from)),
            ("blockIO", "weight", self.blkio_weight.map(Value::from)),
        ];
        for (part, name, value) in numbers {
            if let Some(value) = value {
                put(part, name, value);
            }
        }
        resources
    }
}

fn set<T: Clone>(old: &mut T, new: &Option<T>) {
    if let Some(new) = new {
        old.clone_from(new);
    }
}

fn enough_cpus(text: &str) -> Result<u64, RequestError> {
    let billionths = request::cpus(text)?;
    request::check_cpus(billionths).map(|()| billionths)
}

fn swap(text: &str) -> Result<i64, RequestError> {
    if text == "-1" {
        return Ok(-1);
    }
    request::bytes("memory-swap", text).map(|size| i64::try_from(size).unwrap_or(i64::MAX))
}

fn check(host: &HostConfig) -> Result<(), UpdateError> {
    let memory = i64::try_from(host.memory).unwrap_or(i64::MAX);
    let wrong = if host.memory_swap > 0 && memory == 0 {
        "--memory-swap needs --memory: it is the limit of memory and swap together"
    } else if host.memory_swap > 0 && host.memory_swap < memory {
        "--memory-swap is less than --memory: it is the limit of memory and swap together"
    } else if memory > 0 && host.memory_reservation > host.memory {
        "--memory-reservation is more than --memory"
    } else if host.blkio_weight != 0 && !(10..=1000).contains(&host.blkio_weight) {
        "--blkio-weight is not between 10 and 1000"
    } else {
        return Ok(());
    };
    Err(UpdateError::Limits(wrong))
}

/// The limit of memory and swap together; without one a container may swap as much as it has memory, as with docker.
/// `None` where the kernel counts no swap.
fn both(host: &HostConfig) -> Option<i64> {
    if !crate::prepare::limits_swap() {
        return None;
    }
    Some(match host.memory_swap {
        0 => i64::try_from(host.memory.saturating_mul(2)).unwrap_or(-1),
        both => both,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::look::listed::tests::listed;

    fn changes(set: impl FnOnce(&mut UpdateArgs)) -> Result<Changes, UpdateError> {
        let mut args = UpdateArgs::default();
        set(&mut args);
        Changes::parse(&args)
    }

    #[test]
    fn only_what_was_asked_for_changes() {
        let changes = changes(|args| {
            args.cpus = Some("0.5".to_owned());
            args.pids_limit = Some(100);
            args.restart = Some("on-failure:3".to_owned());
        });
        let changes = changes.expect("changes");
        let mut container = listed("web").container;
        container.host_config.cpu_shares = 512;
        changes.apply(&mut container).expect("limits");
        let host = &container.host_config;
        assert_eq!((host.nano_cpus, host.pids_limit, host.cpu_shares), (500_000_000, 100, 512));
        assert_eq!(host.restart_policy.maximum_retry_count, 3);
        let resources = Value::Object(changes.resources(host));
        assert_eq!(
            resources,
            json!({ "cpu": { "quota": 50_000, "period": 100_000 }, "pids": { "limit": 100 } })
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert!(matches!(changes(|_| ()), Err(UpdateError::Nothing)));
        assert!(changes(|args| args.memory = Some("much".to_owned())).is_err());
        let apply = |set: fn(&mut UpdateArgs), prepare: fn(&mut HostConfig)| {
            let mut container = listed("web").container;
            prepare(&mut container.host_config);
            changes(set).expect("changes").apply(&mut container).expect_err("refused").to_string()
        };
        let memory = |args: &mut UpdateArgs| args.memory = Some("100m".to_owned());
        assert!(apply(memory, |host| host.memory_swap = 1 << 20).contains("less than --memory"));
        assert!(apply(memory, |host| host.memory_reservation = 1 << 30).contains("more than --memory"));
        assert!(apply(|args| args.memory_swap = Some("1g".to_owned()), |_| ()).contains("needs --memory"));
        assert!(apply(|args| args.cpus = Some("1".to_owned()), |host| host.cpu_quota = 5).contains("--cpus"));
        assert!(
            apply(|args| args.restart = Some("always".to_owned()), |host| host.auto_remove = true)
                .contains("--rm")
        );
    }
}
