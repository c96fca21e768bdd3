//! Why a build stopped: which file, line, column and field, and what is wrong there.
//!
//! Messages never hold the value of a field: it may be a secret. The next stage is the caller, who knows whose turn it
//! is.

use std::fmt;

/// A build that stopped, and where.
///
/// Prints as `path/kustomization.yaml:3:1: replacements: is not supported yet`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}{why}")]
pub struct Error {
    place: Place,
    why: Why,
}

/// Where in the tree an error lies; what is not known is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The file, relative to the tree's root.
    pub file: String,
    /// The line, from 1.
    pub line: Option<u32>,
    /// The column, from 1.
    pub column: Option<u32>,
    /// The field, as `patches[0].path`.
    pub field: Option<String>,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// The bytes are no YAML.
    #[error("{0}")]
    Syntax(String),
    /// A field or a value of a field that kustomize knows and this engine does not act on.
    #[error("{0} is not supported yet")]
    Unsupported(String),
    /// A field that kustomize does not know either.
    #[error("unknown field{}", .suggestion.as_ref().map(|s| format!(", did you mean {s}?")).unwrap_or_default())]
    Unknown {
        /// The known field that looks most like it.
        suggestion: Option<String>,
    },
    /// The content breaks a rule.
    #[error("{0}")]
    Invalid(String),
    /// Nothing lies at this path.
    #[error("{path} {}", .left_out.unwrap_or("does not exist"))]
    Missing {
        /// The path, relative to the tree's root.
        path: String,
        /// What keeps it out, if its author may see it there.
        left_out: Option<&'static str>,
    },
    /// The path leads out of the tree.
    #[error("{path} lies outside of the repository")]
    Outside {
        /// The path as it was written.
        path: String,
    },
    /// The path names a place on the network.
    #[error(
        "remote resource {url} is refused: commit a copy of it, or use a source of its own for it"
    )]
    Remote {
        /// The address, without credentials.
        url: String,
    },
    /// A kustomization leads back to itself.
    #[error("cycle: {}", .0.join(" -> "))]
    Cycle(Vec<String>),
    /// Two things bear the same identity.
    #[error("{0}")]
    Conflict(String),
    /// A bound of [`crate::Limits`] was reached.
    #[error("more than {limit} {what}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much there may be.
        limit: u64,
    },
    /// A function failed, or refused.
    #[error("{0}")]
    Function(String),
    /// The caller gave up on the build, by [`crate::Stop`].
    #[error("the build was stopped")]
    Stopped,
    /// The tree could not give the file.
    #[error("cannot be read: {0}")]
    Unreadable(String),
}

impl Place {
    /// The same place with its file named as `map` names it. An address is no path of the tree and stays.
    #[must_use]
    pub fn with_path(mut self, map: impl Fn(&str) -> String) -> Self {
        self.file = renamed(&self.file, map);
        self
    }

    /// A file, and no more is known.
    pub(crate) fn of_file(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            ..Self::default()
        }
    }

    /// A field of the value at this place.
    pub(crate) fn inside(&self, field: &str) -> Self {
        let outer = self.field.as_ref();
        let field = outer.map_or_else(|| field.to_owned(), |outer| format!("{outer}.{field}"));
        Self {
            field: Some(field),
            ..self.clone()
        }
    }
}

/// What `map` makes of a path of the tree; anything else, such as an address, is as it was.
fn renamed(path: &str, map: impl Fn(&str) -> String) -> String {
    match path.is_empty() || path.contains("://") {
        true => path.to_owned(),
        false => map(path),
    }
}

