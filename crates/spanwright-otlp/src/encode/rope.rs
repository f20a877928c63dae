//! Reading a message that lies in several runs, where it lies.

use bytes::Bytes;

/// A place in a message that lies in `segments`. A copy is another place.
#[derive(Clone, Copy)]
pub(super) struct Rope<'a> {
    segments: &'a [Bytes],
    at: Mark,
}

/// A place, without the message that it is in.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    segment: usize,
    /// Within the segment.
    offset: usize,
    /// Within the message.
    position: usize,
}

impl Mark {
    /// How many bytes are before it.
    pub(super) fn position(self) -> usize {
        self.position
    }
}

impl<'a> Rope<'a> {
    /// The beginning of the message.
    pub(super) fn new(segments: &'a [Bytes]) -> Self {
        let at = Mark {
            segment: 0,
            offset: 0,
            position: 0,
        };
        Self { segments, at }
    }

    pub(super) fn here(&self) -> Mark {
        self.at
    }

    /// Reads the tag of a field of a message that ends at `end`, and goes over the field; where it has a length, only up to its
    /// content, and says where that ends. `None` if there is no field, or if it does not end by `end`.
    pub(super) fn field(&mut self, end: usize) -> Option<(u32, Option<usize>)> {
        let tag = u32::try_from(self.varint(end)?).ok()?;
        let number = tag >> 3;
        if number == 0 {
            return None;
        }
        let content = match tag & 7 {
            0 => self.varint(end).map(|_| None)?,
            1 => self.go_over(8, end).map(|_| None)?,
            2 => {
                let len = usize::try_from(self.varint(end)?).ok()?;
                let content_end = self.at.position.checked_add(len).filter(|it| *it <= end)?;
                Some(content_end)
            }
            5 => self.go_over(4, end).map(|_| None)?,
            // Groups, which no version of the protocol uses, and what is no wire type.
            _ => return None,
        };
        Some((number, content))
    }

    /// Goes forward to where `position` bytes are before it, or to the end.
    pub(super) fn go_to(&mut self, position: usize) {
        while let Some(segment) = self.segments.get(self.at.segment) {
            let (wanted, left) = (
                position.saturating_sub(self.at.position),
                segment.len() - self.at.offset,
            );
            if wanted <= left {
                self.at.offset += wanted;
                self.at.position += wanted;
                return;
            }
            self.at.position += left;
            self.at.segment += 1;
            self.at.offset = 0;
        }
    }

    /// The next bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let mut array = [0; N];
        for byte in &mut array {
            *byte = self.byte()?;
        }
        Some(array)
    }

    /// What lies between two places, by reference: a piece for each segment that it touches.
    pub(super) fn between(self, begin: Mark, end: Mark) -> impl Iterator<Item = Bytes> + 'a {
        let segments = self.segments.iter().enumerate();
        let touched = segments.skip(begin.segment).take(end.segment - begin.segment + 1);
        let pieces = touched.map(move |(index, segment)| {
            let from = if index == begin.segment { begin.offset } else { 0 };
            let to = if index == end.segment {
                end.offset
            } else {
                segment.len()
            };
            segment.slice(from..to)
        });
        pieces.filter(|piece| !piece.is_empty())
    }

    fn byte(&mut self) -> Option<u8> {
        loop {
            let segment = self.segments.get(self.at.segment)?;
            if let Some(byte) = segment.get(self.at.offset) {
                self.at.offset += 1;
                self.at.position += 1;
                return Some(*byte);
            }
            self.at.segment += 1;
            self.at.offset = 0;
        }
    }

    fn varint(&mut self, end: usize) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            if self.at.position >= end {
                return None;
            }
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn go_over(&mut self, len: usize, end: usize) -> Option<()> {
        let position = self.at.position.checked_add(len).filter(|it| *it <= end)?;
        self.go_to(position);
        Some(())
    }
}
