//! Takes every trace of a secret out of what a forge says.
//!
//! A forge may repeat what it was sent: as it is, escaped for JSON, HTML or a URL, in base64 (wherever in a longer text it
//! begins), in hexadecimal, broken into lines, as UTF-16, in capitals, cut short. So an answer is read in each of these
//! ways, and what reads as a secret, or as most of one, is blanked where it stands. One pass a way, whatever the answer
//! holds. What it deliberately doesn't: find a secret that the forge changed in a way of its own (half of it, reversed); a
//! forge that wants to betray a secret it was given can.

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

/// Of a secret that is cut short, at least so many bytes, and three quarters, are recognised.
const SHORTEST: usize = 8;

/// What is looked for.
#[derive(Clone)]
struct Needle {
    text: Vec<u8>,
    edges: Edges,
    /// How much of the form is missing before and behind it: up to that much is blanked with it.
    before: usize,
    behind: usize,
}

/// Finds these secrets, in all their forms.
pub(super) struct Blanker {
    /// What stands on lines, as it stands.
    plain: AhoCorasick,
    /// The same without blanks and line ends, for texts without them.
    squeezed: AhoCorasick,
    /// By the number of the pattern.
    needles: Vec<Needle>,
}

impl Blanker {
    pub(super) fn new<'a>(secrets: impl Iterator<Item = &'a Secret>) -> Self {
        let mut needles = Vec::new();
        for secret in secrets {
            for (form, edges) in forms(secret.expose()) {
                needles.extend(most_of(&form, edges, secret.expose().len()));
                needles.push(Needle {
                    text: form,
                    edges,
                    before: 0,
                    behind: 0,
                });
            }
        }
        let plain: Vec<&[u8]> = needles.iter().map(|needle| &*needle.text).collect();
        let squeezed: Vec<Vec<u8>> = plain
            .iter()
            .map(|text| {
                let kept = text.iter().filter(|byte| !view::is_squeezed(**byte));
                kept.copied().collect()
            })
            .collect();
        Self {
            plain: automaton(&plain),
            squeezed: automaton(&squeezed),
            needles,
        }
    }

    /// `text` without them.
    pub(super) fn blank(&self, text: &str) -> String {
        if self.needles.is_empty() {
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
    fn in_view(&self, automaton: &AhoCorasick, view: &View<'_>) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        for hit in automaton.find_overlapping_iter(view.bytes()) {
            let Some(needle) = self.needles.get(hit.pattern().as_usize()) else {
                continue;
            };
            let covered = found.last().map_or(0, |last| last.end);
            let hit = hit.start()..hit.end();
            let Range { mut start, mut end } = needle.widened(hit, covered, view);
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

impl Needle {
    /// With what belongs to it beside a hit. What is `covered` is not looked at again: each byte once, whatever comes.
    fn widened(&self, hit: Range<usize>, covered: usize, view: &View<'_>) -> Range<usize> {
        let Range { mut start, mut end } = hit;
        if self.edges.before && start > 0 && view.is_base64(start - 1) {
            start -= 1;
        }
        if self.edges.behind && view.is_base64(end) {
            end += 1;
        }
        if view.is_squeezed() {
            // Words have no ends there.
            return start..end;
        }
        let (first, last) = (start.saturating_sub(self.before), end + self.behind);
        while start > first.max(covered) && view.goes_on(start - 1) {
            start -= 1;
        }
        if end < last {
            end = end.max(covered);
        }
        while end < last && view.goes_on(end) {
            end += 1;
        }
        start..end
    }
}

/// The beginning and the end of a form, as short as they may be, of a secret of so many bytes.
fn most_of(form: &[u8], edges: Edges, secret: usize) -> Vec<Needle> {
    let kept = (secret * 3).div_ceil(4).max(SHORTEST);
    if kept >= secret {
        return Vec::new();
    }
    // As much of the form as that is of the secret.
    let kept = (form.len() * kept).div_ceil(secret);
    let missing = form.len() - kept;
    let beginning = Needle {
        text: form.get(..kept).unwrap_or_default().to_vec(),
        edges: Edges {
            behind: false,
            ..edges
        },
        before: 0,
        behind: missing,
    };
    let end = Needle {
        text: form.get(missing..).unwrap_or_default().to_vec(),
        edges: Edges {
            before: false,
            ..edges
        },
        before: missing,
        behind: 0,
    };
    vec![beginning, end]
}

fn automaton(needles: &[impl AsRef<[u8]>]) -> AhoCorasick {
    AhoCorasick::builder()
        .match_kind(MatchKind::Standard)
        .ascii_case_insensitive(true)
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
        // What touches the one before is blanked with it.
        if range.start > at || at == 0 {
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
        let utf16: String = SECRET
            .chars()
            .map(String::from)
            .collect::<Vec<_>>()
            .join("\0");
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
            ("lower case", SECRET.to_ascii_lowercase()),
            ("upper case", SECRET.to_ascii_uppercase()),
            ("UTF-16", utf16.clone()),
            (
                "UTF-16 in json",
                serde_json::Value::from(utf16.clone())
                    .to_string()
                    .trim_matches('"')
                    .to_owned(),
            ),
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
        assert_eq!(blanker.blank("abcdefg"), "abcdefg");
    }

    #[test]
    fn most_of_a_secret_is_blanked_and_nothing_beside_it() {
        let secret = "glpat-AbCdEf0123456789xy";
        let told = Secret::new(secret);
        let blanker = Blanker::new([&told].into_iter());
        let hex = hex::encode(secret);
        for cut in 0..=6 {
            for part in [&secret[cut..], &secret[..24 - cut]] {
                let shown = blanker.blank(&format!("{{\"a\": \"{part}\", \"b\": 1}}"));
                assert_eq!(shown, "{\"a\": \"***\", \"b\": 1}", "{part}");
                let shown = blanker.blank(&format!("Bad token {part} at line 1"));
                assert_eq!(shown, "Bad token *** at line 1");
            }
            for part in [&hex[cut * 2..], &hex[..48 - cut * 2]] {
                assert_eq!(blanker.blank(&format!("<{part}>")), "<***>");
            }
        }
        assert_eq!(
            blanker.blank("glpat-AbCdEf01234..."),
            "glpat-AbCdEf01234..."
        );
        // Of a short one only the whole: its parts are words.
        let short = Secret::new("password");
        let blanker = Blanker::new([&short].into_iter());
        assert_eq!(
            blanker.blank("passwor assword Password"),
            "passwor assword ***"
        );
    }

    #[test]
    fn a_long_answer_made_to_be_slow_is_not() {
        let secret = Secret::new("a".repeat(8192));
        let blanker = Blanker::new([&secret].into_iter());
        let text = "a".repeat(8191) + "\\b%62";
        let text = text.repeat(32);
        let begun = std::time::Instant::now();
        let shown = blanker.blank(&text);
        assert!(shown.len() < text.len() / 1000, "{}", shown.len());
        // Compared byte by byte at every place it would take hours.
        assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
    }
}
