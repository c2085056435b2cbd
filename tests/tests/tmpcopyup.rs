//! `tmpcopyup`: a tmpfs that begins with what it covers.

use mydocker_tests::Runtime;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

#[test]
fn privileged_tmpcopyup_fills_a_tmpfs_with_what_it_covers() {
    let runtime = Runtime::new();
    let script =
        "cat /data/file /data/sub/inner; stat -c %a:%u /data/file; readlink /data/link; echo x >/data/file";
    let bundle = runtime.bundle().script(script).mount("/data", "tmpfs", "tmpfs", &["tmpcopyup"]);
    fs::create_dir_all(bundle.path("data/sub")).expect("the bundle is writable");
    fs::write(bundle.path("data/file"), "copied\n").expect("the bundle is writable");
    fs::write(bundle.path("data/sub/inner"), "inner\n").expect("the bundle is writable");
    symlink("file", bundle.path("data/link")).expect("the bundle is writable");
    fs::set_permissions(bundle.path("data/file"), fs::Permissions::from_mode(0o640))
        .expect("the bundle is writable");
    std::os::unix::fs::chown(bundle.path("data/file"), Some(0), Some(3)).expect("root may");
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "copied\ninner\n640:0\nfile\n");
    assert_eq!(fs::read_to_string(bundle.path("data/file")).expect("it is there"), "copied\n");
}

#[test]
fn privileged_tmpcopyup_keeps_everything_that_a_file_is() {
    let runtime = Runtime::new();
    let script = "cd /data; stat -c '%n %F %a %u:%g %Y' * sub/*; stat -c %a .; readlink outside; \
        touch new 2>/dev/null || echo read-only";
    let bundle =
        runtime.bundle().script(script).mount("/data", "tmpfs", "tmpfs", &["tmpcopyup", "ro", "nosuid"]);
    let data = bundle.path("data");
    let set_up = "mkdir sub && echo x >sub/file && mkfifo fifo && mknod null c 1 3 && ln -s /etc outside && \
        chown 3:4 sub/file fifo null && chown -h 5:6 outside && chmod 4751 sub/file && chmod 2770 sub && \
        chmod 604 fifo && chmod 640 null && chmod 3711 . && touch -h -d @1000 sub/file fifo null outside sub";
    fs::create_dir(&data).expect("the bundle is writable");
    runtime.host(["sh", "-c", set_up]).current_dir(&data).run().succeeds();
    let kept = "fifo fifo 604 3:4 1000\nnull character special file 640 3:4 1000\n\
        outside symbolic link 777 5:6 1000\nsub directory 2770 0:0 1000\nsub/file regular file 4751 3:4 1000\n";
    let said = runtime.run(&bundle).succeeds().stdout;
    assert_eq!(said, format!("{kept}3711\n/etc\nread-only\n"));
}

#[test]
fn privileged_tmpcopyup_keeps_extended_attributes() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().mount("/data", "tmpfs", "tmpfs", &["tmpcopyup"]);
    fs::create_dir_all(bundle.path("data/sub")).expect("the bundle is writable");
    fs::write(bundle.path("data/file"), "x").expect("the bundle is writable");
    // A file capability (linux/capability.h, version 2): cap_net_raw, permitted and effective.
    let capability = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let set = [("data/file", c"security.capability", &capability[..]), ("data/sub", c"trusted.kept", b"yes")];
    for (path, name, value) in set {
        let file = fs::File::open(bundle.path(path)).expect("it was just made");
        mydocker_sys::fs::fsetxattr(&file, name, value).expect("root may");
    }
    runtime.create(&bundle).succeeds();
    let root = PathBuf::from(format!("/proc/{}/root", runtime.pid(bundle.id())));
    for (path, name, value) in set {
        let file = fs::File::open(root.join(path)).expect("it was copied");
        assert_eq!(mydocker_sys::fs::fgetxattr(&file, name).expect("it was copied"), value);
    }
    runtime.delete_force(bundle.id()).succeeds();
}

#[test]
fn privileged_tmpcopyup_keeps_names_of_one_file_and_holes() {
    let runtime = Runtime::new();
    let script = "cd /data; [ a -ef sub/b ] && [ sub/b -ef c ] && echo one; stat -c '%h %s' a; du -k sparse; tail -c 4 sparse; \
        [ link1 -ef a ] && readlink link2; stat -c %h link2 fifo";
    let bundle = runtime.bundle().script(script).mount("/data", "tmpfs", "tmpfs", &["tmpcopyup", "size=1m"]);
    let set_up = "mkdir sub && echo x >a && ln a sub/b && ln a c && truncate -s 64M sparse && printf tail >>sparse && \
        ln -s a link1 && ln -P link1 link2 && mkfifo fifo && ln fifo fifo2";
    fs::create_dir(bundle.path("data")).expect("the bundle is writable");
    runtime.host(["sh", "-c", set_up]).current_dir(bundle.path("data")).run().succeeds();
    assert_eq!(runtime.run(&bundle).succeeds().stdout, "one\n3 2\n4\tsparse\ntaila\n2\n2\n");
}

#[test]
fn privileged_tmpcopyup_keeps_extended_attributes_of_links_and_devices() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().mount("/data", "tmpfs", "tmpfs", &["tmpcopyup"]);
    let data = bundle.path("data");
    fs::create_dir(&data).expect("the bundle is writable");
    let set_up = "ln -s nowhere link && mkfifo fifo && mknod null c 1 3";
    runtime.host(["sh", "-c", set_up]).current_dir(&data).run().succeeds();
    let name =
        |directory: &Path, file: &str| mydocker_sys::fs::cstring(&directory.join(file)).expect("a path");
    for file in ["link", "fifo", "null"] {
        mydocker_sys::copy::set_attribute_of_link(&name(&data, file), c"trusted.kept", b"yes")
            .expect("root may");
    }
    runtime.create(&bundle).succeeds();
    let copied = PathBuf::from(format!("/proc/{}/root/data", runtime.pid(bundle.id())));
    for file in ["link", "fifo", "null"] {
        let value = mydocker_sys::copy::attribute_of_link(&name(&copied, file), c"trusted.kept");
        assert_eq!(value.expect("it was copied"), b"yes", "{file}");
    }
    runtime.delete_force(bundle.id()).succeeds();
}

#[test]
fn privileged_tmpcopyup_of_more_than_fits_is_refused() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().mount("/data", "tmpfs", "tmpfs", &["tmpcopyup", "size=64k"]);
    fs::create_dir(bundle.path("data")).expect("the bundle is writable");
    fs::write(bundle.path("data/big"), vec![1; 200_000]).expect("the bundle is writable");
    runtime.create(&bundle).fails().says("/data").says("ENOSPC");
    assert!(!runtime.knows(bundle.id()));
}

#[test]
fn privileged_tmpcopyup_of_a_bottomless_tree_is_refused() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().mount("/data", "tmpfs", "tmpfs", &["tmpcopyup"]);
    let deep: PathBuf = std::iter::repeat_n("d", 300).collect();
    fs::create_dir_all(bundle.path("data").join(deep)).expect("the bundle is writable");
    runtime.create(&bundle).fails().says("directories deep");
    assert!(!runtime.knows(bundle.id()));
}
