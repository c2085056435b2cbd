//! What criu is asked and what it answers: the messages of its `rpc.proto`, whose field numbers are its interface.

use super::wire::{Message, Value, fields};

/// What criu shall do (`criu_req_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Write a checkpoint.
    Dump = 1,
    /// Bring a checkpoint back to life.
    Restore = 2,
    /// Write the memory alone, of processes that go on.
    PreDump = 4,
    /// A notification, and the answer to one.
    Notify = 6,
    /// Say what kernel and program can do.
    FeatureCheck = 9,
    /// Say the program's version.
    Version = 10,
}

/// How much of the cgroups criu cares for (`--manage-cgroups-mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CgroupMode {
    /// Not at all.
    Ignore = 0,
    /// Properties of the cgroups that it makes itself.
    Soft = 3,
    /// Properties of all.
    Full = 4,
    /// Properties of all, which must be as they were.
    Strict = 5,
    /// What criu does by itself: soft.
    #[default]
    Default = 6,
}

impl CgroupMode {
    /// The mode of a name; an empty one is the default.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Some(match name {
            "" => Self::Default,
            "ignore" => Self::Ignore,
            "soft" => Self::Soft,
            "full" => Self::Full,
            "strict" => Self::Strict,
            _ => return None,
        })
    }
}

/// Where another machine takes the memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageServer {
    /// Its address, without brackets.
    pub address: String,
    /// Its port.
    pub port: u16,
}

/// Everything that a dump or a restore may be told (`criu_opts`). Descriptors are criu's own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// The directory of the images.
    pub images: i32,
    /// The directory of the log, if it is another one.
    pub work: Option<i32>,
    /// The first process (dump).
    pub pid: Option<i32>,
    /// The container's root: on the host (dump), or as a mount in criu's namespace (restore).
    pub root: String,
    /// The log's name.
    pub log_file: &'static str,
    /// `--leave-running`.
    pub leave_running: bool,
    /// `--ext-unix-sk`.
    pub external_unix_sockets: bool,
    /// `--tcp-established`.
    pub tcp_established: bool,
    /// `--tcp-close`.
    pub tcp_close: bool,
    /// `--tcp-skip-in-flight`.
    pub tcp_skip_in_flight: bool,
    /// `--link-remap`.
    pub link_remap: bool,
    /// `--shell-job`.
    pub shell_job: bool,
    /// `--file-locks`.
    pub file_locks: bool,
    /// `--auto-dedup`.
    pub auto_dedup: bool,
    /// `--lazy-pages`.
    pub lazy_pages: bool,
    /// Whether devices may be opened by other paths than they were.
    pub evasive_devices: bool,
    /// Whether the restored process becomes the runtime's child.
    pub sibling: bool,
    /// `--parent-path`, relative to the images.
    pub parent: Option<String>,
    /// `--page-server`.
    pub page_server: Option<PageServer>,
    /// `--manage-cgroups-mode`.
    pub cgroup_mode: CgroupMode,
    /// The cgroup that is frozen meanwhile, instead of stopping each process.
    pub freeze_cgroup: Option<String>,
    /// Where the cgroups are now: controllers and path, as `/proc/PID/cgroup` has them.
    pub cgroup_roots: Vec<(String, String)>,
    /// Mounts from outside: the place inside, and what is there.
    pub external_mounts: Vec<(String, String)>,
    /// Other things from outside, such as namespaces: `TYPE[ID]:KEY`.
    pub external: Vec<String>,
    /// Things from outside, by the key of the dump, and criu's descriptor of each (restore).
    pub inherited: Vec<(String, i32)>,
    /// Namespaces to join: kind and file (restore).
    pub joined: Vec<(&'static str, String)>,
    /// Kinds of namespaces whose content is not criu's business, as `CLONE_NEW*`.
    pub empty_namespaces: u32,
    /// criu's own configuration file.
    pub config_file: Option<String>,
    /// `--lsm-profile`.
    pub lsm_profile: Option<String>,
    /// `--lsm-mount-context`.
    pub lsm_mount_context: Option<String>,
}

/// As much as helps to see why criu failed.
const LOG_LEVEL: i32 = 4;

