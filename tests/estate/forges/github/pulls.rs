//! Pull requests of a GitHub that is played: only those that are open are kept.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{API, Answered, GitHub, USUAL, invalid, lay, refused};
use crate::forges::things::page;
use crate::forges::{Asked, Told};

impl GitHub {
    pub(super) fn of_pulls(
        &mut self,
        asked: &Asked,
        at: SocketAddr,
        repo: &str,
        rest: &[&str],
    ) -> Answered {
        match (asked.method.as_str(), rest) {
            ("GET", ["pulls"]) => {
                let example = self
                    .description
                    .example("GET", "/repos/{owner}/{repo}/pulls", "200");
                let example = example.get(0).cloned().unwrap_or_default();
                let head = asked
                    .query
                    .get("head")
                    .and_then(|head| head.split_once(':'));
                let meant = |pull: &&Value| head.is_none_or(|(_, head)| pull["head"] == *head);
                let all = self.things.of(repo, "pulls").iter().filter(meant);
                let all = all.map(|pull| drawn(&example, pull)).collect();
                Ok(page(all, asked, at, API, USUAL))
            }
            ("POST", ["pulls"]) => {
                let open = self.things.of(repo, "pulls").iter();
                if open.clone().any(|pull| pull["head"] == asked.body["head"]) {
                    let head = asked.body["head"].as_str().unwrap_or_default();
                    let message = format!("A pull request already exists for acme:{head}.");
                    return Err(invalid("PullRequest", "head", &message));
                }
                let number = self.things.number();
                let mut pull = json!({"number": number, "body": null, "labels": []});
                lay(&mut pull, &asked.body, &["head", "base", "title", "body"]);
                self.things.of(repo, "pulls").push(pull.clone());
                let example =
                    self.description
                        .example("POST", "/repos/{owner}/{repo}/pulls", "201");
                Ok(Told::new(201, drawn(&example, &pull)))
            }
            ("PATCH", ["pulls", number]) => {
                let found = self.things.find(repo, "pulls", "number", number);
                let pull = found.ok_or_else(|| refused(404, "Not Found"))?;
                lay(pull, &asked.body, &["title", "body", "base"]);
                let template = "/repos/{owner}/{repo}/pulls/{pull_number}";
                let example = self.description.example("PATCH", template, "200");
                let mut told = drawn(&example, pull);
                if asked.body["state"] == "closed" {
                    told["state"] = json!("closed");
                    let closed = pull["number"].clone();
                    let all = self.things.of(repo, "pulls");
                    all.retain(|one| one["number"] != closed);
                }
                Ok(Told::new(200, told))
            }
            ("POST", ["pulls", number, "requested_reviewers"]) => {
                let found = self.things.find(repo, "pulls", "number", number);
                let pull = found.ok_or_else(|| refused(404, "Not Found"))?;
                lay(pull, &asked.body, &["reviewers", "team_reviewers"]);
                let template = "/repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers";
                let example = self.description.example("POST", template, "201");
                Ok(Told::new(201, drawn(&example, pull)))
            }
            ("POST", ["issues", number, "labels"]) => {
                let found = self.things.find(repo, "pulls", "number", number);
                let pull = found.ok_or_else(|| refused(404, "Not Found"))?;
                let wanted = asked.body["labels"].as_array().cloned().unwrap_or_default();
                if let Some(labels) = pull["labels"].as_array_mut() {
                    labels.extend(wanted);
                }
                Ok(Told::new(200, labels(&pull["labels"])))
            }
            _ => Err(refused(404, "Not Found")),
        }
    }
}

/// A pull request as GitHub shows one.
fn drawn(example: &Value, pull: &Value) -> Value {
    let mut told = example.clone();
    lay(&mut told, pull, &["number", "title", "body"]);
    let number = &pull["number"];
    told["html_url"] = json!(format!("https://github.example/acme/shop/pull/{number}"));
    told["state"] = json!("open");
    // GitHub's own example of a team lacks what GitHub's description asks for.
    told["requested_teams"] = json!([]);
    for side in ["head", "base"] {
        told[side]["ref"] = pull[side].clone();
        told[side]["repo"]["id"] = json!(1_296_269);
    }
    told["labels"] = labels(&pull["labels"]);
    told
}

fn labels(names: &Value) -> Value {
    let all = names.as_array().cloned().unwrap_or_default();
    all.iter()
        .enumerate()
        .map(|(id, name)| label(id, name))
        .collect()
}

fn label(id: usize, name: &Value) -> Value {
    json!({
        "id": id, "node_id": format!("LA_{id}"), "url": "https://github.example/labels",
        "name": name, "description": "", "color": "ededed", "default": false,
    })
}
