//! The file of an object: a name from the cluster must not become a path that leads elsewhere.
//!
//! Names are only plain where they are lower case letters, digits, dashes and dots. Other printable ASCII is written as `%41`, so that two
//! names that differ in case are two files everywhere. All else is refused.

use reeve_kustomize::Object;

use crate::refused::Reason;

/// `acme/persistentvolumeclaim-data.yaml`, `_cluster/volumesnapshotcontent.snapshot.storage.k8s.io-a.yaml`.
pub const DEFAULT_TEMPLATE: &str = "{namespace}/{kind}.{group}-{name}.yaml";

/// The directory of objects that live in no namespace. No namespace can be called so.
const CLUSTER: &str = "_cluster";
/// Files that say what is built of others.
const CONTROL: [&str; 6] = [
    "kustomization.yaml",
    "kustomization.yml",
    "kustomization",
    ".sourceignore",
    ".krmignore",
    ".gitmodules",
];
/// The longest name of a file that file systems take.
const LONGEST: usize = 255;

/// The path that the template makes of an object's names.
pub(crate) fn file(template: &str, object: &Object) -> Result<String, Reason> {
    let kind = object.kind();
    if kind.is_empty() || !kind.chars().all(|c| c.is_ascii_alphanumeric()) {
        return Err(refused("the kind", "is no word"));
    }
    let group = object.group();
    let dns = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    if !group.chars().all(dns)
        || group
            .split('.')
            .any(|part| part.is_empty() && !group.is_empty())
    {
        return Err(refused("the group", "is no domain"));
    }
    let name = plain("the name", object.name())?;
    let namespace = match object.namespace() {
        "" => CLUSTER.to_owned(),
        namespace if namespace.chars().all(dns) => plain("the namespace", namespace)?,
        _ => return Err(refused("the namespace", "is no label")),
    };
    let group_behind_dot = match group {
        "" => String::new(),
        group => format!(".{group}"),
    };
    // In one go: what is put in is not looked at again.
    let mut path = String::new();
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('{') {
        let (word, after) = behind
            .split_once('}')
            .ok_or_else(|| refused("the template", "holds a { without a }"))?;
        let (before, text) = match (word, before.strip_suffix('.')) {
            ("group", Some(before)) => (before, group_behind_dot.clone()),
            ("group", None) => (before, group.to_owned()),
            ("kind", _) => (before, kind.to_ascii_lowercase()),
            ("name", _) => (before, name.clone()),
            ("namespace", _) => (before, namespace.clone()),
            _ => {
                return Err(refused(
                    "the template",
                    "holds a word in braces that is unknown",
                ));
            }
        };
        path.push_str(before);
        path.push_str(&text);
        rest = after;
    }
    path.push_str(rest);
    check_path(&path)?;
    match path.ends_with(".yaml") || path.ends_with(".yml") {
        true => Ok(path),
        false => Err(refused("the template", "does not end in .yaml")),
    }
}

/// Refuses a path that some file system or git itself would take for another.
pub(crate) fn check_path(path: &str) -> Result<(), Reason> {
    for part in path.split('/') {
        let odd = |c: char| {
            !c.is_ascii_graphic() || matches!(c, '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')
        };
        let lower = part.to_ascii_lowercase();
        let why = match part {
            "" | "." | ".." => "has a part that is empty or leads up",
            _ if part.contains(odd) => {
                "holds a character that file systems take for something else"
            }
            _ if lower.starts_with(".git") || lower.starts_with("git~") => {
                "has a part that is git's own"
            }
            "kustomization.yaml" | "kustomization.yml" => "is a file that says what is built",
            _ if part.ends_with('.') => "has a part that ends in a dot",
            _ if part.len() > LONGEST => "has a part of more than 255 bytes",
            _ => continue,
        };
        return Err(refused("the path of the file", why));
    }
    let name = path.rsplit('/').next().unwrap_or_default();
    match CONTROL.iter().any(|one| name.eq_ignore_ascii_case(one)) {
        true => Err(refused(
            "the path of the file",
            "is that of a file which says what is built",
        )),
        false => Ok(()),
    }
}

/// A name with everything in it that is not plain written as its number.
fn plain(what: &str, name: &str) -> Result<String, Reason> {
    if name.is_empty() || name.starts_with('.') || name.ends_with('.') {
        return Err(refused(what, "is empty, or begins or ends with a dot"));
    }
    let mut out = String::new();
    for c in name.chars() {
        match c {
            'a'..='z' | '0'..='9' | '-' | '.' => out.push(c),
            '/' | '\\' | '%' => return Err(refused(what, "holds a character of paths")),
            c if c.is_ascii_graphic() => out.push_str(&format!("%{:02X}", u32::from(c))),
            _ => {
                return Err(refused(
                    what,
                    "holds a character that is not printable ASCII",
                ));
            }
        }
    }
    Ok(out)
}

fn refused(what: &str, why: &str) -> Reason {
    Reason::Name {
        why: format!("{what} {why}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path(template: &str, group: &str, namespace: &str, name: &str) -> Result<String, Reason> {
        let version = match group {
            "" => "v1".to_owned(),
            group => format!("{group}/v1"),
        };
        let object = json!({"apiVersion": version, "kind": "Role", "metadata": {"name": name, "namespace": namespace}});
        file(template, &Object::try_from(object).unwrap())
    }

    #[test]
    fn the_default_name_says_where_what_and_who() {
        for (group, namespace, name, want) in [
            ("", "acme", "a", "acme/role-a.yaml"),
            ("rbac.io", "", "a.b", "_cluster/role.rbac.io-a.b.yaml"),
            (
                "",
                "acme",
                "system:Admin",
                "acme/role-system%3A%41dmin.yaml",
            ),
        ] {
            assert_eq!(
                path(DEFAULT_TEMPLATE, group, namespace, name).unwrap(),
                want
            );
        }
    }

    #[test]
    fn no_name_leads_elsewhere() {
        for name in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "a\\b",
            ".git",
            ".GIT",
            "kustomization",
            "..git",
            "a.",
            "a%2Fb",
            "a\u{2215}b",
            "\u{ff0e}\u{ff0e}",
            "\u{202e}x",
            "gi\u{200c}t",
            "a b",
            "a\nb",
            "a\0b",
            "ｇit",
            "é",
        ] {
            assert!(
                path("{namespace}/{name}.yaml", "", "acme", name).is_err(),
                "{name:?}"
            );
        }
        for namespace in ["..", ".git", "a/b", "A", "_cluster", "git~1"] {
            assert!(
                path(DEFAULT_TEMPLATE, "", namespace, "a").is_err(),
                "{namespace:?}"
            );
        }
        for group in ["../x", "A", "a_b"] {
            assert!(
                path(DEFAULT_TEMPLATE, group, "acme", "a").is_err(),
                "{group:?}"
            );
        }
    }

    #[test]
    fn no_template_leads_elsewhere() {
        for template in [
            "../{name}.yaml",
            "/{name}.yaml",
            ".git/{name}.yaml",
            "a//{name}.yaml",
            "{name}",
            "{nom}.yaml",
            "{name",
            ".GitHub/{name}.yaml",
            "git~1/{name}.yaml",
            "a./{name}.yaml",
            "a:{name}.yaml",
        ] {
            assert!(path(template, "", "acme", "a").is_err(), "{template}");
        }
        // What is put in is not looked at for words again.
        assert_eq!(path("{group}{name}.yml", "", "acme", "a").unwrap(), "a.yml");
    }
}
