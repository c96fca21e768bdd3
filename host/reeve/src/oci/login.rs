//! Who we are to a registry: a name and a password, given or found in Docker's config.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reeve_api::name::Secret;
use serde::Deserialize;
use std::collections::BTreeMap;

use super::Error;

/// A name and a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password, or a token.
    pub password: Secret,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
}

impl Login {
    /// The login for `host` in a `config.json` of Docker's, or in a Secret of type `kubernetes.io/dockerconfigjson`.
    ///
    /// Helpers that it names are programs, and are not run.
    pub fn find(config: &[u8], host: &str) -> Result<Option<Self>, Error> {
        // Not the parser's words: they may repeat what it read.
        let config: Config = serde_json::from_slice(config)
            .map_err(|_| Error::Logins("it is not JSON of that form"))?;
        let Some((_, entry)) = config.auths.into_iter().find(|(key, _)| names(key, host)) else {
            return Ok(None);
        };
        if let (Some(user), Some(password)) = (entry.username, entry.password) {
            return Ok(Some(Self {
                user,
                password: Secret::new(password),
            }));
        }
        let Some(auth) = entry.auth.filter(|auth| !auth.is_empty()) else {
            return Ok(None);
        };
        let wrong = Error::Logins("an `auth` is not the base64 of user:password");
        let decoded = BASE64_STANDARD.decode(auth.trim()).ok();
        let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        let (user, password) = decoded
            .as_deref()
            .and_then(|text| text.split_once(':'))
            .ok_or(wrong)?;
        Ok(Some(Self {
            user: user.to_owned(),
            password: Secret::new(password),
        }))
    }
}

/// Keys are hosts, or URLs as Docker wrote them once: `https://index.docker.io/v1/`.
fn names(key: &str, host: &str) -> bool {
    let key = key
        .trim_start_matches("https://")
        .trim_start_matches("http://");
    let key = key.split('/').next().unwrap_or_default();
    key == host || (key == "index.docker.io" && host == "docker.io")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_found_by_its_host_in_every_form_that_docker_writes() {
        let config = br#"{"auths": {
            "a.example": {"auth": "dXNlcjpwYTpzcw=="},
            "https://b.example/v2/": {"username": "u", "password": "p"},
            "https://index.docker.io/v1/": {"auth": "aHViOnB3"},
            "empty.example": {}
        }, "credsStore": "desktop"}"#;
        for (host, want) in [
            ("a.example", Some(("user", "pa:ss"))),
            ("b.example", Some(("u", "p"))),
            ("docker.io", Some(("hub", "pw"))),
            ("empty.example", None),
            ("example", None),
        ] {
            let found = Login::find(config, host).expect("it is read");
            let found = found
                .as_ref()
                .map(|login| (login.user.as_str(), login.password.expose()));
            assert_eq!(found, want, "{host}");
        }
    }

    #[test]
    fn an_error_about_logins_does_not_repeat_them() {
        for config in [
            r#"{"auths": {"h": {"auth": "aHVudGVyMg=="}}}"#,
            r#"{"auths": {"h": {"auth": hunter2}}}"#,
        ] {
            let why = Login::find(config.as_bytes(), "h")
                .expect_err("it is none")
                .to_string();
            assert!(
                !why.contains("hunter2") && !why.contains("aHVudGVyMg"),
                "{why}"
            );
        }
    }
}
