//! Fields that only the beta versions of Flux's kinds had, and that have no effect any more.
//!
//! They are accepted there, so that old manifests apply, and dropped when the object is stored. A beta field that *would*
//! change what happens is not here: it stays in the stored version's types (`spec.patchesStrategicMerge`,
//! `spec.patchesJson6902`, `spec.accessFrom`), so that it can be refused by name.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{JSON, JSONSchemaProps};
use std::collections::BTreeMap;

/// The additional fields of one kind's spec: a name and its schema. They are in no Rust type, because no object that is
/// read has them.
pub(crate) type Fields = fn() -> BTreeMap<String, JSONSchemaProps>;

/// What `v1beta1` and `v1beta2` of a GitRepository had more.
///
/// `gitImplementation`: there is one implementation, whichever is asked for.
pub(crate) fn git_repository() -> BTreeMap<String, JSONSchemaProps> {
    one(
        "gitImplementation",
        "GitImplementation was the Git client to use. Deprecated: there is only one, so it has no effect.",
        &["go-git", "libgit2"],
    )
}

/// What `v1beta1` and `v1beta2` of a Kustomization had more.
///
/// `validation`: everything is validated by the API server.
pub(crate) fn kustomization() -> BTreeMap<String, JSONSchemaProps> {
    one(
        "validation",
        "Validation was who checks the manifests before they are applied. Deprecated: the API server always does, so it \
         has no effect.",
        &["none", "client", "server"],
    )
}

/// The Receiver's spec never lost a field.
pub(crate) fn receiver() -> BTreeMap<String, JSONSchemaProps> {
    BTreeMap::new()
}

/// A single word out of a few.
fn one(name: &str, description: &str, words: &[&str]) -> BTreeMap<String, JSONSchemaProps> {
    let field = JSONSchemaProps {
        type_: Some("string".to_owned()),
        description: Some(description.to_owned()),
        enum_: Some(words.iter().map(|word| JSON((*word).into())).collect()),
        ..JSONSchemaProps::default()
    };
    BTreeMap::from([(name.to_owned(), field)])
}
