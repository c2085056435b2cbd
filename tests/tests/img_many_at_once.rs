//! Many pulls at once: of what they share, each part comes once and is unpacked once.

use mydocker_tests::img::{FakeRegistry, Img, SampleImage, Served, sha256};
use mydocker_tests::invocation::Invocation;
use mydocker_tests::wait;
use std::ffi::OsStr;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// How many pulls run at once.
const PULLS: usize = 200;

/// How many images they are of.
const IMAGES: usize = 20;

/// How long all of them may take.
const LIMIT: Duration = Duration::from_secs(280);

/// What every image has in common, in bytes.
const SHARED: usize = 16 << 20;

/// Images that have all layers in common but the highest.
fn images() -> Vec<SampleImage> {
    let shared = vec![7; SHARED];
    (0..IMAGES).map(|number| SampleImage::new(&[&shared, b"small", number.to_string().as_bytes()])).collect()
}

#[test]
fn privileged_two_hundred_pulls_of_shared_layers_take_the_room_of_one() {
    let images = images();
    let mut served = Served::default();
    for (number, image) in images.iter().enumerate() {
        served.add(image);
        served.manifest(&number.to_string(), &image.media_type, &image.manifest);
    }
    let registry = FakeRegistry::good(served);
    let img = Img::new();
    let store = img.path("store");
    fs::create_dir(&store).expect("writable");
    // The blob, what it is unpacked to, and no second one of either.
    let size = format!("size={}", 2 * SHARED + (8 << 20));
    let mount = Invocation::new(&img.path("out"), ["mount", "-t", "tmpfs", "-o", &size, "tmpfs"]);
    mount.arg(&store).run().succeeds().discard();
    let names: Vec<_> = (0..IMAGES).map(|number| registry.name(&format!("a:{number}"))).collect();
    // All share few processors, and each waits for the others.
    let pull = |number: usize| img.pull(&names[number % IMAGES]).deadline(LIMIT);
    let pulls: Vec<_> = (0..PULLS).map(|number| pull(number).spawn()).collect();
    for pull in pulls {
        pull.wait().succeeds().discard();
    }
    for layer in images.iter().flat_map(|image| &image.layers) {
        assert_eq!(registry.server.count("GET", &sha256(layer)), 1);
    }
    assert_eq!(img.entries().len(), IMAGES);
    assert_eq!(img.unfinished(), 0);
    assert_eq!(fs::read_dir(store.join("layers/sha256")).expect("layers").count(), 2 * (IMAGES + 2));
    let outcome = img.command(["fsck"]).run().succeeds();
    assert!(outcome.stdout.contains(": 0 problems"), "{}", outcome.describe());
}

#[test]
fn what_looks_at_a_store_that_others_change_finds_nothing_wrong() {
    let layers: Vec<Vec<u8>> = (0..40_u8).map(|number| vec![number; 1000]).collect();
    let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
    let images: Vec<_> = layers.chunks(20).map(SampleImage::new).collect();
    let mut served = Served::default();
    for (number, image) in images.iter().enumerate() {
        served.add(image);
        served.manifest(&number.to_string(), &image.media_type, &image.manifest);
    }
    let registry = FakeRegistry::good(served);
    let (img, is_over) = (Img::new(), AtomicBool::new(false));
    img.pull(&registry.name("a:0")).run().succeeds().discard();
    thread::scope(|scope| {
        for tag in ["0", "1"] {
            let (img, is_over, name) = (&img, &is_over, registry.name(&format!("a:{tag}")));
            scope.spawn(move || {
                while !is_over.load(Ordering::SeqCst) {
                    img.pull(&name).run().succeeds().discard();
                    img.command(["rmi", &name]).run().succeeds().discard();
                }
            });
        }
        for _ in 0..20 {
            for words in [&["fsck"][..], &["images"], &["df"], &["fsck", "--deep"]] {
                let outcome = img.command(words).run();
                is_over.fetch_or(!outcome.status.success(), Ordering::SeqCst);
                outcome.succeeds().discard();
            }
        }
        is_over.store(true, Ordering::SeqCst);
    });
}

#[test]
fn who_is_slow_to_begin_a_blob_takes_the_one_that_came_meanwhile() {
    let image = SampleImage::new(&[b"one"]);
    let layer = sha256(&image.layers[0]);
    let registry = FakeRegistry::good(Served::image("1", &image));
    let (img, name) = (Img::new(), registry.name("a:1"));
    let hex = &layer["sha256:".len()..];
    let blob = img.layout().join("blobs/sha256").join(hex);
    let log = img.path("log");
    // Of each thread the first look alone: the blob is missed, and ten seconds pass before it is begun.
    let slow =
        ["strace", "-f", "-qq", "-e", "trace=openat", "-e", "inject=openat:delay_exit=10000000:when=1"];
    let words = slow.iter().map(|word| OsStr::new(*word));
    let paths = [OsStr::new("-o"), log.as_ref(), "-P".as_ref(), blob.as_ref()];
    let pull = img.pull(&name).through(words.chain(paths)).spawn();
    wait::until("the blob to be missed", || {
        fs::read_to_string(&log).is_ok_and(|text| text.contains("ENOENT")).then_some(())
    });
    img.pull(&name).run().succeeds().discard();
    pull.wait().succeeds().discard();
    assert_eq!(registry.server.count("GET", &layer), 1);
    assert_eq!(img.unfinished(), 0);
    img.blobs_are_right();
}
