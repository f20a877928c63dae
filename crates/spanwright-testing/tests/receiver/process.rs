//! The receiver in a process of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use crate::support::encoded;

fn start(arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_otlp-receiver"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn exchange(address: &str, head: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn it_tells_its_endpoints_its_counts_and_ends_with_its_input() {
    let mut child = start(&["--mode", "count", "--latency-ms", "1"]);
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    let (_, address) = line.trim().rsplit_once("http://").unwrap();
    let address = address.trim_end_matches("\"}");

    let body = encoded(7);
    let export = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/x-protobuf\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    assert!(exchange(address, &export, &body).starts_with("HTTP/1.1 200"));
    let stats = exchange(
        address,
        "GET /stats HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        b"",
    );
    assert!(stats.contains("\"accepted_spans\":7,"), "{stats}");

    drop(child.stdin.take());
    line.clear();
    out.read_line(&mut line).unwrap();
    assert!(line.contains("\"accepted_spans\":7,"), "{line}");
    assert!(child.wait().unwrap().success());
}

#[test]
fn an_argument_that_it_does_not_know_ends_it_with_the_usage() {
    for arguments in [&["--mode", "both"][..], &["--latency-ms"], &["--help", "me"]] {
        let output = start(arguments).wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(arguments[0]) && error.contains("usage:"), "{error}");
    }
}
