//! Places in a policy's source, and where regorus says that one is.

use std::fmt;

/// A place in a policy's source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file.
    pub file: String,
    /// The line from 1, 0 when it is not known.
    pub line: u64,
    /// The column from 1, 0 when it is not known.
    pub column: u64,
}

impl Place {
    pub(super) fn of(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            line: 0,
            column: 0,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (0, _) => f.write_str(&self.file),
            (line, 0) => write!(f, "{}:{line}", self.file),
            (line, column) => write!(f, "{}:{line}:{column}", self.file),
        }
    }
}

/// What regorus says draws the source line under `--> file:line:column`: the place, and the last clause.
pub(super) fn located(file: &str, said: &str) -> (Place, String) {
    let place = said
        .split_once("--> ")
        .map_or("", |(_, rest)| rest.lines().next().unwrap_or(""));
    let mut parts = place.rsplitn(3, ':');
    let mut number = || {
        parts
            .next()
            .and_then(|part| part.trim().parse().ok())
            .unwrap_or(0)
    };
    let (column, line) = (number(), number());
    let file = parts
        .next()
        .filter(|named| !named.is_empty())
        .unwrap_or(file)
        .to_owned();
    let message = said.rsplit("error: ").next().unwrap_or(said);
    let why = message.lines().next().unwrap_or_default().trim().to_owned();
    (Place { file, line, column }, why)
}
