//! One thing that is another a row, and a forge in memory for whole stories.

use reeve_api::meta::Time;
use serde_json::{Value, json};

use super::*;

const FIRST: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
const SECOND: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";

fn parse(url: &str, annotations: Value, secret: Value) -> Result<Option<Wish>, Error> {
    let object = json!({
        "metadata": {"namespace": "acme", "name": "web", "annotations": annotations},
        "spec": {"interval": "1m", "timeout": "60s", "url": url, "secretRef": secret},
    });
    let object = serde_json::from_value(object).unwrap();
    Wish::parse(&object, &url.parse().unwrap())
}

const SSH: &str = "ssh://git@git.example/acme/web";
const HTTPS: &str = "https://git.example/acme/web";

#[test]
fn a_key_is_looked_after_where_that_is_asked_for() {
    let generated = json!({"reeve.dev/generate-key": "ed25519"});
    let wish = parse(SSH, generated.clone(), Value::Null).unwrap().unwrap();
    assert_eq!(wish.secret.as_str(), "web-deploy-key");
    assert!(wish.generates && wish.provider.is_none());
    let wish = parse(SSH, generated, json!({"name": "mine"})).unwrap();
    assert_eq!(wish.unwrap().secret.as_str(), "mine");

    let provider = json!({"reeve.dev/provider": "forge"});
    let wish = parse(SSH, provider.clone(), json!({"name": "mine"})).unwrap();
    let wish = wish.unwrap();
    assert_eq!(wish.provider.unwrap().as_str(), "forge");
    assert!(!wish.generates);

    // Over https a provider brings a login; and whoever asks for nothing gets nothing.
    for (url, annotations, secret) in [
        (HTTPS, provider.clone(), Value::Null),
        (SSH, provider, Value::Null),
        (SSH, json!({}), json!({"name": "mine"})),
    ] {
        assert_eq!(parse(url, annotations, secret), Ok(None));
    }
}

#[test]
fn what_cannot_be_meant_is_refused_with_the_annotation() {
    let generated = |more: Value| {
        let mut all = json!({"reeve.dev/generate-key": "ed25519"});
        let more = more.as_object().unwrap().clone();
        all.as_object_mut().unwrap().extend(more);
        all
    };
    let long = "x".repeat(254);
    for (url, annotations, want) in [
        (
            SSH,
            json!({"reeve.dev/generate-key": "rsa"}),
            "generate-key]: the algorithm",
        ),
        (
            HTTPS,
            generated(json!({})),
            "generate-key]: the key is for ssh",
        ),
        (
            SSH,
            json!({"reeve.dev/rotate-key": "1"}),
            "rotate-key]: only a key",
        ),
        (
            SSH,
            json!({"reeve.dev/rotate-key-every": "24h"}),
            "rotate-key]: only a key",
        ),
        (
            SSH,
            generated(json!({"reeve.dev/rotate-key": long})),
            "rotate-key]: it is longer",
        ),
        (
            SSH,
            generated(json!({"reeve.dev/rotate-key-every": "59m"})),
            "rotate-key-every]: the shortest",
        ),
        (
            SSH,
            generated(json!({"reeve.dev/rotate-key-every": "often"})),
            "rotate-key-every]: ",
        ),
        (
            SSH,
            generated(json!({"reeve.dev/provider": "No Name"})),
            "provider]: ",
        ),
    ] {
        let told = parse(url, annotations, Value::Null).unwrap_err();
        assert!(told.to_string().contains(want), "{told}");
    }
}

fn at(hour: i64) -> Timestamp {
    Timestamp::from_second(hour * 3600).unwrap()
}

fn wish() -> Wish {
    Wish {
        secret: "web-deploy-key".parse().unwrap(),
        generates: true,
        provider: Some("forge".parse().unwrap()),
        writable: false,
        rotation: None,
        every: None,
    }
}

fn site() -> Site {
    Site {
        cluster: Some("prod".into()),
        id: "acme/web".parse().unwrap(),
        repository: "ssh://git.example/acme/web".into(),
        shared: BTreeSet::new(),
    }
}

