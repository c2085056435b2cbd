//! A bus of its own with somebody on it who plays systemd: well, badly, or not at all. The bus is a real dbus-daemon, and
//! the player speaks through a library that the runtime does not use.

use crate::{Runtime, cgroup, wait};
use rustbus::connection::{Timeout, ll_conn::DuplexConn};
use rustbus::message_builder::{MarshalledMessage, MessageBuilder};
use rustbus::wire::ObjectPath;
use rustbus::wire::unmarshal::traits::Variant;
use std::fs;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

/// What the player does when a unit is to be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Play {
    /// It says nothing.
    Silent,
    /// It answers with an error.
    Refuses,
    /// It queues a job, and that is all.
    Forgets,
    /// The job fails.
    Fails,
    /// The bus ends.
    HangsUp,
    /// It makes the cgroups of a scope in the hierarchies that systemd knows, and removes them at the end.
    Plays,
}

/// The bus with the player.
#[derive(Debug)]
pub struct Systemd {
    bus: Arc<Mutex<Child>>,
    address: String,
    calls: Arc<Mutex<Vec<String>>>,
}

const NAME: &str = "org.freedesktop.systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const JOB: &str = "/org/freedesktop/systemd1/job/7";

impl Systemd {
    /// Starts both; the socket is in `scratch`.
    ///
    /// # Panics
    /// When the bus does not start.
    #[must_use]
    pub fn start(scratch: &Path, play: Play) -> Self {
        let socket = scratch.join("bus");
        let config = scratch.join("bus.conf");
        let text = format!(
            "<busconfig><listen>unix:path={}</listen><auth>EXTERNAL</auth><policy context=\"default\">\
             <allow send_destination=\"*\"/><allow receive_sender=\"*\"/><allow own=\"*\"/><allow user=\"*\"/></policy></busconfig>",
            socket.display()
        );
        fs::write(&config, text).expect("the scratch directory is writable");
        let mut command = Command::new("dbus-daemon");
        command.arg("--nofork").arg("--nopidfile").arg("--config-file").arg(config);
        let bus = command.stdout(Stdio::null()).spawn().expect("dbus-daemon is installed");
        let bus = Arc::new(Mutex::new(bus));
        let connection = wait::until("the bus", || connect(&socket));
        let calls = Arc::new(Mutex::new(Vec::new()));
        let mut player =
            Player { connection, play, bus: bus.clone(), calls: calls.clone(), made: Vec::new() };
        std::thread::spawn(move || while player.answer().is_some() {});
        Self { bus, address: format!("unix:path={}", socket.display()), calls }
    }

    /// The address of the bus.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The calls until now, each as member and unit.
    ///
    /// # Panics
    /// When the player has panicked.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        self.calls.lock().expect("the player lives").clone()
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        end(&self.bus);
    }
}

/// What the real systemd says of one property of a unit (`systemctl show`).
///
/// # Panics
/// When it does not answer.
#[must_use]
pub fn property(runtime: &Runtime, unit: &str, name: &str) -> String {
    let words = ["systemctl", "show", "--value", "-p", name, unit];
    runtime.host(words).run().succeeds().stdout.trim().to_owned()
}

/// Ends the bus, and with it the player, whose connection closes.
fn end(bus: &Mutex<Child>) {
    let mut bus = bus.lock().expect("nobody panics with it");
    drop(bus.kill());
    drop(bus.wait());
}

fn connect(socket: &Path) -> Option<DuplexConn> {
    let address = nix_of_rustbus::sys::socket::UnixAddr::new(socket).ok()?;
    let mut connection = DuplexConn::connect_to_bus(address, false).ok()?;
    connection.send_hello(Timeout::Infinite).ok()?;
    let request = rustbus::standard_messages::request_name(NAME, 0);
    connection.send.send_message(&request).ok()?.write_all().ok()?;
    connection.recv.get_next_message(Timeout::Infinite).ok()?;
    Some(connection)
}

/// An error as a message of the bus (D-Bus Specification, Message Format).
fn error_reply(reply_to: u32, destination: &str, name: &str, text: &str) -> Vec<u8> {
    let padded = |mut bytes: Vec<u8>| {
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    };
    let word = |text: &str| {
        let length = u32::try_from(text.len()).expect("a short text");
        [&length.to_le_bytes()[..], text.as_bytes(), &[0]].concat()
    };
    let fields = [
        padded([&[5, 1, b'u', 0][..], &reply_to.to_le_bytes()].concat()),
        padded([&[6, 1, b's', 0][..], &word(destination)].concat()),
        padded([&[4, 1, b's', 0][..], &word(name)].concat()),
        vec![8, 1, b'g', 0, 1, b's', 0],
    ]
    .concat();
    let body = word(text);
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).expect("a short text").to_le_bytes();
    // No call of the library's has so high a number.
    let serial = (1u32 << 30).to_le_bytes();
    let header = [&[b'l', 3, 1, 1][..], &length(&body), &serial, &length(&fields), &fields].concat();
    [padded(header), body].concat()
}

