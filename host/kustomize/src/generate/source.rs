//! Where a generator's keys and values come from.

use std::collections::BTreeSet;

use crate::error::{Error, Place, Why};
use crate::file::{Entry, Generator};
use crate::session::Session;

/// A key and its bytes.
pub(super) struct Pair {
    pub(super) key: String,
    pub(super) value: Vec<u8>,
}

/// The pairs of a generator in a file of `dir`, sorted by key: from env files, literals and files.
pub(super) fn pairs(
    session: &Session<'_>,
    dir: &str,
    generator: &Generator,
) -> Result<Vec<Pair>, Error> {
    let mut pairs: Vec<Pair> = Vec::new();
    for entry in &generator.envs {
        let bytes = session.read_entry(dir, entry)?;
        env_file(session, &bytes, entry, &mut pairs)?;
    }
    for entry in &generator.literals {
        pairs.push(literal(entry)?);
    }
    for entry in &generator.files {
        pairs.push(file(session, dir, entry)?);
    }
    let mut seen = BTreeSet::new();
    for pair in &pairs {
        if !seen.insert(pair.key.as_str()) {
            let why = format!("key {} is there twice", pair.key);
            return Err(Error::in_place(&generator.place, Why::Conflict(why)));
        }
    }
    pairs.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(pairs)
}

/// How long a line of an env file may be. kustomize stops reading at a longer one, and says nothing.
const LINE: usize = 65_535;

fn env_file(
    session: &Session<'_>,
    bytes: &[u8],
    entry: &Entry,
    pairs: &mut Vec<Pair>,
) -> Result<(), Error> {
    let lines = bytes.split(|b| *b == b'\n');
    for (index, line) in lines.take_while(|line| line.len() <= LINE).enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mark = line.strip_prefix(b"\xEF\xBB\xBF").filter(|_| index == 0);
        let line = mark.unwrap_or(line);
        let Ok(line) = std::str::from_utf8(line) else {
            let why = format!("line {} of {} is not UTF-8", index + 1, entry.text);
            return Err(Error::invalid_at(&entry.place, why));
        };
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        if !key.is_empty() {
            // Each is a few texts, however short its line.
            let charge = session.budget.nodes(1);
            charge.map_err(|why| Error::in_place(&entry.place, why))?;
            pairs.push(Pair {
                key: key.to_owned(),
                value: value.as_bytes().to_vec(),
            });
        }
    }
    Ok(())
}

fn literal(entry: &Entry) -> Result<Pair, Error> {
    let Some((key, value)) = entry
        .text
        .split_once('=')
        .filter(|(key, _)| !key.is_empty())
    else {
        return Err(Error::invalid_at(&entry.place, "must be key=value"));
    };
    let unquoted = ['"', '\''].iter().find_map(|quote| {
        value
            .strip_prefix(*quote)?
            .strip_suffix(*quote)
            .filter(|_| value.len() > 1)
    });
    Ok(Pair {
        key: key.to_owned(),
        value: unquoted.unwrap_or(value).as_bytes().to_vec(),
    })
}

fn file(session: &Session<'_>, dir: &str, entry: &Entry) -> Result<Pair, Error> {
    let (key, path) =
        split_file(&entry.text).map_err(|why| Error::invalid_at(&entry.place, why))?;
    let place: Place = entry.place.clone();
    let bytes = session.read_entry(dir, &Entry { text: path, place })?;
    Ok(Pair {
        key,
        value: bytes.to_vec(),
    })
}

/// `key=path`, or a path whose last name is the key.
fn split_file(source: &str) -> Result<(String, String), &'static str> {
    match source.split_once('=') {
        None => {
            let name = source
                .trim_end_matches('/')
                .rsplit('/')
                .next()
                .unwrap_or(source);
            Ok((name.to_owned(), source.to_owned()))
        }
        Some((_, path)) if path.contains('=') => Err("a key or a path cannot hold ="),
        Some(("", _)) => Err("the key before = is missing"),
        Some((_, "")) => Err("the path behind = is missing"),
        Some((key, path)) => Ok((key.to_owned(), path.to_owned())),
    }
}
