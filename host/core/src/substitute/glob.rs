//! Whether a text is what a pattern of `*`, `?`, `[a-z]`, `[^a]` and `\` says.
//!
//! As Go's `path.Match`, but that `*` matches `/` too: what is wrong with a pattern is only seen where the text gets so
//! far. Each step is paid for.

/// A pattern that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadPattern;

/// Whether all of `text` matches. None: more than `left` steps would be needed.
pub(super) fn matches(
    pattern: &str,
    text: &str,
    left: &mut usize,
) -> Option<Result<bool, BadPattern>> {
    let (mut pattern, mut text) = (pattern, text);
    while !pattern.is_empty() {
        let stars = pattern.trim_start_matches('*');
        let starred = stars.len() < pattern.len();
        let (part, rest) = split(stars);
        if starred && part.is_empty() {
            return Some(Ok(true));
        }
        let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
        let later = ends.filter(|_| starred);
        let mut found = None;
        for at in std::iter::once(0).chain(later) {
            let Ok(behind) = after(part, text.get(at..)?, left)? else {
                return Some(Err(BadPattern));
            };
            // The last part must reach the end.
            found = behind.filter(|behind| behind.is_empty() || !rest.is_empty());
            if found.is_some() {
                break;
            }
        }
        let Some(behind) = found else {
            return Some(Ok(false));
        };
        (pattern, text) = (rest, behind);
    }
    Some(Ok(text.is_empty()))
}

/// The pattern up to its next star, and the rest.
fn split(pattern: &str) -> (&str, &str) {
    let (mut within, mut escaped) = (false, false);
    let end = pattern.find(|c| {
        let plain = !std::mem::take(&mut escaped);
        match c {
            '\\' if plain => escaped = true,
            '[' if plain => within = true,
            ']' if plain => within = false,
            '*' if plain => return !within,
            _ => {}
        }
        false
    });
    pattern.split_at(end.unwrap_or(pattern.len()))
}

type Stepped<T> = Option<Result<T, BadPattern>>;

/// What of the text is left behind a part without stars; none if it doesn't begin so.
fn after<'t>(part: &str, text: &'t str, left: &mut usize) -> Stepped<Option<&'t str>> {
    let (mut part, mut text) = (part, text);
    while let Some(wanted) = part.chars().next() {
        *left = left.checked_sub(1)?;
        let Some(is) = text.chars().next() else {
            return Some(Ok(None));
        };
        text = text.get(is.len_utf8()..)?;
        part = part.get(wanted.len_utf8()..)?;
        let fits = match wanted {
            '?' => true,
            '[' => match class(&mut part, is, left)? {
                Ok(fits) => fits,
                Err(bad) => return Some(Err(bad)),
            },
            '\\' => {
                let Some(literal) = part.chars().next() else {
                    return Some(Err(BadPattern));
                };
                part = part.get(literal.len_utf8()..)?;
                literal == is
            }
            literal => literal == is,
        };
        if !fits {
            return Some(Ok(None));
        }
    }
    Some(Ok(Some(text)))
}

/// Whether the character is of the class that `part` goes on with.
fn class(part: &mut &str, is: char, left: &mut usize) -> Stepped<bool> {
    let positive = match part.strip_prefix('^') {
        Some(rest) => {
            *part = rest;
            false
        }
        None => true,
    };
    let (mut fits, mut ranges) = (false, 0);
    loop {
        *left = left.checked_sub(1)?;
        if ranges > 0
            && let Some(rest) = part.strip_prefix(']')
        {
            *part = rest;
            return Some(Ok(fits == positive));
        }
        let Some(low) = bound(part) else {
            return Some(Err(BadPattern));
        };
        let mut high = low;
        if let Some(rest) = part.strip_prefix('-') {
            *part = rest;
            let Some(bound) = bound(part) else {
                return Some(Err(BadPattern));
            };
            high = bound;
        }
        fits |= (low..=high).contains(&is);
        ranges += 1;
    }
}

/// One end of a range; something must follow it.
fn bound(part: &mut &str) -> Option<char> {
    if part.starts_with(['-', ']']) {
        return None;
    }
    let rest = part.strip_prefix('\\').unwrap_or(part);
    let bound = rest.chars().next()?;
    let rest = rest.get(bound.len_utf8()..)?;
    *part = rest;
    (!rest.is_empty()).then_some(bound)
}
