//! Instrumentation scopes: each distinct one has an id, and is encoded once.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, PoisonError, RwLock};

use opentelemetry::{Array, InstrumentationScope, KeyValue, Value};
use spanwright_core::ScopeId;
use spanwright_core::semconv::attribute::{OTEL_SCOPE_NAME, OTEL_SCOPE_SCHEMA_URL, OTEL_SCOPE_VERSION};

use super::draft::Draft;
use super::value::write_attribute;
use super::wire::{Cursor, Written};

/// How many distinct scopes one encoder tells apart.
///
/// A scope names a library or a module, so that a large program has tens of them. Only a program that puts data into its
/// scopes (a tenant, a request) comes here, and ids are never used again: without a bound it would leak. At some 400 bytes a
/// scope the table ends at 2 MiB.
pub(super) const MAX_SCOPES: usize = 4096;

/// The id of every scope beyond [`MAX_SCOPES`].
///
/// On the wire it is a scope without a name, which the protocol reads as unknown; its spans carry their own scope as
/// attributes ([`write_as_attributes`]), so that nothing is lost and nothing is attributed to a scope that is not its own.
pub(super) const OVERFLOW: ScopeId = ScopeId::new(MAX_SCOPES as u32);

/// How many scopes a thread remembers: the server's, a few clients', the application's. Each stands before the next one in a
/// search, so that more of them would make the search longer than the lock that it saves.
const REMEMBERED: usize = 8;

mod tag {
    use crate::encode::wire::delimited;

    pub(super) const SCOPE: u8 = delimited(1);
    pub(super) const SCHEMA_URL: u8 = delimited(3);
    pub(super) const NAME: u8 = delimited(1);
    pub(super) const VERSION: u8 = delimited(2);
    pub(super) const ATTRIBUTES: u8 = delimited(3);
}

/// A scope with its id.
#[derive(Clone, Debug)]
pub(super) struct KnownScope {
    pub(super) id: ScopeId,
    scope: Arc<InstrumentationScope>,
}

/// Every scope that the encoder has seen.
#[derive(Debug, Default)]
pub(super) struct ScopeTable {
    inner: RwLock<Inner>,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Inner {
    entries: Vec<Entry>,
    by_hash: HashMap<u64, Vec<KnownScope>>,
}

/// The fields of `ScopeSpans` beside the spans, encoded.
type Entry = Box<[u8]>;

impl ScopeTable {
    /// The scope with its id, a new one if it was never seen; `None` if the table is full.
    pub(super) fn intern(&self, scope: &InstrumentationScope) -> Option<KnownScope> {
        let hash = self.hash(scope);
        {
            let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
            let known = inner.find(hash, scope);
            if known.is_some() || inner.entries.len() >= MAX_SCOPES {
                return known;
            }
        }
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        inner.find(hash, scope).or_else(|| inner.insert(hash, scope))
    }

    /// Hands the fields that precede the spans of `scope` to `read`.
    pub(super) fn read_header<R>(&self, scope: ScopeId, read: impl FnOnce(&[u8]) -> R) -> R {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        match inner.entries.get(scope.index()) {
            Some(header) => read(header),
            None => read(&[tag::SCOPE, 0]),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).entries.len()
    }

    /// The order of attributes is no part of it, as it is no part of equality.
    fn hash(&self, scope: &InstrumentationScope) -> u64 {
        let attributes = scope
            .attributes()
            .map(|attribute| self.hasher.hash_one(attribute))
            .fold(0, u64::wrapping_add);
        self.hasher
            .hash_one((scope.name(), scope.version(), scope.schema_url(), attributes))
    }
}

impl Inner {
    fn find(&self, hash: u64, scope: &InstrumentationScope) -> Option<KnownScope> {
        let candidates = self.by_hash.get(&hash)?;
        candidates.iter().find(|known| is_same(&known.scope, scope)).cloned()
    }

    fn insert(&mut self, hash: u64, scope: &InstrumentationScope) -> Option<KnownScope> {
        let index = u32::try_from(self.entries.len()).ok()?;
        if self.entries.len() >= MAX_SCOPES {
            return None;
        }
        let known = KnownScope {
            id: ScopeId::new(index),
            scope: Arc::new(scope.clone()),
        };
        self.entries.push(encode_header(scope));
        self.by_hash.entry(hash).or_default().push(known.clone());
        Some(known)
    }
}

/// The scopes that one thread saw, so that its spans do not pass the table's lock.
#[derive(Debug, Default)]
pub(super) struct ScopeMemory {
    known: [Option<KnownScope>; REMEMBERED],
    oldest: usize,
}

impl ScopeMemory {
    #[inline]
    pub(super) fn find(&self, scope: &InstrumentationScope) -> Option<ScopeId> {
        let mut known = self.known.iter().map_while(Option::as_ref);
        known.find(|known| is_same(&known.scope, scope)).map(|known| known.id)
    }

