//! Shell patterns as Go's `filepath.Match` reads them: `*` and `?` stop at a slash, `[a-z]`, `[^a]`, `\` before any sign.

/// Whether `name` matches `pattern` as a whole; nothing where the pattern is broken.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> Option<bool> {
    let pattern = parse(pattern)?;
    let name: Vec<char> = name.chars().collect();
    // Only the last star ever needs another try: time is the product of both lengths.
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let fits = match (pattern.get(p), name.get(n)) {
            (None, None) => return Some(true),
            (Some(Part::Star), _) => {
                retry = Some((p, n));
                p += 1;
                continue;
            }
            (Some(part), Some(c)) => part.fits(*c),
            _ => false,
        };
        if fits {
            (p, n) = (p + 1, n + 1);
            continue;
        }
        match retry {
            // A star never takes a slash.
            Some((star, at)) if name.get(at).is_some_and(|c| *c != '/') => {
                retry = Some((star, at + 1));
                (p, n) = (star + 1, at + 1);
            }
            _ => return Some(false),
        }
    }
}

enum Part {
    Char(char),
    Any,
    Star,
    Set {
        not: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Part {
    fn fits(&self, c: char) -> bool {
        match self {
            Self::Char(own) => *own == c,
            Self::Any => c != '/',
            Self::Star => false,
            Self::Set { not, ranges } => {
                let inside = ranges.iter().any(|(low, high)| (low..=high).contains(&&c));
                c != '/' && inside != *not
            }
        }
    }
}

fn parse(pattern: &str) -> Option<Vec<Part>> {
    let mut chars = pattern.chars().peekable();
    let mut parts = Vec::new();
    while let Some(c) = chars.next() {
        parts.push(match c {
            '*' => Part::Star,
            '?' => Part::Any,
            '\\' => Part::Char(chars.next()?),
            '[' => {
                let not = chars.next_if_eq(&'^').is_some();
                let mut ranges = Vec::new();
                while ranges.is_empty() || chars.peek() != Some(&']') {
                    let low = one(&mut chars)?;
                    let high = match chars.next_if_eq(&'-') {
                        Some(_) => one(&mut chars)?,
                        None => low,
                    };
                    ranges.push((low, high));
                }
                chars.next();
                Part::Set { not, ranges }
            }
            c => Part::Char(c),
        });
    }
    Some(parts)
}

/// One sign of a set.
fn one(chars: &mut impl Iterator<Item = char>) -> Option<char> {
    match chars.next()? {
        '\\' => chars.next(),
        '-' | ']' => None,
        c => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_in_a_shell() {
        for (pattern, name, want) in [
            ("a.yaml", "a.yaml", Some(true)),
            ("*.yaml", "a.yaml", Some(true)),
            ("*.yaml", "b/a.yaml", Some(false)),
            ("b/*", "b/a.yaml", Some(true)),
            ("*a*b*", "xxaxxbxx", Some(true)),
            ("*a*b*", "xxbxxaxx", Some(false)),
            ("?.yaml", "a.yaml", Some(true)),
            ("[a-c]x", "bx", Some(true)),
            ("[^a-c]x", "bx", Some(false)),
            ("\\*", "*", Some(true)),
            ("\\*", "a", Some(false)),
            ("[a", "a", None),
            ("*", "", Some(true)),
            ("a*", "b", Some(false)),
        ] {
            assert_eq!(matches(pattern, name), want, "{pattern} {name}");
        }
    }
}
