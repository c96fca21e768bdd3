//! Names from outside, parsed once. What is one of these types is safe to print, to compare and to put into a path.
//!
//! Only the form of a name is checked here; whether something of that name exists, and who may use it, is decided
//! where it is used. URLs are in [`crate::url`], re-exported here.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

pub use crate::url::{
    NotAPattern, NotAUrl, RemotePattern, RemoteUrl, Scheme, Secret, UrlText, fits,
};

/// Why a text is not a name of some kind. It says what a name may hold, and nothing of what was there: the text came from
/// outside, and goes to a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} has 1 to {limit} lower-case letters, digits{or} or `-`, and begins and ends with a letter or digit"
)]
pub struct NotAName {
    what: &'static str,
    limit: usize,
    or: &'static str,
}

/// The two forms Kubernetes has for names (RFC 1123), and their limits as the API server's schema states them too: a name
/// that gets past one must get past the other.
#[derive(Clone, Copy)]
enum Form {
    /// One label: 63 characters, no dot.
    Label,
    /// Labels joined by dots: 253 characters.
    Subdomain,
}

impl Form {
    fn limit(self) -> usize {
        match self {
            Self::Label => 63,
            Self::Subdomain => 253,
        }
    }

    fn or(self) -> &'static str {
        match self {
            Self::Label => "",
            Self::Subdomain => ", `.`",
        }
    }

    fn pattern(self) -> &'static str {
        match self {
            Self::Label => "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
            Self::Subdomain => r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        }
    }

    fn fits(self, text: &str) -> bool {
        let label = |part: &str| {
            let edge =
                |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
            edge(part.chars().next())
                && edge(part.chars().next_back())
                && part
                    .bytes()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
        };
        text.len() <= self.limit()
            && match self {
                Self::Label => label(text),
                Self::Subdomain => text.split('.').all(label),
            }
    }
}

/// A type for each kind of name, all alike: only what they name differs, and that must not be mixed up.
macro_rules! names {
    ($($(#[doc = $doc:literal])+ $name:ident: $form:ident, $what:literal;)+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Cow<'static, str>);

        impl $name {
            /// Read a name.
            ///
            /// # Errors
            /// When it is not of the form that Kubernetes allows.
            pub fn new(text: impl Into<String>) -> Result<Self, NotAName> {
                let text = text.into();
                if Form::$form.fits(&text) {
                    Ok(Self(Cow::Owned(text)))
                } else {
                    Err(NotAName { what: $what, limit: Form::$form.limit(), or: Form::$form.or() })
                }
            }

            /// The name's text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NotAName;

            fn from_str(text: &str) -> Result<Self, NotAName> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NotAName;

            fn try_from(text: String) -> Result<Self, NotAName> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.0 == *other
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(String::deserialize(deserializer)?).map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string",
                    "minLength": 1,
                    "maxLength": Form::$form.limit(),
                    "pattern": Form::$form.pattern(),
                })
            }
        }
    )+};
}

names! {
    /// The name of a namespace.
    NamespaceName: Label, "a namespace's name";
    /// The name of a ServiceAccount.
    ///
    /// The user to impersonate is made of it (`system:serviceaccount:<namespace>:<name>`); it can hold no `:`, so no name
    /// reads as another user.
    ServiceAccountName: Subdomain, "a ServiceAccount's name";
    /// The name of any other object. Some kinds allow more (RBAC names hold `:`); those are not named in our specs.
    ObjectName: Subdomain, "an object's name";
    /// The name of a tenant: that of its Tenant object, or of its only namespace.
    TenantName: Subdomain, "a tenant's name";
    /// The name of a plugin.
    PluginName: Subdomain, "a plugin's name";
    /// The name of a policy.
    PolicyName: Subdomain, "a policy's name";
}

impl ServiceAccountName {
    /// `flux`, the account that Flux's multi-tenancy guides give to a tenant.
    pub const fn flux() -> Self {
        Self(Cow::Borrowed("flux"))
    }
}

