//! Bytes to documents: events to a tree.
//!
//! Aliases and merge keys are expanded here, each expansion charged to the build's budget, so that a bomb of anchors ends
//! in an error. No recursion: nesting is a stack with a bound. Keys that repeat are refused in all but kustomization
//! files. Where documents begin is in `yaml/split.rs`, what a text is made of in `yaml/parse.rs`.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::mapping::{Key, Keys, Mapping};
use super::node::{Node, text_cost};
use super::parse::{CORE, Event, Parser, Properties};
use super::scalar::{Scalar, Style, Tag, Typing, is_true, resolve, timestamp};
use super::scan::{Mark, Written, Wrong};
use super::split::{self, Part};
use crate::budget::Budget;
use crate::error::{Error, Why};

/// Where each field of a document was written: `patches[0].path` to line and column, both from 1.
pub type Marks = BTreeMap<String, (u32, u32)>;

/// How deep fields are remembered in [`Marks`].
const MARKED_DEPTH: usize = 8;
/// How long the keys on the way to them may be, together. No field that is known has a longer way, and one long key must
/// not be written down for each of a million values.
const MARKED_KEYS: usize = 512;

/// Reads the documents of one file.
pub(crate) struct Reader<'a> {
    pub(crate) file: &'a str,
    pub(crate) typing: Typing,
    pub(crate) budget: &'a Budget,
}

/// A document and the line it begins in.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) node: Node,
    pub(crate) line: u32,
}

/// What is being read: an open mapping or sequence.
struct Open {
    content: Content,
    anchor: Option<String>,
    /// Whether it is written in brackets or braces.
    flow: bool,
}

enum Content {
    Seq(Vec<Node>),
    Map {
        map: Mapping,
        key: Option<Key>,
        /// Whether the key, if it is `<<`, was written without quotes.
        merging: bool,
        merges: Vec<Node>,
    },
}

struct Loader<'a, 'r> {
    reader: &'r Reader<'a>,
    stack: Vec<Open>,
    /// What the anchors of this document name, and how much that is; nothing while the value is being read.
    anchors: BTreeMap<String, Option<(Node, u64)>>,
    /// The anchors of the documents before.
    earlier: BTreeSet<String>,
    documents: Vec<Document>,
    keys: Keys,
    /// The line in which the document begins.
    line: u32,
    /// How many lines of the file lie before what is parsed.
    above: usize,
    marks: Option<&'r mut Marks>,
    which: Which,
}

/// Which documents are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    All,
    First,
    Unfitting,
}

impl Reader<'_> {
    /// All documents that are not empty.
    pub(crate) fn documents(&self, bytes: &[u8]) -> Result<Vec<Document>, Error> {
        self.load(bytes, None, Which::All)
    }

    /// The same, with values that do not fit the tags they were written with: kustomize writes such text into text.
    pub(crate) fn unfitting(&self, bytes: &[u8]) -> Result<Vec<Document>, Error> {
        self.load(bytes, None, Which::Unfitting)
    }

    /// The first document, unless it is empty. What comes behind it is not looked at, as in kustomize where it wants one.
    pub(crate) fn first(
        &self,
        bytes: &[u8],
        marks: Option<&mut Marks>,
    ) -> Result<Option<Document>, Error> {
        Ok(self.load(bytes, marks, Which::First)?.pop())
    }

    /// All documents that are not empty, and where the fields of the last one were written.
    pub(crate) fn marked_documents(
        &self,
        bytes: &[u8],
        marks: &mut Marks,
    ) -> Result<Vec<Document>, Error> {
        self.load(bytes, Some(marks), Which::All)
    }

    fn load(
        &self,
        bytes: &[u8],
        marks: Option<&mut Marks>,
        which: Which,
    ) -> Result<Vec<Document>, Error> {
        let wrong = |line: u32, why: String| Error::new(self.file, Why::Syntax(why)).at_line(line);
        let text = split::text(bytes).map_err(|(line, why)| wrong(line, why))?;
        let parts = match self.typing {
            _ if which == Which::First || split::is_utf16(bytes) => vec![Part::whole(&text)],
            Typing::Manifest => split::parts(&text).map_err(|(line, why)| wrong(line, why))?,
            Typing::Config | Typing::Data => vec![Part::whole(&text)],
        };
        let mut loader = Loader {
            reader: self,
            stack: Vec::new(),
            anchors: BTreeMap::new(),
            earlier: BTreeSet::new(),
            documents: Vec::new(),
            keys: Keys::default(),
            line: 1,
            above: 0,
            marks,
            which,
        };
        for part in parts {
            loader.part(&part)?;
        }
        Ok(loader.documents)
    }

    fn error(&self, (line, column): (u32, u32), why: Why) -> Error {
        Error::new(self.file, why).at(line, column)
    }
}

