//! Devices (config-linux.md, Devices).

use super::report::{At, Report};
use crate::spec;
use std::path::PathBuf;

/// What is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKind {
    /// A character device, buffered or not.
    Char,
    /// A block device.
    Block,
    /// A named pipe, which has no numbers.
    Fifo,
}

/// A device that can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Where in the container: absolute and without `..`.
    pub path: PathBuf,
    /// What it is.
    pub kind: DeviceKind,
    /// The major number; 0 for a pipe.
    pub major: u64,
    /// The minor number; 0 for a pipe.
    pub minor: u64,
    /// Permissions, at most 07777; 0666 when none are given.
    pub mode: u32,
    /// The owner in the container.
    pub uid: u32,
    /// The group in the container.
    pub gid: u32,
}

/// Reads the list of devices.
pub(super) fn check(report: &mut Report, at: At<'_>, devices: &[spec::Device]) -> Vec<Device> {
    devices.iter().enumerate().map(|(index, device)| check_device(report, at.index(index), device)).collect()
}

fn check_device(report: &mut Report, at: At<'_>, device: &spec::Device) -> Device {
    report.absolute(at.key("path"), &device.path);
    let kind = match device.kind.as_str() {
        "b" => DeviceKind::Block,
        "p" => DeviceKind::Fifo,
        _ => DeviceKind::Char,
    };
    Device {
        path: PathBuf::from(&device.path),
        kind,
        major: device.major as u64,
        minor: device.minor as u64,
        mode: device.file_mode.unwrap_or(0o666) & 0o7777,
        uid: device.uid.unwrap_or_default(),
        gid: device.gid.unwrap_or_default(),
    }
}