impl Options {
    /// Takes over criu's descriptors of the directories: that of the images, and that of the log if it is another one.
    #[must_use]
    pub fn at(self, directories: &[i32]) -> Self {
        let images = directories.first().copied().unwrap_or(-1);
        Self { images, work: directories.get(1).copied(), ..self }
    }

    /// The request of this kind with these options.
    #[must_use]
    pub fn request(&self, kind: Kind) -> Vec<u8> {
        let mut request = Message::default();
        request.number(1, kind as u64);
        request.message(2, &self.message());
        request.into_bytes()
    }

    fn message(&self) -> Message {
        let mut m = Message::default();
        m.int(1, self.images);
        self.pid.into_iter().for_each(|pid| m.int(2, pid));
        self.work.into_iter().for_each(|fd| m.int(17, fd));
        m.int(9, LOG_LEVEL);
        m.text(10, self.log_file);
        m.text(13, &self.root);
        for (field, on) in [
            (3, self.leave_running),
            (4, self.external_unix_sockets),
            (5, self.tcp_established),
            (6, self.evasive_devices),
            (7, self.shell_job),
            (8, self.file_locks),
            // Notifications, and the terminal whose other end is with somebody outside.
            (12, true),
            (50, true),
            (15, self.parent.is_some()),
            (16, self.auto_dedup),
            (18, self.link_remap),
            (26, self.sibling),
            (46, self.tcp_skip_in_flight),
            (48, self.lazy_pages),
            (52, self.tcp_close),
        ] {
            m.flag(field, on);
        }
        m.flag(24, true);
        m.number(34, self.cgroup_mode as u64);
        m.number(38, self.empty_namespaces.into());
        for (field, text) in [
            (14, &self.parent),
            (44, &self.freeze_cgroup),
            (51, &self.config_file),
            (53, &self.lsm_profile),
            (63, &self.lsm_mount_context),
        ] {
            text.iter().for_each(|text| m.text(field, text));
        }
        self.lists(&mut m);
        m
    }

    fn lists(&self, m: &mut Message) {
        if let Some(server) = &self.page_server {
            let mut inner = Message::default();
            inner.text(1, &server.address);
            inner.int(2, server.port.into());
            m.message(11, &inner);
        }
        for (field, pairs) in [(23, &self.external_mounts), (25, &self.cgroup_roots)] {
            for (first, second) in pairs {
                let mut inner = Message::default();
                inner.text(1, first);
                inner.text(2, second);
                m.message(field, &inner);
            }
        }
        for (key, fd) in &self.inherited {
            let mut inner = Message::default();
            inner.text(1, key);
            inner.int(2, *fd);
            m.message(27, &inner);
        }
        self.external.iter().for_each(|text| m.text(37, text));
        for (kind, file) in &self.joined {
            let mut inner = Message::default();
            inner.text(1, kind);
            inner.text(2, file);
            m.message(39, &inner);
        }
    }
}

/// The request for the version.
#[must_use]
pub(super) fn version_request() -> Vec<u8> {
    let mut request = Message::default();
    request.number(1, Kind::Version as u64);
    request.into_bytes()
}

/// The request to say what works here: tracking of memory, and pages that come later.
#[must_use]
pub(super) fn feature_request() -> Vec<u8> {
    let mut features = Message::default();
    features.flag(1, true);
    features.flag(2, true);
    let mut request = Message::default();
    request.number(1, Kind::FeatureCheck as u64);
    request.message(5, &features);
    request.into_bytes()
}

/// The answer to a notification.
#[must_use]
pub(super) fn notify_answer() -> Vec<u8> {
    let mut request = Message::default();
    request.number(1, Kind::Notify as u64);
    request.flag(3, true);
    request.into_bytes()
}

/// A moment at which criu waits for the runtime (`criu_notify`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Notification {
    /// Which moment, such as `post-restore`.
    pub script: String,
    /// The first process, where there is one.
    pub pid: i32,
}

/// What criu says (`criu_resp`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reply {
    /// What it answers, as a number of [`Kind`].
    pub kind: u64,
    /// Whether it succeeded.
    pub success: bool,
    /// The moment, for [`Kind::Notify`].
    pub notification: Option<Notification>,
    /// Why it failed, as an error number; 0 where criu does not say.
    pub errno: i32,
    /// Why it failed, in words.
    pub message: Option<String>,
    /// The version as one number: 31701 for 3.17.1.
    pub version: u32,
    /// Whether the kernel tracks which memory has changed.
    pub tracks_memory: bool,
    /// Whether memory may come after the process runs again.
    pub has_lazy_pages: bool,
}

