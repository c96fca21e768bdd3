//! The kustomization file of the directory: what that lists is what an agent applies, so what is delivered is listed there too.
//!
//! One that does more than list would make something else of what policy has let pass, and so nothing is delivered beside it. It
//! deliberately makes none where there is none: an agent then takes every manifest of the directory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use reeve_kustomize::KUSTOMIZATION_FILES;
use reeve_kustomize::edit::{documents, rewrite};
use serde_json::Value;

use super::Refused;

/// What one may say that changes nothing of what it lists.
const PLAIN: [&str; 4] = ["apiVersion", "kind", "metadata", "resources"];

/// Whether a path from the directory is that of its kustomization file.
pub fn is_listing(path: &str) -> bool {
    KUSTOMIZATION_FILES.contains(&path)
}

/// The kustomization file of the directory, where there is one and it is to be another: it lists `wanted` and nothing of `gone`.
///
/// # Errors
/// When it cannot be edited, or an agent would make something else of what is delivered because of it or of one below.
pub(super) fn listing(
    there: &BTreeMap<String, Arc<[u8]>>,
    wanted: &[&str],
    gone: &BTreeSet<String>,
) -> Result<Option<(String, String)>, Refused> {
    let touched = || {
        wanted
            .iter()
            .copied()
            .chain(gone.iter().map(String::as_str))
    };
    if let Some(nested) = there.keys().find(|path| governs(path, touched())) {
        let why = "says what is applied of its directory, in which others are delivered";
        return Err(refused(nested, why));
    }
    let mut names = KUSTOMIZATION_FILES.iter();
    let found = names.find_map(|name| there.get_key_value(*name));
    let Some((path, bytes)) = found else {
        return Ok(None);
    };
    let unread = |_| refused(path, "cannot be read as a kustomization file");
    let all = documents(bytes, path).map_err(unread)?;
    let mut all = all.into_iter().enumerate();
    let one = all.find(|(_, one)| one.value.is_object());
    let (number, mut value) = match one {
        Some((number, one)) => (number, one.value),
        None => return Err(refused(path, "holds nothing")),
    };
    let entries = entries(path, &value)?;
    let listed = relisted(&entries, wanted, gone);
    if listed == entries {
        return Ok(None);
    }
    if let Some(fields) = value.as_object_mut() {
        fields.insert("resources".to_owned(), Value::from(listed));
    }
    let unwritten = |_| refused(path, "is written in a way that cannot be edited safely");
    let bytes = rewrite(bytes, path, number, &value).map_err(unwritten)?;
    let text = String::from_utf8(bytes);
    let text = text.map_err(|_| refused(path, "is no text"))?;
    Ok(Some((path.clone(), text)))
}

/// Whether it is a kustomization file of a directory further below in which any of these lie.
fn governs<'p>(path: &str, mut touched: impl Iterator<Item = &'p str>) -> bool {
    let Some((directory, name)) = path.rsplit_once('/') else {
        return false;
    };
    let is_in = |file: &str| {
        let rest = file.strip_prefix(directory);
        rest.is_some_and(|rest| rest.starts_with('/'))
    };
    is_listing(name) && touched.any(is_in)
}

/// What it lists, if that is all it does.
fn entries(path: &str, value: &Value) -> Result<Vec<String>, Refused> {
    let fields = value.as_object().into_iter().flatten();
    let mut other = fields.filter(|(key, _)| !PLAIN.contains(&key.as_str()));
    if other.next().is_some() {
        let why = "does more than list resources, and would change what is delivered";
        return Err(refused(path, why));
    }
    let kind = value.get("kind").and_then(Value::as_str);
    let list = match value.get("resources") {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::Array(items)) => {
            let texts = items.iter().map(|item| item.as_str().map(str::to_owned));
            texts.collect::<Option<Vec<String>>>()
        }
        Some(_) => None,
    };
    match list {
        Some(list) if matches!(kind, None | Some("Kustomization")) => Ok(list),
        _ => Err(refused(path, "cannot be read as a kustomization file")),
    }
}

/// The same list, in its order, without what goes and with what is wanted at its end.
fn relisted(entries: &[String], wanted: &[&str], gone: &BTreeSet<String>) -> Vec<String> {
    let stays = entries.iter().filter(|entry| !gone.contains(plain(entry)));
    let mut listed: Vec<String> = stays.cloned().collect();
    let there: BTreeSet<&str> = entries.iter().map(|entry| plain(entry)).collect();
    let new = wanted.iter().filter(|path| !there.contains(**path));
    listed.extend(new.map(|path| (*path).to_owned()));
    listed
}

/// An entry as a path from the directory.
fn plain(entry: &str) -> &str {
    let mut rest = entry;
    while let Some(shorter) = rest.strip_prefix("./") {
        rest = shorter.trim_start_matches('/');
    }
    rest
}

fn refused(path: &str, why: &'static str) -> Refused {
    Refused::Kustomized {
        path: path.to_owned(),
        why,
    }
}

#[cfg(test)]
mod tests {
    use reeve_kustomize::parse_yaml;
    use serde_json::json;

    use super::*;

    const WANTED: [&str; 2] = ["acme/a.yaml", "acme/b.yaml"];

    fn listed(path: &str, text: &str) -> Result<Option<(String, String)>, Refused> {
        let there = BTreeMap::from([(path.to_owned(), Arc::from(text.as_bytes()))]);
        let gone = ["old.yaml", "acme/gone.yaml"].map(str::to_owned);
        listing(&there, &WANTED, &BTreeSet::from(gone))
    }

    #[test]
    fn what_is_delivered_is_listed_behind_what_others_have_and_what_goes_is_not() {
        for name in KUSTOMIZATION_FILES {
            for (list, want) in [
                (
                    "./old.yaml, keep.yaml",
                    json!(["keep.yaml", "acme/a.yaml", "acme/b.yaml"]),
                ),
                (
                    "acme/gone.yaml, acme/b.yaml, ../base",
                    json!(["acme/b.yaml", "../base", "acme/a.yaml"]),
                ),
                ("", json!(["acme/a.yaml", "acme/b.yaml"])),
            ] {
                let (path, text) = listed(name, &format!("# ours\nresources: [{list}]\n"))
                    .unwrap()
                    .unwrap();
                assert_eq!(path, name);
                assert!(text.starts_with("# ours\n"), "{text}");
                let read = parse_yaml(text.as_bytes(), name).unwrap();
                assert_eq!(read[0]["resources"], want, "{text}");
                // Once it is so, it stays so.
                assert_eq!(listed(name, &text), Ok(None));
            }
        }
        assert_eq!(listed("notes.yaml", "resources: [old.yaml]\n"), Ok(None));
    }

    #[test]
    fn nothing_is_delivered_beside_one_that_would_make_something_else_of_it() {
        for (path, text) in [
            ("kustomization.yaml", "namePrefix: x-\nresources: []\n"),
            ("kustomization.yaml", "kind: Component\nresources: []\n"),
            ("kustomization.yaml", "resources: {a: b}\n"),
            ("kustomization.yaml", "{{ no yaml"),
            ("kustomization.yaml", ""),
            ("acme/kustomization.yaml", "resources: []\n"),
        ] {
            let why = listed(path, text).unwrap_err().to_string();
            assert!(why.starts_with(path), "{text}: {why}");
        }
        // One of a directory in which nothing of it lies says nothing of it.
        let elsewhere = listed("other/kustomization.yaml", "namePrefix: x-\n");
        assert_eq!(elsewhere, Ok(None));
    }
}
