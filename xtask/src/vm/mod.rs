//! A virtual machine with what this machine may lack: cgroup v2 alone, systemd as process 1, every capability and a
//! stock kernel of Debian.
//!
//! Three parts, each of which stands alone: the system's [`image`], made once and cached; the [`payload`], a second
//! disk made for one start, which holds the files and the command that are handed in; and the [`machine`], one qemu
//! that starts the image, carries out the payload's command and powers off. Neither the image nor the host is changed by
//! what runs inside, so that any number of machines can share an image. There is no network inside.

pub mod image;
pub mod machine;
pub mod payload;
pub mod suite;

pub use image::Image;
pub use machine::{End, Machine};
pub use payload::Payload;

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Runs a program of the host to its end; its standard output and error are this one's.
fn run(command: &mut Command) -> Result<()> {
    let name = Path::new(command.get_program()).display().to_string();
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot run {name} (scripts/install-deps.sh vm installs what is needed)"))?;
    ensure!(status.success(), "{name}: {status}");
    Ok(())
}
