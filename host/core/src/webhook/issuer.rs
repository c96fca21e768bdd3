//! `spec.oidcProviders`: whose tokens are believed, and what a token's claims have to say.
//!
//! What it deliberately doesn't: fetch keys or verify signatures. The shell's `issuers` does; what arrives here to be
//! judged was signed.

use std::collections::BTreeSet;

use reeve_api::receiver::OidcProvider;
use serde_json::{Map, Value};

use super::Error;
use crate::cel::{Expression, Purse};

/// Whom a token is for when the Receiver doesn't say: Flux's word.
const AUDIENCE: &str = "notification-controller";
/// More issuers, variables or validations than anybody means.
const MOST: usize = 32;
/// What variables and validations may cost for one token together, in the dearest evaluations that there are.
const EVALUATIONS: u64 = 4;
const VARIABLES: [&str; 2] = ["claims", "vars"];

/// An issuer that a Receiver trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    url: String,
    audience: String,
    variables: Vec<(String, Expression)>,
    validations: Vec<(Expression, String)>,
}

/// Why a token that is signed is not let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unwelcome {
    /// A variable came to nothing.
    #[error("failed to evaluate variable {0:?}: {1}")]
    Variable(String, crate::cel::Error),
    /// A validation came to nothing.
    #[error("failed to evaluate validation: {0}")]
    Validation(crate::cel::Error),
    /// Validations do not hold.
    #[error("token validation failed: {}", .0.join("; "))]
    Failed(Vec<String>),
}

impl Issuer {
    /// Reads the providers of a Receiver.
    pub fn parse_all(providers: &[OidcProvider]) -> Result<Vec<Self>, Error> {
        if providers.len() > MOST {
            let why = format!("there are more than {MOST}");
            return Err(Error::Provider { at: MOST, why });
        }
        let mut urls = BTreeSet::new();
        let parsed = providers.iter().enumerate().map(|(at, provider)| {
            let issuer = Self::parse(at, provider)?;
            if !urls.insert(issuer.url.clone()) {
                let why = format!("duplicate issuerURL {:?}", issuer.url);
                return Err(Error::Provider { at, why });
            }
            Ok(issuer)
        });
        parsed.collect()
    }

    fn parse(at: usize, provider: &OidcProvider) -> Result<Self, Error> {
        let refused = |why: String| Error::Provider { at, why };
        let url = provider.issuer_url.clone();
        let parsed = url::Url::parse(&url).ok();
        let usable = parsed.is_some_and(|url| {
            let scheme = matches!(url.scheme(), "http" | "https");
            let plain = url.username().is_empty() && url.password().is_none();
            scheme && plain && url.has_host() && url.query().is_none() && url.fragment().is_none()
        });
        if !usable || url.len() > 2048 {
            let why =
                "issuerURL must be an http:// or https:// URL without user, query and fragment";
            return Err(refused(why.to_owned()));
        }
        if provider.validations.is_empty() {
            let why = "at least one validation is required: without one, whoever gets a token from this issuer may call";
            return Err(refused(why.to_owned()));
        }
        if provider.variables.len() > MOST || provider.validations.len() > MOST {
            return Err(refused(format!(
                "it has more than {MOST} variables or validations"
            )));
        }
        let read = |what: String, text: &str| {
            let parsed = Expression::parse(text, Some(&VARIABLES));
            parsed.map_err(|why| Error::Expression {
                what: format!("expression for {what} of oidcProviders[{at}]"),
                why,
            })
        };
        let variables = provider.variables.iter().map(|variable| {
            if !is_name(&variable.name) {
                let why = format!("variable {:?} has a name that is none", variable.name);
                return Err(refused(why));
            }
            let what = format!("variable {:?}", variable.name);
            Ok((variable.name.clone(), read(what, &variable.expression)?))
        });
        let validations = provider.validations.iter().map(|validation| {
            if validation.message.is_empty() {
                return Err(refused("a validation has no message".to_owned()));
            }
            let what = format!("validation {:?}", validation.message);
            let message = validation.message.clone();
            Ok((read(what, &validation.expression)?, message))
        });
        let audience = provider.audience.clone().filter(|set| !set.is_empty());
        Ok(Self {
            variables: variables.collect::<Result<_, _>>()?,
            validations: validations.collect::<Result<_, _>>()?,
            audience: audience.unwrap_or_else(|| AUDIENCE.to_owned()),
            url,
        })
    }

