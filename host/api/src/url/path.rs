//! The path of a URL: what none may hold, and what it is to the server that is asked for it.
//!
//! Servers leave out `.`, `..`, empty segments and, some of them, all from a `;` to the next `/`. A path that holds such a thing
//! is another path to them than to whoever has judged it, so that it is refused instead of being put right here.

use super::percent::decoded;
use super::{NotAUrl, RemoteUrl, Scheme};

impl RemoteUrl {
    /// Another repository of the same server, reached in the same way.
    ///
    /// # Errors
    /// When there can be none at the path; or when, in the short form, it would begin with what others read as a port.
    pub fn at(&self, path: String) -> Result<Self, NotAUrl> {
        if path.len() > super::MAX_URL {
            return Err(NotAUrl::TooLong);
        }
        if path.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(NotAUrl::Control);
        }
        if path.contains(['?', '#']) {
            return Err(NotAUrl::Query);
        }
        let first = path.split('/').next().unwrap_or_default();
        if self.scp && first.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NotAUrl::Port);
        }
        check(self.scheme, &path)?;
        Ok(Self {
            path,
            ..self.clone()
        })
    }
}

/// The path may be anything that a server could have a repository at, but not a way out of where it keeps them, nor a
/// second way to the same place. A slash before and one after it are only habit.
pub(super) fn check(scheme: Scheme, path: &str) -> Result<(), NotAUrl> {
    let trimmed = path.trim_matches('/');
    if trimmed.is_empty() {
        return Err(NotAUrl::NoPath);
    }
    let whole = settled(path).ok_or(NotAUrl::DotDot)?;
    let inner = path.strip_prefix('/').unwrap_or(path);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    if whole.chars().any(char::is_control) || inner.split('/').any(hides_a_step) {
        return Err(NotAUrl::DotDot);
    }
    // Over ssh the path is an argument of a command line that the server's shell reads.
    let quotes = scheme == Scheme::Ssh && path.contains(['\'', '"', '`', '!']);
    if quotes || path.contains('\\') || trimmed.starts_with('-') || whole.contains(';') {
        return Err(NotAUrl::Path);
    }
    Ok(())
}

/// The path decoded once, without slashes around it, unless that brings to light what separates, encodes or matches again.
pub(super) fn plain(path: &str) -> Option<String> {
    let segments = path.trim_matches('/').split('/').map(|segment| {
        let text = decoded(segment)?;
        let hidden = segment.contains('%') && text.contains(['/', '\\', '%', '*']);
        (!hidden).then_some(text)
    });
    let segments: Option<Vec<String>> = segments.collect();
    segments.map(|segments| segments.join("/"))
}

/// Whether a segment is one that a server leaves out, or may become one: `%2e%2e`, also when encoded again, or `..;x`. A
/// broken encoding may become anything.
fn hides_a_step(segment: &str) -> bool {
    settled(segment).is_none_or(|text| {
        text.split(['/', '\\'])
            .map(|part| part.split(';').next().unwrap_or_default())
            .any(|part| matches!(part, "" | "." | ".."))
    })
}

/// The text decoded until nothing is left to be, unless an encoding is broken.
fn settled(text: &str) -> Option<String> {
    let mut text = text.to_owned();
    // Each round shortens a text that holds an encoding by at least two bytes, so this ends.
    while text.contains('%') {
        text = decoded(&text)?;
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_compared_as_the_server_reads_it() {
        for (path, want) in [
            ("/o/secret", Some("o/secret")),
            ("/o/%73ecret/", Some("o/secret")),
            ("o/My%20Project", Some("o/My Project")),
            ("/o/*", Some("o/*")),
            ("/o%2fsecret", None),
            ("/o%5csecret", None),
            ("/o/%2573ecret", None),
            ("/o/%2a", None),
        ] {
            assert_eq!(plain(path).as_deref(), want, "{path}");
        }
    }
}
