//! Devices that are not what they seem: a false `/dev/null` that the runtime masks with, links in place of the
//! console and of the directory of terminals.

use mydocker_tests::{Bundle, Canary, FdSocket, Outcome, Runtime, wait};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Drops the mounts at and below `/dev`, so that the image's own `/dev` is used.
fn on_the_images_dev(bundle: Bundle) -> Bundle {
    bundle.with(|config| {
        let mounts = config["mounts"].as_array_mut().expect("an array");
        mounts.retain(|mount| !mount["destination"].as_str().is_some_and(|path| path.starts_with("/dev")));
    })
}

/// The images whose `/dev/null` is not the null device: a link, a file, another device (CVE-2025-31133).
const FALSE_NULLS: std::ops::Range<u8> = 0..4;

fn put_false_null(bundle: &Bundle, number: u8) {
    let null = bundle.path("dev/null");
    let (kind, mode) = (FileType::CharacterDevice, Mode::from_raw_mode(0o666));
    match number {
        0 => symlink("/etc/trap", &null).expect("an own directory"),
        1 => symlink("../etc/trap", &null).expect("an own directory"),
        2 => fs::write(&null, "trap\n").expect("an own directory"),
        _ => mknodat(CWD, &null, kind, mode, makedev(1, 5)).expect("root makes devices"),
    }
}

/// Runs a container whose `/dev/null` is false where the runtime looks for it, and demands that masks hide what they
/// should, that nothing can be written through them, and that standard input is not what the image wanted.
fn run_with_false_null(number: u8, place: impl Fn(Bundle) -> Bundle) {
    let runtime = Runtime::new();
    let script = "head -c 64 /etc/hidden; echo written >/etc/hidden; head -c 64 /etc/trap; head -c 64";
    let bundle = place(on_the_images_dev(runtime.bundle()).script(script));
    let bundle = bundle.with(|config| config["linux"]["maskedPaths"] = json!(["/etc/hidden"]));
    fs::write(bundle.path("etc/trap"), "trap\n").expect("an own directory");
    fs::write(bundle.path("etc/hidden"), "hidden\n").expect("an own directory");
    put_false_null(&bundle, number);
    let outcome = runtime.run(&bundle);
    for (file, text) in [("etc/trap", "trap\n"), ("etc/hidden", "hidden\n")] {
        let now = fs::read_to_string(bundle.path(file)).expect("an own file");
        assert_eq!(now, text, "/{file} was written by {}", outcome.describe());
    }
    if outcome.status.success() {
        assert_eq!(outcome.stdout, "trap\n", "image {number}: {}", outcome.describe());
    } else {
        outcome.fails().says("/dev/null").discard();
    }
}

#[test]
fn privileged_a_false_null_device_in_the_image_unmasks_nothing() {
    FALSE_NULLS.for_each(|number| run_with_false_null(number, |bundle| bundle));
}

#[test]
fn privileged_a_false_null_device_in_a_mounted_dev_unmasks_nothing() {
    for number in FALSE_NULLS {
        run_with_false_null(number, |bundle| {
            // The volume is the image's own /dev, mounted over itself.
            let dev = bundle.path("dev");
            bundle.mount("/dev", "bind", dev, &["rbind", "rw"])
        });
    }
}

#[test]
fn privileged_a_file_mounted_over_the_null_device_unmasks_nothing() {
    let runtime = Runtime::new();
    let canary = Canary::new();
    let bundle = runtime.bundle().script("cat /etc/hidden; echo written >/etc/hidden; true");
    let bundle = bundle.mount("/dev/null", "bind", canary.path("secret"), &["bind"]);
    let bundle = bundle.with(|config| config["linux"]["maskedPaths"] = json!(["/etc/hidden"]));
    fs::write(bundle.path("etc/hidden"), "hidden\n").expect("an own directory");
    let outcome = runtime.run(&bundle);
    canary.assert_untouched(&outcome.describe());
    if outcome.status.success() {
        assert_eq!(outcome.stdout, "", "{}", outcome.describe());
    } else {
        outcome.fails().says("/dev/null").discard();
    }
}

/// Runs the bundle with a terminal to its end; returns how that went and what its program wrote into `/tmp/out`.
fn run_with_terminal(runtime: &Runtime, bundle: &Bundle) -> (Outcome, String) {
    let socket = FdSocket::bind(runtime.scratch().join(format!("out/{}.s", bundle.id())));
    let path = socket.path().display().to_string();
    let outcome = runtime.bundle_command("create", bundle, &["--console-socket", &path]).run();
    if !outcome.status.success() {
        return (outcome, String::new());
    }
    let mut terminal = socket.receive_terminal();
    let outcome = runtime.start(bundle.id()).succeeds();
    drop(terminal.read_to_end());
    runtime.wait_for_status(bundle.id(), "stopped");
    (outcome, fs::read_to_string(bundle.path("tmp/out")).unwrap_or_default())
}

/// What a container with a terminal tells about its console, and about the file that the image wants to be mounted on.
const LOOK_AT_CONSOLE: &str = "{ test -f /etc/target && echo target; stat -c '%F %t' /dev/console; test -t 0 && echo terminal; } >/tmp/out 2>&1";

fn with_console(bundle: Bundle) -> Bundle {
    let bundle = bundle.script(LOOK_AT_CONSOLE).with(|config| config["process"]["terminal"] = json!(true));
    fs::write(bundle.path("etc/target"), "target\n").expect("an own directory");
    bundle
}

