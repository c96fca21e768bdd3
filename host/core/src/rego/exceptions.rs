//! `exceptions.yaml` beside the rules: what the platform tolerates for a while, on whose word, why, and until when.
//!
//! A list, each entry with everything that somebody who reads it in a year must know; an entry that lacks some of it is an
//! error of the policy, with its line. It deliberately knows no clock: who asks says when it is.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::fmt::temporal::Pieces;
use jiff::tz::TimeZone;
use reeve_api::name::NamespacedName;
use reeve_api::policy::ObjectSelector;
use serde::Deserialize;
use serde_json::Value;

use super::{Error, Place};

/// What files of exceptions are called.
pub(super) const FILE: &str = "exceptions.yaml";
/// The most of them that one policy has.
const LIMIT: usize = 500;
/// The longest text in one, in characters.
const TEXT: usize = 500;

/// What is tolerated for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// The package that it is from, as it is named in the file: by its path or by its title.
    pub policy: String,
    /// The packages that it stands for: `data.platform.images`.
    packages: Vec<String>,
    namespaces: Vec<String>,
    kustomizations: Vec<String>,
    /// The objects it is for; empty for everything, and for denials that name no object.
    pub objects: Vec<Excepted>,
    /// Who answers for it.
    pub owner: String,
    /// Why there is one.
    pub reason: String,
    /// From when on it holds no more.
    pub expires: Timestamp,
}

/// Objects that are excepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excepted {
    /// Which group, kind, namespace and labels.
    pub object: ObjectSelector,
    /// Which name.
    pub name: Option<String>,
}

impl Exception {
    /// Whether it holds at that time.
    pub fn holds(&self, now: Timestamp) -> bool {
        now < self.expires
    }

    /// Whether it is for that Kustomization.
    pub fn concerns(&self, kustomization: &NamespacedName) -> bool {
        let picks =
            |names: &[String], name: &str| names.is_empty() || names.iter().any(|one| one == name);
        picks(&self.namespaces, kustomization.namespace.as_str())
            && picks(&self.kustomizations, kustomization.name.as_str())
    }

    /// Whether it is from what that package denies.
    pub fn is_of(&self, package: &str) -> bool {
        self.packages.iter().any(|one| one == package)
    }
}

/// As it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    policy: String,
    #[serde(default)]
    namespaces: Vec<String>,
    #[serde(default)]
    kustomizations: Vec<String>,
    #[serde(default)]
    objects: Vec<WrittenObject>,
    owner: String,
    reason: String,
    expires: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenObject {
    group: Option<String>,
    kind: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
    #[serde(default)]
    match_labels: BTreeMap<String, String>,
}

/// Reads the files, or says what is wrong with each of their entries. `titles` are the packages that are asked, each with
/// its title.
pub(super) fn read_all(
    files: &[(String, Vec<u8>)],
    titles: &[(String, String)],
) -> Result<Vec<Exception>, Vec<Error>> {
    let (mut all, mut errors) = (Vec::new(), Vec::new());
    for (file, bytes) in files {
        match read(file, bytes, titles) {
            Ok(exceptions) => all.extend(exceptions),
            Err(why) => errors.extend(why),
        }
    }
    match errors.is_empty() {
        true => Ok(all),
        false => Err(errors),
    }
}

fn read(
    file: &str,
    bytes: &[u8],
    titles: &[(String, String)],
) -> Result<Vec<Exception>, Vec<Error>> {
    let at = |line: u64, why: String| {
        let place = Place {
            line,
            ..Place::of(file)
        };
        Error::at(place, why)
    };
    let documents = reeve_kustomize::parse_yaml(bytes, file).map_err(|error| {
        let line = error.place().line.map_or(0, u64::from);
        vec![at(line, format!("it is not YAML: {}", error.why()))]
    })?;
    let entries = match documents.as_slice() {
        [] => return Ok(Vec::new()),
        [Value::Array(entries)] => entries,
        _ => return Err(vec![at(1, "it is not one list of exceptions".to_owned())]),
    };
    if entries.len() > LIMIT {
        let why = format!("there are {}, at most {LIMIT} are read", entries.len());
        return Err(vec![at(1, why)]);
    }
    let (mut exceptions, mut errors) = (Vec::new(), Vec::new());
    for (entry, line) in entries.iter().zip(lines(bytes, entries.len())) {
        match exception(entry, titles) {
            Ok(one) => exceptions.push(one),
            Err(why) => errors.push(at(line, why)),
        }
    }
    match errors.is_empty() {
        true => Ok(exceptions),
        false => Err(errors),
    }
}

