//! Who speaks to a repository's forge with what an entry of git configuration gives: which provider, and with what.
//!
//! The provider is one that comes with the controller; the entry's App or token fills its slot, and it may be sent to the forge's
//! API and nowhere else. What it deliberately doesn't: read the secret, which is still a reference, or say what is asked.

use reeve_api::name::{RemoteUrl, Scheme};
use reeve_api::reason::Reason;
use serde_json::json;

use super::file::below;
use super::resolve::{Auth, Part};
use super::{Credentials, Hidden};
use crate::failure::{Explained, Failure, Turn};

/// A provider, and what it is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// The component: `github-provider`.
    pub component: &'static str,
    /// Its config, as JSON.
    pub config: String,
    /// The slot that it asks the forge with.
    pub slot: &'static str,
    /// What fills it.
    pub secret: Hidden,
    /// The host of the API, with its port if it is no usual one: where the secret may go.
    pub api: String,
    /// The same of the repository.
    pub host: String,
}

/// Who speaks to the forge of the repository at `url`.
///
/// # Errors
/// When the credentials are for git alone.
pub fn agent(url: &RemoteUrl, auth: &Part<Auth>) -> Result<Agent, Failure> {
    let Auth {
        credentials, forge, ..
    } = &auth.value;
    let Some(forge) = forge else {
        return Err(mute(url, auth));
    };
    let base = web(&forge.url);
    let usual = |usual: String| forge.api.clone().unwrap_or(usual);
    let (component, slot, secret, api, config) = match credentials {
        Credentials::GitHubApp {
            app,
            installation,
            key,
        } => {
            let api = usual(github(&base));
            let config = json!({"appID": app, "installationID": installation, "api": api});
            ("github-provider", "app-key", key, api, config)
        }
        Credentials::GitLabToken(token) => {
            let api = usual(format!("{base}/api/v4"));
            let config = json!({"url": base, "api": api});
            ("gitlab-provider", "token", token, api, config)
        }
        Credentials::Ssh { .. } | Credentials::Https { .. } => return Err(mute(url, auth)),
    };
    let read = below(&api).ok_or_else(|| mute(url, auth))?;
    Ok(Agent {
        component,
        config: config.to_string(),
        slot,
        secret: secret.clone(),
        api: authority(&read),
        host: authority(url),
    })
}

/// The address over https of a forge that is known by ssh: there it is at the root.
fn web(url: &str) -> String {
    match below(url) {
        Some(read) if read.scheme() == Scheme::Ssh => format!("https://{}", bracketed(&read)),
        _ => url.to_owned(),
    }
}

/// Where a GitHub has its API: the public one, and those of its data residency, at a host of their own.
fn github(base: &str) -> String {
    let host = base.split_once("://").map_or(base, |(_, host)| host);
    match host.to_ascii_lowercase().as_str() {
        "github.com" => "https://api.github.com".to_owned(),
        host if host.ends_with(".ghe.com") => format!("https://api.{host}"),
        _ => format!("{base}/api/v3"),
    }
}

/// Host and port, as grants name it.
pub(crate) fn authority(url: &RemoteUrl) -> String {
    match url.port() == url.scheme().default_port() {
        true => bracketed(url),
        false => format!("{}:{}", bracketed(url), url.port()),
    }
}

fn bracketed(url: &RemoteUrl) -> String {
    match url.host().contains(':') {
        true => format!("[{}]", url.host()),
        false => url.host().to_owned(),
    }
}

