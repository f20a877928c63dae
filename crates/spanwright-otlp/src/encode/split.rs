//! Cutting an encoded request into several, without decoding a span.
//!
//! Repeated fields concatenate, so any distribution of the spans makes valid requests, as long as each has the resource and the scope
//! of its spans before it. Those are copied by reference; what is written anew are tags and lengths of the messages around.

use bytes::Bytes;
use spanwright_core::EncodedBatch;

use super::put_header;
use super::rope::{Mark, Rope};
use super::tag::{RESOURCE_SPANS, SCOPE_SPANS};
use super::walk;

/// Spreads the spans of the encoded `ExportTraceServiceRequest` in `batch` over `parts` requests, by what `part_of` says of the trace
/// id of each.
///
/// Each part has the resources and scopes of its spans, fields that are unknown included, its own number of items, and the priority
/// of the whole; a part without spans has no bytes. The spans of a part are in the order in which they were. A span whose trace id
/// is not of 16 bytes is taken for one of the trace of zeros; a `part_of` beyond the last part means the last. Where all spans go to
/// one part, that is the batch itself, with what it knows of its compression.
///
/// `None` if the bytes are no such request, if it does not hold as many spans as it says, or if `parts` is 0. Any bytes may be given:
/// nothing panics.
///
/// ```
/// # use spanwright_core::{EncodedBatch, Priority};
/// use spanwright_otlp::split_by_trace;
///
/// # fn split(batch: &EncodedBatch) {
/// let parts = split_by_trace(batch, 2, &mut |trace_id| usize::from(trace_id[15] % 2));
/// # let _ = parts;
/// # }
/// # split(&EncodedBatch::new([], 0, Priority::Normal));
/// ```
///
/// # Cost
///
/// A walk over tags and lengths, whatever the size of the spans; a reference for each run of spans that stay together, and an allocation
/// for each resource, scope and part. No span is copied.
///
/// # Source
///
/// [Protocol Buffers, Encoding](https://protobuf.dev/programming-guides/encoding/#last-one-wins): parts that are put together again are
/// the whole.
#[must_use]
pub fn split_by_trace(
    batch: &EncodedBatch,
    parts: usize,
    part_of: &mut dyn FnMut([u8; 16]) -> usize,
) -> Option<Vec<EncodedBatch>> {
    let last = parts.checked_sub(1)?;
    Splitter::new(batch, parts).split(&mut |rope, end, _| part_of(trace_id(rope, end)).min(last))
}

/// Cuts the encoded `ExportTraceServiceRequest` in `batch` in two, after half of its spans.
///
/// Both have the resources and scopes of their spans, and the priority of the whole. `None` if the bytes are no such request, if it
/// does not hold as many spans as it says, or if those are fewer than two. Any bytes may be given: nothing panics.
///
/// # Cost
///
/// As [`split_by_trace`], with one run for each scope.
#[must_use]
pub fn halve(batch: &EncodedBatch) -> Option<[EncodedBatch; 2]> {
    let half = batch.item_count() / 2;
    if half == 0 {
        return None;
    }
    let halves = Splitter::new(batch, 2).split(&mut |_, _, index| usize::from(index >= half))?;
    halves.try_into().ok()
}

/// Says where the span goes whose content lies between the rope's place and an end; the number is how many were before it.
type PartOf<'a> = dyn FnMut(Rope<'_>, usize, usize) -> usize + 'a;

struct Splitter<'a> {
    batch: &'a EncodedBatch,
    rope: Rope<'a>,
    parts: Vec<Part>,
    spans: usize,
}

/// What was gathered for one part, from the inside to the outside.
#[derive(Default)]
struct Part {
    spans: usize,
    request: Pieces,
    resource_spans: Pieces,
    scope_spans: Pieces,
}

/// Bytes that lie in several places.
#[derive(Default)]
struct Pieces {
    done: Vec<Bytes>,
    /// The last piece, as long as the next may begin where it ends.
    open: Option<(Mark, Mark)>,
    len: usize,
}

impl<'a> Splitter<'a> {
    fn new(batch: &'a EncodedBatch, parts: usize) -> Self {
        let mut all = Vec::new();
        all.resize_with(parts, Part::default);
        Self {
            batch,
            rope: Rope::new(batch.segments()),
            parts: all,
            spans: 0,
        }
    }

