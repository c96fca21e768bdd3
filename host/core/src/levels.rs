//! What is said above a tenant: by its Tenant, the environment that it is, and its Project.
//!
//! The lowest level that says something counts. What is named and is not there fails: passing it over would take the word of the
//! level above it. What it deliberately doesn't: read anything, or know what the platform says for everybody.

use reeve_api::deliver::Delivery;
use reeve_api::name::{ObjectName, TenantName};
use reeve_api::tenant::{Environment, Project, SourceOfTruth, Tenant};

use crate::gitconfig::LevelName;

/// The levels above whoever is a tenant's, up to its Project.
#[derive(Debug, Clone)]
pub struct Levels<'a> {
    /// The tenant's own.
    pub tenant: (TenantName, &'a Tenant),
    /// The environment that it is, with the name of its Project.
    pub environment: Option<(ObjectName, &'a Environment)>,
    /// Its Project.
    pub project: Option<(ObjectName, &'a Project)>,
}

/// What a Tenant names is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// The Tenant has no name that one could have.
    #[error("the Tenant's name {0:?} is none")]
    Name(String),
    /// There is no such Project.
    #[error("Tenant {tenant} names Project {project}, which does not exist")]
    Project {
        /// Who names it.
        tenant: TenantName,
        /// Which.
        project: ObjectName,
    },
    /// The Project has no such environment.
    #[error(
        "Tenant {tenant} names environment {environment}, which Project {project} does not have"
    )]
    Environment {
        /// Who names it.
        tenant: TenantName,
        /// Which.
        environment: ObjectName,
        /// Of which Project.
        project: ObjectName,
    },
    /// An environment is one of a Project's.
    #[error("Tenant {0} names an environment and no Project")]
    NoProject(TenantName),
}

impl<'a> Levels<'a> {
    /// Those of `tenant`; `project` is the one that it names, if there is one of that name.
    ///
    /// # Errors
    /// When it names what is not there.
    pub fn of(tenant: &'a Tenant, project: Option<&'a Project>) -> Result<Self, Missing> {
        let name = tenant.metadata.name.as_deref().unwrap_or_default();
        let name: TenantName = name.parse().map_err(|_| Missing::Name(name.to_owned()))?;
        let spec = &tenant.spec;
        let Some(of) = &spec.project else {
            return match &spec.environment {
                Some(_) => Err(Missing::NoProject(name)),
                None => Ok(Self {
                    tenant: (name, tenant),
                    environment: None,
                    project: None,
                }),
            };
        };
        let Some(project) = project else {
            return Err(Missing::Project {
                tenant: name,
                project: of.clone(),
            });
        };
        let environment = match &spec.environment {
            None => None,
            Some(wanted) => {
                let mut all = project.spec.environments.iter();
                let found = all.find(|one| one.name == *wanted);
                let found = found.ok_or_else(|| Missing::Environment {
                    tenant: name.clone(),
                    environment: wanted.clone(),
                    project: of.clone(),
                })?;
                Some((of.clone(), found))
            }
        };
        Ok(Self {
            tenant: (name, tenant),
            environment,
            project: Some((of.clone(), project)),
        })
    }

    /// Where what the tenant's Kustomizations come to is delivered to, and which level says so.
    pub fn delivery(&self) -> Option<(LevelName, &'a Delivery)> {
        self.lowest(
            |tenant| tenant.spec.deliver.as_ref(),
            |environment| environment.deliver.as_ref(),
            |project| project.spec.deliver.as_ref(),
        )
    }

    /// Which side is right for them, and which level says so.
    pub fn source_of_truth(&self) -> Option<(LevelName, SourceOfTruth)> {
        self.lowest(
            |tenant| tenant.spec.source_of_truth,
            |environment| environment.source_of_truth,
            |project| project.spec.source_of_truth,
        )
    }