/// A run, with a Secret and a forge that do as they are told, up to the step that fails; what it did.
struct Story {
    wish: Option<Wish>,
    site: Site,
    record: DeployKey,
    secret: (Option<String>, Option<String>),
    forge: BTreeSet<String>,
    /// Titles of those that may push.
    writable: BTreeSet<String>,
    fresh: Vec<&'static str>,
    look: bool,
    now: Timestamp,
}

impl Story {
    fn new() -> Self {
        Self {
            wish: Some(wish()),
            site: site(),
            record: DeployKey::default(),
            secret: (None, None),
            forge: BTreeSet::new(),
            writable: BTreeSet::new(),
            fresh: vec![SECOND, FIRST],
            look: false,
            now: at(0),
        }
    }

    fn run(&mut self, most: usize) -> Vec<&'static str> {
        let mut facts = Facts {
            current: self.secret.0.clone(),
            next: self.secret.1.clone(),
            ..Facts::default()
        };
        let mut done = Vec::new();
        while done.len() < most {
            let case = Case {
                wish: self.wish.as_ref(),
                site: &self.site,
                record: &self.record,
                facts: &facts,
                look: self.look,
                now: self.now,
            };
            done.push(match case.step() {
                Step::Rest => break,
                Step::Make => {
                    self.secret.0 = self.fresh.pop().map(str::to_owned);
                    self.record.generated_at = Some(Time(self.now));
                    self.record.last_handled_rotation =
                        self.wish.as_ref().unwrap().rotation.clone();
                    "make"
                }
                Step::MakeNext => {
                    self.secret.1 = self.fresh.pop().map(str::to_owned);
                    self.record.last_handled_rotation =
                        self.wish.as_ref().unwrap().rotation.clone();
                    self.record.generated_at = Some(Time(self.now));
                    "make next"
                }
                Step::Put(entry, public) => {
                    assert!(entry.title.ends_with(&fingerprint(&public)));
                    if !self.record.at_forge.contains(&entry) {
                        self.record.at_forge.retain(|one| !one.is(&entry));
                        self.record.at_forge.push(entry.clone());
                    }
                    self.forge.insert(entry.title.clone());
                    self.writable.remove(&entry.title);
                    self.writable
                        .extend(entry.writable.then(|| entry.title.clone()));
                    facts.put.insert(entry);
                    "put"
                }
                Step::Prove => {
                    let next = facts.next.as_ref().unwrap();
                    assert!(self.forge.contains(&self.title(next)));
                    facts.proven = true;
                    "prove"
                }
                Step::Switch => {
                    self.secret = (self.secret.1.take(), None);
                    "switch"
                }
                Step::Take(entry) => {
                    self.forge.remove(&entry.title);
                    self.record.at_forge.retain(|one| *one != entry);
                    "take"
                }
                Step::Leave(entry) => {
                    self.record.at_forge.retain(|one| *one != entry);
                    "leave"
                }
            });
            facts.current.clone_from(&self.secret.0);
            facts.next.clone_from(&self.secret.1);
            self.record.public_key.clone_from(&self.secret.0);
        }
        done
    }

    /// What a key is called at the forge.
    fn title(&self, public: &str) -> String {
        let entry = self.site.entry(&wish(), &self.record, public);
        entry.unwrap().title
    }

    /// What another object sees of this one.
    fn shows(&self) -> BTreeSet<KeyAtForge> {
        let wants = self.wish.as_ref().map(|wish| wish.writable);
        in_use(&self.record, wants, &self.site.repository).collect()
    }

    /// Another object with the same Secret and repository, at the same forge.
    fn beside(&self, id: &str) -> Self {
        let mut other = Self::new();
        other.site.id = id.parse().unwrap();
        other.site.shared = self.shows();
        other.secret.clone_from(&self.secret);
        other.forge.clone_from(&self.forge);
        other
    }
}

