//! The names of our files. What has another name is somebody else's, and not touched.

pub(crate) const LOCK: &str = "LOCK";
pub(crate) const CURSOR: &str = "cursor";
pub(crate) const CURSOR_NEW: &str = "cursor.new";
pub(crate) const ACKS: &str = "acks";
pub(crate) const ACKS_NEW: &str = "acks.new";

pub(crate) fn segment_name(seq: u64) -> String {
    format!("seg-{seq:016}.log")
}

/// Where the bytes of a segment from `at` on are kept when they cannot be read.
pub(crate) fn bad_name(seq: u64, at: u64) -> String {
    format!("seg-{seq:016}-{at}.bad")
}

pub(crate) fn volume_name(number: u32) -> String {
    format!("spool-{number:08}")
}

pub(crate) fn parse_segment(name: &str) -> Option<u64> {
    digits(name.strip_prefix("seg-")?.strip_suffix(".log")?, 16)
}

pub(crate) fn parse_volume(name: &str) -> Option<u32> {
    digits(name.strip_prefix("spool-")?, 8).and_then(|number| u32::try_from(number).ok())
}

fn digits(text: &str, count: usize) -> Option<u64> {
    let is_exact = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    is_exact.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_are_ours() {
        assert_eq!(parse_segment(&segment_name(42)), Some(42));
        assert_eq!(parse_volume(&volume_name(7)), Some(7));
        for foreign in [
            "seg-42.log",
            "seg-+000000000000042.log",
            "seg-0000000000000042.bad",
            "seg-.log",
            "",
        ] {
            assert_eq!(parse_segment(foreign), None, "{foreign}");
        }
        for foreign in ["spool-7", "spool-000000071", "Spool-00000007", "spool-0000000x"] {
            assert_eq!(parse_volume(foreign), None, "{foreign}");
        }
    }
}
