//! An ordinary user who runs the runtime.
//!
//! The user exists in a private mount namespace of each command alone, where `/etc` is covered with files of the test:
//! the machine's own users and id ranges are neither read nor changed.

use crate::{Bundle, Invocation, Runtime, cgroup, wait};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

/// The user's id and that of the one group.
pub const UID: u32 = 61_001;

/// The first of the ids that the user may map beside the own one.
pub const FIRST: u32 = 2_000_000;

/// How many of them there are.
pub const COUNT: u32 = 65_536;

/// The group below the delegated one in which commands run on a host with cgroup v2 alone.
const SESSION: &str = "session";

/// An ordinary user with a home, a runtime directory and bundles of its own.
#[derive(Debug)]
pub struct User<'a> {
    runtime: &'a Runtime,
    has_ranges: bool,
    delegated: Option<String>,
}

impl<'a> User<'a> {
    /// A user who may map the own id alone.
    ///
    /// # Panics
    /// When the scratch directory of the runtime cannot be written.
    #[must_use]
    pub fn new(runtime: &'a Runtime) -> Self {
        let user = Self { runtime, has_ranges: false, delegated: None };
        for dir in [user.home(), user.runtime_dir(), runtime.root()] {
            fs::create_dir_all(&dir).expect("the scratch directory is writable");
            chown(&dir, Some(UID), Some(UID)).expect("root may give files away");
        }
        user.write_etc();
        user
    }

    /// The same user with ranges in `/etc/subuid` and `/etc/subgid`.
    #[must_use]
    pub fn with_ranges(mut self) -> Self {
        self.has_ranges = true;
        self.write_etc();
        self
    }

    /// The same user with a cgroup in each hierarchy, in which commands run from here on.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn with_delegation(mut self) -> Self {
        let name = format!("{}-user", self.runtime.name());
        let points = cgroup::hierarchies();
        for point in &points {
            delegate(point, &point.join(&name));
        }
        if let [v2_alone] = &points[..] {
            // A group with processes of its own hands no controllers down.
            delegate(v2_alone, &v2_alone.join(&name).join(SESSION));
        }
        self.delegated = Some(name);
        self
    }

    /// The delegated cgroup, the same in each hierarchy.
    ///
    /// # Panics
    /// Without [`User::with_delegation`].
    #[must_use]
    pub fn cgroup(&self) -> &str {
        self.delegated.as_deref().expect("a delegated cgroup")
    }

    /// Removes the delegated cgroup, which must be empty soon.
    ///
    /// # Panics
    /// When something stays in it.
    pub fn end_delegation(&self) {
        for dir in cgroup::existing(self.cgroup()) {
            let session = dir.join(SESSION);
            let groups = session.is_dir().then_some(session).into_iter().chain([dir]);
            groups.for_each(|group| wait::until("the group to be empty", || fs::remove_dir(&group).ok()));
        }
    }

    /// The home directory.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.runtime.scratch().join("home")
    }

    /// `$XDG_RUNTIME_DIR`.
    #[must_use]
    pub fn runtime_dir(&self) -> PathBuf {
        self.runtime.scratch().join("run")
    }

    fn etc(&self) -> PathBuf {
        self.runtime.scratch().join("etc")
    }

    fn write_etc(&self) {
        let etc = self.etc();
        fs::create_dir_all(&etc).expect("the scratch directory is writable");
        let write = |name: &str, text: String| fs::write(etc.join(name), text).expect("it is writable");
        let home = self.home();
        write(
            "passwd",
            format!("root:x:0:0::/root:/bin/sh\nmdt-user:x:{UID}:{UID}::{}:/bin/sh\n", home.display()),
        );
        write("group", format!("root:x:0:\nmdt-user:x:{UID}:\n"));
        let ranges = if self.has_ranges { format!("mdt-user:{FIRST}:{COUNT}\n") } else { String::new() };
        write("subuid", ranges.clone());
        write("subgid", ranges);
    }

    /// Makes a command of this runtime, or of the host, the user's.
    #[must_use]
    pub fn runs(&self, command: Invocation) -> Invocation {
        // Everything before the command executes the next, so that the process id is the command's own.
        let join = "for dir in /sys/fs/cgroup/*/\"$0\" /sys/fs/cgroup/\"$0\"/session; do
            test ! -e \"$dir/cgroup.procs\" || echo $$ >\"$dir/cgroup.procs\" || exit 99
        done
        mount -t overlay -o \"lowerdir=$1:/etc\" overlay /etc || exit 99
        shift; exec \"$@\"";
        let ids = [format!("--reuid={UID}"), format!("--regid={UID}")];
        let mut words: Vec<OsString> =
            ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", join]
                .map(Into::into)
                .to_vec();
        words.push(self.delegated.clone().unwrap_or_else(|| "no-such-group".into()).into());
        words.push(self.etc().into());
        words.extend(["setpriv", &ids[0], &ids[1], "--clear-groups"].map(Into::into));
        let home = self.home();
        let runtime_dir = self.runtime_dir();
        command.through(words).env("HOME", home).env("USER", "mdt-user").env("XDG_RUNTIME_DIR", runtime_dir)
    }

    /// The command `PROGRAM --root ROOT args...` of the user.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Invocation {
        self.runs(self.runtime.command(args))
    }

    /// The command `VERB options... --bundle DIR ID` of the user.
    #[must_use]
    pub fn bundle_command(&self, verb: &str, bundle: &Bundle, options: &[&str]) -> Invocation {
        self.runs(self.runtime.bundle_command(verb, bundle, options))
    }

    /// A bundle of the user with the configuration that `spec --rootless` writes.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn bundle(&self) -> Bundle {
        self.bundle_of_spec(&["spec", "--rootless"])
    }

    /// A bundle of the user with the configuration that `spec` writes.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn plain_bundle(&self) -> Bundle {
        self.bundle_of_spec(&["spec"])
    }

    fn bundle_of_spec(&self, words: &[&str]) -> Bundle {
        bundle_of_spec(self.runtime, UID, self.command(words))
    }
}

