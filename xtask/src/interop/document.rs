//! What was sent and what arrived, as JSON of one shape. `xtask/interop/README.md` describes it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::Failure;

/// What a document must have in it to be worth comparing: a path, with `[]` for every element, or a path and a number.
const REQUIRED: &[&str] = &[
    "resource.attributes[].key",
    "resource_schema_url",
    "scope.attributes[].key",
    "scope.name",
    "scope.version",
    "scope_schema_url",
    "span.attributes[].value.array_value.values[].bool_value",
    "span.attributes[].value.array_value.values[].double_value",
    "span.attributes[].value.array_value.values[].int_value",
    "span.attributes[].value.array_value.values[].string_value",
    "span.attributes[].value.bool_value",
    "span.attributes[].value.double_value",
    "span.attributes[].value.int_value",
    "span.attributes[].value.string_value",
    "span.dropped_attributes_count",
    "span.dropped_events_count",
    "span.dropped_links_count",
    "span.end_time_unix_nano",
    "span.events[].attributes[].key",
    "span.events[].dropped_attributes_count",
    "span.events[].name",
    "span.events[].time_unix_nano",
    "span.flags = 257", // sampled, the parent is in this process
    "span.flags = 769", // sampled, the parent is remote
    "span.kind = 1",
    "span.kind = 2",
    "span.kind = 3",
    "span.kind = 4",
    "span.kind = 5",
    "span.links[].attributes[].key",
    "span.links[].dropped_attributes_count",
    "span.links[].flags",
    "span.links[].span_id",
    "span.links[].trace_id",
    "span.links[].trace_state",
    "span.name",
    "span.parent_span_id",
    "span.span_id",
    "span.start_time_unix_nano",
    "span.status.code = 1",
    "span.status.code = 2",
    "span.status.message",
    "span.trace_id",
    "span.trace_state",
];

/// Reads what our program printed, and refuses a document that would prove too little.
pub(super) fn parse(text: &str) -> Result<Vec<Value>, Failure> {
    let document =
        serde_json::from_str(text).map_err(|error| format!("our program printed no JSON document: {error}"))?;
    let Value::Array(rows) = document else {
        return Err("our program printed a document that is no array of spans".into());
    };
    let rows: Vec<Value> = rows.into_iter().map(normalised).collect();
    let missing = missing(&rows);
    if missing.is_empty() {
        Ok(rows)
    } else {
        Err(format!("our program sent no {}", missing.join(", no ")).into())
    }
}

/// The row without what means nothing in OTLP: fields with their default value, and the order of a resource's attributes.
pub(super) fn normalised(mut row: Value) -> Value {
    if let Some(attributes) = row["resource"]["attributes"].as_array_mut() {
        attributes.sort_by(|a, b| a["key"].as_str().cmp(&b["key"].as_str()));
    }
    prune(&mut row);
    row
}

/// What the rows do not show.
fn missing(rows: &[Value]) -> Vec<&'static str> {
    let mut seen = BTreeSet::new();
    for row in rows {
        collect_paths(row, String::new(), &mut seen);
    }
    let mut missing: Vec<&str> = REQUIRED.iter().copied().filter(|path| !seen.contains(*path)).collect();
    let scopes: BTreeSet<&str> = rows.iter().filter_map(|row| row["scope"]["name"].as_str()).collect();
    if scopes.len() < 2 {
        missing.push("second scope");
    }
    if rows.iter().all(|row| row.to_string().is_ascii()) {
        missing.push("text beyond ASCII");
    }
    missing
}

fn collect_paths(value: &Value, path: String, seen: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            let separator = if path.is_empty() { "" } else { "." };
            for (name, field) in fields {
                collect_paths(field, format!("{path}{separator}{name}"), seen);
            }
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| collect_paths(item, format!("{path}[]"), seen)),
        Value::Number(number) => drop(seen.insert(format!("{path} = {number}"))),
        _ => {}
    }
    seen.insert(path);
}

/// Removes fields with their default value. Those of a value are the exception: an empty string is not the same as none.
fn prune(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(prune);
            fields.retain(|name, field| name.ends_with("_value") || !is_default(field));
        }
        Value::Array(items) => items.iter_mut().for_each(prune),
        _ => {}
    }
}

fn is_default(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(set) => !set,
        Value::Number(number) => number.as_u64() == Some(0),
        Value::String(text) => text.is_empty() || text == "0",
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_default_may_be_written_or_left_out_but_a_value_is_a_value() {
        let written = json!({
            "scope": {"name": "", "attributes": []},
            "span": {
                "flags": 0, "start_time_unix_nano": "0", "status": {"code": 0, "message": ""},
                "attributes": [
                    {"key": "a", "value": {"string_value": ""}},
                    {"key": "", "value": {"array_value": {"values": []}}},
                    {"key": "b", "value": {"array_value": {"values": [{"bool_value": false}, {"int_value": "0"}]}}},
                ],
            },
        });
        let left_out = json!({
            "span": {
                "attributes": [
                    {"key": "a", "value": {"string_value": ""}},
                    {"value": {"array_value": {}}},
                    {"key": "b", "value": {"array_value": {"values": [{"bool_value": false}, {"int_value": "0"}]}}},
                ],
            },
        });
        assert_eq!(normalised(written), normalised(left_out));
    }

    #[test]
    fn the_attributes_of_a_resource_have_no_order_and_those_of_a_span_do() {
        let row = |first: &str, second: &str, place: &str| {
            normalised(json!({place: {"attributes": [{"key": first}, {"key": second}]}}))
        };
        assert_eq!(row("a", "b", "resource"), row("b", "a", "resource"));
        assert_ne!(row("a", "b", "span"), row("b", "a", "span"));
    }

    #[test]
    fn a_document_that_would_prove_too_little_is_refused() {
        let failure = parse("[]").expect_err("nothing was sent").to_string();
        for path in REQUIRED {
            assert!(failure.contains(path), "{path}: {failure}");
        }
        assert!(
            failure.contains("second scope") && failure.contains("beyond ASCII"),
            "{failure}"
        );
        let one = json!([{"span": {"kind": 2, "events": [{"name": "é"}]}}]).to_string();
        let failure = parse(&one).expect_err("little was sent").to_string();
        assert!(
            !failure.contains("kind = 2") && failure.contains("kind = 3"),
            "{failure}"
        );
        assert!(
            !failure.contains("events[].name") && !failure.contains("ASCII"),
            "{failure}"
        );
    }

    #[test]
    fn what_is_no_document_is_refused() {
        assert!(parse("done").is_err());
        assert!(parse("{}").is_err());
    }
}
