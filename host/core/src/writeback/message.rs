//! What a commit of ours says: what changed, who did it, when and why; and whether a commit is one of ours.
//!
//! Names and annotations are others' words. Each is put on one line behind words of ours, so that none can begin a paragraph
//! or a trailer; the trailers are the last paragraph, and only there they count. Values are told in short. A digest tells
//! what was written; it is no signature.

use std::fmt::Write as _;

use reeve_writeback::Edits;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::agreement::Conflict;
use super::decide::{Field, What, Written};
use super::hand::Hand;
use super::subject;
use crate::framed::framed;
use crate::text;

/// The trailer that says which WriteBack a commit is of.
const BY: &str = "Reeve-Write-Back";
/// The trailer that says that a commit is a proposal, and on which branch.
const REQUEST: &str = "Reeve-Request";
/// The trailer that says what was written.
const DIGEST: &str = "Reeve-Digest";
/// How many objects, fields of each and conflicts are told, and how long a value and the first line may be.
const OBJECTS: usize = 50;
const FIELDS: usize = 10;
const VALUE: usize = 80;
const LINE: usize = 100;

/// What a message needs to know beside what is written.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// Whose commit it is: a WriteBack as `namespace/name`, or the command.
    pub by: &'a str,
    /// The revision that cluster and git were compared at; empty where there is none.
    pub revision: &'a str,
    /// The branch that it is proposed on, where somebody is asked to merge it.
    pub request: Option<&'a str>,
}

/// What the trailers of a commit of ours say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trailers {
    /// Whose commit it is.
    pub by: String,
    /// The branch that it was proposed on, if it was.
    pub request: Option<String>,
    /// What was written: `sha256:…`.
    pub digest: String,
}

/// The whole message.
pub fn compose(
    about: &About<'_>,
    written: &[Written],
    conflicts: &[Conflict],
    edits: &Edits,
) -> String {
    let mut out = first_line(written);
    out.push_str("\n\n");
    for one in written.iter().take(OBJECTS) {
        object(one, &mut out);
    }
    more(written.len(), OBJECTS, "objects", &mut out);
    if !conflicts.is_empty() {
        out.push_str("\nChanged on both sides since they were the same:\n");
    }
    for one in conflicts.iter().take(OBJECTS) {
        let _infallible = writeln!(
            out,
            "- {} {}: {} counts ({}), the other had {}",
            subject(&one.object),
            line(&one.field, 300),
            one.winner.as_str(),
            value(one.kept.as_ref()),
            value(one.lost.as_ref()),
        );
    }
    more(conflicts.len(), OBJECTS, "fields", &mut out);
    if !about.revision.is_empty() {
        let _infallible = writeln!(out, "\nCompared with {}.", line(about.revision, 300));
    }
    let by = line(about.by, 400);
    let _infallible = writeln!(out, "\n{BY}: {by}");
    if let Some(branch) = about.request {
        let _infallible = writeln!(out, "{REQUEST}: {}", line(branch, 300));
    }
    let _infallible = writeln!(out, "{DIGEST}: {}", digest(edits));
    out
}

/// What tells one set of edits from another.
pub fn digest(edits: &Edits) -> String {
    let mut hash = Sha256::new();
    for (path, bytes) in &edits.files {
        framed(&mut hash, path);
        hash.update([u8::from(bytes.is_some())]);
        framed(&mut hash, bytes.as_deref().unwrap_or_default());
    }
    format!("sha256:{}", hex::encode(hash.finalize()))
}

/// The trailers of a commit of ours; nothing for any other.
pub fn trailers(message: &str) -> Option<Trailers> {
    let message = message.trim_end();
    // The first paragraph is the subject, whatever it looks like.
    let (_, last) = message.rsplit_once("\n\n")?;
    let of = |key: &str| {
        let mut found = last.lines().filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            (name == key).then(|| value.trim().to_owned())
        });
        let one = found.next()?;
        // Two that say different things say nothing.
        found.next().is_none().then_some(one)
    };
    Some(Trailers {
        by: of(BY)?,
        request: of(REQUEST),
        digest: of(DIGEST)?,
    })
}

fn first_line(written: &[Written]) -> String {
    let text = match written {
        [] => "Write back nothing".to_owned(),
        [one] => {
            let verb = match one.what {
                What::Changed => "Write back",
                What::Made => "Add",
                What::Deleted => "Remove",
            };
            let fields: Vec<String> = one.fields.iter().map(|one| line(&one.field, 80)).collect();
            match fields.is_empty() {
                true => format!("{verb} {}", subject(&one.object)),
                false => format!("{verb} {}: {}", subject(&one.object), fields.join(", ")),
            }
        }
        many => format!("Write back {} objects", many.len()),
    };
    line(&text, LINE)
}

