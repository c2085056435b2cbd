use super::*;
use crate::layer::testing::{Archive, record};
use mydocker_sys::fs::{fgetxattr, lstatat};
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, symlink};

/// A target, with a canary beside it that no layer may change.
struct Sandbox {
    place: tempfile::TempDir,
}

impl Sandbox {
    fn new() -> Self {
        let place = tempfile::tempdir().expect("a directory");
        fs::create_dir(place.path().join("target")).expect("room");
        fs::create_dir(place.path().join("outside")).expect("room");
        fs::write(place.path().join("outside/canary"), "unharmed").expect("room");
        Self { place }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join("target").join(name)
    }

    fn open(&self) -> OwnedFd {
        fs::File::open(self.path("")).expect("the target").into()
    }

    fn apply(&self, layers: &[&Archive]) -> Result<(), LayerError> {
        let mut unpack = Unpack::new(self.open(), Whiteouts::Apply);
        for layer in layers {
            unpack.layer(&layer.bytes()[..])?;
        }
        unpack.finish()
    }

    fn overlay(&self, layer: &Archive) -> Result<(), LayerError> {
        unpack(&layer.bytes()[..], self.open(), Whiteouts::Overlay, Budget::default()).map(drop)
    }

    fn names(&self, directory: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(directory)).expect("a directory");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    fn check_outside(&self) {
        let outside = self.place.path().join("outside");
        assert_eq!(fs::read_to_string(outside.join("canary")).expect("the canary"), "unharmed");
        let canary = fs::metadata(outside.join("canary")).expect("the canary");
        assert_eq!((canary.nlink(), canary.mode() & 0o7777), (1, 0o644));
        assert_eq!(fs::read_dir(&outside).expect("a directory").count(), 1);
        assert_eq!(fs::read_dir(self.place.path()).expect("a directory").count(), 2);
    }
}

fn archive(entries: &[(char, &str)]) -> Archive {
    let mut archive = Archive::default();
    for (kind, name) in entries {
        match kind {
            '0' => archive.data('0', name, b"data"),
            kind => archive.header(*kind, name, 0),
        };
    }
    archive
}

#[test]
fn privileged_every_kind_of_entry_is_made() {
    let sandbox = Sandbox::new();
    let mut layer = archive(&[
        ('5', "./"),
        ('5', "d/"),
        ('0', "d/file"),
        ('1', "d/hard>d/file"),
        ('2', "link>/nowhere"),
        ('3', "null"),
        ('4', "disk"),
        ('6', "fifo"),
    ]);
    let records = [
        record("mtime", b"1000000000.123456789"),
        record(
            "SCHILY.xattr.security.capability",
            &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ),
        record("uid", b"1000"),
        record("gid", b"1001"),
    ];
    layer.data('x', "p", &records.concat()).data('0', "able", b"x");
    sandbox.apply(&[&layer]).expect("a layer");
    assert_eq!(fs::read_to_string(sandbox.path("d/hard")).expect("a file"), "data");
    let (file, hard) = (fs::metadata(sandbox.path("d/file")), fs::metadata(sandbox.path("d/hard")));
    assert_eq!(file.expect("a file").ino(), hard.expect("a file").ino());
    assert_eq!(fs::metadata(sandbox.path("d")).expect("a directory").mtime(), 7);
    assert_eq!(fs::symlink_metadata(sandbox.path("link")).expect("a link").mtime(), 7);
    let null = fs::symlink_metadata(sandbox.path("null")).expect("a device");
    assert!(null.file_type().is_char_device() && null.rdev() == makedev(1, 3));
    assert!(fs::symlink_metadata(sandbox.path("disk")).expect("a device").file_type().is_block_device());
    assert!(fs::symlink_metadata(sandbox.path("fifo")).expect("a fifo").file_type().is_fifo());
    let able = fs::metadata(sandbox.path("able")).expect("a file");
    assert_eq!(
        (able.uid(), able.gid(), able.mtime(), able.mtime_nsec()),
        (1000, 1001, 1_000_000_000, 123_456_789)
    );
    let file = fs::File::open(sandbox.path("able")).expect("a file");
    assert_eq!(fgetxattr(&file, c"security.capability").expect("a capability").len(), 20);
}

#[test]
fn what_leads_out_is_refused_or_confined() {
    for entries in [
        &[('0', "../outside/canary")][..],
        &[('0', "a/../../outside/canary")],
        &[('0', "a/..")],
        &[('1', "hard>../outside/canary")],
        &[('1', "hard>nothing")],
        &[('5', "d/"), ('1', "hard>d")],
        &[('0', "file"), ('0', "file/below")],
        &[('2', "a>b"), ('2', "b>a"), ('0', "a/x")],
        &[('0', "")],
        &[('0', ".wh.")],
        &[('0', ".wh..")],
        &[('0', ".wh...")],
        &[('6', "./")],
        &[('2', "")],
    ] {
        let sandbox = Sandbox::new();
        let error = sandbox.apply(&[&archive(entries)]).expect_err(&format!("{entries:?}")).to_string();
        assert!(error.contains("refused"), "{entries:?}: {error}");
        sandbox.check_outside();
        Sandbox::new().overlay(&archive(entries)).expect_err(&format!("{entries:?}"));
    }
}

