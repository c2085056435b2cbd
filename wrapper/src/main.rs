//! `mydocker`: see the library.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    mydocker::cli::main_entry()
}
