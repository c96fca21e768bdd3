//! What an entry that several tenants have is not used for at a forge, for one of them.
//!
//! An entry of the platform, a Project or an environment opens repositories of all whom it covers. Whoever has it may fetch them,
//! and so have keys put that read and hooks that call. A key that may push would write to the neighbour's, and a status or a comment
//! would speak there in the platform's name: the first needs an entry of the Tenant's own, the other that or a repository
//! which the Tenant says to be its own. What the platform asks for itself is its own affair. It deliberately asks no
//! forge what the login may.

use reeve_api::name::RemoteUrl;
use reeve_api::reason::Reason;
use reeve_api::tenant::Tenant;

use super::LevelName;
use super::place::{Place, address};
use super::resolve::{Auth, Part};
use crate::failure::{Explained, Failure, Turn};

/// What is to be done at a forge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// What whoever fetches may have done.
    Reads,
    /// A key that may push is put there.
    Pushes,
    /// Commits and requests are listed, marked or commented on.
    Tells,
}

/// For whom it is done.
#[derive(Debug, Clone, Copy)]
pub enum Asker<'a> {
    /// For an object of the platform's own.
    Platform,
    /// For a tenant's, with its Tenant if it has one.
    Tenant(Option<&'a Tenant>),
}

/// Whether that is done at the forge of the repository at `url`, with the login of this entry.
///
/// # Errors
/// When others have the entry too, and it would be done to them.
pub fn may(
    deed: Deed,
    url: &RemoteUrl,
    auth: &Part<Auth>,
    asker: Asker<'_>,
) -> Result<(), Failure> {
    let Asker::Tenant(tenant) = asker else {
        return Ok(());
    };
    let shared = match &auth.level {
        LevelName::Tenant(_) => false,
        LevelName::Global | LevelName::Project(_) | LevelName::Environment { .. } => true,
    };
    let (what, hint) = match deed {
        Deed::Pushes if shared => (
            "no key that may push is put with it for one of them",
            "an entry in the git configuration of the Tenant itself puts such a key; so does a Plugin of the namespace that reeve.dev/provider names",
        ),
        Deed::Tells if shared && !tenant.is_some_and(|tenant| is_own(tenant, url)) => (
            "commits and requests are told of with it only where the Tenant names the repository as its own",
            "the platform names it in spec.source.url of the Tenant, or gives an entry in the git configuration of the Tenant itself; else name a Plugin in the annotation reeve.dev/provider",
        ),
        Deed::Reads | Deed::Pushes | Deed::Tells => return Ok(()),
    };
    let message = format!(
        "the login for {url} is given by {}, which is for others too: {what}",
        auth.from()
    );
    Err(Explained::new(Reason::AccessDenied, Turn::Retry, message).with_hint(hint))
}

/// Whether the Tenant says that its source is there, in whichever spelling.
fn is_own(tenant: &Tenant, url: &RemoteUrl) -> bool {
    let named = tenant.spec.source.as_ref();
    let named = named.and_then(|source| address(source.url.as_str()).ok());
    let place = |url: &RemoteUrl| Place::of(url).ok();
    named.is_some_and(|named| place(&named).is_some() && place(&named) == place(url))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::gitconfig::{Holds, Level, parse, resolve};

    const URL: &str = "ssh://git@git.example/acme/shop.git";

    /// The entry of a level that means everything at the forge.
    fn entry(level: LevelName) -> Part<Auth> {
        let text = "gitHubAuths: [{orgRepo: 'acme/*', url: 'https://git.example', auth: {appID: 1, installationID: 2, privateKey: k}}]";
        let file = parse(text.as_bytes(), Holds::Secrets).unwrap();
        let place = Place::of(&address(URL).unwrap()).unwrap();
        let found = resolve(&[Level { name: level, file }], &place);
        found.auth.unwrap()
    }

    fn tenant(source: Option<&str>) -> Tenant {
        let source = source.map(|url| json!({"url": url}));
        let tenant = json!({
            "apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": "acme"},
            "spec": {"namespaces": ["acme"], "source": source},
        });
        serde_json::from_value(tenant).unwrap()
    }

    fn levels() -> [LevelName; 4] {
        let name = || "shop".parse().unwrap();
        [
            LevelName::Global,
            LevelName::Project(name()),
            LevelName::Environment {
                project: name(),
                name: name(),
            },
            LevelName::Tenant("acme".parse().unwrap()),
        ]
    }

    #[test]
    fn with_an_entry_of_many_nobody_writes_and_tells_only_where_the_tenant_is_at_home() {
        let url = address(URL).unwrap();
        let (none, others, own) = (
            tenant(None),
            tenant(Some("https://git.example/acme/web")),
            tenant(Some("git@git.example:Acme/shop")),
        );
        for (deed, tenant, want) in [
            (Deed::Reads, None, true),
            (Deed::Pushes, Some(&own), false),
            (Deed::Pushes, None, false),
            (Deed::Tells, None, false),
            (Deed::Tells, Some(&none), false),
            (Deed::Tells, Some(&others), false),
            (Deed::Tells, Some(&own), true),
        ] {
            for level in levels() {
                let is_its_own = matches!(level, LevelName::Tenant(_));
                let auth = entry(level);
                let may = may(deed, &url, &auth, Asker::Tenant(tenant));
                assert_eq!(may.is_ok(), want || is_its_own, "{deed:?} {may:?}");
                let platform = super::may(deed, &url, &auth, Asker::Platform);
                assert!(platform.is_ok(), "{deed:?}");
            }
        }
    }

    #[test]
    fn what_is_refused_says_whose_the_login_is_and_who_helps() {
        let url = address(URL).unwrap();
        let auth = entry(LevelName::Global);
        for deed in [Deed::Pushes, Deed::Tells] {
            let why = may(deed, &url, &auth, Asker::Tenant(None)).unwrap_err();
            assert_eq!(why.reason, Reason::AccessDenied);
            assert!(why.message.contains("gitHubAuths[0]"), "{}", why.message);
            assert!(why.hint.is_some_and(|hint| hint.contains("Tenant")));
        }
    }
}
