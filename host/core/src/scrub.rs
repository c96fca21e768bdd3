//! What is secret, or looks so, is taken out of what somebody shows to strangers.
//!
//! Nobody here knows the values of Secrets, so it goes by looks: private keys, tokens of forges and issuers, logins in addresses,
//! paths of hooks, whatever stands behind a word like `password`, and long words of mixed signs. It would rather take out too
//! much: a word that is lost can be asked for, one that was told cannot be taken back. What is needed to find a fault (names,
//! revisions, digests in hex, times) has other looks. Pure; it deliberately reads nothing by itself.

mod blocks;
mod named;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::{Map, Value};

/// What stands where something was.
const MASK: &str = "***";
/// Levels that values are looked into; what lies deeper is taken out whole.
const DEEPEST: usize = 64;

/// Why something was taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sort {
    /// A private key.
    PrivateKey,
    /// A token, by its form.
    Token,
    /// A login in an address.
    Login,
    /// The path of a hook, which is all that some callers have to know.
    HookPath,
    /// What stands behind a word that says so.
    Named,
    /// The contents of a Secret.
    Secret,
    /// A long word of mixed signs, which may be a key.
    Opaque,
}

impl Sort {
    /// For people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PrivateKey => "private keys",
            Self::Token => "tokens",
            Self::Login => "logins in addresses",
            Self::HookPath => "paths of hooks",
            Self::Named => "values named like secrets",
            Self::Secret => "contents of Secrets",
            Self::Opaque => "long words that may be keys",
        }
    }
}

/// What was taken out, and how often.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally(BTreeMap<Sort, usize>);

impl Tally {
    fn count(&mut self, sort: Sort) {
        *self.0.entry(sort).or_default() += 1;
    }

    /// Both together.
    pub fn add(&mut self, other: &Self) {
        for (sort, times) in &other.0 {
            *self.0.entry(*sort).or_default() += times;
        }
    }

    /// Each sort, and how often.
    pub fn each(&self) -> impl Iterator<Item = (Sort, usize)> {
        self.0.iter().map(|(sort, times)| (*sort, *times))
    }
}

/// What is part of a key that names something secret; `is_secret` has the last word.
const WORDS: &str = concat!(
    r"passw(?:or)?d|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|client[_-]?key",
    r"|signing[_-]?key|encryption[_-]?key|credential|authorization|otlp[a-z_]*headers|pass\b|pwd\b|dsn\b",
);

/// What of a text is found by its form, in this order.
struct Forms {
    keys: Regex,
    tokens: Regex,
    bearers: Regex,
    logins: Regex,
    queries: Regex,
    hooks: Regex,
    flags: Regex,
    opaque: Regex,
}

/// A value in quotes, or a word.
const VALUE: &str = r#"(\\*"(?:[^"\\]|\\[^"])*\\*"|'[^']*'|[^\s"'\\-][^\s"'\\]*)"#;

static FORMS: LazyLock<Forms> = LazyLock::new(|| {
    let pattern =
        |text: &str| Regex::new(text).expect("because it is written here, and is a pattern");
    Forms {
        // One that is cut off ends with the text.
        keys: pattern(
            r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----|\z)",
        ),
        tokens: pattern(concat!(
            r"eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{3,}(?:\.[A-Za-z0-9_-]*)?",
            r"|gh[a-z]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,}|gl[a-z]{2,6}-[A-Za-z0-9_.-]{16,}",
            r"|whsec_[A-Za-z0-9+/=_-]{8,}|xox[a-z]-[A-Za-z0-9-]{10,}|A[KS]IA[0-9A-Z]{16}|AIza[0-9A-Za-z_-]{30,}",
            r"|hv[sbr]\.[A-Za-z0-9_-]{16,}|npm_[A-Za-z0-9]{20,}|AGE-SECRET-KEY-[0-9A-Z]{20,}",
        )),
        bearers: pattern(r"(?i)\b((?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}"),
        logins: pattern(r#"(?i)\b([a-z][a-z0-9+.-]*://)([^\s/?\#"'<>\\]+)@"#),
        queries: pattern(
            r#"(?i)([?&][a-z0-9_.-]*(?:token|secret|passw|sig|key|auth|code|credential)[a-z0-9_.-]*=)[^&\s"'\\]+"#,
        ),
        hooks: pattern(r"/hook/[A-Za-z0-9]{8,}"),
        flags: pattern(&format!(
            r#"(?i)((?:^|[\s"'(])--?[a-z0-9_.-]*(?:{WORDS})[a-z0-9_.-]*)(\s+){VALUE}"#,
        )),
        opaque: pattern(r"[A-Za-z0-9+/_=-]{32,}"),
    }
});

