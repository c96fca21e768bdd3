//! SSH signatures, as `ssh-keygen -Y sign -n git` makes them, and the keys that they may be of.
//!
//! Keys stand in lines as in `authorized_keys`, or as in git's `gpg.ssh.allowedSignersFile`, whose conditions hold.
//! What would make a line mean something else, a certificate authority or a forced command, makes its file unreadable.
//! It deliberately asks nobody who the key's owner is.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, HashAlg, PublicKey, SshSig};

use super::{Refused, is_one_block};

/// How a signature begins.
pub(super) const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";
/// How keys of the Secret are called.
pub(super) const SUFFIX: &str = ".sshpub";
/// What git signs for: a signature for anything else, an e-mail or a login, is none of git's.
const NAMESPACE: &str = "git";
/// The shortest modulus of RSA, in bits.
const SHORTEST_RSA: u32 = 2048;

/// A key, and when it counts.
#[derive(Debug, Clone)]
pub(super) struct Key {
    key: PublicKey,
    after: Option<Timestamp>,
    before: Option<Timestamp>,
}

/// Every key in `text`, one a line.
pub(super) fn keys(text: &str) -> Result<Vec<Key>, String> {
    let lines = text.lines().map(str::trim).enumerate();
    let filled = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let read = filled.filter_map(|(number, line)| {
        let read = key(line).map_err(|why| format!("line {}: {why}", number + 1));
        read.transpose()
    });
    let keys: Vec<Key> = read.collect::<Result<_, _>>()?;
    match keys.is_empty() {
        true => Err("it holds no SSH public key for git".to_owned()),
        false => Ok(keys),
    }
}

/// The key that signed `payload`, by its fingerprint.
pub(super) fn signer(
    armor: &str,
    payload: &[u8],
    trusted: &[Key],
    now: Timestamp,
) -> Result<String, Refused> {
    let unfit = |why: &str| Refused::Unfit(why.to_owned());
    if !is_one_block(armor, BEGIN, END) {
        return Err(unfit("it is not one block of armor"));
    }
    let signature = SshSig::from_pem(armor).map_err(|why| Refused::Unfit(why.to_string()))?;
    if signature.namespace() != NAMESPACE {
        return Err(unfit("it was made for something else than git"));
    }
    if signature.algorithm() == (Algorithm::Rsa { hash: None }) {
        return Err(unfit("it is made with SHA-1, which is too weak"));
    }
    let name = signature
        .public_key()
        .fingerprint(HashAlg::Sha256)
        .to_string();
    let lines = trusted
        .iter()
        .filter(|line| line.key.key_data() == signature.public_key());
    let lines: Vec<&Key> = lines.collect();
    let [line, ..] = lines.as_slice() else {
        return Err(Refused::Untrusted(name));
    };
    if line.key.verify(NAMESPACE, payload, &signature).is_err() {
        return Err(Refused::Mismatch(name));
    }
    let counts = |line: &&&Key| {
        line.after.is_none_or(|after| after <= now) && line.before.is_none_or(|before| now < before)
    };
    if lines.iter().find(counts).is_none() {
        let why = "does not count now: see valid-after and valid-before".to_owned();
        return Err(Refused::Key { key: name, why });
    }
    Ok(name)
}

/// The key of a line; None when it is not for git.
fn key(line: &str) -> Result<Option<Key>, String> {
    let words = words(line)?;
    let at = words.iter().position(|word| is_kind(word));
    let at = at.ok_or("there is no kind of key in it that is known")?;
    let (before, key) = words.split_at_checked(at).unwrap_or_default();
    let [kind, data, ..] = key else {
        return Err("there is no key in it".to_owned());
    };
    let key = PublicKey::from_openssh(&format!("{kind} {data}"));
    let key = key.map_err(|_| "the key in it cannot be read".to_owned())?;
    strong(key.key_data())?;
    let mut made = Key {
        key,
        after: None,
        before: None,
    };
    // What comes first are names, unless it is an option, which lines of `authorized_keys` begin with.
    let options = match before {
        [names, ..] if names.contains('=') || names == "cert-authority" => before,
        [_, options @ ..] => options,
        [] => before,
    };
    let options = options.iter().flat_map(|word| split(word, ','));
    for option in options {
        let (name, value) = option.split_once('=').unwrap_or((&option, ""));
        let value = value.trim_matches('"');
        match name.to_ascii_lowercase().as_str() {
            "namespaces" if value.split(',').any(|name| name == NAMESPACE) => {}
            "namespaces" => return Ok(None),
            "valid-after" => made.after = Some(time(value)?),
            "valid-before" => made.before = Some(time(value)?),
            other => return Err(format!("option {other} is not understood")),
        }
    }
    Ok(Some(made))
}

/// Whether a word names a kind of key.
fn is_kind(word: &str) -> bool {
    const KINDS: [&str; 5] = [
        "ssh-",
        "ecdsa-sha2-",
        "sk-ssh-",
        "sk-ecdsa-",
        "webauthn-sk-",
    ];
    KINDS.iter().any(|kind| word.starts_with(kind))
}

fn strong(key: &KeyData) -> Result<(), String> {
    match key {
        KeyData::Ed25519(_)
        | KeyData::Ecdsa(_)
        | KeyData::SkEd25519(_)
        | KeyData::SkEcdsaSha2NistP256(_) => Ok(()),
        KeyData::Rsa(rsa) if rsa.key_size() >= SHORTEST_RSA => Ok(()),
        KeyData::Rsa(rsa) => Err(format!("RSA with {} bits is too weak", rsa.key_size())),
        other => Err(format!("keys of kind {} are not taken", other.algorithm())),
    }
}

/// The words of a line; what is quoted is of one word.
fn words(line: &str) -> Result<Vec<String>, String> {
    if line.matches('"').count() % 2 == 1 {
        return Err("a quote has no end".to_owned());
    }
    let blank = line.replace('\t', " ");
    let words = split(&blank, ' ').into_iter();
    Ok(words.filter(|word| !word.is_empty()).collect())
}

/// The parts between `separator`s that are not quoted.
fn split(text: &str, separator: char) -> Vec<String> {
    let mut quoted = false;
    let parts = text.split(|c| {
        quoted ^= c == '"';
        c == separator && !quoted
    });
    parts.map(str::to_owned).collect()
}

/// `YYYYMMDD`, with hours and minutes and perhaps seconds: of UTC, with or without a final `Z`, since there is no zone
/// here that whoever wrote it could have meant.
fn time(text: &str) -> Result<Timestamp, String> {
    let refused = || format!("{text:?} is not a time: YYYYMMDD[HHMM[SS]][Z]");
    let digits = text.strip_suffix('Z').unwrap_or(text);
    if !matches!(digits.len(), 8 | 12 | 14) {
        return Err(refused());
    }
    let whole = format!("{digits:0<14}");
    let parsed = DateTime::strptime("%Y%m%d%H%M%S", &whole).map_err(|_| refused())?;
    let zoned = parsed.to_zoned(TimeZone::UTC).map_err(|_| refused())?;
    Ok(zoned.timestamp())
}
