//! The calls of org.freedesktop.systemd1.Manager that a container needs.

use super::properties::OLDEST;
use super::unit::Instance;
use super::{Property, UnitPlan};
use crate::dbus::{self, Call, Connection, Incoming, Peer, Value};
use mydocker_sys::{Errno, process};
use std::path::Path;
use std::time::Duration;

/// Why systemd did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The conversation failed, or the call was refused.
    #[error(transparent)]
    Bus(#[from] dbus::Error),
    /// Nobody listens where systemd is to be found.
    #[error("systemd cannot be reached: {}", hint(*.0))]
    Unreachable(Instance, #[source] dbus::Error),
    /// Nothing says where the user's bus is.
    #[error("the user's systemd cannot be found: {}", hint(Instance::User))]
    NoUserBus,
    /// A job ended otherwise than well.
    #[error(
        "systemd could not {what} the unit {unit}: its job ended as {result:?}; `systemctl status {unit}` may tell why"
    )]
    Job {
        /// What it should do.
        what: &'static str,
        /// The unit.
        unit: String,
        /// How it ended: `canceled`, `timeout`, `failed`, `dependency`, `skipped`.
        result: String,
    },
    /// An answer is not what the interface prescribes.
    #[error("systemd's answer to {0} is not of the type that its interface prescribes")]
    Answer(String),
    /// The process is not where the unit should be.
    #[error("systemd has put the first process of {unit} into the cgroup {found:?} instead of {expected:?}")]
    Elsewhere {
        /// The unit.
        unit: String,
        /// Where it should be.
        expected: String,
        /// Where it is.
        found: String,
    },
}

fn hint(instance: Instance) -> &'static str {
    match instance {
        Instance::System if !Path::new("/run/systemd/system").exists() => {
            "this system was not booted with systemd; run without --systemd-cgroup"
        }
        Instance::System => "is the system bus running?",
        Instance::User => {
            "a user needs a login session with a user bus (package dbus-user-session), and XDG_RUNTIME_DIR or DBUS_SESSION_BUS_ADDRESS in the environment"
        }
    }
}

const SERVICE: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// How the end of a job is told. systemd tells it to whoever has queued the job, also without `Subscribe`.
const JOB_REMOVED: &str = "type='signal',sender='org.freedesktop.systemd1',path='/org/freedesktop/systemd1',interface='org.freedesktop.systemd1.Manager',member='JobRemoved'";

/// How long systemd may take for everything that one command asks of it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Another length for that, which sd-bus, and so systemctl, understands too.
const PATIENCE_VARIABLE: &str = "SYSTEMD_BUS_TIMEOUT";

/// Where the system bus listens unless the environment says otherwise.
const SYSTEM_BUS: &str = "unix:path=/run/dbus/system_bus_socket";

/// A conversation with systemd.
#[derive(Debug)]
pub struct Manager {
    connection: Connection,
    /// Whether a bus routes the calls.
    peer: Peer,
}

impl Manager {
    /// Connects to systemd: root to the system's over systemd's own socket, as systemctl does, which spares each message the
    /// way through the bus; over the system bus where there is none, or the environment names one; to a user's over the
    /// user bus.
    ///
    /// # Errors
    /// [`Error::Unreachable`]
    pub fn connect(instance: Instance) -> Result<Self, Error> {
        let patience = patience(std::env::var(PATIENCE_VARIABLE).ok().as_deref());
        let text = |name| std::env::var(name).ok().filter(|text: &String| !text.is_empty());
        let address = match instance {
            Instance::System => text("DBUS_SYSTEM_BUS_ADDRESS"),
            Instance::User => text("DBUS_SESSION_BUS_ADDRESS")
                .or_else(|| text("XDG_RUNTIME_DIR").map(|directory| format!("unix:path={directory}/bus"))),
        };
        let address = match (address, instance) {
            (Some(address), _) => address,
            (None, Instance::System) => match private(patience)? {
                Some(connection) => return Ok(Self { connection, peer: Peer::Service }),
                None => SYSTEM_BUS.into(),
            },
            (None, Instance::User) => return Err(Error::NoUserBus),
        };
        let connection = Connection::open(&address, Peer::Bus, patience);
        let connection = connection.map_err(|error| match nobody_listens(&error) {
            true => Error::Unreachable(instance, error),
            false => Error::Bus(error),
        })?;
        let mut manager = Self { connection, peer: Peer::Bus };
        manager.connection.queue_match(JOB_REMOVED)?;
        Ok(manager)
    }