impl Reply {
    /// Reads a reply; `None` for what is none.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reply = Self::default();
        for (field, value) in fields(bytes)? {
            match (field, value) {
                (1, Value::Number(kind)) => reply.kind = kind,
                (2, Value::Number(success)) => reply.success = success != 0,
                (5, Value::Bytes(bytes)) => reply.notification = Some(notification(bytes)?),
                (7, Value::Number(errno)) => reply.errno = errno as i32,
                (8, Value::Bytes(bytes)) => reply.features(bytes)?,
                (9, Value::Bytes(bytes)) => {
                    reply.message = Some(String::from_utf8_lossy(bytes).into_owned());
                }
                (10, Value::Bytes(bytes)) => reply.version = version(bytes)?,
                _ => {}
            }
        }
        Some(reply)
    }

    fn features(&mut self, bytes: &[u8]) -> Option<()> {
        for (field, value) in fields(bytes)? {
            match (field, value) {
                (1, Value::Number(on)) => self.tracks_memory = on != 0,
                (2, Value::Number(on)) => self.has_lazy_pages = on != 0,
                _ => {}
            }
        }
        Some(())
    }
}

fn notification(bytes: &[u8]) -> Option<Notification> {
    let mut notification = Notification::default();
    for (field, value) in fields(bytes)? {
        match (field, value) {
            (1, Value::Bytes(script)) => notification.script = String::from_utf8_lossy(script).into_owned(),
            (2, Value::Number(pid)) => notification.pid = pid as i32,
            _ => {}
        }
    }
    Some(notification)
}

fn version(bytes: &[u8]) -> Option<u32> {
    let mut version = 0u32;
    for (field, value) in fields(bytes)? {
        let Value::Number(number) = value else { continue };
        let weight = match field {
            1 => 10_000,
            2 => 100,
            4 => 1,
            _ => 0,
        };
        version = version.saturating_add(u32::try_from(number).ok()?.saturating_mul(weight));
    }
    Some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_holds_what_was_asked_for_and_nothing_else() {
        let options = Options {
            images: 5,
            root: "/r".into(),
            log_file: "dump.log",
            leave_running: true,
            tcp_close: true,
            external_mounts: vec![("/a".into(), "/b".into())],
            ..Options::default()
        };
        let bytes = options.request(Kind::Dump);
        let outer = fields(&bytes).expect("a message");
        assert_eq!(outer[0], (1, Value::Number(1)));
        let Value::Bytes(inner) = outer[1].1 else { panic!("{outer:?}") };
        let inner = fields(inner).expect("a message");
        let value = |field: u32| inner.iter().find(|(number, _)| *number == field).map(|(_, value)| *value);
        assert_eq!(value(1), Some(Value::Number(5)));
        assert_eq!(value(3), Some(Value::Number(1)));
        assert_eq!(value(5), None);
        assert_eq!(value(13), Some(Value::Bytes(b"/r")));
        assert_eq!(value(23), Some(Value::Bytes(b"\x0a\x02/a\x12\x02/b")));
        assert_eq!(value(34), Some(Value::Number(6)));
        assert_eq!(value(52), Some(Value::Number(1)));
    }

    #[test]
    fn replies_are_read_and_what_is_none_is_refused() {
        let mut version = Message::default();
        [(1, 3), (2, 17), (4, 1)].into_iter().for_each(|(field, number)| version.number(field, number));
        let mut reply = Message::default();
        reply.number(1, Kind::Version as u64);
        reply.flag(2, true);
        reply.message(10, &version);
        let reply = Reply::parse(&reply.into_bytes()).expect("a reply");
        assert_eq!((reply.success, reply.version), (true, 31_701));

        let mut moment = Message::default();
        moment.text(1, "post-restore");
        moment.int(2, 42);
        let mut reply = Message::default();
        reply.number(1, Kind::Notify as u64);
        reply.message(5, &moment);
        let reply = Reply::parse(&reply.into_bytes()).expect("a reply");
        assert_eq!(reply.notification, Some(Notification { script: "post-restore".into(), pid: 42 }));
        assert_eq!(Reply::parse(&[0x08]), None);
    }
}
