//! The `mydocker-img` program.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    mydocker_img::cli::main_entry()
}
