//! Expressions without operators: characters that mean themselves, and dots.
//!
//! What kustomize takes for an expression is a name in nearly all cases, and a compiled one costs more than a small build.

/// What means more than itself in an expression, but for the dot.
const OPERATORS: &str = r"\+*?()|[]{}^$";

/// Characters that mean themselves, and dots that mean any but a line's end.
pub(crate) struct Plain {
    text: String,
    exact: bool,
}

impl Plain {
    /// The expression, if it is such a one.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let plain = !text.contains(|c| OPERATORS.contains(c));
        plain.then(|| Self {
            text: text.to_owned(),
            exact: !text.contains('.'),
        })
    }

    /// Whether it fits one text only.
    pub(super) fn is_exact(&self) -> bool {
        self.exact
    }

    /// What is left of a text that begins with it.
    pub(crate) fn strip<'t>(&self, text: &'t str) -> Option<&'t str> {
        if self.exact {
            return text.strip_prefix(self.text.as_str());
        }
        let mut rest = text.chars();
        for want in self.text.chars() {
            let is = rest.next()?;
            if is != want && (want != '.' || is == '\n') {
                return None;
            }
        }
        Some(rest.as_str())
    }
}
