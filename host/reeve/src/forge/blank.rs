//! Takes every trace of a secret out of what a forge says.
//!
//! A forge may repeat what it was sent: as it is, escaped for JSON, HTML or a URL, in base64 (wherever in a longer text it
//! begins), in hexadecimal, broken into lines. So an answer is read in each of these ways, and what reads as a secret in
//! one of them is blanked where it stands. One pass a way, whatever the answer holds. What it deliberately doesn't: find a
//! secret that the forge changed (half of it, reversed); a forge that wants to betray a secret it was given can.

use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use reeve_api::name::Secret;
use url::form_urlencoded::byte_serialize;

use view::View;

mod view;

/// The kinds of escape that are undone.
const WAYS: [fn(&View<'_>) -> Option<View<'static>>; 3] = [
    |view| view.json(),
    |view| view.percent(),
    |view| view.html(),
];

/// What stands where a secret stood.
const BLANK: &[u8] = b"***";

/// In base64, a character holds bits of two bytes.
#[derive(Clone, Copy, Default)]
struct Edges {
    before: bool,
    behind: bool,
}

/// Finds these secrets, in all their forms.
pub(super) struct Blanker {
    /// What stands on lines, as it stands.
    plain: AhoCorasick,
    /// The same without blanks and line ends, for texts without them.
    squeezed: AhoCorasick,
    /// Whether the characters before and behind a pattern of that number hold some of its bits.
    edges: Vec<Edges>,
}

impl Blanker {
    pub(super) fn new<'a>(secrets: impl Iterator<Item = &'a Secret>) -> Self {
        let mut needles = Vec::new();
        let mut edges = Vec::new();
        for secret in secrets {
            for (needle, edge) in forms(secret.expose()) {
                needles.push(needle);
                edges.push(edge);
            }
        }
        let squeezed: Vec<Vec<u8>> = needles
            .iter()
            .map(|needle| {
                let kept = needle.iter().filter(|byte| !byte.is_ascii_whitespace());
                kept.copied().collect()
            })
            .collect();
        Self {
            plain: automaton(&needles),
            squeezed: automaton(&squeezed),
            edges,
        }
    }

    /// `text` without them.
    pub(super) fn blank(&self, text: &str) -> String {
        if self.edges.is_empty() {
            return text.to_owned();
        }
        let raw = View::of(text.as_bytes());
        let mut found = self.in_view(&self.plain, &raw);
        // A URL in JSON, JSON in JSON: what was escaped may be escaped once more.
        for outer in WAYS.iter().filter_map(|read| read(&raw)) {
            found.extend(self.in_view(&self.plain, &outer));
            for inner in WAYS.iter().filter_map(|read| read(&outer)) {
                found.extend(self.in_view(&self.plain, &inner));
            }
        }
        let json = raw.json();
        if let Some(view) = json.as_ref().unwrap_or(&raw).squeezed() {
            found.extend(self.in_view(&self.squeezed, &view));
        }
        blanked(text, found)
    }

    /// Where the text itself has what reads as a secret in `view`.
    fn in_view(&self, needles: &AhoCorasick, view: &View<'_>) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        for hit in needles.find_overlapping_iter(view.bytes()) {
            let (mut start, mut end) = (hit.start(), hit.end());
            let edges = self.edges.get(hit.pattern().as_usize());
            let edges = edges.copied().unwrap_or_default();
            if edges.before && start > 0 && view.is_base64(start - 1) {
                start -= 1;
            }
            if edges.behind && view.is_base64(end) {
                end += 1;
            }
            // Ends grow; whatever this one covers is covered.
            while let Some(last) = found.last().filter(|last| last.end > start) {
                start = start.min(last.start);
                end = end.max(last.end);
                found.pop();
            }
            found.push(start..end);
        }
        found.iter().map(|range| view.origin(range)).collect()
    }
}

fn automaton(needles: &[Vec<u8>]) -> AhoCorasick {
    AhoCorasick::builder()
        .match_kind(MatchKind::Standard)
        // A table with a row for each byte of each secret would be a thousand times as large.
        .kind(Some(AhoCorasickKind::ContiguousNFA))
        .build(needles)
        .expect("because the secrets of an operation are far from 2^31 bytes")
}

/// A secret as it may be repeated: as it was sent, each way of sending it in each encoding.
fn forms(secret: &str) -> Vec<(Vec<u8>, Edges)> {
    let json = Secret::new(serde_json::Value::from(secret).to_string());
    let json = json.expose().get(1..json.expose().len() - 1);
    let form = Secret::new(byte_serialize(secret.as_bytes()).collect::<String>());
    let mut forms: Vec<(Vec<u8>, Edges)> = Vec::new();
    for sent in [secret, json.unwrap_or_default(), form.expose()] {
        for (form, edges) in encoded(sent.as_bytes()) {
            if !forms.iter().any(|(known, _)| *known == form) {
                forms.push((form, edges));
            }
        }
    }
    forms
}

fn encoded(bytes: &[u8]) -> Vec<(Vec<u8>, Edges)> {
    let mut forms = vec![
        (bytes.to_vec(), Edges::default()),
        (hex::encode(bytes).into_bytes(), Edges::default()),
        (hex::encode_upper(bytes).into_bytes(), Edges::default()),
    ];
    for before in 0..3_usize {
        let mut shifted = vec![0; before];
        shifted.extend_from_slice(bytes);
        // The characters that hold bits of this secret alone.
        let inner = (before * 8).div_ceil(6)..shifted.len() * 8 / 6;
        let edges = Edges {
            before: before > 0,
            behind: !shifted.len().is_multiple_of(3),
        };
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let encoded = engine.encode(&shifted).into_bytes();
            let form = encoded.get(inner.clone()).unwrap_or_default().to_vec();
            forms.push((form, edges));
        }
        shifted.fill(0);
        std::hint::black_box(&shifted);
    }
    forms
}

