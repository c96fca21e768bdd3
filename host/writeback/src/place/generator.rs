//! What a ConfigMap is generated from: literals, files, lines of files of variables.
//!
//! With a digest in its name, other content would make it another object; that shows when the edit is built.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Seen, Text, own, rewritten};
use crate::Place;
use crate::difference::Difference;
use crate::kustomization::{Kustomization, join};
use crate::path::{Path, Step};
use crate::work::{Candidate, Work};

const FIELD: &str = "configMapGenerator";

/// Edits of generators.
pub(super) fn data(work: &Work<'_>, difference: &Difference, seen: &mut Seen) -> Vec<Candidate> {
    let [Step::Field(data), Step::Field(key)] = difference.path.steps() else {
        return Vec::new();
    };
    if !work.trace(difference.object).is_generated
        || !matches!(data.as_str(), "data" | "binaryData")
    {
        return Vec::new();
    }
    let name = work
        .object(difference.object)
        .map_or("", |object| object.name());
    let mut found = Vec::new();
    for kustomization in work.kustomizations() {
        for (at, entry) in kustomization.items(FIELD).iter().enumerate() {
            let own_name = entry.get("name").and_then(Value::as_str);
            if !own_name.is_some_and(|own| name.contains(own)) {
                continue;
            }
            let path = Path::of_fields(&[FIELD]).index(at);
            let one = Generator {
                kustomization: &kustomization,
                path,
                entry,
                key,
            };
            found.extend(one.literals(work, difference, seen));
            found.extend(one.files(work, difference, data == "binaryData", seen));
            found.extend(one.lines(work, difference, seen));
        }
    }
    found
}

/// One generator, and the key of the data that is meant.
struct Generator<'a> {
    kustomization: &'a Kustomization,
    path: Path,
    entry: &'a Value,
    key: &'a str,
}

