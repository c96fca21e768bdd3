//! A range of versions as Flux's users write it, and the tag that is highest in it.
//!
//! Flux reads ranges with Masterminds/semver: `||` between alternatives, blanks or commas between conditions that all
//! hold, `1.x`, `1.2 - 1.4`, `>=1.0.0-0` to let pre-releases in. They are rewritten for the `semver` crate here. It
//! deliberately doesn't list tags: the shell's `git` does and asks [`Range::highest`].

use std::fmt;
use std::str::FromStr;

use semver::{Comparator, Op, Prerelease, Version, VersionReq};

/// The longest text of a range, in bytes.
const LONGEST: usize = 256;

/// Versions that are acceptable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    text: String,
    alternatives: Vec<VersionReq>,
}

/// A text that is not a range of versions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a range of versions, as >=1.0.0 <2.0.0 or 1.x")]
pub struct NotARange(String);

impl Range {
    /// The tag with the highest version in the range. Tags that are no versions are passed over, a leading `v` is
    /// allowed; of two tags with one version the later in the alphabet is taken, so that the answer doesn't depend on
    /// the order they come in.
    pub fn highest<'a>(&self, tags: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
        let versions = tags
            .into_iter()
            .filter_map(|tag| Some((version(tag)?, tag)));
        versions
            .filter(|(version, _)| self.holds(version))
            .max()
            .map(|(_, tag)| tag)
    }

    fn holds(&self, version: &Version) -> bool {
        self.alternatives.iter().any(|all| {
            // A pre-release counts only for those who mention one, as in Masterminds/semver; the crate wants the very
            // same release mentioned, which `>=1.0.0-0` is not for 2.0.0-rc.1.
            let mentioned = all.comparators.iter().any(|one| !one.pre.is_empty());
            match (version.pre.is_empty(), mentioned) {
                (true, _) => all.matches(version),
                (false, false) => false,
                (false, true) => all.comparators.iter().all(|one| holds(one, version)),
            }
        })
    }
}

impl FromStr for Range {
    type Err = NotARange;

