//! The harness of the black-box tests: it drives an OCI runtime through its command line and nothing else.
//!
//! The runtime under test is the program that `MYDOCKER_RUNTIME` names, else `bin/mydocker-runtime` of this
//! checkout, so the same tests judge `runc` and `crun`. A test reads like a session at a terminal:
//!
//! ```no_run
//! use mydocker_tests::Runtime;
//!
//! let runtime = Runtime::new();
//! let bundle = runtime.bundle().args(["sh", "-c", "echo hello; exit 7"]);
//! let outcome = runtime.run(&bundle).exits(7);
//! assert_eq!(outcome.stdout, "hello\n");
//! ```
//!
//! What makes the tests fit to run in parallel, and to be believed:
//!
//! * every [`Runtime`] has a state root, bundles, ids and cgroup paths of its own, all below one directory on a
//!   tmpfs, and its end is a check: no state, cgroup, mount or process may be left (see [`leftovers`]);
//! * every wait has a deadline ([`wait`]), so a hang is a failure that names what was waited for;
//! * a command's output goes to files, so a container that outlives its `create` cannot block a reader.
//!
//! Tests that start containers need root and carry the prefix `privileged_`. Where the runtime specification and
//! `runc` differ the test follows the specification, and a comment "Differs from runc" says so.

#![forbid(unsafe_code)]

pub mod bundle;
pub mod canary;
pub mod cgroup;
pub mod emulation;
pub mod engine;
pub mod http;
pub mod img;
pub mod invocation;
pub mod leftovers;
pub mod plug;
pub mod probe;
pub mod procfs;
pub mod real;
pub mod refusal;
pub mod runtime;
pub mod strace;
pub mod swap;
pub mod systemd;
pub mod terminal;
pub mod traffic;
pub mod user;
pub mod wait;

pub use bundle::Bundle;
pub use canary::Canary;
pub use engine::Engine;
pub use invocation::{Invocation, Outcome, Running};
pub use runtime::Runtime;
pub use swap::Swapper;
pub use terminal::{FdSocket, Terminal};
pub use user::User;
