//! `vars`: `$(NAME)` in certain fields becomes the value of a field of another object.
//!
//! Which object is meant is settled where the var is written, when the names there are final; the value is read and filled
//! in at the very end of a build, after references.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::budget::Budget;
use crate::config::Config;
use crate::error::{Error, Why};
use crate::fieldpath;
use crate::file::Var;
use crate::resource::Resource;
use crate::session::Session;
use crate::yaml::{Node, Scalar, Tag, number};

/// The vars of a kustomization and its bases, by name.
pub(crate) type Vars = BTreeMap<String, Var>;

/// Adds a var; two of one name cannot be.
pub(crate) fn add(vars: &mut Vars, var: Var) -> Result<(), Error> {
    let place = var.place.clone();
    match vars.insert(var.name.clone(), var) {
        None => Ok(()),
        Some(old) if old.place == place => {
            let why = "is there twice: two resources lead to this file".to_owned();
            Err(Error::in_place(&place, Why::Conflict(why)))
        }
        Some(old) => {
            let old = format!("{}has a var of this name too", old.place);
            Err(Error::in_place(&place, Why::Conflict(old)))
        }
    }
}

/// Remembers on the object that `var` means that it is meant.
pub(crate) fn mark(
    session: &Session<'_>,
    var: &Var,
    resources: &mut [Resource],
) -> Result<(), Error> {
    let charge = session.budget.steps(resources.len() as u64);
    charge.map_err(|why| Error::in_place(&var.place, why))?;
    let meant = resources.iter_mut().filter(|r| is_meant(var, r));
    let mut meant: Vec<&mut Resource> = meant.collect();
    if meant.len() > 1 {
        let why = format!("objref: could be any of {} objects", meant.len());
        return Err(Error::invalid_at(&var.place, why));
    }
    if let Some(resource) = meant.pop() {
        resource.vars.push(Rc::from(var.name.as_str()));
    }
    Ok(())
}

fn is_meant(var: &Var, resource: &Resource) -> bool {
    let at_home = |effective: &str| var.namespace.is_empty() || var.namespace == effective;
    resource.group() == var.group
        && resource.version() == var.version
        && (resource.name() == var.object
            && resource.kind() == var.kind
            && at_home(resource.effective_namespace())
            || resource
                .previous()
                .iter()
                .any(|p| *p.name == *var.object && *p.kind == *var.kind && at_home(&p.namespace)))
}

/// A value that a var stands for.
enum Value {
    Scalar(Scalar),
    /// A mapping or a list, which is not filled in.
    Other,
}

/// Fills in all `vars`.
pub(crate) fn resolve(
    session: &Session<'_>,
    config: &Config,
    vars: &Vars,
    resources: &mut [Resource],
) -> Result<(), Error> {
    if vars.is_empty() {
        return Ok(());
    }
    let values = values(vars, resources)?;
    for resource in resources {
        fill(session, config, &values, resource).map_err(|why| resource.error(&why))?;
    }
    Ok(())
}

fn values(vars: &Vars, resources: &[Resource]) -> Result<BTreeMap<String, Value>, Error> {
    let mut homes: BTreeMap<&str, &Resource> = BTreeMap::new();
    for resource in resources {
        for name in &resource.vars {
            homes.entry(name).or_insert(resource);
        }
    }
    let value = |(name, var): (&String, &Var)| {
        let fail = |why: &str| Error::invalid_at(&var.place, why);
        let home = homes.get(name.as_str());
        let home = home.ok_or_else(|| fail("objref: no such object is there"))?;
        let steps = indices_apart(fieldpath::split(&var.field_path));
        let found = fieldpath::lookup(&home.node, &steps);
        let found = found.map_err(|why| fail(&format!("fieldref.fieldPath: {why}")))?;
        let found = found.ok_or_else(|| fail("fieldref.fieldPath: nothing is there"))?;
        let value =
            typed(found).ok_or_else(|| fail("fieldref.fieldPath: no number vars can hold"))?;
        Ok((name.clone(), value))
    };
    vars.iter().map(value).collect()
}

/// `ports[0]` is two steps.
fn indices_apart(steps: Vec<String>) -> Vec<String> {
    let mut apart = Vec::new();
    for step in steps {
        let inner = step.strip_suffix(']').and_then(|s| s.rsplit_once('['));
        match inner {
            Some((field, index))
                if !index.is_empty() && index.bytes().all(|b| b.is_ascii_digit()) =>
            {
                if !field.is_empty() {
                    apart.push(field.to_owned());
                }
                apart.push(index.to_owned());
            }
            _ => apart.push(step),
        }
    }
    apart
}

fn typed(node: &Node) -> Option<Value> {
    let Node::Scalar(scalar) = node else {
        return Some(Value::Other);
    };
    let text = scalar.text.as_str();
    let (tag, text) = match scalar.printed() {
        // Go reads no octals here, nor digits apart.
        Tag::Int => (Tag::Int, text.parse::<i64>().ok()?.to_string()),
        Tag::Float => (Tag::Float, number(text)?.as_f64()?.to_string()),
        Tag::Bool => (Tag::Bool, text.eq_ignore_ascii_case("true").to_string()),
        Tag::Null | Tag::Timestamp | Tag::Str => (Tag::Str, text.to_owned()),
    };
    Some(Value::Scalar(Scalar::new(tag, text)))
}