    /// What each of them says of something, where one does: lowest first.
    pub fn all<T>(
        &self,
        own: impl Fn(&'a Tenant) -> Option<T>,
        environments: impl Fn(&'a Environment) -> Option<T>,
        projects: impl Fn(&'a Project) -> Option<T>,
    ) -> Vec<(LevelName, T)> {
        let (name, tenant) = self.tenant.clone();
        let own = own(tenant).map(|said| (LevelName::Tenant(name), said));
        let environment = self.environment.clone();
        let environment = environment.and_then(|(project, one)| {
            let name = one.name.clone();
            Some((LevelName::Environment { project, name }, environments(one)?))
        });
        let project = self.project.clone();
        let project = project
            .and_then(|(name, project)| Some((LevelName::Project(name), projects(project)?)));
        [own, environment, project].into_iter().flatten().collect()
    }

    fn lowest<T>(
        &self,
        own: impl Fn(&'a Tenant) -> Option<T>,
        environments: impl Fn(&'a Environment) -> Option<T>,
        projects: impl Fn(&'a Project) -> Option<T>,
    ) -> Option<(LevelName, T)> {
        self.all(own, environments, projects).into_iter().next()
    }
}

/// Whether another one of a Project says something else of where its tenants are delivered to, or which side is right for them.
pub fn is_another(before: &Project, now: &Project) -> bool {
    before.spec.deliver != now.spec.deliver
        || before.spec.source_of_truth != now.spec.source_of_truth
        || words(before) != words(now)
}

/// What an environment says of both.
type Word<'p> = (&'p ObjectName, Option<&'p Delivery>, Option<SourceOfTruth>);

fn words(project: &Project) -> Vec<Word<'_>> {
    let all = project.spec.environments.iter();
    all.map(|one| (&one.name, one.deliver.as_ref(), one.source_of_truth))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn tenant(more: &Value) -> Tenant {
        let mut spec = json!({"namespaces": ["web"]});
        let more = more.as_object().unwrap().clone();
        spec.as_object_mut().unwrap().extend(more);
        let meta = json!({"name": "web", "creationTimestamp": "2026-01-01T00:00:00Z"});
        reeve_api::decode(&json!({"metadata": meta, "spec": spec})).unwrap()
    }

    fn project(spec: &Value) -> Project {
        reeve_api::decode(&json!({"metadata": {"name": "acme"}, "spec": spec})).unwrap()
    }

    fn deliver(branch: &str) -> Value {
        json!({"git": {"url": "https://git.example/acme/clusters", "branch": branch}})
    }

    #[test]
    fn the_lowest_level_that_says_something_counts_of_each_thing_by_itself() {
        let both = project(&json!({
            "deliver": deliver("project"), "sourceOfTruth": "git",
            "environments": [
                {"name": "staging", "sourceOfTruth": "cluster"},
                {"name": "production", "deliver": deliver("production")},
            ],
        }));
        for (more, delivered, truth) in [
            (json!({}), None, None),
            (
                json!({"project": "acme"}),
                Some("Project acme: project"),
                Some("Project acme: git"),
            ),
            (
                json!({"project": "acme", "environment": "staging"}),
                Some("Project acme: project"),
                Some("environment staging of Project acme: cluster"),
            ),
            (
                json!({"project": "acme", "environment": "production"}),
                Some("environment production of Project acme: production"),
                Some("Project acme: git"),
            ),
            (
                json!({"project": "acme", "environment": "production", "deliver": deliver("own"), "sourceOfTruth": "cluster"}),
                Some("Tenant web: own"),
                Some("Tenant web: cluster"),
            ),
        ] {
            let tenant = tenant(&more);
            let levels = Levels::of(&tenant, Some(&both)).unwrap();
            let said = levels.delivery();
            let said = said.map(|(level, to)| format!("{level}: {}", to.git.branch()));
            assert_eq!(said.as_deref(), delivered, "{more}");
            let said = levels.source_of_truth();
            let said = said.map(|(level, side)| format!("{level}: {}", side.as_str()));
            assert_eq!(said.as_deref(), truth, "{more}");
        }
    }

    #[test]
    fn what_a_tenant_names_and_is_not_there_is_never_passed_over() {
        let acme = project(&json!({"environments": [{"name": "staging"}]}));
        for (more, project, words) in [
            (json!({"project": "acme"}), None, "which does not exist"),
            (
                json!({"project": "acme", "environment": "prod"}),
                Some(&acme),
                "which Project acme does not have",
            ),
            (json!({"environment": "staging"}), None, "and no Project"),
        ] {
            let tenant = tenant(&more);
            let told = Levels::of(&tenant, project).unwrap_err().to_string();
            assert!(told.contains(words), "{told}");
        }
    }

    #[test]
    fn a_project_is_another_when_it_says_something_else_of_these_two() {
        let spec = |staging: Value| json!({"displayName": "Acme", "environments": [staging]});
        let before = project(&spec(json!({"name": "staging"})));
        for (now, want) in [
            (spec(json!({"name": "staging"})), false),
            (
                spec(json!({"name": "staging", "gitConfig": {"kind": "Secret", "name": "x"}})),
                false,
            ),
            (
                spec(json!({"name": "staging", "sourceOfTruth": "git"})),
                true,
            ),
            (
                spec(json!({"name": "staging", "deliver": deliver("main")})),
                true,
            ),
            (spec(json!({"name": "production"})), true),
            (
                json!({"deliver": deliver("main"), "environments": [{"name": "staging"}]}),
                true,
            ),
        ] {
            assert_eq!(is_another(&before, &project(&now)), want, "{now}");
        }
    }
}
