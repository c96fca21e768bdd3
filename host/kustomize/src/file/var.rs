//! One entry of `vars`.

use super::decode::Cursor;
use crate::error::{Error, Place};

/// A name for the value of a field.
#[derive(Clone, Debug, Default)]
pub(crate) struct Var {
    pub(crate) name: String,
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    /// The name of the object that has the field.
    pub(crate) object: String,
    pub(crate) namespace: String,
    pub(crate) field_path: String,
    pub(crate) place: Place,
}

impl Var {
    pub(super) fn decode(cursor: Cursor<'_>) -> Result<Self, Error> {
        let mut fields = cursor.fields()?;
        let mut var = Self {
            name: fields.text("name")?,
            field_path: "metadata.name".to_owned(),
            place: cursor.place(),
            ..Self::default()
        };
        if let Some(object) = fields.take("objref") {
            var.take_object(&object)?;
        }
        if let Some(field) = fields.take("fieldref") {
            let mut field = field.fields()?;
            let path = field.text("fieldPath")?;
            field.finish()?;
            if !path.is_empty() {
                var.field_path = path;
            }
        }
        fields.finish()?;
        Ok(var)
    }

    fn take_object(&mut self, cursor: &Cursor<'_>) -> Result<(), Error> {
        let mut fields = cursor.fields()?;
        let api_version = fields.text("apiVersion")?;
        self.group = fields.text("group")?;
        self.version = fields.text("version")?;
        self.kind = fields.text("kind")?;
        self.object = fields.text("name")?;
        self.namespace = fields.text("namespace")?;
        fields.finish()?;
        let parts: Vec<&str> = api_version.split('/').collect();
        match parts.as_slice() {
            [version] if !version.is_empty() => (*version).clone_into(&mut self.version),
            [group, version] => {
                (*group).clone_into(&mut self.group);
                (*version).clone_into(&mut self.version);
            }
            _ => {}
        }
        Ok(())
    }
}
