//! Which rules are for an object, and which of them is for one that comes or goes as a whole. What is empty in a rule means any.
//!
//! A rule with filters speaks of fields only: which side follows for each, `following` says.
//! What may be read is no question here: a rule that names everything still concerns only what the account may see.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use reeve_api::writeback::{OnDelete, SyncTo, WriteBackRule};
use reeve_kustomize::{LabelSelector, Object};
use serde_json::{Map, Value};

use super::filter::Filters;
use super::following::Following;

/// The most rules, and the most entries of one of their lists.
const MOST: usize = 100;
/// What stands for any group or resource, as in roles.
const ANY: &str = "*";
/// What no rule means that does not name it.
const OF_CONTROLLERS: [&str; 7] = [
    "controllerrevisions",
    "endpoints",
    "endpointslices",
    "events",
    "leases",
    "secrets",
    "writebacks",
];

/// The rules of a WriteBack, in order. Cheap to clone.
#[derive(Clone, Default)]
pub struct Rules {
    written: Arc<Vec<WriteBackRule>>,
    compiled: Arc<Vec<Rule>>,
    only: Only,
}

/// Of which objects that its rules match a WriteBack commits anything.
#[derive(Clone, Debug, Default, PartialEq)]
enum Only {
    /// Whichever it is shown.
    #[default]
    Shown,
    /// Those that it watches: in these namespaces; None: everywhere.
    Watched(Option<Arc<BTreeSet<String>>>),
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Rule {
    written: WriteBackRule,
    labels: Option<LabelSelector>,
    filters: Filters,
}

/// What of an object a rule asks for.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'s> {
    /// Its API group, empty for the core group.
    pub group: &'s str,
    /// Its resource, in the plural: `deployments`.
    pub resource: &'s str,
    /// Its namespace, empty for what is in none.
    pub namespace: &'s str,
    /// Its name.
    pub name: &'s str,
    /// Its labels, if it has any.
    pub labels: Option<&'s Map<String, Value>>,
}

/// A rule that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is too much.
    #[error("there are more than {MOST} rules, or entries of one")]
    Limit,
    /// One says nothing that could be done.
    #[error("[{at}].{field}: {why}")]
    Rule {
        /// Which rule, from 0.
        at: usize,
        /// Which of its fields.
        field: String,
        /// What is wrong with it.
        why: String,
    },
}

impl<'s> Subject<'s> {
    /// That of an object whose resource is called so.
    pub fn of(object: &'s Object, resource: &'s str) -> Self {
        Self {
            group: object.group(),
            resource,
            namespace: object.namespace(),
            name: object.name(),
            labels: object.labels(),
        }
    }
}

impl Rules {
    /// Reads them, or says what is wrong with which.
    pub fn parse(rules: &[WriteBackRule]) -> Result<Self, Error> {
        if rules.len() > MOST {
            return Err(Error::Limit);
        }
        let compiled = rules.iter().enumerate();
        let compiled = compiled.map(|(at, rule)| Rule::parse(at, rule));
        Ok(Self {
            compiled: Arc::new(compiled.collect::<Result<_, _>>()?),
            written: Arc::new(rules.to_vec()),
            only: Only::default(),
        })
    }

    /// The same for whoever leaves to be committed what is: nothing is that is not watched, whatever a rule matches. Watched is what
    /// lies in these namespaces; None: everywhere.
    #[must_use]
    pub fn watched(self, namespaces: Option<BTreeSet<String>>) -> Self {
        Self {
            only: Only::Watched(namespaces.map(Arc::new)),
            ..self
        }
    }

    /// The rule for an object as a whole, which is new or gone: the first that matches and has no filters.
    pub fn whole(&self, subject: &Subject<'_>) -> Option<&Rule> {
        let mut all = self.compiled.iter();
        all.find(|rule| rule.filters.are_all() && self.is_for(rule, subject))
    }

    /// Which side follows for each of an object's fields.
    pub fn following(&self, subject: &Subject<'_>) -> Following {
        let all = self.compiled.iter();
        let rules = all.filter(|rule| self.is_for(rule, subject));
        Following::by(rules.map(|rule| (rule.filters.clone(), rule.sync_to())))
    }

