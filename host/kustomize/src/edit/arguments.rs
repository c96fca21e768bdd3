//! Arguments as `kustomize edit` takes them, read into values.

/// Keys and values, in the order they were given.
pub type Pairs = Vec<(String, String)>;
/// Names and how many replicas each shall have.
pub type Replicas = Vec<(String, i64)>;

/// What `buildMetadata` may list.
const OPTIONS: [&str; 3] = [
    "originAnnotations",
    "transformerAnnotations",
    "managedByLabel",
];

/// `key:value` arguments of labels and annotations; a value may be in double quotes. The last of two keys wins.
pub fn pairs(arguments: &[String]) -> Result<Pairs, String> {
    let mut pairs: Pairs = Vec::new();
    for argument in arguments {
        let (key, value) = argument.split_once(':').unwrap_or((argument, ""));
        if key.is_empty() {
            return Err(format!("{argument} has no key: write KEY:VALUE"));
        }
        let value = value
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .unwrap_or(value);
        pairs.retain(|(other, _)| other != key);
        pairs.push((key.to_owned(), value.to_owned()));
    }
    Ok(pairs)
}

/// The options of `buildMetadata`, separated by commas.
pub fn metadata_options(argument: &str) -> Result<Vec<String>, String> {
    argument
        .split(',')
        .map(|option| match OPTIONS.contains(&option) {
            true => Ok(option.to_owned()),
            false => Err(format!(
                "{option} is no option of buildMetadata: {}",
                OPTIONS.join(", ")
            )),
        })
        .collect()
}

/// Whether an annotation may have this key: `[domain/]name`.
pub(super) fn is_annotation_key(key: &str) -> bool {
    let (domain, name) = match key.split_once('/') {
        Some((domain, name)) => (Some(domain), name),
        None => (None, key),
    };
    let edges = |text: &str| {
        let alphanumeric = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        alphanumeric(text.chars().next()) && alphanumeric(text.chars().next_back())
    };
    let of = |text: &str, more: &[char]| {
        text.chars()
            .all(|c| c.is_ascii_alphanumeric() || more.contains(&c))
    };
    let domain_fits = domain.is_none_or(|domain| {
        domain.len() <= 253
            && domain.starts_with(|c: char| c.is_ascii_alphabetic())
            && edges(domain)
            && of(domain, &['-', '.'])
    });
    domain_fits && name.len() <= 63 && edges(name) && of(name, &['-', '_', '.'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_may_hold_colons_and_quotes() {
        let arguments = ["a:b", "c:\"d\"", "e:\"f:g\"", "g:h:k", "x", "a:z"].map(str::to_owned);
        let want = [
            ("c", "d"),
            ("e", "f:g"),
            ("g", "h:k"),
            ("x", ""),
            ("a", "z"),
        ];
        let want: Pairs = want.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec();
        assert_eq!(pairs(&arguments), Ok(want));
        assert!(pairs(&[":x".to_owned()]).is_err());
    }

    #[test]
    fn an_annotation_key_is_a_name_behind_a_domain() {
        for key in ["a", "example.com/a.b_c-d", "a1/2"] {
            assert!(is_annotation_key(key), "{key}");
        }
        for key in ["", "a/b/c", "-a", "a b", "/a", "1a.com/-"] {
            assert!(!is_annotation_key(key), "{key}");
        }
    }
}
