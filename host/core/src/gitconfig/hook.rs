//! The hook of an entry: an entry of a provider's with `webhookSecret` is called by its forge, at an address of its own.
//!
//! The address is made of the secret, of whose level it is, and of what the entry means: who has not the secret cannot work it
//! out, another secret has another address, and an entry that moves in its file keeps its own. The address is told to all who have
//! the entry, and a short secret is found by trying what gives it: one that anybody finds opens no hook, and of one that takes a
//! while it is said. What it deliberately doesn't: read the secret, or know who is called for; the shell's
//! `controller/source/polling` does.

use std::fmt;

use reeve_api::name::{NamespaceName, NamespacedName, NotAName};
use reeve_api::reason::Reason;
use reeve_api::receiver::ReceiverType;
use sha2::{Digest as _, Sha256};

use super::file::{File, Provider};
use super::resolve::{Part, Polling};
use super::{Hidden, Level, LevelName};
use crate::failure::{Explain, Turn};
use crate::framed::framed;
use crate::webhook::Token;

/// An entry that a forge calls for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookEntry {
    level: LevelName,
    list: &'static str,
    /// The repositories that it means, as it says them.
    means: String,
    /// The address of its forge.
    forge: String,
}

/// The fewest bytes of a `webhookSecret`: that of Rig's example has nine.
const LEAST: usize = 8;

/// What is said of one that opens a hook and should be longer.
pub const GUESSABLE: &str = "the webhookSecret is short: whoever knows the path can find it by trying; give it 16 random bytes or more";

/// A `webhookSecret` that proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the webhookSecret has fewer than {LEAST} bytes, so that anybody finds it by trying")]
pub struct TooShort;

impl Explain for TooShort {
    fn reason(&self) -> Reason {
        Reason::TokenNotFound
    }

    fn turn(&self) -> Turn {
        Turn::Retry
    }

    fn hint(&self) -> Option<String> {
        Some("give the entry a webhookSecret of 16 random bytes or more".to_owned())
    }
}

/// What calls are proved by that have this `webhookSecret`.
///
/// # Errors
/// When it is so short that it proves nothing.
pub fn hook_token(secret: &[u8]) -> Result<Token, TooShort> {
    let long = Some(secret).filter(|secret| secret.len() >= LEAST);
    Token::parse(long, "git configuration").map_err(|_| TooShort)
}

/// The entry whose hook tells of a repository's changes, and its secret; None: that is not how they come to be known.
pub fn hook_entry<'l>(
    levels: &'l [Level],
    polling: Option<&Part<Polling>>,
) -> Option<(HookEntry, &'l Hidden)> {
    let part = polling?;
    let chosen = part.entry.as_ref()?;
    let level = levels.iter().find(|level| level.name == part.level)?;
    let mut providers = level.file.providers.iter();
    let entry = providers.find(|entry| chosen.at == format!("{}[{}]", entry.list, entry.index))?;
    let secret = secret(entry)?;
    Some((HookEntry::of(&level.name, entry), secret))
}

impl HookEntry {
    fn of(level: &LevelName, entry: &Provider) -> Self {
        Self {
            level: level.clone(),
            list: entry.list,
            means: entry.pattern.to_string(),
            forge: entry.forge.url.clone(),
        }
    }

    /// Whose level it is of.
    pub fn level(&self) -> &LevelName {
        &self.level
    }

    /// Who calls. Gitea and Forgejo sign as GitHub does, and their repositories stand in the same list.
    pub fn kind(&self) -> ReceiverType {
        match self.list {
            "gitLabAuths" => ReceiverType::Gitlab,
            _ => ReceiverType::Github,
        }
    }

    /// The secret that it has in a level's file as that is now, if it is still there and has one.
    pub fn secret<'f>(&self, file: &'f File) -> Option<&'f Hidden> {
        let mut providers = file.providers.iter();
        let same = providers.find(|entry| Self::of(&self.level, entry) == *self)?;
        secret(same)
    }

    /// What calls to it are counted by: a name in the controller's namespace that tells nothing of its secret.
    ///
    /// # Errors
    /// Never, as long as a name may have 27 characters.
    pub fn id(&self, home: &NamespaceName) -> Result<NamespacedName, NotAName> {
        let mut hash = Sha256::new();
        for part in self.parts() {
            framed(&mut hash, part);
        }
        let digits = hex::encode(hash.finalize());
        let short: String = digits.chars().take(16).collect();
        NamespacedName::new(home.as_str(), format!("git-config-{short}"))
    }

    /// Where it is called, with this secret.
    pub fn path(&self, token: &Token) -> String {
        let parts = self.parts();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        token.path_of(&parts)
    }

    fn parts(&self) -> [String; 4] {
        [
            self.level.to_string(),
            self.list.to_owned(),
            self.means.clone(),
            self.forge.clone(),
        ]
    }
}

impl fmt::Display for HookEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}) of {}", self.list, self.means, self.level)
    }
}

