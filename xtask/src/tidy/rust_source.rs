//! A Rust file taken apart: code, comments, string literals, and which lines are tests.
//!
//! A lexer of the few things that would mislead a search: `// todo!`, `"dbg!"`, `'"'`.

/// A file whose code can be searched without finding words in comments or strings.
#[derive(Debug)]
pub(crate) struct RustSource {
    /// The file, line by line, with blanks for comments and for the insides of strings.
    code: Vec<String>,
    /// For each line, whether it belongs to tests.
    tests: Vec<bool>,
    /// Each piece of a comment, by the line (from 1) it stands on.
    pub(crate) comments: Vec<(usize, String)>,
    /// The inside of each string literal, by the line (from 1) it starts on.
    pub(crate) strings: Vec<(usize, String)>,
    /// The names in `#[cfg(test)] mod name;`.
    pub(crate) test_modules: Vec<String>,
}

impl RustSource {
    pub(crate) fn new(text: &str) -> Self {
        let mut lexer = Lexer {
            text,
            at: 0,
            code: text.as_bytes().to_vec(),
            comments: vec![],
            strings: vec![],
        };
        lexer.run();
        // Whole characters were blanked, byte by byte.
        let code = String::from_utf8_lossy(&lexer.code).into_owned();
        let mut tests = vec![false; code.lines().count()];
        let mut test_modules = Vec::new();
        for item in test_items(&code) {
            let first = line_of(&code, item.start);
            let last = line_of(&code, item.end);
            tests[first - 1..last].fill(true);
            let words: Vec<&str> = code[item].split_whitespace().collect();
            if let [.., "mod", name] = words[..]
                && let Some(name) = name.strip_suffix(';')
            {
                test_modules.push(name.to_owned());
            }
        }
        Self {
            code: code.lines().map(str::to_owned).collect(),
            tests,
            comments: lexer.comments,
            strings: lexer.strings,
            test_modules,
        }
    }

    /// Says that all of the file is tests.
    pub(crate) fn is_test(&mut self) {
        self.tests.fill(true);
    }

    /// The lines with code that is no test, each with its number (from 1).
    pub(crate) fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines(false)
    }

    /// The lines with code of tests, each with its number (from 1).
    pub(crate) fn test_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines(true)
    }

    /// All lines with code, each with its number (from 1).
    pub(crate) fn all_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code
            .iter()
            .enumerate()
            .map(|(index, line)| (index + 1, line.as_str()))
            .filter(|(_, line)| !line.trim().is_empty())
    }

    fn lines(&self, of_tests: bool) -> impl Iterator<Item = (usize, &str)> {
        self.all_lines()
            .filter(move |(number, _)| self.tests[number - 1] == of_tests)
    }
}

/// Whether `line` has `phrase` in it with no identifier running into its start.
pub(crate) fn has(line: &str, phrase: &str) -> bool {
    line.match_indices(phrase)
        .any(|(at, _)| !line[..at].ends_with(is_identifier))
}

