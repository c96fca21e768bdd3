//! Whose level is configured, where its file lies or is to lie, and which levels stand beside it.
//!
//! Read with the rights of whoever asks. A level that has no file yet is given one: a ConfigMap in the controller's namespace,
//! since what is secret lies elsewhere.

use clap::Args;
use reeve_api::name::{NamespaceName, ObjectName, TenantName};
use reeve_api::plugin::ConfigKind;
use reeve_api::tenant::{GitConfigReference, Project, Tenant};
use reeve_core::gitconfig::{self, LevelName, Named};
use serde_json::{Value, json};

use crate::cli::ui::CommandError;
use crate::cluster::{Cluster, Namer};

/// Whose level.
#[derive(Args)]
pub(super) struct LevelArgs {
    /// Configure the platform's level, which everybody has
    #[arg(long, conflicts_with_all = ["project", "tenant"])]
    pub(super) global: bool,
    /// Configure that of a Project
    #[arg(long, value_name = "NAME", conflicts_with = "tenant")]
    pub(super) project: Option<ObjectName>,
    /// Of the Project, configure that of one of its environments
    #[arg(long, value_name = "NAME", requires = "project")]
    pub(super) environment: Option<ObjectName>,
    /// Configure that of a Tenant
    #[arg(long, value_name = "NAME")]
    pub(super) tenant: Option<TenantName>,
    /// Where the platform's git configuration lies, in the controller's namespace
    #[arg(long, value_name = "secret/NAME|configmap/NAME", value_parser = crate::cli::git::reference, default_value = "secret/reeve-git")]
    pub(super) git_config: GitConfigReference,
    /// Namespace of the controller
    #[arg(short, long, value_name = "NS", default_value = "reeve-system")]
    pub(super) namespace: NamespaceName,
}

/// A level, and what is around it.
pub(super) struct Seat {
    pub(super) level: LevelName,
    /// Where its file lies.
    pub(super) from: GitConfigReference,
    /// All levels that are asked where this one is, lowest first; it is among them.
    pub(super) named: Vec<Named>,
    /// What has to be written so that the level has that file; None: it has.
    pub(super) naming: Option<Naming>,
}

/// A reference that is yet to be written into the spec of a Tenant or a Project.
pub(super) struct Naming {
    version: Option<String>,
    spec: Value,
}

impl Seat {
    /// That of the level which is meant.
    pub(super) async fn find(
        cluster: &Cluster,
        args: &LevelArgs,
        level: &LevelName,
    ) -> Result<Self, CommandError> {
        match level {
            LevelName::Global => Ok(Self {
                level: LevelName::Global,
                from: args.git_config.clone(),
                named: vec![(LevelName::Global, args.git_config.clone())],
                naming: None,
            }),
            LevelName::Tenant(name) => of_tenant(cluster, args, name).await,
            LevelName::Project(name) => of_project(cluster, args, name, None).await,
            LevelName::Environment { project, name } => {
                of_project(cluster, args, project, Some(name)).await
            }
        }
    }
}

impl Naming {
    /// Writes it. False: the object was changed meanwhile.
    pub(super) async fn write(
        &self,
        cluster: &Cluster,
        level: &LevelName,
    ) -> Result<bool, CommandError> {
        let namer = match level {
            LevelName::Global => return Ok(true),
            LevelName::Tenant(name) => Namer::Tenant(name),
            LevelName::Project(name) | LevelName::Environment { project: name, .. } => {
                Namer::Project(name)
            }
        };
        let written = cluster.name_git_file(&namer, self.version.as_deref(), &self.spec);
        let failed = format!("naming the file in the spec of {level} failed");
        written.await.map_err(|why| CommandError::of(&failed, &why))
    }
}

async fn of_tenant(
    cluster: &Cluster,
    args: &LevelArgs,
    name: &TenantName,
) -> Result<Seat, CommandError> {
    let found = cluster.one::<Tenant>(None, name.as_str()).await;
    let found = found.map_err(|why| CommandError::of("reading the Tenant failed", &why))?;
    let missing = || {
        CommandError::new(format!("there is no Tenant {name}"))
            .hint("`reeve get tenants` lists them; one is applied before it is configured")
    };
    let mut tenant = found.ok_or_else(missing)?;
    let (from, is_named) = reference(tenant.spec.git_config.take(), || {
        format!("git-tenant-{name}")
    })?;
    tenant.spec.git_config = Some(from.clone());
    let project = match &tenant.spec.project {
        None => None,
        Some(of) => Some(project(cluster, of).await?),
    };
    let global = global(cluster, args).await?;
    let named = gitconfig::levels_of(Some(&tenant), project.as_ref(), global.as_ref());
    let named = named.map_err(|why| CommandError::of("the levels cannot be told", &why))?;
    let naming = (!is_named).then(|| Naming {
        version: tenant.metadata.resource_version.clone(),
        spec: json!({"gitConfig": from}),
    });
    Ok(Seat {
        level: LevelName::Tenant(name.clone()),
        from,
        named,
        naming,
    })
}