    /// Starts the scope of a plan with the process `pid` in it, and waits until it is there. A failed unit of the
    /// same name that was left behind is forgotten first.
    ///
    /// # Errors
    /// [`Error`]
    pub fn start(&mut self, plan: &UnitPlan, pid: i32) -> Result<(), Error> {
        let unit = &plan.unit.name;
        let mut properties: Vec<Value> =
            self.understood(&plan.properties)?.into_iter().map(Property::to_value).collect();
        let pids = Value::Array("u".into(), vec![Value::Uint32(pid.unsigned_abs())]);
        properties.push(Property::new("PIDs", pids).to_value());
        let arguments = [
            Value::text(unit),
            Value::text("fail"),
            Value::Array("(sv)".into(), properties),
            Value::Array("(sa(sv))".into(), Vec::new()),
        ];
        let what = format!("StartTransientUnit({unit})");
        let job = match self.call("StartTransientUnit", &what, &arguments) {
            Err(Error::Bus(dbus::Error::Reply { name, .. })) if name.ends_with(".UnitExists") => {
                self.reset_failed(unit)?;
                self.call("StartTransientUnit", &what, &arguments)?
            }
            other => other?,
        };
        match self.await_job(&job, &what)?.as_str() {
            "done" => Ok(()),
            result => Err(Error::Job { what: "start", unit: unit.clone(), result: result.into() }),
        }
    }

    /// Stops a unit, and waits until it has stopped; it goes away by itself. One that is not there is stopped.
    ///
    /// # Errors
    /// [`Error`]
    pub fn stop(&mut self, unit: &str) -> Result<(), Error> {
        let what = format!("StopUnit({unit})");
        match self.call("StopUnit", &what, &[Value::text(unit), Value::text("replace")]) {
            Err(error) if is_no_such_unit(&error) => Ok(()),
            other => match self.await_job(&other?, &what)?.as_str() {
                "done" => Ok(()),
                result => Err(Error::Job { what: "stop", unit: unit.into(), result: result.into() }),
            },
        }
    }

    /// Forgets that a unit failed: only then one goes away that somebody else made. One that is not there needs nothing.
    fn reset_failed(&mut self, unit: &str) -> Result<(), Error> {
        match self.call("ResetFailedUnit", &format!("ResetFailedUnit({unit})"), &[Value::text(unit)]) {
            Err(error) if is_no_such_unit(&error) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Changes properties of a unit until it ends.
    ///
    /// # Errors
    /// [`Error`]
    pub fn set_properties(&mut self, unit: &str, properties: &[Property]) -> Result<(), Error> {
        let properties = self.understood(properties)?.into_iter().map(Property::to_value).collect();
        let arguments = [Value::text(unit), Value::Boolean(true), Value::Array("(sv)".into(), properties)];
        self.call("SetUnitProperties", &format!("SetUnitProperties({unit})"), &arguments).map(drop)
    }

    /// Moves a process into the cgroup `below` (with a slash at its beginning, or empty) of a unit: what the one who
    /// calls may not do by himself across the borders of what is delegated to him.
    ///
    /// # Errors
    /// [`Error`]
    pub fn attach(&mut self, unit: &str, below: &str, pid: i32) -> Result<(), Error> {
        let pids = Value::Array("u".into(), vec![Value::Uint32(pid.unsigned_abs())]);
        let arguments = [Value::text(unit), Value::text(below), pids];
        let what = format!("AttachProcessesToUnit({unit})");
        self.call("AttachProcessesToUnit", &what, &arguments).map(drop)
    }

    /// The cgroup of this systemd itself; that of the system's is empty.
    ///
    /// # Errors
    /// [`Error`]
    pub fn control_group(&mut self) -> Result<String, Error> {
        self.property("ControlGroup")
    }

    /// The properties without those that this systemd is too old for. It is asked for its release only where that
    /// matters.
    fn understood<'a>(&mut self, properties: &'a [Property]) -> Result<Vec<&'a Property>, Error> {
        let newest = properties.iter().map(|property| property.since).max().unwrap_or(OLDEST);
        let release = if newest > OLDEST { release(&self.property("Version")?) } else { OLDEST };
        Ok(properties.iter().filter(|property| property.since <= release.max(OLDEST)).collect())
    }

    fn property(&mut self, name: &str) -> Result<String, Error> {
        let arguments = [Value::text(MANAGER), Value::text(name)];
        let what = format!("Get({name})");
        match self.call_on(PROPERTIES, "Get", &what, &arguments)?.first() {
            Some(Value::Variant(inner)) => match inner.as_text() {
                Some(text) => Ok(text.to_owned()),
                None => Err(Error::Answer(what)),
            },
            _ => Err(Error::Answer(what)),
        }
    }

    fn call(&mut self, member: &str, what: &str, arguments: &[Value]) -> Result<Vec<Value>, Error> {
        self.call_on(MANAGER, member, what, arguments)
    }