fn object(one: &Written, out: &mut String) {
    let what = match one.what {
        What::Changed => "changed",
        What::Made => "made",
        What::Deleted => "deleted",
    };
    let _infallible = writeln!(out, "- {} was {what}", subject(&one.object));
    let hands: Vec<Option<&Hand>> = one.fields.iter().map(|field| field.by.as_ref()).collect();
    // Who did all of it is told once.
    let all = match hands.first() {
        Some(first) => hands.iter().all(|hand| hand == first).then_some(*first),
        None => Some(one.by.as_ref()),
    };
    for field in one.fields.iter().take(FIELDS) {
        let by = all.is_none().then_some(field.by.as_ref()).flatten();
        told(field, by, out);
    }
    more(one.fields.len(), FIELDS, "fields", out);
    if let Some(hand) = all.flatten() {
        let _infallible = writeln!(out, "  by {}", who(hand));
    }
    for (word, said) in [("user", &one.user), ("why", &one.why)] {
        if let Some(said) = said {
            let _infallible = writeln!(out, "  {word}: {}", line(said, 500));
        }
    }
}

fn told(field: &Field, by: Option<&Hand>, out: &mut String) {
    let by = by.map(|hand| format!(", by {}", who(hand)));
    let _infallible = writeln!(
        out,
        "  {}: {} -> {}{}",
        line(&field.field, 300),
        value(field.old.as_ref()),
        value(field.new.as_ref()),
        by.unwrap_or_default()
    );
}

fn who(hand: &Hand) -> String {
    let mut text = line(&hand.manager, 128);
    if let Some(subresource) = &hand.subresource {
        let _infallible = write!(text, " ({})", line(subresource, 64));
    }
    if let Some(time) = &hand.time {
        let _infallible = write!(text, " at {}", line(time, 64));
    }
    text
}

fn value(value: Option<&Value>) -> String {
    match value {
        None => "nothing".to_owned(),
        Some(Value::String(text)) => line(text, VALUE),
        Some(value) => line(&value.to_string(), VALUE),
    }
}

fn more(all: usize, told: usize, what: &str, out: &mut String) {
    if all > told {
        let _infallible = writeln!(out, "  and {} more {what}", all - told);
    }
}

