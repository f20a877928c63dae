//! The attributes of the process.
//!
//! The SDK's own detector does not decode values, and lets `service.name` in `OTEL_RESOURCE_ATTRIBUTES` win over
//! `OTEL_SERVICE_NAME`; the specification says otherwise in both.
//!
//! # Source
//!
//! [Resource SDK, environment variable](https://opentelemetry.io/docs/specs/otel/resource/sdk/#specifying-resource-information-via-an-environment-variable).

use spanwright_core::Env;

use super::percent;

pub(crate) const SERVICE_NAME: &str = "service.name";

const ACCEPTED: &str = "key=value,key=value, with `%`, `,` and `=` percent-encoded; nothing of it is used";

/// `OTEL_RESOURCE_ATTRIBUTES`, and over it `OTEL_SERVICE_NAME`. A key may occur twice: the last one counts.
pub(super) fn attributes(env: &Env) -> Vec<(String, String)> {
    let mut attributes = env
        .parse("OTEL_RESOURCE_ATTRIBUTES", ACCEPTED, parse)
        .unwrap_or_default();
    attributes.extend(
        env.string("OTEL_SERVICE_NAME")
            .map(|name| (SERVICE_NAME.to_owned(), name)),
    );
    attributes
}

/// All of the list, or nothing: half of a resource is another resource.
fn parse(list: &str) -> Option<Vec<(String, String)>> {
    let entries = list.split(',').map(str::trim);
    // Lists are often put together by scripts, which leave commas at the ends.
    entries.filter(|entry| !entry.is_empty()).map(attribute).collect()
}

fn attribute(entry: &str) -> Option<(String, String)> {
    let (key, value) = entry.split_once('=')?;
    let key = percent::decode(key.trim()).filter(|key| !key.is_empty())?;
    Some((key, percent::decode(value.trim())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<const N: usize>(pairs: [(&str, &str); N]) -> (Vec<(String, String)>, usize) {
        let env = Env::from_pairs(pairs);
        (attributes(&env), env.ignored().len())
    }

    fn owned<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
    }

    #[test]
    fn a_list_is_read_and_decoded() {
        let list = ("OTEL_RESOURCE_ATTRIBUTES", "a=1, b = x%2Cy%3Dz ,c=,d=e=f,");
        assert_eq!(
            read([list]),
            (owned([("a", "1"), ("b", "x,y=z"), ("c", ""), ("d", "e=f")]), 0)
        );
    }

    #[test]
    fn one_bad_entry_spoils_the_list() {
        for list in ["a=1,b", "a=1,=2", "a=1,b=50%", "a=1,b=%FF"] {
            assert_eq!(read([("OTEL_RESOURCE_ATTRIBUTES", list)]), (vec![], 1), "{list}");
        }
    }

    #[test]
    fn the_name_by_its_own_variable_comes_last() {
        let (attributes, ignored) = read([
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=listed"),
            ("OTEL_SERVICE_NAME", "named"),
        ]);
        assert_eq!(attributes, owned([(SERVICE_NAME, "listed"), (SERVICE_NAME, "named")]));
        assert_eq!(ignored, 0);
    }
}
