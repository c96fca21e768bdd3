//! `spec.provider: github`: a GitHub App in Flux's words, whose installation GitHub makes a token for.
//!
//! The Secret of the source has the App; who speaks to GitHub with it is the provider that comes with the controller, as for
//! `gitHubAuths` of git configuration. Its key goes to the API that the Secret names, and the token to the host that this API is
//! of: whoever may change `spec.url`, and not read the Secret, cannot have either sent elsewhere. It deliberately asks nobody.

use std::collections::BTreeMap;

use reeve_api::name::{RemoteUrl, Scheme, Secret};
use reeve_api::reason::Reason;
use reeve_api::source::{GitProvider, GitRepositorySpec};
use serde_json::json;

use crate::failure::{Explained, Failure, Turn};
use crate::gitconfig::{Agent, Hidden, authority};
use crate::spec::Error;

/// Who speaks to GitHub for a source, and with what.
#[derive(Debug)]
pub struct App {
    /// Which provider, and where it asks.
    pub agent: Agent,
    /// The App's private key.
    pub key: Secret,
}

type Data = BTreeMap<String, Vec<u8>>;

const ID: &str = "githubAppID";
const OWNER: &str = "githubAppInstallationOwner";
const INSTALLATION: &str = "githubAppInstallationID";
const KEY: &str = "githubAppPrivateKey";
const BASE: &str = "githubAppBaseURL";
const PUBLIC: &str = "https://api.github.com";

/// Whether the source says that its Secret holds an App.
pub(super) fn is_asked_for(spec: &GitRepositorySpec, url: &RemoteUrl) -> Result<bool, Error> {
    if spec.provider != Some(GitProvider::Github) {
        return Ok(false);
    }
    if spec.secret_ref.is_none() {
        let why = "secretRef with github app data must be specified when provider is set to github";
        return Err(Error::invalid("spec.provider", why));
    }
    if url.scheme() == Scheme::Ssh {
        let why = "a GitHub App logs in over https, and spec.url is of ssh";
        return Err(Error::invalid("spec.provider", why));
    }
    Ok(true)
}

/// Whether a Secret holds an App.
pub fn is_of_one(data: &Data) -> bool {
    data.contains_key(ID)
}

impl App {
    /// The App in a Secret, for the repository at `url`.
    ///
    /// # Errors
    /// When something of it is missing, is said twice, or would go to another host than it is for.
    pub fn parse(url: &RemoteUrl, data: &Data) -> Result<Self, Failure> {
        let needs = |what: &str| {
            failed(format!(
                "{what} must be provided to use github app authentication"
            ))
        };
        let id = text(data, ID)?.ok_or_else(|| needs("app ID"))?;
        let (owner, installation) = (text(data, OWNER)?, text(data, INSTALLATION)?);
        match (&owner, &installation) {
            (None, None) => return Err(needs("app installation owner or ID")),
            (Some(_), Some(_)) => return Err(needs("only one of app installation owner or ID")),
            _ => {}
        }
        let key = text(data, KEY)?.ok_or_else(|| needs("private key"))?;
        let base = text(data, BASE)?.unwrap_or_else(|| PUBLIC.to_owned());
        let base = base.trim_end_matches('/');
        let api = api(url, base)?;
        if let Some(owner) = owner {
            is_owner(url, &owner)?;
        }
        let config = match installation {
            Some(installation) => {
                json!({"appID": id, "installationID": installation, "api": base})
            }
            None => json!({"appID": id, "api": base}),
        };
        let key = Secret::new(key);
        Ok(Self {
            agent: Agent {
                component: "github-provider",
                config: config.to_string(),
                slot: "app-key",
                secret: Hidden::Text(key.clone()),
                api: authority(&api),
                host: authority(url),
            },
            key,
        })
    }
}

/// Where the API is, if its tokens may be shown to the host of `url`.
fn api(url: &RemoteUrl, base: &str) -> Result<RemoteUrl, Failure> {
    let unusable = || failed(format!("{BASE} is no address of an API over https"));
    let read = RemoteUrl::parse(&format!("{base}/x")).map_err(|_| unusable())?;
    let has_user = read.user().is_some() || read.password().is_some();
    if read.scheme() == Scheme::Ssh || has_user {
        return Err(unusable());
    }
    let server = |url: &RemoteUrl, host: &str| {
        let shown = format!("{}://{host}", url.scheme().as_str());
        match url.port() == url.scheme().default_port() {
            true => shown,
            false => format!("{shown}:{}", url.port()),
        }
    };
    // Another port of a host is another server.
    let (forge, asked) = (server(&read, forge(read.host())), server(url, url.host()));
    if forge != asked {
        let message = format!(
            "the App is of {forge}, and its tokens are shown to no other server; spec.url is of {asked}"
        );
        let hint = format!(
            "correct spec.url, or say in {BASE} where the API of that server is, as in https://github.example/api/v3"
        );
        return Err(failed(message).with_hint(hint));
    }
    Ok(read)
}

/// The host of a GitHub whose API is there: the public one, and those of its data residency, have it at a host of its own.
fn forge(api: &str) -> &str {
    match api.strip_prefix("api.") {
        Some(host) if host == "github.com" || host.ends_with(".ghe.com") => host,
        _ => api,
    }
}

