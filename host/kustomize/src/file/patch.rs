//! One entry of `patches`, `patchesJson6902` or `replicas`, and the selector that says which objects are meant.

use super::decode::Cursor;
use crate::error::{Error, Place, Why};
use crate::options::Selector;

/// One entry of `patches` or `patchesJson6902`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patch {
    /// The text, when it is inline.
    pub(crate) inline: String,
    /// The path of its file otherwise.
    pub(crate) path: String,
    pub(crate) target: Option<Selector>,
    pub(crate) allow_name_change: bool,
    pub(crate) allow_kind_change: bool,
    /// Whether it stands in a transformer for operations only, which calls the text `jsonOp`.
    pub(crate) is_operations: bool,
    pub(crate) place: Place,
}

impl Patch {
    /// The field of an inline text.
    pub(crate) fn text_field(&self) -> &'static str {
        if self.is_operations {
            "jsonOp"
        } else {
            "patch"
        }
    }

    pub(super) fn decode(cursor: Cursor<'_>) -> Result<Self, Error> {
        let mut fields = cursor.fields()?;
        let mut patch = Self {
            inline: fields.text("patch")?.trim().to_owned(),
            path: fields.text("path")?,
            place: cursor.place(),
            ..Self::default()
        };
        if let Some(target) = fields.take("target") {
            patch.target = Some(selector(&target)?);
        }
        if let Some(options) = fields.take("options") {
            let mut options = options.fields()?;
            patch.allow_name_change = options.flag("allowNameChange")?;
            patch.allow_kind_change = options.flag("allowKindChange")?;
            options.finish()?;
        }
        fields.finish()?;
        let why = match (patch.inline.is_empty(), patch.path.is_empty()) {
            (true, true) => "one of patch and path is needed",
            (false, false) => "patch and path cannot both be set",
            _ => return Ok(patch),
        };
        Err(Error::in_place(&patch.place, Why::Invalid(why.to_owned())))
    }

    /// An entry of `patchesJson6902`, whose target must have a name.
    pub(super) fn decode_operations(cursor: Cursor<'_>) -> Result<Self, Error> {
        let patch = Self::decode(cursor)?;
        if patch.target.as_ref().is_none_or(|t| t.name.is_empty()) {
            return Err(Error::invalid_at(&patch.place, "target.name is needed"));
        }
        Ok(patch)
    }
}

/// Which objects are meant.
pub(super) fn selector(cursor: &Cursor<'_>) -> Result<Selector, Error> {
    let mut fields = cursor.fields()?;
    let selector = Selector {
        group: fields.text("group")?,
        version: fields.text("version")?,
        kind: fields.text("kind")?,
        name: fields.text("name")?,
        namespace: fields.text("namespace")?,
        label_selector: fields.text("labelSelector")?,
        annotation_selector: fields.text("annotationSelector")?,
    };
    fields.finish()?;
    Ok(selector)
}

/// One entry of `replicas`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replica {
    pub(crate) name: String,
    pub(crate) count: i64,
    pub(crate) place: Place,
}

impl Replica {
    pub(super) fn decode(cursor: Cursor<'_>) -> Result<Self, Error> {
        let mut fields = cursor.fields()?;
        let replica = Self {
            name: fields.text("name")?,
            count: fields.integer("count")?,
            place: cursor.place(),
        };
        fields.finish()?;
        Ok(replica)
    }
}