struct Player {
    connection: DuplexConn,
    play: Play,
    bus: Arc<Mutex<Child>>,
    calls: Arc<Mutex<Vec<String>>>,
    made: Vec<PathBuf>,
}

impl Player {
    /// Answers one message; none when the bus is gone.
    fn answer(&mut self) -> Option<()> {
        let call = self.connection.recv.get_next_message(Timeout::Infinite).ok()?;
        let Some(member) = call.dynheader.member.clone() else { return Some(()) };
        let unit: String = call.body.parser().get().unwrap_or_default();
        self.calls.lock().expect("the test lives").push(format!("{member} {unit}"));
        match (member.as_str(), self.play) {
            ("StartTransientUnit", Play::Silent) => Some(()),
            ("StartTransientUnit", Play::HangsUp) => {
                end(&self.bus);
                None
            }
            ("StartTransientUnit", Play::Refuses) => {
                self.error(&call, "org.freedesktop.systemd1.BadUnitSetting", "no such units here")
            }
            ("StartTransientUnit", Play::Forgets) => self.job(&call, None),
            ("StartTransientUnit", Play::Fails) => self.job(&call, Some("failed")),
            ("StartTransientUnit", Play::Plays) => {
                self.make(&call, &unit);
                self.job(&call, Some("done"))
            }
            ("StopUnit", _) => {
                self.made.drain(..).for_each(|group| drop(fs::remove_dir(group)));
                self.job(&call, Some("done"))
            }
            ("ResetFailedUnit", _) => {
                self.error(&call, "org.freedesktop.systemd1.NoSuchUnit", "it is not loaded")
            }
            _ => Some(()),
        }
    }

    fn send(&mut self, message: &MarshalledMessage) -> Option<()> {
        self.connection.send.send_message(message).ok()?.write_all().ok().map(drop)
    }

    fn error(&mut self, call: &MarshalledMessage, name: &str, text: &str) -> Option<()> {
        // The library forgets the name of an error, and with that the bus takes it for no message.
        let bytes = error_reply(call.dynheader.serial?, call.dynheader.sender.as_deref()?, name, text);
        nix_of_rustbus::unistd::write(self.connection.as_raw_fd(), &bytes).ok().map(drop)
    }

    /// Queues a job, and tells of its end where it has one; of another's end before that.
    fn job(&mut self, call: &MarshalledMessage, result: Option<&str>) -> Option<()> {
        let mut reply = call.dynheader.make_response();
        reply.body.push_param(ObjectPath::new(JOB).ok()?).ok()?;
        self.send(&reply)?;
        for (job, result) in [("/another/job", Some("failed")), (JOB, result)] {
            let Some(result) = result else { continue };
            let mut signal =
                MessageBuilder::new().signal(MANAGER, "JobRemoved", "/org/freedesktop/systemd1").build();
            signal.body.push_param4(7u32, ObjectPath::new(job).ok()?, "x.scope", result).ok()?;
            self.send(&signal)?;
        }
        Some(())
    }

    /// Makes the cgroups of a scope at the root, and puts its processes in.
    fn make(&mut self, call: &MarshalledMessage, unit: &str) {
        let (_, _, properties): (&str, &str, Vec<(String, Variant<'_, '_>)>) =
            call.body.parser().get3().expect("name, mode and properties");
        let pids = properties.iter().find(|(name, _)| name == "PIDs").expect("a scope has processes");
        let pids: Vec<u32> = pids.1.get().expect("au");
        for point in cgroup::hierarchies() {
            let known = point.file_name().is_some_and(|name| {
                ["systemd", "memory", "pids", "cpu", "blkio", "devices"].iter().any(|known| name == *known)
            });
            if known {
                let group = point.join(unit);
                fs::create_dir(&group).expect("a new cgroup");
                for pid in &pids {
                    fs::write(group.join("cgroup.procs"), pid.to_string()).expect("the process can join");
                }
                self.made.push(group);
            }
        }
    }
}
