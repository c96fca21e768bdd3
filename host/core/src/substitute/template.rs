//! A text with expressions in it, read: what is text, and what is a variable with a function on it.
//!
//! As Flux reads it, oddities included: a `/` ends a pattern even behind a `}`, a default may hold several expressions
//! and any other argument one. It deliberately evaluates nothing.

/// How deep expressions may lie in one another.
const DEEPEST: usize = 32;
/// The longest name of a variable that is told.
const LONGEST_NAME: usize = 253;

/// A text with expressions in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Template(pub(super) Vec<Piece>);

/// A part of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    Expression(Expression),
}

/// `${name…}`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expression {
    pub(super) name: String,
    pub(super) function: Function,
    pub(super) arguments: Vec<Piece>,
}

/// What is done to the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    /// Nothing.
    Value,
    /// Another, if it is empty or not there: `=`, `:=`, `:-`, `:?` and `:+`, which are all the same to Flux.
    Default,
    /// `#` before the name.
    Length,
    Lower(Reach),
    Upper(Reach),
    Substring,
    TrimPrefix(Match),
    TrimSuffix(Match),
    ReplacePrefix,
    ReplaceSuffix,
    Replace(Reach),
}

/// How much of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    First,
    All,
}

/// Which match of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    Shortest,
    Longest,
}

/// An expression that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bad {
    /// Where, from 1.
    pub(super) line: usize,
    pub(super) why: &'static str,
}

impl Template {
    /// Reads the text.
    pub(super) fn parse(text: &str) -> Result<Self, Bad> {
        let mut reader = Reader {
            rest: text,
            behind: text.len(),
        };
        reader.template().map_err(|why| {
            let before = text.bytes().take(text.len() - reader.behind);
            Bad {
                line: 1 + before.filter(|byte| *byte == b'\n').count(),
                why,
            }
        })
    }
}

type Read<T> = Result<T, &'static str>;

const UNCLOSED: &str = "its } is missing";
const NO_ARGUMENT: &str = "its function lacks an argument";

struct Reader<'t> {
    rest: &'t str,
    /// How much there was from the beginning of the outermost expression on.
    behind: usize,
}

