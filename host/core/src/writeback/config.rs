//! The configuration of a write-back that stands alone: `branch`, `gitUrl`, `gitPath` and `rules`, read strictly.
//!
//! A field that nobody knows is an error with its line, since nobody says what it would do. What the command line says goes
//! before it, which is the command's.

use reeve_api::writeback::WriteBackRule;
use reeve_kustomize::Marks;
use serde_json::{Map, Value};

use super::rule::{self, Rules};
use crate::spec::clean_path;
pub use crate::strict::Error;
use crate::strict::{self, NO_MAPPING};

const FIELDS: [&str; 4] = ["branch", "gitUrl", "gitPath", "rules"];
const RULE: [&str; 8] = [
    "apiGroups",
    "filters",
    "labels",
    "names",
    "namespaces",
    "onDelete",
    "resources",
    "syncTo",
];

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// The branch.
    pub branch: Option<String>,
    /// The URL of the repository, as it is written.
    pub git_url: Option<String>,
    /// The directory in it, clean: `""` is the root.
    pub git_path: String,
    /// Which side wins for which objects.
    pub rules: Rules,
}

impl Config {
    /// Reads it, or says which line stands in the way.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let (value, marks) = strict::read(bytes, "config.yaml")?;
        let Value::Object(fields) = &value else {
            return Err(Error::of_file(Some(1), NO_MAPPING));
        };
        let marks = Marked(&marks);
        strict::only(marks.0, "", fields, &FIELDS)?;
        let path = marks.text(fields, "gitPath")?.unwrap_or_default();
        let git_path = clean_path(&path).map_err(|why| {
            let why = why.to_string().replace("spec.path: ", "");
            marks.wrong("gitPath", format!("cannot be used: {why}"))
        })?;
        Ok(Self {
            branch: marks.text(fields, "branch")?,
            git_url: marks.text(fields, "gitUrl")?,
            git_path,
            rules: marks.rules(fields.get("rules"))?,
        })
    }
}

/// Where each field was written.
struct Marked<'m>(&'m Marks);

impl Marked<'_> {
    fn rules(&self, rules: Option<&Value>) -> Result<Rules, Error> {
        let items = match rules {
            None | Some(Value::Null) => return Err(self.wrong("rules", "is not set")),
            Some(Value::Array(items)) if !items.is_empty() => items,
            Some(Value::Array(_)) => return Err(self.wrong("rules", "is empty")),
            Some(_) => return Err(self.wrong("rules", "is no list")),
        };
        let mut read: Vec<WriteBackRule> = Vec::new();
        for (at, item) in items.iter().enumerate() {
            let field = format!("rules[{at}]");
            let Value::Object(fields) = item else {
                return Err(self.wrong(&field, "is no mapping"));
            };
            strict::only(self.0, &field, fields, &RULE)?;
            let mut fields = fields.clone();
            // What is null is not set.
            fields.retain(|_, value| !value.is_null());
            let rule = serde_json::from_value(Value::Object(fields));
            read.push(rule.map_err(|why| {
                let why = format!("cannot be read: {}", crate::text::line(&why.to_string()));
                self.wrong(&field, why)
            })?);
        }
        Rules::parse(&read).map_err(|why| match why {
            rule::Error::Limit => self.wrong("rules", why.to_string()),
            rule::Error::Rule { at, field, why } => {
                self.wrong(&format!("rules[{at}].{field}"), why)
            }
        })
    }

    fn text(&self, fields: &Map<String, Value>, field: &str) -> Result<Option<String>, Error> {
        match fields.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) if text.chars().any(char::is_control) => {
                Err(self.wrong(field, "is of several lines"))
            }
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(self.wrong(field, "is no text: put it in quotes")),
        }
    }

    fn wrong(&self, field: &str, why: impl Into<String>) -> Error {
        Error::of_field(self.0, field, why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writeback::Subject;
    use reeve_api::writeback::SyncTo;

    /// As gitops-controller documents it.
    const EXAMPLE: &str = "\
rules:
- apiGroups:
  - snapshot.storage.k8s.io
  resources:
  - volumesnapshots
  - volumesnapshotcontents
  syncTo: kubernetes
";

    #[test]
    fn the_example_of_gitops_controller_is_read_as_it_stands() {
        let config = Config::parse(EXAMPLE.as_bytes()).unwrap();
        assert_eq!((config.branch, config.git_url), (None, None));
        assert_eq!(config.git_path, "");
        let side = |group, resource| {
            let subject = Subject {
                group,
                resource,
                namespace: "acme",
                name: "a",
                labels: None,
            };
            config.rules.whole(&subject).map(|rule| rule.sync_to())
        };
        let group = "snapshot.storage.k8s.io";
        assert_eq!(side(group, "volumesnapshots"), Some(SyncTo::Kubernetes));
        assert_eq!(
            side(group, "volumesnapshotcontents"),
            Some(SyncTo::Kubernetes)
        );
        assert_eq!(side(group, "volumesnapshotclasses"), None);
        assert_eq!(side("", "volumesnapshots"), None);
    }

    #[test]
    fn every_field_is_read() {
        let text = "branch: main\ngitUrl: git@git.example:acme/web.git\ngitPath: ./clusters//one/\nrules:\n\
            - {syncTo: git, labels: 'app in (web)', filters: [/metadata/annotations], names: [web], namespaces: [acme], onDelete: delete}\n\
            - {syncTo: ignore, apiGroups: null}\n";
        let config = Config::parse(text.as_bytes()).unwrap();
        assert_eq!(config.branch.as_deref(), Some("main"));
        assert_eq!(
            config.git_url.as_deref(),
            Some("git@git.example:acme/web.git")
        );
        assert_eq!(config.git_path, "clusters/one");
        assert_eq!(config.rules.iter().count(), 2);
    }

    #[test]
    fn what_cannot_be_used_is_told_with_its_line() {
        for (text, says) in [
            ("", "the configuration is no mapping"),
            ("- a", "line 1: the configuration is no mapping"),
            ("rules: [", "this is not valid YAML"),
            (
                "branch: main\nrule: []",
                "line 2: rule is not known: is it rules?",
            ),
            ("branch: main", "rules is not set"),
            ("rules: []", "line 1: rules is empty"),
            (
                "rules:\n- syncTo: git\n  label: a",
                "line 3: rules[0].label is not known: is it labels?",
            ),
            (
                "rules:\n- resources: [pods]",
                "line 2: rules[0] cannot be read: missing field `syncTo`",
            ),
            (
                "rules:\n- syncTo: both",
                "line 2: rules[0] cannot be read: unknown variant `both`",
            ),
            (
                "rules:\n- syncTo: git\n- syncTo: git\n  labels: a in (",
                "line 4: rules[1].labels a closing",
            ),
            (
                "rules:\n- syncTo: git\n  filters:\n  - spec",
                "rules[0].filters[0] \"spec\" is no JSON pointer",
            ),
            (
                "gitPath: ../x\nrules:\n- syncTo: git",
                "line 1: gitPath cannot be used: it leads out",
            ),
            (
                "branch: 1\nrules:\n- syncTo: git",
                "line 1: branch is no text",
            ),
        ] {
            let told = Config::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(told.contains(says), "{text:?}: {told}");
        }
    }
}