    /// The issuer, as its tokens name it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whom its tokens have to be for.
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// Whether the claims of a token of it are those of somebody who may call. It may take some milliseconds.
    pub fn welcome(&self, claims: &Value) -> Result<(), Unwelcome> {
        let mut purse = Purse::of(EVALUATIONS);
        let mut variables = Value::Object(Map::new());
        for (name, expression) in &self.variables {
            let value = expression.value([("claims", claims), ("vars", &variables)], &mut purse);
            let value = value.map_err(|why| Unwelcome::Variable(name.clone(), why))?;
            if let Value::Object(all) = &mut variables {
                all.insert(name.clone(), value);
            }
        }
        let mut failures = Vec::new();
        for (expression, message) in &self.validations {
            let holds =
                expression.holds_within([("claims", claims), ("vars", &variables)], &mut purse);
            if !holds.map_err(Unwelcome::Validation)? {
                failures.push(message.clone());
            }
        }
        match failures.is_empty() {
            true => Ok(()),
            false => Err(Unwelcome::Failed(failures)),
        }
    }
}

/// Whether an expression can name it.
fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    let first = chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    first && chars.all(|c| c.is_ascii_alphanumeric() || c == '_') && text.len() <= 64
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(changes: &[(&str, Value)]) -> Result<Vec<Issuer>, Error> {
        let mut provider = json!({
            "issuerURL": "https://token.actions.githubusercontent.com",
            "variables": [
                {"name": "owner", "expression": "claims.repository_owner"},
                {"name": "allowed", "expression": "[vars.owner + '/web', vars.owner + '/db']"},
            ],
            "validations": [
                {"expression": "vars.owner == 'acme'", "message": "wrong org"},
                {"expression": "claims.repository in vars.allowed", "message": "repo not in allowlist"},
            ],
        });
        for (pointer, value) in changes {
            *provider.pointer_mut(pointer).unwrap() = value.clone();
        }
        Issuer::parse_all(&[serde_json::from_value(provider).unwrap()])
    }

    #[test]
    fn a_caller_is_let_in_when_every_validation_holds() {
        let issuer = parse(&[]).unwrap().remove(0);
        assert_eq!(issuer.audience(), "notification-controller");
        for (owner, repository, want) in [
            ("acme", "acme/web", ""),
            (
                "acme",
                "acme/other",
                "token validation failed: repo not in allowlist",
            ),
            ("evil", "evil/web", "token validation failed: wrong org"),
            (
                "evil",
                "acme/web",
                "token validation failed: wrong org; repo not in allowlist",
            ),
        ] {
            let claims = json!({"repository_owner": owner, "repository": repository});
            let told = issuer.welcome(&claims);
            let says = told.err().map(|why| why.to_string()).unwrap_or_default();
            assert_eq!(says, want, "{owner} {repository}");
        }
        let says = issuer.welcome(&json!({})).unwrap_err().to_string();
        assert_eq!(
            says,
            "failed to evaluate variable \"owner\": no such key: repository_owner"
        );
    }

    #[test]
    fn all_that_is_asked_of_one_token_is_paid_from_one_purse() {
        let dear = json!({"expression": "claims.l.all(x, x == 1)", "message": "dear"});
        let provider = |validations: usize| {
            let provider = json!({
                "issuerURL": "https://a.example",
                "variables": [{"name": "all", "expression": "claims.l.all(x, x == 1)"}],
                "validations": vec![&dear; validations],
            });
            let parsed = Issuer::parse_all(&[serde_json::from_value(provider).unwrap()]);
            parsed.unwrap().remove(0)
        };
        let claims = json!({"l": vec![1; 9000]});
        assert_eq!(provider(1).welcome(&claims), Ok(()));
        let spent = Unwelcome::Validation(crate::cel::Error::Spent);
        assert_eq!(provider(MOST).welcome(&claims), Err(spent));
    }

    #[test]
    fn a_provider_that_cannot_be_used_is_named() {
        let two = json!({
            "issuerURL": "https://a.example", "validations": [{"expression": "true", "message": "m"}],
        });
        let two: OidcProvider = serde_json::from_value(two).unwrap();
        let says = Issuer::parse_all(&[two.clone(), two]).unwrap_err();
        assert_eq!(
            says.to_string(),
            "oidcProviders[1]: duplicate issuerURL \"https://a.example\""
        );
        for (pointer, value, want) in [
            ("/issuerURL", json!("ftp://a"), "issuerURL must be"),
            ("/issuerURL", json!("https://u:p@a/"), "issuerURL must be"),
            ("/issuerURL", json!("https://a/?x=1"), "issuerURL must be"),
            ("/validations", json!([]), "at least one validation"),
            ("/variables/0/name", json!("a-b"), "a name that is none"),
            (
                "/validations/0/expression",
                json!("nobody == 1"),
                "invalid expression for validation \"wrong org\" of oidcProviders[0]: 1:1: undeclared reference",
            ),
            (
                "/variables/0/expression",
                json!("claims["),
                "invalid expression for variable \"owner\" of oidcProviders[0]: ",
            ),
        ] {
            let why = parse(&[(pointer, value)]).unwrap_err().to_string();
            assert!(why.contains(want), "{why}");
        }
    }
}
