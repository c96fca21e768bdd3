//! Two texts side by side: the lines that differ, with a few around them.
//!
//! For people, or as `git diff` writes it. It deliberately knows nothing of what the texts are, and covers nothing in them.

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

/// The change of a file as `git diff` and `patch` write it; nothing stands for a file that is not there. Empty: there is none.
pub fn unified(path: &str, before: Option<&str>, after: Option<&str>) -> String {
    if before == after {
        return String::new();
    }
    let side = |prefix: &str, text: Option<&str>| match text {
        Some(_) => format!("{prefix}/{path}"),
        None => "/dev/null".to_owned(),
    };
    let mut out = format!("--- {}\n+++ {}\n", side("a", before), side("b", after));
    let (want, got) = (pieces(before), pieces(after));
    let same = want.iter().zip(&got).take_while(|(a, b)| a == b).count();
    let (head, want) = want.split_at(same);
    let (_, got) = got.split_at(same);
    let mut lines: Vec<(Mark, &str)> = head.iter().map(|line| (Mark::Same, *line)).collect();
    match want.len() > LONGEST || got.len() > LONGEST {
        // Too long to be compared: the one goes, the other comes.
        true => {
            lines.extend(want.iter().map(|line| (Mark::Gone, *line)));
            lines.extend(got.iter().map(|line| (Mark::New, *line)));
        }
        false => lines.extend(walk(want, got)),
    }
    hunks(&lines, &mut out);
    out
}

/// The lines of a text, each with its end.
fn pieces(text: Option<&str>) -> Vec<&str> {
    text.unwrap_or_default().split_inclusive('\n').collect()
}

/// Changes that are near each other, each with where it is.
fn hunks(lines: &[(Mark, &str)], out: &mut String) {
    let is_changed = |at: &usize| lines.get(*at).is_some_and(|(mark, _)| *mark != Mark::Same);
    let changed: Vec<usize> = (0..lines.len()).filter(is_changed).collect();
    let far = |a: &usize, b: &usize| *b <= *a + 2 * AROUND + 1;
    // Of each side, how many lines stand before.
    let (mut told, mut left, mut right) = (0, 0, 0);
    for near in changed.chunk_by(far) {
        let (Some(first), Some(last)) = (near.first(), near.last()) else {
            continue;
        };
        let begin = first.saturating_sub(AROUND);
        let end = (last + AROUND + 1).min(lines.len());
        // What lies between two hunks is on both sides.
        left += begin - told;
        right += begin - told;
        let hunk = lines.get(begin..end).unwrap_or_default();
        let of = |side: Mark| {
            let on = |(mark, _): &&(Mark, &str)| *mark == Mark::Same || *mark == side;
            hunk.iter().filter(on).count()
        };
        let (gone, new) = (of(Mark::Gone), of(Mark::New));
        let at = |before: usize, count: usize| match count {
            0 => format!("{before},0"),
            count => format!("{},{count}", before + 1),
        };
        out.push_str(&format!("@@ -{} +{} @@\n", at(left, gone), at(right, new)));
        for (mark, line) in hunk {
            out.push(mark.sign());
            out.push_str(line);
            if !line.ends_with('\n') {
                out.push_str("\n\\ No newline at end of file\n");
            }
        }
        (told, left, right) = (end, left + gone, right + new);
    }
}

impl Mark {
    fn sign(self) -> char {
        match self {
            Self::Same => ' ',
            Self::Gone => '-',
            Self::New => '+',
        }
    }
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
        out.push(mark.sign());
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

    #[test]
    fn a_change_of_a_file_is_written_as_git_writes_it() {
        let ten = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n";
        let long = ten.repeat(2);
        let far = long.replacen("1\n", "x\n", 1) + "end\n";
        for (before, after, want) in [
            (Some("a\n"), Some("a\n"), ""),
            (
                Some("a\nb\nc\n"),
                Some("a\nx\nc\n"),
                "--- a/f\n+++ b/f\n@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n",
            ),
            (
                None,
                Some("a\nb\n"),
                "--- /dev/null\n+++ b/f\n@@ -0,0 +1,2 @@\n+a\n+b\n",
            ),
            (
                Some("a\n"),
                None,
                "--- a/f\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-a\n",
            ),
            (
                Some("a"),
                Some("a\n"),
                "--- a/f\n+++ b/f\n@@ -1,1 +1,1 @@\n-a\n\\ No newline at end of file\n+a\n",
            ),
            (
                Some(long.as_str()),
                Some(far.as_str()),
                "--- a/f\n+++ b/f\n@@ -1,4 +1,4 @@\n-1\n+x\n 2\n 3\n 4\n@@ -18,3 +18,4 @@\n 8\n 9\n 10\n+end\n",
            ),
        ] {
            assert_eq!(unified("f", before, after), want, "{before:?} {after:?}");
        }
    }
}