impl Why {
    /// The same with words before it.
    pub(crate) fn prefixed(self, words: &str) -> Self {
        match self {
            Self::Syntax(text) => Self::Syntax(format!("{words}{text}")),
            Self::Invalid(text) => Self::Invalid(format!("{words}{text}")),
            other => other,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.is_empty() {
            f.write_str(&self.file)?;
            for number in [self.line, self.column].into_iter().flatten() {
                write!(f, ":{number}")?;
            }
            f.write_str(": ")?;
        }
        self.field
            .as_ref()
            .map_or(Ok(()), |field| write!(f, "{field}: "))
    }
}

impl Error {
    /// An error that knows no more than its file (which may be empty).
    pub(crate) fn new(file: &str, why: Why) -> Self {
        Self {
            place: Place {
                file: file.to_owned(),
                ..Place::default()
            },
            why,
        }
    }

    /// An error at a place.
    pub(crate) fn in_place(place: &Place, why: Why) -> Self {
        Self {
            place: place.clone(),
            why,
        }
    }

    /// A broken rule at a place.
    pub(crate) fn invalid_at(place: &Place, message: impl Into<String>) -> Self {
        Self::in_place(place, Why::Invalid(message.into()))
    }

    /// A broken rule in `file`.
    pub(crate) fn invalid(file: &str, message: impl Into<String>) -> Self {
        Self::new(file, Why::Invalid(message.into()))
    }

    /// The same error at `place`, which led to the file that it is in.
    pub(crate) fn by_way_of(self, place: &Place) -> Self {
        let file = Place {
            field: None,
            ..self.place
        };
        Self {
            place: place.clone(),
            why: self.why.prefixed(&file.to_string()),
        }
    }

    /// The same error with its files and directories named as `map` names them: for who shows them as seen from elsewhere
    /// than the tree's root. What is no path of the tree, such as an address, is not asked about.
    #[must_use]
    pub fn with_paths(mut self, map: impl Fn(&str) -> String) -> Self {
        let rename = |path: &mut String| *path = renamed(path, &map);
        self.place = self.place.with_path(&map);
        match &mut self.why {
            Why::Missing { path, .. } => rename(path),
            Why::Cycle(members) => members.iter_mut().for_each(rename),
            _ => {}
        }
        self
    }

    /// The same error at a line and column.
    #[must_use]
    pub(crate) fn at(mut self, line: u32, column: u32) -> Self {
        self.place.line = Some(line);
        self.place.column = Some(column);
        self
    }

    /// The same error in a line; 0 is none.
    #[must_use]
    pub(crate) fn at_line(mut self, line: u32) -> Self {
        self.place.line = (line > 0).then_some(line);
        self
    }

    /// The same error with every text changed that may hold a path.
    #[must_use]
    pub(crate) fn map_texts(mut self, map: impl Fn(&str) -> String) -> Self {
        self.place.file = map(&self.place.file);
        match &mut self.why {
            Why::Syntax(text)
            | Why::Unsupported(text)
            | Why::Invalid(text)
            | Why::Conflict(text)
            | Why::Function(text)
            | Why::Unreadable(text)
            | Why::Missing { path: text, .. }
            | Why::Outside { path: text } => *text = map(text),
            Why::Cycle(members) => members.iter_mut().for_each(|one| *one = map(one)),
            Why::Unknown { .. } | Why::Remote { .. } | Why::Limit { .. } | Why::Stopped => {}
        }
        self
    }

    /// Where it is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What it is.
    pub fn why(&self) -> &Why {
        &self.why
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_file_line_column_field_and_reason() {
        let why = Why::Unsupported("replacements".into());
        let error = Error::new("a/kustomization.yaml", why).at(3, 1);
        assert_eq!(
            error.to_string(),
            "a/kustomization.yaml:3:1: replacements is not supported yet"
        );
        let place = Place {
            file: "k".into(),
            line: Some(4),
            column: Some(3),
            field: Some("resources[0]".into()),
        };
        let error = Error::in_place(
            &place,
            Why::Missing {
                path: "x.yaml".into(),
                left_out: None,
            },
        );
        assert_eq!(
            error.to_string(),
            "k:4:3: resources[0]: x.yaml does not exist"
        );
    }
}
