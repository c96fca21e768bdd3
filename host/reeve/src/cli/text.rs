//! How answers are written: tables for people, JSON and YAML for machines.

use clap::ValueEnum;
use jiff::Timestamp;
pub(super) use reeve_core::text::counted;
use reeve_core::text::line;
use reeve_kustomize::{Object, to_yaml};
use serde::Serialize;

use super::ui::CommandError;

/// How an answer is printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// For people
    Table,
    Json,
    Yaml,
}

/// An answer in the form that is asked for.
pub(super) fn written(
    form: Form,
    answer: &impl Serialize,
    table: impl FnOnce() -> String,
) -> Result<String, CommandError> {
    match form {
        Form::Table => Ok(table()),
        Form::Json => json(answer),
        Form::Yaml => yaml(answer),
    }
}

pub(super) fn json(value: &impl Serialize) -> Result<String, CommandError> {
    let text = serde_json::to_string_pretty(value);
    let failed = |why: serde_json::Error| CommandError::of("writing the answer failed", &why);
    text.map(|text| format!("{text}\n")).map_err(failed)
}

/// Lists as documents of their own, anything else as one.
pub(super) fn yaml(value: &impl Serialize) -> Result<String, CommandError> {
    let failed = |why: serde_json::Error| CommandError::of("writing the answer failed", &why);
    let values = match serde_json::to_value(value).map_err(failed)? {
        serde_json::Value::Array(values) => values,
        value => vec![value],
    };
    let objects: Result<Vec<Object>, _> = values.into_iter().map(Object::try_from).collect();
    let objects = objects.map_err(|_| CommandError::new("the answer is no object"))?;
    Ok(to_yaml(&objects))
}

/// How long ago, in the largest unit of which there are two.
pub(super) fn age(now: Timestamp, then: Timestamp) -> String {
    let seconds = now.duration_since(then).as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Rows in columns, each as wide as its widest cell.
pub(super) fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    for row in rows {
        let cells = row.iter().zip(widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{:width$}", line(cell)))
            .collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_do_nothing_to_a_terminal() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned);
        let rows = [
            row(["NAME", "READY", "MESSAGE"]),
            row(["wäb", "True", "a\u{1b}[2J"]),
        ];
        let want = "NAME  READY  MESSAGE\nwäb   True   a [2J\n";
        assert_eq!(table(&rows), want);
    }

    #[test]
    fn an_age_is_told_in_the_largest_unit_of_which_there_are_two() {
        let then: Timestamp = "2026-11-22T00:00:00Z".parse().unwrap();
        for (seconds, want) in [
            (-5, "0s"),
            (119, "119s"),
            (120, "2m"),
            (7200, "2h"),
            (200_000, "2d"),
        ] {
            let now = then + jiff::SignedDuration::from_secs(seconds);
            assert_eq!(age(now, then), want);
        }
    }
}
