//! The long runs: outages and slow receivers in real time, one scenario a process.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    spanwright_benches::soak(std::env::args().skip(1))
}
