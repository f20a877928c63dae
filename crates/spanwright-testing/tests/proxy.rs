//! The fault proxy in front of plain sockets.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::num::NonZeroU64;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use spanwright_core::{Clock, SystemClock};
use spanwright_testing::{Direction, FaultProxy};

/// Long enough for the slowest machine; nothing waits this long unless it is broken.
const PATIENCE: Duration = Duration::from_secs(20);

/// A proxy, a client connected through it, and the target's end of that connection.
struct Line {
    proxy: FaultProxy,
    client: TcpStream,
    target: TcpStream,
    listener: TcpListener,
}

fn line() -> io::Result<Line> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let proxy = FaultProxy::spawn(listener.local_addr()?)?;
    let client = TcpStream::connect(proxy.address())?;
    let (target, _) = listener.accept()?;
    for stream in [&client, &target] {
        stream.set_read_timeout(Some(PATIENCE))?;
    }
    Ok(Line {
        proxy,
        client,
        target,
        listener,
    })
}

fn read_some(stream: &mut TcpStream, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read_to_end(mut stream: TcpStream) -> JoinHandle<(usize, io::Result<()>)> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let result = stream.read_to_end(&mut bytes).map(|_| ());
        (bytes.len(), result)
    })
}

#[test]
fn bytes_pass_both_ways_and_are_counted() {
    let mut line = line().unwrap();
    let request = vec![7; 300_000];
    let sent = thread::spawn({
        let (mut client, request) = (line.client.try_clone().unwrap(), request.clone());
        move || client.write_all(&request).unwrap()
    });
    assert_eq!(read_some(&mut line.target, 300_000).unwrap(), request);
    sent.join().unwrap();
    line.target.write_all(b"answer").unwrap();
    assert_eq!(read_some(&mut line.client, 6).unwrap(), b"answer");

    line.client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(line.target.read(&mut [0]).unwrap(), 0);
    line.target.write_all(b"!").unwrap();
    drop(line.target);
    let mut rest = Vec::new();
    line.client.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"!");
    assert!(line.proxy.wait_until(PATIENCE, |counts| counts.open == 0));
    let counts = line.proxy.counts();
    assert_eq!((counts.connections, counts.cuts), (1, 0));
    assert_eq!((counts.bytes_to_target, counts.bytes_to_client), (300_000, 7));
}

#[test]
fn a_reader_that_comes_late_gets_everything() {
    let mut line = line().unwrap();
    line.target.shutdown(Shutdown::Write).unwrap();
    line.client.write_all(&[7; 200_000]).unwrap();
    drop(line.client);
    assert!(line.proxy.wait_until(PATIENCE, |counts| counts.open == 0));
    let mut bytes = Vec::new();
    line.target.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, [7; 200_000]);
}

