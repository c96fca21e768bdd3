//! Bytes to documents: saphyr-parser's events, our own tree.
//!
//! Aliases and merge keys are expanded here, each expansion charged to the build's budget, so that a bomb of anchors ends
//! in an error. No recursion: nesting is a stack with a bound. Keys that repeat are refused in manifests.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, StrInput, Tag as YamlTag};

use super::node::{Mapping, Node, text_cost};
use super::scalar::{Scalar, Style, Tag, Typing, resolve};
use crate::budget::Budget;
use crate::error::{Error, Why};

/// Where each field of a document was written: `patches[0].path` to line and column, both from 1.
pub(crate) type Marks = BTreeMap<String, (u32, u32)>;

/// How deep fields are remembered in [`Marks`].
const MARKED_DEPTH: usize = 8;

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
enum Open {
    Seq {
        items: Vec<Node>,
        anchor: usize,
    },
    Map {
        map: Mapping,
        key: Option<String>,
        /// Whether the key, if it is `<<`, was written without quotes.
        merging: bool,
        merges: Vec<Node>,
        anchor: usize,
    },
}

struct Loader<'a, 'r> {
    reader: &'r Reader<'a>,
    stack: Vec<Open>,
    anchors: BTreeMap<usize, (Node, u64)>,
    documents: Vec<Document>,
    line: u32,
    marks: Option<&'r mut Marks>,
}

impl Reader<'_> {
    /// All documents that are not empty.
    pub(crate) fn documents(&self, bytes: &[u8]) -> Result<Vec<Document>, Error> {
        self.load(bytes, None)
    }

    /// All documents that are not empty, and where the fields of the last one were written.
    pub(crate) fn marked_documents(
        &self,
        bytes: &[u8],
        marks: &mut Marks,
    ) -> Result<Vec<Document>, Error> {
        self.load(bytes, Some(marks))
    }

    fn load(&self, bytes: &[u8], mut marks: Option<&mut Marks>) -> Result<Vec<Document>, Error> {
        let mut text = Cow::Borrowed(self.text(bytes)?);
        self.check_separators(&text)?;
        loop {
            let spent = self.budget.spent_nodes();
            let error = match self.parse(&text, marks.as_deref_mut())? {
                Ok(documents) => return Ok(documents),
                Err(error) => error,
            };
            let Some(mended) = without_tab(&text, &error) else {
                return Err(self.scan_error(&error));
            };
            self.budget.unspend_nodes(spent);
            let steps = self.budget.steps(text.len() as u64);
            steps.map_err(|why| self.error(*error.marker(), why))?;
            text = Cow::Owned(mended);
        }
    }

    /// The documents, or what the scanner cannot read.
    fn parse(
        &self,
        text: &str,
        marks: Option<&mut Marks>,
    ) -> Result<Result<Vec<Document>, ScanError>, Error> {
        let mut loader = Loader {
            reader: self,
            stack: Vec::new(),
            anchors: BTreeMap::new(),
            documents: Vec::new(),
            line: 1,
            marks,
        };
        let mut parser = Parser::new(StrInput::new(text)).keep_tags(true);
        while let Some(event) = parser.next_event() {
            match event {
                Ok((event, span)) => loader.event(event, span.start)?,
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(loader.documents))
    }

    fn scan_error(&self, error: &ScanError) -> Error {
        let marker = error.marker();
        let message = format!("is not valid YAML: {}", error.info());
        self.error(*marker, Why::Syntax(message))
    }

    fn text<'b>(&self, bytes: &'b [u8]) -> Result<&'b str, Error> {
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        std::str::from_utf8(bytes).map_err(|e| {
            let offset = e.valid_up_to();
            let line = bytes.iter().take(offset).filter(|b| **b == b'\n').count() + 1;
            let line = u32::try_from(line).unwrap_or(u32::MAX);
            let why = format!("is not UTF-8 at byte {offset}");
            Error::new(self.file, Why::Syntax(why)).at_line(line)
        })
    }

    /// kustomize takes a line that begins with `---` for the end of a document, whatever follows; it refuses what is no
    /// comment there.
    fn check_separators(&self, text: &str) -> Result<(), Error> {
        for (index, line) in text.lines().enumerate().skip(1) {
            let Some(rest) = line.strip_prefix("---") else {
                continue;
            };
            let rest = rest.trim();
            if !rest.is_empty() && !rest.starts_with('#') {
                let line = u32::try_from(index + 1).unwrap_or(u32::MAX);
                let why = "only a comment may follow --- on its line".to_owned();
                return Err(Error::new(self.file, Why::Syntax(why)).at(line, 1));
            }
        }
        Ok(())
    }

    fn error(&self, marker: Marker, why: Why) -> Error {
        let (line, column) = position(marker);
        Error::new(self.file, why).at(line, column)
    }
}

