//! A request body that is the batch's own bytes.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

#[cfg(feature = "grpc")]
use bytes::BufMut;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

/// Segments shorter than this are copied together: a frame of its own costs more than the copy.
const TINY: usize = 1024;

/// The frames of one message, given out one by one.
///
/// # Cost
///
/// Two allocations: the list, and the tiny segments that stand together. Longer segments are referenced, not copied.
#[derive(Debug)]
pub(crate) struct Frames {
    frames: std::vec::IntoIter<Bytes>,
    remaining: u64,
    is_size_known: bool,
}

impl Frames {
    /// The segments as they are, with a size that is known beforehand (HTTP sends it as `content-length`).
    #[cfg(feature = "http")]
    pub(crate) fn plain(segments: &[Bytes]) -> Self {
        Self::new(BytesMut::new(), segments, true)
    }

    /// The segments as one length-prefixed gRPC message.
    ///
    /// The size is not told: gRPC clients send no `content-length`, and receivers are used to that.
    #[cfg(feature = "grpc")]
    pub(crate) fn grpc_message(segments: &[Bytes], is_compressed: bool) -> Self {
        let len: usize = segments.iter().map(Bytes::len).sum();
        let mut prefix = BytesMut::with_capacity(5 + TINY);
        prefix.put_u8(is_compressed.into());
        // The limit of a request is at most u32::MAX, see the builder.
        prefix.put_u32(u32::try_from(len).unwrap_or(u32::MAX));
        Self::new(prefix, segments, false)
    }

    fn new(mut tiny: BytesMut, segments: &[Bytes], is_size_known: bool) -> Self {
        let mut frames = Vec::with_capacity(segments.len() + 1);
        for segment in segments {
            if segment.len() < TINY {
                tiny.extend_from_slice(segment);
                continue;
            }
            if !tiny.is_empty() {
                frames.push(tiny.split().freeze());
            }
            frames.push(segment.clone());
        }
        if !tiny.is_empty() {
            frames.push(tiny.freeze());
        }
        Self {
            remaining: frames.iter().map(|frame| frame.len() as u64).sum(),
            frames: frames.into_iter(),
            is_size_known,
        }
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = self.frames.next();
        if let Some(frame) = &frame {
            self.remaining -= frame.len() as u64;
        }
        Poll::Ready(frame.map(|frame| Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == 0
    }

    fn size_hint(&self) -> SizeHint {
        if self.is_size_known {
            SizeHint::with_exact(self.remaining)
        } else {
            SizeHint::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(body: Frames) -> Vec<Bytes> {
        body.frames.collect()
    }

    fn segment(len: usize) -> Bytes {
        Bytes::from(vec![7; len])
    }

    #[cfg(feature = "http")]
    #[test]
    fn long_segments_are_given_out_without_a_copy() {
        let segments = [segment(TINY), segment(64 << 10)];
        let frames = frames(Frames::plain(&segments));
        let addresses = |list: &[Bytes]| list.iter().map(|bytes| bytes.as_ptr()).collect::<Vec<_>>();
        assert_eq!(addresses(&frames), addresses(&segments));
    }

    #[cfg(feature = "http")]
    #[test]
    fn tiny_segments_between_long_ones_stand_together_and_in_order() {
        let segments = [&b"a"[..], b"b"].map(Bytes::from_static);
        let [a, b] = segments;
        let long = segment(TINY);
        let body = Frames::plain(&[a.clone(), b.clone(), long.clone(), a, b]);
        assert_eq!(body.size_hint().exact(), Some(4 + TINY as u64));
        let frames = frames(body);
        assert_eq!(
            frames,
            [Bytes::from_static(b"ab"), long.clone(), Bytes::from_static(b"ab")]
        );
        assert_eq!(frames[1].as_ptr(), long.as_ptr());
    }

    #[cfg(feature = "grpc")]
    #[test]
    fn a_grpc_message_is_a_flag_a_length_and_the_segments_uncopied() {
        let long = segment(0x1234);
        let frames = frames(Frames::grpc_message(&[Bytes::from_static(b"head"), long.clone()], true));
        assert_eq!(frames[0], &b"\x01\x00\x00\x12\x38head"[..]);
        assert_eq!((frames.len(), frames[1].as_ptr()), (2, long.as_ptr()));
    }

    #[cfg(feature = "grpc")]
    #[test]
    fn the_end_is_known_with_the_last_frame() {
        let mut body = Frames::grpc_message(&[], false);
        assert!(!body.is_end_stream() && body.size_hint().exact().is_none());
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(matches!(
            Pin::new(&mut body).poll_frame(&mut cx),
            Poll::Ready(Some(Ok(_)))
        ));
        assert!(body.is_end_stream());
        assert!(matches!(Pin::new(&mut body).poll_frame(&mut cx), Poll::Ready(None)));
    }
}