async fn of_project(
    cluster: &Cluster,
    args: &LevelArgs,
    name: &ObjectName,
    environment: Option<&ObjectName>,
) -> Result<Seat, CommandError> {
    let mut object = project(cluster, name).await?;
    let own = object.spec.git_config.clone();
    let version = object.metadata.resource_version.clone();
    let of_project = LevelName::Project(name.clone());
    let global = global(cluster, args).await?;
    let above = global.map(|global| (LevelName::Global, global));
    let Some(environment) = environment else {
        let (from, is_named) = reference(own, || format!("git-project-{name}"))?;
        let naming = (!is_named).then(|| Naming {
            version,
            spec: json!({"gitConfig": from}),
        });
        let named = std::iter::once((of_project.clone(), from.clone())).chain(above);
        return Ok(Seat {
            level: of_project,
            named: named.collect(),
            from,
            naming,
        });
    };
    let mut all = object.spec.environments.iter_mut();
    let found = all.find(|one| one.name == *environment);
    let found = found.ok_or_else(|| {
        CommandError::new(format!("Project {name} has no environment {environment}"))
    })?;
    let called = || format!("git-project-{name}-{environment}");
    let (from, is_named) = reference(found.git_config.take(), called)?;
    found.git_config = Some(from.clone());
    let level = LevelName::Environment {
        project: name.clone(),
        name: environment.clone(),
    };
    let naming = (!is_named).then(|| Naming {
        version,
        spec: json!({"environments": object.spec.environments}),
    });
    let between = own.map(|own| (of_project, own));
    let named = std::iter::once((level.clone(), from.clone())).chain(between);
    Ok(Seat {
        level,
        named: named.chain(above).collect(),
        from,
        naming,
    })
}

/// Where a level's file lies, or is to lie, and whether the level says so.
fn reference(
    known: Option<GitConfigReference>,
    called: impl FnOnce() -> String,
) -> Result<(GitConfigReference, bool), CommandError> {
    if let Some(known) = known {
        return Ok((known, true));
    }
    let name = called().parse();
    let name = name.map_err(|why: reeve_api::name::NotAName| {
        CommandError::of("the level's file has no name", &why)
    })?;
    let fresh = GitConfigReference {
        kind: ConfigKind::ConfigMap,
        name,
        key: None,
    };
    Ok((fresh, false))
}

async fn project(cluster: &Cluster, name: &ObjectName) -> Result<Project, CommandError> {
    let found = cluster.one::<Project>(None, name.as_str()).await;
    let found = found.map_err(|why| CommandError::of("reading the Project failed", &why))?;
    found.ok_or_else(|| CommandError::new(format!("there is no Project {name}")))
}

/// Where the platform's level lies, if it is there.
async fn global(
    cluster: &Cluster,
    args: &LevelArgs,
) -> Result<Option<GitConfigReference>, CommandError> {
    let file = cluster.git_file(&args.namespace, &args.git_config).await;
    let file = file.map_err(|why| CommandError::of("reading the platform's level failed", &why))?;
    Ok(file.is_there().then(|| args.git_config.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_that_names_a_file_keeps_it_and_another_is_given_a_config_map() {
        let known = GitConfigReference {
            kind: ConfigKind::Secret,
            name: "own".parse().unwrap(),
            key: Some("x".to_owned()),
        };
        let never = String::new;
        assert_eq!(
            reference(Some(known.clone()), never).unwrap(),
            (known, true)
        );
        let (fresh, is_named) = reference(None, || "git-tenant-a".to_owned()).unwrap();
        assert_eq!((fresh.kind, is_named), (ConfigKind::ConfigMap, false));
        assert_eq!(fresh.name.as_str(), "git-tenant-a");
        assert!(reference(None, || "A_b".to_owned()).is_err());
    }
}
