//! What the command line asks for.
//!
//! Read by hand: ten flags do not need a dependency, and the messages say what is accepted in the same words as everywhere else.

use std::time::Duration;

use http::Uri;
use spanwright_core::BuildError;

use crate::failure::Failure;

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Command {
    Help,
    Run(Args),
}

/// Everything that can be asked for, with its defaults.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Args {
    pub(crate) kinds: &'static [Kind],
    /// `None`: the receiver in this process.
    pub(crate) endpoint: Option<String>,
    pub(crate) protocol: Protocol,
    pub(crate) compression: Compression,
    /// Requests per second.
    pub(crate) rate: u32,
    pub(crate) duration: Duration,
    pub(crate) sampling: Sampling,
    pub(crate) is_json: bool,
    pub(crate) calibrates: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Spanwright,
    Stock,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Protocol {
    Grpc,
    Http,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
}

/// Which traces are kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Sampling {
    AlwaysOn,
    Ratio,
    RateLimiting,
    Adaptive,
    Priority,
    Rules,
    PerKey,
    Tail,
}

/// Something that is chosen by its name.
trait Choice: Copy + 'static {
    const ALL: &'static [Self];
    fn as_str(self) -> &'static str;
}

/// Two cores serve it with ease, in a release build.
const DEFAULT_RATE: u32 = 2_000;
const MOST_RATE: u32 = 1_000_000;
const DEFAULT_DURATION: Duration = Duration::from_secs(10);
const DURATIONS: std::ops::RangeInclusive<f64> = 0.1..=86_400.0;

impl Args {
    /// Reads the arguments that follow the program's name.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Command, Failure> {
        let mut args = Self::default();
        let (mut pipeline, mut is_comparison) = (None, false);
        // `cargo demo -- --json` says what `cargo demo --json` does: the alias has a `--` of its own.
        let mut arguments = arguments
            .into_iter()
            .enumerate()
            .filter(|(at, argument)| *at > 0 || argument != "--");
        let mut arguments = std::iter::from_fn(move || arguments.next().map(|(_, argument)| argument));
        while let Some(argument) = arguments.next() {
            let (flag, mut attached) = match argument.split_once('=') {
                Some((flag, value)) if flag.starts_with("--") => (flag, Some(value.to_owned())),
                _ => (argument.as_str(), None),
            };
            let mut value = |accepted: &str| {
                let value = attached.take().or_else(|| arguments.next());
                value.ok_or_else(|| format!("`{flag}` needs a value: {accepted}"))
            };
            match flag {
                "--compression" => args.compression = choose(flag, &value(&names::<Compression>())?)?,
                "--duration" => args.duration = duration(flag, &value("seconds")?)?,
                "--endpoint" => args.endpoint = Some(endpoint(flag, value("a URL")?)?),
                "--pipeline" => pipeline = Some(choose(flag, &value(&names::<Kind>())?)?),
                "--protocol" => args.protocol = choose(flag, &value(&names::<Protocol>())?)?,
                "--sampler" => args.sampling = choose(flag, &value(&names::<Sampling>())?)?,
                "--rate" => args.rate = rate(flag, &value("requests per second")?)?,
                "--compare" => is_comparison = true,
                "--json" => args.is_json = true,
                "--no-calibrate" => args.calibrates = false,
                "--help" | "-h" => return Ok(Command::Help),
                _ => return Err(format!("`{flag}` is not known; `--help` lists what is").into()),
            }
            if attached.is_some() {
                return Err(format!("`{flag}` takes no value").into());
            }
        }
        args.kinds = match (pipeline, is_comparison) {
            (Some(kind), true) => {
                let accepted = "nothing beside `--compare`, which runs both";
                return Err(BuildError::new("--pipeline", kind.as_str(), accepted).into());
            }
            (None, true) => &[Kind::Spanwright, Kind::Stock],
            (Some(Kind::Stock), false) => &[Kind::Stock],
            (Some(Kind::Spanwright) | None, false) => &[Kind::Spanwright],
        };
        if args.sampling == Sampling::Tail && args.kinds.contains(&Kind::Stock) {
            let accepted = "a sampler that decides at the start of a span; the stock pipeline has no tail";
            return Err(BuildError::new("--sampler", args.sampling.as_str(), accepted).into());
        }
        Ok(Command::Run(args))
    }
}

