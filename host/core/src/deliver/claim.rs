//! Whose a directory is, where several levels have their tenants delivered to one branch of a repository.
//!
//! Each has a prefix, and below that a directory for each namespace. Two of these meet only where a prefix lies in the directory
//! that a namespace has below a shorter one: `clusters/production`, say, of an environment, and a namespace `production` below
//! `clusters`. There the longer prefix counts: the platform has written it down, and a namespace is called as somebody likes. It
//! deliberately compares no namespaces: below one prefix these are apart.

use reeve_api::deliver::GitDelivery;
use reeve_api::name::{ObjectName, TenantName};
use reeve_api::reason::Reason;
use reeve_api::tenant::{Project, Tenant};

use super::path::directory;
use super::place::{Place, Target, is_below};
use super::wish::PATH;
use crate::failure::{Explained, Turn};
use crate::gitconfig::{self, LevelName};

/// That a level has its tenants delivered somewhere: everything below its prefix is theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Who says so: `Tenant acme`.
    pub by: String,
    url: String,
    branch: String,
    prefix: String,
}

impl Claim {
    /// None: its prefix is no directory, and nobody is delivered there.
    fn of(by: String, git: &GitDelivery) -> Option<Self> {
        let prefix = git.path_prefix.as_deref().unwrap_or_default();
        Some(Self {
            by,
            url: git.url.clone(),
            branch: git.branch().to_owned(),
            prefix: directory(prefix).ok()?,
        })
    }

    /// Whether it may be on that branch of that repository.
    pub fn is_in(&self, repository: &gitconfig::Place, branch: &str) -> bool {
        let place = || gitconfig::Place::of(&gitconfig::address(&self.url).ok()?).ok();
        self.branch == branch && place().is_some_and(|place| place.may_be(repository))
    }
}

/// All that Tenants, Projects and their environments say, and what the platform says for everybody.
pub fn claims<'a>(
    tenants: impl Iterator<Item = (&'a TenantName, &'a Tenant)>,
    projects: impl Iterator<Item = (&'a ObjectName, &'a Project)>,
    everybody: Option<&GitDelivery>,
) -> Vec<Claim> {
    let mut all = Vec::new();
    for (name, tenant) in tenants {
        let said = tenant.spec.deliver.as_ref();
        let level = || LevelName::Tenant(name.clone()).to_string();
        all.extend(said.and_then(|said| Claim::of(level(), &said.git)));
    }
    for (name, project) in projects {
        let said = project.spec.deliver.as_ref();
        let level = || LevelName::Project(name.clone()).to_string();
        all.extend(said.and_then(|said| Claim::of(level(), &said.git)));
        for environment in &project.spec.environments {
            let level = || LevelName::Environment {
                project: name.clone(),
                name: environment.name.clone(),
            };
            let said = environment.deliver.as_ref();
            all.extend(said.and_then(|said| Claim::of(level().to_string(), &said.git)));
        }
    }
    all.extend(everybody.and_then(|git| Claim::of("the platform".to_owned(), git)));
    all
}

