//! A document that was changed inside, written in the look it had (`yaml/look.rs`), as go-yaml v3 writes its nodes.
//!
//! Order, quotes, brackets and comments stay; indentation and empty lines do not. What is new is written plainly.

use std::collections::BTreeMap;

use super::emit::{Emitter, Shape as Text, is_flow_indicator};
use super::fold;
use super::look::{Comments, Field, Look, Page, Shape};
use super::mapping::Mapping;
use super::node::Node;
use super::scalar::{Scalar, Tag, Typing, resolve};

/// `node`, which `text` became, as text again; nothing if the look of `text` is beyond this.
pub(crate) fn restyled(text: &str, node: &Node) -> Option<String> {
    let page = Page::read(text)?;
    let mut out = String::new();
    let mut writer = Writer {
        emitter: Emitter::unfolded(&mut out),
        comments: &page.comments,
        fresh: true,
        foot: None,
    };
    if !page.margin.head.is_empty() {
        writer.comment(&page.margin.head, 0);
        writer.emitter.put("\n");
    }
    writer.root(node, &page.look);
    if !page.margin.foot.is_empty() {
        writer.foot = Some(0);
        writer.comment(&page.margin.foot, 0);
    }
    Some(out)
}

/// Where a scalar stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Block,
    Flow,
    Key { flow: bool },
}

struct Writer<'a> {
    emitter: Emitter<'a>,
    comments: &'a [Comments],
    /// Whether a comment has ended the line.
    fresh: bool,
    /// The indentation of the foot that was written last.
    foot: Option<usize>,
}

