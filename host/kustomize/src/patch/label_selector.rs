//! Kubernetes' label selectors: `a=b,c!=d,e in (x,y),f notin (z),g,!h,i>1`.

/// A selector; all of its requirements must hold.
#[derive(Clone, Debug)]
pub struct LabelSelector(Vec<Requirement>);

#[derive(Clone, Debug)]
struct Requirement {
    key: String,
    want: Want,
}

#[derive(Clone, Debug)]
enum Want {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
    Greater(i64),
    Less(i64),
}

#[derive(Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Mark(&'a str),
}

impl LabelSelector {
    /// Reads it; the error says what is missing.
    pub fn parse(text: &str) -> Result<Self, String> {
        let tokens = tokens(text);
        let mut rest = tokens.as_slice();
        let mut requirements = Vec::new();
        while !rest.is_empty() {
            let (requirement, tail) = requirement(rest)?;
            requirements.push(requirement);
            rest = match tail {
                [] => tail,
                [Token::Mark(","), next @ ..] if !next.is_empty() => next,
                _ => return Err("a comma and another requirement are needed".to_owned()),
            };
        }
        Ok(Self(requirements))
    }

    /// Whether labels with these values are meant.
    pub fn matches<'v>(&self, value: impl Fn(&str) -> Option<&'v str>) -> bool {
        self.0
            .iter()
            .all(|requirement| requirement.want.fits(value(&requirement.key)))
    }

    /// What looking at one object counts.
    pub(super) fn cost(&self) -> u64 {
        let values = |one: &Requirement| match &one.want {
            Want::In(values) | Want::NotIn(values) => values.len() as u64,
            Want::Exists | Want::Absent | Want::Greater(_) | Want::Less(_) => 0,
        };
        self.0.iter().map(|one| 1 + values(one)).sum()
    }
}

impl Want {
    fn fits(&self, value: Option<&str>) -> bool {
        let number = |value: Option<&str>| value?.parse::<i64>().ok();
        let listed = |values: &[String], value: &str| values.iter().any(|one| one == value);
        match self {
            Self::In(values) => value.is_some_and(|v| listed(values, v)),
            Self::NotIn(values) => value.is_none_or(|v| !listed(values, v)),
            Self::Exists => value.is_some(),
            Self::Absent => value.is_none(),
            Self::Greater(than) => number(value).is_some_and(|n| n > *than),
            Self::Less(than) => number(value).is_some_and(|n| n < *than),
        }
    }
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    const MARKS: [&str; 9] = ["==", "!=", "=", "!", "(", ")", ",", ">", "<"];
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if let Some(mark) = MARKS.iter().find(|mark| rest.starts_with(**mark)) {
            tokens.push(Token::Mark(mark));
            rest = rest.strip_prefix(*mark).unwrap_or_default().trim_start();
            continue;
        }
        let end = rest
            .find(|c: char| c.is_whitespace() || "=!(),<>".contains(c))
            .unwrap_or(rest.len());
        let (word, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
        tokens.push(Token::Word(word));
        rest = tail.trim_start();
    }
    tokens
}

type Parsed<'a, 't> = (Requirement, &'t [Token<'a>]);

fn requirement<'a, 't>(tokens: &'t [Token<'a>]) -> Result<Parsed<'a, 't>, String> {
    let made = |key: &str, want| Requirement {
        key: key.to_owned(),
        want,
    };
    match tokens {
        [Token::Mark("!"), Token::Word(key), rest @ ..] => Ok((made(key, Want::Absent), rest)),
        [
            Token::Word(key),
            Token::Word(word @ ("in" | "notin")),
            Token::Mark("("),
            rest @ ..,
        ] => {
            let (values, rest) = set(rest)?;
            let want = if *word == "in" {
                Want::In(values)
            } else {
                Want::NotIn(values)
            };
            Ok((made(key, want), rest))
        }
        [
            Token::Word(key),
            Token::Mark(mark @ ("=" | "==" | "!=")),
            rest @ ..,
        ] => {
            let (value, rest) = match rest {
                [Token::Word(value), rest @ ..] => ((*value).to_owned(), rest),
                rest => (String::new(), rest),
            };
            let want = if *mark == "!=" {
                Want::NotIn(vec![value])
            } else {
                Want::In(vec![value])
            };
            Ok((made(key, want), rest))
        }
        [
            Token::Word(key),
            Token::Mark(mark @ (">" | "<")),
            Token::Word(value),
            rest @ ..,
        ] => {
            let number = value
                .parse()
                .map_err(|_| "a number is needed behind > or <".to_owned())?;
            let want = if *mark == ">" {
                Want::Greater(number)
            } else {
                Want::Less(number)
            };
            Ok((made(key, want), rest))
        }
        [Token::Word(key), rest @ ..] => Ok((made(key, Want::Exists), rest)),
        _ => Err("a key is needed".to_owned()),
    }
}

fn set<'a, 't>(mut tokens: &'t [Token<'a>]) -> Result<(Vec<String>, &'t [Token<'a>]), String> {
    let mut values = Vec::new();
    loop {
        match tokens {
            [Token::Word(value), Token::Mark(")"), rest @ ..] => {
                values.push((*value).to_owned());
                return Ok((values, rest));
            }
            [Token::Word(value), Token::Mark(","), rest @ ..] => {
                values.push((*value).to_owned());
                tokens = rest;
            }
            [Token::Mark(")"), rest @ ..] => {
                values.push(String::new());
                return Ok((values, rest));
            }
            [Token::Mark(","), rest @ ..] => {
                values.push(String::new());
                tokens = rest;
            }
            _ => return Err("a closing parenthesis is missing".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_read_as_kubernetes_reads_them() {
        let labels = |key: &str| {
            [("a", "b"), ("n", "5"), ("e", "")]
                .iter()
                .find(|(k, _)| *k == key)
                .map(|(_, v)| *v)
        };
        for (text, want) in [
            ("", true),
            ("a=b", true),
            ("a == b, n", true),
            ("a!=b", false),
            ("x!=b", true),
            ("a in (x, b)", true),
            ("a notin (x,b)", false),
            ("!x,!y", true),
            ("!a", false),
            ("n>4,n<6", true),
            ("n>5", false),
            ("e=", true),
            ("in=x", false),
        ] {
            assert_eq!(
                LabelSelector::parse(text).unwrap().matches(labels),
                want,
                "{text}"
            );
        }
        for text in ["a in (x", "=b", "a=b,", "a b", "n>x", ","] {
            assert!(LabelSelector::parse(text).is_err(), "{text}");
        }
    }
}
