//! A span that is held against rules.

use std::cell::Cell;

use opentelemetry::trace::SpanKind;
use opentelemetry::{KeyValue, Value};

use super::fingerprint::Fingerprint;
use super::text_form::any_text;
use crate::span::{ParentOrigin, StartingSpan};

/// A span, with what several rules ask about it worked out once.
pub(super) struct Subject<'s, 'a> {
    pub(super) span: &'s StartingSpan<'a>,
    pub(super) situation: Situations,
    slots: [Slot; SLOTS],
}

/// What is known of an attribute.
#[derive(Clone, Copy)]
struct Slot {
    place: u32,
    fingerprint: Fingerprint,
}

/// Pairs of a kind and a place of the parent, as a set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Situations(u16);

/// A key that rules ask for, and where its place among a span's attributes is remembered.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) name: Box<str>,
    pub(super) slot: usize,
}

/// So many keys are looked up once a span, however many rules ask for them. Those beyond are looked up by each.
const SLOTS: usize = 8;

impl<'s, 'a> Subject<'s, 'a> {
    pub(super) fn new(span: &'s StartingSpan<'a>) -> Self {
        Self {
            span,
            situation: Situations::of(span),
            slots: [Slot::UNKNOWN; SLOTS],
        }
    }

    /// The value of an attribute, and what its text forms have. If it was given twice the last one counts, as when it is set
    /// twice.
    pub(super) fn attribute(&mut self, key: &Key) -> Option<(&'a Value, Fingerprint)> {
        let attributes = self.span.attributes();
        let Some(slot) = self.slots.get_mut(key.slot) else {
            let place = find(attributes, &key.name)?;
            return Some((&attributes[place].value, Fingerprint::FULL));
        };
        if slot.place == Slot::UNKNOWN.place {
            *slot = Slot::of(attributes, &key.name);
        }
        let attribute = attributes.get(slot.place as usize)?;
        Some((&attribute.value, slot.fingerprint))
    }
}

impl Slot {
    const UNKNOWN: Self = Self {
        place: u32::MAX,
        fingerprint: Fingerprint::FULL,
    };

    const ABSENT: Self = Self {
        place: u32::MAX - 1,
        ..Self::UNKNOWN
    };

    fn of(attributes: &[KeyValue], key: &str) -> Self {
        let found = find(attributes, key).and_then(|place| u32::try_from(place).ok());
        found.map_or(Self::ABSENT, |place| Self {
            place,
            fingerprint: fingerprint(&attributes[place as usize].value),
        })
    }
}

/// What the text forms of a value have together.
fn fingerprint(value: &Value) -> Fingerprint {
    let all = Cell::new(Fingerprint::default());
    any_text(value, |text| {
        all.set(all.get().and(Fingerprint::of(text)));
        false
    });
    all.get()
}

impl Key {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            slot: usize::MAX,
        }
    }
}

fn find(attributes: &[KeyValue], key: &str) -> Option<usize> {
    attributes.iter().rposition(|attribute| attribute.key.as_str() == key)
}

impl Situations {
    pub(super) const ALL: Self = Self((1 << (KINDS * ORIGINS)) - 1);
    pub(super) const NONE: Self = Self(0);

    fn of(span: &StartingSpan<'_>) -> Self {
        Self(1 << (kind_index(span.kind()) * ORIGINS + origin_index(span.parent_origin())))
    }

    pub(super) fn of_kinds(kinds: impl IntoIterator<Item = SpanKind>) -> Self {
        let kinds = kinds.into_iter().map(|kind| kind_index(&kind) * ORIGINS);
        Self(kinds.fold(0, |all, shift| all | ((1 << ORIGINS) - 1) << shift))
    }

    pub(super) fn of_parents(parents: impl IntoIterator<Item = ParentOrigin>) -> Self {
        let origins = parents
            .into_iter()
            .fold(0, |all, origin| all | 1 << origin_index(origin));
        Self((0..KINDS).fold(0, |all, kind| all | origins << (kind * ORIGINS)))
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn contains(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn complement(self) -> Self {
        Self(!self.0 & Self::ALL.0)
    }
}

const KINDS: usize = 5;
const ORIGINS: usize = 3;

fn kind_index(kind: &SpanKind) -> usize {
    match kind {
        SpanKind::Client => 0,
        SpanKind::Server => 1,
        SpanKind::Producer => 2,
        SpanKind::Consumer => 3,
        SpanKind::Internal => 4,
    }
}

fn origin_index(origin: ParentOrigin) -> usize {
    match origin {
        ParentOrigin::None => 0,
        ParentOrigin::Local => 1,
        ParentOrigin::Remote => 2,
    }
}
