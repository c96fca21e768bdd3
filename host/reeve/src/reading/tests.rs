//! Readers that misbehave, and policies that are put to a real one by hand.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use super::*;

/// What a reader writes that has read a policy without tests.
const FIT: &str = r#"printf '\377rv\n\014\0\0\0\0\0\0\0{"Fit":null}'"#;
/// A question can be this long before a pipe is full.
const SHORT: usize = 32 << 10;

fn shell(script: &str) -> Program {
    Program {
        path: "/bin/sh".into(),
        arguments: vec!["-c".into(), script.into()],
    }
}

fn patient(patience: Duration) -> Bounds {
    Bounds {
        patience,
        ..Bounds::default()
    }
}

fn files(source: &str) -> BTreeMap<String, Vec<u8>> {
    BTreeMap::from([("policy.rego".to_owned(), source.as_bytes().to_vec())])
}

async fn read(reader: &Reader, source: &str, share: Share) -> Result<Option<TestResults>, Unread> {
    let (files, parameters) = (files(source), json!({}));
    let rules = Rules {
        name: "p",
        files: &files,
        parameters: &parameters,
    };
    reader.read(rules, share).await
}

/// What a reader does, and what is told of it: that the policy is harmful, or that it may be read another time.
const MISBEHAVIOURS: &[(&str, bool, &str)] = &[
    ("exit 1", true, "its reader crashed on it (exit status: 1)"),
    ("exit 101", true, "crashed on it (exit status: 101)"),
    ("kill -ABRT $$", true, "crashed on it (signal: 6"),
    (
        "kill -SEGV $$",
        true,
        "takes more than the stack of its reader",
    ),
    (
        "echo 'thread main has overflowed its stack' >&2; kill -ABRT $$",
        true,
        "takes more than the stack of its reader",
    ),
    (
        "echo 'memory allocation of 7 bytes failed' >&2; kill -ABRT $$",
        true,
        "takes more than 1024 MiB of memory",
    ),
    (
        "kill -XCPU $$",
        true,
        "takes more than 8s of processor time",
    ),
    ("kill -KILL $$", false, "was killed"),
    // Its words find no reader, and it ends.
    ("yes >&2; exit 1", true, "crashed on it (exit status: 1)"),
    ("exec cat", false, "cannot be understood"),
    // For ever, had it a reader.
    ("exec yes", false, "cannot be understood"),
    (
        r"printf '\377rv\n\377\377\377\377\377\377\377\177'; exec yes",
        false,
        "cannot be understood",
    ),
    (
        r"printf '\377rv\n\005\0\0\0\0\0\0\0truth'; exec cat >/dev/null",
        false,
        "cannot be understood",
    ),
    (
        r"printf '\377rv\n\005\0\0\0\0\0\0\0tr'; kill -KILL $$",
        false,
        "was killed",
    ),
];

#[tokio::test]
async fn a_reader_that_misbehaves_is_told_of_in_words() {
    for (script, harmful, words) in MISBEHAVIOURS {
        let reader = Reader::new(&shell(script), patient(Duration::from_secs(60)));
        let told = read(&reader, "package a", Share::Runs).await;
        let why = match (harmful, told) {
            (true, Err(Unread::Harmful(why))) | (false, Err(Unread::Interrupted(why))) => why,
            (_, other) => panic!("{script}: {other:?}"),
        };
        assert!(why.contains(words), "{script}: {why}");
    }
    let nowhere = Program {
        path: "/nowhere/reeve".into(),
        arguments: Vec::new(),
    };
    let reader = Reader::new(&nowhere, Bounds::default());
    let told = read(&reader, "package a", Share::Runs).await;
    assert!(
        matches!(&told, Err(Unread::Interrupted(why)) if why.contains("does not start")),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_reader_that_says_nothing_is_late_and_stopped() {
    let patience = Duration::from_millis(100);
    let reader = Reader::new(&shell("exec sleep 600"), patient(patience));
    let told = read(&reader, "package a", Share::Runs).await;
    let Err(Unread::Interrupted(why)) = told else {
        panic!("{told:?}");
    };
    assert!(why.ends_with("takes longer than 100ms"), "{why}");
}

#[tokio::test]
async fn what_was_said_is_not_asked_again_and_what_passes_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = directory.path().join("log");
    for (answer, of_two, of_three) in [
        (FIT, 1, 2),
        ("kill -ABRT $$", 1, 2),
        ("kill -KILL $$", 2, 3),
    ] {
        // What is asked is written by then.
        let script = format!("echo asked >> {}; sleep 0.1; {answer}", log.display());
        let reader = Reader::new(&shell(&script), patient(Duration::from_secs(60)));
        for _ in 0..2 {
            let _said = read(&reader, "package a", Share::Runs).await;
        }
        assert_eq!(asked(&log), of_two, "{answer}");
        let _said = read(&reader, "package b", Share::Runs).await;
        assert_eq!(asked(&log), of_three, "{answer}");
        std::fs::remove_file(&log).expect("it is there");
    }
}

fn asked(log: &Path) -> usize {
    let text = std::fs::read_to_string(log).expect("it was asked");
    text.lines().count()
}

#[tokio::test]
async fn policies_that_take_long_keep_no_others_waiting() {
    // What stands in the question is there within one read: it is short, and was written before.
    let script = format!(
        "sleep 0.2; case \"$(dd bs={SHORT} count=1 2>/dev/null | tr -d '\\0')\" in *hangs*) exec sleep 600;; esac; {FIT}"
    );
    let reader = Reader::new(&shell(&script), patient(Duration::from_secs(60)));
    let reader = Arc::new(reader);
    let hanging: Vec<_> = (0..3)
        .map(|n| {
            let reader = Arc::clone(&reader);
            let source = format!("package hangs{n}");
            tokio::spawn(async move { read(&reader, &source, Share::Runs).await })
        })
        .collect();
    // Two of the three have moved on by then, and the third has a place to itself.
    for share in [Share::Runs, Share::Admission, Share::Runs] {
        let said = read(&reader, &format!("package {share:?}"), share).await;
        assert_eq!(said, Ok(None));
    }
    assert!(hanging.iter().all(|one| !one.is_finished()));
    hanging.iter().for_each(|one| one.abort());
}

#[test]
fn a_policy_is_fit_when_it_compiles_and_its_tests_hold() {
    let good = "# METADATA\n# title: t\n# description: d\npackage a\ndeny contains {\"message\": \"m\"} if input.x\n";
    let tests = |rule: &str| format!("package a_test\n{rule}\n");
    let asked = |source: &str, tests: Option<String>| {
        let mut files = files(source);
        files.extend(tests.map(|tests| ("policy_test.rego".to_owned(), tests.into_bytes())));
        fit::fit(&Question {
            name: "p".to_owned(),
            parameters: json!({}),
            files,
        })
    };
    assert_eq!(asked(good, None), Said::Fit(None));
    let holds = "test_it if count(data.a.deny) == 1 with input as {\"x\": true}";
    let tested = TestResults {
        coverage: Some("100%".to_owned()),
        total: 1,
    };
    assert_eq!(asked(good, Some(tests(holds))), Said::Fit(Some(tested)));
    let failed =
        Said::Unfit("1 of its 1 tests fail: policy_test.rego test_it: it is undefined".to_owned());
    assert_eq!(asked(good, Some(tests("test_it if data.a.b"))), failed);
    let Said::Unfit(why) = asked("package a\ndeny contains", None) else {
        panic!("it is cut short");
    };
    assert!(why.starts_with("policy.rego:2:"), "{why}");
}
