//! Real programs from a real registry, as people run them: with ports, volumes, users, signals, checks and limits.

#![forbid(unsafe_code)]

use mydocker_tests::emulation::Arm64;
use mydocker_tests::http::{ask, free_port, get};
use mydocker_tests::img::{FakeRegistry, Registry, SampleImage, Served, sha256};
use mydocker_tests::real::{NGINX, POSTGRES, REDIS, Recipe, busybox_for_arm64, registry};
use mydocker_tests::{Engine, engine, wait};
use serde_json::json;
use std::time::Duration;

/// What the pull of an image and the first start of a database may take on a busy machine.
const A_WHILE: Duration = Duration::from_secs(150);

/// An engine, and a registry with the image that it is to run.
struct Stage {
    engine: Engine,
    image: String,
    _registry: Registry,
}

impl Stage {
    fn with(recipe: &'static Recipe) -> Self {
        let registry = registry(&[recipe]);
        Self { engine: Engine::new(), image: recipe.name_in(&registry), _registry: registry }
    }

    /// `run OPTIONS... IMAGE COMMAND...`, and what it prints.
    fn run(&self, options: &[&str], command: &[&str]) -> String {
        let image = self.image.as_str();
        let words = ["run", "-q"].iter().chain(options).chain([&image]).chain(command);
        let text = self.engine.command(words).deadline(A_WHILE).run().succeeds().stdout;
        text.trim_end().to_owned()
    }

    fn exec(&self, container: &str, command: &[&str]) -> String {
        self.engine.ok(["exec", container].iter().chain(command))
    }

    fn wait_for_health(&self, container: &str, health: &str) {
        let told = || self.engine.inspect(container)["State"]["Health"].clone();
        let is_so = || (told()["Status"] == health).then_some(());
        wait::within(A_WHILE, is_so).unwrap_or_else(|| panic!("{container} is not {health}: {}", told()));
    }

    /// What the standard streams of a container have carried.
    fn logs(&self, container: &str) -> String {
        let said = self.engine.command(["logs", container]).run().succeeds();
        said.stdout + &said.stderr
    }
}

#[test]
fn privileged_nginx_serves_logs_is_checked_and_ends_by_its_own_signal() {
    let stage = Stage::with(&NGINX);
    let port = free_port();
    stage.run(&["-d", "--name=web", &format!("-p=127.0.0.1:{port}:80"), "-v=pages:/var/www/html"], &[]);
    let page = get(port, "/");
    assert!(page.starts_with("HTTP/1.1 200 OK") && page.contains("Welcome to nginx"), "{page}");
    assert!(get(port, "/missing").starts_with("HTTP/1.1 404 "));
    let logged = || stage.logs("web").contains("\"GET /missing HTTP/1.0\" 404").then_some(());
    wait::until("the request in the log", logged);
    stage.wait_for_health("web", "healthy");

    let page = "/var/www/html/index.nginx-debian.html";
    stage.exec("web", &["mv", page, "/tmp/page"]);
    stage.wait_for_health("web", "unhealthy");
    let listed = stage.engine.ok(["ps", "--filter=health=unhealthy", "--format={{.Names}} {{.Status}}"]);
    assert!(listed.starts_with("web Up ") && listed.ends_with("(unhealthy)"), "{listed}");
    stage.exec("web", &["mv", "/tmp/page", page]);
    stage.wait_for_health("web", "healthy");

    stage.engine.ok(["stop", "web"]);
    let logs = stage.logs("web");
    assert!(logs.contains("signal 3 (SIGQUIT) received, shutting down"), "{logs}");
    assert_eq!(stage.engine.inspect("web")["State"]["ExitCode"], 0);
    stage.engine.ok(["rm", "web"]);
    // The volume was filled from the image, and outlives the container.
    let kept = stage.run(&["--rm", "--network=none", "-v=pages:/kept:ro"], &["ls", "/kept"]);
    assert_eq!(kept, "index.nginx-debian.html");
}