fn secret(entry: &Provider) -> Option<&Hidden> {
    match entry.polling.as_ref()? {
        Polling::Webhook(secret) => Some(secret),
        Polling::Every(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use reeve_api::name::TenantName;

    use super::super::place::{Place, address};
    use super::super::{Holds, parse, resolve};
    use super::*;

    fn level(name: LevelName, text: &str) -> Level {
        let file = parse(text.as_bytes(), Holds::Secrets).unwrap();
        Level { name, file }
    }

    fn found(levels: &[Level], url: &str) -> Option<(HookEntry, Hidden)> {
        let resolved = resolve(levels, &Place::of(&address(url).unwrap()).unwrap());
        let found = hook_entry(levels, resolved.polling.as_ref());
        found.map(|(entry, secret)| (entry, secret.clone()))
    }

    fn token(secret: &str) -> Token {
        Token::parse(Some(secret.as_bytes()), "it").unwrap()
    }

    /// The address of the hook of what `url` is, with the secret that the entry has.
    fn path(levels: &[Level], url: &str) -> Option<String> {
        let (entry, secret) = found(levels, url)?;
        let Hidden::Text(secret) = secret else {
            panic!("{secret:?}");
        };
        Some(entry.path(&token(secret.expose())))
    }

    const FILE: &str = "
auths: [{url: 'https://github.com/o/*', pullingInterval: 7s}]
gitHubAuths:
- {orgRepo: o/polled, polling: {pullingIntervalSeconds: 5}}
- {orgRepo: o/*, polling: {webhookSecret: one}}
- {orgRepo: o/*, url: 'https://git.example', polling: {webhookSecret: one}}
gitLabAuths:
- {groupsProject: 'o:p', polling: {webhookSecret: one}}
";

    #[test]
    fn only_what_an_entry_with_a_webhook_secret_covers_is_called_for() {
        let levels = [level(LevelName::Global, FILE)];
        for (url, kind) in [
            ("git@github.com:o/web", Some(ReceiverType::Github)),
            ("https://github.com/o/polled", None),
            ("https://github.com/other/web", None),
            ("https://git.example/o/web.git", Some(ReceiverType::Github)),
            ("https://gitlab.com/o/p", Some(ReceiverType::Gitlab)),
            ("https://gitlab.com/o/q", None),
        ] {
            let found = found(&levels, url).map(|(entry, _)| entry.kind());
            assert_eq!(found, kind, "{url}");
        }
    }

    #[test]
    fn an_address_is_of_one_secret_one_level_and_one_entry() {
        let web = "https://github.com/o/web";
        let of = |name: LevelName, text: &str, url: &str| path(&[level(name, text)], url).unwrap();
        let (first, own) = (
            of(LevelName::Global, FILE, web),
            of(LevelName::Global, FILE, "https://github.com/o/x"),
        );
        assert_eq!(first, own, "one entry has one address");
        assert!(first.starts_with("/hook/") && first.len() == 70, "{first}");
        let moved = FILE.replace(
            "- {orgRepo: o/polled, polling: {pullingIntervalSeconds: 5}}\n",
            "",
        );
        assert_eq!(of(LevelName::Global, &moved, web), first, "it only moved");
        let tenant = || LevelName::Tenant("acme".parse::<TenantName>().unwrap());
        let others = [
            of(LevelName::Global, &FILE.replace("one", "two"), web),
            of(tenant(), FILE, web),
            of(LevelName::Global, FILE, "https://git.example/o/web"),
            of(LevelName::Global, FILE, "https://gitlab.com/o/p"),
        ];
        for (at, other) in others.iter().enumerate() {
            assert_ne!(*other, first, "{at}");
        }
    }

    #[test]
    fn no_token_of_a_receiver_makes_the_address_of_an_entry() {
        let levels = [level(LevelName::Global, FILE)];
        let (entry, _) = found(&levels, "https://github.com/o/web").unwrap();
        let path = entry.path(&token("one"));
        // Flux's formula ends with the name of a namespace, which no zero byte is in.
        let mut whole = Vec::new();
        for part in std::iter::once("one".to_owned()).chain(entry.parts()) {
            whole.extend(part.len().to_be_bytes());
            whole.extend(part.as_bytes());
        }
        let of_flux = Token::parse(Some(&whole), "it").unwrap().path("", "");
        assert_ne!(of_flux, path);
    }

    #[test]
    fn its_secret_is_found_again_in_another_state_of_the_file() {
        let levels = [level(LevelName::Global, FILE)];
        let (entry, _) = found(&levels, "https://github.com/o/web").unwrap();
        for (text, want) in [
            (FILE.to_owned(), Some("one")),
            (FILE.replace("one", "two"), Some("two")),
            (FILE.replace("orgRepo: o/*", "orgRepo: p/*"), None),
            (
                FILE.replace("webhookSecret: one", "pullingIntervalSeconds: 3"),
                None,
            ),
        ] {
            let other = level(LevelName::Global, &text);
            let secret = entry.secret(&other.file);
            let secret = secret.map(|secret| match secret {
                Hidden::Text(text) => text.expose().to_owned(),
                other => panic!("{other:?}"),
            });
            assert_eq!(secret.as_deref(), want, "{text}");
        }
    }

    #[test]
    fn its_name_tells_nothing_of_its_secret() {
        let home: NamespaceName = "reeve-system".parse().unwrap();
        let named = |text: &str| {
            let levels = [level(LevelName::Global, text)];
            let (entry, _) = found(&levels, "https://github.com/o/web").unwrap();
            entry.id(&home).unwrap()
        };
        assert_eq!(named(FILE), named(&FILE.replace("one", "two")));
        assert_eq!(named(FILE).namespace, home);
        assert!(named(FILE).name.as_str().starts_with("git-config-"));
    }

    #[test]
    fn a_secret_that_anybody_finds_opens_no_hook_and_one_that_takes_a_while_is_told() {
        for short in ["", "s", "hunter2"] {
            let why = hook_token(short.as_bytes()).err();
            assert_eq!(why, Some(TooShort), "{short}");
            assert!(!TooShort.to_string().contains("hunter2"));
        }
        // Rig's example, one byte too few, and enough.
        for (secret, guessable) in [
            ("secret123", true),
            ("fifteen-bytes-x", true),
            ("sixteen-bytes-xx", false),
        ] {
            let token = hook_token(secret.as_bytes()).unwrap();
            assert_eq!(token.is_guessable(), guessable, "{secret}");
        }
    }
}
