//! What a layer takes of memory does not depend on how large it is.

use mydocker_tests::img::{Img, Registry};
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

/// What each command may take at its peak, in KiB.
const LIMIT: u64 = 40_000;

/// What a layer that is eight times as large may take more, in KiB: what threads have at a moment differs by that.
const PLAY: u64 = 6_000;

/// The peaks of all that is done with a layer, by its command.
fn peaks(upper: &Path, compression: &str) -> Vec<(String, u64)> {
    let (img, other, registry) = (Img::new(), Img::new(), Registry::new());
    let name = registry.name("large:1");
    let mut peaks = Vec::new();
    let mut note = |what: &str, peak: u64| peaks.push((format!("{what} {compression}"), peak));
    let upper = upper.to_str().expect("UTF-8");
    let commit = ["commit", "--compression", compression, "--base", "scratch", "--upper", upper, &name];
    note("commit", img.peak(commit));
    let certificates = img.path("certs.d");
    let certificates = certificates.to_str().expect("UTF-8");
    note("push", img.peak(["push", "--hosts-dir", certificates, &name]));
    note("pull", other.peak(["pull", "--hosts-dir", certificates, &name]));
    note("fsck", other.peak(["fsck", "--deep"]));
    other.command(["rmi", &name]).run().succeeds().discard();
    for format in ["docker-archive", "oci-archive"] {
        let archive = img.path("archive");
        let output = archive.to_str().expect("UTF-8");
        note(&format!("save {format}"), img.peak(["save", "--format", format, "--output", output, &name]));
        note(&format!("load {format}"), other.peak(["load", "--input", output]));
        if (format, compression) == ("docker-archive", "none") {
            note("push compressed", other.peak(["push", "--hosts-dir", certificates, &name]));
        }
        fs::remove_file(archive).expect("it is there");
        other.command(["rmi", &name]).run().succeeds().discard();
    }
    peaks
}

/// A directory with one file of so many MiB, which can be compressed to some extent.
fn large_file(img: &Img, name: &str, mebibytes: u64) -> std::path::PathBuf {
    let directory = img.path(name);
    fs::create_dir(&directory).expect("writable");
    let mut noise = Vec::new();
    let random = fs::File::open("/dev/urandom").expect("the host has it");
    random.take(1 << 19).read_to_end(&mut noise).expect("noise");
    noise.resize(1 << 20, b'x');
    let mut file = io::BufWriter::new(fs::File::create(directory.join("large")).expect("writable"));
    for _ in 0..mebibytes {
        file.write_all(&noise).expect("room");
    }
    file.flush().expect("room");
    directory
}

#[test]
fn privileged_a_larger_layer_takes_no_more_memory() {
    let img = Img::new();
    let (small, large) = (large_file(&img, "small", 16), large_file(&img, "large", 128));
    for compression in ["gzip", "none"] {
        for ((what, less), (_, more)) in
            peaks(&small, compression).into_iter().zip(peaks(&large, compression))
        {
            assert!(more <= LIMIT, "{what}: {more} KiB");
            assert!(more <= less + PLAY, "{what}: {less} KiB for a small layer, {more} KiB for a large one");
        }
    }
}

#[test]
fn privileged_a_layer_of_many_entries_takes_little_memory() {
    let img = Img::new();
    let directory = img.path("many");
    for number in 0..10_000 {
        let place = directory.join(format!("directory-{}", number % 100));
        fs::create_dir_all(&place).expect("writable");
        fs::write(place.join(format!("a-file-with-a-rather-long-name-{number}")), number.to_string())
            .expect("room");
    }
    for (what, peak) in peaks(&directory, "zstd") {
        assert!(peak <= LIMIT, "{what}: {peak} KiB");
    }
}
