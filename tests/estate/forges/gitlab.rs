//! GitLab: a token that may do all, and what it keeps of projects.
//!
//! Its description is in no registry. So its answers have the fields and types of a client that others wrote, which reads them in a
//! scenario, and requests may have only the fields that its documentation names.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::things::{Things, page};
use super::{Asked, Told};
use crate::secrecy;

/// Where its API is.
const API: &str = "gitlab/api/v4";
/// How many things a page has unless it is said.
const USUAL: usize = 20;
/// Who is there, by their numbers.
const PEOPLE: [(u64, &str); 2] = [(41, "ada"), (42, "grace")];
const MADE: &str = "2026-11-22T12:00:00.000Z";
/// What a hook may be called for.
const EVENTS: [&str; 16] = [
    "push_events",
    "issues_events",
    "confidential_issues_events",
    "merge_requests_events",
    "tag_push_events",
    "note_events",
    "confidential_note_events",
    "job_events",
    "pipeline_events",
    "wiki_page_events",
    "deployment_events",
    "releases_events",
    "milestone_events",
    "feature_flag_events",
    "emoji_events",
    "resource_access_token_events",
];
const HOOK: [&str; 5] = [
    "url",
    "token",
    "enable_ssl_verification",
    "push_events_branch_filter",
    "branch_filter_strategy",
];

pub(super) struct GitLab {
    pub(super) token: String,
    projects: BTreeSet<String>,
    pub(super) things: Things,
}

type Answered = Result<Told, Told>;

fn refused(status: u16, message: &str) -> Told {
    Told::new(status, json!({"message": message}))
}

fn gone() -> Told {
    refused(404, "404 Not Found")
}

impl GitLab {
    pub(super) fn new(projects: &[&str]) -> Self {
        let token = format!("glpat-{:032x}", rand::random::<u128>());
        secrecy::used(&token);
        Self {
            token,
            projects: projects.iter().map(|&one| one.to_owned()).collect(),
            things: Things::default(),
        }
    }

    pub(super) fn answer(
        &mut self,
        asked: &Asked,
        at: SocketAddr,
        faults: &mut Vec<String>,
    ) -> Told {
        faults.extend(unknown(asked));
        self.attempt(asked, at).unwrap_or_else(|refused| refused)
    }

    fn attempt(&mut self, asked: &Asked, at: SocketAddr) -> Answered {
        let proof = asked.proof.trim_start_matches("Bearer ");
        if proof != self.token {
            return Err(refused(401, "401 Unauthorized"));
        }
        let path: Vec<&str> = asked.path.iter().map(String::as_str).collect();
        if let (["users"], Some(name)) = (path.as_slice(), asked.query.get("username")) {
            let all = PEOPLE.iter().filter(|(_, known)| known == name);
            let all = all.map(|(id, name)| json!({"id": id, "username": name, "state": "active"}));
            return Ok(page(all.collect(), asked, at, API, USUAL));
        }
        let ["projects", project, rest @ ..] = path.as_slice() else {
            return Err(gone());
        };
        if !self.projects.contains(*project) {
            return Err(refused(404, "404 Project Not Found"));
        }
        match rest {
            ["deploy_keys", ..] => self.keys(asked, at, project, rest),
            ["hooks", ..] => self.hooks(asked, at, project, rest),
            ["repository", "commits", sha, "statuses"] => {
                let named = asked.query.get("name");
                let all = self.things.of(project, "statuses").iter();
                let all = all.filter(|one| one["sha"] == **sha);
                let all = all.filter(|one| named.is_none_or(|name| one["name"] == **name));
                Ok(page(all.cloned().collect(), asked, at, API, USUAL))
            }
            ["statuses", sha] if asked.method == "POST" => self.status(asked, project, sha),
            ["merge_requests", ..] => self.merges(asked, at, project, rest),
            _ => Err(gone()),
        }
    }

    fn keys(&mut self, asked: &Asked, at: SocketAddr, project: &str, rest: &[&str]) -> Answered {
        let things = &mut self.things;
        match (asked.method.as_str(), rest) {
            ("GET", ["deploy_keys"]) => {
                let all = things.of(project, "keys").clone();
                Ok(page(all, asked, at, API, USUAL))
            }
            ("POST", ["deploy_keys"]) => {
                let same = |one: &Value| one["key"] == asked.body["key"];
                for known in &self.projects {
                    if things.of(known, "keys").iter().any(same) {
                        let taken = json!({"deploy_key.fingerprint": ["has already been taken"]});
                        return Err(Told::new(400, json!({"message": taken})));
                    }
                }
                let key = json!({
                    "id": things.number(), "title": asked.body["title"], "key": asked.body["key"],
                    "fingerprint": "4a:9d:64:15:ed:3a:e6:07:6e:89:36:b3:3b:03:05:d9",
                    "fingerprint_sha256": "SHA256:Jrs3LD1Ji30xNLtTVf9NDCj7kkBgPBb2pjvTZ3HfIgU",
                    "created_at": MADE, "expires_at": null, "can_push": asked.body["can_push"] == true,
                });
                things.of(project, "keys").push(key.clone());
                Ok(Told::new(201, key))
            }
            ("PUT", ["deploy_keys", id]) => {
                let key = things.find(project, "keys", "id", id).ok_or_else(gone)?;
                lay(key, &asked.body, &["title", "can_push"]);
                Ok(Told::new(200, key.clone()))
            }
            ("DELETE", ["deploy_keys", id]) if things.remove(project, "keys", id) => {
                Ok(Told::nothing())
            }
            _ => Err(gone()),
        }
    }

