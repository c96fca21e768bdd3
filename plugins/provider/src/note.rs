//! What a step tells the next one: a guest remembers nothing else.

use serde_json::{Value, json};

use crate::Refusal;
use crate::talk::no;

/// A note to oneself.
#[derive(Default)]
pub struct Note {
    /// What was asked for.
    pub stage: String,
    /// The page of a list that was asked for.
    pub page: u64,
    /// How many things were on the pages so far.
    pub seen: u64,
    /// Things that were found, by their ids.
    pub ids: Vec<u64>,
    /// Whether the first of them is as it should be.
    pub fits: bool,
    /// Whether it can only be made anew.
    pub broken: bool,
    /// Names that matter later.
    pub names: Vec<String>,
    /// Those of them with which something is still to be done.
    pub todo: Vec<String>,
    /// Where the thing is that was made.
    pub url: String,
}

impl Note {
    /// A note that says only what was asked for.
    pub fn at(stage: &str) -> Self {
        Self {
            stage: stage.to_owned(),
            ..Self::default()
        }
    }

    /// The same of the thing with this id.
    pub fn of(stage: &str, id: u64) -> Self {
        Self {
            ids: vec![id],
            ..Self::at(stage)
        }
    }

    /// Reads one.
    ///
    /// # Errors
    /// When it is none of ours.
    pub fn read(text: &str) -> Result<Self, Refusal> {
        let note: Value = serde_json::from_str(text)
            .map_err(|_| no("the provider's own note cannot be read: begin again"))?;
        let list = |name: &str| note[name].as_array().cloned().unwrap_or_default();
        let text = |name: &str| note[name].as_str().unwrap_or_default().to_owned();
        let texts = |name: &str| {
            let texts = list(name).into_iter();
            texts
                .filter_map(|text| Some(text.as_str()?.to_owned()))
                .collect()
        };
        Ok(Self {
            stage: text("stage"),
            page: note["page"].as_u64().unwrap_or_default(),
            seen: note["seen"].as_u64().unwrap_or_default(),
            ids: list("ids").iter().filter_map(Value::as_u64).collect(),
            fits: note["fits"] == true,
            broken: note["broken"] == true,
            names: texts("names"),
            todo: texts("todo"),
            url: text("url"),
        })
    }

    /// Writes it.
    pub fn write(&self) -> String {
        json!({
            "stage": self.stage, "page": self.page, "seen": self.seen, "ids": self.ids,
            "fits": self.fits, "broken": self.broken, "names": self.names, "todo": self.todo,
            "url": self.url,
        })
        .to_string()
    }
}
