//! What a Kustomization itself says of its delivery, in annotations.
//!
//! Words only: whether it may go there is [`place`](super::place)'s to say.

use std::collections::BTreeMap;

use reeve_api::name::ObjectName;

use super::path::directory;
use crate::spec::Error;

/// The annotation that says where what a Kustomization comes to goes: `git` or `cluster`.
pub const DELIVER: &str = "reeve.dev/deliver";
/// The annotation that names a GitRepository of the Kustomization's namespace to deliver to.
pub const TO: &str = "reeve.dev/deliver-to";
/// The annotation with the directory in the repository, or below what the platform gives.
pub const PATH: &str = "reeve.dev/deliver-path";
/// The annotation that asks for a pull request in place of a commit: `pull-request`.
pub const PROPOSE: &str = "reeve.dev/deliver-propose";

const FIELD: &str = "metadata.annotations[reeve.dev/deliver]";
const TO_FIELD: &str = "metadata.annotations[reeve.dev/deliver-to]";
const PATH_FIELD: &str = "metadata.annotations[reeve.dev/deliver-path]";
const PROPOSE_FIELD: &str = "metadata.annotations[reeve.dev/deliver-propose]";

/// What a Kustomization says of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    /// Whether to git (`true`), or to the cluster.
    pub(super) git: Option<bool>,
    /// The GitRepository.
    pub(super) to: Option<ObjectName>,
    /// The directory.
    pub(super) path: Option<String>,
    /// Whether by a pull request.
    pub(super) propose: bool,
}

impl Wish {
    /// Reads the annotations.
    pub(crate) fn parse(annotations: Option<&BTreeMap<String, String>>) -> Result<Self, Error> {
        let said = |name: &str| {
            annotations
                .and_then(|all| all.get(name))
                .map(String::as_str)
        };
        let git = match said(DELIVER) {
            None => None,
            Some("git") => Some(true),
            Some("cluster") => Some(false),
            Some(_) => return Err(Error::invalid(FIELD, "it is `git` or `cluster`")),
        };
        let to = said(TO).map(str::parse::<ObjectName>).transpose();
        let to = to.map_err(|why| Error::invalid(TO_FIELD, why))?;
        let path = said(PATH).map(directory).transpose();
        let path = path.map_err(|why| Error::invalid(PATH_FIELD, why))?;
        let propose = match said(PROPOSE) {
            None => false,
            Some("pull-request") => true,
            Some(_) => {
                return Err(Error::invalid(
                    PROPOSE_FIELD,
                    "the one value is pull-request",
                ));
            }
        };
        if git != Some(true) && to.is_some() {
            let why = "nothing is delivered without reeve.dev/deliver: git";
            return Err(Error::invalid(TO_FIELD, why));
        }
        Ok(Self {
            git,
            to,
            path,
            propose,
        })
    }
}
