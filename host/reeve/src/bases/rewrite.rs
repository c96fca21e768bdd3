//! Addresses that are fetched from elsewhere: a company's mirror of a forge, as git's `url.<to>.insteadOf`.

use std::str::FromStr;

/// What begins with one address is fetched from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewrite {
    from: String,
    to: String,
}

/// A text that is no [`Rewrite`].
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not FROM=TO, such as https://github.com/=https://git.example/mirror/")]
pub struct NotARewrite(String);

impl FromStr for Rewrite {
    type Err = NotARewrite;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_address = |part: &str| part.contains("://") && part.ends_with('/');
        match text.split_once('=') {
            Some((from, to)) if is_address(from) && is_address(to) => Ok(Self {
                from: from.to_owned(),
                to: to.to_owned(),
            }),
            _ => Err(NotARewrite(text.to_owned())),
        }
    }
}

/// Where `url` is fetched from: by the longest rule that fits, or as it is.
pub(super) fn rewritten(rules: &[Rewrite], url: &str) -> String {
    let fitting = rules.iter().filter(|rule| url.starts_with(&rule.from));
    let rule = fitting.max_by_key(|rule| rule.from.len());
    let rest = rule.and_then(|rule| Some((rule, url.strip_prefix(&rule.from)?)));
    rest.map_or_else(
        || url.to_owned(),
        |(rule, rest)| format!("{}{rest}", rule.to),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_rule_says_where_from() {
        let rules = [
            "https://github.com/=https://git.example/m/",
            "https://github.com/acme/=http://127.0.0.1:1/",
        ];
        let rules = rules.map(|rule| rule.parse::<Rewrite>().unwrap());
        for (url, want) in [
            ("https://github.com/o/r", "https://git.example/m/o/r"),
            ("https://github.com/acme/r", "http://127.0.0.1:1/r"),
            ("https://github.community/r", "https://github.community/r"),
        ] {
            assert_eq!(rewritten(&rules, url), want);
        }
        assert!("https://a=https://b".parse::<Rewrite>().is_err());
    }
}
