//! What would change if rules were in force instead of others, page by page.
//!
//! Pure: who is asked what is the shell's to find out. What two sets of rules say to one Kustomization is compared object by
//! object, so that another wording alone changes nothing.

use std::collections::BTreeSet;

use reeve_api::name::NamespacedName;
use reeve_api::policy::{Effect, NotJudged, ReplayChange, Replayed};

use crate::admit::{Answers, Finding, TOLD, Verdict};
use crate::status::bounded;

/// Kustomizations on one page.
const KUSTOMIZATIONS: usize = 200;
/// Bytes of changes after which no Kustomization is added to a page: one adds 300 KiB at most, and a status may have 1 MiB.
const BYTES: usize = 256 << 10;
/// Changes after which no Kustomization is added to a page.
const CHANGES: usize = 500;
/// Bytes of one text of a rule.
const TEXT: usize = 700;

/// What would become another for a Kustomization if rules said `after` to it where they say `before` now.
pub fn changes(
    kustomization: &NamespacedName,
    before: &Answers,
    after: &Answers,
) -> Vec<ReplayChange> {
    let (old, new) = (Said::of(before), Said::of(after));
    let change = |effect, finding: &Finding| {
        let said = &finding.objection;
        let text = |text: &String| bounded(text, TEXT);
        ReplayChange {
            effect,
            kustomization: kustomization.to_string(),
            message: text(&said.message),
            object: said.object.as_ref().map(text),
            path: said.path.as_ref().map(text),
        }
    };
    let mut changes = Vec::new();
    for finding in &new.denied {
        if !old.denies(finding) {
            changes.push(change(Effect::Denied, finding));
        }
    }
    for finding in &new.warned {
        if !new.denies(finding) && !old.warns(finding) {
            changes.push(change(Effect::Warned, finding));
        }
    }
    for finding in &old.denied {
        if !new.denies(finding) {
            changes.push(change(Effect::Freed, finding));
        }
    }
    changes
}

/// What rules say, and of what.
struct Said<'a> {
    denied: Vec<&'a Finding>,
    warned: Vec<&'a Finding>,
    denied_objects: BTreeSet<Option<&'a str>>,
    warned_objects: BTreeSet<Option<&'a str>>,
}

impl<'a> Said<'a> {
    fn of(answers: &'a Answers) -> Self {
        let all = |verdict: Verdict| {
            let found = answers.findings.iter();
            found
                .filter(move |one| one.verdict == verdict)
                .collect::<Vec<_>>()
        };
        let (denied, warned) = (all(Verdict::Denied), all(Verdict::Warned));
        Self {
            denied_objects: denied.iter().map(|one| object(one)).collect(),
            warned_objects: warned.iter().map(|one| object(one)).collect(),
            denied,
            warned,
        }
    }

    /// Whether they deny what a finding is about. Where not all that they deny is known, they may.
    fn denies(&self, finding: &Finding) -> bool {
        self.denied.len() >= TOLD || self.denied_objects.contains(&object(finding))
    }

    fn warns(&self, finding: &Finding) -> bool {
        self.warned.len() >= TOLD || self.warned_objects.contains(&object(finding))
    }
}

fn object(finding: &Finding) -> Option<&str> {
    finding.objection.object.as_deref()
}

/// A page that is being written.
#[derive(Debug, Default)]
pub struct Page {
    changes: Vec<ReplayChange>,
    not_judged: Vec<NotJudged>,
    judged: usize,
    bytes: usize,
}

impl Page {
    /// Whether nobody is to be added any more.
    pub fn is_full(&self) -> bool {
        self.judged + self.not_judged.len() >= KUSTOMIZATIONS
            || self.bytes >= BYTES
            || self.changes.len() >= CHANGES
    }

    /// Adds what would change for a Kustomization, or why nobody knows.
    pub fn add(
        &mut self,
        kustomization: &NamespacedName,
        found: Result<Vec<ReplayChange>, String>,
    ) {
        match found {
            Ok(changes) => {
                self.judged += 1;
                self.bytes += changes.iter().map(size).sum::<usize>();
                self.changes.extend(changes);
            }
            Err(why) => {
                let why = bounded(&why, TEXT);
                self.bytes += why.len();
                self.not_judged.push(NotJudged {
                    kustomization: kustomization.to_string(),
                    why,
                });
            }
        }
    }

    /// The page as it is told.
    pub fn told(self, generation: i64, in_scope: usize, next: Option<&NamespacedName>) -> Replayed {
        let number = |count| i64::try_from(count).unwrap_or(i64::MAX);
        Replayed {
            changes: self.changes,
            generation,
            in_scope: number(in_scope),
            judged: number(self.judged),
            next: next.map(ToString::to_string),
            not_judged: self.not_judged,
            ..Replayed::default()
        }
    }
}