#[test]
fn a_key_is_made_and_put_at_the_forge_once_and_taken_away_when_nobody_wants_it() {
    let mut story = Story::new();
    assert_eq!(story.run(9), ["make", "put"]);
    let want = format!("reeve prod acme/web {}", fingerprint(FIRST));
    assert_eq!(story.forge, BTreeSet::from([want]));
    assert!(story.run(9).is_empty(), "nothing is asked of the forge");
    story.look = true;
    assert_eq!(story.run(9), ["put"], "something does not work");
    story.look = false;
    story.wish = None;
    assert_eq!(story.run(9), ["take"]);
    assert!(story.forge.is_empty() && story.record.at_forge.is_empty());
}

#[test]
fn a_key_that_was_brought_along_is_never_replaced_unasked() {
    let mut story = Story::new();
    story.secret.0 = Some(FIRST.into());
    assert_eq!(story.run(9), ["put"]);
    story.wish.as_mut().unwrap().every = Some(SHORTEST);
    story.now = at(9_999);
    assert!(story.run(9).is_empty(), "nobody knows how old it is");

    let mut story = Story::new();
    story.wish.as_mut().unwrap().generates = false;
    assert!(story.run(9).is_empty(), "there is none, and none is made");
}

#[test]
fn between_two_keys_there_is_no_moment_without_one() {
    let whole = ["make next", "put", "prove", "switch", "take"];
    for stopped in 0..=whole.len() {
        let mut story = Story::new();
        story.run(9);
        story.wish.as_mut().unwrap().rotation = Some("1".into());
        let mut done = story.run(stopped);
        let used = story.secret.0.clone().unwrap();
        let title = story.title(&used);
        assert!(story.forge.contains(&title), "stopped after {done:?}");
        // Proving is no effect, so whoever was stopped after it proves once more.
        if done.last() == Some(&"prove") {
            done.pop();
        }
        let rest = story.run(9);
        assert_eq!([done, rest].concat(), whole);
        assert_eq!(story.secret, (Some(SECOND.into()), None));
        assert_eq!(story.forge.len(), 1);
        assert!(story.run(9).is_empty(), "the same value asks for nothing");
    }
}

#[test]
fn a_key_that_is_old_enough_is_made_anew_where_somebody_can_put_it_at_the_forge() {
    let mut story = Story::new();
    story.wish.as_mut().unwrap().every = Some(Duration::from_secs(24 * 3600));
    story.run(9);
    story.now = at(23);
    assert!(story.run(9).is_empty());
    story.now = at(24);
    story.wish.as_mut().unwrap().provider = None;
    assert_eq!(story.run(9), ["take"], "nobody else can put one there");
    story.wish = Some(Wish {
        every: Some(Duration::from_secs(24 * 3600)),
        ..wish()
    });
    let want = ["put", "make next", "put", "prove", "switch", "take"];
    assert_eq!(story.run(9), want);
}

#[test]
fn a_key_moves_with_its_repository_and_only_what_is_recorded_is_taken_away() {
    let mut story = Story::new();
    story.run(9);
    story.forge.insert("somebody else's".into());
    story.site.repository = "ssh://git.example/acme/shop".into();
    assert_eq!(story.run(9), ["put", "take"]);
    assert_eq!(story.record.at_forge.len(), 1);
    assert_eq!(
        story.record.at_forge[0].repository,
        "ssh://git.example/acme/shop"
    );
    assert!(story.forge.contains("somebody else's"));
}

#[test]
fn a_key_of_another_namespace_is_not_taken_for_ones_own() {
    let site = Site {
        cluster: Some("north".to_owned()),
        id: "acme/shop".parse().unwrap(),
        ..site()
    };
    let record = DeployKey::default();
    let ours = site.entry(&wish(), &record, FIRST).unwrap().title;
    for (title, want) in [
        (ours.clone(), true),
        (ours.replace("north ", ""), true),
        (ours.replace("acme/shop", "acme/web"), true),
        (ours.replace("acme/shop", "xacme/shop"), false),
        (ours.replace("acme/shop", "other/acme"), false),
        (ours.replace("acme/shop", "other/acme/shop"), false),
        ("deploy of acme/shop SHA256:x".to_owned(), false),
        ("acme/shop SHA256:x".to_owned(), false),
        ("reeve acme/shop key".to_owned(), false),
    ] {
        assert_eq!(is_within(&title, &site.id.namespace), want, "{title}");
    }
}

