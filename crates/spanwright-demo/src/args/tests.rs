//! What the command line says, and what cannot be said.

use super::*;

fn parse(line: &str) -> Result<Args, String> {
    match Args::parse(line.split_whitespace().map(str::to_owned)) {
        Ok(Command::Run(args)) => Ok(args),
        Ok(Command::Help) => Err("help".into()),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn nothing_given_is_the_default() {
    assert_eq!(parse(""), Ok(Args::default()));
}

#[test]
fn the_separator_of_cargo_is_skipped_once() {
    assert_eq!(parse("-- --json"), parse("--json"));
    assert!(parse("--json --").is_err() && parse("-- --").is_err());
}

#[test]
fn values_stand_behind_the_flag_or_attached_to_it() {
    let args = parse("--rate 1_500 --duration=2.5s --endpoint http://a?b=c --protocol=http --compression zstd --json");
    let expected = Args {
        endpoint: Some("http://a?b=c".into()),
        protocol: Protocol::Http,
        compression: Compression::Zstd,
        rate: 1_500,
        duration: Duration::from_millis(2_500),
        is_json: true,
        ..Args::default()
    };
    assert_eq!(args, Ok(expected));
    assert_eq!(parse("--pipeline stock").unwrap().kinds, [Kind::Stock]);
    assert_eq!(parse("--compare").unwrap().kinds, [Kind::Spanwright, Kind::Stock]);
}

#[test]
fn an_outage_is_refused_connections_unless_another_kind_is_named() {
    let outage = |line: &str| parse(line).unwrap().outage.unwrap();
    let expected = Outage {
        kind: OutageKind::Refuse,
        start: Duration::from_secs(2),
        end: Duration::from_secs(5),
    };
    assert_eq!(outage("--outage 2..5"), expected);
    for kind in [OutageKind::Exhausted, OutageKind::Hang, OutageKind::Refuse] {
        for line in [
            format!("--outage-kind {kind} --outage=2s..5s"),
            format!("--outage 2..5 --outage-kind {kind}"),
        ] {
            assert_eq!(outage(&line), Outage { kind, ..expected }, "{line}");
        }
    }
    assert!(outage("--outage 0..3 --duration 3").is_last(Duration::from_secs(3)));
}

#[test]
fn a_spool_is_a_directory_or_a_path_where_one_can_be_made() {
    for directory in [env!("CARGO_MANIFEST_DIR"), "not/there/yet"] {
        let args = parse(&format!("--compare --spool {directory}")).unwrap();
        assert_eq!(args.spool, Some(PathBuf::from(directory)));
    }
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let message = format!("`--spool` cannot be `{file}`; accepted: a directory, or a path where one can be made");
    assert_eq!(parse(&format!("--spool {file}")), Err(message));
}

#[test]
fn every_span_is_told_apart_where_it_is_to_be_shown_that_none_is_missing() {
    assert!(!parse("--compare").unwrap().has_proof());
    assert!(parse("--outage 2..5").unwrap().has_proof() && parse("--spool x").unwrap().has_proof());
}

#[test]
fn what_cannot_be_used_is_named_with_what_can() {
    for (line, message) in [
        (
            "--rate fast",
            "`--rate` cannot be `fast`; accepted: requests per second, 1 to 1000000",
        ),
        (
            "--rate 0",
            "`--rate` cannot be `0`; accepted: requests per second, 1 to 1000000",
        ),
        (
            "--duration 1m",
            "`--duration` cannot be `1m`; accepted: seconds, 0.1 to 86400, for instance 10 or 10s",
        ),
        (
            "--duration NaN",
            "`--duration` cannot be `NaN`; accepted: seconds, 0.1 to 86400, for instance 10 or 10s",
        ),
        ("--protocol tcp", "`--protocol` cannot be `tcp`; accepted: grpc, http"),
        (
            "--compression lz4",
            "`--compression` cannot be `lz4`; accepted: none, gzip, zstd",
        ),
        (
            "--pipeline fast",
            "`--pipeline` cannot be `fast`; accepted: spanwright, stock",
        ),
        (
            "--endpoint collector:4317",
            "`--endpoint` cannot be `collector:4317`; accepted: a URL, for instance http://127.0.0.1:4317",
        ),
        (
            "--compare --pipeline stock",
            "`--pipeline` cannot be `stock`; accepted: nothing beside `--compare`, which runs both",
        ),
        (
            "--sampler some",
            "`--sampler` cannot be `some`; accepted: always_on, ratio, rate_limiting, adaptive, priority, rules, per_key, tail",
        ),
        (
            "--sampler tail --compare",
            "`--sampler` cannot be `tail`; accepted: a sampler that decides at the start of a span; the stock pipeline has no tail",
        ),
        (
            "--outage 2-5",
            "`--outage` cannot be `2-5`; accepted: START..END, seconds from the start of the load, for instance 2..5",
        ),
        (
            "--outage -1..5",
            "`--outage` cannot be `-1..5`; accepted: START..END, seconds from the start of the load, for instance 2..5",
        ),
        (
            "--outage 2..=5",
            "`--outage` cannot be `2..=5`; accepted: START..END, seconds from the start of the load, for instance 2..5",
        ),
        (
            "--outage 5..2",
            "`--outage` cannot be `5..2`; accepted: an end after the start, for instance 2..5",
        ),
        (
            "--outage 2..2",
            "`--outage` cannot be `2..2`; accepted: an end after the start, for instance 2..5",
        ),
        (
            "--outage 2..5 --duration 4",
            "`--outage` cannot be `2..5`; accepted: an end within the run, which lasts 4 s; `--duration` makes it longer",
        ),
        (
            "--outage 2..5 --endpoint http://a",
            "`--outage` cannot be `2..5`; accepted: nothing beside `--endpoint`: only the receiver in this process can be taken away",
        ),
        (
            "--outage 2..5 --outage-kind slow",
            "`--outage-kind` cannot be `slow`; accepted: refuse, hang, exhausted",
        ),
        (
            "--outage-kind hang",
            "`--outage-kind` cannot be `hang`; accepted: nothing without `--outage START..END`, which says when",
        ),
        (
            "--spool x --pipeline stock",
            "`--spool` cannot be `x`; accepted: nothing beside `--pipeline stock`, which has no spool",
        ),
        (
            "--spool=",
            "`--spool` cannot be ``; accepted: a directory, or a path where one can be made",
        ),
        ("--outage", "`--outage` needs a value: START..END, in seconds"),
        ("--protocol", "`--protocol` needs a value: grpc, http"),
        ("--json=yes", "`--json` takes no value"),
        ("--fast", "`--fast` is not known; `--help` lists what is"),
        ("load", "`load` is not known; `--help` lists what is"),
    ] {
        assert_eq!(parse(line), Err(message.into()), "{line}");
    }
}

#[test]
fn help_wins_over_what_follows() {
    assert_eq!(parse("--rate 5 -h --nonsense"), Err("help".into()));
}