pub(crate) fn is_identifier(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The byte ranges of the items under `#[cfg(test)]`, attribute included.
fn test_items(code: &str) -> Vec<std::ops::Range<usize>> {
    let mut items: Vec<std::ops::Range<usize>> = Vec::new();
    for predicate in ["#[cfg(test)]", "#[cfg(all(test,"] {
        for (start, _) in code.match_indices(predicate) {
            let after = start + predicate.len();
            if let Some(end) = item_end(code, after) {
                items.push(start..end);
            }
        }
    }
    items
}

/// Where the item that starts at `from` ends: at its `;` or at the brace that closes its body.
fn item_end(code: &str, from: usize) -> Option<usize> {
    let mut braces = 0_usize;
    for (offset, byte) in code.as_bytes()[from..].iter().enumerate() {
        match byte {
            b'{' => braces += 1,
            b'}' => braces = braces.checked_sub(1)?,
            _ => {}
        }
        if braces == 0 && matches!(byte, b'}' | b';') {
            return Some(from + offset + 1);
        }
    }
    None
}

fn line_of(text: &str, offset: usize) -> usize {
    // The offset of an end points behind the item's last byte.
    text.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count() + 1
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    code: Vec<u8>,
    comments: Vec<(usize, String)>,
    strings: Vec<(usize, String)>,
}

impl Lexer<'_> {
    fn run(&mut self) {
        while let Some(character) = self.rest().chars().next() {
            match character {
                '/' if self.rest().starts_with("//") => self.comment(self.until("\n", 0)),
                '/' if self.rest().starts_with("/*") => self.comment(self.block_comment()),
                '"' => self.string(0),
                '\'' => self.at += self.quote(),
                'r' if !self.text[..self.at].ends_with(|c| is_identifier(c) && c != 'b' && c != 'c') => {
                    self.raw_string()
                }
                _ => self.at += character.len_utf8(),
            }
        }
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    /// The length up to `end`, or of all that is left.
    fn until(&self, end: &str, from: usize) -> usize {
        self.rest()[from..]
            .find(end)
            .map_or(self.rest().len(), |found| from + found)
    }

    fn comment(&mut self, length: usize) {
        let first = line_of(self.text, self.at);
        let lines = self.rest()[..length].lines().enumerate();
        let pieces: Vec<_> = lines.map(|(index, line)| (first + index, line.to_owned())).collect();
        self.comments.extend(pieces);
        self.blank(self.at, self.at + length);
        self.at += length;
    }

    /// The length of a block comment; they nest.
    fn block_comment(&self) -> usize {
        let mut depth = 0_usize;
        let mut at = 0;
        while at < self.rest().len() {
            let rest = &self.rest().as_bytes()[at..];
            if rest.starts_with(b"/*") {
                depth += 1;
                at += 2;
            } else if rest.starts_with(b"*/") {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            } else {
                at += 1;
            }
        }
        self.rest().len()
    }

    /// A string from its opening quote on, closed by a quote and `hashes` hash signs; escapes count only without hashes.
    fn string(&mut self, hashes: usize) {
        let start = self.at + 1;
        let bytes = self.text.as_bytes();
        let mut end = start;
        while end < bytes.len() && bytes[end] != b'"' {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        if hashes > 0 {
            let close = format!("\"{}", "#".repeat(hashes));
            end = self.text[start..]
                .find(&close)
                .map_or(bytes.len(), |found| start + found);
        }
        self.literal(start, end.min(bytes.len()), hashes);
    }

    /// `r"..."` or `r#"..."#`, or only an identifier that begins with an `r`.
    fn raw_string(&mut self) {
        let hashes = self.rest()[1..].bytes().take_while(|byte| *byte == b'#').count();
        if !self.rest()[1 + hashes..].starts_with('"') {
            self.at += 1;
            return;
        }
        self.at += 1 + hashes;
        if hashes > 0 {
            self.string(hashes);
            return;
        }
        // No escapes in here: a backslash before the closing quote is only a backslash.
        let start = self.at + 1;
        let end = self.text[start..]
            .find('"')
            .map_or(self.text.len(), |found| start + found);
        self.literal(start, end, 0);
    }

    fn literal(&mut self, start: usize, end: usize, hashes: usize) {
        self.strings
            .push((line_of(self.text, start), self.text[start..end].to_owned()));
        self.blank(start, end);
        self.at = (end + 1 + hashes).min(self.text.len());
    }

    /// The length of a character literal, or of the quote alone where a lifetime begins.
    fn quote(&mut self) -> usize {
        let mut inside = self.rest()[1..].chars();
        let length = match (inside.next(), inside.next()) {
            // `'\\'` and `'\''`: the escaped character is never the closing quote.
            (Some('\\'), Some(escaped)) => self.until("'", 2 + escaped.len_utf8()) + 1,
            (Some(character), Some('\'')) => 2 + character.len_utf8(),
            _ => return 1,
        };
        let length = length.min(self.rest().len());
        self.blank(self.at + 1, self.at + length - 1);
        length
    }

    fn blank(&mut self, start: usize, end: usize) {
        for byte in &mut self.code[start..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    }
}

#[cfg(test)]
mod tests;