/// A text without what looks secret, and what that was.
#[must_use]
pub fn text(text: &str) -> (String, Tally) {
    let mut tally = Tally::default();
    let forms = &*FORMS;
    let whole = |_: &Captures<'_>| Some(MASK.to_owned());
    let behind = |found: &Captures<'_>| Some(format!("{}{MASK}", found.get(1)?.as_str()));
    let login = |found: &Captures<'_>| match found.get(2)?.as_str() {
        // Nobody's but everybody's.
        "git" => None,
        _ => Some(format!("{}{MASK}@", found.get(1)?.as_str())),
    };
    let hook = |_: &Captures<'_>| Some(format!("/hook/{MASK}"));
    let opaque = |found: &Captures<'_>| is_opaque(found.get(0)?.as_str()).then(|| MASK.to_owned());
    let text = replaced(text, &forms.keys, Sort::PrivateKey, whole, &mut tally);
    let text = replaced(&text, &forms.tokens, Sort::Token, whole, &mut tally);
    let text = replaced(&text, &forms.bearers, Sort::Token, behind, &mut tally);
    let text = replaced(&text, &forms.logins, Sort::Login, login, &mut tally);
    let text = replaced(&text, &forms.queries, Sort::Login, behind, &mut tally);
    let text = replaced(&text, &forms.hooks, Sort::HookPath, hook, &mut tally);
    let text = blocks::without(&text, &mut tally);
    let text = named::without(&text, &mut tally);
    let text = replaced(&text, &forms.flags, Sort::Named, flagged, &mut tally);
    let text = replaced(&text, &forms.opaque, Sort::Opaque, opaque, &mut tally);
    (text, tally)
}

/// What is found, as `by` has it; None: as it is.
fn replaced(
    text: &str,
    form: &Regex,
    sort: Sort,
    by: impl Fn(&Captures<'_>) -> Option<String>,
    tally: &mut Tally,
) -> String {
    let each = |found: &Captures<'_>| {
        let there = found.get(0).map_or("", |whole| whole.as_str());
        match by(found) {
            Some(instead) if instead != there => {
                tally.count(sort);
                instead
            }
            _ => there.to_owned(),
        }
    };
    form.replace_all(text, each).into_owned()
}

/// `--password x`, but not `--password-file x`.
fn flagged(found: &Captures<'_>) -> Option<String> {
    let part = |at| found.get(at).map_or("", |part| part.as_str());
    let (key, between, value) = (part(1), part(2), part(3));
    let instead = is_secret(key).then(|| named::masked(value)).flatten()?;
    Some(format!("{key}{between}{instead}"))
}

/// Whether a key, of a map or of an assignment, names something secret; and not where that lies.
fn is_secret(key: &str) -> bool {
    let plain: String = key.chars().filter(char::is_ascii_alphanumeric).collect();
    let plain = plain.to_ascii_lowercase();
    let words = [
        "password",
        "passwd",
        "passphrase",
        "secret",
        "token",
        "apikey",
        "accesskey",
        "privatekey",
        "clientkey",
        "signingkey",
        "encryptionkey",
        "credential",
        "authorization",
    ];
    // Too short to mean that anywhere.
    let ends = ["pass", "pwd", "dsn"];
    let tells_where = [
        "ref",
        "refs",
        "name",
        "names",
        "namespace",
        "kind",
        "path",
        "file",
        "notfound",
    ];
    let says_so = words.iter().any(|word| plain.contains(word))
        || ends.iter().any(|end| plain.ends_with(end))
        || (plain.contains("otlp") && plain.ends_with("headers"));
    says_so && !tells_where.iter().any(|end| plain.ends_with(end))
}

/// Whether what a JSON patch has at that path is secret: of no patch anybody knows whether it is a Secret's.
fn hides(path: &str) -> bool {
    let mut parts = path.split('/').skip(1);
    path.starts_with("/data/")
        || matches!(path, "/data" | "/stringData")
        || path.starts_with("/stringData/")
        || parts.any(is_secret)
}

/// Whether a long word may be a key: it has small and capital letters and figures. Digests in hex have not, nor have names.
fn is_opaque(word: &str) -> bool {
    let has = |is: fn(&char) -> bool| word.chars().any(|c| is(&c));
    has(char::is_ascii_lowercase) && has(char::is_ascii_uppercase) && has(char::is_ascii_digit)
}