    fn hooks(&mut self, asked: &Asked, at: SocketAddr, project: &str, rest: &[&str]) -> Answered {
        let things = &mut self.things;
        match (asked.method.as_str(), rest) {
            ("GET", ["hooks"]) => {
                let all = things.of(project, "hooks").iter().map(shown).collect();
                Ok(page(all, asked, at, API, USUAL))
            }
            ("GET", ["hooks", id, "events"]) => {
                things.find(project, "hooks", "id", id).ok_or_else(gone)?;
                Ok(Told::new(200, json!([])))
            }
            ("POST", ["hooks"]) => {
                let mut hook = json!({
                    "id": things.number(), "project_id": 1, "name": "", "description": "",
                    "enable_ssl_verification": true, "repository_update_events": false,
                    "alert_status": "executable", "disabled_until": null, "url_variables": [],
                    "created_at": MADE, "custom_webhook_template": "", "custom_headers": [],
                    "push_events_branch_filter": "", "branch_filter_strategy": "wildcard",
                });
                for name in EVENTS {
                    hook[name] = json!(name == "push_events");
                }
                lay(&mut hook, &asked.body, &EVENTS);
                lay(&mut hook, &asked.body, &HOOK);
                things.of(project, "hooks").push(hook.clone());
                Ok(Told::new(201, shown(&hook)))
            }
            ("PUT", ["hooks", id]) => {
                let hook = things.find(project, "hooks", "id", id).ok_or_else(gone)?;
                lay(hook, &asked.body, &EVENTS);
                lay(hook, &asked.body, &HOOK);
                Ok(Told::new(200, shown(hook)))
            }
            ("DELETE", ["hooks", id]) if things.remove(project, "hooks", id) => Ok(Told::nothing()),
            _ => Err(gone()),
        }
    }

    /// One of each name at a commit, which moves.
    fn status(&mut self, asked: &Asked, project: &str, sha: &str) -> Answered {
        let number = self.things.number();
        let all = self.things.of(project, "statuses");
        let same = |one: &Value| one["sha"] == *sha && one["name"] == asked.body["name"];
        if let Some(known) = all.iter().find(|one| same(one))
            && known["status"] == asked.body["state"]
        {
            let why = "Cannot transition status via :run from :running (Reason(s): Status cannot transition via \"run\")";
            return Err(refused(400, why));
        }
        let mut status = json!({
            "id": number, "sha": sha, "ref": "main", "status": asked.body["state"],
            "created_at": MADE, "started_at": null, "finished_at": null, "allow_failure": false,
            "coverage": null, "pipeline_id": 1, "target_url": null, "description": null,
            "author": {"id": 1, "username": "reeve", "name": "reeve", "state": "active"},
        });
        lay(
            &mut status,
            &asked.body,
            &["name", "description", "target_url"],
        );
        all.retain(|one| !same(one));
        all.push(status.clone());
        Ok(Told::new(201, status))
    }

    fn merges(&mut self, asked: &Asked, at: SocketAddr, project: &str, rest: &[&str]) -> Answered {
        match (asked.method.as_str(), rest) {
            ("GET", ["merge_requests"]) => {
                let branch = asked.query.get("source_branch");
                let all = self.things.of(project, "pulls").iter();
                let all = all
                    .filter(|one| branch.is_none_or(|branch| one["source_branch"] == **branch))
                    .cloned()
                    .collect();
                Ok(page(all, asked, at, API, USUAL))
            }
            ("POST", ["merge_requests"]) => self.open(asked, project),
            ("PUT", ["merge_requests", iid]) => {
                let found = self.things.find(project, "pulls", "iid", iid);
                let merge = found.ok_or_else(gone)?;
                lay(
                    merge,
                    &asked.body,
                    &["title", "description", "target_branch"],
                );
                if asked.body["state_event"] == "close" {
                    let mut told = merge.clone();
                    told["state"] = json!("closed");
                    let closed = merge["iid"].clone();
                    let all = self.things.of(project, "pulls");
                    all.retain(|one| one["iid"] != closed);
                    return Ok(Told::new(200, told));
                }
                let added = split(&asked.body["add_labels"]);
                if let Some(labels) = merge["labels"].as_array_mut() {
                    labels.extend(added);
                }
                Ok(Told::new(200, merge.clone()))
            }
            _ => Err(gone()),
        }
    }

