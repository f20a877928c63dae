//! What the service calls: a database, a cache and a payment provider, each call in a span of kind client.
//!
//! They live in this process and take the time that real ones take; how the calls are described does not differ from real ones.

use std::fmt;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanBuilder, SpanKind};
use tokio::sync::Mutex;
use tokio::time::sleep;

use super::failure::Failure;
use super::spans::Tracing;
use crate::dice::Dice;

const DATABASE_LATENCY: Duration = Duration::from_millis(1);
const SLOW_DATABASE_LATENCY: Duration = Duration::from_millis(120);
const PAYMENT_LATENCY: Duration = Duration::from_millis(4);

/// One of so many queries fails, ..
const DATABASE_FAILURES: f64 = 0.006;
/// .. so many of the payments, ..
const PAYMENT_FAILURES: f64 = 0.07;
/// .. and so many of the heavy queries take long. Together: about 2 % of all requests fail, and about 1 % are slow.
const SLOW_QUERIES: f64 = 0.03;

/// A few times fewer than there are articles, so that it misses now and then.
const CACHE_SLOTS: usize = 2_048;

#[derive(Debug)]
pub(super) struct Backends {
    tracing: Tracing,
    dice: Dice,
    /// Direct-mapped: an article has one place, which the next one with the same place takes over.
    cache: Mutex<Vec<Option<Entry>>>,
}

/// A statement, as the semantic conventions describe one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query {
    pub(super) operation: &'static str,
    pub(super) table: &'static str,
    pub(super) text: &'static str,
}

/// What the database knows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    id: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    id: u64,
    record: Record,
}

impl Backends {
    pub(super) fn new(tracing: Tracing) -> Self {
        Self {
            tracing,
            dice: Dice::new(7),
            cache: Mutex::new(vec![None; CACHE_SLOTS]),
        }
    }

    /// # Source
    ///
    /// [PostgreSQL spans](https://opentelemetry.io/docs/specs/semconv/database/postgresql/).
    pub(super) async fn database(&self, query: Query, id: u64) -> Result<Record, Failure> {
        self.query(query, id, DATABASE_LATENCY).await
    }

    /// A query that now and then takes long.
    pub(super) async fn slow_database(&self, query: Query, id: u64) -> Result<Record, Failure> {
        let is_slow = self.dice.chance(SLOW_QUERIES);
        self.query(
            query,
            id,
            if is_slow {
                SLOW_DATABASE_LATENCY
            } else {
                DATABASE_LATENCY
            },
        )
        .await
    }

    /// # Source
    ///
    /// [Redis spans](https://opentelemetry.io/docs/specs/semconv/database/redis/).
    pub(super) async fn cached(&self, id: u64) -> Result<Option<Record>, Failure> {
        let span = command("GET", format!("GET article:{id}"));
        self.tracing
            .in_span(span, async {
                let cache = self.cache.lock().await;
                Ok(cache[slot(id)].filter(|entry| entry.id == id).map(|entry| entry.record))
            })
            .await
    }

    pub(super) async fn cache(&self, id: u64, record: Record) -> Result<(), Failure> {
        let span = command("SET", format!("SET article:{id} ? EX 300"));
        self.tracing
            .in_span(span, async {
                self.cache.lock().await[slot(id)] = Some(Entry { id, record });
                Ok(())
            })
            .await
    }

    /// # Source
    ///
    /// [HTTP spans](https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-client-span).
    pub(super) async fn pay(&self) -> Result<(), Failure> {
        let span = client("POST").with_attributes([
            KeyValue::new("http.request.method", "POST"),
            KeyValue::new("server.address", "payments.example"),
            KeyValue::new("server.port", 443),
            KeyValue::new("url.full", "https://payments.example/v2/charges"),
            KeyValue::new("network.protocol.version", "2"),
        ]);
        self.tracing
            .in_span(span, async {
                sleep(PAYMENT_LATENCY).await;
                if self.dice.chance(PAYMENT_FAILURES) {
                    Err(Failure::PaymentProviderUnavailable)
                } else {
                    Ok(())
                }
            })
            .await
    }

    async fn query(&self, query: Query, id: u64, latency: Duration) -> Result<Record, Failure> {
        let Query { operation, table, text } = query;
        let span = client(format!("{operation} {table}")).with_attributes([
            KeyValue::new("db.system.name", "postgresql"),
            KeyValue::new("db.namespace", "shop|public"),
            KeyValue::new("db.collection.name", table),
            KeyValue::new("db.operation.name", operation),
            KeyValue::new("db.query.text", text),
            KeyValue::new("server.address", "db-1.example"),
            KeyValue::new("server.port", 5432),
        ]);
        self.tracing
            .in_span(span, async {
                sleep(latency).await;
                if self.dice.chance(DATABASE_FAILURES) {
                    Err(Failure::DeadlockDetected)
                } else {
                    Ok(Record { id })
                }
            })
            .await
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no. {:06}", self.id)
    }
}

fn command(operation: &'static str, text: String) -> SpanBuilder {
    client(operation).with_attributes([
        KeyValue::new("db.system.name", "redis"),
        KeyValue::new("db.namespace", "0"),
        KeyValue::new("db.operation.name", operation),
        KeyValue::new("db.query.text", text),
        KeyValue::new("server.address", "cache-1.example"),
        KeyValue::new("server.port", 6379),
    ])
}

fn client(name: impl Into<std::borrow::Cow<'static, str>>) -> SpanBuilder {
    SpanBuilder::from_name(name).with_kind(SpanKind::Client)
}

fn slot(id: u64) -> usize {
    id as usize % CACHE_SLOTS
}
