//! Which objects a patch's `target` means.

use regex::Regex;

use super::label_selector::LabelSelector;
use crate::options::Selector;
use crate::resource::Resource;
use crate::yaml::Node;

/// A target, its expressions compiled.
pub(super) struct Selection {
    group: Option<Regex>,
    version: Option<Regex>,
    kind: Option<Regex>,
    name: Option<Regex>,
    namespace: Option<Regex>,
    labels: LabelSelector,
    annotations: LabelSelector,
}

impl Selection {
    /// The error says which field is wrong.
    pub(super) fn new(target: &Selector) -> Result<Self, String> {
        Ok(Self {
            group: compile("group", &target.group)?,
            version: compile("version", &target.version)?,
            kind: compile("kind", &target.kind)?,
            name: compile("name", &target.name)?,
            namespace: compile("namespace", &target.namespace)?,
            labels: LabelSelector::parse(&target.label_selector)
                .map_err(|why| format!("target.labelSelector: {why}"))?,
            annotations: LabelSelector::parse(&target.annotation_selector)
                .map_err(|why| format!("target.annotationSelector: {why}"))?,
        })
    }

    /// Whether `resource` is meant; names and namespaces may be those it first had.
    pub(super) fn matches(&self, resource: &Resource) -> bool {
        let fits = |want: &Option<Regex>, is: &str| want.as_ref().is_none_or(|w| w.is_match(is));
        let text = |field: &str, key: &str| resource.metadata_text(field, key).map(str::to_owned);
        (fits(&self.namespace, resource.original_namespace())
            || fits(&self.namespace, resource.effective_namespace()))
            && (fits(&self.name, resource.original_name()) || fits(&self.name, resource.name()))
            && fits(&self.group, resource.group())
            && fits(&self.version, resource.version())
            && fits(&self.kind, resource.kind())
            && resource
                .node
                .map()
                .is_some_and(|map| !map.values().all(Node::is_null))
            && self.labels.matches(|key| text("labels", key))
            && self.annotations.matches(|key| text("annotations", key))
    }
}

fn compile(field: &str, pattern: &str) -> Result<Option<Regex>, String> {
    if pattern.is_empty() {
        return Ok(None);
    }
    let anchored = format!("^(?:{pattern})$");
    Regex::new(&anchored)
        .map(Some)
        .map_err(|_| format!("target.{field} is no regular expression"))
}