impl Loader<'_, '_> {
    /// Reads one part of the file: of a manifest its first document, for kustomize looks no further.
    fn part(&mut self, part: &Part<'_>) -> Result<(), Error> {
        self.above = part.above;
        let mut parser = Parser::new(part.text);
        let one = self.which == Which::First || self.reader.typing == Typing::Manifest;
        loop {
            let (event, at) = parser.next().map_err(|wrong| self.broken(wrong))?;
            match event {
                Event::End => return Ok(()),
                Event::DocumentEnd if one => return Ok(()),
                event => self.event(event, at)?,
            }
        }
    }

    fn broken(&self, (at, why): Wrong) -> Error {
        self.error(at, Why::Syntax(format!("is not valid YAML: {why}")))
    }

    fn error(&self, at: Mark, why: Why) -> Error {
        self.reader.error(self.position(at), why)
    }

    /// The line in the file and the column, both from 1.
    fn position(&self, at: Mark) -> (u32, u32) {
        let above = u32::try_from(self.above).unwrap_or(u32::MAX);
        let line = at.line.saturating_add(above).saturating_add(1);
        (line, at.column.saturating_add(1))
    }

    fn event(&mut self, event: Event<'_>, at: Mark) -> Result<(), Error> {
        match event {
            Event::DocumentStart => {
                let gone = std::mem::take(&mut self.anchors);
                self.earlier.extend(gone.into_keys());
                if let Some(marks) = &mut self.marks {
                    marks.clear();
                }
                Ok(())
            }
            Event::Alias(anchor) => {
                let (node, cost) = self.named(anchor, at)?;
                self.charge(cost, at)?;
                self.value(node, None, at)
            }
            Event::Scalar(text, written, Properties { anchor, tag }) => {
                self.charge(text_cost(&text), at)?;
                let scalar = self.scalar(text.into_owned(), written, tag.as_deref(), at)?;
                self.value(Node::Scalar(scalar), anchor, at)
            }
            Event::Sequence { flow, of } => {
                self.open(Content::Seq(Vec::new()), of.anchor, flow, at)
            }
            Event::Mapping { flow, of } => {
                let content = Content::Map {
                    map: Mapping::new(),
                    key: None,
                    merging: false,
                    merges: Vec::new(),
                };
                self.open(content, of.anchor, flow, at)
            }
            Event::Close => self.close(at),
            Event::DocumentEnd | Event::End => Ok(()),
        }
    }

    /// What an alias stands for, and how much it is.
    fn named(&self, anchor: &str, at: Mark) -> Result<(Node, u64), Error> {
        let why = match self.anchors.get(anchor) {
            Some(Some(known)) => return Ok(known.clone()),
            Some(None) => "an alias stands inside of the value it names",
            None if self.earlier.contains(anchor) => {
                "an alias names an anchor of another document: anchors end with their document"
            }
            None => "an alias names no anchor that stands before it",
        };
        Err(self.error(at, Why::Invalid(why.to_owned())))
    }

    fn charge(&self, cost: u64, at: Mark) -> Result<(), Error> {
        let charged = self.reader.budget.nodes(cost);
        charged.map_err(|why| self.error(at, why))
    }