    /// Whether changes of any of its fields are committed.
    pub fn commits(&self, subject: &Subject<'_>) -> bool {
        let all = self.compiled.iter();
        for rule in all.filter(|rule| self.is_for(rule, subject)) {
            if rule.sync_to() == SyncTo::Git || rule.filters.are_all() {
                return rule.sync_to() == SyncTo::Git;
            }
        }
        false
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.compiled.iter()
    }

    /// Whether a rule is for the object, as far as that is watched where it would have it committed.
    fn is_for(&self, rule: &Rule, subject: &Subject<'_>) -> bool {
        let is_watched = || match &self.only {
            Only::Shown => true,
            Only::Watched(namespaces) => {
                let is_there = |all: &Arc<BTreeSet<String>>| all.contains(subject.namespace);
                rule.commits(subject.group, subject.resource)
                    && namespaces.as_ref().is_none_or(is_there)
            }
        };
        rule.matches(subject) && (rule.sync_to() != SyncTo::Git || is_watched())
    }
}

impl Rule {
    fn parse(at: usize, rule: &WriteBackRule) -> Result<Self, Error> {
        let wrong = |field: &str, why: String| Error::Rule {
            at,
            field: field.to_owned(),
            why,
        };
        let lists = [
            ("apiGroups", &rule.api_groups),
            ("names", &rule.names),
            ("namespaces", &rule.namespaces),
            ("resources", &rule.resources),
        ];
        for (field, list) in lists {
            if list.len() > MOST {
                return Err(Error::Limit);
            }
            if field != "apiGroups" && list.iter().any(String::is_empty) {
                let why = "holds an empty text; leave the whole list out to mean any";
                return Err(wrong(field, why.to_owned()));
            }
        }
        if let Some(odd) = rule.resources.iter().find(|name| is_no_resource(name)) {
            let why = format!(
                "{:?} is no resource: write it in the plural and in lower case, with its group in apiGroups",
                odd.chars().take(100).collect::<String>()
            );
            return Err(wrong("resources", why));
        }
        let selector = Some(rule.labels.trim()).filter(|text| !text.is_empty());
        let labels = selector.map(selector_of).transpose();
        let labels = labels.map_err(|why| wrong("labels", why))?;
        let filters = Filters::parse(&rule.filters);
        let filters = filters.map_err(|(which, why)| wrong(&format!("filters[{which}]"), why))?;
        Ok(Self {
            labels,
            filters,
            written: rule.clone(),
        })
    }

    /// Whether it is for the object.
    pub fn matches(&self, subject: &Subject<'_>) -> bool {
        let Subject {
            group, resource, ..
        } = *subject;
        let label = |key: &str| subject.labels?.get(key)?.as_str();
        self.is_for_kind(group, resource)
            && is_in(&self.written.namespaces, subject.namespace)
            && is_in(&self.written.names, subject.name)
            && self.labels.as_ref().is_none_or(|one| one.matches(label))
    }

    /// Whether it may be for objects of a kind.
    pub fn is_for_kind(&self, group: &str, resource: &str) -> bool {
        let any = |list: &[String]| list.iter().any(|one| one == ANY);
        let (groups, resources) = (&self.written.api_groups, &self.written.resources);
        (any(groups) || is_in(groups, group)) && (any(resources) || is_in(resources, resource))
    }

    /// Whether it has objects of a kind committed: one that names no resource means what people keep in git, and not what
    /// controllers write for themselves.
    pub fn commits(&self, group: &str, resource: &str) -> bool {
        let is_named = self.written.resources.iter().any(|one| one == resource);
        self.sync_to() == SyncTo::Git
            && self.is_for_kind(group, resource)
            && (is_named || !OF_CONTROLLERS.contains(&resource))
    }

    /// Whether it means single objects, and not all of a kind: then also what another object, or Kubernetes, has made.
    pub fn picks(&self) -> bool {
        !self.written.names.is_empty() || !self.written.labels.trim().is_empty()
    }

    /// Whether it may be for objects of a namespace; an empty one is that of what is in none.
    pub fn is_for_namespace(&self, namespace: &str) -> bool {
        is_in(&self.written.namespaces, namespace)
    }

    /// The side that follows.
    pub fn sync_to(&self) -> SyncTo {
        self.written.sync_to
    }

    /// What becomes of manifests of objects that are gone.
    pub fn on_delete(&self) -> OnDelete {
        self.written.on_delete
    }

