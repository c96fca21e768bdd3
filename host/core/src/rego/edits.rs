//! Changes to a module's source that leave every line where it is, and what stood there before them.
//!
//! It deliberately knows no Rego: what is written, and why, is for `spelling`, `heads`, `negation`, `order` and `mocks` to
//! say, and `draft` has it read.

/// Text that stands at a place of a module instead of what stood there.
pub(super) struct Edit {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) text: String,
}

/// `text`, which begins at `from`, with all of them; none reaches into another.
pub(super) fn edited(text: &str, from: usize, mut edits: Vec<Edit>) -> String {
    sort(&mut edits);
    let mut out = String::new();
    let mut at = from;
    let between = |start: usize, end: usize| {
        let range = start.saturating_sub(from)..end.saturating_sub(from);
        text.get(range).unwrap_or_default()
    };
    for edit in edits {
        out.push_str(between(at, edit.start));
        out.push_str(&edit.text);
        at = edit.end;
    }
    out.push_str(between(at, from + text.len()));
    out
}

fn sort(edits: &mut [Edit]) {
    edits.sort_by_key(|edit| (edit.start, edit.end));
}

/// A module as somebody wrote it, and where its parts have gone since.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    source: String,
    /// What each round of changes put where.
    rounds: Vec<Vec<Piece>>,
}

/// From where to where something went before a change, and goes after it.
#[derive(Debug, Clone, Copy)]
struct Piece {
    before: (usize, usize),
    after: (usize, usize),
}

impl Origin {
    pub(super) fn of(source: &str) -> Self {
        Self {
            source: source.to_owned(),
            rounds: Vec::new(),
        }
    }

    /// Takes note of a round of changes to what the module is by now.
    pub(super) fn change(&mut self, edits: &mut [Edit]) {
        if edits.is_empty() {
            return;
        }
        sort(edits);
        let (mut old, mut new) = (0, 0);
        let pieces = edits.iter().map(|edit| {
            let begins = new + edit.start.saturating_sub(old);
            (old, new) = (edit.end, begins + edit.text.len());
            Piece {
                before: (edit.start, edit.end),
                after: (begins, new),
            }
        });
        self.rounds.push(pieces.collect());
    }

    pub(super) fn is_changed(&self) -> bool {
        !self.rounds.is_empty()
    }

    /// What somebody wrote where now something goes from there to there; nothing, where all of that was added.
    pub(super) fn text(&self, from: usize, to: usize) -> &str {
        let range = self.begin(from)..self.end(to);
        self.source.get(range).unwrap_or_default()
    }

    /// The column, from 1, of what is there now. As in regorus a tab counts four.
    pub(super) fn column(&self, at: usize) -> u64 {
        let before = self.source.get(..self.begin(at)).unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        let tabs = line.bytes().filter(|byte| *byte == b'\t').count();
        u64::try_from(line.len() + tabs * 3 + 1).unwrap_or(0)
    }

    /// Where what begins there now began.
    fn begin(&self, at: usize) -> usize {
        self.rounds.iter().rev().fold(at, |at, pieces| {
            let gone = pieces.partition_point(|piece| piece.after.1 <= at);
            match pieces.get(gone) {
                Some(piece) if piece.after.0 <= at => piece.before.0,
                _ => shifted(pieces, gone, at),
            }
        })
    }

    /// Where what ends there now ended.
    fn end(&self, at: usize) -> usize {
        self.rounds.iter().rev().fold(at, |at, pieces| {
            let gone = pieces.partition_point(|piece| piece.after.1 < at);
            match pieces.get(gone) {
                Some(piece) if piece.after.0 < at => piece.before.1,
                _ => shifted(pieces, gone, at),
            }
        })
    }
}

/// Where something was that comes after so many pieces.
fn shifted(pieces: &[Piece], gone: usize, at: usize) -> usize {
    let last = gone.checked_sub(1).and_then(|last| pieces.get(last));
    last.map_or(at, |piece| {
        piece.before.1 + at.saturating_sub(piece.after.1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(start: usize, end: usize, text: &str) -> Edit {
        Edit {
            start,
            end,
            text: text.to_owned(),
        }
    }

    #[test]
    fn what_was_written_is_found_through_all_changes() {
        let mut origin = Origin::of("if not m[k]\n\tx in xs");
        let mut edits = vec![
            edit(18, 20, "b_1"),
            edit(3, 3, "{ "),
            edit(13, 13, "b_0 := x; b_1 := xs; "),
        ];
        origin.change(&mut edits);
        let once = edited("if not m[k]\n\tx in xs", 0, edits);
        assert_eq!(once, "if { not m[k]\n\tb_0 := x; b_1 := xs; x in b_1");
        let mut edits = vec![edit(9, 13, "lookup(m, [k])")];
        origin.change(&mut edits);
        let twice = edited(&once, 0, edits);
        assert_eq!(
            twice,
            "if { not lookup(m, [k])\n\tb_0 := x; b_1 := xs; x in b_1"
        );
        let written = |text: &str| {
            let from = twice.find(text).unwrap();
            (origin.text(from, from + text.len()), origin.column(from))
        };
        assert_eq!(written("not lookup(m, [k])"), ("not m[k]", 4));
        assert_eq!(written("lookup(m, [k])"), ("m[k]", 8));
        assert_eq!(written("x in b_1"), ("x in xs", 5));
        assert_eq!(written("if { not lookup(m, [k])"), ("if not m[k]", 1));
        // What was added was nothing.
        assert_eq!(written("b_0 := x"), ("", 5));
        assert!(origin.is_changed() && !Origin::of("x").is_changed());
    }
}