    /// Remembers `scope`, in the place of the one that was remembered first.
    pub(super) fn remember(&mut self, scope: KnownScope) {
        self.known[self.oldest] = Some(scope);
        self.oldest = (self.oldest + 1) % REMEMBERED;
    }
}

/// Appends `scope` to a span as attributes, the way that the specification maps scopes for formats that have none.
///
/// # Source
///
/// [OpenTelemetry, mapping to non-OTLP formats](https://opentelemetry.io/docs/specs/otel/common/mapping-to-non-otlp/#instrumentationscope)
/// for name and version; schema URL and attributes as the
/// [mapping to Prometheus](https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/#instrumentation-scope) does it.
#[cold]
#[inline(never)]
pub(super) fn write_as_attributes<'a>(cursor: Cursor<'a>, tag: u8, scope: &InstrumentationScope) -> Written<'a> {
    let texts = [
        (OTEL_SCOPE_NAME, Some(scope.name())),
        (OTEL_SCOPE_VERSION, scope.version()),
        (OTEL_SCOPE_SCHEMA_URL, scope.schema_url()),
    ];
    let cursor = texts
        .into_iter()
        .filter_map(|(key, text)| text.map(|text| (key, Value::from(text.to_owned()))))
        .try_fold(cursor, |cursor, (key, value)| {
            write_attribute(cursor, tag, key, &value, usize::MAX)
        })?;
    scope.attributes().try_fold(cursor, |cursor, attribute| {
        let key = format!("otel.scope.{}", attribute.key);
        write_attribute(cursor, tag, &key, &attribute.value, usize::MAX)
    })
}

/// `ScopeSpans.scope` and `ScopeSpans.schema_url`.
fn encode_header(scope: &InstrumentationScope) -> Box<[u8]> {
    let mut draft = Draft::default();
    let mut header = Vec::new();
    draft.append_field(&mut header, tag::SCOPE, |cursor| {
        let cursor = cursor
            .string(tag::NAME, scope.name())?
            .string(tag::VERSION, scope.version().unwrap_or_default())?;
        scope.attributes().try_fold(cursor, |cursor, attribute| {
            write_attribute(
                cursor,
                tag::ATTRIBUTES,
                attribute.key.as_str(),
                &attribute.value,
                usize::MAX,
            )
        })
    });
    if let Some(schema_url) = scope.schema_url().filter(|url| !url.is_empty()) {
        draft.append_field(&mut header, tag::SCHEMA_URL, |cursor| {
            cursor.bytes(schema_url.as_bytes())
        });
    }
    header.into_boxed_slice()
}

/// Equality as the type itself has it, but without allocations, and such that a `NaN` equals itself: else each span of a
/// scope with one would have a scope of its own.
#[inline]
fn is_same(one: &InstrumentationScope, other: &InstrumentationScope) -> bool {
    is_same_text(one.name(), other.name())
        && is_same_option(one.version(), other.version())
        && is_same_option(one.schema_url(), other.schema_url())
        && one.attributes().size_hint() == other.attributes().size_hint()
        && (one.attributes().next().is_none() || has_same_attributes(one, other))
}

/// Text at the same place is not read: the name of a scope is a literal almost always.
#[inline]
fn is_same_text(one: &str, other: &str) -> bool {
    one.len() == other.len() && (one.as_ptr() == other.as_ptr() || one == other)
}

#[inline]
fn is_same_option(one: Option<&str>, other: Option<&str>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => is_same_text(one, other),
        (None, None) => true,
        _ => false,
    }
}

/// Whether each key has the same values on both sides, of which there are equally many; the order of the keys is free.
#[inline(never)]
fn has_same_attributes(one: &InstrumentationScope, other: &InstrumentationScope) -> bool {
    let mut pairs = one.attributes().zip(other.attributes());
    pairs.all(|(one, other)| is_same_attribute(one, other))
        || one.attributes().enumerate().all(|(index, attribute)| {
            let same_key = |other: &&KeyValue| other.key == attribute.key;
            let earlier = one.attributes().take(index).filter(same_key).count();
            let counterpart = other.attributes().filter(same_key).nth(earlier);
            counterpart.is_some_and(|other| is_same_attribute(attribute, other))
        })
}

