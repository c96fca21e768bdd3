//! Which objects a patch's `target` means.

use super::label_selector::LabelSelector;
use crate::budget::Budget;
use crate::options::Selector;
use crate::pattern::Pattern;
use crate::resource::Resource;
use crate::yaml::Node;

/// A target, its expressions compiled.
pub(crate) struct Selection {
    group: Option<Pattern>,
    version: Option<Pattern>,
    kind: Option<Pattern>,
    name: Option<Pattern>,
    namespace: Option<Pattern>,
    labels: LabelSelector,
    annotations: LabelSelector,
    /// The name, if no other can be meant.
    exact_name: Option<String>,
}

impl Selection {
    /// The error says which field is wrong.
    pub(crate) fn new(target: &Selector, budget: &Budget) -> Result<Self, String> {
        Ok(Self {
            group: compile("group", &target.group, budget)?,
            version: compile("version", &target.version, budget)?,
            kind: compile("kind", &target.kind, budget)?,
            name: compile("name", &target.name, budget)?,
            namespace: compile("namespace", &target.namespace, budget)?,
            labels: LabelSelector::parse(&target.label_selector)
                .map_err(|why| format!("target.labelSelector: {why}"))?,
            annotations: LabelSelector::parse(&target.annotation_selector)
                .map_err(|why| format!("target.annotationSelector: {why}"))?,
            exact_name: is_exact(&target.name).then(|| target.name.clone()),
        })
    }

    /// The name that is meant, if there is only one.
    pub(crate) fn exact_name(&self) -> Option<&str> {
        self.exact_name.as_deref()
    }

    /// Whether `resource` is meant; names and namespaces may be those it first had.
    pub(crate) fn matches<'r>(&self, resource: &'r Resource) -> bool {
        // Nothing is looked for in an object that is not asked for, and what most differ by comes first.
        let fits = |want: &Option<Pattern>, is: &dyn Fn() -> &'r str| {
            want.as_ref().is_none_or(|w| w.fits(is()))
        };
        fits(&self.kind, &|| resource.kind())
            && (fits(&self.name, &|| resource.name())
                || fits(&self.name, &|| resource.original_name()))
            && (fits(&self.namespace, &|| resource.effective_namespace())
                || fits(&self.namespace, &|| resource.original_namespace()))
            && fits(&self.group, &|| resource.group())
            && fits(&self.version, &|| resource.version())
            && resource
                .node
                .map()
                .is_some_and(|map| !map.values().all(Node::is_null))
            && self.fits_texts(resource)
    }

    /// What looking whether one object is meant counts.
    pub(crate) fn cost(&self) -> u64 {
        let patterns = [
            &self.group,
            &self.version,
            &self.kind,
            &self.name,
            &self.namespace,
        ];
        // A name and a namespace are compared twice.
        let patterns = patterns.into_iter().chain([&self.name, &self.namespace]);
        let patterns: u64 = patterns.flatten().map(Pattern::cost).sum();
        1 + patterns + self.labels.cost() + self.annotations.cost()
    }
}

/// Who an object is or was, as a replacement's targets are compared with it.
pub(crate) struct Identity<'a> {
    pub(crate) group: &'a str,
    pub(crate) version: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) name: &'a str,
    /// As it is written; of an earlier identity, the effective one.
    pub(crate) namespace: &'a str,
}

impl Selection {
    /// Whether group, version, kind, name and namespace fit.
    pub(crate) fn fits(&self, id: &Identity<'_>) -> bool {
        let fits = |want: &Option<Pattern>, is: &str| want.as_ref().is_none_or(|w| w.fits(is));
        fits(&self.name, id.name)
            && fits(&self.kind, id.kind)
            && fits(&self.group, id.group)
            && fits(&self.version, id.version)
            && fits(&self.namespace, id.namespace)
    }

    /// Whether labels and annotations fit.
    pub(crate) fn fits_texts(&self, resource: &Resource) -> bool {
        self.fits_pairs(
            |key| resource.metadata_text("labels", key),
            |key| resource.metadata_text("annotations", key),
        )
    }

    /// The same for who has them as they are.
    pub(crate) fn fits_pairs<'v>(
        &self,
        label: impl Fn(&str) -> Option<&'v str>,
        annotation: impl Fn(&str) -> Option<&'v str>,
    ) -> bool {
        self.labels.matches(label) && self.annotations.matches(annotation)
    }
}

/// Whether nothing in it has a meaning in an expression.
fn is_exact(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn compile(field: &str, pattern: &str, budget: &Budget) -> Result<Option<Pattern>, String> {
    if pattern.is_empty() {
        return Ok(None);
    }
    let compiled = Pattern::whole(pattern, budget).map_err(|why| why.to_string())?;
    compiled
        .map(Some)
        .ok_or_else(|| format!("target.{field} is no regular expression"))
}
