//! Bodies: those that come, as the frames that they came in, and those that go.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;

/// The frames of a body, read as one buffer without putting them together.
#[derive(Debug, Default)]
pub(super) struct Frames {
    frames: VecDeque<Bytes>,
    remaining: usize,
}

/// What was read of a body.
pub(super) enum Read {
    /// All of it.
    Whole(Frames),
    /// It was longer than the limit: so many bytes, which were read and thrown away.
    TooLong(usize),
    /// It broke off.
    Broken,
}

impl Frames {
    /// Reads `body` to its end, even where nothing is kept of it.
    ///
    /// An answer to a request that is still being sent resets the stream, and some clients then report the reset in place of
    /// the answer; a test wants the answer.
    pub(super) async fn read<B: Body<Data = Bytes> + Unpin>(mut body: B, max_bytes: usize) -> Read {
        let mut frames = Self::default();
        let mut len = 0;
        while let Some(frame) = body.frame().await {
            match frame.map(Frame::into_data) {
                Ok(Ok(data)) => {
                    len += data.len();
                    if len <= max_bytes {
                        frames.push(data);
                    } else {
                        frames = Self::default();
                    }
                }
                Ok(Err(_trailers)) => {}
                Err(_) => return Read::Broken,
            }
        }
        if len <= max_bytes {
            Read::Whole(frames)
        } else {
            Read::TooLong(len)
        }
    }

    fn push(&mut self, frame: Bytes) {
        // An empty frame at the front would read as the end of the buffer.
        if !frame.is_empty() {
            self.remaining += frame.len();
            self.frames.push_back(frame);
        }
    }
}

impl Buf for Frames {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        self.frames.front().map_or(&[], |frame| frame)
    }

    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.remaining, "a buffer is not advanced past its end");
        self.remaining -= count;
        while count > 0 {
            let Some(front) = self.frames.front_mut() else { return };
            if count < front.len() {
                return front.advance(count);
            }
            count -= front.len();
            self.frames.pop_front();
        }
    }
}

/// A response body of at most one frame of data and one of trailers.
#[derive(Debug, Default)]
pub(super) struct ReplyBody {
    data: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

impl ReplyBody {
    pub(super) fn empty() -> Self {
        Self::default()
    }

    pub(super) fn data(data: impl Into<Bytes>) -> Self {
        let data = data.into();
        Self {
            data: (!data.is_empty()).then_some(data),
            trailers: None,
        }
    }

    pub(super) fn with_trailers(mut self, trailers: HeaderMap) -> Self {
        self.trailers = Some(trailers);
        self
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = self.data.take().map(Frame::data);
        let frame = data.or_else(|| self.trailers.take().map(Frame::trailers));
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        // With an exact size hyper adds `content-length`, which a body with trailers does without.
        match self.trailers {
            Some(_) => SizeHint::default(),
            None => SizeHint::with_exact(self.data.as_ref().map_or(0, Bytes::len) as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_read_as_one_buffer() {
        let mut frames = Frames::default();
        for frame in ["ab", "", "cdef", "g"] {
            frames.push(Bytes::from_static(frame.as_bytes()));
        }
        assert_eq!((frames.remaining(), frames.chunk()), (7, &b"ab"[..]));
        frames.advance(3);
        assert_eq!((frames.remaining(), frames.chunk()), (4, &b"def"[..]));
        assert_eq!(frames.copy_to_bytes(4), "defg");
        assert_eq!((frames.remaining(), frames.chunk()), (0, &b""[..]));
    }
}
