//! Devices (config-linux.md, Devices).

use super::report::{At, Report};
use crate::spec;
use serde::Serialize;
use std::path::PathBuf;

/// What is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    /// A character device, buffered or not.
    Character,
    /// A block device.
    Block,
    /// A named pipe, which has no numbers.
    Fifo,
}

/// A device that can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Where in the container: absolute, without `..`, and each path once.
    pub path: PathBuf,
    /// What it is.
    pub kind: DeviceKind,
    /// The major number, at most 12 bits; 0 for a pipe.
    pub major: u64,
    /// The minor number, at most 20 bits; 0 for a pipe.
    pub minor: u64,
    /// Permissions, at most 07777; 0666 when none are given.
    pub mode: u32,
    /// The owner in the container; root when none is given.
    pub uid: u32,
    /// The group in the container; root's when none is given.
    pub gid: u32,
}

/// The file type bits of a mode, which some programs copy from `stat(2)`.
const S_IFMT: u32 = 0o170_000;
/// `MAJOR` and `MINOR` of `<linux/kdev_t.h>`.
const MAJOR_BITS: u32 = 12;
const MINOR_BITS: u32 = 20;

/// Reads the list of devices. The same device twice is made once; another device at the same path is refused.
pub(super) fn check(report: &mut Report, at: At<'_>, devices: &[spec::Device]) -> Vec<Device> {
    let mut checked: Vec<Device> = Vec::with_capacity(devices.len());
    for (index, device) in devices.iter().enumerate() {
        let at = at.index(index);
        let device = check_device(report, at, device);
        match checked.iter().find(|other| other.path == device.path) {
            None => checked.push(device),
            Some(other) if *other == device => report.warn(at, "ignored: the same device is listed already"),
            Some(_) => report.refuse(
                at.key("path"),
                format!("another device is listed at {} already", device.path.display()),
                "list each path once",
            ),
        }
    }
    checked
}

fn check_device(report: &mut Report, at: At<'_>, device: &spec::Device) -> Device {
    check_path(report, at.key("path"), &device.path);
    let kind = check_kind(report, at.key("type"), &device.kind);
    let (major, minor) = match kind {
        Some(DeviceKind::Character | DeviceKind::Block) => check_numbers(report, at, device),
        Some(DeviceKind::Fifo) | None => (0, 0),
    };
    for (key, id) in [("uid", device.uid), ("gid", device.gid)] {
        // chown(2) takes -1 for "leave it".
        if id == Some(u32::MAX) {
            report.refuse(at.key(key), "4294967295 (-1) is not an id", "the largest id is 4294967294");
        }
    }
    Device {
        path: PathBuf::from(&device.path),
        kind: kind.unwrap_or(DeviceKind::Character),
        major,
        minor,
        mode: check_mode(report, at.key("fileMode"), device.file_mode),
        uid: device.uid.unwrap_or_default(),
        gid: device.gid.unwrap_or_default(),
    }
}

fn check_path(report: &mut Report, at: At<'_>, path: &str) {
    if !report.absolute(at, path) {
        return;
    }
    if path.split('/').any(|part| part == "..") {
        report.refuse(at, format!("{path:?} has a .. in it"), "write the path itself");
    } else if path.split('/').all(|part| matches!(part, "" | ".")) {
        report.refuse(at, format!("{path:?} is the root directory"), "write a path such as /dev/fuse");
    }
}

fn check_kind(report: &mut Report, at: At<'_>, kind: &str) -> Option<DeviceKind> {
    match kind {
        "c" | "u" => Some(DeviceKind::Character),
        "b" => Some(DeviceKind::Block),
        "p" => Some(DeviceKind::Fifo),
        other => {
            let hint = "c or u for a character device, b for a block device, p for a pipe";
            report.refuse(at, format!("{other:?} is not a type of device"), hint);
            None
        }
    }
}

/// Character device 0:0 is the mark of a deleted file in an overlay, and what missing numbers are read as.
fn check_numbers(report: &mut Report, at: At<'_>, device: &spec::Device) -> (u64, u64) {
    if device.major == 0 && device.minor == 0 {
        report.refuse(at.key("major"), "there is no device 0:0", "give its major and minor numbers");
    }
    let mut number = |key, number: i64, bits: u32| {
        let valid = u64::try_from(number).ok().filter(|number| *number < 1 << bits);
        if valid.is_none() {
            report.refuse(
                at.key(key),
                format!("{number} is out of range"),
                format!("0 to {}", (1 << bits) - 1),
            );
        }
        valid.unwrap_or_default()
    };
    (number("major", device.major, MAJOR_BITS), number("minor", device.minor, MINOR_BITS))
}

fn check_mode(report: &mut Report, at: At<'_>, mode: Option<u32>) -> u32 {
    let mode = mode.map_or(0o666, |mode| mode & !S_IFMT);
    if mode > 0o7777 {
        report.refuse(at, format!("{mode} has bits beyond 07777"), "0 to 4095, decimal");
    }
    mode
}
