//! `version`: which programs work together here.

use crate::cli::{Outcome, VersionArgs};
use crate::home::Home;
use crate::oci::Oci;
use mydocker_cmdline::print;

/// Prints the versions of this program and of the OCI runtime.
///
/// # Errors
/// The runtime cannot be run, or standard output cannot be written to.
pub fn version(_: &VersionArgs, home: &Home) -> Outcome {
    let oci = Oci::new(home, home.runtime());
    let runtime = oci.run("--version", &[""; 0])?;
    let text = String::from_utf8_lossy(&runtime).into_owned();
    print(&format!("mydocker version {}\n{text}", env!("CARGO_PKG_VERSION")))?;
    Ok(0)
}