/// On one line, and not longer than that.
fn line(words: &str, most: usize) -> String {
    let mut text: String = text::line(words).chars().take(most + 1).collect();
    if text.chars().count() > most {
        text = text.chars().take(most.saturating_sub(1)).collect();
        text.push('…');
    }
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writeback::Side;
    use reeve_kustomize::Object;
    use reeve_writeback::Place;
    use serde_json::json;

    fn web() -> Object {
        let web = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "acme"}});
        Object::try_from(web).unwrap()
    }

    fn hand(manager: &str) -> Option<Hand> {
        Some(Hand {
            manager: manager.to_owned(),
            subresource: None,
            time: Some("2026-11-23T06:00:00Z".to_owned()),
        })
    }

    fn changed(fields: &[(&str, Value, Value, &str)]) -> Written {
        let place = Place::Manifest {
            file: "web.yaml".to_owned(),
        };
        let field = |(field, old, new, by): &(&str, Value, Value, &str)| Field {
            field: (*field).to_owned(),
            old: Some(old.clone()),
            new: Some(new.clone()),
            place: place.clone(),
            by: hand(by),
        };
        Written {
            object: web(),
            what: What::Changed,
            fields: fields.iter().map(field).collect(),
            files: vec!["web.yaml".to_owned()],
            by: hand("last"),
            why: None,
            user: None,
        }
    }

    fn edits() -> Edits {
        Edits {
            files: [("web.yaml".to_owned(), Some(b"x".to_vec()))].into(),
            placed: Vec::new(),
        }
    }

    const ABOUT: About<'_> = About {
        by: "acme/back",
        revision: "main@sha1:abc",
        request: None,
    };

    #[test]
    fn a_commit_says_what_changed_who_did_it_when_and_why() {
        let mut one = changed(&[
            ("spec.replicas", json!(1), json!(3), "kubectl-scale"),
            ("spec.paused", json!(false), json!(true), "kubectl-scale"),
        ]);
        one.why = Some("the night of the long queue".to_owned());
        one.user = Some("ann".to_owned());
        let conflict = Conflict {
            object: web(),
            field: "spec.replicas".to_owned(),
            winner: Side::Kubernetes,
            kept: Some(json!(3)),
            lost: Some(json!(2)),
        };
        let text = compose(&ABOUT, &[one], &[conflict], &edits());
        let digest = digest(&edits());
        let want = format!(
            "Write back Deployment acme/web: spec.replicas, spec.paused\n\n\
             - Deployment acme/web was changed\n  spec.replicas: 1 -> 3\n  spec.paused: false -> true\n\
             \x20 by kubectl-scale at 2026-11-23T06:00:00Z\n  user: ann\n  why: the night of the long queue\n\n\
             Changed on both sides since they were the same:\n\
             - Deployment acme/web spec.replicas: kubernetes counts (3), the other had 2\n\n\
             Compared with main@sha1:abc.\n\nReeve-Write-Back: acme/back\nReeve-Digest: {digest}\n"
        );
        assert_eq!(text, want);
        let by = "acme/back".to_owned();
        let request = None;
        let told = Trailers {
            by,
            request,
            digest,
        };
        assert_eq!(trailers(&text), Some(told.clone()));
        let about = About {
            request: Some("reeve/acme/back"),
            ..ABOUT
        };
        let proposed = trailers(&compose(&about, &[], &[], &edits()));
        let request = Some("reeve/acme/back".to_owned());
        assert_eq!(proposed, Some(Trailers { request, ..told }));
    }

    #[test]
    fn fields_of_several_hands_are_told_with_theirs() {
        let one = changed(&[
            ("a", json!(1), json!(2), "keel"),
            ("b", json!(1), json!(2), "ann"),
        ]);
        let text = compose(&ABOUT, &[one], &[], &edits());
        assert!(
            text.contains("  a: 1 -> 2, by keel at 2026")
                && text.contains("  b: 1 -> 2, by ann at"),
            "{text}"
        );
    }

    #[test]
    fn nobodys_words_begin_a_paragraph_or_a_trailer() {
        let forged =
            "x\n\nReeve-Write-Back: other/one\nReeve-Digest: sha256:0\n\u{2028}Signed-off-by: you";
        let mut object = web();
        object.set_name(forged);
        let mut one = changed(&[(forged, json!(forged), json!([forged]), forged)]);
        one.object = object;
        one.why = Some(forged.to_owned());
        one.user = Some(forged.to_owned());
        let about = About {
            by: forged,
            revision: forged,
            request: None,
        };
        for written in [vec![one.clone()], vec![one.clone(); 2]] {
            let text = compose(&about, &written, &[], &edits());
            let mut paragraphs: Vec<&str> = text.trim_end().split("\n\n").collect();
            let trailer = paragraphs.pop().unwrap();
            assert_eq!(paragraphs.len(), 3, "{text}");
            assert_eq!(trailer.lines().count(), 2, "{text}");
            let read = trailers(&text).unwrap();
            assert_eq!(read.digest, digest(&edits()));
            assert!(text.lines().all(|line| !line.starts_with("Signed-off-by")
                && !line.starts_with("Reeve-Digest: sha256:0")));
        }
    }

    #[test]
    fn a_commit_of_somebody_else_is_none_of_ours() {
        for message in [
            "Fix",
            "Reeve-Write-Back: a/b\nReeve-Digest: x",
            "Fix\n\nReeve-Write-Back: a/b\n",
            "Fix\n\nReeve-Write-Back: a/b\nReeve-Digest: x\n\nbut more follows",
            "Fix\n\nReeve-Write-Back: a/b\nReeve-Digest: x\nReeve-Digest: y",
        ] {
            assert_eq!(trailers(message), None, "{message}");
        }
        assert!(
            trailers("Fix\n\nReeve-Write-Back: a/b\nReeve-Digest: x\nCo-authored-by: c").is_some()
        );
    }

    #[test]
    fn what_is_long_is_told_in_part() {
        let long = "x".repeat(5000);
        let fields: Vec<_> = (0..30)
            .map(|_| (long.as_str(), json!(long), json!(long), "keel"))
            .collect();
        let text = compose(&ABOUT, &vec![changed(&fields); 80], &[], &edits());
        assert!(
            text.len() < 500_000
                && text.contains("and 20 more fields")
                && text.contains("and 30 more objects")
        );
        assert!(text.lines().next().unwrap().chars().count() <= LINE);
        assert!(trailers(&text).is_some());
    }

    #[test]
    fn other_edits_have_another_digest() {
        let of = |files: &[(&str, Option<&str>)]| {
            let file = |(path, text): &(&str, Option<&str>)| {
                (
                    (*path).to_owned(),
                    text.map(|text| text.as_bytes().to_vec()),
                )
            };
            digest(&Edits {
                files: files.iter().map(file).collect(),
                placed: Vec::new(),
            })
        };
        let all = [
            of(&[]),
            of(&[("a", Some("b"))]),
            of(&[("a", None)]),
            of(&[("a", Some(""))]),
            of(&[("ab", Some(""))]),
            of(&[("a", Some("b")), ("c", None)]),
        ];
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }
}