/// Whether what is delivered there is beside everything that other levels have below longer prefixes.
///
/// # Errors
/// When one of the two lies in the other.
pub fn unclaimed(place: &Place, claims: &[Claim]) -> Result<(), Explained> {
    let Target::Given(git) = &place.target else {
        return Ok(());
    };
    // The place was made of it. Were it none, everything of others would be in the way.
    let own = directory(git.path_prefix.as_deref().unwrap_or_default()).unwrap_or_default();
    let meets = |claim: &&Claim| {
        let (prefix, delivered) = (claim.prefix.as_str(), place.directory.as_str());
        let is_longer = prefix != own && is_below(prefix, &own);
        is_longer
            && (is_below(delivered, prefix) || is_below(prefix, delivered))
            && claim.branch == git.branch()
            && gitconfig::may_be_same(&claim.url, &git.url)
    };
    let Some(claim) = claims.iter().find(meets) else {
        return Ok(());
    };
    let message = format!(
        "it would be delivered to directory {} of branch {}, and {} has its tenants delivered below {}: one lies in the other",
        place.directory, claim.branch, claim.by, claim.prefix
    );
    let hint = format!(
        "name a directory beside that one by the annotation {PATH}, or ask the platform for prefixes none of which lies in \
         the directory of a namespace"
    );
    // The platform may mend it, which wakes nobody here.
    Err(Explained::new(Reason::AccessDenied, Turn::Retry, message).with_hint(hint))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const URL: &str = "https://git.example/acme/clusters.git";

    fn git(url: &str, branch: &str, prefix: &str) -> GitDelivery {
        GitDelivery {
            url: url.to_owned(),
            branch: Some(branch.to_owned()),
            path_prefix: Some(prefix.to_owned()),
            secret_ref: None,
            propose: None,
        }
    }

    fn place(prefix: &str, directory: &str) -> Place {
        Place {
            target: Target::Given(git(URL, "main", prefix)),
            directory: directory.to_owned(),
            propose: None,
        }
    }

    fn other(url: &str, branch: &str, prefix: &str) -> Vec<Claim> {
        let said = git(url, branch, prefix);
        let claim = Claim::of("environment production of Project shop".to_owned(), &said);
        claim.into_iter().collect()
    }

    #[test]
    fn no_namespace_leads_into_what_another_level_has_below_a_longer_prefix() {
        for (own, delivered, prefix, want) in [
            // The directory of a namespace is the prefix of another level, lies in it, or around it.
            (
                "clusters",
                "clusters/production/web/app",
                "clusters/production",
                false,
            ),
            (
                "clusters",
                "clusters/production/web",
                "./clusters/production/",
                false,
            ),
            ("", "production/web", "production", false),
            ("", "clusters/web", "clusters/web/eu", false),
            (
                "clusters",
                "clusters/production/eu/x",
                "clusters/production/eu",
                false,
            ),
            // Beside it.
            (
                "clusters",
                "clusters/production/us",
                "clusters/production/eu",
                true,
            ),
            (
                "clusters",
                "clusters/production-2/web",
                "clusters/production",
                true,
            ),
            (
                "clusters",
                "clusters/staging/web",
                "clusters/production",
                true,
            ),
            // The same prefix, and shorter ones: there the others are refused.
            ("clusters", "clusters/web/app", "clusters", true),
            (
                "clusters/production",
                "clusters/production/web/app",
                "clusters",
                true,
            ),
            (
                "clusters/production",
                "clusters/production/web/app",
                "",
                true,
            ),
        ] {
            let told = unclaimed(&place(own, delivered), &other(URL, "main", prefix));
            assert_eq!(told.is_ok(), want, "{own} {delivered} {prefix}: {told:?}");
            if let Err(told) = told {
                assert_eq!(
                    (told.reason, told.turn),
                    (Reason::AccessDenied, Turn::Retry)
                );
                let who = "environment production of Project shop has its tenants";
                assert!(told.message.contains(who), "{told}");
                assert!(told.message.contains(delivered), "{told}");
            }
        }
    }

    #[test]
    fn another_branch_or_repository_is_nobodys_here_and_a_repository_is_one_in_any_spelling() {
        let place = place("clusters", "clusters/production/web");
        for (url, branch, want) in [
            (URL, "main", false),
            ("git@git.example:acme/clusters", "main", false),
            (
                "ssh://git@git.example:2222/Acme/clusters.git",
                "main",
                false,
            ),
            (URL, "live", true),
            ("https://git.example/acme/other.git", "main", true),
            ("https://other.example/acme/clusters.git", "main", true),
        ] {
            let told = unclaimed(&place, &other(url, branch, "clusters/production"));
            assert_eq!(told.is_ok(), want, "{url} {branch}");
        }
    }

    #[test]
    fn every_level_that_delivers_has_its_claim() {
        let said = |prefix: &str| json!({"git": {"url": URL, "pathPrefix": prefix}});
        let tenant = |deliver: Value| -> Tenant {
            let spec = json!({"namespaces": ["web"], "deliver": deliver});
            reeve_api::decode(&json!({"metadata": {"name": "web"}, "spec": spec})).unwrap()
        };
        let project: Project = reeve_api::decode(&json!({
            "metadata": {"name": "shop"},
            "spec": {"deliver": said("all"), "environments": [
                {"name": "staging"}, {"name": "production", "deliver": said("production")},
            ]},
        }))
        .unwrap();
        let (web, bad): (TenantName, TenantName) = ("web".parse().unwrap(), "bad".parse().unwrap());
        let (own, wrong) = (tenant(said("web")), tenant(said("../x")));
        let shop: ObjectName = "shop".parse().unwrap();
        let everybody = git(URL, "main", "");
        let all = claims(
            [(&web, &own), (&bad, &wrong)].into_iter(),
            [(&shop, &project)].into_iter(),
            Some(&everybody),
        );
        let told: Vec<(&str, &str)> = all
            .iter()
            .map(|claim| (claim.by.as_str(), claim.prefix.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                ("Tenant web", "web"),
                ("Project shop", "all"),
                ("environment production of Project shop", "production"),
                ("the platform", ""),
            ]
        );
        let place = |url: &str| gitconfig::Place::of(&gitconfig::address(url).unwrap()).unwrap();
        assert!(all.iter().all(|claim| claim.is_in(&place(URL), "main")));
        assert!(!all.iter().any(|claim| claim.is_in(&place(URL), "live")));
        let other = place("https://git.example/acme/other");
        assert!(!all.iter().any(|claim| claim.is_in(&other, "main")));
    }
}