#[test]
fn links_of_a_layer_lead_nowhere_but_into_the_target() {
    let sandbox = Sandbox::new();
    let outside = sandbox.place.path().join("outside");
    let absolute = format!("abs>{}", outside.display());
    let layer = archive(&[
        ('2', &absolute),
        ('2', "up>../../outside"),
        ('2', "chain>up"),
        ('2', "top>/"),
        ('0', "abs/canary"),
        ('0', "up/canary"),
        ('0', "chain/other"),
        ('0', "top/at-the-top"),
        ('2', "canary>../outside/canary"),
        ('0', "canary"),
        ('5', "chain/"),
    ]);
    sandbox.apply(&[&layer]).expect("confined");
    sandbox.check_outside();
    assert_eq!(fs::read_to_string(sandbox.path("outside/canary")).expect("below the target"), "data");
    assert!(sandbox.path("outside/other").is_file() && sandbox.path("at-the-top").is_file());
    assert!(fs::symlink_metadata(sandbox.path("canary")).expect("a file").is_file());
    assert!(fs::symlink_metadata(sandbox.path("chain")).expect("a directory").is_dir());
}

#[test]
fn a_layer_does_not_follow_the_links_of_one_below() {
    let sandbox = Sandbox::new();
    let lower =
        archive(&[('2', "dir>../outside"), ('2', "file>../outside/canary"), ('2', "gone>../outside/canary")]);
    let upper = archive(&[
        ('5', "dir/"),
        ('0', "file"),
        ('0', ".wh.gone"),
        ('1', "hard>file"),
        ('0', "dir/.wh.canary"),
    ]);
    sandbox.apply(&[&lower, &upper]).expect("layers");
    sandbox.check_outside();
    assert_eq!(sandbox.names(""), ["dir", "file", "hard"]);
    let through = archive(&[('2', "dir>../outside"), ('0', "dir/.wh.canary"), ('0', "dir/.wh..wh..opq")]);
    let sandbox = Sandbox::new();
    sandbox.apply(&[&lower, &through]).expect("layers");
    sandbox.check_outside();
}

#[test]
fn whiteouts_remove_what_is_below_and_nothing_of_their_own_layer() {
    let sandbox = Sandbox::new();
    let lower = archive(&[
        ('5', "d/"),
        ('0', "d/old"),
        ('5', "d/sub/"),
        ('0', "d/sub/old"),
        ('5', "e/"),
        ('0', "e/old"),
        ('0', "file"),
        ('0', "kept"),
    ]);
    let upper = archive(&[
        ('5', "d/"),
        ('5', "d/sub/"),
        ('0', "d/sub/new"),
        ('0', "d/.wh..wh..opq"),
        ('0', "d/new"),
        ('0', ".wh.file"),
        ('0', ".wh.nothing"),
        ('0', "own"),
        ('0', ".wh.own"),
        ('0', ".wh.e"),
        ('5', "e/"),
        ('0', "e/new"),
        ('0', ".wh..wh.plnk"),
    ]);
    sandbox.apply(&[&lower, &upper]).expect("layers");
    assert_eq!(sandbox.names(""), ["d", "e", "kept", "own"]);
    assert_eq!(sandbox.names("d"), ["new", "sub"]);
    assert_eq!(sandbox.names("d/sub"), ["new"]);
    assert_eq!(sandbox.names("e"), ["new"]);
}

#[test]
fn privileged_a_layer_for_overlayfs_covers_and_marks() {
    let sandbox = Sandbox::new();
    let mut layer =
        archive(&[('5', "d/"), ('0', "d/.wh..wh..opq"), ('0', ".wh.gone"), ('0', ".wh.e"), ('5', "e/")]);
    let hostile = record("SCHILY.xattr.trusted.overlay.redirect", b"/etc");
    layer.data('x', "p", &hostile).header('5', "f/", 0);
    sandbox.overlay(&layer).expect("a layer");
    let gone = lstatat(sandbox.open(), Path::new("gone")).expect("a whiteout");
    assert_eq!((gone.st_mode & SFlag::S_IFMT.bits(), gone.st_rdev), (SFlag::S_IFCHR.bits(), 0));
    for (directory, opaque) in [("d", true), ("e", true), ("f", false)] {
        let directory = fs::File::open(sandbox.path(directory)).expect("a directory");
        assert_eq!(fgetxattr(&directory, c"trusted.overlay.opaque").is_ok(), opaque);
        fgetxattr(&directory, c"trusted.overlay.redirect").expect_err("it belongs to overlayfs");
    }
}

