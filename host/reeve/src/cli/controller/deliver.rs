//! The flags of where everything is delivered to that no Tenant and no Kustomization says otherwise of.

use clap::Args;
use reeve_api::deliver::{GitDelivery, Proposal};
use reeve_api::meta::LocalObjectReference;
use reeve_api::name::ObjectName;
use reeve_core::deliver::directory;
use reeve_core::gitconfig::address;

/// What is built and judged is committed to a repository, for another agent to apply, and not applied.
#[derive(Args)]
pub(super) struct DeliverArgs {
    /// Commit what comes of Kustomizations to this repository, for another agent to apply, and apply nothing. A Tenant may name
    /// another; a Kustomization of a platform namespace stays with `reeve.dev/deliver: cluster`
    #[arg(long, value_name = "URL", value_parser = url)]
    deliver_url: Option<String>,
    /// Branch of it that is committed to; it has to be there. Without the flag: main
    #[arg(long, value_name = "BRANCH", requires = "deliver_url")]
    deliver_branch: Option<String>,
    /// Directory of it below which everything is written, each Kustomization's as NAMESPACE/NAME
    #[arg(long, value_name = "DIR", requires = "deliver_url", value_parser = prefix)]
    deliver_path_prefix: Option<String>,
    /// Secret in the controller's own namespace with its login, with the keys of a GitRepository's
    #[arg(long, value_name = "NAME", requires = "deliver_url")]
    deliver_secret: Option<ObjectName>,
    /// Propose each change by a pull request, opened as whom git configuration names for the repository
    #[arg(long, requires = "deliver_url")]
    deliver_propose: bool,
}

impl DeliverArgs {
    pub(super) fn delivery(&self) -> Option<GitDelivery> {
        let secret = self.deliver_secret.as_ref();
        Some(GitDelivery {
            url: self.deliver_url.clone()?,
            branch: self.deliver_branch.clone(),
            path_prefix: self.deliver_path_prefix.clone(),
            secret_ref: secret.map(|name| LocalObjectReference {
                name: name.to_string(),
            }),
            propose: self.deliver_propose.then(Proposal::default),
        })
    }
}

fn url(text: &str) -> Result<String, String> {
    let url = address(text).map_err(|why| why.to_string())?;
    match url.password() {
        Some(_) => Err("it holds a password, which belongs into the Secret".to_owned()),
        None => Ok(text.to_owned()),
    }
}

fn prefix(text: &str) -> Result<String, String> {
    directory(text).map_err(|why| why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_named_without_a_password_and_a_directory_stays_in_it() {
        for text in [
            "ssh://git@git.example/acme/clusters.git",
            "git@git.example:acme/clusters.git",
        ] {
            assert_eq!(url(text).as_deref(), Ok(text));
        }
        for text in ["https://u:hunter2@git.example/x.git", "file:///x", "x"] {
            let why = url(text).unwrap_err();
            assert!(!why.contains("hunter2"), "{why}");
        }
        assert_eq!(prefix("clusters/east/").as_deref(), Ok("clusters/east"));
        assert!(prefix("../east").is_err());
    }
}