/// The ordinary user of the virtual machine, whose every command runs in a delegated scope of the user's own systemd.
#[derive(Debug)]
pub struct Tester<'a> {
    runtime: &'a Runtime,
}

impl<'a> Tester<'a> {
    /// The user's id.
    pub const UID: u32 = 1000;

    /// The user, with a state root.
    ///
    /// # Panics
    /// When the scratch directory of the runtime cannot be written.
    #[must_use]
    pub fn new(runtime: &'a Runtime) -> Self {
        fs::create_dir_all(runtime.root()).expect("the scratch directory is writable");
        chown(runtime.root(), Some(Self::UID), Some(Self::UID)).expect("root may give files away");
        Self { runtime }
    }

    /// Makes a command the user's.
    #[must_use]
    pub fn runs(&self, command: Invocation) -> Invocation {
        command.through(["/usr/local/bin/as-tester"])
    }

    /// The command `PROGRAM --root ROOT args...` of the user.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Invocation {
        self.runs(self.runtime.command(args))
    }

    /// A bundle of the user with the configuration that `spec --rootless` writes.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn bundle(&self) -> Bundle {
        bundle_of_spec(self.runtime, Self::UID, self.command(&["spec", "--rootless"]))
    }
}

/// A bundle that is given to a user, with the configuration that the user's `spec` writes.
fn bundle_of_spec(runtime: &Runtime, owner: u32, spec: Invocation) -> Bundle {
    let bundle = runtime.bundle();
    let file = bundle.dir().join("config.json");
    fs::remove_file(&file).expect("the bundle has a configuration");
    give_away(runtime, bundle.dir(), owner);
    spec.current_dir(bundle.dir()).run().succeeds().discard();
    let text = fs::read(&file).expect("spec writes a configuration");
    let config: Value = serde_json::from_slice(&text).expect("spec writes JSON");
    bundle.with(|written| *written = config).with(|config| {
        config["process"]["terminal"] = json!(false);
        config["root"]["readonly"] = json!(false);
    })
}

/// Maps the user's own id to root, and `count` ids from 1 on to the first of the ranges.
pub fn map_range(config: &mut Value, count: u32) {
    let map = json!([
        {"containerID": 0, "hostID": UID, "size": 1},
        {"containerID": 1, "hostID": FIRST, "size": count},
    ]);
    config["linux"]["uidMappings"] = map.clone();
    config["linux"]["gidMappings"] = map;
}

fn give_away(runtime: &Runtime, dir: &Path, owner: u32) {
    let owner = format!("{owner}:{owner}");
    let words = ["chown", "--recursive", "--no-dereference", &owner].map(OsString::from);
    runtime.host(words.into_iter().chain([dir.into()])).run().succeeds().discard();
}

/// Delegates a new cgroup as `cgroups(7)` has it: the directory and the files that move processes and hand down
/// controllers.
fn delegate(parent: &Path, dir: &Path) {
    fs::create_dir(dir).expect("root may make cgroups");
    for file in ["cpuset.cpus", "cpuset.mems"] {
        // A v1 cpuset is born empty, and nobody can be in an empty one.
        if parent.join("tasks").exists() && dir.join(file).exists() {
            let value = fs::read(parent.join(file)).expect("the parent has it too");
            fs::write(dir.join(file), value).expect("a new cgroup takes its parent's");
        }
    }
    for name in [".", "tasks", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"] {
        let path = dir.join(name);
        if path.exists() {
            chown(&path, Some(UID), Some(UID)).expect("root may give cgroups away");
        }
    }
}
