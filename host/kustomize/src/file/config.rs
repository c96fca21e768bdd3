//! A file of `configurations`: fields that transformers touch beside those that kustomize knows.

use std::sync::Arc;

use super::decode::{self, Cursor};
use super::decode_field_spec;
use crate::budget::Budget;
use crate::config::{Config, List, References};
use crate::error::Error;
use crate::fieldspec::Gvk;
use crate::yaml::{Marks, Reader, Typing};

impl Config {
    /// Reads the file `file`. Only its first document counts.
    pub(crate) fn parse(bytes: &[u8], file: &str, budget: &Budget) -> Result<Self, Error> {
        let mut marks = Marks::new();
        let reader = Reader {
            file,
            typing: Typing::Config,
            budget,
        };
        let mut config = Self::default();
        let Some(mut document) = reader.first(bytes, Some(&mut marks))? else {
            return Ok(config);
        };
        decode::unite(&mut document.node);
        let mut fields = Cursor::root(file, &marks, &document.node).fields()?;
        for (list, name) in List::ALL {
            *config.list_mut(list) = fields.list(name, decode_field_spec)?;
        }
        config.references = fields.list("nameReference", references)?;
        fields.finish()?;
        config.sort();
        Ok(config)
    }
}

fn references(cursor: Cursor<'_>) -> Result<Arc<References>, Error> {
    let mut fields = cursor.fields()?;
    let references = References {
        target: Gvk::new(
            fields.text("group")?,
            fields.text("version")?,
            fields.text("kind")?,
        ),
        fields: fields.list("fieldSpecs", decode_field_spec)?,
    };
    fields.finish()?;
    Ok(Arc::new(references))
}
