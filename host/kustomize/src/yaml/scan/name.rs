//! Anchors, aliases, tags and directives.

use super::{Scanner, Token, Wrong};

impl<'a> Scanner<'a> {
    /// `&anchor` or `*alias`.
    pub(super) fn name(&mut self) -> Result<(), Wrong> {
        self.save_key()?;
        self.key_allowed = false;
        let mark = self.cursor.mark();
        let alias = self.cursor.byte(0) == b'*';
        self.cursor.skip();
        let name = self.word();
        let ends = self.cursor.is_gap(0) || b"?:,]}%@`".contains(&self.cursor.byte(0));
        if name.is_empty() || !ends {
            return Err((
                mark,
                "the name of an anchor is made of letters, digits, - and _",
            ));
        }
        let token = if alias {
            Token::Alias(name)
        } else {
            Token::Anchor(name)
        };
        self.add(token, mark);
        Ok(())
    }

    fn word(&mut self) -> &'a str {
        let from = self.cursor.at();
        while matches!(self.cursor.byte(0), b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'-') {
            self.cursor.skip();
        }
        self.cursor.since(from)
    }

    /// `!tag`, `!!tag`, `!handle!tag`, `!<tag>` or `!` alone, which has no handle.
    pub(super) fn tag(&mut self) -> Result<(), Wrong> {
        self.save_key()?;
        self.key_allowed = false;
        let mark = self.cursor.mark();
        let wrong = Err((mark, "this is no tag"));
        let token = if self.cursor.byte(1) == b'<' {
            (0..2).for_each(|_| self.cursor.skip());
            let suffix = self.uri()?;
            if suffix.is_empty() || self.cursor.byte(0) != b'>' {
                return wrong;
            }
            self.cursor.skip();
            Token::Tag { handle: "", suffix }
        } else {
            let handle = self.handle();
            let rest = self.uri()?;
            match handle.strip_prefix('!').unwrap_or(handle) {
                name if name.ends_with('!') && rest.is_empty() => return wrong,
                name if name.ends_with('!') => Token::Tag {
                    handle,
                    suffix: rest,
                },
                "" if rest.is_empty() => Token::Tag {
                    handle: "",
                    suffix: "!".to_owned(),
                },
                name => Token::Tag {
                    handle: "!",
                    suffix: format!("{name}{rest}"),
                },
            }
        };
        if !self.cursor.is_gap(0) {
            return Err((mark, "a space is missing behind this tag"));
        }
        self.add(token, mark);
        Ok(())
    }

    /// `!`, `!!` or `!name!`; of `!name` the part before what a handle cannot hold.
    fn handle(&mut self) -> &'a str {
        let from = self.cursor.at();
        self.cursor.skip();
        self.word();
        if self.cursor.byte(0) == b'!' {
            self.cursor.skip();
        }
        self.cursor.since(from)
    }

    /// As much as may belong to the address that a tag is.
    fn uri(&mut self) -> Result<String, Wrong> {
        let mark = self.cursor.mark();
        let mut bytes = Vec::new();
        loop {
            match self.cursor.byte(0) {
                b'%' => {
                    let digit = |ahead| char::from(self.cursor.byte(ahead)).to_digit(16);
                    let (Some(high), Some(low)) = (digit(1), digit(2)) else {
                        return Err((mark, "a % in a tag needs two digits"));
                    };
                    bytes.extend(u8::try_from(high * 16 + low));
                    (0..3).for_each(|_| self.cursor.skip());
                }
                byte if byte.is_ascii_alphanumeric()
                    || b"_-;/?:@&=+$,.!~*'()[]".contains(&byte) =>
                {
                    bytes.push(byte);
                    self.cursor.skip();
                }
                _ => break,
            }
        }
        String::from_utf8(bytes).map_err(|_| (mark, "this tag is not UTF-8"))
    }

    /// `%YAML 1.1` or `%TAG !handle! prefix`.
    pub(super) fn directive(&mut self) -> Result<Token<'a>, Wrong> {
        let mark = self.cursor.mark();
        self.cursor.skip();
        let name = self.word();
        self.cursor.skip_blanks();
        let token = match name {
            "YAML" => {
                let from = self.cursor.at();
                while matches!(self.cursor.byte(0), b'0'..=b'9' | b'.') {
                    self.cursor.skip();
                }
                Token::Version(self.cursor.since(from) == "1.1")
            }
            "TAG" if self.cursor.byte(0) == b'!' => {
                let handle = self.handle();
                let whole = handle == "!" || handle.len() > 1 && handle.ends_with('!');
                if !whole || !self.cursor.is_blank(0) {
                    return Err((mark, "%TAG needs a handle and a prefix"));
                }
                self.cursor.skip_blanks();
                let prefix = self.uri()?;
                Token::TagDirective { handle, prefix }
            }
            _ => {
                return Err((
                    mark,
                    "a % at the edge begins a directive, and there is none of this name",
                ));
            }
        };
        let gap = self.cursor.is_gap(0);
        self.cursor.skip_blanks();
        if self.cursor.byte(0) == b'#' {
            self.cursor.skip_line();
        }
        if !gap || !self.cursor.is_line_end(0) {
            return Err((mark, "this directive has more than its value"));
        }
        self.cursor.line_break();
        Ok(token)
    }
}
