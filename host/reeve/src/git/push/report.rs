//! What a server says became of a push: the lines of its report, and its words beside them.
//!
//! Bytes in, verdict out. What it deliberately doesn't: read from a connection, or know what to do about a refusal.

use gix::ObjectId;

/// What the server has said so far, kept apart by what it is for.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// The report: packet lines.
    report: Vec<u8>,
    /// The words of its hooks and of its git.
    said: Vec<u8>,
}

/// What became of the push.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The branch is at our commit, or at the commit that the server made of it.
    Landed(Option<ObjectId>),
    /// Somebody was faster.
    Moved(String),
    /// It was refused.
    Refused {
        /// For which reason of git's.
        why: String,
        /// The kind of refusal, as far as words tell.
        kind: Refusal,
    },
}

/// The kind of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The branch is protected.
    Protected,
    /// There is no room for it.
    Quota,
    /// A hook, or a rule of the server.
    Declined,
}

/// The most words that are kept.
const MAX_SAID: usize = 4 << 10;
/// The most that a report may hold.
const MAX_REPORT: usize = 256 << 10;

/// How servers say that a branch is no longer where it was, or that somebody else is just moving it.
const MOVED: [&str; 9] = [
    "non-fast-forward",
    "fetch first",
    "stale info",
    "failed to update ref",
    "failed to lock",
    "cannot lock ref",
    "lock error",
    "incorrect old value",
    "reference already exists",
];
const QUOTA: [&str; 5] = [
    "quota",
    "size limit",
    "maximum allowed size",
    "no space left",
    "disk full",
];
const PROTECTED: [&str; 3] = ["protected branch", "is protected", "protected ref"];
/// How servers say that a key or a token may only read.
const READ_ONLY: [&str; 7] = [
    "read only",
    "read-only",
    "readonly",
    "write access",
    "not authorized to write",
    "not allowed to push",
    "permission to",
];

impl Answer {
    /// Takes a packet of an answer whose first byte says what it is.
    pub(super) fn take_banded(&mut self, packet: &[u8]) {
        match packet.split_first() {
            Some((1, data)) => keep(&mut self.report, data, MAX_REPORT),
            Some((_, words)) => keep(&mut self.said, words, MAX_SAID),
            None => {}
        }
    }

    /// Takes a line of a report that comes as it is.
    pub(super) fn take_line(&mut self, line: &[u8]) {
        let framed = format!("{:04x}", line.len().saturating_add(4).min(0xffff));
        keep(&mut self.report, framed.as_bytes(), MAX_REPORT);
        keep(&mut self.report, line, MAX_REPORT);
    }

    /// Whether the report is here to its end, as far as it tells where that is.
    pub(super) fn is_whole(&self) -> bool {
        lines(&self.report).1
    }

    /// The words beside the report, without those that only count.
    pub(super) fn said(&self) -> String {
        let text = String::from_utf8_lossy(&self.said);
        let counts = |line: &&str| line.contains("% (") || line.trim().is_empty();
        let told: Vec<&str> = text
            .split(['\n', '\r'])
            .filter(|line| !counts(line))
            .collect();
        told.join("\n")
    }

    /// What became of `reference`; nothing if the report doesn't say.
    pub(super) fn verdict(&self, reference: &str) -> Option<Verdict> {
        let (lines, _) = lines(&self.report);
        let mut lines = lines
            .iter()
            .map(|line| String::from_utf8_lossy(line).trim_end().to_owned());
        let unpacked = lines.find_map(|line| Some(line.strip_prefix("unpack ")?.to_owned()))?;
        let mut ours = lines.skip_while(|line| about(line) != Some(reference));
        let fate = ours.next();
        if unpacked != "ok" {
            return Some(self.refused(format!("it could not unpack the commit: {unpacked}")));
        }
        let fate = fate?;
        if let Some(rest) = fate.strip_prefix("ng ") {
            let why = rest.strip_prefix(reference).unwrap_or(rest).trim();
            let lower = why.to_lowercase();
            if holds(&lower, &MOVED) {
                return Some(Verdict::Moved(why.to_owned()));
            }
            return Some(self.refused(why.to_owned()));
        }
        let mut options = ours.map_while(|line| Some(line.strip_prefix("option ")?.to_owned()));
        let new = options.find_map(|option| {
            ObjectId::from_hex(option.strip_prefix("new-oid ")?.as_bytes()).ok()
        });
        Some(Verdict::Landed(new))
    }

    fn refused(&self, why: String) -> Verdict {
        let all = format!("{why}\n{}", self.said()).to_lowercase();
        let kind = if holds(&all, &QUOTA) {
            Refusal::Quota
        } else if holds(&all, &PROTECTED) {
            Refusal::Protected
        } else {
            Refusal::Declined
        };
        Verdict::Refused { why, kind }
    }
}

/// Whether a server says by these words that a key or a token may read, and no more.
pub(super) fn is_read_only(said: &str) -> bool {
    holds(&said.to_lowercase(), &READ_ONLY)
}

fn holds(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.contains(word))
}

/// The reference that a line of the report is about.
fn about(line: &str) -> Option<&str> {
    let rest = line
        .strip_prefix("ok ")
        .or_else(|| line.strip_prefix("ng "))?;
    rest.split(' ').next()
}

fn keep(into: &mut Vec<u8>, bytes: &[u8], most: usize) {
    let room = most.saturating_sub(into.len()).min(bytes.len());
    into.extend_from_slice(bytes.get(..room).unwrap_or_default());
}

