//! The protobuf wire format: tags, lengths, and a cursor that writes fields.
//!
//! What is written is canonical: the shortest varints, and no scalar that has its default value.
//!
//! Source: [Protocol Buffers, Encoding](https://protobuf.dev/programming-guides/encoding/).

/// The longest varint: 64 bits in groups of seven.
pub(super) const MAX_VARINT_LEN: usize = 10;

/// Up to this many bytes are copied without a call. Names, keys and most values are shorter; a call to `memcpy`
/// costs about as much as such a copy itself.
const SHORT_COPY: usize = 32;

/// The tag of a field that is a message, a string or bytes.
pub(super) const fn delimited(field: u8) -> u8 {
    field << 3 | 2
}

/// The tag of a field that is a varint.
pub(super) const fn varint(field: u8) -> u8 {
    field << 3
}

/// The tag of a field of four bytes.
pub(super) const fn fixed32(field: u8) -> u8 {
    field << 3 | 5
}

/// The tag of a field of eight bytes.
pub(super) const fn fixed64(field: u8) -> u8 {
    field << 3 | 1
}

/// How many bytes `value` takes as a varint.
#[inline(always)]
pub(super) const fn varint_len(value: u64) -> usize {
    let highest_bit = 63 - (value | 1).leading_zeros();
    highest_bit as usize / 7 + 1
}

/// How many bytes a field takes that has `len` bytes behind its length.
#[inline(always)]
pub(super) const fn delimited_len(len: usize) -> usize {
    1 + varint_len(len as u64) + len
}

/// The same for a string, which is not written when it is empty.
#[inline(always)]
pub(super) const fn string_len(text: &str) -> usize {
    if text.is_empty() { 0 } else { delimited_len(text.len()) }
}

/// How many bytes a varint field takes, which is not written when it is zero.
#[inline(always)]
pub(super) const fn number_len(value: u32) -> usize {
    if value == 0 { 0 } else { 1 + varint_len(value as u64) }
}

/// Writes fields one after the other into a buffer of fixed size.
///
/// Each step takes the cursor and gives it back: all that it holds, the rest of the buffer, stays in two registers, and a
/// write of a few bytes is a comparison and a store. `Vec::extend_from_slice` goes through the vector's length in memory
/// each time.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a mut [u8],
}

/// The buffer is too small.
#[derive(Debug)]
pub(super) struct Full;

/// What each step gives back.
pub(super) type Written<'a> = Result<Cursor<'a>, Full>;

impl<'a> Cursor<'a> {
    /// Starts at the beginning of `buffer`.
    #[inline(always)]
    pub(super) fn new(buffer: &'a mut [u8]) -> Self {
        Self { rest: buffer }
    }

    /// How many bytes of the buffer are left.
    #[inline(always)]
    pub(super) fn room(&self) -> usize {
        self.rest.len()
    }

    /// As many bytes as the type says.
    #[inline(always)]
    pub(super) fn array<const N: usize>(self, bytes: [u8; N]) -> Written<'a> {
        let (room, rest) = self.rest.split_first_chunk_mut().ok_or(Full)?;
        *room = bytes;
        Ok(Self { rest })
    }

    #[inline(always)]
    pub(super) fn bytes(self, bytes: &[u8]) -> Written<'a> {
        let (room, rest) = self.rest.split_at_mut_checked(bytes.len()).ok_or(Full)?;
        copy(room, bytes);
        Ok(Self { rest })
    }

    #[inline(always)]
    pub(super) fn varint(self, value: u64) -> Written<'a> {
        if value < 1 << 7 {
            self.array([value as u8])
        } else if value < 1 << 14 {
            self.array([value as u8 | 0x80, (value >> 7) as u8])
        } else {
            self.long_varint(value)
        }
    }

    #[inline(never)]
    fn long_varint(mut self, mut value: u64) -> Written<'a> {
        while value >= 1 << 7 {
            self = self.array([value as u8 | 0x80])?;
            value >>= 7;
        }
        self.array([value as u8])
    }

    /// The tag and the length of a field that has `len` bytes behind them.
    #[inline(always)]
    pub(super) fn header(self, tag: u8, len: usize) -> Written<'a> {
        if len < 1 << 7 {
            self.array([tag, len as u8])
        } else {
            self.array([tag])?.varint(len as u64)
        }
    }

    /// A string field; nothing if it is empty.
    #[inline(always)]
    pub(super) fn string(self, tag: u8, text: &str) -> Written<'a> {
        if text.is_empty() {
            return Ok(self);
        }
        self.header(tag, text.len())?.bytes(text.as_bytes())
    }

    /// A varint field; nothing if it is zero.
    #[inline(always)]
    pub(super) fn number(self, tag: u8, value: u32) -> Written<'a> {
        if value == 0 {
            return Ok(self);
        }
        self.array([tag])?.varint(u64::from(value))
    }

    /// A field of eight bytes; nothing if it is zero.
    #[inline(always)]
    pub(super) fn fixed64(self, tag: u8, value: u64) -> Written<'a> {
        if value == 0 {
            return Ok(self);
        }
        self.array([tag])?.array(value.to_le_bytes())
    }
}

