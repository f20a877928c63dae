//! Aligned columns.

use std::fmt;

/// Sections of rows: a label, a cell for each column, and words behind them.
#[derive(Debug, Default)]
pub(crate) struct Table {
    head: Vec<String>,
    rows: Vec<Row>,
}

#[derive(Debug)]
enum Row {
    Title(&'static str),
    Cells {
        label: String,
        cells: Vec<String>,
        note: &'static str,
    },
}

impl Table {
    /// With a name for each column. A single one needs none.
    pub(crate) fn new(head: Vec<String>) -> Self {
        Self { head, rows: Vec::new() }
    }

    pub(crate) fn title(&mut self, title: &'static str) {
        self.rows.push(Row::Title(title));
    }

    pub(crate) fn row(
        &mut self,
        label: impl Into<String>,
        cells: impl IntoIterator<Item = String>,
        note: &'static str,
    ) {
        let (label, cells) = (label.into(), cells.into_iter().collect());
        self.rows.push(Row::Cells { label, cells, note });
    }

    fn lines(&self) -> impl Iterator<Item = (&str, &[String])> {
        let cells = self.rows.iter().filter_map(|row| match row {
            Row::Title(_) => None,
            Row::Cells { label, cells, .. } => Some((label.as_str(), cells.as_slice())),
        });
        cells.chain([("", self.head.as_slice())])
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label_width = self.lines().map(|(label, _)| width(label)).max().unwrap_or(0);
        let cell_width = self.lines().flat_map(|(_, cells)| cells).map(|cell| width(cell));
        let cell_width = cell_width.max().unwrap_or(0);
        let line = |label: &str, cells: &[String], note: &str| {
            let cells: String = cells.iter().map(|cell| format!("  {cell:>cell_width$}")).collect();
            let text = format!("  {label:<label_width$}{cells}   {note}");
            text.trim_end().to_owned()
        };
        if self.head.len() > 1 {
            writeln!(f, "{}", line("", &self.head, ""))?;
        }
        for (index, row) in self.rows.iter().enumerate() {
            match row {
                Row::Title(title) => {
                    let gap = if index > 0 { "\n" } else { "" };
                    writeln!(f, "{gap}{title}")?;
                }
                Row::Cells { label, cells, note } => writeln!(f, "{}", line(label, cells, note))?,
            }
        }
        Ok(())
    }
}

/// `1234567` as `1 234 567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_stand_in_threes() {
        let cases = [(0, "0"), (999, "999"), (1_000, "1 000"), (12_345_678, "12 345 678")];
        assert!(cases.iter().all(|(number, text)| grouped(*number) == *text));
    }

    #[test]
    fn columns_are_aligned_whatever_is_in_them() {
        let mut table = Table::new(vec!["a".into(), "stock".into()]);
        table.title("What?");
        table.row("ended", ["7".into(), "1 000 000".into()], "");
        table.title("Cost?");
        table.row("a ± b", ["1".into(), "2".into()], "about");
        let expected = [
            "                 a      stock",
            "What?",
            "  ended          7  1 000 000",
            "",
            "Cost?",
            "  a ± b          1          2   about",
        ];
        assert_eq!(table.to_string().lines().collect::<Vec<_>>(), expected);
    }
}