    fn from_str(text: &str) -> Result<Self, NotARange> {
        let refused = || NotARange(text.chars().take(100).collect());
        if text.len() > LONGEST {
            return Err(refused());
        }
        let alternatives: Option<Vec<_>> = text.split("||").map(alternative).collect();
        let alternatives = alternatives.ok_or_else(refused)?;
        Ok(Self {
            text: text.to_owned(),
            alternatives,
        })
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Conditions that all hold.
fn alternative(text: &str) -> Option<VersionReq> {
    if let Some((from, to)) = text.split_once(" - ") {
        return VersionReq::parse(&format!(">={}, <={}", plain(from)?, plain(to)?)).ok();
    }
    let mut conditions: Vec<String> = Vec::new();
    let mut operator = String::new();
    for word in text.split([' ', ',', '\t']).filter(|word| !word.is_empty()) {
        // `>= 1.0` is one condition in two words.
        if word.chars().all(|c| "<>=~^!".contains(c)) {
            operator.push_str(word);
            continue;
        }
        conditions.push(condition(&format!("{operator}{word}"))?);
        operator.clear();
    }
    if !operator.is_empty() || conditions.is_empty() {
        return None;
    }
    VersionReq::parse(&conditions.join(", ")).ok()
}

/// One condition, as the crate writes it.
fn condition(text: &str) -> Option<String> {
    let start = text.find(|c: char| !"<>=~^!".contains(c))?;
    let (operator, version) = text.split_at_checked(start)?;
    let version = plain(version)?;
    let whole = version.split(['-', '+']).next()?.split('.').count() == 3;
    let operator = match operator {
        // A whole version without an operator is that version; the crate would read it as `^`.
        "" | "=" if whole && !version.contains('*') => "=",
        "" | "=" if version.contains('*') => "",
        "" | "=" => "~",
        "=>" => ">=",
        "=<" => "<=",
        "~>" => "~",
        ">" | ">=" | "<" | "<=" | "~" | "^" => operator,
        // `!=` has no counterpart in the crate.
        _ => return None,
    };
    if version.contains('*') {
        // `>=1.x` says the same as `>=1`.
        let stem = version.split(".*").next()?.trim_matches('*');
        return Some(match (operator, stem) {
            (_, "") => "*".to_owned(),
            ("", stem) => format!("~{stem}"),
            (operator, stem) => format!("{operator}{stem}"),
        });
    }
    Some(format!("{operator}{version}"))
}

/// A version without a leading `v` and with `*` for `x` and `X`.
fn plain(text: &str) -> Option<String> {
    let text = text.trim();
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let (release, rest) = text.split_at_checked(text.find(['-', '+']).unwrap_or(text.len()))?;
    let parts = release
        .split('.')
        .map(|part| if matches!(part, "x" | "X") { "*" } else { part });
    let parts: Vec<&str> = parts.collect();
    (parts.len() <= 3).then(|| format!("{}{rest}", parts.join(".")))
}

/// A tag as a version: `v1.2.3`, and as Masterminds/semver reads them, `1.2` and `1`.
fn version(tag: &str) -> Option<Version> {
    let text = tag.strip_prefix('v').unwrap_or(tag);
    let (release, rest) = text.split_at_checked(text.find(['-', '+']).unwrap_or(text.len()))?;
    let missing = match release.split('.').count() {
        1 => ".0.0",
        2 => ".0",
        _ => "",
    };
    Version::parse(&format!("{release}{missing}{rest}")).ok()
}

/// Whether one condition holds for a pre-release, compared as versions are: 2.0.0-rc.1 lies in >=1.0.0-0.
fn holds(one: &Comparator, version: &Version) -> bool {
    let floor = Version {
        pre: one.pre.clone(),
        ..Version::new(one.major, one.minor.unwrap_or(0), one.patch.unwrap_or(0))
    };
    let below = |major, minor, patch| {
        let pre = Prerelease::new("0").unwrap_or(Prerelease::EMPTY);
        *version
            < Version {
                pre,
                ..Version::new(major, minor, patch)
            }
    };
    match one.op {
        Op::Exact => *version == floor,
        Op::Greater => *version > floor,
        Op::GreaterEq => *version >= floor,
        Op::Less => *version < floor,
        Op::LessEq => *version <= floor,
        Op::Tilde if one.minor.is_none() => *version >= floor && below(one.major + 1, 0, 0),
        Op::Tilde => *version >= floor && below(one.major, floor.minor + 1, 0),
        Op::Caret if one.major > 0 => *version >= floor && below(one.major + 1, 0, 0),
        Op::Caret if floor.minor > 0 => *version >= floor && below(0, floor.minor + 1, 0),
        Op::Caret => *version >= floor && below(0, 0, floor.patch + 1),
        // `1.x` and whatever is new: no pre-release is meant.
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAGS: [&str; 11] = [
        "v0.9.0",
        "1.0.0",
        "v1.2.3",
        "v1.2.10",
        "1.3.0-rc.1",
        "v2.0.0",
        "v2.1.0-beta.2",
        "nightly",
        "v3",
        "release-1",
        "1.2.3.4",
    ];

    #[test]
    fn the_highest_tag_in_a_range_is_taken() {
        for (range, want) in [
            ("*", Some("v3")),
            ("x", Some("v3")),
            ("1.x", Some("v1.2.10")),
            ("1", Some("v1.2.10")),
            ("1.2", Some("v1.2.10")),
            ("1.2.x", Some("v1.2.10")),
            (">=1.0.0 <2.0.0", Some("v1.2.10")),
            (">=1.0.0, <2.0.0", Some("v1.2.10")),
            (">= 1.0.0 < 2.0.0", Some("v1.2.10")),
            (">=1.0.0-0 <2.0.0", Some("1.3.0-rc.1")),
            (">=1.0.0-0 <3.0.0-0", Some("v2.1.0-beta.2")),
            ("^1.0.0", Some("v1.2.10")),
            ("~1.2.0", Some("v1.2.10")),
            ("~1.2.0-0", Some("v1.2.10")),
            ("1.2.3", Some("v1.2.3")),
            ("=1.2.3", Some("v1.2.3")),
            ("v1.2.3", Some("v1.2.3")),
            ("<1.0.0", Some("v0.9.0")),
            ("0.9 - 1.0", Some("1.0.0")),
            ("0.x || 2.x", Some("v2.0.0")),
            (">9", None),
        ] {
            let read: Range = range.parse().unwrap();
            assert_eq!(read.highest(TAGS), want, "{range}");
            let reversed = TAGS.into_iter().rev();
            assert_eq!(read.highest(reversed), want, "{range}, whatever the order");
            assert_eq!(read.to_string(), range);
        }
    }

    #[test]
    fn a_text_that_is_no_range_is_refused() {
        let long = "1.0.0 ".repeat(60);
        for text in [
            "",
            "||",
            ">=",
            "latest",
            "1.0.0 ||",
            "1.2.3.4",
            "!=1.0.0",
            "--upload-pack",
            &long,
        ] {
            assert!(text.parse::<Range>().is_err(), "{text:?}");
        }
    }
}
