//! The member in the header's form of a trace state: `key=value,key=value`.

use super::member::only;
use super::text::{LONG, Text};
use super::{Form, KEY, MAX_LEN, MAX_MEMBERS, OtelTraceState};

/// As [`read`](super::read), from the header's form.
pub(crate) fn read_header(header: &str) -> (OtelTraceState<'_>, Form) {
    only(values(header))
}

/// As [`write`](super::write), from the header's form to the header's form. False, and `out` is empty, if the value would be too
/// long.
pub(crate) fn write_header(header: &str, ot: OtelTraceState<'_>, out: &mut String) -> bool {
    out.clear();
    let text = Text::<LONG>::of(ot);
    let value = text.as_str();
    if value.len() > MAX_LEN {
        return false;
    }
    let member = (!value.is_empty()).then_some(value);
    if values(header).eq(member) {
        out.push_str(header);
        return true;
    }
    if let Some(value) = member {
        out.extend([KEY, "=", value]);
    }
    let is_other = |member: &&str| !member.is_empty() && value_of(member).is_none();
    let others = header.split(',').filter(is_other);
    for other in others.take(MAX_MEMBERS - usize::from(member.is_some())) {
        if !out.is_empty() {
            out.push(',');
        }
        out.push_str(other);
    }
    true
}

fn values(header: &str) -> impl Iterator<Item = &str> {
    header.split(',').filter_map(value_of)
}

/// The value, if this is our member.
fn value_of(member: &str) -> Option<&str> {
    member.strip_prefix(KEY)?.strip_prefix('=')
}
