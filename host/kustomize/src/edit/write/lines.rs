//! Where lines begin and end around a place of the text, and what of a place is a value.

use std::ops::Range;

use super::{Refused, Writer};

impl Writer<'_> {
    /// The place of a value without the anchor and the tag before it.
    pub(super) fn content(&self, at: &Range<usize>) -> Range<usize> {
        let mut start = at.start;
        while let Some(rest) = self.text.get(start..at.end)
            && rest.starts_with(['&', '!'])
        {
            let word = rest.find(char::is_whitespace).unwrap_or(rest.len());
            let gap = rest.get(word..).unwrap_or_default();
            start += word + gap.len() - gap.trim_start().len();
        }
        start..at.end
    }

    pub(super) fn without_comment(&self, at: &Range<usize>) -> Result<(), Refused> {
        let text = self.text.get(at.clone()).unwrap_or_default();
        if text
            .lines()
            .any(|line| line.trim_start().starts_with('#') || line.contains(" #"))
        {
            return Err(self.refuse("holds a comment that would be lost"));
        }
        Ok(())
    }

    pub(super) fn column(&self, at: usize) -> usize {
        let line = self.text.get(self.line_start(at)..at).unwrap_or_default();
        line.chars().count()
    }

    pub(super) fn line_start(&self, at: usize) -> usize {
        let before = self.text.get(..at).unwrap_or_default();
        before.rfind('\n').map_or(0, |newline| newline + 1)
    }

    /// Before the line break.
    pub(super) fn line_end(&self, at: usize) -> usize {
        let rest = self.text.get(at..).unwrap_or_default();
        let line = rest.split('\n').next().unwrap_or_default();
        at + line.strip_suffix('\r').unwrap_or(line).len()
    }

    pub(super) fn next_line(&self, at: usize) -> usize {
        let rest = self.text.get(at..).unwrap_or_default();
        at + rest.find('\n').map_or(rest.len(), |newline| newline + 1)
    }
}
