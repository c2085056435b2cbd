//! The command line: words to typed arguments, the environment to a [`Context`], and results to text. What the
//! commands do is not here.

mod args;
mod checkpoint_args;
mod context;
mod entry;
mod features;
mod log;
mod output;
mod parse;
mod ps;
mod quantity;
mod spec_command;
mod target;
mod time;

pub use args::*;
pub use checkpoint_args::{CheckpointArgs, CriuArgs, RestoreArgs};
pub use context::{Context, ContextError, Environment, RootSource};
pub use entry::main_entry;
pub use features::{Features, features, features_json};
pub use log::{Log, Report};
pub use mydocker_cmdline::print;
pub use output::{ContainerState, list_ids, list_json, list_table, ps_json, state_json};
pub use parse::{CommandLine, PROGRAM, Request, UsageError, parse_global, usage_status, version_text};
pub use ps::{PsError, filter_ps, run_ps};
pub use spec_command::{SpecError, write_spec};
pub use target::{Target, TargetError, choose_bundle};
pub use time::{rfc3339, rfc3339_nano};
