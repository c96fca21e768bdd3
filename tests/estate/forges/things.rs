//! What a played forge keeps: lists of things by repository, numbered, and given out in pages.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::Value;

use super::{Asked, Told};

#[derive(Default)]
pub(super) struct Things {
    all: BTreeMap<(String, &'static str), Vec<Value>>,
    last: u64,
}

impl Things {
    pub(super) fn of(&mut self, repo: &str, what: &'static str) -> &mut Vec<Value> {
        self.all.entry((repo.to_owned(), what)).or_default()
    }

    pub(super) fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub(super) fn find(
        &mut self,
        repo: &str,
        what: &'static str,
        field: &str,
        id: &str,
    ) -> Option<&mut Value> {
        let mut all = self.of(repo, what).iter_mut();
        all.find(|one| is(&one[field], id))
    }

    /// Whether it was there.
    pub(super) fn remove(&mut self, repo: &str, what: &'static str, id: &str) -> bool {
        let all = self.of(repo, what);
        let before = all.len();
        all.retain(|one| !is(&one["id"], id));
        all.len() != before
    }
}

/// Whether a number is the one that a path names.
fn is(number: &Value, named: &str) -> bool {
    named.parse().is_ok_and(|named: u64| *number == named)
}

/// One page of a list, with where the next one is.
pub(super) fn page(
    all: Vec<Value>,
    asked: &Asked,
    at: SocketAddr,
    api: &str,
    usual: usize,
) -> Told {
    let number = |name: &str| asked.query.get(name).and_then(|text| text.parse().ok());
    let size = number("per_page").unwrap_or(usual).clamp(1, 100);
    let page = number("page").unwrap_or(1).max(1);
    let begin = (page - 1) * size;
    let more = all.len() > begin + size;
    let mut told = Told::new(
        200,
        Value::Array(all.into_iter().skip(begin).take(size).collect()),
    );
    if more {
        let path: Vec<String> = asked
            .path
            .iter()
            .map(|one| one.replace('/', "%2F"))
            .collect();
        let mut query = asked.query.clone();
        query.insert("page".to_owned(), (page + 1).to_string());
        let query: Vec<String> = query
            .iter()
            .map(|(name, value)| format!("{name}={}", value.replace('/', "%2F")))
            .collect();
        let next = format!("http://{at}/{api}/{}?{}", path.join("/"), query.join("&"));
        told.headers
            .push(("link", format!("<{next}>; rel=\"next\"")));
        told.headers.push(("x-next-page", (page + 1).to_string()));
    }
    told
}
