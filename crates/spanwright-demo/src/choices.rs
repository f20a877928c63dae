//! What is chosen by its name.

use spanwright_core::BuildError;

/// Something that is chosen by its name.
pub(crate) trait Choice: Copy + 'static {
    const ALL: &'static [Self];
    fn as_str(self) -> &'static str;
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

/// How the receiver is away.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum OutageKind {
    /// It answers RESOURCE_EXHAUSTED (HTTP: 429), and when to come back.
    Exhausted,
    /// It takes requests and never answers.
    Hang,
    /// It refuses connections, and resets those that there are.
    #[default]
    Refuse,
}

/// The choice with the name that `flag` was given.
pub(crate) fn choose<T: Choice>(flag: &str, value: &str) -> Result<T, BuildError> {
    let found = T::ALL.iter().copied().find(|choice| choice.as_str() == value);
    found.ok_or_else(|| BuildError::new(flag.to_owned(), value, names::<T>()))
}

/// The names of all, as a message lists them.
pub(crate) fn names<T: Choice>() -> String {
    let names: Vec<_> = T::ALL.iter().map(|choice| choice.as_str()).collect();
    names.join(", ")
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

impl Choice for OutageKind {
    const ALL: &'static [Self] = &[Self::Refuse, Self::Hang, Self::Exhausted];

    fn as_str(self) -> &'static str {
        match self {
            Self::Exhausted => "exhausted",
            Self::Hang => "hang",
            Self::Refuse => "refuse",
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

display_as_str!(Compression, Kind, OutageKind, Protocol, Sampling);
