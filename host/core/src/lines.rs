//! Two texts side by side: the lines that differ, with a few around them.
//!
//! It deliberately knows nothing of what the texts are, and covers nothing in them.

/// Lines that are shown around a difference.
const AROUND: usize = 3;
/// Texts with more lines than this are not compared line by line: the table grows with their product.
const LONGEST: usize = 4000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Same,
    Gone,
    New,
}

/// How `got` differs from `want`: lines of `want` that are missing after `-`, lines that are too much after `+`.
pub fn diff(want: &str, got: &str) -> String {
    let want: Vec<&str> = want.lines().collect();
    let got: Vec<&str> = got.lines().collect();
    // What both begin with needs no table.
    let same = want.iter().zip(&got).take_while(|(a, b)| a == b).count();
    let (head, want) = want.split_at(same);
    let (_, got) = got.split_at(same);
    if want.len() > LONGEST || got.len() > LONGEST {
        return format!("they differ from line {} on", same + 1);
    }
    let mut lines: Vec<(Mark, &str)> = head.iter().map(|line| (Mark::Same, *line)).collect();
    lines.extend(walk(want, got));
    show(&lines)
}

/// The marked lines, by the longest common subsequence.
fn walk<'a>(want: &[&'a str], got: &[&'a str]) -> Vec<(Mark, &'a str)> {
    let width = got.len() + 1;
    // table[i][j]: how many lines want[i..] and got[j..] have in common.
    let mut table = vec![0_u16; (want.len() + 1) * width];
    let at = |table: &[u16], i: usize, j: usize| table.get(i * width + j).copied().unwrap_or(0);
    for (i, a) in want.iter().enumerate().rev() {
        for (j, b) in got.iter().enumerate().rev() {
            let common = match a == b {
                true => at(&table, i + 1, j + 1) + 1,
                false => at(&table, i + 1, j).max(at(&table, i, j + 1)),
            };
            if let Some(place) = table.get_mut(i * width + j) {
                *place = common;
            }
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut lines = Vec::new();
    loop {
        match (want.get(i), got.get(j)) {
            (Some(a), Some(b)) if a == b => {
                lines.push((Mark::Same, *a));
                (i, j) = (i + 1, j + 1);
            }
            (Some(a), b) if b.is_none() || at(&table, i + 1, j) >= at(&table, i, j + 1) => {
                lines.push((Mark::Gone, *a));
                i += 1;
            }
            (_, Some(b)) => {
                lines.push((Mark::New, *b));
                j += 1;
            }
            (_, None) => return lines,
        }
    }
}

/// The lines that differ, and those near them.
fn show(lines: &[(Mark, &str)]) -> String {
    let changed: Vec<usize> = (0..lines.len())
        .filter(|at| lines.get(*at).is_some_and(|(mark, _)| *mark != Mark::Same))
        .collect();
    let mut out = String::new();
    let mut last = None;
    for (at, (mark, line)) in lines.iter().enumerate() {
        let near = changed.partition_point(|changed| changed + AROUND < at);
        if changed
            .get(near)
            .is_none_or(|changed| *changed > at + AROUND)
        {
            continue;
        }
        if last.is_some_and(|last| last + 1 != at) {
            out.push_str("  …\n");
        }
        last = Some(at);
        let sign = match mark {
            Mark::Same => ' ',
            Mark::Gone => '-',
            Mark::New => '+',
        };
        out.push(sign);
        out.push(' ');
        out.push_str(line);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_shown_and_what_is_near_it() {
        for (want, got, shown) in [
            ("a\nb\n", "a\nb\n", ""),
            ("a\nb\nc\n", "a\nx\nc\n", "  a\n- b\n+ x\n  c\n"),
            ("a\n", "", "- a\n"),
            ("", "a\nb\n", "+ a\n+ b\n"),
            (
                "x\n1\n2\n3\n4\n5\n6\n7\n8\ny\n",
                "X\n1\n2\n3\n4\n5\n6\n7\n8\nY\n",
                "- x\n+ X\n  1\n  2\n  3\n  …\n  6\n  7\n  8\n- y\n+ Y\n",
            ),
        ] {
            assert_eq!(diff(want, got), shown, "{want:?} {got:?}");
        }
    }
}