fn blanked(text: &str, mut found: Vec<Range<usize>>) -> String {
    if found.is_empty() {
        return text.to_owned();
    }
    found.sort_by_key(|range| range.start);
    let bytes = text.as_bytes();
    let mut clean = Vec::with_capacity(bytes.len());
    let mut at = 0;
    for range in found {
        if range.start >= at {
            clean.extend_from_slice(bytes.get(at..range.start).unwrap_or_default());
            clean.extend_from_slice(BLANK);
        }
        at = at.max(range.end);
    }
    clean.extend_from_slice(bytes.get(at..).unwrap_or_default());
    String::from_utf8_lossy(&clean).into_owned()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    const SECRET: &str = "s3cr3t/+\"töken\\ with=all&";

    fn blank(text: &str) -> String {
        let secret = Secret::new(SECRET);
        Blanker::new([&secret].into_iter()).blank(text)
    }

    fn every_byte(escape: impl Fn(u8) -> String) -> String {
        SECRET.bytes().map(escape).collect()
    }

    #[test]
    fn a_secret_is_blanked_in_every_form_in_which_it_may_be_repeated() {
        let json = serde_json::Value::from(SECRET).to_string();
        let json = json.trim_matches('"').to_owned();
        let units = SECRET.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
        let html = SECRET.replace('&', "&amp;").replace('"', "&quot;");
        let decimal: String = SECRET
            .chars()
            .map(|c| format!("&#{};", u32::from(c)))
            .collect();
        let form: String = url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
        let base64 = STANDARD.encode(SECRET);
        for (name, form) in [
            ("plain", SECRET.to_owned()),
            ("json", json.clone()),
            ("json, with slashes escaped", json.replace('/', "\\/")),
            ("json, every character escaped", units.collect()),
            (
                "json in json",
                serde_json::Value::from(json.clone())
                    .to_string()
                    .trim_matches('"')
                    .to_owned(),
            ),
            ("html", html),
            ("html, by number", decimal),
            ("form", form.clone()),
            ("percent, every byte", every_byte(|b| format!("%{b:02x}"))),
            ("percent, upper case", every_byte(|b| format!("%{b:02X}"))),
            ("percent in json", form.replace('%', "\\u0025")),
            ("hex", every_byte(|b| format!("{b:02x}"))),
            ("HEX", every_byte(|b| format!("{b:02X}"))),
            ("base64", base64.clone()),
            ("base64 for URLs", URL_SAFE_NO_PAD.encode(SECRET)),
            (
                "base64 in json",
                base64.replace('/', "\\/").replace('+', "\\u002b"),
            ),
            (
                "base64 in a URL",
                base64.replace('+', "%2B").replace('/', "%2f"),
            ),
            (
                "base64 on two lines",
                format!("{}\n{}", &base64[..11], &base64[11..]),
            ),
            (
                "base64 on two lines of json",
                format!("{}\\r\\n{}", &base64[..11], &base64[11..]),
            ),
        ] {
            let shown = blank(&format!("before {form} after"));
            let left = shown.replace("***", "").replace('=', "");
            assert_eq!(left, "before  after", "{name}: {form} became {shown}");
        }
    }

    #[test]
    fn a_secret_inside_of_a_longer_base64_text_is_blanked_wherever_it_begins() {
        for before in ["", "x", "ab", "abc", "user:", "x-access-token:"] {
            for after in ["", "y", "yz", "yzw"] {
                let encoded = STANDARD.encode(format!("{before}{SECRET}{after}"));
                let shown = blank(&format!("\"{encoded}\""));
                assert!(shown.contains("***"), "{before} {after}: {shown}");
                let left: usize = shown.replace("***", "").trim_matches('"').len();
                // What is left are the neighbours' own characters and padding.
                assert!(left <= encoded.len() - SECRET.len() * 8 / 6 + 1, "{shown}");
            }
        }
    }

    #[test]
    fn what_is_no_secret_stays_as_it_is() {
        for text in [
            "",
            r#"{"a":"b\n\u0041","c":"%2F&amp;"}"#,
            "broken \\u12 \\ud800 %zz %4 &#xffffffff; &nope; \\",
            "ünï ☃ 😀",
        ] {
            assert_eq!(blank(text), text);
        }
        assert_eq!(Blanker::new([].into_iter()).blank(SECRET), SECRET);
    }

    #[test]
    fn several_secrets_that_overlap_are_all_blanked() {
        let secrets = [
            Secret::new("abcdefghij"),
            Secret::new("fghijklmnop"),
            Secret::new("ghijklmn"),
        ];
        let blanker = Blanker::new(secrets.iter());
        assert_eq!(blanker.blank("<abcdefghijklmnop>"), "<***>");
        assert_eq!(blanker.blank("<fghijklmnop abcdefghij>"), "<*** ***>");
        assert_eq!(blanker.blank("abcdefghi"), "abcdefghi");
    }

    #[test]
    fn a_long_answer_made_to_be_slow_is_not() {
        let secret = Secret::new("a".repeat(8192));
        let blanker = Blanker::new([&secret].into_iter());
        let text = "a".repeat(8191) + "\\b%62";
        let text = text.repeat(32);
        let begun = std::time::Instant::now();
        assert_eq!(blanker.blank(&text).len(), text.len());
        // Compared byte by byte at every place it would take hours.
        assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
    }
}