#[test]
fn privileged_nginx_runs_on_a_root_that_cannot_be_written_below_an_init() {
    let stage = Stage::with(&NGINX);
    #[rustfmt::skip]
    let options = [
        "-d", "--name=web", "-P", "--read-only", "--tmpfs=/run", "--tmpfs=/var/lib/nginx", "--init",
        "--memory=64m", "--cpus=0.5", "--pids-limit=40",
    ];
    stage.run(&options, &[]);
    let shown = stage.engine.ok(["port", "web", "80/tcp"]);
    let port = shown.lines().find_map(|line| line.strip_prefix("0.0.0.0:")).expect("a published port");
    let page = get(port.parse().expect("a port"), "/");
    assert!(page.contains("Welcome to nginx"), "{page}");

    let first = stage.exec("web", &["cat", "/proc/1/comm"]);
    assert_ne!(first, "nginx");
    let refused = stage.engine.command(["exec", "web", "touch", "/etc/mark"]).run().fails();
    refused.says("Read-only file system").discard();
    limits_are_in_force(&stage, "web");
    stage.engine.ok(["stop", "web"]);
    assert_eq!(stage.engine.inspect("web")["State"]["ExitCode"], 0);
}

#[test]
fn privileged_runc_serves_as_well() {
    let stage = Stage::with(&NGINX);
    let port = free_port();
    stage.run(&["-d", "--name=web", "--runtime=runc", &format!("-p=127.0.0.1:{port}:80")], &[]);
    assert!(get(port, "/").contains("Welcome to nginx"));
    assert_eq!(stage.exec("web", &["cat", "/proc/1/comm"]), "nginx");
    stage.engine.ok(["stop", "web"]);
    assert_eq!(stage.engine.inspect("web")["State"]["ExitCode"], 0);
}

/// Looks, from within, for 64 MiB, half a processor and 40 processes.
fn limits_are_in_force(stage: &Stage, container: &str) {
    let script = "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes || cat memory.max
        cat pids/pids.max || cat pids.max
        { cat cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us || cat cpu.max; } | tr '\\n' ' '";
    let seen = stage.exec(container, &["sh", "-c", &format!("exec 2>/dev/null; {script}")]);
    assert_eq!(seen.split_whitespace().collect::<Vec<_>>(), ["67108864", "40", "50000", "100000"]);
}

#[test]
fn privileged_a_program_that_fails_is_started_again_as_often_as_it_may() {
    let stage = Stage::with(&NGINX);
    let options = ["-d", "--name=bad", "--network=none", "--restart=on-failure:2"];
    stage.run(&options, &["nginx", "-g", "nonsense;"]);
    let told = || stage.engine.inspect("bad");
    let is_over = || (told()["State"]["Status"] == "exited" && told()["RestartCount"] == 2).then_some(());
    wait::within(A_WHILE, is_over).unwrap_or_else(|| panic!("no end: {}", told()["State"]));
    assert_eq!(told()["State"]["ExitCode"], 1);
    assert_eq!(stage.logs("bad").matches("unknown directive \"nonsense\"").count(), 3);
}