    fn open(&mut self, asked: &Asked, project: &str) -> Answered {
        let number = self.things.number();
        let all = self.things.of(project, "pulls");
        let same = |one: &Value| one["source_branch"] == asked.body["source_branch"];
        if let Some(known) = all.iter().find(|one| same(one)) {
            let message = format!(
                "Another open merge request already exists for this source branch: !{}",
                known["iid"]
            );
            return Err(Told::new(409, json!({"message": [message]})));
        }
        let mut merge = json!({
            "id": 1000 + number, "iid": number, "project_id": 1, "state": "opened", "description": null,
            "created_at": MADE, "updated_at": MADE, "source_project_id": 1, "target_project_id": 1,
            "labels": split(&asked.body["labels"]), "draft": false, "merge_status": "can_be_merged",
            "web_url": format!("https://gitlab.example/{project}/-/merge_requests/{number}"),
            "author": {"id": 1, "username": "reeve", "name": "reeve", "state": "active"},
        });
        let fields = ["source_branch", "target_branch", "title", "description"];
        lay(&mut merge, &asked.body, &fields);
        let asked_for = asked.body["reviewer_ids"].as_array();
        let asked_for = asked_for.into_iter().flatten();
        merge["reviewers"] = asked_for.map(|id| json!({"id": id})).collect();
        all.push(merge.clone());
        Ok(Told::new(201, merge))
    }
}

/// Fields and parameters that GitLab's documentation does not name for this request.
fn unknown(asked: &Asked) -> Vec<String> {
    let path: Vec<&str> = asked.path.iter().skip(2).map(String::as_str).collect();
    let hook: Vec<&str> = EVENTS.iter().chain(&HOOK).copied().collect();
    let merge = ["title", "description", "target_branch"];
    let (body, needs): (Vec<&str>, &[&str]) = match (asked.method.as_str(), path.as_slice()) {
        ("POST", ["deploy_keys"]) => (
            vec!["title", "key", "can_push", "expires_at"],
            &["title", "key"],
        ),
        ("PUT", ["deploy_keys", _]) => (vec!["title", "can_push"], &[]),
        ("POST" | "PUT", ["hooks", ..]) => (hook, &["url"]),
        ("POST", ["statuses", _]) => {
            let more = ["state", "ref", "name", "context", "target_url"];
            let more = more.into_iter().chain(["description", "coverage"]);
            (more.collect(), &["state"])
        }
        ("POST", ["merge_requests"]) => (
            merge
                .into_iter()
                .chain(["source_branch", "labels", "reviewer_ids"])
                .collect(),
            &["source_branch", "target_branch", "title"],
        ),
        ("PUT", ["merge_requests", _]) => (
            merge
                .into_iter()
                .chain(["add_labels", "labels", "state_event"])
                .collect(),
            &[],
        ),
        _ => (Vec::new(), &[]),
    };
    let query = [
        "per_page",
        "page",
        "name",
        "state",
        "source_branch",
        "username",
    ];
    let shown = format!("{} {}", asked.method, asked.shown());
    let mut faults = Vec::new();
    for name in asked
        .body
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name)
    {
        if !body.contains(&name.as_str()) {
            faults.push(format!("{shown}: GitLab knows no field {name}"));
        }
    }
    for name in needs.iter().filter(|name| asked.body.get(**name).is_none()) {
        faults.push(format!("{shown}: GitLab asks for {name}"));
    }
    for name in asked.query.keys() {
        if !query.contains(&name.as_str()) {
            faults.push(format!("{shown}: GitLab knows no parameter {name}"));
        }
    }
    faults
}

/// A hook as it is told: its token is not.
fn shown(hook: &Value) -> Value {
    let mut told = hook.clone();
    told.as_object_mut().map(|told| told.remove("token"));
    told
}

/// Puts the fields that are there into a thing.
fn lay(thing: &mut Value, from: &Value, names: &[&str]) {
    for name in names {
        if let Some(value) = from.get(*name) {
            thing[*name] = value.clone();
        }
    }
}

/// Labels, written with commas.
fn split(labels: &Value) -> Vec<Value> {
    let all = labels.as_str().unwrap_or_default().split(',');
    all.filter(|label| !label.is_empty())
        .map(|label| json!(label))
        .collect()
}