impl Generator<'_> {
    /// The items of a list of it, with what stands before and behind `=`.
    fn pairs(&self, field: &str) -> Vec<(usize, Option<&str>, &str)> {
        let list = self.entry.get(field).and_then(Value::as_array);
        let texts = list.into_iter().flatten().enumerate();
        texts
            .filter_map(|(at, item)| {
                let text = item.as_str()?;
                Some(match text.split_once('=') {
                    Some((key, value)) => (at, Some(key), value),
                    None => (at, None, text),
                })
            })
            .collect()
    }

    fn edited(&self, work: &Work<'_>, new: &Value, seen: &mut Seen) -> Option<Candidate> {
        let file = self.kustomization.file.clone();
        let text = Text::of_file(file.as_str());
        let place = Place::Generator { file };
        rewritten(work, &text, self.kustomization.number, new, place, seen)
    }

    fn literals(
        &self,
        work: &Work<'_>,
        difference: &Difference,
        seen: &mut Seen,
    ) -> Option<Candidate> {
        let list = self.path.field("literals");
        let pairs = self.pairs("literals");
        let known = pairs.iter().find(|(_, key, _)| *key == Some(self.key));
        let mut value = self.kustomization.value.clone();
        let literal = match &difference.new {
            Some(Value::String(text)) => Some(Value::from(format!("{}={text}", self.key))),
            Some(_) => return None,
            None => None,
        };
        let done = match (known, literal) {
            (Some((at, ..)), Some(literal)) => list.index(*at).set(&mut value, literal, None),
            // A list of none is written in another way than a list without one.
            (Some(_), None) if pairs.len() == 1 => list.remove(&mut value),
            (Some((at, ..)), None) => list.index(*at).remove(&mut value),
            (None, Some(literal)) if difference.old.is_none() && !self.has_lines() => {
                let mut items = list.get(&value).and_then(Value::as_array).cloned();
                items.get_or_insert_default().push(literal);
                list.set(&mut value, Value::Array(items.unwrap_or_default()), None)
            }
            _ => false,
        };
        done.then(|| self.edited(work, &value, seen))?
    }

    fn has_lines(&self) -> bool {
        self.entry.get("literals").is_none() && !self.files_of_lines().is_empty()
    }

    fn files(
        &self,
        work: &Work<'_>,
        difference: &Difference,
        packed: bool,
        seen: &mut Seen,
    ) -> Option<Candidate> {
        let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let pairs = self.pairs("files");
        let (at, _, path) = pairs
            .iter()
            .find(|(_, key, path)| key.map_or_else(|| name(path), str::to_owned) == self.key)?;
        let Some(new) = &difference.new else {
            let list = self.path.field("files");
            let mut value = self.kustomization.value.clone();
            let done = match pairs.len() {
                1 => list.remove(&mut value),
                _ => list.index(*at).remove(&mut value),
            };
            return done.then(|| self.edited(work, &value, seen))?;
        };
        let new = new.as_str()?;
        let bytes = match packed {
            true => STANDARD.decode(new).ok()?,
            false => new.as_bytes().to_vec(),
        };
        let file = own(work, &join(&self.kustomization.dir, path)?, seen)?;
        work.read(&file)?;
        Some(Candidate {
            place: Place::Generator { file: file.clone() },
            files: vec![(file, Some(bytes))],
            meets: false,
        })
    }

    fn files_of_lines(&self) -> Vec<String> {
        let list = self.entry.get("envs").and_then(Value::as_array);
        let list = list.into_iter().flatten();
        let paths = list.chain(self.entry.get("env")).filter_map(Value::as_str);
        paths
            .filter_map(|path| join(&self.kustomization.dir, path))
            .collect()
    }

    fn lines(&self, work: &Work<'_>, difference: &Difference, seen: &mut Seen) -> Vec<Candidate> {
        let new = match &difference.new {
            Some(Value::String(text)) if !text.contains(['\n', '\r']) => Some(text.as_str()),
            Some(_) => return Vec::new(),
            None => None,
        };
        let mut found = Vec::new();
        for path in self.files_of_lines() {
            let Some(file) = own(work, &path, seen) else {
                continue;
            };
            let bytes = work.read(&file).map(|bytes| bytes.to_vec());
            let Some(text) = bytes.and_then(|bytes| String::from_utf8(bytes).ok()) else {
                continue;
            };
            let is_new = difference.old.is_none();
            if let Some(text) = with_line(&text, self.key, new, is_new) {
                let place = Place::Generator { file: file.clone() };
                let files = vec![(file, Some(text.into_bytes()))];
                found.push(Candidate {
                    files,
                    place,
                    meets: false,
                });
            }
        }
        found
    }
}

/// The text with another value in the line of `key`, without that line, or with a new one at its end.
fn with_line(text: &str, key: &str, new: Option<&str>, is_new: bool) -> Option<String> {
    let mut out = String::new();
    let mut found = false;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end_matches(['\n', '\r']);
        let end = line.get(bare.len()..).unwrap_or_default();
        match bare.split_once('=') {
            Some((name, _)) if name.trim() == key => {
                found = true;
                if let Some(new) = new {
                    out.push_str(&format!("{name}={new}{end}"));
                }
            }
            _ => out.push_str(line),
        }
    }
    if let (true, false, Some(new)) = (is_new, found, new) {
        let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
        if !out.is_empty() && !out.ends_with('\n') {
            out.push_str(end);
        }
        out.push_str(&format!("{key}={new}{end}"));
        found = true;
    }
    found.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_changed_removed_or_added_and_no_other() {
        let text = "# c\nA=1\r\nB = 2\n";
        assert_eq!(
            with_line(text, "A", Some("3"), false).unwrap(),
            "# c\nA=3\r\nB = 2\n"
        );
        assert_eq!(with_line(text, "B", None, false).unwrap(), "# c\nA=1\r\n");
        assert_eq!(
            with_line("A=1", "B", Some("2"), true).unwrap(),
            "A=1\nB=2\n"
        );
        assert_eq!(with_line(text, "C", Some("2"), false), None);
    }
}