    fn split(mut self, part_of: &mut PartOf<'_>) -> Option<Vec<EncodedBatch>> {
        let mut others = Pieces::default();
        while let Some((begin, number, content)) = self.next_field(self.batch.len())? {
            match content {
                Some(end) if number == walk::RESOURCE_SPANS => self.resource_spans(end, part_of)?,
                content => self.keep(begin, content, &mut others),
            }
        }
        let others = others.close(self.rope);
        let Self {
            batch, parts, spans, ..
        } = self;
        if spans != batch.item_count() {
            return None;
        }
        let finished = parts.into_iter().map(|part| match part.spans {
            0 => EncodedBatch::new([], 0, batch.priority()),
            all if all == spans => batch.clone(),
            some => {
                let mut message = part.request.done;
                message.extend_from_slice(&others.done);
                EncodedBatch::new(message, some, batch.priority())
            }
        });
        Some(finished.collect())
    }

    fn resource_spans(&mut self, end: usize, part_of: &mut PartOf<'_>) -> Option<()> {
        let mut others = Pieces::default();
        while let Some((begin, number, content)) = self.next_field(end)? {
            match content {
                Some(end) if number == walk::SCOPE_SPANS => self.scope_spans(end, part_of)?,
                content => self.keep(begin, content, &mut others),
            }
        }
        let others = others.close(self.rope);
        for part in &mut self.parts {
            part.request.enclose(RESOURCE_SPANS, &others, &mut part.resource_spans);
        }
        Some(())
    }

    fn scope_spans(&mut self, end: usize, part_of: &mut PartOf<'_>) -> Option<()> {
        let mut others = Pieces::default();
        while let Some((begin, number, content)) = self.next_field(end)? {
            match content {
                Some(end) if number == walk::SPANS => {
                    let part = part_of(self.rope, end, self.spans);
                    self.rope.go_to(end);
                    self.spans += 1;
                    if let Some(part) = self.parts.get_mut(part) {
                        part.spans += 1;
                        part.scope_spans.add(self.rope, begin, self.rope.here());
                    }
                }
                content => self.keep(begin, content, &mut others),
            }
        }
        let others = others.close(self.rope);
        for part in &mut self.parts {
            part.scope_spans.seal(self.rope);
            part.resource_spans.enclose(SCOPE_SPANS, &others, &mut part.scope_spans);
        }
        Some(())
    }

    /// Where the next field begins, its number, and where its content ends if it has a length; at the end of the message `Some(None)`.
    fn next_field(&mut self, end: usize) -> Option<Option<(Mark, u32, Option<usize>)>> {
        let begin = self.rope.here();
        if begin.position() == end {
            return Some(None);
        }
        let (number, content) = self.rope.field(end)?;
        Some(Some((begin, number, content)))
    }

    /// A field that every part gets.
    fn keep(&mut self, begin: Mark, content: Option<usize>, others: &mut Pieces) {
        if let Some(end) = content {
            self.rope.go_to(end);
        }
        others.add(self.rope, begin, self.rope.here());
    }
}

impl Pieces {
    /// Adds what lies between two places.
    fn add(&mut self, rope: Rope<'_>, begin: Mark, end: Mark) {
        self.len += end.position() - begin.position();
        match &mut self.open {
            Some((_, last)) if last.position() == begin.position() => *last = end,
            _ => {
                self.seal(rope);
                self.open = Some((begin, end));
            }
        }
    }

    /// Cuts the last piece out of the rope.
    fn seal(&mut self, rope: Rope<'_>) {
        if let Some((begin, end)) = self.open.take() {
            self.done.extend(rope.between(begin, end));
        }
    }

    fn close(mut self, rope: Rope<'_>) -> Self {
        self.seal(rope);
        self
    }

    /// Adds a message of these fields, `head` first, and empties `body`. Without a body there is none.
    fn enclose(&mut self, tag: u8, head: &Self, body: &mut Self) {
        if body.len == 0 {
            return;
        }
        let len = head.len + body.len;
        let mut header = Vec::new();
        put_header(tag, len, &mut header);
        self.len += header.len() + len;
        self.done.push(header.into());
        self.done.extend_from_slice(&head.done);
        self.done.append(&mut body.done);
        body.len = 0;
    }
}

/// The trace id of the span whose content lies between the rope's place and `end`; zeros if there is none.
fn trace_id(mut rope: Rope<'_>, end: usize) -> [u8; 16] {
    const TRACE_ID: u32 = 1;
    while rope.here().position() < end {
        match rope.field(end) {
            Some((TRACE_ID, Some(content))) if content - rope.here().position() == 16 => {
                return rope.array().unwrap_or_default();
            }
            Some((_, Some(content))) => rope.go_to(content),
            Some((_, None)) => {}
            None => break,
        }
    }
    [0; 16]
}
