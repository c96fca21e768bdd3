//! `labels`, `commonLabels` and `commonAnnotations`.

use crate::config::Config;
use crate::error::{Error, Place};
use crate::fieldspec::{self, FieldSpec, Gvk, Make};
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
    config: &Config,
    labels: &Labels,
    resources: &mut [Resource],
) -> Result<(), Error> {
    let mut fields = labels.fields.clone();
    let metadata = [FieldSpec::new(Gvk::default(), true, "metadata/labels")];
    let selectors = labels.include_selectors;
    let lists: [(bool, &[FieldSpec]); 5] = [
        (true, &config.labels),
        (selectors, &config.common_labels),
        (
            !selectors && labels.include_templates,
            &config.template_labels,
        ),
        (
            !selectors && labels.include_volume_claim_templates,
            &config.volume_claim_template_labels,
        ),
        (!selectors, &metadata),
    ];
    for (_, list) in lists.into_iter().filter(|(wanted, _)| *wanted) {
        let steps = (fields.len() + list.len()) * list.len();
        let charge = session.budget.steps(steps as u64);
        charge.map_err(|why| Error::in_place(&labels.pairs.place, why))?;
        fieldspec::merge(&mut fields, list)
            .map_err(|why| Error::invalid_at(&labels.pairs.place, why))?;
    }
    add(session, &labels.pairs, &fields, resources)
}

/// Adds the label that tells who built the objects: `buildMetadata: [managedByLabel]`.
pub(crate) fn managed_by(session: &Session<'_>, resources: &mut [Resource]) -> Result<(), Error> {
    let fields = [FieldSpec::new(Gvk::default(), true, "metadata/labels")];
    let pairs = Pairs {
        pairs: vec![(MANAGED_BY.to_owned(), MANAGER.to_owned())],
        place: Place::default(),
    };
    add(session, &pairs, &fields, resources)
}

/// Adds labels or annotations to all of `fields`.
pub(crate) fn add(
    session: &Session<'_>,
    pairs: &Pairs,
    fields: &[FieldSpec],
    resources: &mut [Resource],
) -> Result<(), Error> {
    if pairs.pairs.is_empty() {
        return Ok(());
    }
    let steps = pairs.pairs.len() as u64 * (resources.len() * fields.len()) as u64;
    let charge = session.budget.steps(steps);
    charge.map_err(|why| Error::in_place(&pairs.place, why))?;
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
        style: Style::when_set(value),
        ..Scalar::string(value)
    };
    for spec in fields {
        let mut changed = Vec::new();
        spec.apply(
            resource,
            Some(Make::Mapping),
            &session.budget,
            &mut |node| {
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
            },
        )?;
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
