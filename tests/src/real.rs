//! Images of real programs, made of Debian's packages: a layer with Debian, and one that its package manager writes.
//!
//! They are made once per checkout, with the image tool under test, and stay in a registry's directory,
//! `.cache/images/registry`, beside the recipe that each was made by. A changed recipe makes its image anew.

use crate::img::{Img, Registry, RegistryOptions};
use crate::plug;
use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use xtask::rootfs::{self, Kind};

/// What an image may take to be made: packages are fetched from far away.
const A_LONG_TIME: Duration = Duration::from_secs(240);

/// How an image is made.
#[derive(Debug)]
pub struct Recipe {
    /// Its name in the registry.
    pub name: &'static str,
    packages: &'static [&'static str],
    /// A script that runs in the root file system before the packages come.
    before: &'static str,
    /// A script that runs after.
    after: &'static str,
    config: fn() -> Value,
}

/// A web server. It serves `/var/www/html`, logs to its standard streams, and is stopped by SIGQUIT.
pub const NGINX: Recipe = Recipe {
    name: "nginx",
    packages: &["nginx-light"],
    before: "",
    after: "ln -sf /dev/stdout /var/log/nginx/access.log
        ln -sf /dev/stderr /var/log/nginx/error.log
        printf '%s\\n' '#!/bin/bash' 'exec 3<>/dev/tcp/127.0.0.1/80' \
            'printf \"GET / HTTP/1.0\\r\\n\\r\\n\" >&3' 'read -r _ status _ <&3' '[ \"$status\" = 200 ]' >/usr/bin/is-well
        chmod 755 /usr/bin/is-well",
    config: || {
        json!({
            "Cmd": ["nginx", "-g", "daemon off; error_log /dev/stderr notice;"],
            "Env": [PATH],
            "ExposedPorts": { "80/tcp": {} },
            "Healthcheck": health(&["is-well"]),
            "StopSignal": "SIGQUIT",
        })
    },
};

/// A key-value store. It runs as the user `redis`, and logs what it is told to the volume `/data`.
pub const REDIS: Recipe = Recipe {
    name: "redis",
    packages: &["redis-server"],
    before: "",
    after: "install -d -o redis -g redis /data",
    config: || {
        json!({
            "Cmd": ["redis-server", "--appendonly", "yes", "--protected-mode", "no"],
            "Env": [PATH],
            "ExposedPorts": { "6379/tcp": {} },
            "Healthcheck": health(&["redis-cli", "ping"]),
            "User": "redis",
            "Volumes": { "/data": {} },
            "WorkingDir": "/data",
        })
    },
};

/// A database. It runs as the user `postgres`, keeps its data in the volume `/var/lib/postgresql/data`, which it
/// lays out itself, and is stopped by SIGINT. The compiler of queries is left out: it is half of the package.
pub const POSTGRES: Recipe = Recipe {
    name: "postgres",
    packages: &["postgresql-15"],
    before: "mkdir -p /etc/postgresql-common
        echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
        echo 'path-exclude=/usr/lib/*/libLLVM*' >/etc/dpkg/dpkg.cfg.d/small
        echo 'path-exclude=/usr/lib/postgresql/15/lib/*jit*' >>/etc/dpkg/dpkg.cfg.d/small
        echo 'path-exclude=/usr/lib/postgresql/15/lib/bitcode/*' >>/etc/dpkg/dpkg.cfg.d/small",
    after: "install -d -m 700 -o postgres -g postgres /var/lib/postgresql/data
        printf '%s\\n' '#!/bin/sh' 'set -e' 'if [ \"$1\" = postgres ] && [ ! -s \"$PGDATA/PG_VERSION\" ]; then' \
            '    initdb --no-sync --locale=C.UTF-8 --auth=trust' \
            '    echo \"host all all all trust\" >>\"$PGDATA/pg_hba.conf\"' fi 'exec \"$@\"' >/usr/bin/entrypoint
        chmod 755 /usr/bin/entrypoint",
    config: || {
        json!({
            "Cmd": ["postgres", "-c", "listen_addresses=*"],
            "Entrypoint": ["entrypoint"],
            "Env": [
                "PATH=/usr/lib/postgresql/15/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "PGDATA=/var/lib/postgresql/data",
            ],
            "ExposedPorts": { "5432/tcp": {} },
            "Healthcheck": health(&["pg_isready", "-q", "-h", "127.0.0.1"]),
            "StopSignal": "SIGINT",
            "User": "postgres",
            "Volumes": { "/var/lib/postgresql/data": {} },
        })
    },
};

const PATH: &str = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";

/// A health check that looks often: a test waits for what it says.
fn health(command: &[&str]) -> Value {
    let test: Vec<&str> = ["CMD"].iter().chain(command).copied().collect();
    let second = 1_000_000_000_u64;
    json!({
        "Test": test, "Interval": second / 2, "Timeout": 20 * second, "Retries": 2,
        "StartPeriod": 60 * second, "StartInterval": second / 2,
    })
}

/// A registry that has the images of `recipes`, each with the tag `1`; they are made first if need be.
///
/// # Panics
/// When one cannot be made, or the registry does not start.
#[must_use]
pub fn registry(recipes: &[&Recipe]) -> Registry {
    let cache = xtask::workspace().join(".cache/images");
    let data = cache.join("registry");
    fs::create_dir_all(&data).expect("the cache is writable");
    let registry = Registry::with(&RegistryOptions { data: Some(data), ..RegistryOptions::default() });
    let lock = File::create(cache.join("lock")).expect("the cache is writable");
    flock(&lock, FlockOperation::LockExclusive).expect("a file can be locked");
    for recipe in recipes {
        let made_by = cache.join(recipe.name).with_extension("recipe");
        let text = recipe.text();
        if !fs::read_to_string(&made_by).is_ok_and(|of_cache| of_cache == text) {
            recipe.make(&registry.name(recipe.name));
            fs::write(&made_by, text).expect("the cache is writable");
        }
    }
    registry
}

