//! One object's JSON as one of our types, or a sentence about why not.
//!
//! Objects are decoded one by one: a list that is decoded as a whole is lost as a whole, and with it every other
//! tenant's object. What is done about an object that cannot be decoded is the caller's business.

use serde::de::DeserializeOwned;
use std::borrow::Cow;

/// The longest path, and the longest explanation, that is passed on; both end up in a condition.
const MAX_LINE: usize = 300;

/// An object that is not of the shape its kind has.
///
/// Both parts are safe to print. Of the object's own text they hold only the names of fields, and a word where one of a few
/// was wanted; they are one line each, of bounded length.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct Undecodable {
    /// The field that cannot be read, as a path from the object's root: `spec.interval`, `spec.images[0].name`.
    pub field: String,
    /// What is wrong with it.
    pub why: String,
}

/// Read one object.
///
/// Fields that the type does not have are passed over: the API server has already dropped what its schema does not know.
///
/// ```
/// use reeve_api::kustomization::Kustomization;
///
/// let object = serde_json::json!({
///     "metadata": { "namespace": "acme", "name": "web" },
///     "spec": { "interval": "1d", "prune": true, "sourceRef": { "kind": "GitRepository", "name": "web" } },
/// });
/// let why = reeve_api::decode::<Kustomization>(&object).unwrap_err();
/// assert_eq!(why.field, "spec.interval");
/// ```
///
/// # Errors
/// When a field is missing, is of another type, or holds a value that cannot be meant (a duration of `1d`, an unknown
/// word). The error names the first such field.
pub fn decode<K: DeserializeOwned>(value: &serde_json::Value) -> Result<K, Undecodable> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        told(&path, &error.into_inner().to_string())
    })
}

/// serde's words, made fit for a condition: one line, of bounded length, with the name of a missing field moved into the
/// path. A path may hold a key of a map, which is as long and as odd as its author likes.
fn told(path: &str, why: &str) -> Undecodable {
    let path = if path == "." { "" } else { path };
    let missing = why
        .strip_prefix("missing field `")
        .and_then(|rest| rest.strip_suffix('`'));
    let (field, why) = match missing {
        Some(missing) if path.is_empty() => (missing.to_owned(), "is required"),
        Some(missing) => (format!("{path}.{missing}"), "is required"),
        None if path.is_empty() => ("object".to_owned(), why),
        None => (path.to_owned(), why),
    };
    Undecodable {
        field: line(&field),
        why: line(&unquoted(why)),
    }
}

/// One line that is not too long.
fn line(text: &str) -> String {
    let mut kept = text.chars().filter(|c| !c.is_control());
    let mut line: String = kept.by_ref().take(MAX_LINE).collect();
    if kept.next().is_some() {
        line.push('…');
    }
    line
}

