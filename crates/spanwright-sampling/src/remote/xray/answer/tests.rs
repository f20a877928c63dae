use super::*;
use proptest::prelude::{any, proptest};

const RULE: &str = r#"{"RuleName":"r","RuleARN":"arn:aws:xray:::r","ResourceARN":"*","Priority":7,"FixedRate":0.25,"ReservoirSize":5,
    "ServiceName":"check*","ServiceType":"*","Host":"*","HTTPMethod":"GET","URLPath":"/a/?","Version":1,"Attributes":{"b":"2","a":"1*"}}"#;

fn page_of(rule: &str) -> String {
    format!(
        r#"{{"SamplingRuleRecords":[{{"CreatedAt":0,"ModifiedAt":1.7e9,"SamplingRule":{rule}}}],"NextToken":null}}"#
    )
}

fn refused<T: std::fmt::Debug>(result: Result<T, BuildError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn a_rule_is_read_with_all_that_it_says() {
    let page = rules(page_of(RULE).as_bytes()).unwrap();
    let [rule] = &page.rules[..] else { panic!("{page:?}") };
    assert_eq!((&*rule.name, rule.priority), ("r", 7));
    assert_eq!((rule.fixed_rate, rule.reservoir_size), (0.25, 5.0));
    assert_eq!(
        (rule.service_name.as_str(), rule.service_type.as_str()),
        ("check*", "*")
    );
    assert_eq!(
        (rule.method.as_str(), rule.path.as_str(), rule.host.as_str()),
        ("GET", "/a/?", "*")
    );
    let own = |name: &str, pattern: &str| (name.to_owned(), pattern.to_owned());
    assert_eq!(rule.attributes, [own("a", "1*"), own("b", "2")]);
    assert_eq!((page.modified, page.next_token), (Some(1.7e9), None));
}

#[test]
fn what_may_be_missing_says_nothing_and_what_is_unknown_is_passed_over() {
    let least =
        r#"{"RuleName":"Default","Priority":10000,"FixedRate":0,"ReservoirSize":0,"Attributes":null,"Later":[1]}"#;
    let page = rules(page_of(least).as_bytes()).unwrap();
    assert_eq!(
        (page.rules[0].service_name.as_str(), page.rules[0].path.as_str()),
        ("*", "*")
    );
    let page = rules(page_of(&RULE.replace("\"Version\":1", "\"Version\":2")).as_bytes()).unwrap();
    assert!(page.rules.is_empty(), "rules of another version are none of ours");
    let page = rules(br#"{"SamplingRuleRecords":[],"NextToken":"t","More":{}}"#).unwrap();
    assert_eq!((page.rules.len(), page.next_token.as_deref()), (0, Some("t")));
}

#[test]
fn rules_that_cannot_be_used_are_refused_by_field_and_value() {
    for (from, to, said) in [
        (
            "0.25",
            "1.5",
            "SamplingRuleRecords[0].SamplingRule.FixedRate` cannot be `1.5`",
        ),
        ("0.25", "-0.25", "FixedRate` cannot be `-0.25`"),
        ("0.25", "\"NaN\"", "FixedRate` cannot be `\"NaN\"`; accepted: a number"),
        ("0.25", "NaN", "accepted: JSON"),
        ("0.25", "1e999", "accepted: JSON"),
        ("0.25", "null", "FixedRate` cannot be `missing`"),
        (":5,", ":-1,", "ReservoirSize` cannot be `-1`"),
        (":5,", ":1e300,", "ReservoirSize` cannot be `1"),
        (":7,", ":-7,", "Priority` cannot be `-7`"),
        (":7,", ":7.5,", "Priority` cannot be `7.5`"),
        (":7,", ":18446744073709551616,", "Priority` cannot be"),
        ("\"r\",\"RuleARN\"", "\"\",\"RuleARN\"", "RuleName` cannot be `missing`"),
        ("\"GET\"", "[]", "HTTPMethod` cannot be `[]`; accepted: a string"),
        ("\"1*\"", "1", "Attributes.a` cannot be `1`"),
    ] {
        let changed = RULE.replace(from, to);
        assert_ne!(changed, RULE);
        let error = refused(rules(page_of(&changed).as_bytes()));
        assert!(error.contains(said), "{error}");
    }
    let long = "p".repeat(1025);
    let error = refused(rules(page_of(&RULE.replace("GET", &long)).as_bytes()));
    assert!(error.contains("`a pattern of 1025 bytes`"), "{error}");
    let many: Vec<_> = (0..101).map(|index| format!("\"{index}\":\"*\"")).collect();
    let many = RULE.replace("\"b\":\"2\"", &many.join(","));
    assert!(refused(rules(page_of(&many).as_bytes())).contains("at most 100"));
    for (body, said) in [
        ("", "accepted: JSON"),
        ("[]", "`answer` cannot be `[]`; accepted: an object"),
        ("{}", "`SamplingRuleRecords` cannot be `missing`"),
        (r#"{"SamplingRuleRecords":{}}"#, "accepted: an array"),
        (
            r#"{"SamplingRuleRecords":[1]}"#,
            "`SamplingRuleRecords[0]` cannot be `1`",
        ),
        (
            r#"{"SamplingRuleRecords":[{}]}"#,
            "SamplingRuleRecords[0].SamplingRule` cannot be `missing`",
        ),
        (
            r#"{"SamplingRuleRecords":[],"NextToken":1}"#,
            "`answer.NextToken` cannot be `1`",
        ),
    ] {
        let error = refused(rules(body.as_bytes()));
        assert!(error.contains(said), "{error}");
    }
}

const TARGETS: &str = r#"{"LastRuleModification":1.7e9,"SamplingTargetDocuments":[
    {"RuleName":"r","FixedRate":0.1,"ReservoirQuota":3,"ReservoirQuotaTTL":1767225610.5,"Interval":20},{"RuleName":"s"}],
    "UnprocessedStatistics":[{"RuleName":"q","ErrorCode":"400","Message":"no such rule"}]}"#;

#[test]
fn targets_are_read_with_what_they_leave_out() {
    let answer = targets(TARGETS.as_bytes()).unwrap();
    assert_eq!(answer.last_modification, Some(1.7e9));
    let [whole, empty] = &answer.targets[..] else {
        panic!("{answer:?}")
    };
    assert_eq!(
        (whole.fixed_rate, whole.quota, whole.interval_seconds),
        (Some(0.1), Some(3.0), Some(20.0))
    );
    assert_eq!(whole.quota_ends, Some(1_767_225_610.5));
    assert_eq!((empty.rule.as_str(), empty.quota, empty.fixed_rate), ("s", None, None));
    assert_eq!(
        (answer.unprocessed[0].rule.as_str(), answer.unprocessed[0].why.as_str()),
        ("q", "400 no such rule")
    );
    for (from, to, said) in [
        ("0.1", "2", "SamplingTargetDocuments[0].FixedRate` cannot be `2`"),
        (":3", ":-3", "ReservoirQuota` cannot be `-3`"),
        (":3", ":1e10", "ReservoirQuota` cannot be `10000000000`"),
        (":20", ":0", "Interval` cannot be `0`; accepted: 1 to 86400 seconds"),
        (":20", ":\"20\"", "Interval` cannot be `\"20\"`"),
        (
            "\"RuleName\":\"s\"",
            "",
            "SamplingTargetDocuments[1].RuleName` cannot be `missing`",
        ),
        ("1767225610.5", "Infinity", "accepted: JSON"),
        (
            "\"SamplingTargetDocuments\"",
            "\"Documents\"",
            "`SamplingTargetDocuments` cannot be `missing`",
        ),
    ] {
        let error = refused(targets(TARGETS.replace(from, to).as_bytes()));
        assert!(error.contains(said), "{error}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>(), at in 0..TARGETS.len(), byte in any::<u8>()) {
        _ = (rules(&bytes), targets(&bytes));
        for whole in [page_of(RULE), TARGETS.to_owned()] {
            let mut changed = whole.into_bytes();
            let place = at % changed.len();
            changed[place] = byte;
            _ = (rules(&changed), targets(&changed));
            _ = (rules(&changed[..place]), targets(&changed[..place]));
        }
    }
}