/// A value without what looks secret, whatever it is part of, and what that was.
pub fn value(value: &mut Value) -> Tally {
    let mut tally = Tally::default();
    scrub(value, 0, &mut tally);
    tally
}

fn scrub(value: &mut Value, depth: usize, tally: &mut Tally) {
    if depth > DEEPEST {
        tally.count(Sort::Opaque);
        *value = MASK.into();
        return;
    }
    match value {
        Value::String(text) => scrub_text(text, depth, tally),
        Value::Array(items) => {
            // What a flag of a command line names may be the next word.
            let mut is_flags = false;
            for item in items {
                let flag = item.as_str().filter(|word| word.starts_with('-'));
                let is_flag = flag.is_some();
                let names = flag.is_some_and(|word| !word.contains('=') && is_secret(word));
                match std::mem::replace(&mut is_flags, names) && !is_flag {
                    true => mask(item, Sort::Named, depth, tally),
                    false => scrub(item, depth + 1, tally),
                }
            }
        }
        Value::Object(fields) => scrub_fields(fields, depth, tally),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A text may be a document of its own: an object in an annotation, a line of a log.
fn scrub_text(there: &mut String, depth: usize, tally: &mut Tally) {
    if there.trim_start().starts_with(['{', '['])
        && let Ok(mut inner) = serde_json::from_str::<Value>(there)
    {
        let mut found = Tally::default();
        scrub(&mut inner, depth + 1, &mut found);
        if found != Tally::default() {
            tally.add(&found);
            *there = inner.to_string();
        }
        return;
    }
    let (instead, found) = text(there);
    tally.add(&found);
    *there = instead;
}

fn scrub_fields(fields: &mut Map<String, Value>, depth: usize, tally: &mut Tally) {
    let is_secrets = fields.get("kind").and_then(Value::as_str) == Some("Secret");
    // What is in an entry of an environment is named beside it.
    let named = fields.get("name").and_then(Value::as_str);
    let is_headers = |name: &str| name.to_ascii_lowercase().ends_with("headers");
    let is_named = named.is_some_and(|name| is_secret(name) || is_headers(name));
    // Nor does a patch say by itself what it changes: its path does, or the target beside it.
    let path = fields.get("path").and_then(Value::as_str);
    let is_patched = path.is_some_and(hides);
    let target = fields.get("target").and_then(|target| target.get("kind"));
    let is_of_secrets = target
        .and_then(Value::as_str)
        .is_some_and(|kind| kind.contains("Secret"));
    if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
        // Only says who wrote which field.
        metadata.shift_remove("managedFields");
    }
    for (key, value) in fields {
        if (is_secrets && matches!(key.as_str(), "data" | "stringData"))
            || (is_of_secrets && key == "patch")
        {
            mask(value, Sort::Secret, depth, tally);
        } else if is_secret(key)
            || ((is_named || is_patched) && key == "value")
            || (key == "kubeConfig" && value.is_string())
        {
            mask(value, Sort::Named, depth, tally);
        } else if key == "webhookPath" {
            mask(value, Sort::HookPath, depth, tally);
        } else {
            scrub(value, depth + 1, tally);
        }
    }
}

/// Takes out every text in a value, but for those that only say where something lies.
fn mask(value: &mut Value, sort: Sort, depth: usize, tally: &mut Tally) {
    match value {
        _ if depth > DEEPEST => *value = MASK.into(),
        Value::String(text) if text.is_empty() || text.as_str() == MASK => {}
        Value::String(_) | Value::Number(_) => {
            tally.count(sort);
            *value = MASK.into();
        }
        Value::Array(items) => {
            for item in items {
                mask(item, sort, depth + 1, tally);
            }
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                match key.as_str() {
                    "secretRef" | "secretKeyRef" | "configMapKeyRef" => {
                        scrub(value, depth + 1, tally);
                    }
                    _ => mask(value, sort, depth + 1, tally),
                }
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

/// Lines of a log without what looks secret: those that are JSON field by field.
#[must_use]
pub fn lines(log: &str) -> (String, Tally) {
    let mut tally = Tally::default();
    // A key goes over many lines.
    let forms = &*FORMS;
    let whole = |_: &Captures<'_>| Some(MASK.to_owned());
    let log = replaced(log, &forms.keys, Sort::PrivateKey, whole, &mut tally);
    let mut out = String::with_capacity(log.len());
    for line in log.lines() {
        let mut line = line.to_owned();
        scrub_text(&mut line, 0, &mut tally);
        out.push_str(&line);
        out.push('\n');
    }
    (out, tally)
}

#[cfg(test)]
mod tests;
