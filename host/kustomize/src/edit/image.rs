//! What `set image` says about one image.

use serde_json::{Map, Value};

/// What becomes of one image: `NAME=NEW:TAG@DIGEST` and the shorter forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageEdit {
    /// The name in the manifests.
    pub name: String,
    /// What it becomes.
    pub new_name: Part,
    /// The new tag.
    pub new_tag: Part,
    /// The new digest.
    pub digest: Part,
}

/// One part of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// As the file has it: written `*`.
    Kept,
    /// This; empty removes it.
    New(String),
}

impl ImageEdit {
    /// Reads one argument of `set image`; the error is one clause.
    pub fn parse(argument: &str) -> Result<Self, String> {
        let (key, image) = match argument.split_once('=') {
            Some((key, image)) => (Some(key), image),
            None => (None, argument),
        };
        let (name, tag, digest) = split(image);
        if name == argument {
            return Err(format!(
                "{argument} names no new image, tag or digest: write NAME=NEW:TAG, NAME:TAG or NAME@DIGEST"
            ));
        }
        Ok(Self {
            name: key.unwrap_or(name).to_owned(),
            new_name: Part::of(if key.is_some() { name } else { "" }),
            new_tag: Part::of(tag),
            digest: Part::of(digest),
        })
    }

    /// The entry of `images`, where the file has `old`.
    pub(super) fn entry(&self, old: Option<&Map<String, Value>>) -> Map<String, Value> {
        let mut entry = old.cloned().unwrap_or_default();
        // kustomize makes a new entry of the four fields it knows.
        entry.retain(|key, _| {
            ["name", "newName", "newTag", "digest"]
                .iter()
                .any(|known| known.eq_ignore_ascii_case(key))
        });
        entry.insert("name".to_owned(), Value::from(self.name.as_str()));
        for (field, part) in [
            ("newName", &self.new_name),
            ("newTag", &self.new_tag),
            ("digest", &self.digest),
        ] {
            match part {
                Part::Kept => {}
                Part::New(text) if text.is_empty() => {
                    entry.shift_remove(field);
                }
                Part::New(text) => {
                    entry.insert(field.to_owned(), Value::from(text.as_str()));
                }
            }
        }
        entry
    }
}

impl Part {
    fn of(text: &str) -> Self {
        match text {
            "*" => Self::Kept,
            text => Self::New(text.to_owned()),
        }
    }
}

/// Name, tag and digest of an image. A colon before the first slash belongs to a port.
fn split(image: &str) -> (&str, &str, &str) {
    let searched = match image.find('/') {
        None | Some(0) => 0,
        Some(slash) => slash,
    };
    let tail = image.get(searched..).unwrap_or_default();
    let at = tail.find('@').map(|at| at + searched);
    let colon = tail.find(':').map(|at| at + searched);
    let cut = |from: usize, to: usize| image.get(from..to).unwrap_or_default();
    let end = image.len();
    match (colon, at) {
        (None, None) => (image, "", ""),
        (Some(colon), Some(at)) if colon < at => {
            (cut(0, colon), cut(colon + 1, at), cut(at + 1, end))
        }
        (_, Some(at)) => (cut(0, at), "", cut(at + 1, end)),
        (Some(colon), None) => (cut(0, colon), cut(colon + 1, end), ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_is_split_as_kustomize_splits_it() {
        for (argument, want) in [
            ("a=b:1", ["a", "b", "1", ""]),
            ("a=b@sha256:12", ["a", "b", "", "sha256:12"]),
            ("a=b:1@sha256:12", ["a", "b", "1", "sha256:12"]),
            ("a=b", ["a", "b", "", ""]),
            ("a:1", ["a", "", "1", ""]),
            ("a@sha256:12", ["a", "", "", "sha256:12"]),
            ("a=:1", ["a", "", "1", ""]),
            ("h:5000/a=r:80/b/c:2", ["h:5000/a", "r:80/b/c", "2", ""]),
            ("a=*:1", ["a", "*", "1", ""]),
            ("a=b:*@*", ["a", "b", "*", "*"]),
        ] {
            let part = |text: &str| Part::of(text);
            let [name, new_name, new_tag, digest] = want;
            let want = ImageEdit {
                name: name.to_owned(),
                new_name: part(new_name),
                new_tag: part(new_tag),
                digest: part(digest),
            };
            assert_eq!(ImageEdit::parse(argument), Ok(want), "{argument}");
        }
        assert!(ImageEdit::parse("nginx").is_err());
    }
}