impl Recipe {
    /// The image's name in a registry, with its tag.
    #[must_use]
    pub fn name_in(&self, registry: &Registry) -> String {
        registry.name(&format!("{}:1", self.name))
    }

    /// All that the image is made by.
    fn text(&self) -> String {
        let config = (self.config)();
        let Self { name, packages, before, after, .. } = self;
        format!("{name}\n{}\n{before}\n{after}\n{config:#}\n{WRITE_LAYER}", packages.join(" "))
    }

    /// Makes the image, and brings it to a registry.
    fn make(&self, name: &str) {
        let base = rootfs::archive(Kind::Debian).expect("mmdebstrap makes a root file system");
        let place =
            tempfile::Builder::new().prefix("mdr-").tempdir_in("/dev/shm").expect("a scratch directory");
        let layer = self.write_layer(&base, place.path());
        let archive = place.path().join("image.tar");
        let tagged = format!("{name}:1");
        plug::write_archive(&tagged, &(self.config)(), &[&base, &layer], &archive);
        let img = Img::new();
        let run = |words: [&str; 2]| img.command(words).deadline(A_LONG_TIME).run().succeeds().discard();
        run(["load", &format!("--input={}", archive.display())]);
        run(["push", &tagged]);
    }

    /// Writes the layer of the packages, and returns where it is.
    fn write_layer(&self, base: &Path, place: &Path) -> PathBuf {
        let words = ["--mount", "--propagation=private", "/bin/sh", "-c", WRITE_LAYER, "sh"];
        let mut command = Command::new("unshare");
        command.args(words).arg(base).arg(place).args([self.before, self.after]).args(self.packages);
        let output = command.env("DEBIAN_FRONTEND", "noninteractive").output().expect("unshare is installed");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the packages of {}: {said}", self.name);
        place.join("layer.tar")
    }
}

/// A script that lets Debian's package manager work over the root file system in an archive ($1), and leaves what is new
/// in `layer.tar` in a scratch directory ($2). The words after the two scripts ($3, $4) are packages.
const WRITE_LAYER: &str = r#"
set -e
base=$1 place=$2 before=$3 after=$4 root=$2/root
shift 4
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mkdir "$place/lower" "$place/upper" "$place/work" "$root"
tar -C "$place/lower" --numeric-owner -xpf "$base"
mount -t overlay -o "lowerdir=$place/lower,upperdir=$place/upper,workdir=$place/work" overlay "$root"
mount -t proc proc "$root/proc"
mount --bind /etc/resolv.conf "$root/etc/resolv.conf"
# It forbids packages to start services.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
chroot "$root" sh -ec "$before"
chroot "$root" apt-get -qq update
chroot "$root" apt-get -qq --yes --no-install-recommends -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold \
    install "$@" </dev/null
chroot "$root" sh -ec "$after"
chroot "$root" apt-get clean
rm -rf "$root/usr/sbin/policy-rc.d" "$root"/var/lib/apt/lists/*_*
umount "$root/etc/resolv.conf" "$root/proc" "$root"
removed=$(find "$place/upper" -type c)
[ -z "$removed" ] || { echo "a plain tar cannot say that these are gone: $removed" >&2; exit 1; }
tar -C "$place/upper" --numeric-owner --sort=name -cf "$place/layer.tar" .
"#;

/// The program busybox for arm64, of Debian's package busybox-static; it is fetched once per checkout.
///
/// # Panics
/// When it cannot be fetched.
#[must_use]
pub fn busybox_for_arm64() -> PathBuf {
    let cache = xtask::workspace().join(".cache/images");
    fs::create_dir_all(&cache).expect("the cache is writable");
    let program = cache.join("busybox-arm64");
    let lock = File::create(cache.join("busybox-arm64.lock")).expect("the cache is writable");
    flock(&lock, FlockOperation::LockExclusive).expect("a file can be locked");
    if !program.is_file() {
        let place =
            tempfile::Builder::new().prefix("mdr-").tempdir_in(&cache).expect("the cache is writable");
        let mut fetch = Command::new("/bin/sh");
        let output = fetch.args(["-c", FETCH_FOR_ARM64, "sh"]).arg(place.path()).output().expect("a shell");
        assert!(output.status.success(), "busybox for arm64: {}", String::from_utf8_lossy(&output.stderr));
        fs::rename(place.path().join("root/bin/busybox"), &program).expect("a rename within the cache");
    }
    program
}

/// A script that takes the package from the machine's own mirror, with lists of its own in a scratch directory ($1).
const FETCH_FOR_ARM64: &str = r#"
set -e
cd "$1"
mkdir -p lists/partial cache/archives/partial
: >status
cat >apt.conf <<END
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Sandbox::User "root";
Dir::State "$1/state";
Dir::State::Lists "$1/lists";
Dir::State::Status "$1/status";
Dir::Cache "$1/cache";
END
export APT_CONFIG="$1/apt.conf"
apt-get -qq update
apt-get -qq download busybox-static
dpkg-deb -x busybox-static_*.deb root
"#;