/// Demands that the console is a terminal and nothing else in the container became one (CVE-2025-52565), or that the
/// image was refused.
fn assert_console(outcome: Outcome, said: &str, image: &Path) {
    if outcome.status.success() {
        // 88 is 136, the first major number of the terminals of devpts.
        let right = "target\ncharacter special file 88\nterminal\n";
        assert_eq!(said, right, "{}: {}", image.display(), outcome.describe());
    } else {
        outcome.fails().says("/dev/").discard();
    }
}

#[test]
fn privileged_the_console_of_an_honest_image_is_a_terminal() {
    // The test of the tests: it also says that the image's own /dev is no obstacle.
    let runtime = Runtime::new();
    let bundle = with_console(on_the_images_dev(runtime.bundle()));
    let bundle = bundle.mount("/dev/pts", "devpts", "devpts", &["newinstance", "ptmxmode=0666", "mode=0620"]);
    let (outcome, said) = run_with_terminal(&runtime, &bundle);
    assert_console(outcome.succeeds(), &said, Path::new("honest"));
}

#[test]
fn privileged_a_link_in_place_of_the_console_is_not_followed() {
    let canary = Canary::new();
    let ways =
        [canary.path("made"), canary.climb("made"), canary.path("secret"), PathBuf::from("/etc/target")];
    for way in ways {
        let runtime = Runtime::new();
        let bundle = with_console(on_the_images_dev(runtime.bundle()));
        let bundle = bundle.mount("/dev/pts", "devpts", "devpts", &["newinstance", "ptmxmode=0666"]);
        symlink(&way, bundle.path("dev/console")).expect("an own directory");
        let (outcome, said) = run_with_terminal(&runtime, &bundle);
        canary.assert_untouched(&outcome.describe());
        assert_console(outcome, &said, &way);
    }
}

#[test]
fn privileged_a_link_in_place_of_the_directory_of_terminals_is_not_trusted() {
    let canary = Canary::new();
    let outside = [canary.path("empty"), canary.path("made"), canary.climb("made")];
    for way in outside.into_iter().chain(["/etc/numbers".into(), "/proc/self/fd".into()]) {
        for is_mounted in [false, true] {
            let runtime = Runtime::new();
            let mut bundle = with_console(on_the_images_dev(runtime.bundle()));
            if is_mounted {
                let options = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"];
                bundle = bundle.mount("/dev/pts", "devpts", "devpts", &options);
            }
            fs::create_dir(bundle.path("etc/numbers")).expect("an own directory");
            // Every terminal number that the runtime is likely to get leads to the target.
            for number in 0..16 {
                let name = bundle.path(&format!("etc/numbers/{number}"));
                symlink("/etc/target", name).expect("an own directory");
            }
            symlink(&way, bundle.path("dev/pts")).expect("an own directory");
            let (outcome, said) = run_with_terminal(&runtime, &bundle);
            canary.assert_untouched(&outcome.describe());
            assert_console(outcome, &said, &way);
        }
    }
}

#[test]
fn privileged_links_in_place_of_console_and_terminals_do_no_harm_without_a_terminal() {
    let canary = Canary::new();
    for name in ["console", "pts", "ptmx"] {
        for way in [canary.path("empty"), canary.path("made"), canary.climb("made"), canary.path("secret")] {
            let runtime = Runtime::new();
            let bundle = on_the_images_dev(runtime.bundle()).args(["stat", "-c", "%F %t:%T", "/dev/null"]);
            symlink(&way, bundle.path("dev").join(name)).expect("an own directory");
            let outcome = runtime.run(&bundle);
            canary.assert_untouched(&outcome.describe());
            if outcome.status.success() {
                assert_eq!(outcome.stdout, "character special file 1:3\n");
            } else {
                outcome.fails().says("/dev/").discard();
            }
        }
    }
}

/// What a container can do to the multiplexer of its terminals before somebody joins it with one.
const FALSE_MULTIPLEXERS: [&str; 4] = [
    "ln -s /etc/target /dev/ptmx",
    "mkfifo /dev/ptmx",
    "cp /etc/target /dev/ptmx",
    "ln -s /dev/null /dev/ptmx",
];

#[test]
fn privileged_exec_takes_no_terminal_from_a_false_multiplexer() {
    for sabotage in FALSE_MULTIPLEXERS {
        let runtime = Runtime::new();
        let script = format!("rm /dev/ptmx && {sabotage} && touch /tmp/ready; exec sleep 1000");
        let bundle = runtime.bundle().script(&script);
        fs::write(bundle.path("etc/target"), "target\n").expect("an own directory");
        runtime.run_detached(&bundle);
        wait::until("the sabotage", || bundle.path("tmp/ready").exists().then_some(()));

        let socket = FdSocket::bind(runtime.scratch().join("out/exec.s"));
        let path = socket.path().display().to_string();
        let exec = runtime.command(["exec", "--detach", "--tty", "--console-socket", &path, bundle.id()]);
        let outcome = exec.args(["sh", "-c", "test -t 0 && echo terminal >/tmp/out; touch /tmp/done"]).run();
        if outcome.status.success() {
            let terminal = socket.receive_terminal();
            wait::until("the program", || bundle.path("tmp/done").exists().then_some(()));
            let said = fs::read_to_string(bundle.path("tmp/out")).unwrap_or_default();
            assert_eq!(said, "terminal\n", "{sabotage}: {}", outcome.describe());
            // Whoever attends it must have got a terminal too: nothing else has a size.
            let (_rows, _columns) = terminal.size();
        } else {
            outcome.fails().says("/dev/").discard();
        }
        let target = fs::read_to_string(bundle.path("etc/target")).expect("an own file");
        assert_eq!(target, "target\n", "{sabotage}");
    }
}
