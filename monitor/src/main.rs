//! `mydocker-monitor`: looks after one container of mydocker; see the library's `monitor`. Under the name of the small init
//! it is process 1 of a container.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    mydocker::monitor::main_entry()
}
