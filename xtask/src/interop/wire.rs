//! What encodings the requests on a connection have, read from its bytes.
//!
//! Not from headers alone: those of HTTP/2 are compressed themselves, while a gRPC message says with its first bytes what it is.
//!
//! # Source
//!
//! [RFC 9113](https://www.rfc-editor.org/rfc/rfc9113#section-4.1), frames; [gRPC over
//! HTTP/2](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md), length-prefixed messages;
//! [RFC 9112](https://www.rfc-editor.org/rfc/rfc9112#section-6), bodies of HTTP/1.1.

use std::{
    collections::BTreeMap,
    fmt::{self, Display},
};

/// The encoding of a request, by the names that OTLP has for them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Encoding {
    Gzip,
    None,
    Unknown,
    Zstd,
}

impl Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Gzip => "gzip",
            Self::None => "none",
            Self::Unknown => "unknown",
            Self::Zstd => "zstd",
        })
    }
}

const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEADER: usize = 9;
const DATA: u8 = 0;
const PADDED: u8 = 0x8;
/// A compressed flag, four bytes of length, and as much of the message as tells gzip from zstd.
const MESSAGE_START: usize = 5 + 4;

/// The encoding of each request in what a client sent over one connection, in their order.
pub(super) fn encodings(stream: &[u8]) -> Vec<Encoding> {
    match stream.strip_prefix(HTTP2_PREFACE) {
        Some(frames) => grpc_messages(frames)
            .values()
            .map(|start| message_encoding(start))
            .collect(),
        None => http1_requests(stream),
    }
}

/// The first bytes of each HTTP/2 stream's data. Streams of a client are numbered in their order.
fn grpc_messages(mut frames: &[u8]) -> BTreeMap<u32, Vec<u8>> {
    let mut starts: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    while let Some((&[a, b, c, kind, flags, d, e, f, g], rest)) = frames.split_first_chunk::<FRAME_HEADER>() {
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let (payload, next) = rest.split_at(length.min(rest.len()));
        if kind == DATA {
            let data = if flags & PADDED == 0 {
                Some(payload)
            } else {
                without_padding(payload)
            };
            let start = starts.entry(u32::from_be_bytes([d & 0x7f, e, f, g])).or_default();
            start.extend(data.unwrap_or_default().iter().take(MESSAGE_START - start.len()));
        }
        frames = next;
    }
    // A stream may be closed by an empty frame of its own.
    starts.retain(|_, start| !start.is_empty());
    starts
}

fn without_padding(payload: &[u8]) -> Option<&[u8]> {
    let (padding, data) = payload.split_first()?;
    data.get(..data.len().checked_sub(usize::from(*padding))?)
}

fn message_encoding(start: &[u8]) -> Encoding {
    match start {
        [0, ..] => Encoding::None,
        [1, _, _, _, _, 0x1f, 0x8b, ..] => Encoding::Gzip,
        [1, _, _, _, _, 0x28, 0xb5, 0x2f, 0xfd] => Encoding::Zstd,
        _ => Encoding::Unknown,
    }
}

fn http1_requests(mut stream: &[u8]) -> Vec<Encoding> {
    let mut encodings = Vec::new();
    while let Some(end) = find(stream, b"\r\n\r\n") {
        let head = String::from_utf8_lossy(&stream[..end]).to_lowercase();
        let header = |name: &str| {
            let mut fields = head.lines().filter_map(|line| line.split_once(':'));
            fields
                .find(|(field, _)| *field == name)
                .map(|(_, value)| value.trim().to_owned())
        };
        encodings.push(match header("content-encoding").as_deref() {
            None | Some("identity") => Encoding::None,
            Some("gzip") => Encoding::Gzip,
            Some("zstd") => Encoding::Zstd,
            Some(_) => Encoding::Unknown,
        });
        let body = &stream[end + 4..];
        let length = match header("content-length") {
            Some(length) => length.parse().unwrap_or(0),
            None if header("transfer-encoding").as_deref() == Some("chunked") => chunked_length(body),
            None => 0,
        };
        stream = body.get(length..).unwrap_or_default();
    }
    encodings
}

/// How many bytes a chunked body takes, trailers included.
fn chunked_length(body: &[u8]) -> usize {
    let mut at = 0;
    while let Some(line) = find(&body[at..], b"\r\n") {
        let size = String::from_utf8_lossy(&body[at..at + line]);
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16).unwrap_or(0);
        if size == 0 {
            return at + find(&body[at..], b"\r\n\r\n").map_or(body.len() - at, |end| end + 4);
        }
        at = body.len().min(at + line + 2 + size + 2);
    }
    body.len()
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).expect("small").to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
    }

    fn http2(frames: &[Vec<u8>]) -> Vec<u8> {
        [HTTP2_PREFACE, &frames.concat()].concat()
    }

    const GZIP: &[u8] = &[1, 0, 0, 0, 9, 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0];
    const ZSTD: &[u8] = &[1, 0, 0, 0, 5, 0x28, 0xb5, 0x2f, 0xfd, 0];
    const PLAIN: &[u8] = &[0, 0, 0, 0, 2, 10, 0];

    #[test]
    fn grpc_messages_are_told_apart_by_their_first_bytes() {
        let stream = http2(&[
            frame(4, 0, 0, &[0; 6]),
            frame(1, 4, 1, b"headers"),
            frame(DATA, 1, 1, ZSTD),
            frame(1, 4, 3, b"headers"),
            frame(DATA, 1, 3, GZIP),
            frame(DATA, 1, 5, PLAIN),
            frame(DATA, 1, 7, &[1, 0, 0, 0, 1, 9]),
        ]);
        assert_eq!(
            encodings(&stream),
            [Encoding::Zstd, Encoding::Gzip, Encoding::None, Encoding::Unknown]
        );
    }

    #[test]
    fn a_grpc_message_may_come_in_pieces_and_with_padding() {
        let padded = [&[3], &GZIP[..2], &[0, 0, 0]].concat();
        let stream = http2(&[
            frame(DATA, PADDED, 1, &padded),
            frame(DATA, 0, 1, &GZIP[2..]),
            frame(DATA, 1, 1, &[]),
        ]);
        assert_eq!(encodings(&stream), [Encoding::Gzip]);
    }

    #[test]
    fn an_http1_connection_may_carry_several_requests() {
        let stream = b"POST /v1/traces HTTP/1.1\r\nContent-Encoding: zstd\r\ncontent-length: 4\r\n\r\n\r\n\r\n\
            POST /v1/traces HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-encoding: gzip\r\n\r\n4\r\nabcd\r\n1\r\nx\r\n0\r\n\r\n\
            POST /v1/traces HTTP/1.1\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(encodings(stream), [Encoding::Zstd, Encoding::Gzip, Encoding::None]);
    }

    #[test]
    fn a_connection_that_broke_off_is_read_as_far_as_it_goes() {
        let whole = http2(&[frame(DATA, 1, 1, GZIP)]);
        for length in 0..whole.len() {
            assert!(encodings(&whole[..length]).len() <= 1);
        }
        let chunked = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nfff\r\nab";
        for length in 0..chunked.len() {
            assert!(encodings(&chunked[..length]).len() <= 1);
        }
    }
}