fn mute(url: &RemoteUrl, auth: &Part<Auth>) -> Failure {
    let message = format!(
        "{} has a login for git alone, so nobody can ask the forge of {url} for anything",
        auth.from()
    );
    let hint = "give an entry of gitHubAuths or gitLabAuths an auth for it, or name a Plugin in the annotation reeve.dev/provider";
    Explained::new(Reason::AuthenticationFailed, Turn::Retry, message).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::super::{Holds, Level, LevelName, Place, address, parse, resolve};
    use super::*;

    const FILE: &str = "
gitHubAuths:
- {orgRepo: acme/*, auth: {appID: 1, installationID: 2, privateKey: key}}
- {orgRepo: acme/*, url: 'https://git.example:8443/', auth: {appID: 1, installationID: 2, privateKey: key}}
gitLabAuths:
- {groupsProject: 'acme:*', auth: {accessToken: t}}
- {groupsProject: 'acme:*', url: 'https://lab.example/gitlab', auth: {accessToken: t}}
- groupsProject: 'acme:*'
  url: ssh://git@lab.example:2222
  api: https://lab.example/gitlab/api/v4
  auth: {accessToken: t}
auths:
- {url: 'https://plain.example/*', credentials: {https: {username: u, password: p}}}
";

    fn asked(url: &str) -> Result<Agent, Failure> {
        let level = Level {
            name: LevelName::Global,
            file: parse(FILE.as_bytes(), Holds::Secrets).unwrap(),
        };
        let url = address(url).unwrap();
        let found = resolve(&[level], &Place::of(&url).unwrap());
        agent(&url, &found.auth.unwrap())
    }

    #[test]
    fn an_entry_speaks_to_its_forges_api_and_its_secret_goes_nowhere_else() {
        let app = |api: &str| format!(r#"{{"appID":1,"installationID":2,"api":"{api}"}}"#);
        let lab = |url: &str, api: &str| format!(r#"{{"url":"{url}","api":"{api}"}}"#);
        for (url, component, config, api, host) in [
            (
                "https://github.com/acme/shop.git",
                "github-provider",
                app("https://api.github.com"),
                "api.github.com",
                "github.com",
            ),
            (
                "git@github.com:acme/shop.git",
                "github-provider",
                app("https://api.github.com"),
                "api.github.com",
                "github.com",
            ),
            (
                "https://git.example:8443/acme/shop",
                "github-provider",
                app("https://git.example:8443/api/v3"),
                "git.example:8443",
                "git.example:8443",
            ),
            (
                "https://gitlab.com/acme/shop",
                "gitlab-provider",
                lab("https://gitlab.com", "https://gitlab.com/api/v4"),
                "gitlab.com",
                "gitlab.com",
            ),
            (
                "https://lab.example/gitlab/acme/shop",
                "gitlab-provider",
                lab(
                    "https://lab.example/gitlab",
                    "https://lab.example/gitlab/api/v4",
                ),
                "lab.example",
                "lab.example",
            ),
            (
                "ssh://git@lab.example:2222/acme/shop",
                "gitlab-provider",
                lab("https://lab.example", "https://lab.example/gitlab/api/v4"),
                "lab.example",
                "lab.example:2222",
            ),
        ] {
            let found = asked(url).unwrap();
            assert_eq!(found.component, component, "{url}");
            assert_eq!(found.config, config, "{url}");
            assert_eq!((&*found.api, &*found.host), (api, host), "{url}");
        }
    }

    #[test]
    fn a_login_for_git_alone_asks_no_forge() {
        let told = asked("https://plain.example/acme/shop").unwrap_err();
        assert!(told.message.contains("auths[0]"), "{told}");
        assert!(told.message.contains("git alone"), "{told}");
    }

    #[test]
    fn a_forge_over_ssh_says_where_its_api_is() {
        for (fields, words) in [
            ("url: ssh://git@lab.example:2222", "set api"),
            ("api: ssh://lab.example", "no address of an API"),
            ("api: https://u:p@lab.example", "no address of an API"),
        ] {
            let text = format!("gitLabAuths:\n- groupsProject: a:b\n  {fields}\n");
            let told = parse(text.as_bytes(), Holds::Secrets).unwrap_err();
            assert!(told.to_string().contains(words), "{fields}: {told}");
        }
    }
}
