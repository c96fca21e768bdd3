//! Where in a file of a source an object stands that was built from it.
//!
//! A build knows the file; which of its documents, and at which line that begins, is looked for here by kind and name. A name
//! may have been given a prefix, a suffix or a hash since. It deliberately reads no file.

use reeve_kustomize::parse_data;
use serde_json::Value;

/// The path in the source of what a build calls `relative` to the directory that it was made of; None: that leads out.
pub fn path(directory: &str, relative: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in directory.split('/').chain(relative.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The line, from 1, at which the document of an object begins that has this name now; None: there is none.
pub fn line(text: &str, kind: &str, name: &str) -> Option<usize> {
    let of_kind: Vec<(usize, String)> = documents(text)
        .filter_map(|(line, text)| {
            let found = parse_data(text.as_bytes(), "").ok()?.into_iter().next()?;
            let is = |pointer: &str| found.pointer(pointer).and_then(Value::as_str);
            (is("/kind") == Some(kind))
                .then(|| (line, is("/metadata/name").unwrap_or_default().to_owned()))
        })
        .collect();
    let exactly = of_kind.iter().find(|(_, own)| own == name);
    // Of those whose names the name is made of, the longest leaves the least to a prefix or suffix.
    let made = || {
        let parts = of_kind
            .iter()
            .filter(|(_, own)| !own.is_empty() && name.contains(own.as_str()));
        parts.max_by_key(|(_, own)| own.len())
    };
    exactly.or_else(made).map(|(line, _)| *line)
}

/// The documents of a file, each with the line at which its first field stands.
fn documents(text: &str) -> impl Iterator<Item = (usize, String)> {
    let mut all: Vec<(usize, String)> = Vec::new();
    let mut begins = true;
    for (at, line) in text.lines().enumerate() {
        if line.starts_with("---") {
            begins = true;
            continue;
        }
        let says = !line.trim().is_empty() && !line.trim_start().starts_with('#');
        if begins && says {
            all.push((at + 1, String::new()));
            begins = false;
        }
        if let Some((_, document)) = all.last_mut().filter(|_| !begins) {
            document.push_str(line);
            document.push('\n');
        }
    }
    all.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
# What the tenant has.
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
---

---
apiVersion: v1
kind: Service
metadata:
  name: web
---
# The other.
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings-more
";

    #[test]
    fn the_document_of_an_object_is_found_by_kind_and_name() {
        for (says, kind, name, want) in [
            ("the first", "ConfigMap", "settings", Some(2)),
            ("behind an empty one", "Service", "web", Some(9)),
            ("behind a comment", "ConfigMap", "settings-more", Some(15)),
            ("with a prefix", "Service", "dev-web", Some(9)),
            (
                "the longest of two",
                "ConfigMap",
                "dev-settings-more",
                Some(15),
            ),
            ("with a hash", "ConfigMap", "settings-8d7f", Some(2)),
            ("another kind", "Secret", "web", None),
            ("another name", "Service", "db", None),
        ] {
            assert_eq!(line(FILE, kind, name), want, "{says}");
        }
        assert_eq!(
            line(
                "{\"kind\": \"Service\", \"metadata\": {\"name\": \"web\"}}",
                "Service",
                "web"
            ),
            Some(1)
        );
        assert_eq!(line("kind: [", "Service", "web"), None);
    }

    #[test]
    fn a_path_is_seen_from_the_root_of_the_source() {
        for (directory, relative, want) in [
            ("", "web.yaml", Some("web.yaml")),
            (
                "deploy/dev",
                "../base/web.yaml",
                Some("deploy/base/web.yaml"),
            ),
            ("./deploy", "./web.yaml", Some("deploy/web.yaml")),
            ("deploy", "../../web.yaml", None),
        ] {
            assert_eq!(
                path(directory, relative).as_deref(),
                want,
                "{directory} {relative}"
            );
        }
    }
}
