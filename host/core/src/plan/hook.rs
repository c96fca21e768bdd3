//! What an object's annotations say about when it is applied: its wave, and whether it is a hook.
//!
//! The words are Argo CD's, so that repositories written for it are read as they are; the same under `reeve.dev/` come
//! first. An annotation that cannot be read is an error: what waits for nothing although its owner wanted it to wait does
//! harm. It deliberately orders nothing (`wave` does) and knows no cluster.

use reeve_kustomize::Object;
use serde_json::Value;

use super::Error;
use super::wave::Phase;

/// Whose annotations are read; what the first of them says comes first.
const PREFIXES: [&str; 2] = ["reeve.dev", "argocd.argoproj.io"];
const WAVE: &str = "sync-wave";
const HOOK: &str = "hook";
const POLICY: &str = "hook-delete-policy";
/// How far waves may lie from 0.
const FURTHEST: i32 = 1_000_000;

/// The annotation of a hook on the cluster that says for which sync, and in which phase, it was created.
pub const MARK: &str = "reeve.dev/sync";

/// When an object is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct When {
    pub(super) wave: i32,
    pub(super) role: Role,
}

/// As what an object is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Role {
    /// It is there from then on.
    Steady,
    /// It never is.
    Skip,
    /// It is run in each of these phases.
    Hook(Vec<Phase>, Goes),
}

/// After which end a hook is deleted. Before it is created, one that was there before always is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Goes {
    pub(super) succeeded: bool,
    pub(super) failed: bool,
}

/// What an object is besides what it holds, where it is a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hook {
    pub(super) phase: Phase,
    pub(super) goes: Goes,
    /// Whether its name is made anew for each sync.
    pub(super) generated: bool,
    /// For which sync and phase it is created; empty until that is known.
    pub(super) mark: String,
}

impl Goes {
    /// Whether one goes that ended well, or did not.
    pub(super) fn after(self, well: bool) -> bool {
        match well {
            true => self.succeeded,
            false => self.failed,
        }
    }
}

/// Whether somebody's annotations say that an object is a hook.
pub fn is_hook(manifest: &Value) -> bool {
    let annotations = manifest.pointer("/metadata/annotations");
    PREFIXES.iter().any(|prefix| {
        let said = annotations.and_then(|all| all.get(format!("{prefix}/{HOOK}")));
        said.is_some()
    })
}

/// Reads what `object` says, which is called `subject`.
pub(super) fn read(object: &Object, subject: &str) -> Result<When, Error> {
    let said = Said { object, subject };
    let wave = match said.of(WAVE)? {
        Some((key, text)) => said.wave(key, text)?,
        None => 0,
    };
    let goes = match said.of(POLICY)? {
        Some((key, text)) => said.goes(key, text)?,
        None => Goes::default(),
    };
    let role = match said.of(HOOK)? {
        Some((key, text)) => said.role(key, text, goes)?,
        None => Role::Steady,
    };
    Ok(When { wave, role })
}

/// What one object says.
struct Said<'o> {
    object: &'o Object,
    subject: &'o str,
}

impl<'o> Said<'o> {
    /// What stands under `name`, and under which key.
    fn of(&self, name: &str) -> Result<Option<(String, &'o str)>, Error> {
        let Some(annotations) = self.object.annotations() else {
            return Ok(None);
        };
        let mut first: Option<(String, &str)> = None;
        for prefix in PREFIXES {
            let key = format!("{prefix}/{name}");
            let text = match annotations.get(&key) {
                None | Some(Value::Null) => continue,
                Some(Value::String(text)) => text.trim(),
                Some(_) => return self.refuse(key, "is not a text; put it in quotes"),
            };
            match &first {
                None => first = Some((key, text)),
                Some((other, before)) if *before != text => {
                    let why = format!("says something else than {other}; remove one of the two");
                    return self.refuse(key, why);
                }
                Some(_) => {}
            }
        }
        Ok(first)
    }

    fn wave(&self, key: String, text: &str) -> Result<i32, Error> {
        match text.parse::<i32>() {
            Ok(wave) if (-FURTHEST..=FURTHEST).contains(&wave) => Ok(wave),
            _ => self.refuse(
                key,
                format!("is no whole number from -{FURTHEST} to {FURTHEST}"),
            ),
        }
    }

    fn goes(&self, key: String, text: &str) -> Result<Goes, Error> {
        let mut goes = Goes::default();
        for word in words(text) {
            match word {
                "HookSucceeded" => goes.succeeded = true,
                "HookFailed" => goes.failed = true,
                "BeforeHookCreation" => {}
                _ => {
                    let why = "is no list of HookSucceeded, HookFailed and BeforeHookCreation";
                    return self.refuse(key, why);
                }
            }
        }
        Ok(goes)
    }

