//! Directories and file names in a repository that is written to: nothing that a name says leads out of a directory.

use std::fmt::Write as _;

use crate::artifact::Digest;
use crate::inventory::ObjectId;

/// The longest directory, in bytes.
const LONGEST: usize = 512;
/// The longest part of a file's name that an object's name takes as it is, in bytes: file systems take 255 in all.
const NAME: usize = 120;
/// Of a kind with its group.
const KIND: usize = 100;
/// Where objects lie that are in no namespace: no namespace has such a name.
const NOWHERE: &str = "_cluster";

/// Text that is no directory to write to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no directory to deliver to: {0}")]
pub struct NotADirectory(&'static str);

/// A directory of a repository, from its root, without slashes around it. Made of letters, digits, `-`, `_` and `.`, and no
/// part of it begins with a dot: nothing in it leads elsewhere, or is a file of git's or of a forge's.
///
/// # Errors
/// When it is none.
pub fn directory(text: &str) -> Result<String, NotADirectory> {
    if text.len() > LONGEST {
        return Err(NotADirectory("it is longer than 512 bytes"));
    }
    if text.starts_with('/') {
        return Err(NotADirectory(
            "it begins with a slash; it is told from the root of the repository",
        ));
    }
    let text = text.strip_prefix("./").unwrap_or(text);
    let text = text.trim_end_matches('/');
    if matches!(text, "" | ".") {
        return Ok(String::new());
    }
    for part in text.split('/') {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if part.is_empty() {
            return Err(NotADirectory("a part of it is empty"));
        }
        if part.starts_with('.') || part.ends_with('.') {
            return Err(NotADirectory("a part of it begins or ends with a dot"));
        }
        if !part.chars().all(plain) {
            let why = "it holds something else than letters, digits, `-`, `_`, `.` and `/`";
            return Err(NotADirectory(why));
        }
    }
    Ok(text.to_owned())
}

/// The file of an object, below its Kustomization's directory: `acme/deployment.apps-web.yaml`. No two objects have the same.
pub(super) fn file(id: &ObjectId) -> String {
    let namespace = match id.namespace.as_str() {
        "" => NOWHERE.to_owned(),
        namespace => part(namespace, NAME),
    };
    let kind = match id.group.as_str() {
        "" => id.kind.to_ascii_lowercase(),
        group => format!("{}.{group}", id.kind.to_ascii_lowercase()),
    };
    format!(
        "{namespace}/{}-{}.yaml",
        part(&kind, KIND),
        part(&id.name, NAME)
    )
}

/// A name as a part of a path: what is no small letter, digit, `-` or a dot within is written as `%` and its number, so that
/// file systems which know no case keep names apart too. One that is long ends with its digest.
fn part(name: &str, longest: usize) -> String {
    let mut written = String::new();
    for (at, byte) in name.bytes().enumerate() {
        let plain = byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if plain || (byte == b'.' && at > 0) {
            written.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(written, "%{byte:02x}");
        }
    }
    if written.len() > longest {
        let digest = Digest::of(name.as_bytes()).hex();
        let begin = written.get(..longest).unwrap_or_default();
        let short = digest.get(..16).unwrap_or_default();
        written = format!("{begin}%{short}");
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(namespace: &str, group: &str, kind: &str, name: &str) -> ObjectId {
        ObjectId {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            group: group.to_owned(),
            kind: kind.to_owned(),
        }
    }

    #[test]
    fn a_directory_stays_in_its_repository() {
        for (text, want) in [
            ("", ""),
            (".", ""),
            ("./", ""),
            ("apps/demo", "apps/demo"),
            ("./apps/demo/", "apps/demo"),
            ("clusters/eu-1/v1.2_x", "clusters/eu-1/v1.2_x"),
        ] {
            assert_eq!(directory(text).as_deref(), Ok(want), "{text:?}");
        }
        for text in [
            "..",
            "../x",
            "a/../b",
            "a/..",
            "/",
            "/etc",
            "a//b",
            "a/./b",
            ".git",
            ".git/hooks",
            "a/.git",
            "a/.GIT",
            ".github/workflows",
            "a\\b",
            "a b",
            "a\nb",
            "a\0",
            "~",
            "a/\u{2025}",
            ".g\u{200c}it",
            "git~1/x",
            "a.",
            "C:",
        ] {
            assert!(directory(text).is_err(), "{text:?}");
        }
        assert!(directory(&"a".repeat(513)).is_err());
    }

    #[test]
    fn the_name_of_an_object_gives_its_file_and_leads_nowhere_else() {
        for (object, want) in [
            (
                id("acme", "apps", "Deployment", "web"),
                "acme/deployment.apps-web.yaml",
            ),
            (
                id("acme", "", "ConfigMap", "a.b"),
                "acme/configmap-a.b.yaml",
            ),
            (
                id(
                    "",
                    "rbac.authorization.k8s.io",
                    "ClusterRole",
                    "system:Node",
                ),
                "_cluster/clusterrole.rbac.authorization.k8s.io-system%3a%4eode.yaml",
            ),
            (
                id("..", "", "ConfigMap", "../x"),
                "%2e./configmap-%2e.%2fx.yaml",
            ),
            (id(".git", "", "ConfigMap", "x"), "%2egit/configmap-x.yaml"),
            (
                id("_cluster", "", "ConfigMap", "x"),
                "%5fcluster/configmap-x.yaml",
            ),
        ] {
            assert_eq!(file(&object), want);
        }
    }

    #[test]
    fn two_objects_never_have_one_file() {
        let long = "a".repeat(250);
        let all = [
            id("acme", "", "ConfigMap", "a"),
            id("acme", "", "ConfigMap", "A"),
            id("acme", "x", "ConfigMap", "a"),
            id("", "", "ConfigMap", "a"),
            id("acme", "", "ConfigMap", &long),
            id("acme", "", "ConfigMap", &format!("{long}b")),
        ];
        let files: std::collections::BTreeSet<String> = all.iter().map(file).collect();
        assert_eq!(files.len(), all.len());
        for file in files {
            assert!(file.split('/').all(|part| part.len() < 256), "{file}");
        }
    }
}