fn fill(
    session: &Session<'_>,
    config: &Config,
    values: &BTreeMap<String, Value>,
    resource: &mut Resource,
) -> Result<(), String> {
    let mut shared = Vec::new();
    for spec in config.vars.iter() {
        spec.apply(resource, None, &session.budget, &mut |node| match node {
            Node::Scalar(scalar) => fill_scalar(session, values, scalar, &mut shared),
            Node::Map(map) => map
                .values_mut()
                .try_for_each(|value| fill_text(session, values, value, &mut shared)),
            Node::Seq(items) => items.iter_mut().try_for_each(|item| match item {
                Node::Scalar(scalar) if scalar.tag == Tag::Str => {
                    fill_scalar(session, values, scalar, &mut shared)
                }
                other => Err(format!("must hold strings, not {}", other.kind_name())),
            }),
        })?;
        if !shared.is_empty() {
            let steps = resource.node.cost() * shared.len() as u64;
            session.budget.steps(steps).map_err(|why| why.to_string())?;
        }
        for scalar in shared.drain(..) {
            resource.node.share(scalar.shared, &scalar);
        }
    }
    Ok(())
}

fn fill_text(
    session: &Session<'_>,
    values: &BTreeMap<String, Value>,
    node: &mut Node,
    shared: &mut Vec<Scalar>,
) -> Result<(), String> {
    match node {
        Node::Scalar(scalar) => fill_scalar(session, values, scalar, shared),
        _ => Ok(()),
    }
}

fn fill_scalar(
    session: &Session<'_>,
    values: &BTreeMap<String, Value>,
    scalar: &mut Scalar,
    shared: &mut Vec<Scalar>,
) -> Result<(), String> {
    if scalar.tag != Tag::Str {
        return Ok(());
    }
    let new = expand(&scalar.text, values, &session.budget).map_err(|why| why.to_string())?;
    let number = scalar.shared;
    let changed = scalar.text != new.text || scalar.tag != new.tag;
    *scalar = Scalar {
        shared: number,
        ..new
    };
    if changed && number != 0 {
        shared.push(scalar.clone());
    }
    Ok(())
}

/// `text` with all vars filled in. If it is nothing but one, it takes its type. What is filled in is paid for before it is:
/// a short text may ask for a long value many times.
fn expand(text: &str, values: &BTreeMap<String, Value>, budget: &Budget) -> Result<Scalar, Why> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        rest = after;
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let named = rest
            .strip_prefix('(')
            .and_then(|inner| inner.split_once(')'));
        let Some((name, after)) = named else {
            // Not a name: it stays, with the letter behind it.
            out.push('$');
            let mut letters = rest.chars();
            out.extend(letters.next());
            rest = letters.as_str();
            continue;
        };
        match values.get(name) {
            Some(Value::Scalar(value))
                if before.is_empty() && out.is_empty() && after.is_empty() =>
            {
                budget.text(&value.text)?;
                return Ok(value.clone());
            }
            Some(Value::Scalar(value)) => {
                budget.text(&value.text)?;
                out.push_str(&shown(value));
            }
            Some(Value::Other) | None => {
                out.push_str("$(");
                out.push_str(name);
                out.push(')');
            }
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(Scalar::string(out))
}

/// A value in the middle of a text; a large float has an exponent there.
fn shown(value: &Scalar) -> String {
    let float = (value.tag == Tag::Float)
        .then(|| value.text.parse::<f64>().ok())
        .flatten();
    match float {
        Some(float) if float != 0.0 && !(1e-4..1e21).contains(&float.abs()) => {
            let text = format!("{float:e}");
            match text.split_once('e') {
                Some((mantissa, exponent)) => match exponent.strip_prefix('-') {
                    Some(digits) => format!("{mantissa}e-{digits:0>2}"),
                    None => format!("{mantissa}e+{exponent:0>2}"),
                },
                None => text,
            }
        }
        _ => value.text.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn values() -> BTreeMap<String, Value> {
        [
            ("A", Tag::Str, "a"),
            ("N", Tag::Int, "8"),
            ("REF", Tag::Str, "$(A)"),
        ]
        .into_iter()
        .map(|(name, tag, text)| {
            let value = Value::Scalar(Scalar::new(tag, text.to_owned()));
            (name.to_owned(), value)
        })
        .chain([("MAP".to_owned(), Value::Other)])
        .collect()
    }

    fn expanded(text: &str) -> Scalar {
        expand(text, &values(), &Budget::new(Limits::default())).unwrap()
    }

    #[test]
    fn a_value_is_paid_for_before_it_is_filled_in() {
        let long = Scalar::new(Tag::Str, "y".repeat(100_000));
        let values = [("A".to_owned(), Value::Scalar(long))]
            .into_iter()
            .collect();
        let budget = Budget::new(Limits::default());
        let text = "$(A)".repeat(20_000);
        assert!(matches!(
            expand(&text, &values, &budget),
            Err(Why::Limit { .. })
        ));
    }

    #[test]
    fn vars_are_filled_in_once_and_a_doubled_dollar_is_one() {
        for (text, want) in [
            ("$(A)", "a"),
            ("x$(A)-$(N)y", "xa-8y"),
            ("$$(A)", "$(A)"),
            ("$$$(A)", "$a"),
            ("$(REF)", "$(A)"),
            ("$(UNKNOWN)$(MAP)", "$(UNKNOWN)$(MAP)"),
            ("$(A", "$(A"),
            ("$", "$"),
            ("${A}$x", "${A}$x"),
            ("$($(A)", "$($(A)"),
            ("$-$$-", "$-$-"),
        ] {
            assert_eq!(expanded(text).text, want, "{text}");
        }
        assert_eq!(expanded("$(N)").tag, Tag::Int);
        assert_eq!(expanded("$(N)0").tag, Tag::Str);
    }
}