impl Default for Args {
    fn default() -> Self {
        Self {
            kinds: &[Kind::Spanwright],
            endpoint: None,
            protocol: Protocol::Grpc,
            compression: Compression::None,
            rate: DEFAULT_RATE,
            duration: DEFAULT_DURATION,
            sampling: Sampling::AlwaysOn,
            is_json: false,
            calibrates: true,
        }
    }
}

fn choose<T: Choice>(flag: &str, value: &str) -> Result<T, BuildError> {
    let found = T::ALL.iter().copied().find(|choice| choice.as_str() == value);
    found.ok_or_else(|| BuildError::new(flag.to_owned(), value, names::<T>()))
}

fn names<T: Choice>() -> String {
    let names: Vec<_> = T::ALL.iter().map(|choice| choice.as_str()).collect();
    names.join(", ")
}

/// What is checked here is what both pipelines need; they look closer.
fn endpoint(flag: &str, value: String) -> Result<String, BuildError> {
    let url = value.parse::<Uri>().ok();
    match url.as_ref().and_then(Uri::scheme_str) {
        Some("http" | "https") => Ok(value),
        _ => {
            let accepted = "a URL, for instance http://127.0.0.1:4317";
            Err(BuildError::new(flag.to_owned(), value, accepted))
        }
    }
}

fn rate(flag: &str, value: &str) -> Result<u32, BuildError> {
    let rate = value.replace('_', "").parse().ok();
    rate.filter(|rate| (1..=MOST_RATE).contains(rate)).ok_or_else(|| {
        let accepted = format!("requests per second, 1 to {MOST_RATE}");
        BuildError::new(flag.to_owned(), value, accepted)
    })
}

fn duration(flag: &str, value: &str) -> Result<Duration, BuildError> {
    let seconds = value.strip_suffix('s').unwrap_or(value).parse().ok();
    seconds
        .filter(|seconds| DURATIONS.contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| {
            let accepted = format!(
                "seconds, {} to {}, for instance 10 or 10s",
                DURATIONS.start(),
                DURATIONS.end()
            );
            BuildError::new(flag.to_owned(), value, accepted)
        })
}

impl Choice for Kind {
    const ALL: &'static [Self] = &[Self::Spanwright, Self::Stock];

    fn as_str(self) -> &'static str {
        match self {
            Self::Spanwright => "spanwright",
            Self::Stock => "stock",
        }
    }
}

impl Choice for Protocol {
    const ALL: &'static [Self] = &[Self::Grpc, Self::Http];

    fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http",
        }
    }
}

impl Choice for Compression {
    const ALL: &'static [Self] = &[Self::None, Self::Gzip, Self::Zstd];

    fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

impl Sampling {
    /// All of them, in the order of the help.
    pub(crate) const ALL: &'static [Self] = &[
        Self::AlwaysOn,
        Self::Ratio,
        Self::RateLimiting,
        Self::Adaptive,
        Self::Priority,
        Self::Rules,
        Self::PerKey,
        Self::Tail,
    ];
}

impl Choice for Sampling {
    const ALL: &'static [Self] = Self::ALL;

    fn as_str(self) -> &'static str {
        match self {
            Self::AlwaysOn => "always_on",
            Self::Ratio => "ratio",
            Self::RateLimiting => "rate_limiting",
            Self::Adaptive => "adaptive",
            Self::Priority => "priority",
            Self::Rules => "rules",
            Self::PerKey => "per_key",
            Self::Tail => "tail",
        }
    }
}

macro_rules! display_as_str {
    ($($name:ty),+) => {$(
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    )+};
}

display_as_str!(Compression, Kind, Protocol, Sampling);

#[cfg(test)]
mod tests {
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
        let args =
            parse("--rate 1_500 --duration=2.5s --endpoint http://a?b=c --protocol=http --compression zstd --json");
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
}
