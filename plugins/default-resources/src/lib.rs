//! Gives containers the requests and limits that they do not have.
//!
//! Only what is absent, one resource at a time: what an author wrote stays. It never makes what the
//! API server would refuse: a limit is at least the container's own request.

mod quantity;

use serde_json::{Map, Value, json};

use exports::reeve::plugin::transform::{Guest, Refusal};
use pods::List;
use quantity::Quantity;
use reeve::plugin::log::{Level, log};

wit_bindgen::generate!({ path: "../../wit", world: "transformer" });

struct DefaultResources;

impl Guest for DefaultResources {
    fn transform(manifests: Vec<String>, config: String) -> Result<Vec<String>, Refusal> {
        let defaults = Defaults::parse(&config).map_err(|message| Refusal {
            message,
            objects: Vec::new(),
        })?;
        let mut filled = 0;
        let manifests = manifests
            .into_iter()
            .map(|text| manifest(text, &defaults, &mut filled))
            .collect();
        log(Level::Info, &format!("filled in {filled} amounts"));
        Ok(manifests)
    }
}

/// The config: what is filled in.
struct Defaults {
    requests: Map<String, Value>,
    limits: Map<String, Value>,
}

impl Defaults {
    /// The config, or what is wrong with it and how it should be.
    fn parse(text: &str) -> Result<Self, String> {
        let mut config: Map<String, Value> = serde_json::from_str(text)
            .map_err(|why| format!("the config is no JSON object: {why}"))?;
        let mut take = |key: &str| match config.remove(key) {
            None => Ok(Map::new()),
            Some(Value::Object(amounts)) => Ok(amounts),
            Some(_) => Err(format!("{key} must be a mapping of resources to amounts")),
        };
        let defaults = Self {
            requests: take("requests")?,
            limits: take("limits")?,
        };
        if let Some(unknown) = config.keys().next() {
            return Err(format!(
                "the config has {unknown:?}: only requests and limits are known"
            ));
        }
        for (name, amount) in defaults.requests.iter().chain(&defaults.limits) {
            if amount.as_str().and_then(Quantity::parse).is_none() {
                return Err(format!(
                    "{name} must be an amount as text, such as \"64Mi\""
                ));
            }
        }
        for (name, request) in &defaults.requests {
            let limit = defaults.limits.get(name);
            if limit.is_some_and(|limit| Quantity::of(request) > Quantity::of(limit)) {
                return Err(format!("the limit of {name} is below its request"));
            }
        }
        Ok(defaults)
    }
}

/// A manifest with its containers filled in. One where nothing is missing comes back as it was, to the byte.
fn manifest(text: String, defaults: &Defaults, filled: &mut usize) -> String {
    let Ok(mut manifest) = serde_json::from_str::<Value>(&text) else {
        // The host gives objects. What is none is not ours to judge.
        return text;
    };
    let before = *filled;
    if let Some(mut pod) = pods::pod(&mut manifest) {
        // Ephemeral containers may not have resources.
        for list in [List::Init, List::Main] {
            for (_, container) in pod.containers(list) {
                *filled += fill(container, defaults);
            }
        }
    }
    if *filled == before {
        text
    } else {
        manifest.to_string()
    }
}

/// Fills in what `container` lacks, and tells how much that was.
fn fill(container: &mut Map<String, Value>, defaults: &Defaults) -> usize {
    let amounts = |container: &Map<String, Value>, of: &str| {
        let amounts = container.get("resources").and_then(|found| found.get(of));
        amounts
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default()
    };
    let mut requests = amounts(container, "requests");
    let mut limits = amounts(container, "limits");
    let had = requests.len() + limits.len();
    for (name, amount) in &defaults.requests {
        // With a limit alone Kubernetes takes the limit for the request.
        if !requests.contains_key(name) && !limits.contains_key(name) {
            requests.insert(name.clone(), amount.clone());
        }
    }
    for (name, amount) in &defaults.limits {
        let asked = requests
            .get(name)
            .filter(|asked| Quantity::of(asked) > Quantity::of(amount));
        let amount = asked.unwrap_or(amount).clone();
        limits.entry(name.clone()).or_insert(amount);
    }
    let filled = requests.len() + limits.len() - had;
    if filled > 0 {
        put(container, "requests", requests);
        put(container, "limits", limits);
    }
    filled
}

/// Sets the amounts of a container, where there are any.
fn put(container: &mut Map<String, Value>, of: &str, amounts: Map<String, Value>) {
    let resources = container.entry("resources").or_insert_with(|| json!({}));
    if resources.is_null() {
        *resources = json!({});
    }
    // Anything else that is no mapping is the API server's to refuse.
    if let (Some(resources), false) = (resources.as_object_mut(), amounts.is_empty()) {
        resources.insert(of.to_owned(), Value::Object(amounts));
    }
}

export!(DefaultResources);