impl Reader<'_> {
    fn template(&mut self) -> Read<Template> {
        let mut pieces = Vec::new();
        while !self.rest.is_empty() {
            self.behind = self.rest.len();
            pieces.push(if self.takes("${") {
                Piece::Expression(self.expression(0)?)
            } else {
                Piece::Text(self.text(|_| false, "$"))
            });
        }
        Ok(Template(pieces))
    }

    /// What follows `${`, and its `}`.
    fn expression(&mut self, depth: usize) -> Read<Expression> {
        if depth == DEEPEST {
            return Err("expressions lie too deep in one another");
        }
        if self.takes("#") {
            let name = self.name()?;
            return self.closed(name, Function::Length, Vec::new());
        }
        let name = self.name()?;
        let next = self.rest.chars().next();
        match next.ok_or(UNCLOSED)? {
            ':' | '=' => self.default_or_substring(name, depth),
            ',' | '^' => {
                let marks = self.text(|c| !matches!(c, ',' | '^'), "");
                let function = match marks.as_str() {
                    "," => Function::Lower(Reach::First),
                    ",," => Function::Lower(Reach::All),
                    "^" => Function::Upper(Reach::First),
                    "^^" => Function::Upper(Reach::All),
                    ",^" | "^," => Function::Value,
                    _ => return Err(UNCLOSED),
                };
                self.closed(name, function, Vec::new())
            }
            '/' => self.replace(name, depth),
            '#' | '%' => {
                let function = match () {
                    () if self.takes("##") => Function::TrimPrefix(Match::Longest),
                    () if self.takes("#") => Function::TrimPrefix(Match::Shortest),
                    () if self.takes("%%") => Function::TrimSuffix(Match::Longest),
                    () => {
                        self.takes("%");
                        Function::TrimSuffix(Match::Shortest)
                    }
                };
                let pattern = self.argument(|c| c == '}', "", depth)?;
                self.closed(name, function, vec![pattern])
            }
            _ => self.closed(name, Function::Value, Vec::new()),
        }
    }

    fn default_or_substring(&mut self, name: String, depth: usize) -> Read<Expression> {
        let defaults = ["=", ":=", ":-", ":?", ":+"];
        let mut arguments = Vec::new();
        if defaults.into_iter().any(|mark| self.takes(mark)) {
            while !self.rest.starts_with('}') {
                arguments.push(self.argument(|c| c == '}', "", depth)?);
            }
            return self.closed(name, Function::Default, arguments);
        }
        self.takes(":");
        // Flux's reader goes back as far as what it has just looked at is long, and then finds no function.
        if self
            .rest
            .chars()
            .next()
            .is_some_and(|next| !next.is_ascii())
        {
            return Err("a letter beyond ASCII follows its :");
        }
        arguments.push(self.argument(|c| matches!(c, ':' | '}'), "", depth)?);
        if !self.text(|c| c != ':', "").is_empty() {
            arguments.push(self.argument(|c| c == '}', "", depth)?);
        }
        self.closed(name, Function::Substring, arguments)
    }

    fn replace(&mut self, name: String, depth: usize) -> Read<Expression> {
        self.takes("/");
        let function = match () {
            () if self.takes("/") => Function::Replace(Reach::All),
            () if self.takes("#") => Function::ReplacePrefix,
            () if self.takes("%") => Function::ReplaceSuffix,
            () => Function::Replace(Reach::First),
        };
        let mut arguments = vec![self.argument(|c| c == '/', "$\\", depth)?];
        if self.text(|c| c != '/', "").is_empty() {
            return Err("its function lacks a /");
        }
        if !self.rest.starts_with('}') {
            arguments.push(self.argument(|c| c == '}', "$\\", depth)?);
        }
        self.closed(name, function, arguments)
    }

    fn closed(
        &mut self,
        name: String,
        function: Function,
        arguments: Vec<Piece>,
    ) -> Read<Expression> {
        if !self.takes("}") {
            return Err(UNCLOSED);
        }
        Ok(Expression {
            name,
            function,
            arguments,
        })
    }

    /// One expression, or text up to another or to what ends it.
    fn argument(
        &mut self,
        ends: impl Fn(char) -> bool,
        escapes: &str,
        depth: usize,
    ) -> Read<Piece> {
        if self.takes("${") {
            return self.expression(depth + 1).map(Piece::Expression);
        }
        let text = self.text(ends, escapes);
        match text.is_empty() {
            true => Err(NO_ARGUMENT),
            false => Ok(Piece::Text(text)),
        }
    }

    fn name(&mut self) -> Read<String> {
        let name = self.text(|c| !(c.is_alphanumeric() || c == '_'), "");
        match name.len() {
            0 => Err("its variable has no name"),
            long if long > LONGEST_NAME => Err("the name of its variable is too long"),
            _ => Ok(name),
        }
    }

    /// Text up to an expression or to what ends it. What is escaped, by one of `escapes`, ends nothing.
    fn text(&mut self, ends: impl Fn(char) -> bool, escapes: &str) -> String {
        let mut text = String::new();
        while let Some(next) = self.rest.chars().next() {
            if self.rest.starts_with("${") {
                break;
            }
            if let Some(escaped) = self.escaped(next, escapes) {
                text.push(escaped);
                continue;
            }
            if ends(next) {
                break;
            }
            text.push(next);
            self.takes(next.encode_utf8(&mut [0; 4]));
        }
        text
    }

    /// The character that `$$`, `\/` or `\\` stands for.
    fn escaped(&mut self, next: char, escapes: &str) -> Option<char> {
        let known = [("$$", '$'), ("\\/", '/'), ("\\\\", '\\')];
        let (_, escaped) = known.into_iter().find(|(written, _)| {
            escapes.contains(next) && written.starts_with(next) && self.takes(written)
        })?;
        Some(escaped)
    }

    fn takes(&mut self, what: &str) -> bool {
        let rest = self.rest.strip_prefix(what);
        if let Some(rest) = rest {
            self.rest = rest;
        }
        rest.is_some()
    }
}
