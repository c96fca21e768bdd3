//! Who answers the requests of an operation: the forge, or what somebody wrote down that it would answer.
//!
//! Either way the same is checked, filled in, taken out and blanked. What it deliberately doesn't: read a script; whoever wrote
//! it does.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::error::Cause;
use super::send::{Raw, Sender};
use super::words::{Answer, Request};

/// What the n-th request is answered, from 0 on; None where no answer is written down.
pub type Script<'s> = dyn Fn(usize, &Request) -> Option<Answer> + Sync + 's;

/// Who answers.
pub(super) enum Wire<'s> {
    Forge(Sender),
    Script(&'s Script<'s>),
}

/// Where the answer to one request comes from.
pub(super) enum Turn<'w> {
    Send(&'w Sender),
    Written(Raw),
}

impl Wire<'_> {
    /// Looks for the answer to the n-th request. What is not as it was written down is said before anything else is found to
    /// be wrong with it.
    pub(super) fn turn(&self, n: usize, asked: &Request) -> Result<Turn<'_>, Cause> {
        let script = match self {
            Self::Forge(sender) => return Ok(Turn::Send(sender)),
            Self::Script(script) => script,
        };
        let missing = |why: &str| Cause::Unreachable {
            host: "the forge".to_owned(),
            why: why.to_owned(),
        };
        let answer =
            script(n, asked).ok_or_else(|| missing("no answer to this request is written down"))?;
        let headers = headers(&answer).ok_or_else(|| missing("a header in its script is none"))?;
        Ok(Turn::Written(Raw {
            status: answer.status,
            headers,
            body: answer.body.into_bytes(),
        }))
    }
}

fn headers(answer: &Answer) -> Option<HeaderMap> {
    let pairs = answer.headers.iter();
    let read = |(name, value): &(String, String)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_str(value).ok()?))
    };
    pairs.map(read).collect()
}