    fn role(&self, key: String, text: &str, goes: Goes) -> Result<Role, Error> {
        let mut phases = Vec::new();
        let mut skip = false;
        for word in words(text) {
            let phase = Phase::ALL.into_iter().find(|phase| phase.as_str() == word);
            match phase {
                Some(phase) if !phases.contains(&phase) => phases.push(phase),
                Some(_) => {}
                None if word == "Skip" => skip = true,
                None => {
                    let why =
                        "is no list of PreSync, Sync, PostSync, SyncFail, PostDelete and Skip";
                    return self.refuse(key, why);
                }
            }
        }
        Ok(match (skip, phases.is_empty()) {
            (true, _) => Role::Skip,
            (false, true) => Role::Steady,
            (false, false) => Role::Hook(phases, goes),
        })
    }

    fn refuse<T>(&self, annotation: String, why: impl Into<String>) -> Result<T, Error> {
        Err(Error::Annotation {
            subject: self.subject.to_owned(),
            annotation,
            why: why.into(),
        })
    }
}

/// The words of a list with commas.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(annotations: &Value) -> Result<When, String> {
        let object = json!({"kind": "Job", "metadata": {"annotations": annotations}});
        let object = Object::try_from(object).unwrap();
        read(&object, "Job/acme/a").map_err(|why| why.to_string())
    }

    fn hook(phases: &[Phase], succeeded: bool, failed: bool) -> Role {
        Role::Hook(phases.to_vec(), Goes { succeeded, failed })
    }

    #[test]
    fn annotations_say_when_an_object_is_applied_and_as_what() {
        use Phase::{PostDelete, PostSync, PreSync, Sync, SyncFail};
        let (wave, hooks, policy) = (
            "argocd.argoproj.io/sync-wave",
            "argocd.argoproj.io/hook",
            "argocd.argoproj.io/hook-delete-policy",
        );
        for (annotations, want, role) in [
            (json!({}), 0, Role::Steady),
            (json!({wave: "5"}), 5, Role::Steady),
            (json!({wave: " -5 "}), -5, Role::Steady),
            (json!({"reeve.dev/sync-wave": "+3"}), 3, Role::Steady),
            (
                json!({wave: "3", "reeve.dev/sync-wave": "3"}),
                3,
                Role::Steady,
            ),
            (json!({wave: null}), 0, Role::Steady),
            (json!({hooks: ""}), 0, Role::Steady),
            (json!({hooks: "PreSync"}), 0, hook(&[PreSync], false, false)),
            (
                json!({hooks: "PreSync, PostSync,PreSync", wave: "1"}),
                1,
                hook(&[PreSync, PostSync], false, false),
            ),
            (
                json!({"reeve.dev/hook": "Sync,SyncFail,PostDelete", policy: "HookSucceeded,HookFailed"}),
                0,
                hook(&[Sync, SyncFail, PostDelete], true, true),
            ),
            (
                json!({hooks: "Sync", policy: "BeforeHookCreation"}),
                0,
                hook(&[Sync], false, false),
            ),
            (json!({hooks: "Skip"}), 0, Role::Skip),
            (json!({hooks: "PreSync,Skip"}), 0, Role::Skip),
            (json!({policy: "HookFailed"}), 0, Role::Steady),
        ] {
            let told = said(&annotations).unwrap();
            assert_eq!(told, When { wave: want, role }, "{annotations}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_annotation_and_not_quoted() {
        for (annotations, want) in [
            (
                json!({"reeve.dev/sync-wave": "hunter2"}),
                "reeve.dev/sync-wave is no whole number from -1000000 to 1000000",
            ),
            (
                json!({"argocd.argoproj.io/sync-wave": "1000001"}),
                "argocd.argoproj.io/sync-wave is no whole number from -1000000 to 1000000",
            ),
            (
                json!({"argocd.argoproj.io/sync-wave": 1}),
                "argocd.argoproj.io/sync-wave is not a text; put it in quotes",
            ),
            (
                json!({"argocd.argoproj.io/hook": "presync"}),
                "argocd.argoproj.io/hook is no list of PreSync, Sync, PostSync, SyncFail, PostDelete and Skip",
            ),
            (
                json!({"argocd.argoproj.io/hook-delete-policy": "HookSucceeded,Never"}),
                "argocd.argoproj.io/hook-delete-policy is no list of HookSucceeded, HookFailed and BeforeHookCreation",
            ),
            (
                json!({"argocd.argoproj.io/sync-wave": "1", "reeve.dev/sync-wave": "2"}),
                "argocd.argoproj.io/sync-wave says something else than reeve.dev/sync-wave; remove one of the two",
            ),
        ] {
            let why = said(&annotations).unwrap_err();
            assert_eq!(why, format!("Job/acme/a: annotation {want}"));
        }
    }

    #[test]
    fn a_manifest_is_a_hook_of_whoever_says_so() {
        for (key, is) in [
            ("argocd.argoproj.io/hook", true),
            ("reeve.dev/hook", true),
            ("argocd.argoproj.io/sync-wave", false),
        ] {
            let manifest = json!({"metadata": {"annotations": {key: "Sync"}}});
            assert_eq!(is_hook(&manifest), is, "{key}");
        }
        assert!(!is_hook(&json!({})));
    }
}