#[test]
fn privileged_redis_keeps_what_it_was_told() {
    let stage = Stage::with(&REDIS);
    let port = free_port();
    let publish = format!("-p=127.0.0.1:{port}:6379");
    #[rustfmt::skip]
    let options = [
        "-d", "--name=store", &publish, "-v=kept:/data", "--read-only", "--tmpfs=/tmp", "--memory=64m", "--cpus=0.5",
        "--pids-limit=40",
    ];
    stage.run(&options, &[]);
    stage.wait_for_health("store", "healthy");
    let answer = ask(port, "SET colour blue\r\n", |text| text.ends_with("\r\n"));
    assert_eq!(answer.as_deref(), Some("+OK\r\n"));
    assert_eq!(stage.exec("store", &["id", "-un"]), "redis");
    limits_are_in_force(&stage, "store");

    stage.engine.ok(["stop", "store"]);
    assert!(stage.logs("store").contains("User requested shutdown"));
    stage.engine.ok(["start", "store"]);
    stage.wait_for_health("store", "healthy");
    assert_eq!(stage.exec("store", &["redis-cli", "get", "colour"]), "blue");

    // A kill leaves it no time to save; what it has written at once is there.
    stage.exec("store", &["redis-cli", "config", "set", "appendfsync", "always"]);
    stage.exec("store", &["redis-cli", "set", "colour", "green"]);
    stage.engine.ok(["rm", "-f", "store"]);
    stage.run(&options, &[]);
    stage.wait_for_health("store", "healthy");
    let answer = ask(port, "GET colour\r\n", |text| text.ends_with("green\r\n"));
    assert_eq!(answer.as_deref(), Some("$5\r\ngreen\r\n"));
}

#[test]
fn privileged_postgres_keeps_its_tables_and_is_found_by_name() {
    let stage = Stage::with(&POSTGRES);
    stage.engine.ok(["network", "create", "back"]);
    let options = ["-d", "--name=db", "--network=back", "-v=tables:/var/lib/postgresql/data"];
    stage.run(&options, &[]);
    stage.wait_for_health("db", "healthy");
    let sql = |text: &str| stage.exec("db", &["psql", "-Atc", text]);
    sql("create table people (name text); insert into people values ('Ada'), ('Grace')");
    assert_eq!(stage.exec("db", &["id", "-un"]), "postgres");

    let ask = ["psql", "-At", "-h", "db", "-c", "select name from people order by name"];
    assert_eq!(stage.run(&["--rm", "--network=back"], &ask), "Ada\nGrace");

    stage.engine.ok(["stop", "-t", "60", "db"]);
    assert!(stage.logs("db").contains("received fast shutdown request"));
    assert_eq!(stage.engine.inspect("db")["State"]["ExitCode"], 0);
    stage.engine.ok(["rm", "db"]);
    stage.run(&options, &[]);
    stage.wait_for_health("db", "healthy");
    assert_eq!(sql("select count(*) from people"), "2");
    assert_eq!(stage.run(&["--rm", "--network=back"], &ask), "Ada\nGrace");
    stage.engine.ok(["rm", "-f", "db"]);
    stage.engine.ok(["network", "rm", "back"]);
}

/// An image of one layer for a platform.
fn image_for(architecture: &str, layer: Vec<u8>) -> SampleImage {
    let mut image = SampleImage::for_platform("linux", architecture, &[])
        .with(|config| config["rootfs"]["diff_ids"] = json!([sha256(&layer)]));
    image.layers = vec![layer];
    image.manifest = image.manifest_json().to_string().into_bytes();
    image
}

#[test]
fn privileged_an_image_of_another_architecture_runs_through_the_emulator() {
    let engine = Engine::new();
    let images = [
        image_for("amd64", engine::busybox_layer().to_owned()),
        image_for("arm64", engine::layer_of(&busybox_for_arm64())),
    ];
    let mut served = Served::default();
    images.iter().for_each(|image| served.add(image));
    let index = SampleImage::index(&images.iter().collect::<Vec<_>>());
    served.manifest("1", "application/vnd.oci.image.index.v1+json", &index);
    let registry = FakeRegistry::good(served);
    let name = registry.name("busybox:1");
    let _emulator = Arm64::new();
    let machine = |options: &[&str]| {
        let words = ["run", "-q", "--rm", "--network=none"].iter().chain(options);
        engine.ok(words.chain(&[name.as_str(), "uname", "-m"]))
    };
    assert_eq!(machine(&["--platform=linux/arm64"]), "aarch64");
    assert_eq!(machine(&["--platform=linux/amd64"]), "x86_64");
    assert_eq!(machine(&["--platform=linux/arm64"]), "aarch64");
}
