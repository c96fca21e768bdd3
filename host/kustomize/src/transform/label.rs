//! `labels`, `commonLabels` and `commonAnnotations`.

use crate::error::{Error, Place};
use crate::fieldspec::{self, Defaults, FieldSpec, Make};
use crate::file::{Labels, Pairs};
use crate::resource::Resource;
use crate::session::Session;
use crate::yaml::{Node, Scalar, Style, text_cost};

const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Whose behaviour this engine has.
const MANAGER: &str = "kustomize-v5.8.2";

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

/// Adds the label that tells who built the objects: `buildMetadata: [managedByLabel]`.
pub(crate) fn managed_by(session: &Session<'_>, resources: &mut [Resource]) -> Result<(), Error> {
    let fields = [FieldSpec::new("", "", "", true, "metadata/labels")];
    let pairs = Pairs {
        pairs: vec![(MANAGED_BY.to_owned(), MANAGER.to_owned())],
        place: Place::default(),
    };
    add(session, &pairs, &fields, resources)
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
    for resource in resources {
        for (key, value) in &pairs.pairs {
            add_one(session, key, value, fields, resource).map_err(|why| resource.error(&why))?;
        }
    }
    Ok(())
}

/// Writes one label to all of `fields`: one value that all new places share.
fn add_one(
    session: &Session<'_>,
    key: &str,
    value: &str,
    fields: &[FieldSpec],
    resource: &mut Resource,
) -> Result<(), String> {
    let shared = session.next_share();
    let scalar = Scalar {
        shared,
        style: Style::of(value),
        ..Scalar::string(value)
    };
    for spec in fields {
        let mut changed = Vec::new();
        spec.apply(resource, Some(Make::Mapping), &mut |node| {
            session
                .budget
                .nodes(text_cost(key) + text_cost(value))
                .map_err(|why| why.to_string())?;
            let kind = node.kind_name();
            let map = node
                .map_mut()
                .ok_or_else(|| format!("must be a mapping, not {kind}"))?;
            match map.get_mut(key) {
                None => {
                    map.insert(key.to_owned(), Node::Scalar(scalar.clone()));
                }
                Some(old) => {
                    changed.extend(old.shared());
                    let new = match old {
                        Node::Scalar(old) => scalar.clone().over(old),
                        _ => Scalar::string(value),
                    };
                    *old = Node::Scalar(new);
                }
            }
            Ok(())
        })?;
        if !changed.is_empty() {
            let steps = resource.node.cost() * changed.len() as u64;
            session.budget.steps(steps).map_err(|why| why.to_string())?;
        }
        changed
            .into_iter()
            .for_each(|number| resource.node.share(number, &scalar));
    }
    Ok(())
}