#[test]
fn one_kind_of_file_gives_way_to_another() {
    let kinds = [('0', "x"), ('5', "x/"), ('2', "x>y"), ('6', "x")];
    for first in kinds {
        for second in kinds {
            let sandbox = Sandbox::new();
            let mut lower = archive(&[first]);
            if first.0 == '5' {
                lower.data('0', "x/inner", b"data");
            }
            sandbox.apply(&[&lower, &archive(&[second])]).expect("layers");
            let kind = fs::symlink_metadata(sandbox.path("x")).expect("it is there").file_type();
            let found = [kind.is_file(), kind.is_dir(), kind.is_symlink(), kind.is_fifo()];
            let wanted = ['0', '5', '2', '6'].map(|kind| kind == second.0);
            assert_eq!(found, wanted, "{first:?} then {second:?}");
        }
    }
}

#[test]
fn a_sparse_file_keeps_its_holes() {
    let sandbox = Sandbox::new();
    let records = [record("GNU.sparse.map", b"0,4096,1048576,4096"), record("GNU.sparse.size", b"104857600")];
    let mut layer = Archive::default();
    layer.data('x', "p", &records.concat()).data('0', "sparse", &[1; 8192]);
    sandbox.apply(&[&layer]).expect("a layer");
    let file = fs::metadata(sandbox.path("sparse")).expect("a file");
    assert_eq!(file.len(), 100 << 20);
    assert!(file.blocks() * 512 < 1 << 20);
    let content = fs::read(sandbox.path("sparse")).expect("a file");
    assert_eq!(content.iter().filter(|byte| **byte == 1).count(), 8192);
    assert_eq!(content[1 << 20], 1);
}

#[test]
fn depth_is_bounded_also_through_links() {
    let sandbox = Sandbox::new();
    let deep = "d/".repeat(49);
    let mut layer = Archive::default();
    layer.header('5', &deep, 0);
    for (link, target) in [("a", deep.clone()), ("b", format!("a/{deep}")), ("c", format!("b/{deep}"))] {
        layer.header('2', &format!("{link}>{target}"), 0);
        layer.header('5', &format!("{link}/{deep}"), 0);
    }
    layer.header('5', &format!("c/{deep}{}", "d/".repeat(0)), 0);
    layer.header('2', &format!("e>c/{deep}"), 0);
    layer.header('5', &format!("e/{}", "d/".repeat(40)), 0);
    let error = sandbox.apply(&[&layer]).expect_err("too deep").to_string();
    assert!(error.contains("200 directories deep"), "{error}");
}

#[test]
fn the_target_s_own_links_are_no_concern() {
    let sandbox = Sandbox::new();
    symlink("target", sandbox.place.path().join("way")).expect("room");
    let root = fs::File::open(sandbox.place.path().join("way")).expect("the target");
    unpack(&archive(&[('0', "/etc/file")]).bytes()[..], root.into(), Whiteouts::Apply, Budget::default())
        .expect("a layer");
    assert!(sandbox.path("etc/file").is_file());
}

/// Gives what is asked for in pieces of an odd length.
struct Pieces<'a>(&'a [u8]);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = buffer.len().min(777);
        self.0.read(&mut buffer[..most])
    }
}

#[test]
fn blocks_of_zeros_become_holes_at_the_same_places_however_they_come() {
    let block = 128 << 10;
    let content =
        [vec![0; 2 * block], b"some".to_vec(), vec![0; 3 * block], b"more".to_vec(), vec![0; 2 * block]];
    let content = content.concat();
    let mut layer = Archive::default();
    layer.data('0', "holes", &content).data('0', "empty", &vec![0; block]).data('0', "short", b"\0\0\0");
    let sandbox = Sandbox::new();
    let (bytes, budget) = (layer.bytes(), Budget::default());
    let (_, size) = unpack(Pieces(&bytes), sandbox.open(), Whiteouts::Apply, budget).expect("a layer");
    assert_eq!(size, (content.len() + block + 3) as u64);
    assert!(fs::read(sandbox.path("holes")).expect("a file") == content);
    assert!(fs::read(sandbox.path("empty")).expect("a file") == vec![0; block]);
    assert_eq!(fs::read(sandbox.path("short")).expect("a file"), [0; 3]);
    let blocks = |name: &str| fs::metadata(sandbox.path(name)).expect("a file").blocks() * 512;
    assert_eq!((blocks("holes"), blocks("empty")), (2 * block as u64, 0));
}

#[test]
fn entries_have_a_bound() {
    let layer = archive(&[('0', "a"), ('0', "b")]).bytes();
    for (entries, fits) in [(2, true), (1, false)] {
        let (sandbox, budget) = (Sandbox::new(), Budget { entries, ..Budget::default() });
        let done = unpack(&layer[..], sandbox.open(), Whiteouts::Apply, budget);
        assert_eq!(done.is_ok(), fits);
    }
}
