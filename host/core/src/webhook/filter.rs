//! `spec.resourceFilter` and `spec.resources[].filter`: which of the named objects a call is about.
//!
//! Expressions over `res`, the metadata of an object, `req`, the payload, and `claims`, those of the token where one
//! proved the call. Both have to hold. What it deliberately doesn't: find the objects (`index`).

use reeve_api::receiver::{ReceiverResource, ReceiverSpec, ReceiverType};
use serde_json::Value;

use super::Error;
use crate::cel::{self, Expression, Purse};

/// The expressions of one Receiver.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters {
    all: Option<Expression>,
    /// In the order of `spec.resources`.
    each: Vec<Option<Expression>>,
}

/// What expressions see of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The payload; an empty object where it is no JSON.
    pub req: Value,
    /// The claims of the token.
    pub claims: Option<Value>,
}

impl Filters {
    /// Reads the expressions of a Receiver.
    pub fn parse(spec: &ReceiverSpec) -> Result<Self, Error> {
        let variables: &[&str] = match spec.kind {
            ReceiverType::GenericOidc => &["res", "req", "claims"],
            _ => &["res", "req"],
        };
        let read = |text: &Option<String>| {
            let set = text.as_deref().filter(|text| !text.is_empty());
            set.map(|text| Expression::parse(text, Some(variables)))
                .transpose()
        };
        let all = read(&spec.resource_filter).map_err(|why| {
            let what = "resourceFilter expression".to_owned();
            Error::Expression { what, why }
        })?;
        let of = |(at, resource): (usize, &ReceiverResource)| {
            read(&resource.filter).map_err(|why| Error::Expression {
                what: format!(
                    "filter expression for resources[{at}] (kind={:?}, name={:?})",
                    resource.kind.as_str(),
                    resource.name
                ),
                why,
            })
        };
        let each = spec.resources.iter().enumerate().map(of);
        Ok(Self {
            all,
            each: each.collect::<Result<_, _>>()?,
        })
    }

    /// Whether there is nothing to ask.
    pub fn is_empty(&self) -> bool {
        self.all.is_none() && self.each.iter().all(Option::is_none)
    }

    /// Whether a call is about `object`, which the resource at this place names.
    pub fn admit(
        &self,
        at: usize,
        object: &Value,
        call: &Shown,
        purse: &mut Purse,
    ) -> Result<bool, cel::Error> {
        let own = self.each.get(at).and_then(Option::as_ref);
        for expression in [self.all.as_ref(), own].into_iter().flatten() {
            let claims = call.claims.as_ref().map(|claims| ("claims", claims));
            let shown = [("res", object), ("req", &call.req)];
            if !expression.holds_within(shown.into_iter().chain(claims), purse)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn filters(all: Option<&str>, own: Option<&str>) -> Result<Filters, Error> {
        let spec = json!({
            "type": "github", "secretRef": {"name": "t"}, "resourceFilter": all,
            "resources": [{"kind": "GitRepository", "name": "web", "filter": own}],
        });
        Filters::parse(&serde_json::from_value(spec).unwrap())
    }

    #[test]
    fn an_object_is_woken_only_where_both_filters_hold() {
        let call = Shown {
            req: json!({"ref": "refs/heads/main"}),
            claims: None,
        };
        let object = json!({"metadata": {"name": "web", "labels": {"tier": "web"}}});
        let main = "req.ref == 'refs/heads/main'";
        let other = "req.ref == 'refs/heads/other'";
        let web = "res.metadata.labels.tier == 'web'";
        for (all, own, want) in [
            (None, None, true),
            (Some(main), None, true),
            (Some(main), Some(web), true),
            (None, Some(web), true),
            (Some(other), Some(web), false),
            (Some(main), Some("res.metadata.name == 'db'"), false),
        ] {
            let filters = filters(all, own).unwrap();
            assert_eq!(filters.is_empty(), all.is_none() && own.is_none());
            let purse = &mut Purse::of(2);
            assert_eq!(filters.admit(0, &object, &call, purse), Ok(want), "{all:?}");
        }
    }

    #[test]
    fn what_cannot_be_evaluated_lets_nothing_through() {
        let call = Shown {
            req: json!({}),
            claims: None,
        };
        for (text, says) in [
            ("req.ref == 'x'", "no such key: ref"),
            ("req", "it comes to a map, not to true or false"),
        ] {
            let filters = filters(Some(text), None).unwrap();
            let told = filters.admit(0, &json!({}), &call, &mut Purse::of(1));
            assert_eq!(told.unwrap_err().to_string(), says);
        }
    }

    #[test]
    fn all_evaluations_for_one_call_are_paid_from_one_purse() {
        let filters = filters(Some("req.l.all(x, x == 1)"), None).unwrap();
        let call = Shown {
            req: json!({"l": vec![1; 9000]}),
            claims: None,
        };
        let purse = &mut Purse::of(1);
        let told = std::iter::repeat_with(|| filters.admit(0, &json!({}), &call, purse));
        let told: Vec<_> = told.take(8).collect();
        assert_eq!(told.first(), Some(&Ok(true)));
        assert_eq!(told.last(), Some(&Err(cel::Error::Spent)));
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_named() {
        for (all, own, says) in [
            (
                Some("claims.sub == 'x'"),
                None,
                "invalid resourceFilter expression: 1:1: undeclared reference to 'claims'",
            ),
            (
                None,
                Some("res.f("),
                "invalid filter expression for resources[0] (kind=\"GitRepository\", name=\"web\"): 1:",
            ),
        ] {
            let why = filters(all, own).unwrap_err().to_string();
            assert!(why.starts_with(says), "{why}");
        }
    }
}