impl ObjectName {
    /// `admin`, the role that Flux's multi-tenancy guides give to a tenant's account.
    pub const fn admin() -> Self {
        Self(Cow::Borrowed("admin"))
    }
}

impl From<NamespaceName> for TenantName {
    /// A namespace that no Tenant names is a tenant of its own.
    fn from(namespace: NamespaceName) -> Self {
        Self(namespace.0)
    }
}

/// An object's namespace and name, printed as `namespace/name`.
///
/// ```
/// use reeve_api::name::NamespacedName;
///
/// let web: NamespacedName = "acme/web".parse()?;
/// assert_eq!(web, NamespacedName::new("acme", "web")?);
/// assert!(NamespacedName::new("acme", "../web").is_err());
/// # Ok::<(), reeve_api::name::NotAName>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamespacedName {
    /// The namespace it is in.
    pub namespace: NamespaceName,
    /// Its name there.
    pub name: ObjectName,
}

impl NamespacedName {
    /// Read a namespace and a name.
    ///
    /// # Errors
    /// When either is not of the form that Kubernetes allows.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Result<Self, NotAName> {
        Ok(Self {
            namespace: NamespaceName::new(namespace)?,
            name: ObjectName::new(name)?,
        })
    }

    /// The id that is not after any other of the namespace.
    #[must_use]
    pub fn first_of(namespace: &NamespaceName) -> Self {
        Self {
            namespace: namespace.clone(),
            name: ObjectName(Cow::Borrowed("0")),
        }
    }
}

impl fmt::Display for NamespacedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Reads `namespace/name`.
impl FromStr for NamespacedName {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let (namespace, name) = text.split_once('/').unwrap_or(("", text));
        Self::new(namespace, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_kubernetes_takes_as_one() {
        let long = "a".repeat(63);
        for name in ["a", "0", "acme", "acme-web-1", long.as_str()] {
            assert!(
                NamespaceName::new(name).is_ok() && ObjectName::new(name).is_ok(),
                "{name}"
            );
        }
        let (too_long, longest) = (
            "a".repeat(64),
            format!("{0}.{0}.{0}.{1}", "a".repeat(63), "a".repeat(61)),
        );
        for name in [
            "", "-a", "a-", "A", "a_b", "a b", "a/b", "..", "a\n", "a\0", "ä", "a:b", "a.", ".a",
            "a..b",
        ] {
            assert!(
                NamespaceName::new(name).is_err() && ObjectName::new(name).is_err(),
                "{name:?}"
            );
        }
        assert!(NamespaceName::new(too_long).is_err() && NamespaceName::new("a.b").is_err());
        assert!(ObjectName::new("a.b").is_ok() && ObjectName::new(longest.clone()).is_ok());
        assert!(ObjectName::new(longest + "a").is_err());
    }

    #[test]
    fn no_name_of_a_namespace_is_before_its_first() {
        let first = NamespacedName::first_of(&NamespaceName::new("b").unwrap());
        for (text, after) in [
            ("b/0", true),
            ("b/0.a", true),
            ("b/a", true),
            ("a/z", false),
        ] {
            assert_eq!(
                text.parse::<NamespacedName>().unwrap() >= first,
                after,
                "{text}"
            );
        }
        assert!(first < "b-2/0".parse().unwrap());
    }

    #[test]
    fn a_name_that_is_none_says_what_a_name_may_hold_and_not_what_it_held() {
        let why = ServiceAccountName::new("system:masters")
            .unwrap_err()
            .to_string();
        assert_eq!(
            why,
            "a ServiceAccount's name has 1 to 253 lower-case letters, digits, `.` or `-`, and begins and ends with a letter or digit"
        );
    }

    #[test]
    fn a_namespaced_name_is_written_with_a_slash() {
        let name = NamespacedName::new("acme", "web").unwrap();
        assert_eq!(name.to_string(), "acme/web");
        assert_eq!("acme/web".parse(), Ok(name));
        assert!(
            "web".parse::<NamespacedName>().is_err() && "a/b/c".parse::<NamespacedName>().is_err()
        );
    }
}