    fn call_on(
        &mut self,
        interface: &str,
        member: &str,
        what: &str,
        arguments: &[Value],
    ) -> Result<Vec<Value>, Error> {
        let destination = (self.peer == Peer::Bus).then_some(SERVICE);
        let call = Call { destination, path: PATH, interface, member, arguments };
        let serial = self.connection.queue(&call)?;
        Ok(self.connection.reply(serial, what)?)
    }

    /// Waits for the end of the job that is the answer `job`, and gives its result.
    fn await_job(&mut self, job: &[Value], what: &str) -> Result<String, Error> {
        let Some(Value::ObjectPath(job)) = job.first() else { return Err(Error::Answer(what.into())) };
        let waits = format!("{what}, whose job is queued");
        Ok(self.connection.signal(&waits, |signal| result_of(signal, job))?)
    }
}

/// The result that a signal tells of `job`: JobRemoved(id, job, unit, result).
fn result_of(signal: &Incoming, job: &str) -> Option<String> {
    let ours = signal.interface == MANAGER && signal.member == "JobRemoved";
    match &signal.body[..] {
        [_, path, _, result] if ours && path.as_text() == Some(job) => result.as_text().map(str::to_owned),
        _ => None,
    }
}

fn is_no_such_unit(error: &Error) -> bool {
    matches!(error, Error::Bus(dbus::Error::Reply { name, .. }) if name.ends_with(".NoSuchUnit"))
}

fn nobody_listens(error: &dbus::Error) -> bool {
    matches!(error, dbus::Error::Socket { source, .. }
        if matches!(source.errno(), Errno::ENOENT | Errno::ECONNREFUSED))
}

/// A connection to systemd's own socket, where there is one and it takes us: it takes root alone. One that does not answer
/// would not do so over the bus either.
fn private(patience: Duration) -> Result<Option<Connection>, Error> {
    if process::euid() != 0 {
        return Ok(None);
    }
    match Connection::open("unix:path=/run/systemd/private", Peer::Service, patience) {
        Err(error @ dbus::Error::Timeout { .. }) => Err(error.into()),
        other => Ok(other.ok()),
    }
}

/// The number at the beginning of a release's name: 252 of `252.38-1~deb12u1` and of `v252`.
fn release(version: &str) -> u32 {
    let digits = version.trim_start_matches('v');
    let end = digits.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().unwrap_or(0)
}

/// A length of time as systemd writes it, of which one number with a unit is understood; seconds without.
fn patience(text: Option<&str>) -> Duration {
    let parse = |text: &str| {
        let text = text.trim();
        let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
        let number: u64 = text[..end].parse().ok().filter(|number| *number > 0)?;
        match text[end..].trim() {
            "" | "s" | "sec" => Some(Duration::from_secs(number)),
            "ms" | "msec" => Some(Duration::from_millis(number)),
            "m" | "min" => Some(Duration::from_secs(number.checked_mul(60)?)),
            _ => None,
        }
    };
    // A day is longer than anybody waits, and no clock overflows by it.
    text.and_then(parse).unwrap_or(PATIENCE).min(Duration::from_secs(86_400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_numbers_before_everything_else() {
        for (text, number) in [("252.38-1~deb12u1", 252), ("v245.4-1.fc32", 245), ("239", 239), ("x", 0)] {
            assert_eq!(release(text), number, "{text}");
        }
    }

    #[test]
    fn patience_can_be_changed_as_for_systemctl() {
        assert_eq!(patience(None), PATIENCE);
        assert_eq!(patience(Some("500ms")), Duration::from_millis(500));
        assert_eq!(patience(Some("2")), Duration::from_secs(2));
        assert_eq!(patience(Some(" 1 min")), Duration::from_secs(60));
        for wrong in ["", "0", "-1", "soon", "5 weeks", "99999999999999999999"] {
            assert_eq!(patience(Some(wrong)), PATIENCE, "{wrong:?}");
        }
    }

    #[test]
    fn only_the_end_of_the_own_job_counts() {
        let signal = |member: &str, job: &str| Incoming {
            kind: dbus::Kind::Signal,
            reply_to: 0,
            member: member.into(),
            interface: MANAGER.into(),
            error_name: String::new(),
            body: vec![
                Value::Uint32(1),
                Value::ObjectPath(job.into()),
                Value::text("x.scope"),
                Value::text("done"),
            ],
        };
        assert_eq!(result_of(&signal("JobRemoved", "/job/1"), "/job/1"), Some("done".into()));
        assert_eq!(result_of(&signal("JobRemoved", "/job/2"), "/job/1"), None);
        assert_eq!(result_of(&signal("JobNew", "/job/1"), "/job/1"), None);
    }
}
