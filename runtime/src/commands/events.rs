//! `events`.

use super::container::{Container, not_running};
use super::report::{cgroup_failed, failed, refusal};
use super::{Outcome, print};
use crate::cgroup::{Cgroup, OomWatch, Stats};
use crate::cli::{Context, EventsArgs, Report};
use crate::spec::NamespaceKind;
use crate::state::Status;
use mydocker_sys::poll::{Interest, poll};
use mydocker_sys::{AsFd, Errno, OwnedFd, fs};
use serde::Serialize;
use std::path::Path;
use std::time::{Duration, Instant};

/// One line of `events`, in runc's shape, which clients parse.
#[derive(Debug, Serialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Data>,
}

#[derive(Debug, Serialize)]
struct Data {
    #[serde(flatten)]
    cgroup: Stats,
    intel_rdt: IntelRdt,
    /// Go writes a list of nothing as null.
    network_interfaces: Option<Vec<Interface>>,
}

/// runc leaves out every field of a container without a resctrl group, and this runtime makes no such groups.
#[derive(Debug, Serialize)]
struct IntelRdt {}

/// What went through one network interface of a container.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Interface {
    name: String,
    rx_bytes: u64,
    rx_packets: u64,
    rx_errors: u64,
    rx_dropped: u64,
    tx_bytes: u64,
    tx_packets: u64,
    tx_errors: u64,
    tx_dropped: u64,
}

/// A container whose events are told.
struct Source {
    container: Container,
    cgroup: Cgroup,
    init: OwnedFd,
}

/// `events`: the statistics of a container, once or at intervals until it ends, and each time it is out of memory.
///
/// # Errors
/// If the container does not run.
pub fn events(args: &EventsArgs, context: &Context) -> Outcome {
    let container = Container::look(context, &args.id)?;
    if matches!(container.status, Status::Stopped | Status::Creating) {
        return Err(not_running(&container));
    }
    let Some(init) = container.init()? else { return Err(not_running(&container)) };
    let Some(cgroup) = container.record.cgroup.clone().map(Cgroup::open) else {
        return Err(refusal("cgroup", "the container has no cgroup, so there are no statistics"));
    };
    let source = Source { container, cgroup, init };
    if args.stats {
        return source.tell_stats();
    }
    source.follow(args.interval, context)
}

impl Source {
    fn follow(&self, interval: Duration, context: &Context) -> Outcome {
        let mut watch = self.cgroup.watch_oom().map_err(cgroup_failed)?;
        let mut next = Instant::now() + interval;
        loop {
            let over = self.wait(watch.as_ref(), next).map_err(failed("events"))?;
            if let Some(watch) = &mut watch
                && watch.news().map_err(failed("events"))?
            {
                self.tell("oom", None)?;
            }
            if over {
                return Ok(0);
            }
            if Instant::now() >= next {
                next += interval;
                // The next time may be better; a container that is gone ends the loop.
                if let Err(report) = self.tell_stats() {
                    context.log.warning(&report.message);
                }
            }
        }
    }

    /// Waits for the container's end or that of whoever reads this, which it tells; for news of its memory, or for
    /// `deadline`.
    fn wait(&self, watch: Option<&OomWatch>, deadline: Instant) -> mydocker_sys::Result<bool> {
        let mut interests = vec![Interest::read(self.init.as_fd()), Interest::gone(fs::STDOUT)];
        interests.extend(watch.map(OomWatch::interest));
        match poll(&interests, Some(deadline), "the next event") {
            Ok(events) => Ok(events[0].readable || events[1].hangup),
            Err(error) if error.errno() == Errno::ETIMEDOUT => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn tell_stats(&self) -> Outcome {
        let data = Data {
            cgroup: self.cgroup.stats().map_err(cgroup_failed)?,
            intel_rdt: IntelRdt {},
            network_interfaces: self.interfaces()?,
        };
        self.tell("stats", Some(data))
    }

    fn tell(&self, kind: &'static str, data: Option<Data>) -> Outcome {
        let event = Event { kind, id: &self.container.record.id, data };
        let mut line = serde_json::to_string(&event).map_err(failed("events"))?;
        line.push('\n');
        print(&line)
    }

    /// The interfaces of a network namespace of the container's own, without the loopback.
    fn interfaces(&self) -> Result<Option<Vec<Interface>>, Box<Report>> {
        let record = &self.container.record;
        let (true, Some(init)) = (record.namespaces.contains(&NamespaceKind::Network), record.init) else {
            return Ok(None);
        };
        let path = format!("/proc/{}/net/dev", init.pid);
        match fs::read_at(fs::AT_FDCWD, Path::new(&path), 1 << 20) {
            Ok(table) => Ok(interfaces(&String::from_utf8_lossy(&table))),
            // It has ended since.
            Err(error) if matches!(error.errno(), Errno::ENOENT | Errno::ESRCH | Errno::EINVAL) => Ok(None),
            Err(error) => Err(failed("events")(error)),
        }
    }
}

/// The lines of `/proc/PID/net/dev`: eight numbers of what came in, then eight of what went out.
fn interfaces(table: &str) -> Option<Vec<Interface>> {
    let line = |line: &str| {
        let (name, numbers) = line.split_once(':')?;
        let numbers: Vec<u64> = numbers.split_whitespace().map_while(|number| number.parse().ok()).collect();
        let at = |index: usize| numbers.get(index).copied();
        Some(Interface {
            name: name.trim().to_owned(),
            rx_bytes: at(0)?,
            rx_packets: at(1)?,
            rx_errors: at(2)?,
            rx_dropped: at(3)?,
            tx_bytes: at(8)?,
            tx_packets: at(9)?,
            tx_errors: at(10)?,
            tx_dropped: at(11)?,
        })
    };
    let list: Vec<Interface> =
        table.lines().filter_map(line).filter(|interface| interface.name != "lo").collect();
    (!list.is_empty()).then_some(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_are_told_with_runcs_names() {
        let table = "Inter-|   Receive                                                |  Transmit\n \
            face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls\n    \
            lo:       5       6    0    0    0     0          0         0       5       6    0    0    0     0 0 0\n  \
            eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n";
        let list = interfaces(table).expect("one interface");
        assert_eq!(
            serde_json::to_string(&list).expect("JSON"),
            r#"[{"Name":"eth0","RxBytes":1,"RxPackets":2,"RxErrors":3,"RxDropped":4,"TxBytes":9,"TxPackets":10,"TxErrors":11,"TxDropped":12}]"#
        );
        assert_eq!(interfaces(""), None);
    }

    #[test]
    fn an_event_without_data_has_none() {
        let event = Event { kind: "oom", id: "c", data: None };
        assert_eq!(serde_json::to_string(&event).expect("JSON"), r#"{"type":"oom","id":"c"}"#);
    }
}