/// serde quotes a text that is in the wrong place (`invalid type: string "…", expected a map`). It may be one that holds
/// a password, such as a URL where an object was wanted, and conditions are read by many: only its type is kept.
fn unquoted(why: &str) -> Cow<'_, str> {
    for kind in ["invalid type: string", "invalid value: string"] {
        if let Some(quoted) = why.strip_prefix(kind)
            && let Some(end) = quoted.rfind("\", expected ")
            && let Some(expected) = quoted.get(end + 1..)
        {
            return Cow::Owned(format!("{kind}{expected}"));
        }
    }
    Cow::Borrowed(why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kustomization::Kustomization;
    use crate::plugin::ClusterPlugin;
    use crate::receiver::Receiver;
    use crate::source::GitRepository;
    use crate::tenant::Tenant;
    use serde_json::{Value, json};

    fn refused<K: DeserializeOwned + std::fmt::Debug>(spec: Value) -> String {
        let object = json!({"metadata": {"name": "x", "namespace": "y"}, "spec": spec});
        decode::<K>(&object).unwrap_err().to_string()
    }

    fn git(change: Value) -> Value {
        merged(
            json!({"interval": "1m", "url": "https://git.example/x"}),
            change,
        )
    }

    fn ks(change: Value) -> Value {
        merged(
            json!({"interval": "1m", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "x"}}),
            change,
        )
    }

    fn merged(mut base: Value, change: Value) -> Value {
        let Value::Object(change) = change else {
            panic!("a change is an object")
        };
        for (key, value) in change {
            base[key] = value;
        }
        base
    }

    #[test]
    fn an_object_that_cannot_be_read_is_told_which_field_it_is_and_why() {
        for (got, want) in [
            (
                refused::<GitRepository>(git(json!({"interval": "1d"}))),
                "spec.interval: a number in a duration needs one of the units h, m, s, ms, for example `24h`",
            ),
            (
                refused::<GitRepository>(git(json!({"interval": "9999999999h"}))),
                "spec.interval: a duration cannot be longer than 2562047h47m16s",
            ),
            (
                refused::<GitRepository>(git(json!({"timeout": 60}))),
                "spec.timeout: invalid type: integer `60`, expected a duration such as `10m`",
            ),
            (
                refused::<GitRepository>(git(json!({"interval": null}))),
                "spec.interval: invalid type: null, expected a duration such as `10m`",
            ),
            (
                refused::<GitRepository>(json!({"url": "https://git.example/x"})),
                "spec.interval: is required",
            ),
            (
                refused::<GitRepository>(git(json!({"provider": "gcp"}))),
                "spec.provider: unknown variant `gcp`, expected one of `generic`, `aws`, `azure`, `github`",
            ),
            (
                refused::<GitRepository>(git(json!({"include": [{"repository": {}}]}))),
                "spec.include[0].repository.name: is required",
            ),
            (
                refused::<Kustomization>(ks(json!({"prune": "yes"}))),
                "spec.prune: invalid type: string, expected a boolean",
            ),
            (
                refused::<Kustomization>(ks(json!({"images": [{"name": "a"}, {"newTag": "b"}]}))),
                "spec.images[1].name: is required",
            ),
            (
                refused::<Kustomization>(ks(json!({"commonMetadata": {"labels": {"a": 1}}}))),
                "spec.commonMetadata.labels.a: invalid type: integer `1`, expected a string",
            ),
            (
                refused::<Kustomization>(ks(json!({"sourceRef": []}))),
                "spec.sourceRef: invalid length 0, expected struct CrossNamespaceSourceReference with 4 elements",
            ),
            (
                refused::<Receiver>(json!({"type": "gogs", "resources": []})),
                "spec.type: unknown variant `gogs`, expected one of `generic`, `generic-hmac`, `generic-oidc`, `github`, `gitea`, `gitlab`, `bitbucket`, `harbor`, `dockerhub`, `quay`, `gcr`, `nexus`, `acr`, `cdevents`",
            ),
            (
                refused::<Tenant>(json!({"namespaces": ["acme", "Not-A-Name"]})),
                "spec.namespaces[1]: a namespace's name has 1 to 63 lower-case letters, digits or `-`, and begins and ends with a letter or digit",
            ),
            (
                refused::<ClusterPlugin>(
                    json!({"source": {"path": "a"}, "world": "transformer", "selector": {}, "limits": {"memory": "1.5Gi"}}),
                ),
                "spec.limits.memory: a size is a whole number with a unit of Ki, Mi, Gi, Ti, k, M, G, T or none, for example `64Mi`",
            ),
            (
                decode::<GitRepository>(&json!([])).unwrap_err().to_string(),
                "object: invalid length 0, expected struct GitRepository with 3 elements",
            ),
            (
                decode::<GitRepository>(&json!({"metadata": {}}))
                    .unwrap_err()
                    .to_string(),
                "spec: is required",
            ),
        ] {
            assert_eq!(got, want);
        }
    }

    #[test]
    fn a_url_of_the_wrong_type_does_not_spill_what_it_holds() {
        let why =
            refused::<GitRepository>(git(json!({"ref": "https://user:hunter2@git.example/x"})));
        assert!(
            why.starts_with("spec.ref: ") && !why.contains("hunter2"),
            "{why}"
        );
    }

    #[test]
    fn an_explanation_is_one_line_of_bounded_length_whatever_the_object_holds() {
        let mut labels = serde_json::Map::new();
        labels.insert(format!("a\n{}", "b".repeat(100_000)), json!(1));
        let object =
            json!({"metadata": {}, "spec": ks(json!({"commonMetadata": {"labels": labels}}))});
        let Undecodable { field, .. } = decode::<Kustomization>(&object).unwrap_err();
        assert!(field.starts_with("spec.commonMetadata.labels.ab") && field.chars().count() == 301);
        let object = json!({"metadata": {}, "spec": git(json!({"provider": "x".repeat(100_000)}))});
        assert_eq!(
            decode::<GitRepository>(&object)
                .unwrap_err()
                .why
                .chars()
                .count(),
            301
        );
    }

    #[test]
    fn fields_of_a_later_version_are_passed_over() {
        let object = json!({"apiVersion": "x/v9", "kind": "Other", "metadata": {}, "spec": git(json!({"novelty": 1}))});
        assert!(decode::<GitRepository>(&object).is_ok());
    }
}
