//! The receivers: one of our own on other people's foundations, and rotel.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::Command,
    time::Duration,
};

use serde_json::Value;

use super::{Protocol, document, environment::Environment};
use crate::{Failure, deadline::Deadline, process::Process};

const START_TIMEOUT: Duration = Duration::from_secs(30);
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(10);
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
const PROBE_INTERVAL: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Debug)]
pub(super) enum Receiver {
    /// `receiver.py`: gRPC on grpcio's C core, HTTP on Python's standard library, the official messages.
    Python,
    /// rotel, which sends on what it has decoded, to `receiver.py`.
    Rotel,
}

/// The processes of one check. They end with it.
#[derive(Debug)]
pub(super) struct Receivers {
    grpc: SocketAddr,
    http: SocketAddr,
    rotel: Option<Process>,
    python: Process,
}

impl Receiver {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Python => "grpcio/http.server",
            Self::Rotel => "rotel",
        }
    }
}

impl Receivers {
    pub(super) fn start(receiver: Receiver, environment: &Environment) -> Result<Self, Failure> {
        let mut python = Process::start("receiver.py", &mut environment.script("receiver.py"))?;
        let Some(line) = python.line(Deadline::within(START_TIMEOUT)) else {
            return Err(python.failure("does not say where it listens"));
        };
        let ports: Value = serde_json::from_str(&line)?;
        let port = |name: &str| ports[name].as_u64().and_then(|port| u16::try_from(port).ok());
        let (Some(grpc), Some(http)) = (port("grpc").map(loopback), port("http").map(loopback)) else {
            return Err(python.failure(&format!("says `{line}`, which are no ports")));
        };
        match receiver {
            Receiver::Python => Ok(Self {
                grpc,
                http,
                rotel: None,
                python,
            }),
            Receiver::Rotel => {
                let [rotel_grpc, rotel_http] = free_addresses()?;
                let rotel = start_rotel(&mut environment.rotel()?, rotel_grpc, rotel_http, grpc)?;
                Ok(Self {
                    grpc: rotel_grpc,
                    http: rotel_http,
                    rotel: Some(rotel),
                    python,
                })
            }
        }
    }

    pub(super) fn address(&self, protocol: Protocol) -> SocketAddr {
        match protocol {
            Protocol::Grpc => self.grpc,
            Protocol::Http => self.http,
        }
    }

    /// Waits for `expected` spans, then ends the processes in the order in which spans pass through them, so that one span
    /// too many is seen as well as one too few.
    pub(super) fn finish(mut self, expected: usize) -> Result<Vec<Value>, Failure> {
        let deadline = Deadline::within(ARRIVAL_TIMEOUT);
        let mut lines: Vec<String> = Vec::new();
        while lines.len() < expected
            && let Some(line) = self.python.line(deadline)
        {
            lines.push(line);
        }
        if let Some(mut rotel) = self.rotel.take() {
            rotel.terminate()?;
            if !rotel.ends_within(STOP_TIMEOUT) {
                return Err(rotel.failure("does not end when asked to"));
            }
        }
        lines.extend(self.python.finish(Deadline::within(STOP_TIMEOUT))?);
        lines
            .iter()
            .map(|line| Ok(document::normalised(serde_json::from_str(line)?)))
            .collect()
    }
}

fn start_rotel(
    command: &mut Command,
    grpc: SocketAddr,
    http: SocketAddr,
    next: SocketAddr,
) -> Result<Process, Failure> {
    let command = command
        .arg("start")
        .args([
            "--otlp-grpc-endpoint",
            &grpc.to_string(),
            "--otlp-http-endpoint",
            &http.to_string(),
        ])
        .args([
            "--exporter",
            "otlp",
            "--otlp-exporter-endpoint",
            &format!("http://{next}"),
        ])
        .args(["--otlp-exporter-compression", "none", "--disable-batching"])
        .env_clear(); // it reads its settings from variables too
    let mut rotel = Process::start("rotel", command)?;
    let deadline = Deadline::within(START_TIMEOUT);
    for address in [grpc, http] {
        while TcpStream::connect(address).is_err() {
            if deadline.left().is_zero() || rotel.ends_within(PROBE_INTERVAL) {
                return Err(rotel.failure(&format!("does not listen on {address}")));
            }
        }
    }
    Ok(rotel)
}

/// Two addresses that nobody listens on. Somebody else may take them before rotel does: then it says so, and the check fails.
fn free_addresses() -> io::Result<[SocketAddr; 2]> {
    let listeners = [TcpListener::bind(loopback(0))?, TcpListener::bind(loopback(0))?];
    Ok([listeners[0].local_addr()?, listeners[1].local_addr()?])
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
