//! Changes to a module's source that leave every line where it is.
//!
//! It deliberately knows no Rego: what is written, and why, is for `negation` and `mocks` to say.

/// Text that stands at a place of a module instead of what stood there.
pub(super) struct Edit {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) text: String,
}

/// `text`, which begins at `from`, with all of them; none reaches into another.
pub(super) fn edited(text: &str, from: usize, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|edit| (edit.start, edit.end));
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
