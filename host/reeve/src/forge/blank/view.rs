//! A text as somebody would read it who undoes one kind of escape, with the way back to where it stands.
//!
//! What it deliberately doesn't: complain. What is no escape stays as it is.

use std::borrow::Cow;
use std::ops::Range;

const SQUEEZED: &[u8] = b" \t\r\n\0";

/// Whether it is left out where a text is squeezed.
pub(super) fn is_squeezed(byte: u8) -> bool {
    SQUEEZED.contains(&byte)
}

/// Bytes as they read, and where each came from.
pub(super) struct View<'a> {
    bytes: Cow<'a, [u8]>,
    /// For each byte the place of what it was written as; none where that is the byte itself.
    origins: Option<Vec<Range<u32>>>,
    squeezed: bool,
}

impl<'a> View<'a> {
    /// A text as it stands.
    pub(super) fn of(text: &'a [u8]) -> Self {
        Self {
            bytes: Cow::Borrowed(text),
            origins: None,
            squeezed: false,
        }
    }

    pub(super) fn is_squeezed(&self) -> bool {
        self.squeezed
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether the byte at `at` may belong to base64.
    pub(super) fn is_base64(&self, at: usize) -> bool {
        let byte = self.bytes.get(at);
        byte.is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_'))
    }

    /// Whether a word goes on with the byte at `at`.
    pub(super) fn goes_on(&self, at: usize) -> bool {
        let byte = self.bytes.get(at);
        byte.is_some_and(|b| !b.is_ascii_whitespace() && !b"\"'<>,;&\\()[]{}\0".contains(b))
    }

    /// Where the text has what reads as `range` here.
    pub(super) fn origin(&self, range: &Range<usize>) -> Range<usize> {
        let first = self.place(range.start);
        let last = self.place(range.end.saturating_sub(1));
        first.start..last.end
    }

    fn place(&self, at: usize) -> Range<usize> {
        match &self.origins {
            None => at..at + 1,
            Some(origins) => {
                let found = origins.get(at).cloned().unwrap_or_default();
                let wide = |place: u32| usize::try_from(place).unwrap_or(usize::MAX);
                wide(found.start)..wide(found.end)
            }
        }
    }

    /// With JSON's escapes undone; none when there are none.
    pub(super) fn json(&self) -> Option<View<'static>> {
        self.read(b"\\", json_escape)
    }

    /// With a URL's escapes undone.
    pub(super) fn percent(&self) -> Option<View<'static>> {
        self.read(b"%", percent_escape)
    }

    /// With HTML's escapes undone.
    pub(super) fn html(&self) -> Option<View<'static>> {
        self.read(b"&", html_escape)
    }

    /// Without blanks and line ends, and without the other half of each character in UTF-16.
    pub(super) fn squeezed(&self) -> Option<View<'static>> {
        let view = self.read(SQUEEZED, |_| Some((1, Escaped::none())))?;
        Some(View {
            squeezed: true,
            ..view
        })
    }

    fn read(
        &self,
        begins: &[u8],
        escape: impl Fn(&[u8]) -> Option<(usize, Escaped)>,
    ) -> Option<View<'static>> {
        if !self.bytes.iter().any(|byte| begins.contains(byte)) {
            return None;
        }
        let mut bytes = Vec::with_capacity(self.bytes.len());
        let mut origins = Vec::with_capacity(self.bytes.len());
        let mut at = 0;
        while let Some(byte) = self.bytes.get(at) {
            let rest = self.bytes.get(at..).unwrap_or_default();
            let undone = begins.contains(byte).then(|| escape(rest)).flatten();
            let (length, meant) = undone.unwrap_or_else(|| (1, Escaped::of(&[*byte])));
            let origin = self.origin(&(at..at + length));
            let narrow = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
            for byte in meant.bytes() {
                bytes.push(*byte);
                origins.push(narrow(origin.start)..narrow(origin.end));
            }
            at += length;
        }
        Some(View {
            bytes: Cow::Owned(bytes),
            origins: Some(origins),
            squeezed: false,
        })
    }
}

/// Up to four bytes: a character.
struct Escaped {
    bytes: [u8; 4],
    length: usize,
}

impl Escaped {
    fn none() -> Self {
        Self::of(&[])
    }

    fn of(text: &[u8]) -> Self {
        let mut bytes = [0; 4];
        for (to, from) in bytes.iter_mut().zip(text) {
            *to = *from;
        }
        Self {
            bytes,
            length: text.len().min(4),
        }
    }

    fn character(c: char) -> Self {
        Self::of(c.encode_utf8(&mut [0; 4]).as_bytes())
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

fn json_escape(text: &[u8]) -> Option<(usize, Escaped)> {
    let plain = |byte: u8| Some((2, Escaped::of(&[byte])));
    match *text.get(1)? {
        byte @ (b'"' | b'\\' | b'/') => plain(byte),
        b'n' => plain(b'\n'),
        b'r' => plain(b'\r'),
        b't' => plain(b'\t'),
        b'b' => plain(8),
        b'f' => plain(12),
        b'u' => {
            let high = hex(text.get(2..6)?)?;
            if let Some(c) = char::from_u32(high) {
                return Some((6, Escaped::character(c)));
            }
            // A character beyond 16 bits is written as two.
            let low = text.get(6..12)?.strip_prefix(b"\\u").and_then(hex)?;
            let pair = [u16::try_from(high).ok()?, u16::try_from(low).ok()?];
            let c = char::decode_utf16(pair).next()?.ok()?;
            Some((12, Escaped::character(c)))
        }
        _ => None,
    }
}

fn percent_escape(text: &[u8]) -> Option<(usize, Escaped)> {
    let byte = u8::try_from(hex(text.get(1..3)?)?).ok()?;
    Some((3, Escaped::of(&[byte])))
}

fn html_escape(text: &[u8]) -> Option<(usize, Escaped)> {
    let end = text.iter().take(12).position(|byte| *byte == b';')?;
    let name = text.get(1..end)?;
    let c = match name {
        b"amp" => '&',
        b"lt" => '<',
        b"gt" => '>',
        b"quot" => '"',
        b"apos" => '\'',
        _ => {
            let number = name.strip_prefix(b"#")?;
            let number = match number {
                [b'x' | b'X', digits @ ..] => hex(digits)?,
                _ => std::str::from_utf8(number).ok()?.parse().ok()?,
            };
            char::from_u32(number)?
        }
    };
    Some((end + 1, Escaped::character(c)))
}

fn hex(digits: &[u8]) -> Option<u32> {
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}
