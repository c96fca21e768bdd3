//! What policies read, as types: `policies/input.schema.json` is made of them.
//!
//! Only shapes, borrowed from what they show; what goes into them is [`document`](super)'s.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::admit::Phase;

/// The one document that is the `input` of every policy.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "The input of policies", rename = "Input")]
pub struct Document<'a> {
    /// Phase is when it is asked: before anything is fetched, or before anything is written.
    pub(super) phase: Phase,
    /// Kustomization is the one that is judged.
    pub(super) kustomization: Cow<'a, Shown>,
    /// Source is what `spec.sourceRef` names.
    pub(super) source: Source<'a>,
    /// Tenant is whose it is.
    pub(super) tenant: Tenant<'a>,
    /// Platform is the platform's ground.
    pub(super) platform: Platform<'a>,
    /// Objects is everything that would be applied and pruned; empty in phase `spec`.
    pub(super) objects: Vec<Target<'a>>,
}

/// A Kustomization as in the API, without its status.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Kustomization")]
pub(crate) struct Shown {
    /// APIVersion that it was written in.
    #[schemars(with = "String")]
    pub(super) api_version: Value,
    /// Kind is always `Kustomization`.
    pub(super) kind: &'static str,
    /// Metadata holds `namespace`, `name`, `labels`, `annotations` and `generation`, where it has them.
    #[schemars(schema_with = "any_object")]
    pub(super) metadata: Map<String, Value>,
    /// Spec as it was written.
    #[schemars(schema_with = "any_object")]
    pub(super) spec: Value,
}

/// A source as the Kustomization names it, and what is known of it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Source<'a> {
    /// Kind of the source.
    pub(super) kind: Option<&'a str>,
    /// Namespace of the source; the Kustomization's where it names none.
    pub(super) namespace: Option<&'a str>,
    /// Name of the source.
    pub(super) name: Option<&'a str>,
    /// URL that what it has in store was fetched from, or else that it is to be fetched from; absent while there is no such
    /// source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) url: Option<&'a str>,
    /// Verified says whether the revision was signed as `spec.verify` of the source asks; false where it asks for nothing,
    /// absent while there is no such source. By whom it does not say: whoever owns the source has chosen the keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) verified: Option<bool>,
    /// Signatures are those that made it verified, one of each object that `spec.verify.mode` asks for; empty while it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) signatures: Option<Vec<Signature<'a>>>,
    /// Revision that it has in store, such as `main@sha1:<commit>`; absent before the first fetch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) revision: Option<&'a str>,
}

/// A signature of the revision, by a key that the source trusts.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Signature<'a> {
    /// Object that is signed.
    pub(super) object: Signed,
    /// Key is the fingerprint of the key: `SHA256:…` of an SSH key as `ssh-keygen -l` prints it, hexadecimal in upper case of an
    /// OpenPGP certificate's primary key.
    pub(super) key: &'a str,
}

/// What is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Signed {
    /// The commit.
    Commit,
    /// The annotated tag.
    Tag,
}

/// Who owns a Kustomization.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Tenant<'a> {
    /// Name of the tenant.
    pub(super) name: &'a str,
    /// Namespaces that are the tenant's.
    pub(super) namespaces: Vec<&'a str>,
    /// Sources in configuration namespaces that its Tenant names; absent without a Tenant, and empty then where another's
    /// Tenant names the one that bears the namespace's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sources: Option<Vec<&'a str>>,
    /// Domains that its Tenant gives it: `web.acme.example` is that host, `*.acme.example` every host below it; absent without a
    /// Tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) domains: Option<Vec<&'a str>>,
    /// Registries that its Tenant gives it, or parts of them: `registry.example`, `registry.example/acme`; absent without
    /// a Tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) registries: Option<Vec<&'a str>>,
    /// Project that its Tenant names, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) project: Option<&'a str>,
}

/// The ground of the platform.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Platform<'a> {
    /// Namespaces that are the platform's own.
    pub(super) namespaces: Vec<&'a str>,
    /// ConfigNamespaces hold sources of tenants.
    pub(super) config_namespaces: Vec<&'a str>,
}

/// One object, and what would happen to it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Object")]
pub(crate) struct Target<'a> {
    /// Action is what would happen to it.
    pub(super) action: Action,
    /// ID as in the inventory: `<namespace>_<name>_<group>_<kind>`.
    pub(super) id: Cow<'a, str>,
    /// Group of its API; `""` is the core group.
    pub(super) group: &'a str,
    /// Version of its API, without the group.
    pub(super) version: &'a str,
    /// Kind of it.
    pub(super) kind: &'a str,
    /// Namespace that it lies in; `""` for an object in no namespace.
    pub(super) namespace: &'a str,
    /// Name of it.
    pub(super) name: &'a str,
    /// Object is the manifest as it will be sent; absent when it is pruned. Of a Secret the values are `***`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub(super) object: Option<Cow<'a, Value>>,
    /// Previous is the manifest as this Kustomization applied it last; absent when it is new, when that is not known any
    /// more, and for policies whose modules don't mention the word.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub(super) previous: Option<&'a Value>,
}

/// What would happen to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    /// It is sent as `object`.
    Apply,
    /// It is deleted.
    Prune,
}

/// The document's JSON Schema.
pub fn schema() -> Schema {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    settings
        .into_generator()
        .into_root_schema_for::<Document<'static>>()
}

fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object"})
}