/// The App's installation is looked for by the repository: it must be that of the owner who is named.
fn is_owner(url: &RemoteUrl, owner: &str) -> Result<(), Failure> {
    let path = url.plain_path().unwrap_or_default();
    let of = path.split('/').next().unwrap_or_default();
    if of.eq_ignore_ascii_case(owner) {
        return Ok(());
    }
    let message =
        format!("{OWNER} is {owner:?}, and the repository of spec.url is not of that owner");
    let hint = format!("correct one of them, or give {INSTALLATION} instead");
    Err(failed(message).with_hint(hint))
}

/// What stands under a key; nothing where that is empty.
fn text(data: &Data, key: &str) -> Result<Option<String>, Failure> {
    let Some(bytes) = data.get(key) else {
        return Ok(None);
    };
    let text = std::str::from_utf8(bytes).map_err(|_| failed(format!("{key} is no text")))?;
    let text = text.trim();
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

fn failed(why: String) -> Failure {
    let message = format!("failed to configure authentication options: {why}");
    let hint = "correct the Secret that spec.secretRef names";
    Explained::new(Reason::AuthenticationFailed, Turn::Ours, message).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://github.com/acme/shop.git";

    fn parse(url: &str, data: &[(&str, &str)]) -> Result<App, String> {
        let entry = |(key, value): &(&str, &str)| ((*key).to_owned(), value.as_bytes().to_vec());
        let data = data.iter().map(entry).collect();
        let url = RemoteUrl::parse(url).unwrap();
        App::parse(&url, &data).map_err(|why| why.message)
    }

    #[test]
    fn an_app_in_fluxs_words_is_what_the_provider_is_given() {
        let app = [(ID, "12\n"), (INSTALLATION, "34"), (KEY, "key")];
        let read = parse(URL, &app).unwrap();
        let config: serde_json::Value = serde_json::from_str(&read.agent.config).unwrap();
        let want = json!({"appID": "12", "installationID": "34", "api": PUBLIC});
        assert_eq!(config, want);
        assert_eq!(
            (&*read.agent.api, &*read.agent.host),
            ("api.github.com", "github.com")
        );
        assert_eq!(read.key.expose(), "key");
        assert!(!format!("{read:?}").contains("\"key\""));

        let owner = [(ID, "12"), (OWNER, "Acme"), (KEY, "key")];
        let config = parse(URL, &owner).unwrap().agent.config;
        assert!(!config.contains("installation"), "{config}");

        let base = "https://git.example:8443/api/v3/";
        let own = [(ID, "12"), (INSTALLATION, "34"), (KEY, "key"), (BASE, base)];
        let read = parse("https://git.example:8443/acme/shop", &own).unwrap();
        assert_eq!(
            (&*read.agent.api, &*read.agent.host),
            ("git.example:8443", "git.example:8443")
        );
        assert!(
            read.agent
                .config
                .contains("https://git.example:8443/api/v3\"")
        );
    }

    #[test]
    fn what_is_missing_or_said_twice_is_told_in_fluxs_words() {
        let all = [(ID, "12"), (INSTALLATION, "34"), (KEY, "key")];
        let but = |key: &str| -> Vec<(&str, &str)> {
            all.into_iter().filter(|(one, _)| *one != key).collect()
        };
        let words = "must be provided to use github app authentication";
        for (data, what) in [
            (but(ID), "app ID"),
            (but(INSTALLATION), "app installation owner or ID"),
            (but(KEY), "private key"),
            (
                [&all[..], &[(OWNER, "acme")]].concat(),
                "only one of app installation owner or ID",
            ),
        ] {
            let told = parse(URL, &data).unwrap_err();
            assert!(told.ends_with(&format!(": {what} {words}")), "{told}");
        }
        let other = [(ID, "12"), (OWNER, "other"), (KEY, "key")];
        let told = parse(URL, &other).unwrap_err();
        assert!(told.contains("is not of that owner"), "{told}");
    }

    #[test]
    fn a_token_is_shown_to_no_server_but_the_one_whose_api_has_made_it() {
        let all =
            |base: &'static str| [(ID, "12"), (INSTALLATION, "34"), (KEY, "key"), (BASE, base)];
        for (url, base) in [
            ("https://github.com/acme/shop", ""),
            ("https://acme.ghe.com/acme/shop", "https://api.acme.ghe.com"),
            ("http://127.0.0.1:2/acme/shop", "http://127.0.0.1:2/api/v3"),
        ] {
            assert!(parse(url, &all(base)).is_ok(), "{url}");
        }
        for (url, base) in [
            ("https://evil.example/acme/shop", ""),
            ("http://github.com/acme/shop", ""),
            ("https://github.com.evil.example/acme/shop", ""),
            ("https://github.com:8443/acme/shop", ""),
            ("http://127.0.0.1:2/acme/shop", "http://127.0.0.1:1/api/v3"),
            ("https://github.com/acme/shop", "https://git.example/api/v3"),
            ("https://evil.ghe.com/acme/shop", "https://api.acme.ghe.com"),
            ("https://git.example/acme/shop", "http://git.example/api/v3"),
            (
                "https://git.example/acme/shop",
                "https://git.example@evil.example/api/v3",
            ),
            ("https://git.example/acme/shop", "file:///api"),
        ] {
            assert!(parse(url, &all(base)).is_err(), "{url} {base}");
        }
    }
}