    fn open(
        &mut self,
        content: Content,
        anchor: Option<&str>,
        flow: bool,
        at: Mark,
    ) -> Result<(), Error> {
        self.mark(at);
        self.charge(1, at)?;
        if self.stack.is_empty() {
            self.line = self.position(at).0;
        }
        let limit = self.reader.budget.limits().nesting;
        if self.stack.len() as u64 >= limit {
            let what = "levels of nesting";
            return Err(self.error(at, Why::Limit { what, limit }));
        }
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor.to_owned(), None);
        }
        let anchor = anchor.map(str::to_owned);
        self.stack.push(Open {
            content,
            anchor,
            flow,
        });
        Ok(())
    }

    fn close(&mut self, at: Mark) -> Result<(), Error> {
        let Some(Open {
            content, anchor, ..
        }) = self.stack.pop()
        else {
            return Ok(());
        };
        match content {
            Content::Seq(mut items) => {
                items.shrink_to_fit();
                self.finished(Node::Seq(items), anchor.as_deref(), at)
            }
            Content::Map {
                mut map, merges, ..
            } => {
                for merged in merges {
                    self.merge(&mut map, merged, at)?;
                }
                // Most mappings are small, and there are many.
                map.shrink_to_fit();
                self.finished(Node::mapping(map), anchor.as_deref(), at)
            }
        }
    }

    /// Fields of `merged` that `map` has not. Of several, the first wins, as in go-yaml.
    fn merge(&self, map: &mut Mapping, merged: Node, at: Mark) -> Result<(), Error> {
        match merged {
            Node::Map(fields) => {
                for (key, node) in fields.into_pairs() {
                    if !map.contains_key(&key) {
                        map.insert(key, node);
                    }
                }
                Ok(())
            }
            Node::Seq(items) => items.into_iter().try_for_each(|item| match item {
                Node::Map(_) => self.merge(map, item, at),
                _ => Err(self.bad_merge(at)),
            }),
            Node::Scalar(_) => Err(self.bad_merge(at)),
        }
    }

    fn bad_merge(&self, at: Mark) -> Error {
        let why = "<< needs a mapping or a list of mappings".to_owned();
        self.error(at, Why::Invalid(why))
    }

    /// A value or a key; containers come through [`Self::finished`].
    fn value(&mut self, node: Node, anchor: Option<&str>, at: Mark) -> Result<(), Error> {
        match self.stack.last().map(|open| &open.content) {
            Some(Content::Map { key: None, .. }) => return self.key(node, anchor, at),
            Some(Content::Seq(_)) => self.mark(at),
            _ => {}
        }
        self.finished(node, anchor, at)
    }

    fn key(&mut self, node: Node, anchor: Option<&str>, at: Mark) -> Result<(), Error> {
        let invalid = |why: String| Err(self.error(at, Why::Invalid(why)));
        let Node::Scalar(scalar) = &node else {
            return invalid("a key must be text, not a list or a mapping".to_owned());
        };
        let typing = self.reader.typing;
        if !scalar.may_be_key(typing, self.stack.len()) {
            return invalid(format!("key {} must be text: quote it", scalar.text));
        }
        let name = scalar.as_key(typing);
        let top = self.stack.last().map(|open| &open.content);
        let Some(Content::Map { map, merges, .. }) = top else {
            return Ok(());
        };
        // kustomize takes the last of two in a kustomization file.
        let strict = typing != Typing::Config;
        if strict && scalar.text == "<<" && !merges.is_empty() {
            return invalid("<< is there already: give it a list".to_owned());
        }
        if strict && map.contains_key(&name) {
            return invalid(format!("key {name:?} is there already"));
        }
        let name = self.keys.shared(&name);
        let plain = scalar.style == Style::Plain;
        if let Some(Open {
            content: Content::Map { key, merging, .. },
            ..
        }) = self.stack.last_mut()
        {
            *merging = plain;
            *key = Some(name);
        }
        self.mark(at);
        self.remember(&node, anchor, at)
    }

    /// A value that is complete: to its place, and kept if it has an anchor.
    fn finished(&mut self, node: Node, anchor: Option<&str>, at: Mark) -> Result<(), Error> {
        self.remember(&node, anchor, at)?;
        let line = self.line;
        match self.stack.last_mut().map(|open| &mut open.content) {
            None if node.is_null() => {}
            None => self.documents.push(Document { node, line }),
            Some(Content::Seq(items)) => items.push(node),
            Some(Content::Map {
                map,
                key,
                merging,
                merges,
            }) => match key.take() {
                Some(key) if *key == *"<<" && *merging => merges.push(node),
                Some(key) => {
                    map.insert(key, node);
                }
                None => {
                    let why = "a key must be text, not a list or a mapping".to_owned();
                    return Err(self.error(at, Why::Invalid(why)));
                }
            },
        }
        Ok(())
    }

    fn remember(&mut self, node: &Node, anchor: Option<&str>, at: Mark) -> Result<(), Error> {
        if let Some(anchor) = anchor {
            let cost = node.cost();
            self.charge(cost, at)?;
            self.anchors
                .insert(anchor.to_owned(), Some((node.clone(), cost)));
        }
        Ok(())
    }

    fn scalar(
        &self,
        text: String,
        written: Written,
        tag: Option<&str>,
        at: Mark,
    ) -> Result<Scalar, Error> {
        let typing = self.reader.typing;
        let plain = || resolve(&text, typing);
        // A ! alone says nothing.
        let tag = tag.filter(|tag| *tag != "!");
        let tagged = tag.is_some();
        let tag = match tag.map(|tag| tag.strip_prefix(CORE)) {
            None if written == Written::Plain => plain(),
            Some(Some("null")) => Tag::Null,
            Some(Some("bool")) => Tag::Bool,
            Some(Some("int")) => Tag::Int,
            Some(Some("float")) => Tag::Float,
            Some(Some("timestamp")) if typing != Typing::Config => Tag::Timestamp,
            Some(Some("binary")) => return self.binary(&text, at),
            None | Some(_) => Tag::Str,
        };
        let fits = match tag {
            Tag::Str => true,
            Tag::Float => matches!(plain(), Tag::Int | Tag::Float),
            Tag::Timestamp => timestamp(&text).is_some(),
            other => plain() == other,
        };
        if !fits && self.which != Which::Unfitting {
            let why = "the value does not fit its tag".to_owned();
            return Err(self.error(at, Why::Invalid(why)));
        }
        let in_flow = self.stack.last().is_some_and(|open| open.flow);
        let manifest = typing == Typing::Manifest;
        let style = match written {
            Written::Plain if text.is_empty() && in_flow && manifest => Style::Missing,
            Written::Plain => Style::Plain,
            Written::Folded if manifest => Style::Folded,
            _ => Style::Quoted,
        };
        let text = match tag {
            Tag::Bool if !manifest => is_true(&text).to_string(),
            _ => text,
        };
        Ok(Scalar {
            style,
            tagged,
            read: true,
            ..Scalar::new(tag, text)
        })
    }

    /// Text that is packed as base64. What is no UTF-8 comes out as go-yaml has it, byte by byte.
    fn binary(&self, text: &str, at: Mark) -> Result<Scalar, Error> {
        let packed: String = text.split_whitespace().collect();
        let bytes = STANDARD
            .decode(packed)
            .map_err(|_| self.error(at, Why::Invalid("!!binary holds no base64".to_owned())))?;
        let mut out = String::with_capacity(bytes.len());
        for chunk in bytes.utf8_chunks() {
            out.push_str(chunk.valid());
            out.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
        }
        Ok(Scalar::string(out))
    }

    /// Remembers where the value that begins now was written; for a field, where its key was.
    fn mark(&mut self, at: Mark) {
        let place = self.position(at);
        let Some(marks) = &mut self.marks else { return };
        if self.stack.len() > MARKED_DEPTH {
            return;
        }
        let keys = self.stack.iter().map(|open| match &open.content {
            Content::Map { key: Some(key), .. } => key.len(),
            _ => 0,
        });
        if keys.sum::<usize>() > MARKED_KEYS {
            return;
        }
        let mut path = String::new();
        for open in &self.stack {
            match &open.content {
                Content::Seq(items) => path.push_str(&format!("[{}]", items.len())),
                Content::Map { key: Some(key), .. } => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(key);
                }
                Content::Map { key: None, .. } => {}
            }
        }
        marks.entry(path).or_insert(place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use serde_json::{Value, json};

    fn read(text: &str) -> Result<Vec<Value>, Error> {
        let budget = Budget::new(Limits::default());
        let reader = Reader {
            file: "f.yaml",
            typing: Typing::Manifest,
            budget: &budget,
        };
        let nodes = reader.documents(text.as_bytes())?;
        Ok(nodes
            .into_iter()
            .map(|d| d.node.into_value().unwrap())
            .collect())
    }

    #[test]
    fn documents_that_hold_nothing_are_left_out() {
        assert_eq!(read("# only a comment\n").unwrap(), Vec::<Value>::new());
        assert_eq!(
            read("---\n---\na: 1\n---\n# x\n---\nb: 2\n").unwrap(),
            [json!({"a": 1}), json!({"b": 2})]
        );
        assert_eq!(read("").unwrap(), Vec::<Value>::new());
        assert_eq!(read("\u{feff}a: 1").unwrap(), [json!({"a": 1})]);
        assert_eq!(
            read("a:\tb\nc:\t\td\n").unwrap(),
            [json!({"a": "b", "c": "d"})]
        );
    }

    #[test]
    fn data_is_what_opa_makes_of_it() {
        let budget = Budget::new(Limits::default());
        let reader = Reader {
            file: "f.yaml",
            typing: Typing::Data,
            budget: &budget,
        };
        let read = |text: &str| reader.documents(text.as_bytes());
        let text = "a: 2026-12-24\nb: [2001-12-14t21:59:43.10-05:00, !!timestamp 2026-12-24, !x 12, ! 12]\nc: {a: , b}\n\
            d: >\n  a\n  b\n\n  c\n    d\n  e\ne: {8080: [0o14, 1_000, 014, yes, Off], on: ~}\n0x10: {<<: {a: 1}, b: 2}\n\
            f: !!binary aGVsbG8=\n";
        let want = json!({
            "a": "2026-12-24",
            "b": ["2001-12-14t21:59:43.10-05:00", "2026-12-24T00:00:00Z", "12", 12],
            "c": {"a": null, "b": null},
            "d": "a b\nc\n  d\ne\n",
            "e": {"8080": [12, 1000, 12, "yes", "Off"], "on": null},
            "16": {"a": 1, "b": 2},
            "f": "hello",
        });
        let documents = read(text).unwrap();
        let values = documents.into_iter().map(|d| d.node.into_value().unwrap());
        assert_eq!(values.collect::<Vec<_>>(), [want]);
        assert_eq!(read("a: 1\n---\nb: 2\n").unwrap().len(), 2);
        for (text, want) in [
            ("a: 1\na: 2\n", "f.yaml:2:1: key \"a\" is there already"),
            ("1: a\n\"1\": b\n", "f.yaml:2:1: key \"1\" is there already"),
            (
                "a:\n  1.0: x\n",
                "f.yaml:2:3: key 1.0 must be text: quote it",
            ),
            ("true: x\n", "f.yaml:1:1: key true must be text: quote it"),
            ("~: x\n", "f.yaml:1:1: key ~ must be text: quote it"),
            ("a: 1\n...\nb: 2\n", "f.yaml:"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with(want), "{text:?}: {error}");
        }
    }

    #[test]
    fn anchors_and_merge_keys_are_expanded_and_a_written_field_wins() {
        let text = "a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc:\n  <<: [*a, *b]\n  x: 9\nd: *a\n";
        let want = json!({"x": 9, "y": 2, "z": 4});
        let got = read(text).unwrap();
        assert_eq!(got[0]["c"], want);
        assert_eq!(got[0]["d"], json!({"x": 1, "y": 2}));
    }

    #[test]
    fn broken_yaml_names_file_line_and_column() {
        for (text, want) in [
            ("a: 1\nb: [1, 2\n", "f.yaml:3:1: "),
            ("a: 1\na: 2\n", "f.yaml:2:1: key \"a\" is there already"),
            (
                "a: 1\n--- x\n",
                "f.yaml:2: only a comment may follow --- on its line",
            ),
            (
                "a: &x [*x]\n",
                "f.yaml:1:8: an alias stands inside of the value it names",
            ),
            (
                "a: *nobody\n",
                "f.yaml:1:4: an alias names no anchor that stands before it",
            ),
            (
                "a: &x 1\n---\nb: *x\n",
                "f.yaml:3:4: an alias names an anchor of another document",
            ),
            (
                "a: {b: |\n  c}\n",
                "f.yaml:1:8: is not valid YAML: no value may begin with this character",
            ),
            (
                "a:\n\tb: 1\n",
                "f.yaml:2:1: is not valid YAML: no value may begin with this character",
            ),
            (
                "a: 'b\nc: d\n",
                "f.yaml:1:4: is not valid YAML: the quote that ends this text is missing",
            ),
            (
                "a: |x\n  b\n",
                "f.yaml:1:5: is not valid YAML: behind a | or > only",
            ),
            (
                "a: 1\n b: 2\n",
                "f.yaml:2:3: is not valid YAML: a mapping may not begin here",
            ),
            (
                "%YAML 1.2\n",
                "f.yaml:1:1: is not valid YAML: only %YAML 1.1",
            ),
            (
                "a: \u{1}\n",
                "f.yaml:1: holds a control character at byte 3",
            ),
            ("a: 1\nb: [\n---\n", "f.yaml:3:1: "),
            (
                "? [a]\n: b\n",
                "f.yaml:1:5: a key must be text, not a list or a mapping",
            ),
            ("a: !!int x\n", "f.yaml:1:4: the value does not fit its tag"),
            ("<<: 1\n", "f.yaml:"),
            ("a:\t- b\n", "f.yaml:1:4: "),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with(want), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_file_that_is_not_utf8_names_the_byte() {
        let budget = Budget::new(Limits::default());
        let reader = Reader {
            file: "f.yaml",
            typing: Typing::Manifest,
            budget: &budget,
        };
        let error = reader.documents(b"a: 1\nb: \xff\n").unwrap_err();
        assert_eq!(error.to_string(), "f.yaml:2: is not UTF-8 at byte 8");
    }

    #[test]
    fn a_bomb_of_aliases_ends_in_an_error() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for i in 1..30 {
            let before = format!("*a{}", i - 1);
            text.push_str(&format!(
                "a{i}: &a{i} [{}]\n",
                [before.as_str(); 9].join(", ")
            ));
        }
        let error = read(&text).unwrap_err().to_string();
        assert!(error.contains("more than 1000000 YAML nodes"), "{error}");
    }

    #[test]
    fn nesting_has_a_bound_however_it_is_written() {
        for text in [
            "[".repeat(100_000),
            "- ".repeat(100_000),
            "{a: ".repeat(100_000),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.place().line.is_some(), "{error}");
        }
        let deep: String = (0..100_000)
            .map(|i| format!("{}a:\n", " ".repeat(i % 1000)))
            .collect();
        assert!(read(&deep).is_err());
    }

    #[test]
    fn marks_tell_where_a_field_was_written() {
        let budget = Budget::new(Limits::default());
        let reader = Reader {
            file: "f.yaml",
            typing: Typing::Config,
            budget: &budget,
        };
        let mut marks = Marks::new();
        let text =
            "resources:\n- a.yaml\n- b.yaml\npatches:\n- path: p.yaml\n  target: {kind: X}\n";
        reader
            .marked_documents(text.as_bytes(), &mut marks)
            .unwrap();
        assert_eq!(marks["resources"], (1, 1));
        assert_eq!(marks["resources[1]"], (3, 3));
        assert_eq!(marks["patches[0].target"], (6, 3));
        assert_eq!(marks["patches[0].target.kind"], (6, 12));
    }
}
