//! Certificates and keys.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Certificates or a key in PEM: a file to read them from, or the text itself.
///
/// `Debug` does not show the text.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub enum Pem {
    /// A file, read when the exporter is built.
    File(PathBuf),
    /// The text.
    Text(Vec<u8>),
}

impl Pem {
    /// The text in `path`.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::File(path.into())
    }

    /// This text.
    pub fn text(text: impl Into<Vec<u8>>) -> Self {
        Self::Text(text.into())
    }

    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "without TLS nothing is read"))]
    pub(crate) fn read(&self) -> io::Result<Cow<'_, [u8]>> {
        match self {
            Self::File(path) => std::fs::read(path).map(Cow::Owned),
            Self::Text(text) => Ok(Cow::Borrowed(text)),
        }
    }
}

/// How it is called in an error: by its path, or "PEM text".
impl fmt::Display for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Text(_) => f.write_str("PEM text"),
        }
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pem").field(&format_args!("{self}")).finish()
    }
}