fn exception(entry: &Value, titles: &[(String, String)]) -> Result<Exception, String> {
    let written = Written::deserialize(entry)
        .map_err(|why| format!("the exception cannot be read: {why}"))?;
    if let Some(field) = hollow(entry, "") {
        return Err(format!(
            "{field} is there and holds nothing: fill it, or leave it out where any is meant"
        ));
    }
    for (field, text) in [("owner", &written.owner), ("reason", &written.reason)] {
        if text.trim().is_empty() || text.chars().count() > TEXT {
            return Err(format!("{field} is empty or longer than {TEXT} characters"));
        }
    }
    let named = written
        .policy
        .strip_prefix("data.")
        .unwrap_or(&written.policy);
    let meant = |(path, title): &&(String, String)| {
        path.strip_prefix("data.") == Some(named) || *title == written.policy
    };
    let packages: Vec<String> = titles
        .iter()
        .filter(meant)
        .map(|(path, _)| path.clone())
        .collect();
    if packages.is_empty() {
        return Err(format!(
            "policy names no package here that denies, and no title of one: {}",
            brief(&written.policy)
        ));
    }
    let objects = written.objects.into_iter().map(|one| Excepted {
        object: ObjectSelector {
            group: one.group,
            kind: one.kind,
            match_labels: one.match_labels,
            namespace: one.namespace,
        },
        name: one.name,
    });
    Ok(Exception {
        packages,
        namespaces: written.namespaces,
        kustomizations: written.kustomizations,
        objects: objects.collect(),
        expires: expiry(&written.expires)?,
        owner: written.owner.trim().to_owned(),
        reason: written.reason.trim().to_owned(),
        policy: written.policy,
    })
}

/// The first field that is there and holds nothing, a list without items for instance. What is left out means any; whoever
/// writes down nothing may have meant nobody. What is read is a few fields deep.
fn hollow(value: &Value, at: &str) -> Option<String> {
    match value {
        Value::Null => Some(at.to_owned()),
        Value::Array(items) if items.is_empty() => Some(at.to_owned()),
        Value::Object(fields) if fields.is_empty() => Some(at.to_owned()),
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.find_map(|(n, item)| hollow(item, &format!("{at}[{n}]")))
        }
        Value::Object(fields) => fields.iter().find_map(|(key, value)| {
            let dot = if at.is_empty() { "" } else { "." };
            hollow(value, &format!("{at}{dot}{key}"))
        }),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// A day, whose beginning in UTC is meant, or a moment.
fn expiry(text: &str) -> Result<Timestamp, String> {
    let moment = text.parse::<Timestamp>().ok();
    let moment = moment.filter(|_| is_offset_of_a_day(text)).or_else(|| {
        // Longer texts would be taken as well, and their time forgotten.
        let day: Date = (text.len() == "2026-12-24".len()).then(|| text.parse().ok())??;
        // The last days that there are have no moment of their own.
        let begins = day.to_zoned(TimeZone::UTC);
        Some(begins.map_or(Timestamp::MAX, |begins| begins.timestamp()))
    });
    moment.ok_or_else(|| {
        format!(
            "expires is neither a day such as 2026-12-24 nor a moment such as 2026-12-24T08:00:00Z: {}",
            brief(text)
        )
    })
}

/// Whether the offset, where it has one, is shorter than a day: jiff takes 25 hours as well, and means another moment than
/// whoever mistyped it.
fn is_offset_of_a_day(text: &str) -> bool {
    let pieces = Pieces::parse(text).ok();
    let offset = pieces.and_then(|pieces| pieces.to_numeric_offset());
    offset.is_none_or(|offset| offset.seconds().unsigned_abs() < 24 * 60 * 60)
}

fn brief(text: &str) -> String {
    text.chars().take(100).collect()
}

/// The line of each of the entries, 0 where the list is not written with a dash in front of each.
fn lines(bytes: &[u8], count: usize) -> Vec<u64> {
    let text = String::from_utf8_lossy(bytes);
    let dash = |line: &str| {
        let written = line.trim_start_matches(' ');
        let is = written.trim_end() == "-" || written.starts_with("- ");
        is.then(|| line.len() - written.len())
    };
    let dashes: Vec<(u64, usize)> = (1..)
        .zip(text.lines())
        .filter_map(|(at, line)| Some((at, dash(line)?)))
        .collect();
    let outer = dashes.first().map(|(_, indent)| *indent);
    let found: Vec<u64> = dashes
        .iter()
        .filter(|(_, indent)| Some(*indent) == outer)
        .map(|(at, _)| *at)
        .collect();
    match found.len() == count {
        true => found,
        false => vec![0; count],
    }
}
