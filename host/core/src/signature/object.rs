//! What of a commit or a tag is signed, and the signature.
//!
//! Stricter than git, which takes the first of two trees, and where another reader takes the last a signature means
//! two things: each header stands once, in git's order. It deliberately doesn't look into the signature.

use super::{LONGEST_SIGNATURE, Refused};

/// A signature, and the bytes that it is of.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) payload: Vec<u8>,
    pub(super) signature: Option<String>,
}

/// The header of the signature, by the length of the repository's ids. The other one's is of the same commit as a
/// repository of the other hash has it; git signs neither.
const HEADERS: [(usize, &[u8]); 2] = [(40, b"gpgsig"), (64, b"gpgsig-sha256")];
/// What git knows as the beginning of a tag's signature.
const BEGINNINGS: [&[u8]; 4] = [
    b"-----BEGIN PGP SIGNATURE-----",
    b"-----BEGIN PGP MESSAGE-----",
    b"-----BEGIN SIGNED MESSAGE-----",
    b"-----BEGIN SSH SIGNATURE-----",
];

const BROKEN: Refused = Refused::Malformed("a header has no name or no value");

/// A commit whose id is `id`.
pub(super) fn commit(bytes: &[u8], id: &str) -> Result<Parts, Refused> {
    let (head, message) = split(bytes)?;
    let headers = headers(head)?;
    check_order(&headers, id.len())?;
    let mut payload = Vec::with_capacity(bytes.len());
    let mut signature = None;
    for header in &headers {
        match HEADERS.iter().find(|(_, name)| *name == header.name) {
            None => payload.extend_from_slice(header.raw),
            Some((digits, _)) if *digits == id.len() => {
                let text = header.value()?;
                if signature.replace(text).is_some() {
                    return Err(Refused::Several);
                }
            }
            Some(_) => {}
        }
    }
    payload.push(b'\n');
    payload.extend_from_slice(message);
    Ok(Parts { payload, signature })
}

/// A tag that is called `name` and names the commit `commit`.
pub(super) fn tag(bytes: &[u8], name: &str, commit: &str) -> Result<Parts, Refused> {
    let (head, _) = split(bytes)?;
    let headers = headers(head)?;
    let [object, kind, called, tagger] = headers.as_slice() else {
        return Err(Refused::Malformed("it has not the four headers of a tag"));
    };
    let names = [object.name, kind.name, called.name, tagger.name];
    if names != [&b"object"[..], b"type", b"tag", b"tagger"] {
        return Err(Refused::Malformed("it has not the four headers of a tag"));
    }
    if headers.iter().any(|header| header.is_folded()) {
        return Err(Refused::Malformed("a header goes on in the next line"));
    }
    if kind.rest() != b"commit" {
        return Err(Refused::Elsewhere("another tag, not of a commit"));
    }
    if object.rest() != commit.as_bytes() {
        return Err(Refused::Elsewhere("another commit than its name"));
    }
    if called.rest() != name.as_bytes() {
        let called = String::from_utf8_lossy(called.rest());
        let shown = called.chars().filter(|c| !c.is_control()).take(100);
        return Err(Refused::Renamed(shown.collect()));
    }
    let Some(at) = last_beginning(bytes) else {
        return Ok(Parts {
            payload: bytes.to_vec(),
            signature: None,
        });
    };
    let (payload, signature) = bytes.split_at_checked(at).ok_or(BROKEN)?;
    Ok(Parts {
        payload: payload.to_vec(),
        signature: Some(text(signature)?),
    })
}

/// One header with the lines that continue it, each with its line break.
struct Header<'a> {
    name: &'a [u8],
    raw: &'a [u8],
}

impl<'a> Header<'a> {
    /// The value of a header that is one line.
    fn rest(&self) -> &'a [u8] {
        let value = self.raw.strip_prefix(self.name).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or_default();
        value.strip_suffix(b"\n").unwrap_or(value)
    }

    fn is_folded(&self) -> bool {
        self.rest().contains(&b'\n')
    }

    /// The value without what folds it.
    fn value(&self) -> Result<String, Refused> {
        let folded = self.rest();
        if folded.len() > 2 * LONGEST_SIGNATURE {
            return Err(Refused::Long);
        }
        Ok(text(folded)?.replace("\n ", "\n"))
    }
}

/// The headers, and what follows the empty line.
fn split(bytes: &[u8]) -> Result<(&[u8], &[u8]), Refused> {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n");
    let end = end.ok_or(Refused::Malformed("its headers have no end"))?;
    let (head, rest) = bytes.split_at_checked(end + 1).ok_or(BROKEN)?;
    Ok((head, rest.get(1..).unwrap_or_default()))
}

fn headers(head: &[u8]) -> Result<Vec<Header<'_>>, Refused> {
    if head.contains(&0) {
        return Err(Refused::Malformed("a header holds a zero byte"));
    }
    let mut found: Vec<Header<'_>> = Vec::new();
    let mut at = 0;
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        let from = at;
        at += line.len();
        if line.starts_with(b" ") {
            let header = found.last_mut().ok_or(BROKEN)?;
            let begun = from - header.raw.len();
            header.raw = head.get(begun..at).ok_or(BROKEN)?;
            continue;
        }
        let end = line.iter().position(|byte| *byte == b' ').ok_or(BROKEN)?;
        let name = line.get(..end).filter(|name| !name.is_empty());
        found.push(Header {
            name: name.ok_or(BROKEN)?,
            raw: line,
        });
    }
    Ok(found)
}

/// `tree`, any number of `parent`, `author`, `committer`, and then none of these again.
fn check_order(headers: &[Header<'_>], digits: usize) -> Result<(), Refused> {
    let refused = Err(Refused::Malformed(
        "its headers are not tree, parents, author and committer, each once",
    ));
    let is_id = |header: &Header<'_>| {
        let value = header.rest();
        let digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        value.len() == digits && value.iter().all(digit)
    };
    let [tree, rest @ ..] = headers else {
        return refused;
    };
    let parents = rest.iter().take_while(|header| header.name == b"parent");
    let parents = parents.count();
    let (parents, rest) = rest.split_at_checked(parents).unwrap_or_default();
    let [author, committer, more @ ..] = rest else {
        return refused;
    };
    let named = tree.name == b"tree" && author.name == b"author" && committer.name == b"committer";
    let ids = is_id(tree) && parents.iter().all(is_id);
    let plain = !author.is_folded() && !committer.is_folded();
    let again = more.iter().any(|header| {
        let once: [&[u8]; 4] = [b"tree", b"parent", b"author", b"committer"];
        once.contains(&header.name)
    });
    if named && ids && plain && !again {
        return Ok(());
    }
    refused
}

/// Where the last line begins that begins a signature: what git takes.
fn last_beginning(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut found = None;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if BEGINNINGS.iter().any(|begin| line.starts_with(begin)) {
            found = Some(at);
        }
        at += line.len();
    }
    found
}

fn text(bytes: &[u8]) -> Result<String, Refused> {
    if bytes.len() > 2 * LONGEST_SIGNATURE {
        return Err(Refused::Long);
    }
    let text = std::str::from_utf8(bytes)
        .ok()
        .filter(|text| text.is_ascii());
    let text = text.ok_or(Refused::Malformed("its signature is not text"))?;
    Ok(text.to_owned())
}
