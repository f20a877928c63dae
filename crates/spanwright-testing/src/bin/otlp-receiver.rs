//! The receiver in a process of its own, so that a bench measures only itself.
//!
//! Prints one line of JSON with its endpoints when it is ready, and one with its counts when its standard input closes, then
//! exits. In between, `GET /stats` on the HTTP port answers the counts.
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use spanwright_testing::{Mode, Receiver, ReceiverBuilder};

const USAGE: &str = "\
usage: otlp-receiver [options]
  --mode count|distinct|keep  count spans only (default), tell repeated ones apart, or decode and keep them
  --latency-ms N              how long every answer takes (default 0)
  --grpc-addr A               where gRPC is served (default 127.0.0.1:0)
  --http-addr A               where HTTP is served (default 127.0.0.1:0)";

fn main() -> ExitCode {
    let builder = match parse(std::env::args().skip(1)) {
        Ok(builder) => builder,
        Err(Refused(argument)) => {
            eprintln!("otlp-receiver: cannot use `{argument}`\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(builder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("otlp-receiver: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The argument that could not be used.
struct Refused(String);

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<ReceiverBuilder, Refused> {
    let mut builder = Receiver::builder().with_mode(Mode::Count);
    while let Some(option) = arguments.next() {
        let value = arguments.next().ok_or_else(|| Refused(option.clone()))?;
        let refused = || Refused(format!("{option} {value}"));
        builder = match (option.as_str(), value.as_str()) {
            ("--mode", "count") => builder.with_mode(Mode::Count),
            ("--mode", "distinct") => builder.with_mode(Mode::Distinct),
            ("--mode", "keep") => builder.with_mode(Mode::Keep),
            ("--latency-ms", millis) => {
                builder.with_latency(Duration::from_millis(millis.parse().map_err(|_| refused())?))
            }
            ("--grpc-addr", address) => builder.with_grpc_address(parse_address(address).ok_or_else(refused)?),
            ("--http-addr", address) => builder.with_http_address(parse_address(address).ok_or_else(refused)?),
            _ => return Err(refused()),
        };
    }
    Ok(builder)
}

fn parse_address(text: &str) -> Option<SocketAddr> {
    text.parse().ok()
}

fn run(builder: ReceiverBuilder) -> io::Result<()> {
    let receiver = builder.spawn()?;
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{{\"grpc\":\"{}\",\"http\":\"{}\"}}",
        receiver.grpc_endpoint(),
        receiver.http_endpoint()
    )?;
    out.flush()?;
    io::copy(&mut io::stdin().lock(), &mut io::sink())?;
    writeln!(out, "{}", receiver.counts().to_json())?;
    out.flush()
}
