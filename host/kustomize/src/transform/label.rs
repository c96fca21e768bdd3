//! `labels`, `commonLabels` and `commonAnnotations`.

use crate::error::Error;
use crate::fieldspec::{self, Defaults, FieldSpec, Make};
use crate::file::{Labels, Pairs};
use crate::resource::Resource;
use crate::session::Session;
use crate::yaml::{Node, text_cost};

/// Adds one entry of `labels`.
pub(crate) fn apply_labels(
    session: &Session<'_>,
    labels: &Labels,
    resources: &mut [Resource],
) -> Result<(), Error> {
    let defaults = Defaults::get();
    let mut fields = labels.fields.clone();
    let merged = if labels.include_selectors {
        fieldspec::merge(&mut fields, &defaults.common_labels)
    } else {
        let metadata = FieldSpec::new("", "", "", true, "metadata/labels");
        let lists: [(bool, &[FieldSpec]); 3] = [
            (labels.include_templates, &defaults.template_labels),
            (
                labels.include_volume_claim_templates,
                &defaults.volume_claim_template_labels,
            ),
            (true, &[metadata]),
        ];
        let wanted = lists.iter().filter(|(wanted, _)| *wanted);
        wanted
            .map(|(_, list)| list)
            .try_for_each(|list| fieldspec::merge(&mut fields, list))
    };
    merged.map_err(|why| Error::invalid_at(&labels.pairs.place, why))?;
    add(session, &labels.pairs, &fields, resources)
}

/// Adds `commonLabels`, selectors and templates included.
pub(crate) fn apply_common_labels(
    session: &Session<'_>,
    pairs: &Pairs,
    resources: &mut [Resource],
) -> Result<(), Error> {
    add(session, pairs, &Defaults::get().common_labels, resources)
}

/// Adds `commonAnnotations`, templates included.
pub(crate) fn apply_common_annotations(
    session: &Session<'_>,
    pairs: &Pairs,
    resources: &mut [Resource],
) -> Result<(), Error> {
    add(
        session,
        pairs,
        &Defaults::get().common_annotations,
        resources,
    )
}

fn add(
    session: &Session<'_>,
    pairs: &Pairs,
    fields: &[FieldSpec],
    resources: &mut [Resource],
) -> Result<(), Error> {
    if pairs.pairs.is_empty() {
        return Ok(());
    }
    let cost: u64 = pairs
        .pairs
        .iter()
        .map(|(k, v)| text_cost(k) + text_cost(v))
        .sum();
    let mut set = |node: &mut Node| match node {
        Node::Map(map) => {
            session.budget.nodes(cost).map_err(|why| why.to_string())?;
            let texts = pairs.pairs.iter();
            map.extend(texts.map(|(key, value)| (key.clone(), Node::string(value.as_str()))));
            Ok(())
        }
        other => Err(format!("must be a mapping, not {}", other.kind_name())),
    };
    for resource in resources {
        for spec in fields {
            spec.apply(resource, Some(Make::Mapping), &mut set)
                .map_err(|why| resource.error(&why))?;
        }
    }
    Ok(())
}