/// The packet lines in `bytes`, and whether they come to an end.
fn lines(mut bytes: &[u8]) -> (Vec<&[u8]>, bool) {
    let mut lines = Vec::new();
    while let Some((head, rest)) = bytes.split_at_checked(4) {
        let length = std::str::from_utf8(head).ok();
        let length = length.and_then(|hex| usize::from_str_radix(hex, 16).ok());
        match length {
            Some(0) => return (lines, true),
            Some(length) if length >= 4 => match rest.split_at_checked(length - 4) {
                Some((line, rest)) => {
                    lines.push(line);
                    bytes = rest;
                }
                None => return (lines, false),
            },
            _ => return (lines, false),
        }
    }
    (lines, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIN: &str = "refs/heads/main";

    /// An answer in one band, cut into packets of `size` bytes, and words in the other.
    fn answer(report: &[&str], said: &[&str], size: usize) -> Answer {
        let mut bytes = Vec::new();
        for line in report {
            bytes.extend(format!("{:04x}{line}\n", line.len() + 5).bytes());
        }
        bytes.extend(b"0000");
        let mut answer = Answer::default();
        for chunk in bytes.chunks(size) {
            answer.take_banded(&[b"\x01", chunk].concat());
        }
        for words in said {
            answer.take_banded(&[b"\x02", words.as_bytes()].concat());
        }
        answer
    }

    fn refused(why: &str, kind: Refusal) -> Option<Verdict> {
        let why = why.to_owned();
        Some(Verdict::Refused { why, kind })
    }

    #[test]
    fn a_report_is_read_however_it_is_cut() {
        for size in [1, 3, 7, 1000] {
            let answer = answer(&["unpack ok", "ok refs/heads/main"], &[], size);
            assert!(answer.is_whole());
            assert_eq!(answer.verdict(MAIN), Some(Verdict::Landed(None)));
            assert_eq!(answer.verdict("refs/heads/other"), None);
        }
        let mut plain = Answer::default();
        plain.take_line(b"unpack ok\n");
        assert_eq!(plain.verdict(MAIN), None);
        plain.take_line(b"ok refs/heads/main\n");
        assert_eq!(plain.verdict(MAIN), Some(Verdict::Landed(None)));
    }

    #[test]
    fn a_server_may_say_which_commit_it_made_of_ours() {
        let id = "1111111111111111111111111111111111111111";
        let new = format!("option new-oid {id}");
        let lines = [
            "unpack ok",
            "ok refs/heads/main",
            "option forced-update",
            &new,
        ];
        let verdict = answer(&lines, &[], 9).verdict(MAIN);
        let id = ObjectId::from_hex(id.as_bytes()).unwrap();
        assert_eq!(verdict, Some(Verdict::Landed(Some(id))));
    }

    #[test]
    fn each_refusal_is_of_its_kind() {
        let verdict = |ng: &str, said: &[&str]| {
            let line = format!("ng refs/heads/main {ng}");
            answer(&["unpack ok", &line], said, 11).verdict(MAIN)
        };
        for moved in ["non-fast-forward", "fetch first", "failed to update ref"] {
            assert_eq!(verdict(moved, &[]), Some(Verdict::Moved(moved.to_owned())));
        }
        let hook = "pre-receive hook declined";
        assert_eq!(verdict(hook, &["no"]), refused(hook, Refusal::Declined));
        let said = ["Gitea: Not allowed to push to ", "protected branch main\n"];
        assert_eq!(verdict(hook, &said), refused(hook, Refusal::Protected));
        let said = ["remote: the repository has exceeded its Size Limit"];
        assert_eq!(verdict(hook, &said), refused(hook, Refusal::Quota));
        let lines = [
            "unpack index-pack abnormal exit",
            "ng refs/heads/main unpacker error",
        ];
        let said = ["fatal: pack exceeds maximum allowed size\n"];
        let why = "it could not unpack the commit: index-pack abnormal exit";
        let verdict = answer(&lines, &said, 11).verdict(MAIN);
        assert_eq!(verdict, refused(why, Refusal::Quota));
    }

    #[test]
    fn an_answer_that_ends_too_soon_says_nothing() {
        let whole = answer(&["unpack ok", "ok refs/heads/main"], &[], 1000).report;
        for length in 0..whole.len() {
            let mut cut = Answer::default();
            cut.take_banded(&[b"\x01", &whole[..length]].concat());
            assert!(!cut.is_whole(), "{length}");
        }
        for odd in [
            &b""[..],
            b"\x01zzzz",
            b"\x010001",
            b"\x01ffff",
            b"\x01\xff\xff\xff\xff",
        ] {
            let mut answer = Answer::default();
            answer.take_banded(odd);
            assert!(
                !answer.is_whole() && answer.verdict(MAIN).is_none(),
                "{odd:?}"
            );
        }
    }

    #[test]
    fn words_are_kept_without_what_only_counts_and_not_forever() {
        let said = [
            "Resolving deltas:  50% (1/2)\rResolving deltas: 100% (2/2)\n",
            "no way",
            "\nask Ada\n",
        ];
        assert_eq!(answer(&[], &said, 9).said(), "no way\nask Ada");
        let long = "x".repeat(60_000);
        assert_eq!(answer(&[], &[&long, &long], 9).said().len(), MAX_SAID);
        assert!(is_read_only("ERROR: The key has been marked as READ ONLY."));
        assert!(!is_read_only("repository is corrupt"));
    }
}