#[test]
fn a_key_pushes_only_where_that_is_asked_for() {
    let mut story = Story::new();
    story.run(9);
    assert!(story.writable.is_empty());
    assert!(!story.record.at_forge[0].writable);
    for (value, want) in [("read-only", false), ("read-write", true)] {
        let annotations = json!({
            "reeve.dev/generate-key": "ed25519", "reeve.dev/provider": "forge", "reeve.dev/deploy-key": value,
        });
        let wish = parse(SSH, annotations, Value::Null).unwrap();
        assert_eq!(wish.unwrap().writable, want, "{value}");
    }
    let forge = json!({"reeve.dev/provider": "forge"});
    let wish = parse(SSH, forge, json!({"name": "mine"})).unwrap();
    assert!(!wish.unwrap().writable, "nobody asks for it");
    for (annotations, words) in [
        (
            json!({"reeve.dev/deploy-key": "write"}),
            "read-only or read-write",
        ),
        (
            json!({"reeve.dev/deploy-key": "read-write"}),
            "name who does",
        ),
        (
            json!({"reeve.dev/deploy-key": "read-write", "reeve.dev/generate-key": "ed25519"}),
            "name who does",
        ),
    ] {
        let told = parse(SSH, annotations, Value::Null).unwrap_err();
        assert!(told.to_string().contains(words), "{told}");
    }
}

#[test]
fn a_generated_key_that_is_to_push_is_another_one_and_overlaps_the_old_one() {
    let mut story = Story::new();
    story.run(9);
    let old = story.title(FIRST);
    story.wish.as_mut().unwrap().writable = true;
    let whole = ["make next", "put", "prove", "switch", "take"];
    assert_eq!(story.run(3), whole[..3]);
    assert!(story.forge.contains(&old), "until the new one is in use");
    assert_eq!(story.run(9), whole[2..], "who was stopped proves once more");
    let new = BTreeSet::from([story.title(SECOND)]);
    assert_eq!((&story.forge, &story.writable), (&new, &new));
    assert!(story.run(9).is_empty());
    // And back again, by a third one.
    story.fresh = vec![FIRST];
    story.wish.as_mut().unwrap().writable = false;
    assert_eq!(story.run(9), whole);
    assert!(!story.record.at_forge[0].writable);
}

#[test]
fn a_key_that_was_brought_along_is_let_push_in_its_place() {
    let mut story = Story::new();
    story.secret.0 = Some(FIRST.into());
    story.wish.as_mut().unwrap().generates = false;
    assert_eq!(story.run(9), ["put"]);
    story.wish.as_mut().unwrap().writable = true;
    assert_eq!(story.run(9), ["put"], "nobody here makes another one");
    assert_eq!(story.writable, BTreeSet::from([story.title(FIRST)]));
    assert_eq!(story.record.at_forge.len(), 1);
    assert!(story.run(9).is_empty());
}

#[test]
fn a_shared_key_keeps_its_title_until_the_last_who_wants_it_goes() {
    let mut web = Story::new();
    web.run(9);
    let title = web.title(FIRST);
    let mut api = web.beside("acme/api");
    assert_eq!(api.run(9), ["put"], "under the title that it has");
    assert_eq!(api.forge, BTreeSet::from([title.clone()]));
    for _ in 0..2 {
        web.site.shared = api.shows();
        assert!(web.run(9).is_empty(), "nobody fights over it");
        api.site.shared = web.shows();
        assert!(api.run(9).is_empty(), "nobody fights over it");
    }
    // Who goes leaves it to the other, which keeps it although it is called after somebody else.
    web.wish = None;
    assert_eq!(web.run(9), ["leave"]);
    api.site.shared = BTreeSet::new();
    assert!(api.run(9).is_empty());
    assert_eq!(api.title(FIRST), title);
    api.wish = None;
    assert_eq!(api.run(9), ["take"]);
    assert!(api.forge.is_empty());
}

