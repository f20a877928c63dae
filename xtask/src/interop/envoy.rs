//! Envoy in front of a receiver, with one of its faults switched on.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    time::Duration,
};

use serde_json::{Value, json};

use super::environment::Environment;
use crate::{Failure, deadline::Deadline, process::Process};

const START_TIMEOUT: Duration = Duration::from_secs(30);
const PROBE_INTERVAL: Duration = Duration::from_millis(50);
const ADMIN_TIMEOUT: Duration = Duration::from_secs(5);

/// What it does to requests.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// Answers 30 of 100 with UNAVAILABLE, which the receiver never sees.
    Aborts,
    /// Holds 50 of 100 back for 200 ms.
    Delays,
    /// Ends each connection half a second after its first byte, with GOAWAY.
    ShortConnections,
}

/// A running Envoy. It ends with this.
#[derive(Debug)]
pub(super) struct Envoy {
    /// Where it listens.
    pub(super) address: SocketAddr,
    admin: SocketAddr,
    _process: Process,
}

impl Fault {
    /// The counter that shows it at work.
    const fn counter(self) -> &'static str {
        match self {
            Self::Aborts => "http.otlp.fault.aborts_injected",
            Self::Delays => "http.otlp.fault.delays_injected",
            Self::ShortConnections => "http.otlp.downstream_cx_max_duration_reached",
        }
    }

    fn filters(self) -> Value {
        let router = json!({
            "name": "envoy.filters.http.router",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
        });
        let share = |percent: u32| json!({"numerator": percent, "denominator": "HUNDRED"});
        let (kind, fault) = match self {
            Self::Aborts => ("abort", json!({"grpc_status": 14, "percentage": share(30)})),
            Self::Delays => ("delay", json!({"fixed_delay": "0.2s", "percentage": share(50)})),
            Self::ShortConnections => return json!([router]),
        };
        let faults = json!({
            "name": "envoy.filters.http.fault",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault", kind: fault},
        });
        json!([faults, router])
    }
}

impl Envoy {
    /// Starts it in front of `target`. It leaves a small file at `note`.
    pub(super) fn start(
        environment: &Environment,
        fault: Fault,
        target: SocketAddr,
        note: &Path,
    ) -> Result<Self, Failure> {
        _ = fs::remove_file(note);
        let mut command = environment.envoy()?;
        command
            .args([
                "--config-yaml",
                &configuration(fault, target).to_string(),
                "--admin-address-path",
            ])
            .arg(note)
            .args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]);
        let mut process = Process::start("envoy", &mut command)?;
        let deadline = Deadline::within(START_TIMEOUT);
        loop {
            // Both ports are free ones: it says which, when it has them.
            let admin = fs::read_to_string(note).ok().and_then(|text| text.trim().parse().ok());
            if let Some(admin) = admin
                && let Some(address) = get(admin, "/listeners?format=json").ok().as_deref().and_then(listener)
            {
                return Ok(Self {
                    address,
                    admin,
                    _process: process,
                });
            }
            if deadline.left().is_zero() || process.ends_within(PROBE_INTERVAL) {
                return Err(process.failure("does not listen"));
            }
        }
    }

    /// How often it did what it was to do.
    pub(super) fn faults(&self, fault: Fault) -> Result<u64, Failure> {
        let body = get(self.admin, &format!("/stats?filter={}", fault.counter()))?;
        let value = body.trim().rsplit_once(": ").and_then(|(_, value)| value.parse().ok());
        value.ok_or_else(|| format!("envoy does not count {}: {body}", fault.counter()).into())
    }
}

fn configuration(fault: Fault, target: SocketAddr) -> Value {
    let socket = |address: &SocketAddr| json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}});
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "otlp",
        "codec_type": "HTTP2",
        "http_filters": fault.filters(),
        "route_config": {"virtual_hosts": [{
            "name": "otlp", "domains": ["*"],
            "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "receiver", "timeout": "30s"}}],
        }]},
    });
    if matches!(fault, Fault::ShortConnections) {
        manager["common_http_protocol_options"] = json!({"max_connection_duration": "0.5s"});
        manager["drain_timeout"] = json!("0.2s");
    }
    json!({
        "admin": {"address": socket(&any_port)},
        "static_resources": {
            "listeners": [{
                "name": "otlp", "address": socket(&any_port),
                "filter_chains": [{"filters": [{
                    "name": "envoy.filters.network.http_connection_manager", "typed_config": manager,
                }]}],
            }],
            "clusters": [{
                "name": "receiver", "type": "STATIC",
                "load_assignment": {"cluster_name": "receiver", "endpoints": [{"lb_endpoints": [
                    {"endpoint": {"address": socket(&target)}},
                ]}]},
                "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    "explicit_http_config": {"http2_protocol_options": {}},
                }},
            }],
        },
    })
}

/// The address in the answer of `/listeners`.
fn listener(body: &str) -> Option<SocketAddr> {
    let answer: Value = serde_json::from_str(body).ok()?;
    let socket = &answer["listener_statuses"][0]["local_address"]["socket_address"];
    let port = u16::try_from(socket["port_value"].as_u64()?).ok()?;
    Some((socket["address"].as_str()?.parse::<std::net::IpAddr>().ok()?, port).into())
}

/// The body of an answer over HTTP/1.0, which ends with its connection.
fn get(address: SocketAddr, path: &str) -> Result<String, Failure> {
    let mut stream = TcpStream::connect_timeout(&address, ADMIN_TIMEOUT)?;
    stream.set_read_timeout(Some(ADMIN_TIMEOUT))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: envoy\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or("envoy answers without a body")?;
    Ok(unchunked(body))
}

/// A body whose chunks, if it has any, are put together.
fn unchunked(mut body: &str) -> String {
    let mut text = String::new();
    let chunk = |body: &str| -> Option<(usize, usize)> {
        let (size, _) = body.split_once("\r\n")?;
        Some((size.len() + 2, usize::from_str_radix(size, 16).ok()?))
    };
    if chunk(body).is_none() {
        return body.to_owned();
    }
    while let Some((start, size)) = chunk(body).filter(|(_, size)| *size > 0) {
        text.push_str(body.get(start..start + size).unwrap_or_default());
        body = body.get(start + size + 2..).unwrap_or_default();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_read_in_chunks_and_without() {
        assert_eq!(unchunked("{\"a\": 1}"), "{\"a\": 1}");
        assert_eq!(unchunked("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), "abcde");
    }

    #[test]
    fn the_listener_is_found_in_what_the_admin_port_says() {
        let address = r#"{"address": "127.0.0.1", "port_value": 4317}"#;
        let body = format!(r#"{{"listener_statuses": [{{"local_address": {{"socket_address": {address}}}}}]}}"#);
        assert_eq!(listener(&body), Some(([127, 0, 0, 1], 4317).into()));
        assert_eq!(listener("{}"), None);
    }
}