fn size(change: &ReplayChange) -> usize {
    let texts = [&change.object, &change.path].into_iter().flatten();
    let texts: usize = texts.map(String::len).sum();
    change.message.len() + change.kustomization.len() + texts + 100
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::Objection;
    use reeve_api::policy::Mode;

    /// A verdict, an object and a message.
    type One<'a> = (&'a str, &'a str, &'a str);

    /// What rules say.
    fn answers(said: &[One<'_>]) -> Answers {
        let finding = |(verdict, object, message): &One<'_>| Finding {
            mode: Mode::Audit,
            verdict: match *verdict {
                "denied" => Verdict::Denied,
                _ => Verdict::Warned,
            },
            objection: Objection {
                policy: "p".to_owned(),
                message: (*message).to_owned(),
                object: (!object.is_empty()).then(|| (*object).to_owned()),
                path: None,
                hint: None,
                broken: false,
            },
        };
        Answers {
            findings: said.iter().map(finding).collect(),
            ..Answers::default()
        }
    }

    fn changed(before: &Answers, after: &Answers) -> Vec<String> {
        let changes = changes(&"acme/web".parse().unwrap(), before, after);
        let told = |one: ReplayChange| {
            let object = one.object.unwrap_or_default();
            format!("{} {object}: {}", one.effect.as_str(), one.message)
        };
        changes.into_iter().map(told).collect()
    }

    #[test]
    fn what_changes_is_told_by_object_and_another_wording_is_no_change() {
        type Row<'a> = (&'a [One<'a>], &'a [One<'a>], &'a [&'a str]);
        let rows: &[Row<'_>] = &[
            (&[], &[], &[]),
            (&[], &[("denied", "a", "no")], &["denied a: no"]),
            (&[("denied", "a", "no")], &[], &["freed a: no"]),
            (&[("denied", "a", "no")], &[("denied", "a", "never")], &[]),
            (
                &[("denied", "a", "no")],
                &[("denied", "a", "no"), ("denied", "b", "no")],
                &["denied b: no"],
            ),
            (&[], &[("warned", "a", "hm")], &["warned a: hm"]),
            (&[("warned", "a", "hm")], &[("warned", "a", "well")], &[]),
            (&[("warned", "a", "hm")], &[], &[]),
            (
                &[("denied", "a", "no")],
                &[("warned", "a", "hm")],
                &["warned a: hm", "freed a: no"],
            ),
            (
                &[("warned", "a", "hm")],
                &[("denied", "a", "no"), ("warned", "a", "hm")],
                &["denied a: no"],
            ),
            (
                &[("denied", "", "no")],
                &[("denied", "a", "no")],
                &["denied a: no", "freed : no"],
            ),
        ];
        for (before, after, want) in rows {
            let told = changed(&answers(before), &answers(after));
            assert_eq!(told, *want, "{before:?} {after:?}");
        }
    }

    #[test]
    fn where_not_all_is_known_that_rules_deny_nothing_is_told_as_another() {
        let names: Vec<String> = (0..TOLD).map(|n| format!("a{n}")).collect();
        let many: Vec<_> = names
            .iter()
            .map(|name| ("denied", name.as_str(), "no"))
            .collect();
        let other = [("denied", "b", "no")];
        let freed = changed(&answers(&many), &answers(&other));
        assert_eq!(freed.len(), TOLD);
        assert!(freed.iter().all(|told| told.starts_with("freed")));
        assert_eq!(changed(&answers(&other), &answers(&many)).len(), TOLD);
    }

    #[test]
    fn a_page_is_bounded_and_says_who_could_not_be_judged() {
        let id: NamespacedName = "acme/web".parse().unwrap();
        let long = "x".repeat(2_000);
        let one = changes(&id, &answers(&[]), &answers(&[("denied", "a", &long)]));
        let mut page = Page::default();
        page.add(&id, Err("nobody knows".to_owned()));
        let mut added = 0;
        while !page.is_full() {
            page.add(&id, Ok(one.clone()));
            added += 1;
        }
        assert_eq!(added, KUSTOMIZATIONS - 1);
        let told = page.told(3, 500, Some(&id));
        assert_eq!((told.judged, told.in_scope, told.generation), (199, 500, 3));
        assert_eq!(told.next.as_deref(), Some("acme/web"));
        assert_eq!(told.not_judged.len(), 1);
        assert!(serde_json::to_vec(&told).unwrap().len() < 1 << 20);
        let mut page = Page::default();
        let many: Vec<_> = std::iter::repeat_n(one.first().unwrap().clone(), 300).collect();
        page.add(&id, Ok(many.clone()));
        assert!(!page.is_full());
        page.add(&id, Ok(many));
        assert!(page.is_full());
    }
}