impl Writer<'_> {
    fn root(&mut self, node: &Node, look: &Look) {
        match node {
            Node::Map(map) if is_block(node, Some(look)) => self.mapping(map, Some(look), 0, false),
            Node::Seq(items) if is_block(node, Some(look)) => {
                self.sequence(items, Some(look), 0, false);
            }
            other => self.inline(other, Some(look), 0, Place::Block),
        }
    }

    /// A line that begins at `indent`. An empty one comes before it behind a foot.
    fn begin(&mut self, indent: usize) {
        if !self.fresh {
            self.emitter.line(0);
        }
        if self.foot == Some(indent) {
            self.emitter.line(0);
        }
        self.foot = None;
        self.fresh = false;
        self.emitter.put(&" ".repeat(indent));
    }

    fn comment(&mut self, lines: &[String], indent: usize) {
        for (at, line) in lines.iter().enumerate() {
            match (at, line.is_empty()) {
                (0, _) => self.begin(indent),
                (_, true) => self.emitter.line(0),
                (_, false) => self.emitter.line(indent),
            }
            self.emitter.put(line);
        }
        if !lines.is_empty() {
            self.emitter.line(0);
            self.fresh = true;
        }
    }

    fn head(&mut self, entry: Option<usize>, indent: usize) {
        if let Some(comments) = entry.and_then(|entry| self.comments.get(entry)) {
            self.comment(&comments.head, indent);
        }
    }

    fn line_comment(&mut self, entry: Option<usize>) {
        let comments = entry.and_then(|entry| self.comments.get(entry));
        if let Some(line) = comments.and_then(|comments| comments.line.as_ref()) {
            self.emitter.put(" ");
            self.emitter.put(line);
            self.emitter.line(0);
            self.fresh = true;
        }
    }

    fn foot(&mut self, entry: Option<usize>, indent: usize) {
        let comments = entry.and_then(|entry| self.comments.get(entry));
        if let Some(comments) = comments.filter(|comments| !comments.foot.is_empty()) {
            self.comment(&comments.foot, indent);
            self.foot = Some(indent);
        }
    }

    /// `started`: the cursor already stands where the first key begins.
    fn mapping(&mut self, map: &Mapping, look: Option<&Look>, indent: usize, mut started: bool) {
        static NONE: BTreeMap<String, Field> = BTreeMap::new();
        let fields = look.map_or(&NONE, |look| &look.fields);
        for (key, value) in map.iter() {
            let field = fields.get(key.as_str());
            let entry = field.and_then(|field| field.entry);
            let look = field.map(|field| &field.value);
            self.head(entry, indent);
            if !started {
                self.begin(indent);
            }
            started = false;
            self.key(key, field, indent, false);
            let block = is_block(value, look);
            if block {
                self.line_comment(entry);
            }
            match value {
                Node::Map(map) if block => self.mapping(map, look, indent + 2, false),
                Node::Seq(items) if block => self.sequence(items, look, indent, false),
                inline => {
                    self.gap(inline, look);
                    self.commented(inline, look, indent, entry);
                }
            }
            self.foot(entry, indent);
        }
    }

    fn sequence(&mut self, items: &[Node], look: Option<&Look>, indent: usize, mut started: bool) {
        for (at, value) in items.iter().enumerate() {
            let item = look.and_then(|look| look.items.get(at));
            let entry = item.and_then(|item| item.entry);
            let look = item.map(|item| &item.value);
            self.head(entry, indent);
            if !started {
                self.begin(indent);
            }
            started = false;
            self.emitter.put("-");
            match value {
                Node::Map(map) if is_block(value, look) => {
                    self.emitter.put(" ");
                    self.mapping(map, look, indent + 2, true);
                }
                Node::Seq(items) if is_block(value, look) => {
                    self.emitter.put(" ");
                    self.sequence(items, look, indent + 2, true);
                }
                inline => {
                    self.gap(inline, look);
                    self.commented(inline, look, indent, entry);
                }
            }
            self.foot(entry, indent);
        }
    }

    /// The space before a value, unless nothing follows.
    fn gap(&mut self, value: &Node, look: Option<&Look>) {
        let plain = look.is_none_or(|look| look.shape == Shape::Plain);
        let nothing = plain && value.is_null() && value.raw_text().is_empty();
        if !nothing {
            self.emitter.put(" ");
        }
    }

    /// A value on the line of its key, with the comment of that line.
    fn commented(
        &mut self,
        value: &Node,
        look: Option<&Look>,
        indent: usize,
        entry: Option<usize>,
    ) {
        let shape = shape_of(value, look);
        if let (Node::Scalar(scalar), Shape::Literal | Shape::Folded) = (value, shape) {
            let text = Text::of(&scalar.text);
            if text.block {
                return self.block(&scalar.text, shape, indent + 2, entry);
            }
        }
        self.inline(value, look, indent, Place::Block);
        self.line_comment(entry);
    }

    fn key(&mut self, key: &str, field: Option<&Field>, indent: usize, flow: bool) {
        let shape = field.map_or(Shape::Plain, |field| field.key);
        let scalar = Scalar::string(key);
        self.scalar(&scalar, shape, indent, Place::Key { flow });
        self.emitter.put(":");
    }

    /// A value without line breaks of its own, but for text between quotes.
    fn inline(&mut self, value: &Node, look: Option<&Look>, indent: usize, place: Place) {
        match value {
            Node::Scalar(scalar) => self.scalar(scalar, shape_of(value, look), indent, place),
            Node::Seq(items) => {
                self.emitter.put("[");
                for (at, item) in items.iter().enumerate() {
                    self.comma(at);
                    let look = look.and_then(|look| look.items.get(at));
                    let look = look.map(|item| &item.value);
                    self.inline(item, look, indent, Place::Flow);
                }
                self.emitter.put("]");
            }
            Node::Map(map) => {
                self.emitter.put("{");
                for (at, (key, value)) in map.iter().enumerate() {
                    self.comma(at);
                    let field = look.and_then(|look| look.fields.get(key.as_str()));
                    self.key(key, field, indent, true);
                    self.emitter.put(" ");
                    let look = field.map(|field| &field.value);
                    self.inline(value, look, indent, Place::Flow);
                }
                self.emitter.put("}");
            }
        }
    }

    fn comma(&mut self, at: usize) {
        if at > 0 {
            self.emitter.put(", ");
        }
    }

    fn scalar(&mut self, scalar: &Scalar, shape: Shape, indent: usize, place: Place) {
        let text = scalar.text.as_str();
        let open = Text::of(text);
        let flow = matches!(place, Place::Flow | Place::Key { flow: true });
        let key = matches!(place, Place::Key { .. });
        let looks = resolve(text, Typing::Manifest);
        match scalar.tag {
            Tag::Str if scalar.tagged => self.emitter.put("!!str "),
            tag if scalar.tagged || looks != tag => self.emitter.put(tag_before(tag)),
            _ => {}
        }
        let mut shape = shape;
        if shape == Shape::Plain {
            let text_only = scalar.tag == Tag::Str && !scalar.bare && !scalar.tagged;
            let typed = text_only && looks != Tag::Str;
            let held = if flow {
                open.plain && !text.contains(is_flow_indicator)
            } else {
                open.plain || text.is_empty()
            };
            shape = match () {
                () if text.contains('\n') => Shape::Literal,
                () if typed => Shape::Double,
                () if !held || text.is_empty() && (flow || key) => Shape::Single,
                () => Shape::Plain,
            };
        }
        if key && text.contains('\n') {
            shape = Shape::Double;
        }
        match shape {
            Shape::Plain => self.emitter.put(text),
            Shape::Single if open.single => self.single(text, indent + 2),
            Shape::Literal | Shape::Folded if open.block && place == Place::Block => {
                self.block(text, shape, indent + 2, None);
            }
            _ => self.emitter.double_quoted(text, indent + 2, !key),
        }
    }

    fn single(&mut self, text: &str, indent: usize) {
        self.emitter.put("'");
        let mut broken = false;
        for c in text.chars() {
            if c == '\n' {
                if !broken {
                    self.emitter.line(0);
                }
                self.emitter.line(0);
                broken = true;
                continue;
            }
            if broken {
                self.emitter.put(&" ".repeat(indent));
            }
            broken = false;
            let mut buffer = [0; 4];
            let written = match c {
                '\'' => "''",
                c => c.encode_utf8(&mut buffer),
            };
            self.emitter.put(written);
        }
        self.emitter.put("'");
    }

    /// A literal or folded block, whose comment stands behind its sign.
    fn block(&mut self, text: &str, shape: Shape, indent: usize, entry: Option<usize>) {
        let mut lines = match shape {
            Shape::Folded => fold::lines(text),
            _ => text.split('\n').map(str::to_owned).collect(),
        };
        if text.ends_with('\n') {
            lines.pop();
        }
        self.emitter
            .put(if shape == Shape::Folded { ">" } else { "|" });
        self.emitter.hints(text);
        self.line_comment(entry);
        for line in &lines {
            match (self.fresh, line.is_empty()) {
                (true, true) => {}
                (true, false) => self.emitter.put(&" ".repeat(indent)),
                (false, true) => self.emitter.line(0),
                (false, false) => self.emitter.line(indent),
            }
            self.fresh = false;
            self.emitter.put(line);
        }
    }
}

/// What stands before a value that does not look like one of its type.
fn tag_before(tag: Tag) -> &'static str {
    match tag {
        Tag::Null => "!!null ",
        Tag::Bool => "!!bool ",
        Tag::Int => "!!int ",
        Tag::Float => "!!float ",
        Tag::Timestamp => "!!timestamp ",
        Tag::Str => "",
    }
}

/// How a value is written: as it was, if it still is of that kind.
fn shape_of(value: &Node, look: Option<&Look>) -> Shape {
    let was = look.map(|look| look.shape);
    let collection = matches!(was, Some(Shape::Block | Shape::Flow));
    match was {
        Some(shape) if collection != value.is_scalar() => shape,
        _ if value.is_scalar() => Shape::Plain,
        _ => Shape::Block,
    }
}

/// Whether a value is a list or a mapping over lines.
fn is_block(value: &Node, look: Option<&Look>) -> bool {
    let filled = match value {
        Node::Map(map) => !map.is_empty(),
        Node::Seq(items) => !items.is_empty(),
        Node::Scalar(_) => false,
    };
    filled && shape_of(value, look) == Shape::Block
}
