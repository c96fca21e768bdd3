//! One entry of `replacements`, there or in a file of its own.

use super::Entry;
use super::decode::{self, Cursor, Fields};
use super::patch::selector;
use crate::error::{Error, Place};
use crate::options::Selector;
use crate::session::Session;
use crate::yaml::{Marks, Node, Reader, Typing};

/// One entry of `replacements`.
#[derive(Clone, Debug)]
pub(crate) enum ReplacementEntry {
    /// The path of a file that holds one or several.
    Path(Entry),
    Inline(Box<Replacement>),
}

/// A value that is copied to other places.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replacement {
    pub(crate) source: Option<Source>,
    pub(crate) value: Option<String>,
    /// In a file or an object of its own, a list that is empty is one.
    pub(crate) targets: Option<Vec<Target>>,
    pub(crate) place: Place,
}

/// Where the value stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) field_path: String,
    pub(crate) options: FieldOptions,
    pub(crate) place: Place,
}

/// Where it is copied to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Target {
    pub(crate) select: Option<Selector>,
    pub(crate) reject: Vec<Selector>,
    pub(crate) field_paths: Vec<String>,
    pub(crate) options: FieldOptions,
    pub(crate) place: Place,
}

/// Which part of a text is meant, and whether a missing field is made.
#[derive(Clone, Debug, Default)]
pub(crate) struct FieldOptions {
    pub(crate) delimiter: String,
    pub(crate) index: i64,
    pub(crate) create: bool,
}

const DEFAULT_PATH: &str = "metadata.name";

impl ReplacementEntry {
    pub(super) fn decode(cursor: Cursor<'_>) -> Result<Self, Error> {
        let mut fields = cursor.fields()?;
        let path = fields.entry("path")?;
        let mut inline = Replacement::take(&mut fields, cursor.place())?;
        fields.finish()?;
        let aims = inline.targets.as_ref().is_some_and(|t| !t.is_empty());
        if !aims && !cursor.is_loose() {
            inline.targets = None;
        }
        if path.text.is_empty() {
            return Ok(Self::Inline(Box::new(inline)));
        }
        if inline.source.is_some() || aims {
            let why = "path and source or targets cannot both be set";
            return Err(Error::invalid_at(&cursor.place(), why));
        }
        Ok(Self::Path(path))
    }
}

impl Replacement {
    /// Reads a file of them. It is read as loosely as kustomize reads it: numbers are text where text is wanted, fields
    /// that nobody knows are passed over.
    pub(crate) fn parse(
        session: &Session<'_>,
        bytes: &[u8],
        file: &str,
    ) -> Result<Vec<Self>, Error> {
        let mut marks = Marks::new();
        let reader = Reader {
            file,
            typing: Typing::Config,
            budget: &session.budget,
        };
        let document = reader.first(bytes, Some(&mut marks))?;
        let mut root = document.map(|d| d.node).unwrap_or_default();
        decode::unite(&mut root);
        let cursor = Cursor::loose_root(file, &marks, &root);
        match &root {
            Node::Seq(_) => cursor.items()?.iter().map(Self::decode).collect(),
            Node::Map(_) => Ok(vec![Self::decode(&cursor)?]),
            Node::Scalar(_) => {
                let why = "must be a replacement or a list of them";
                Err(Error::invalid(file, why).at_line(1))
            }
        }
    }

    fn decode(cursor: &Cursor<'_>) -> Result<Self, Error> {
        let mut fields = cursor.fields()?;
        let read = Self::take(&mut fields, cursor.place())?;
        fields.finish()?;
        Ok(read)
    }

    fn take(fields: &mut Fields<'_>, place: Place) -> Result<Self, Error> {
        let source = fields.take("source");
        let value = fields.take("sourceValue");
        let targets = fields.take("targets");
        Ok(Self {
            source: source.map(|c| Source::decode(&c)).transpose()?,
            value: value.map(|c| c.entry()).transpose()?.map(|e| e.text),
            targets: targets
                .map(|c| c.list(|c| Target::decode(&c)))
                .transpose()?,
            place,
        })
    }
}

impl Source {
    fn decode(cursor: &Cursor<'_>) -> Result<Self, Error> {
        let mut fields = cursor.fields()?;
        let mut source = Self {
            group: fields.text("group")?,
            version: fields.text("version")?,
            kind: fields.text("kind")?,
            name: fields.text("name")?,
            namespace: fields.text("namespace")?,
            field_path: fields.text("fieldPath")?,
            options: FieldOptions::take(&mut fields)?,
            place: cursor.place(),
        };
        fields.finish()?;
        if source.field_path.is_empty() {
            DEFAULT_PATH.clone_into(&mut source.field_path);
        }
        Ok(source)
    }
}

impl Target {
    fn decode(cursor: &Cursor<'_>) -> Result<Self, Error> {
        let mut fields = cursor.fields()?;
        let select = fields.take("select");
        let paths = fields.texts("fieldPaths")?;
        let mut target = Self {
            select: select.map(|c| selector(&c)).transpose()?,
            reject: fields.list("reject", |c| selector(&c))?,
            field_paths: paths.into_iter().map(|e| e.text).collect(),
            options: FieldOptions::take(&mut fields)?,
            place: cursor.place(),
        };
        fields.finish()?;
        if target.field_paths.is_empty() {
            target.field_paths.push(DEFAULT_PATH.to_owned());
        }
        Ok(target)
    }
}

impl FieldOptions {
    fn take(fields: &mut Fields<'_>) -> Result<Self, Error> {
        let Some(cursor) = fields.take("options") else {
            return Ok(Self::default());
        };
        let mut fields = cursor.fields()?;
        // kustomize knows the field and does nothing with it.
        fields.skip("encoding");
        let options = Self {
            delimiter: fields.text("delimiter")?,
            index: fields.integer("index")?,
            create: fields.flag("create")?,
        };
        fields.finish()?;
        Ok(options)
    }
}