fn is_same_attribute(one: &KeyValue, other: &KeyValue) -> bool {
    let bits = |number: &f64| number.to_bits();
    one.key == other.key
        && match (&one.value, &other.value) {
            (Value::F64(one), Value::F64(other)) => bits(one) == bits(other),
            (Value::Array(Array::F64(one)), Value::Array(Array::F64(other))) => {
                one.iter().map(bits).eq(other.iter().map(bits))
            }
            (one, other) => one == other,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(attributes: impl IntoIterator<Item = KeyValue>) -> InstrumentationScope {
        InstrumentationScope::builder("library")
            .with_version("1.0")
            .with_attributes(attributes)
            .build()
    }

    fn id(table: &ScopeTable, scope: &InstrumentationScope) -> usize {
        table.intern(scope).unwrap().id.index()
    }

    #[test]
    fn every_part_of_a_scope_tells_it_from_another() {
        let table = ScopeTable::default();
        let distinct = [
            InstrumentationScope::builder("library").build(),
            InstrumentationScope::builder("librarY").build(),
            InstrumentationScope::builder("library").with_version("").build(),
            InstrumentationScope::builder("library").with_version("1.0").build(),
            InstrumentationScope::builder("library").with_schema_url("1.0").build(),
            scope([KeyValue::new("a", 1)]),
            scope([KeyValue::new("a", 2)]),
            scope([KeyValue::new("b", 1)]),
            scope([KeyValue::new("a", 1), KeyValue::new("a", 1), KeyValue::new("b", 1)]),
            scope([KeyValue::new("a", 1), KeyValue::new("b", 1), KeyValue::new("b", 1)]),
            scope([KeyValue::new("a", 1), KeyValue::new("a", 2)]),
            scope([KeyValue::new("a", 2), KeyValue::new("a", 1)]),
            scope([KeyValue::new("b", 1), KeyValue::new("a", 1), KeyValue::new("a", 2)]),
            scope([KeyValue::new("a", 0.0)]),
            scope([KeyValue::new("a", -0.0)]),
        ];
        for (index, scope) in distinct.iter().enumerate() {
            assert_eq!(id(&table, scope), index);
        }
        for (index, scope) in distinct.iter().enumerate() {
            assert_eq!(id(&table, &scope.clone()), index);
            // A thread's memory compares without a hash.
            let same = distinct.iter().filter(|other| is_same(scope, other));
            assert_eq!(same.count(), 1, "{scope:?}");
        }
    }

    #[test]
    fn equal_scopes_are_one_wherever_their_text_lives() {
        let table = ScopeTable::default();
        let owned = |text: &str| InstrumentationScope::builder(text.to_owned()).build();
        assert_eq!(id(&table, &owned("library")), id(&table, &owned("library")));
    }

    #[test]
    fn the_order_of_attributes_does_not_matter() {
        let table = ScopeTable::default();
        let one = scope([KeyValue::new("a", 1), KeyValue::new("b", 2)]);
        let other = scope([KeyValue::new("b", 2), KeyValue::new("a", 1)]);
        assert_eq!(id(&table, &one), id(&table, &other));
    }

    #[test]
    fn a_scope_with_a_nan_equals_itself() {
        let table = ScopeTable::default();
        let nan = || {
            scope([
                KeyValue::new("a", f64::NAN),
                KeyValue::new("b", Value::Array(vec![f64::NAN].into())),
            ])
        };
        assert_eq!(id(&table, &nan()), id(&table, &nan()));
    }

    #[test]
    fn a_thread_remembers_the_scopes_that_it_saw_last() {
        let table = ScopeTable::default();
        let mut memory = ScopeMemory::default();
        let scopes: Vec<_> = (0..=REMEMBERED)
            .map(|number| InstrumentationScope::builder(number.to_string()).build())
            .collect();
        for scope in &scopes {
            assert_eq!(memory.find(scope), None);
            memory.remember(table.intern(scope).unwrap());
            assert_eq!(memory.find(scope).map(ScopeId::index), Some(id(&table, scope)));
        }
        assert_eq!(memory.find(&scopes[0]), None);
        assert_eq!(memory.find(&scopes[1]).map(ScopeId::index), Some(1));
    }
}