#[test]
fn a_key_stays_where_it_is_when_its_repository_is_spelled_in_another_way() {
    for (spelling, provider) in [
        ("ssh://git.example/Acme/web.git", "forge"),
        ("https://git.example/acme/web", "forge"),
        ("ssh://git.example/acme/web", "another"),
    ] {
        let mut story = Story::new();
        story.run(9);
        let title = story.title(FIRST);
        story.site.repository = spelling.to_owned();
        let wish = story.wish.as_mut().unwrap();
        wish.provider = Some(provider.parse().unwrap());
        assert_eq!(story.run(9), ["put", "leave"], "{spelling} {provider}");
        assert_eq!(story.forge, BTreeSet::from([title]), "{spelling}");
        assert_eq!(story.record.at_forge.len(), 1, "{spelling}");
    }
    let mut moved = Story::new();
    moved.run(9);
    moved.site.repository = "ssh://git.example:2222/acme/web".to_owned();
    assert_eq!(moved.run(9), ["put", "take"], "another server");
}

#[test]
fn who_spells_a_repository_in_another_way_shares_its_key_all_the_same() {
    let mut web = Story::new();
    web.run(9);
    let mut api = web.beside("acme/api");
    api.site.repository = "ssh://git.example/acme/web.git".to_owned();
    api.site.shared = in_use(&web.record, Some(false), &api.site.repository).collect();
    assert_eq!(api.run(9), ["put"], "under the title that it has");
    assert_eq!(api.record.at_forge[0].title, web.title(FIRST));
    api.wish = None;
    assert_eq!(api.run(9), ["leave"], "the other has it in use");
}

#[test]
fn two_who_put_one_key_at_the_same_time_settle_on_one_title() {
    let (mut web, mut api) = (Story::new(), Story::new());
    api.site.id = "acme/api".parse().unwrap();
    api.secret.0 = Some(FIRST.into());
    web.run(9);
    api.run(9);
    assert_ne!(web.shows(), api.shows());
    (web.site.shared, api.site.shared) = (api.shows(), web.shows());
    let done = (web.run(9), api.run(9));
    assert_eq!(done, (vec!["put", "take"], vec![]));
    assert_eq!(web.title(FIRST), api.title(FIRST));
}

#[test]
fn a_shared_key_may_push_as_long_as_one_of_them_wants_that() {
    let mut web = Story::new();
    web.wish.as_mut().unwrap().writable = true;
    web.run(9);
    let mut api = web.beside("acme/api");
    api.fresh = vec![SECOND];
    assert_eq!(api.run(9), ["put"]);
    assert!(api.record.at_forge[0].writable, "else they would fight");
    // The one that wanted it does not any more. What the other had recorded for its sake holds nobody to it.
    web.wish.as_mut().unwrap().writable = false;
    web.site.shared = api.shows();
    let want = ["make next", "put", "prove", "switch", "leave"];
    assert_eq!(web.run(9), want, "nobody wants it any more");
    api.secret.clone_from(&web.secret);
    api.site.shared = web.shows();
    assert_eq!(api.run(9), ["put", "take"]);
    for story in [&web, &api] {
        let at_forge = &story.record.at_forge;
        assert!(at_forge.len() == 1 && !at_forge[0].writable, "{at_forge:?}");
    }
}

#[test]
fn a_shared_key_reads_again_when_the_one_that_wanted_more_is_gone() {
    let mut web = Story::new();
    web.wish.as_mut().unwrap().writable = true;
    web.run(9);
    let mut api = web.beside("acme/api");
    api.fresh = vec![SECOND];
    assert_eq!(api.run(9), ["put"]);
    api.site.shared = BTreeSet::new();
    let want = ["make next", "put", "prove", "switch", "take"];
    assert_eq!(api.run(9), want);
    assert!(!api.record.at_forge[0].writable);
}