/// Copies `from` to `to`, which are of the same length.
#[inline(always)]
fn copy(to: &mut [u8], from: &[u8]) {
    if from.len() > SHORT_COPY {
        to.copy_from_slice(from);
    } else if !(copy_ends::<16>(to, from) || copy_ends::<8>(to, from) || copy_ends::<4>(to, from)) {
        to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    }
}

/// Copies the first and the last `N` bytes, which is everything where the length is between `N` and twice that.
#[inline(always)]
fn copy_ends<const N: usize>(to: &mut [u8], from: &[u8]) -> bool {
    let (Some(first), Some(last)) = (from.first_chunk::<N>(), from.last_chunk::<N>()) else {
        return false;
    };
    if let Some(to) = to.first_chunk_mut() {
        *to = *first;
    }
    if let Some(to) = to.last_chunk_mut() {
        *to = *last;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl for<'a> FnOnce(Cursor<'a>) -> Written<'a>) -> Vec<u8> {
        let mut buffer = [0xee; 128];
        let left = write(Cursor::new(&mut buffer)).unwrap().room();
        buffer[..buffer.len() - left].to_vec()
    }

    #[test]
    fn varints_are_the_shortest_that_carry_the_number() {
        let edges = (0..64).flat_map(|bit| [1_u64 << bit, (1 << bit) - 1]).chain([u64::MAX]);
        for number in edges {
            let bytes = written(|cursor| cursor.varint(number));
            let read = bytes
                .iter()
                .rev()
                .fold(0, |sum, byte| sum << 7 | u64::from(byte & 0x7f));
            assert_eq!(read, number);
            assert_eq!(bytes.len(), varint_len(number), "{number}");
            assert!(
                bytes
                    .split_last()
                    .is_some_and(|(last, more)| *last < 0x80 && more.iter().all(|byte| *byte >= 0x80))
            );
        }
    }

    #[test]
    fn bytes_of_every_length_arrive_and_touch_nothing_else() {
        let source: Vec<u8> = (0..100).collect();
        for len in 0..=source.len() {
            let mut buffer = [0xee; 101];
            let left = Cursor::new(&mut buffer).bytes(&source[..len]).unwrap().room();
            assert_eq!((&buffer[..len], left), (&source[..len], 101 - len));
            assert!(buffer[len..].iter().all(|byte| *byte == 0xee), "{len}");
        }
    }

    #[test]
    fn a_buffer_that_is_too_small_is_full_wherever_it_ends() {
        let write = |buffer: &mut [u8]| {
            let cursor = Cursor::new(buffer).string(delimited(1), "a name")?;
            cursor
                .number(varint(2), 300)?
                .fixed64(fixed64(3), 1)
                .map(|cursor| cursor.room())
        };
        let needed = string_len("a name") + number_len(300) + 9;
        for len in 0..needed {
            assert!(write(&mut vec![0; len]).is_err(), "{len}");
        }
        assert_eq!(write(&mut vec![0; needed]).unwrap(), 0);
    }

    #[test]
    fn defaults_are_not_written() {
        let bytes = written(|cursor| {
            cursor
                .string(delimited(1), "")?
                .number(varint(2), 0)?
                .fixed64(fixed64(3), 0)
        });
        assert_eq!((bytes.len(), string_len(""), number_len(0)), (0, 0, 0));
    }
}
