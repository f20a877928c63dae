//! The measurements. What they are is in the library beside this.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    spanwright_benches::measure(std::env::args().skip(1))
}