#[test]
fn a_proxy_that_refuses_keeps_its_connections_and_comes_back_under_its_port() {
    let mut line = line().unwrap();
    line.proxy.refuse().unwrap();
    let refused = TcpStream::connect(line.proxy.address()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    line.client.write_all(b"x").unwrap();
    assert_eq!(read_some(&mut line.target, 1).unwrap(), b"x");

    line.proxy.forward().unwrap();
    TcpStream::connect(line.proxy.address()).unwrap();
    line.listener.accept().unwrap();
}

#[test]
fn a_reset_reaches_both_sides() {
    let mut line = line().unwrap();
    line.proxy.reset().unwrap();
    for stream in [&mut line.client, &mut line.target] {
        assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
    let mut again = TcpStream::connect(line.proxy.address()).unwrap();
    let (mut target, _) = line.listener.accept().unwrap();
    again.write_all(b"x").unwrap();
    assert_eq!(read_some(&mut target, 1).unwrap(), b"x");
}

#[test]
fn a_black_hole_accepts_and_swallows_until_it_ends() {
    let mut line = line().unwrap();
    line.proxy.black_hole();
    line.client.write_all(b"first").unwrap();
    let mut second = TcpStream::connect(line.proxy.address()).unwrap();
    second.write_all(b"second").unwrap();
    assert!(line.proxy.wait_until(PATIENCE, |counts| counts.connections == 2));
    line.target.set_nonblocking(true).unwrap();
    assert_eq!(line.target.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    line.listener.set_nonblocking(true).unwrap();
    assert_eq!(line.listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(line.proxy.counts().bytes_to_target, 0);

    line.target.set_nonblocking(false).unwrap();
    line.listener.set_nonblocking(false).unwrap();
    line.proxy.forward().unwrap();
    assert_eq!(read_some(&mut line.target, 5).unwrap(), b"first");
    let (mut target, _) = line.listener.accept().unwrap();
    assert_eq!(read_some(&mut target, 6).unwrap(), b"second");
}

#[test]
fn a_connection_is_cut_at_the_byte() {
    for direction in [Direction::ToTarget, Direction::ToClient] {
        let line = line().unwrap();
        line.proxy.cut_after(direction, 1000);
        let (mut from, to) = match direction {
            Direction::ToTarget => (line.client, line.target),
            Direction::ToClient => (line.target, line.client),
        };
        from.write_all(&[1; 999]).unwrap();
        let bytes = |counts: &spanwright_testing::ProxyCounts| match direction {
            Direction::ToTarget => counts.bytes_to_target,
            Direction::ToClient => counts.bytes_to_client,
        };
        assert!(line.proxy.wait_until(PATIENCE, |counts| bytes(counts) == 999));
        assert_eq!(line.proxy.counts().cuts, 0);
        let reading = read_to_end(to);
        from.write_all(&[1; 500]).unwrap();
        let (read, result) = reading.join().unwrap();
        assert!(read <= 1000, "{read}");
        assert_eq!(result.unwrap_err().kind(), ErrorKind::ConnectionReset);
        let counts = line.proxy.counts();
        assert_eq!((bytes(&counts), counts.cuts), (1000, 1));
    }
}

#[test]
fn what_is_delayed_arrives_when_the_delay_ends() {
    let mut line = line().unwrap();
    line.proxy.set_delay(Direction::ToTarget, Duration::from_secs(3600));
    line.client.write_all(b"late").unwrap();
    line.target.write_all(b"the other way is free").unwrap();
    read_some(&mut line.client, 21).unwrap();
    assert_eq!(line.proxy.counts().bytes_to_target, 0);
    line.proxy.set_delay(Direction::ToTarget, Duration::ZERO);
    assert_eq!(read_some(&mut line.target, 4).unwrap(), b"late");
}

#[test]
fn a_delay_lasts_at_least_as_long_as_it_was_set_to() {
    let mut line = line().unwrap();
    let delay = Duration::from_millis(50);
    line.proxy.set_delay(Direction::ToTarget, delay);
    line.proxy.set_delay(Direction::ToClient, delay);
    let start = SystemClock.now();
    line.client.write_all(b"x").unwrap();
    read_some(&mut line.target, 1).unwrap();
    line.target.write_all(b"y").unwrap();
    read_some(&mut line.client, 1).unwrap();
    assert!(SystemClock.now() - start >= 2 * delay);
}

#[test]
fn bandwidth_is_an_upper_bound() {
    let line = line().unwrap();
    line.proxy.set_bandwidth(Direction::ToTarget, NonZeroU64::new(200_000));
    let (mut client, target) = (line.client, line.target);
    let start = SystemClock.now();
    let reading = read_to_end(target);
    client.write_all(&[1; 20_000]).unwrap();
    drop(client);
    assert_eq!(reading.join().unwrap().0, 20_000);
    // 20 000 bytes take 100 ms; the first slice of 5 ms goes at once.
    assert!(SystemClock.now() - start >= Duration::from_millis(90));
}

#[test]
fn a_target_that_is_down_resets_the_client() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let proxy = FaultProxy::spawn(nobody).unwrap();
    let mut client = TcpStream::connect(proxy.address()).unwrap();
    assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}
