//! Rules, and spans that they fit or do not.

use serde_json::{Map, Value, json};

use super::random::Random;

const KINDS: &[&str] = &["internal", "server", "client", "producer", "consumer"];
const PARENTS: &[&str] = &["none", "local", "remote"];
const KEYS: &[&str] = &["http.route", "http.response.status_code", "tags"];

/// Texts that meet in values, lists and patterns. None is true or false, which languages write in different ways.
const VALUES: &[&str] = &["/", "/cart", "/cart/7", "/Cart", "200", "404", "a.b", "a*b", ""];
const PATTERNS: &[&str] = &["*", "/cart*", "/c?rt", "/*/?", "4??", "a.b", "a*b", "*7", "", "**t**"];

/// The kind of a span.
pub(super) fn kind(random: &mut Random) -> &'static str {
    random.one_of(KINDS)
}

/// The attributes of a span: some of the keys, with texts, whole numbers and lists.
pub(super) fn attributes(random: &mut Random) -> Value {
    let mut attributes = Map::new();
    for key in KEYS {
        let value = match random.below(4) {
            0 => continue,
            1 => json!(200 + 102 * random.below(3)),
            2 => json!([random.one_of(VALUES), random.one_of(VALUES)]),
            _ => json!(random.one_of(VALUES)),
        };
        attributes.insert((*key).to_owned(), value);
    }
    Value::Object(attributes)
}

/// The conditions of a rule.
pub(super) fn predicates(random: &mut Random) -> Vec<Value> {
    (0..random.below(3)).map(|_| predicate(random)).collect()
}

fn predicate(random: &mut Random) -> Value {
    let mut some = |values: &[&'static str], least: u64| -> Vec<&str> {
        (0..least + random.below(3)).map(|_| random.one_of(values)).collect()
    };
    let (kinds, parents, values) = (some(KINDS, 1), some(PARENTS, 1), some(VALUES, 1));
    let (included, excluded) = (some(PATTERNS, 0), some(PATTERNS, 0));
    let key = random.one_of(KEYS);
    match random.below(4) {
        0 => json!({ "kind": "span_kinds", "kinds": kinds }),
        1 => json!({ "kind": "parents", "parents": parents }),
        2 => json!({ "kind": "attribute_values", "key": key, "values": values }),
        _ => json!({ "kind": "attribute_patterns", "key": key, "included": included, "excluded": excluded }),
    }
}