    /// As it was written.
    pub fn written(&self) -> &WriteBackRule {
        &self.written
    }
}

fn is_in(list: &[String], name: &str) -> bool {
    list.is_empty() || list.iter().any(|one| one == name)
}

fn is_no_resource(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name != ANY && !name.chars().all(fits)
}

/// A selector that Kubernetes would take too: one that means no object that can be is a mistake.
fn selector_of(text: &str) -> Result<LabelSelector, String> {
    let odd = |c: char| {
        let fits = c.is_ascii_alphanumeric() || c.is_ascii_whitespace();
        !fits && !"-_./=!(),<>".contains(c)
    };
    match text.chars().find(|c| odd(*c)) {
        Some(odd) => Err(format!("{odd:?} is in no label")),
        None => LabelSelector::parse(text),
    }
}

impl PartialEq for Rules {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written && self.only == other.only
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.only {
            Only::Shown => self.written.fmt(f),
            only => (&self.written, only).fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rules(written: Value) -> Result<Rules, Error> {
        let rules: Vec<WriteBackRule> = serde_json::from_value(written).unwrap();
        Rules::parse(&rules)
    }

    fn web() -> Object {
        let web = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata":
            {"name": "web", "namespace": "acme", "labels": {"tier": "front", "app": "web"}}});
        Object::try_from(web).unwrap()
    }

    #[test]
    fn a_rule_is_for_what_fits_all_that_it_says() {
        for (rule, want) in [
            (json!({}), true),
            (json!({"apiGroups": ["apps"]}), true),
            (json!({"apiGroups": ["", "apps"]}), true),
            (json!({"apiGroups": [""]}), false),
            (json!({"apiGroups": ["*"], "resources": ["*"]}), true),
            (json!({"resources": ["deployments"]}), true),
            (json!({"resources": ["statefulsets"]}), false),
            (json!({"namespaces": ["acme"]}), true),
            (json!({"namespaces": ["other"]}), false),
            (json!({"names": ["api", "web"]}), true),
            (json!({"names": ["we"]}), false),
            (json!({"labels": "tier=front"}), true),
            (json!({"labels": "tier in (front, back),app"}), true),
            (json!({"labels": "tier notin (front)"}), false),
            (json!({"labels": "!tier"}), false),
            (json!({"labels": "tier!=back,!other"}), true),
            (json!({"labels": "tier=front", "names": ["api"]}), false),
        ] {
            let mut rule = rule;
            rule["syncTo"] = json!("git");
            let rules = rules(json!([rule])).unwrap();
            let web = web();
            let got = rules.whole(&Subject::of(&web, "deployments"));
            assert_eq!(got.is_some(), want, "{rules:?}");
        }
    }

    #[test]
    fn the_first_rule_that_matches_counts_for_what_comes_and_goes() {
        let rules = rules(json!([
            {"names": ["other"], "syncTo": "kubernetes"},
            {"filters": ["/spec"], "syncTo": "kubernetes", "onDelete": "delete"},
            {"resources": ["deployments"], "syncTo": "ignore"},
            {"syncTo": "git", "onDelete": "delete"},
        ]))
        .unwrap();
        let web = web();
        let first = |resource| rules.whole(&Subject::of(&web, resource)).unwrap();
        assert_eq!(first("deployments").sync_to(), SyncTo::Ignore);
        assert_eq!(first("services").sync_to(), SyncTo::Git);
        assert_eq!(first("services").on_delete(), OnDelete::Delete);
        assert_eq!(first("deployments").on_delete(), OnDelete::Keep);
    }

    #[test]
    fn an_object_is_watched_if_any_of_its_fields_is_committed() {
        let filters = json!(["/spec/replicas"]);
        for (written, want) in [
            (json!([{"syncTo": "git"}]), true),
            (json!([{"filters": filters, "syncTo": "git"}]), true),
            (
                json!([{"filters": filters, "syncTo": "ignore"}, {"syncTo": "git"}]),
                true,
            ),
            (json!([{"syncTo": "ignore"}, {"syncTo": "git"}]), false),
            (json!([{"filters": filters, "syncTo": "kubernetes"}]), false),
            (json!([{"names": ["api"], "syncTo": "git"}]), false),
        ] {
            let rules = rules(written.clone()).unwrap();
            let web = web();
            let subject = Subject::of(&web, "deployments");
            assert_eq!(rules.commits(&subject), want, "{written}");
            assert_eq!(rules.following(&subject).commits(), want, "{written}");
        }
    }

    /// A kind, its resource and the namespace of an object, the rule, and whether it is for that object: shown, and watched in `acme`.
    #[test]
    fn what_is_not_watched_no_rule_has_committed() {
        let any = json!({"syncTo": "git", "onDelete": "delete"});
        let named = json!({"resources": ["endpoints", "writebacks"], "syncTo": "git"});
        let ignored = json!({"syncTo": "ignore"});
        for (kind, resource, namespace, rule, shown, watched) in [
            ("Service", "services", "acme", &any, true, true),
            ("Service", "services", "other", &any, true, false),
            ("Endpoints", "endpoints", "acme", &any, true, false),
            ("Endpoints", "endpoints", "acme", &named, true, true),
            ("WriteBack", "writebacks", "acme", &any, true, false),
            ("ClusterRole", "clusterroles", "", &any, true, false),
            ("ClusterRole", "clusterroles", "", &ignored, true, true),
            ("Endpoints", "endpoints", "acme", &ignored, true, true),
        ] {
            let object = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "a", "namespace": namespace}});
            let object = Object::try_from(object).unwrap();
            let subject = Subject::of(&object, resource);
            let all = rules(json!([rule])).unwrap();
            let of = |rules: &Rules| {
                let fields = rules.following(&subject);
                let is = fields.commits() || fields.ignores();
                assert_eq!(rules.whole(&subject).is_some(), is, "{kind}: {rule}");
                is
            };
            assert_eq!(of(&all), shown, "{kind}: {rule}");
            let acme = BTreeSet::from(["acme".to_owned()]);
            let here = all.clone().watched(Some(acme));
            assert_eq!(of(&here), watched, "{kind}: {rule}");
            assert_ne!(format!("{all:?}"), format!("{here:?}"));
        }
    }

    #[test]
    fn the_platform_has_committed_what_is_in_no_namespace_and_what_controllers_write_it_has_not() {
        let all = rules(json!([{"syncTo": "git"}, {"syncTo": "kubernetes"}]));
        let all = all.unwrap().watched(None);
        let sides = |kind: &str, resource: &str| {
            let object = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "a"}});
            let object = Object::try_from(object).unwrap();
            let subject = Subject::of(&object, resource);
            all.whole(&subject).map(Rule::sync_to)
        };
        assert_eq!(sides("Namespace", "namespaces"), Some(SyncTo::Git));
        assert_eq!(sides("Lease", "leases"), Some(SyncTo::Kubernetes));
    }

    #[test]
    fn what_is_in_no_namespace_has_an_empty_one() {
        let content = json!({"apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshotContent",
            "metadata": {"name": "a"}});
        let content = Object::try_from(content).unwrap();
        let subject = Subject::of(&content, "volumesnapshotcontents");
        let of = |rule| rules(json!([rule])).unwrap().whole(&subject).is_some();
        assert!(of(
            json!({"apiGroups": ["snapshot.storage.k8s.io"], "syncTo": "git"})
        ));
        assert!(!of(json!({"namespaces": ["acme"], "syncTo": "git"})));
    }

    #[test]
    fn a_rule_that_cannot_be_used_is_named() {
        for (rule, says) in [
            (
                json!({"labels": "a in (b"}),
                "[1].labels: a closing parenthesis",
            ),
            (json!({"labels": "a=b c"}), "[1].labels: a comma"),
            (json!({"labels": "a=$b"}), "[1].labels: '$' is in no label"),
            (json!({"filters": ["/a", "b"]}), "[1].filters[1]: "),
            (
                json!({"resources": ["Deployment"]}),
                "[1].resources: \"Deployment\" is no resource",
            ),
            (
                json!({"resources": ["deployments.apps"]}),
                "[1].resources: ",
            ),
            (json!({"names": [""]}), "[1].names: holds an empty text"),
        ] {
            let mut rule = rule;
            rule["syncTo"] = json!("git");
            let told = rules(json!([{"syncTo": "ignore"}, rule])).unwrap_err();
            assert!(told.to_string().starts_with(says), "{told}");
        }
        let many = vec![json!({"syncTo": "git"}); MOST + 1];
        assert_eq!(rules(json!(many)).unwrap_err(), Error::Limit);
    }
}