/// The scanner refuses a tab between a colon and a value, which YAML allows: the same text with spaces there, or nothing
/// if that is not what is wrong.
fn without_tab(text: &str, error: &ScanError) -> Option<String> {
    if !error.info().starts_with("':' must be followed by") {
        return None;
    }
    let (end, _) = text.char_indices().nth(error.marker().index())?;
    let (before, after) = text.split_at_checked(end)?;
    let kept = before.trim_end_matches(['\t', ' ']);
    let width = before.len() - kept.len();
    let tabbed = kept.ends_with(':') && before.ends_with(['\t', ' ']) && !after.starts_with("- ");
    tabbed.then(|| format!("{kept}{}{after}", " ".repeat(width)))
}

fn position(marker: Marker) -> (u32, u32) {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    (number(marker.line()), number(marker.col() + 1))
}

impl Loader<'_, '_> {
    fn event(&mut self, event: Event<'_>, at: Marker) -> Result<(), Error> {
        match event {
            Event::DocumentStart(_) => {
                self.anchors.clear();
                if let Some(marks) = &mut self.marks {
                    marks.clear();
                }
            }
            Event::Alias(id) => {
                let (node, cost) = self.anchors.get(&id).cloned().ok_or_else(|| {
                    let why = "an alias stands inside of the value it names".to_owned();
                    self.reader.error(at, Why::Invalid(why))
                })?;
                self.charge(cost, at)?;
                self.value(node, 0, at)?;
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.charge(text_cost(&text), at)?;
                let scalar = self.scalar(text.into_owned(), style, tag.as_deref(), at)?;
                self.value(Node::Scalar(scalar), anchor, at)?;
            }
            Event::SequenceStart(anchor, _) => {
                self.mark(at);
                self.open(
                    Open::Seq {
                        items: Vec::new(),
                        anchor,
                    },
                    at,
                )?;
            }
            Event::MappingStart(anchor, _) => {
                self.mark(at);
                let open = Open::Map {
                    map: Mapping::new(),
                    key: None,
                    merging: false,
                    merges: Vec::new(),
                    anchor,
                };
                self.open(open, at)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(at)?,
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn charge(&self, cost: u64, at: Marker) -> Result<(), Error> {
        self.reader
            .budget
            .nodes(cost)
            .map_err(|why| self.reader.error(at, why))
    }

    fn open(&mut self, open: Open, at: Marker) -> Result<(), Error> {
        self.charge(1, at)?;
        if self.stack.is_empty() {
            self.line = position(at).0;
        }
        let limit = self.reader.budget.limits().nesting;
        if self.stack.len() as u64 >= limit {
            return Err(self.reader.error(
                at,
                Why::Limit {
                    what: "levels of nesting",
                    limit,
                },
            ));
        }
        self.stack.push(open);
        Ok(())
    }

    fn close(&mut self, at: Marker) -> Result<(), Error> {
        match self.stack.pop() {
            Some(Open::Seq { items, anchor }) => self.finished(Node::Seq(items), anchor, at),
            Some(Open::Map {
                mut map,
                merges,
                anchor,
                ..
            }) => {
                for merged in merges {
                    self.merge(&mut map, merged, at)?;
                }
                self.finished(Node::mapping(map), anchor, at)
            }
            None => Ok(()),
        }
    }

    /// Fields of `merged` that `map` has not. Of several, the first wins, as in go-yaml.
    fn merge(&self, map: &mut Mapping, merged: Node, at: Marker) -> Result<(), Error> {
        match merged {
            Node::Map(fields) => {
                for (key, node) in *fields {
                    map.entry(key).or_insert(node);
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

    fn bad_merge(&self, at: Marker) -> Error {
        let why = "<< needs a mapping or a list of mappings".to_owned();
        self.reader.error(at, Why::Invalid(why))
    }

    /// A value or a key; containers come through [`Self::finished`].
    fn value(&mut self, node: Node, anchor: usize, at: Marker) -> Result<(), Error> {
        if let Some(Open::Map {
            key: key @ None,
            merging,
            map,
            ..
        }) = self.stack.last_mut()
        {
            let Node::Scalar(scalar) = &node else {
                let why = "a key must be text, not a list or a mapping".to_owned();
                return Err(self.reader.error(at, Why::Invalid(why)));
            };
            if scalar.tag != Tag::Str && self.reader.typing == Typing::Manifest {
                let why = format!("key {} must be text: quote it", scalar.text);
                return Err(self.reader.error(at, Why::Invalid(why)));
            }
            // kustomize takes the last of two in a kustomization file.
            if self.reader.typing == Typing::Manifest && map.contains_key(&scalar.text) {
                let why = format!("key {:?} is there already", scalar.text);
                return Err(self.reader.error(at, Why::Invalid(why)));
            }
            *merging = scalar.style == Style::Plain;
            *key = Some(scalar.as_key());
            self.mark(at);
            self.remember(node, anchor);
            return Ok(());
        }
        if matches!(self.stack.last(), Some(Open::Seq { .. })) {
            self.mark(at);
        }
        self.finished(node, anchor, at)
    }

    /// A value that is complete: to its place, and kept if it has an anchor.
    fn finished(&mut self, node: Node, anchor: usize, at: Marker) -> Result<(), Error> {
        if anchor != 0 {
            let cost = node.cost();
            self.charge(cost, at)?;
            self.anchors.insert(anchor, (node.clone(), cost));
        }
        match self.stack.last_mut() {
            None => {
                if !node.is_null() {
                    self.documents.push(Document {
                        node,
                        line: self.line,
                    });
                }
                Ok(())
            }
            Some(Open::Seq { items, .. }) => {
                items.push(node);
                Ok(())
            }
            Some(Open::Map {
                map,
                key,
                merging,
                merges,
                ..
            }) => match key.take() {
                Some(key) if key == "<<" && *merging => {
                    merges.push(node);
                    Ok(())
                }
                Some(key) => {
                    map.insert(key, node);
                    Ok(())
                }
                None => {
                    let why = "a key must be text, not a list or a mapping".to_owned();
                    Err(self.reader.error(at, Why::Invalid(why)))
                }
            },
        }
    }

    fn remember(&mut self, node: Node, anchor: usize) {
        if anchor != 0 {
            let cost = node.cost();
            self.anchors.insert(anchor, (node, cost));
        }
    }

    fn scalar(
        &self,
        text: String,
        style: ScalarStyle,
        tag: Option<&YamlTag>,
        at: Marker,
    ) -> Result<Scalar, Error> {
        let plain = || resolve(&text, self.reader.typing);
        let tag = match tag.map(|t| {
            (
                t.is_yaml_core_schema() || t.handle == "!!",
                t.suffix.as_str(),
            )
        }) {
            None if style == ScalarStyle::Plain => plain(),
            None => Tag::Str,
            Some((true, "null")) => Tag::Null,
            Some((true, "bool")) => Tag::Bool,
            Some((true, "int")) => Tag::Int,
            Some((true, "float")) => Tag::Float,
            Some((true, "binary")) => return self.binary(&text, at),
            Some(_) => Tag::Str,
        };
        let fits = match tag {
            Tag::Str => true,
            Tag::Float => matches!(plain(), Tag::Int | Tag::Float),
            other => plain() == other,
        };
        if !fits {
            let why = "the value does not fit its tag".to_owned();
            return Err(self.reader.error(at, Why::Invalid(why)));
        }
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::Folded => Style::Folded,
            _ => Style::Quoted,
        };
        Ok(Scalar {
            style,
            ..Scalar::new(tag, text)
        })
    }

    fn binary(&self, text: &str, at: Marker) -> Result<Scalar, Error> {
        let packed: String = text.split_whitespace().collect();
        let bytes = STANDARD
            .decode(packed)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok());
        let why = || Why::Invalid("!!binary holds no base64 of UTF-8 text".to_owned());
        bytes
            .map(Scalar::string)
            .ok_or_else(|| self.reader.error(at, why()))
    }

    /// Remembers where the value that begins now was written; for a field, where its key was.
    fn mark(&mut self, at: Marker) {
        let Some(marks) = &mut self.marks else { return };
        if self.stack.len() > MARKED_DEPTH {
            return;
        }
        let mut path = String::new();
        for open in &self.stack {
            match open {
                Open::Seq { items, .. } => path.push_str(&format!("[{}]", items.len())),
                Open::Map { key: Some(key), .. } => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(key);
                }
                Open::Map { key: None, .. } => {}
            }
        }
        marks.entry(path).or_insert_with(|| position(at));
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
                "f.yaml:2:1: only a comment may follow --- on its line",
            ),
            (
                "a: &x [*x]\n",
                "f.yaml:1:8: an alias stands inside of the value it names",
            ),
            ("a: *nobody\n", "f.yaml:1:4: "),
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
