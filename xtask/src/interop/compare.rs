//! The differences between what was sent and what arrived.

use serde_json::Value;

const MOST_CHARACTERS_SHOWN: usize = 80;

/// One line for each field that differs, and for each span that is missing, unexpected or doubled. Both sides are normalised.
pub(super) fn differences(sent: &[Value], arrived: &[Value]) -> Vec<String> {
    let mut differences = Vec::new();
    let mut unmatched: Vec<&Value> = Vec::new();
    for row in arrived {
        match row.get("error") {
            Some(error) => differences.push(format!("the receiver says: {error}")),
            None => unmatched.push(row),
        }
    }
    for row in sent {
        let id = id(row);
        match unmatched.iter().position(|other| self::id(other) == id) {
            Some(at) => compare(row, unmatched.swap_remove(at), &format!("span {id}"), &mut differences),
            None => differences.push(format!("span {id} did not arrive")),
        }
    }
    differences.extend(
        unmatched
            .into_iter()
            .map(|row| format!("span {} was not sent, or arrived twice", id(row))),
    );
    differences
}

/// Trace and span; two spans may share one of them.
fn id(row: &Value) -> String {
    let part = |name: &str| row["span"][name].as_str().unwrap_or("none").to_owned();
    format!("{}/{}", part("trace_id"), part("span_id"))
}

fn compare(sent: &Value, arrived: &Value, path: &str, differences: &mut Vec<String>) {
    match (sent, arrived) {
        (Value::Object(a), Value::Object(b)) => {
            let names = a.keys().chain(b.keys().filter(|name| !a.contains_key(*name)));
            for name in names {
                compare_optional(a.get(name), b.get(name), &format!("{path}.{name}"), differences);
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            for index in 0..a.len().max(b.len()) {
                compare_optional(a.get(index), b.get(index), &format!("{path}[{index}]"), differences);
            }
        }
        _ if sent == arrived => {}
        _ => differences.push(format!("{path}: sent {}, arrived {}", shown(sent), shown(arrived))),
    }
}

fn compare_optional(sent: Option<&Value>, arrived: Option<&Value>, path: &str, differences: &mut Vec<String>) {
    match (sent, arrived) {
        (Some(sent), Some(arrived)) => compare(sent, arrived, path, differences),
        (Some(sent), None) => differences.push(format!("{path}: sent {}, did not arrive", shown(sent))),
        (None, Some(arrived)) => differences.push(format!("{path}: not sent, arrived {}", shown(arrived))),
        (None, None) => {}
    }
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(MOST_CHARACTERS_SHOWN) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(id: &str, name: &str) -> Value {
        json!({"scope": {"name": "s"}, "span": {"trace_id": "t", "span_id": id, "name": name, "events": [{"name": "e"}]}})
    }

    #[test]
    fn equal_rows_in_any_order_have_no_differences() {
        assert!(differences(&[row("1", "a"), row("2", "b")], &[row("2", "b"), row("1", "a")]).is_empty());
    }

    #[test]
    fn a_field_that_differs_is_named_by_its_path() {
        let sent = [row("1", "a")];
        assert_eq!(
            differences(&sent, &[row("1", "b")]),
            [r#"span t/1.span.name: sent "a", arrived "b""#]
        );
        let mut arrived = row("1", "a");
        arrived["span"]["events"] = json!([{"name": "e", "x": 1}, {"name": "f"}]);
        assert_eq!(
            differences(&sent, &[arrived]),
            [
                "span t/1.span.events[0].x: not sent, arrived 1",
                r#"span t/1.span.events[1]: not sent, arrived {"name":"f"}"#,
            ]
        );
        let mut arrived = row("1", "a");
        arrived["scope"] = json!({});
        assert_eq!(
            differences(&sent, &[arrived]),
            [r#"span t/1.scope.name: sent "s", did not arrive"#]
        );
        let mut arrived = row("1", "a");
        arrived["span"]["name"] = json!("é".repeat(200));
        assert_eq!(
            differences(&sent, &[arrived])[0].chars().filter(|c| *c == 'é').count(),
            MOST_CHARACTERS_SHOWN - 1
        );
    }

    #[test]
    fn missing_unexpected_and_doubled_spans_are_named() {
        let found = differences(
            &[row("1", "a"), row("2", "a")],
            &[row("1", "a"), row("1", "a"), row("3", "a")],
        );
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found.contains(&"span t/2 did not arrive".to_owned()));
        assert!(found.contains(&"span t/1 was not sent, or arrived twice".to_owned()));
        assert!(found.contains(&"span t/3 was not sent, or arrived twice".to_owned()));
    }

    #[test]
    fn what_the_receiver_could_not_read_is_a_difference() {
        assert_eq!(
            differences(&[], &[json!({"error": "unknown fields"})]),
            [r#"the receiver says: "unknown fields""#]
        );
    }
}
