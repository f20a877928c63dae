//! Figures in rows and columns.

use std::fmt::Write;

use super::{
    outcome::Outcome,
    plan::Benchmark,
    record::{Earlier, Record},
    series::Ratio,
};

/// The figures for a terminal, beside earlier ones if there are any, and below them what one should know.
pub(super) fn terminal(record: &Record, earlier: Option<&Earlier>) -> String {
    let mut head = vec!["id", "ours", "stock", "ratio (rounds)", "required", "reached"];
    if earlier.is_some() {
        head.extend(["ours then", "now/then"]);
    }
    let rows: Vec<Vec<String>> = record
        .outcomes
        .iter()
        .map(|outcome| {
            let mut row = row(outcome);
            if let Some(earlier) = earlier {
                row.extend(then(outcome, earlier));
            }
            row
        })
        .collect();
    let mut text = columns(&head, &rows);
    for outcome in &record.outcomes {
        for failing in &outcome.findings.failings {
            let _ = writeln!(text, "\n{}: not reached: {failing}", outcome.id);
        }
        for note in &outcome.findings.notes {
            let _ = writeln!(text, "\n{}: {note}", outcome.id);
        }
    }
    text
}

/// The same as a table of Markdown, without the notes.
pub(super) fn markdown(record: &Record) -> String {
    let mut text =
        String::from("| id | ours | stock | ratio (rounds) | required | reached |\n|---|---|---|---|---|---|\n");
    for outcome in &record.outcomes {
        let mut row = row(outcome);
        row[0] = format!("`{}`", outcome.id);
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text
}

/// What can be measured.
pub(super) fn list(benchmarks: &[&Benchmark]) -> String {
    let rows: Vec<_> = benchmarks
        .iter()
        .map(|benchmark| {
            vec![
                benchmark.id.to_owned(),
                benchmark.required(),
                benchmark.about.to_owned(),
            ]
        })
        .collect();
    columns(&["id", "required", "measures"], &rows)
}

fn row(outcome: &Outcome) -> Vec<String> {
    let show = |value| outcome.unit.show(value);
    let Ratio { value, least, most } = outcome.ratio();
    vec![
        outcome.id.clone(),
        show(outcome.findings.ours.median()),
        show(outcome.findings.stock.median()),
        format!("{} ({} to {})", factor(value), factor(least), factor(most)),
        outcome.required(),
        if outcome.is_reached() { "yes" } else { "no" }.into(),
    ]
}

fn then(outcome: &Outcome, earlier: &Earlier) -> [String; 2] {
    let Some(then) = earlier.ours(&outcome.id) else {
        return ["-".into(), "-".into()];
    };
    let change = outcome.findings.ours.median() / then.median();
    [outcome.unit.show(then.median()), factor(change)]
}

/// Three digits are more than a time is worth.
fn factor(value: f64) -> String {
    if value < 10.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.1}")
    }
}

fn columns(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0).max(head[column].chars().count())
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut text = line(&mut head.iter().copied());
    text.push('\n');
    for row in rows {
        text.push_str(&line(&mut row.iter().map(String::as_str)));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            outcome::fixture::outcome,
            record::fixture::{earlier, record},
        },
        *,
    };

    #[test]
    fn a_row_says_what_was_reached() {
        let record = record(vec![
            outcome("end_to_end", &[400.0, 500.0, 450.0], &[4000.0, 4000.0, 4000.0]),
            outcome("x", &[90.0], &[100.0]),
        ]);
        assert_eq!(
            terminal(&record, None),
            "\
id          ours    stock    ratio (rounds)       required        reached
end_to_end  450 ns  4000 ns  0.11 (0.10 to 0.12)  <= 0.5 x stock  yes
x           90 ns   100 ns   0.90 (0.90 to 0.90)  <= 0.5 x stock  no
"
        );
    }

    #[test]
    fn earlier_figures_stand_beside_where_there_are_any() {
        let now = record(vec![outcome("a", &[50.0], &[100.0]), outcome("b", &[1.0], &[1.0])]);
        let text = terminal(&now, Some(&earlier(vec![outcome("a", &[100.0], &[100.0])])));
        let rows: Vec<&str> = text.lines().collect();
        assert!(rows[1].ends_with("100 ns     0.50"), "{text}");
        assert!(rows[2].ends_with("-          -"), "{text}");
    }

    #[test]
    fn notes_and_failings_follow_the_table() {
        let mut figure = outcome("a", &[50.0], &[100.0]);
        figure.findings.notes.push("stock lost 3 %".into());
        figure.findings.failings.push("ours lost 1 %".into());
        let text = terminal(&record(vec![figure]), None);
        assert!(
            text.ends_with("\na: not reached: ours lost 1 %\n\na: stock lost 3 %\n"),
            "{text}"
        );
    }

    #[test]
    fn markdown_has_the_same_figures() {
        let text = markdown(&record(vec![outcome("a/b", &[50.0], &[100.0])]));
        assert!(
            text.ends_with("| `a/b` | 50 ns | 100 ns | 0.50 (0.50 to 0.50) | <= 0.5 x stock | yes |\n"),
            "{text}"
        );
    }
}
