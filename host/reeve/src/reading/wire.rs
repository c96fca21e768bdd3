//! A policy as it is handed to its reader, and what the reader says of it, as bytes.
//!
//! Both ends are the same program, so there are no versions. The question holds nothing but what the answer depends on: its
//! digest is what the answer is remembered by.

use std::collections::BTreeMap;

use reeve_api::policy::TestResults;
use reeve_core::status::bounded;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Rules, Unread};

/// The longest reason, in bytes: a status holds less.
const REASON: usize = 8 << 10;
/// The longest answer, in bytes.
pub(super) const ANSWER: u64 = 64 << 10;

/// A policy that is to be read.
#[derive(Debug, PartialEq)]
pub(super) struct Question {
    pub(super) name: String,
    pub(super) parameters: Value,
    pub(super) files: BTreeMap<String, Vec<u8>>,
}

impl Question {
    /// Name and parameters, then path and content of each file; before each of these parts stands its length.
    pub(super) fn encode(rules: Rules<'_>) -> Vec<u8> {
        let parameters = rules.parameters.to_string();
        let files = rules.files.iter();
        let files = files.flat_map(|(path, content)| [path.as_bytes(), content]);
        let mut bytes = Vec::new();
        for part in [rules.name.as_bytes(), parameters.as_bytes()]
            .into_iter()
            .chain(files)
        {
            bytes.extend((part.len() as u64).to_le_bytes());
            bytes.extend(part);
        }
        bytes
    }

    /// What was encoded.
    pub(super) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let from = &mut bytes;
        let (name, parameters) = (text(from)?, part(from)?);
        let mut files = BTreeMap::new();
        while !from.is_empty() {
            files.insert(text(from)?, part(from)?.to_vec());
        }
        Some(Self {
            name,
            parameters: serde_json::from_slice(parameters).ok()?,
            files,
        })
    }
}

fn text(from: &mut &[u8]) -> Option<String> {
    String::from_utf8(part(from)?.to_vec()).ok()
}

fn part<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = from.split_first_chunk()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (part, rest) = rest.split_at_checked(length)?;
    *from = rest;
    Some(part)
}

/// What is known of a policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Said {
    /// It compiles, and its tests hold, if it has some.
    Fit(Option<TestResults>),
    /// It doesn't, or they don't.
    Unfit(String),
    /// It ended its reader.
    Harmful(String),
}

impl Said {
    pub(super) fn encode(self) -> Vec<u8> {
        let short = match self {
            Self::Unfit(why) => Self::Unfit(bounded(&why, REASON)),
            said => said,
        };
        // There is no map in it whose keys could be anything but text.
        serde_json::to_vec(&short).unwrap_or_default()
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    pub(super) fn result(self) -> Result<Option<TestResults>, Unread> {
        match self {
            Self::Fit(tests) => Ok(tests),
            Self::Unfit(why) => Err(Unread::Unfit(why)),
            Self::Harmful(why) => Err(Unread::Harmful(why)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_policy_arrives_as_it_was_given_and_one_that_is_cut_short_does_not() {
        let files = BTreeMap::from([
            ("policy.rego".to_owned(), b"package a".to_vec()),
            ("b/data.json".to_owned(), vec![0xff, 0]),
        ]);
        let parameters = json!({"level": "baseline"});
        let bytes = Question::encode(Rules {
            name: "pods",
            files: &files,
            parameters: &parameters,
        });
        let want = Question {
            name: "pods".to_owned(),
            parameters,
            files,
        };
        assert_eq!(Question::decode(&bytes), Some(want));
        for end in [0, 7, 11, 39, bytes.len() - 1] {
            assert_eq!(Question::decode(&bytes[..end]), None, "{end}");
        }
    }

    #[test]
    fn an_answer_has_a_bound() {
        let said = Said::Unfit("ü\u{1}".repeat(100_000));
        let bytes = said.encode();
        assert!(bytes.len() as u64 <= ANSWER, "{}", bytes.len());
        let Some(Said::Unfit(why)) = Said::decode(&bytes) else {
            panic!("it can be read");
        };
        assert!(why.starts_with('ü'));
        let tests = TestResults {
            coverage: Some("91%".to_owned()),
            total: 7,
        };
        let said = Said::Fit(Some(tests));
        assert_eq!(Said::decode(&said.clone().encode()), Some(said));
    }
}
