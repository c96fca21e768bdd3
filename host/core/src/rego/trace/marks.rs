//! A policy's source, written so that its conditions note what they come to.
//!
//! `x := f(y)` becomes `x := noted((f(y)), 7)`: the same value, under the same conditions, on the same line. What would
//! not be the same is left as it is, and marked as untold: `=`, which gives values to both its sides, and calls that
//! have a place for their result. What is told of a condition is what somebody wrote, not what the loader made of it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::rego::edits::Origin;
use crate::rego::lint::{self, Module};
use crate::rego::nesting::Words;
use crate::rego::{ANSWERS, builtins, extent, heads, negation};

/// The function that notes. A policy cannot call it: no policy is compiled that calls what it doesn't know.
pub(super) const NOTE: &str = "reeve_noted";

/// The longest text of a condition that is told, in characters.
const TEXT: usize = 120;

/// A module that notes.
pub(super) struct Marked {
    pub(super) file: String,
    pub(super) source: String,
    pub(super) rules: Vec<Rule>,
}

/// One rule of a module.
pub(super) struct Rule {
    /// `data.reeve.service_account.deny`.
    pub(super) name: String,
    pub(super) line: u64,
    pub(super) marks: Vec<Mark>,
}

/// One place in a rule.
pub(super) struct Mark {
    /// By which it is noted.
    pub(super) place: u64,
    pub(super) kind: Kind,
    pub(super) line: u64,
    pub(super) column: u64,
    pub(super) depth: usize,
    /// Which of the rule's bodies it is of.
    pub(super) body: usize,
    pub(super) text: String,
}

/// What stands at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A condition, or what `:=` gives a name.
    Holds,
    /// What stands under `not`.
    Not,
    /// The collection of `some … in`.
    SomeIn,
    /// The collection of `every`.
    Every,
    /// The value of the rule.
    Gives,
    /// Nothing is noted.
    Untold,
}

/// The modules, written so that they note.
pub(super) fn mark(modules: &[Module], origins: &BTreeMap<String, Origin>) -> Vec<Marked> {
    let own = modules.iter().filter(|module| module.file != ANSWERS);
    let functions: BTreeMap<String, usize> = own.clone().flat_map(arities).collect();
    let mut places = 0;
    own.map(|module| {
        let mut pen = Pen {
            module,
            origin: origins.get(&module.file),
            functions: &functions,
            places: &mut places,
            notes: Vec::new(),
            marks: Vec::new(),
            given: BTreeMap::new(),
            body: 0,
        };
        let rules = lint::rules(module).iter().filter_map(|rule| pen.rule(rule));
        let rules = rules.collect();
        Marked {
            file: module.file.clone(),
            rules,
            source: pen.write(),
        }
    })
    .collect()
}

/// The functions of a module, and how many arguments each has.
fn arities(module: &Module) -> Vec<(String, usize)> {
    let heads = lint::rules(module)
        .iter()
        .filter_map(|rule| rule.pointer("/Spec/head"));
    let functions = heads.filter_map(|head| {
        let given = head.pointer("/Func/args")?.as_array()?.len();
        let (name, ..) = lint::head_of(head)?;
        Some((format!("{}.{name}", module.package), given))
    });
    functions.collect()
}

struct Pen<'a> {
    module: &'a Module,
    /// What it was, where that is something else.
    origin: Option<&'a Origin>,
    functions: &'a BTreeMap<String, usize>,
    places: &'a mut u64,
    /// From where to where in the source, and the place by which it is noted.
    notes: Vec<(usize, usize, u64)>,
    marks: Vec<Mark>,
    /// From where to where that goes which heads give, by its name.
    given: BTreeMap<String, (usize, usize)>,
    body: usize,
}

impl Pen<'_> {
    fn rule(&mut self, rule: &Value) -> Option<Rule> {
        let rule = rule.get("Spec")?;
        let head = rule.get("head")?;
        if heads::is_container(head) {
            return None;
        }
        let (name, shape, span) = lint::head_of(head)?;
        let line = span?.get("line")?.as_u64()?;
        self.body = 0;
        let inner = head.get(shape)?;
        let bodies = rule.get("bodies").and_then(Value::as_array);
        for (at, body) in bodies.into_iter().flatten().enumerate() {
            self.body = at;
            self.query(body.get("query"), 0);
            if let Some(assign) = body.get("assign").filter(|assign| !assign.is_null()) {
                self.value(assign);
            }
        }
        self.body = 0;
        match inner.get("assign").filter(|assign| !assign.is_null()) {
            Some(assign) => self.value(assign),
            None => self.element(inner),
        }
        Some(Rule {
            name: format!("{}.{}", self.module.package, name.trim_end_matches('.')),
            line,
            marks: std::mem::take(&mut self.marks),
        })
    }

    /// `:= value`, of a head or an `else`.
    fn value(&mut self, assign: &Value) {
        let (Some(value), Some((from, to))) =
            (assign.get("value"), self.extent(assign.get("span")))
        else {
            return;
        };
        let start = self
            .after(from, to, ":=")
            .or_else(|| self.after(from, to, "="));
        let noted = start.map(|start| (start, to));
        self.gives(value, assign.get("span"), (from, to), noted);
    }

    /// `contains element`.
    fn element(&mut self, head: &Value) {
        let Some(key) = head.get("key").filter(|key| !key.is_null()) else {
            return;
        };
        let Some(element) = extent::element(&self.module.source, head) else {
            return;
        };
        self.gives(key, head.get("span"), element, Some(element));
    }

    /// What a rule gives, or where `heads` has written it.
    fn gives(
        &mut self,
        value: &Value,
        place: Option<&Value>,
        whole: (usize, usize),
        noted: Option<(usize, usize)>,
    ) {
        let given = heads::name(value).and_then(|name| self.given.remove(name));
        match given {
            Some(given) => self.mark(Kind::Gives, place, whole, Some(given), 0),
            None => {
                self.mark(Kind::Gives, place, whole, noted, 0);
                self.nested(value, 0);
            }
        }
    }

    fn query(&mut self, query: Option<&Value>, depth: usize) {
        let stmts = query.and_then(|query| query.get("stmts")?.as_array());
        let stmts = stmts.into_iter().flatten();
        stmts.for_each(|stmt| self.stmt(stmt, depth));
    }

    fn stmt(&mut self, stmt: &Value, depth: usize) {
        let (Some(whole), Some(literal)) = (self.literal(stmt), stmt.get("literal")) else {
            return;
        };
        if let Some(name) = heads::given(stmt) {
            return self.given(name, stmt, whole);
        }
        // Nobody wrote it: what becomes of it shows where it came from.
        if negation::is_part(stmt) {
            return self.nested(stmt, depth);
        }
        let (from, to) = whole;
        let in_collection = |value: Option<(usize, usize)>, to: usize| {
            value.and_then(|(_, end)| Some((self.after(end, to, "in")?, to)))
        };
        let shape = literal.as_object().and_then(|shapes| shapes.iter().next());
        let (kind, noted) = match shape.map(|(shape, inner)| (shape.as_str(), inner)) {
            Some(("NotExpr", _)) => {
                let noted = self.after(from, to, "not").map(|start| (start, to));
                (Kind::Not, noted)
            }
            Some(("SomeIn", some)) => {
                let value = some.get("value").and_then(span);
                (Kind::SomeIn, in_collection(self.extent(value), to))
            }
            Some(("Every", every)) => {
                let body = self
                    .extent(every.pointer("/query/span"))
                    .map(|(start, _)| start);
                let noted = in_collection(
                    self.extent(every.get("value")),
                    self.trimmed(from, body.unwrap_or(to)),
                );
                (Kind::Every, noted)
            }
            Some(("Expr", expr)) => (Kind::Holds, self.expression(expr.get("expr"), whole)),
            // `some x` alone is no condition.
            _ => return,
        };
        self.mark(kind, stmt.get("span"), whole, noted, depth);
        self.nested(stmt, depth);
    }

    /// Keeps where that is which a head gives under this name.
    fn given(&mut self, name: &str, stmt: &Value, (_, to): (usize, usize)) {
        let named = stmt
            .pointer("/literal/Expr/expr/AssignExpr/lhs")
            .and_then(span);
        let start = self
            .extent(named)
            .and_then(|(_, end)| self.after(end, to, ":="));
        if let Some(start) = start {
            self.given.insert(name.to_owned(), (start, to));
        }
        self.nested(stmt, 0);
    }

    /// What of an expression can be noted.
    fn expression(
        &self,
        expr: Option<&Value>,
        (from, to): (usize, usize),
    ) -> Option<(usize, usize)> {
        let (shape, inner) = expr?.as_object()?.iter().next()?;
        match shape.as_str() {
            "AssignExpr" => {
                let (_, end) = self.extent(inner.get("lhs").and_then(span))?;
                // Anything else than `:=` is `=`.
                Some((self.after(end, to, ":=")?, to))
            }
            "Call" => {
                let name = inner.get("fcn").and_then(lint::dotted)?;
                let given = inner.get("params")?.as_array()?.len();
                let takes = self.arity(&name)?;
                (name != "walk" && given == takes).then_some((from, to))
            }
            _ => Some((from, to)),
        }
    }

    fn arity(&self, name: &str) -> Option<usize> {
        let own = format!("{}.{name}", self.module.package);
        let declared = self
            .functions
            .get(name)
            .or_else(|| self.functions.get(&own));
        // A function of another package by its import's name: it is called with as many arguments as it takes, or with one
        // more. That isn't told apart here.
        declared
            .copied()
            .or_else(|| builtins::arity(name).map(usize::from))
    }

    /// The queries in a node: those of comprehensions and of `every`.
    fn nested(&mut self, node: &Value, depth: usize) {
        match node {
            Value::Array(items) => items.iter().for_each(|item| self.nested(item, depth)),
            Value::Object(fields) => {
                for (name, value) in fields {
                    match name.as_str() {
                        "query" => self.query(Some(value), depth + 1),
                        _ => self.nested(value, depth),
                    }
                }
            }
            _ => {}
        }
    }

    /// Marks what stands in the source from where to where, of which `noted` is noted.
    fn mark(
        &mut self,
        kind: Kind,
        span: Option<&Value>,
        (from, to): (usize, usize),
        noted: Option<(usize, usize)>,
        depth: usize,
    ) {
        let number = |key| span.and_then(|span| span.get(key)?.as_u64()).unwrap_or(0);
        *self.places += 1;
        let place = *self.places;
        if let Some((start, end)) = noted {
            self.notes.push((start, end, place));
        }
        let written = self.module.source.get(from..to).unwrap_or_default();
        let own = self.origin.map(|origin| origin.text(from, to));
        let text = on_one_line(own.filter(|own| !own.is_empty()).unwrap_or(written));
        let begins = span.and_then(|span| usize::try_from(span.get("start")?.as_u64()?).ok());
        let column = self.origin.zip(begins);
        let column = column.map(|(origin, begins)| origin.column(begins));
        self.marks.push(Mark {
            place,
            kind: noted.map_or(Kind::Untold, |_| kind),
            line: number("line"),
            column: column.unwrap_or_else(|| number("col")),
            depth,
            body: self.body,
            text: text.chars().take(TEXT).collect(),
        });
    }

    /// The source with the calls in it.
    fn write(self) -> String {
        let mut insertions: Vec<(usize, String)> = Vec::new();
        for (from, to, place) in &self.notes {
            insertions.push((*from, format!("{NOTE}((")));
            insertions.push((*to, format!("), {place})")));
        }
        insertions.sort_by_key(|(at, _)| *at);
        let mut source = String::with_capacity(self.module.source.len());
        let mut done = 0;
        for (at, text) in insertions {
            source.push_str(self.module.source.get(done..at).unwrap_or_default());
            source.push_str(&text);
            done = at;
        }
        source.push_str(self.module.source.get(done..).unwrap_or_default());
        source
    }

    /// From where to where a span goes.
    fn extent(&self, span: Option<&Value>) -> Option<(usize, usize)> {
        extent::extent(&self.module.source, span)
    }

    /// From where to where a statement goes, without what is said `with` it.
    fn literal(&self, stmt: &Value) -> Option<(usize, usize)> {
        let (from, to) = self.extent(stmt.get("span"))?;
        let with = stmt
            .pointer("/with_mods/0/span")
            .and_then(|span| self.extent(Some(span)));
        let to = with.map_or(to, |(start, _)| start);
        Some((from, self.trimmed(from, to)))
    }

    /// Where what goes from there to there ends, without the space behind it.
    fn trimmed(&self, from: usize, to: usize) -> usize {
        let text = self.module.source.get(from..to).unwrap_or_default();
        from + text.trim_end().len()
    }

    /// Where what stands behind `word` begins, if that comes next.
    fn after(&self, from: usize, to: usize, word: &str) -> Option<usize> {
        extent::after(&self.module.source, from, to, word)
    }
}

/// What is written there, without comments.
fn on_one_line(text: &str) -> String {
    let mut line = String::new();
    let mut words = Words::of(text);
    while let Some((_, touches)) = words.next() {
        if !touches && !line.is_empty() {
            line.push(' ');
        }
        let word = text.get(words.begins..words.ends()).unwrap_or_default();
        line.push_str(&word.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    line
}

/// The span of an expression as a whole.
fn span(node: &Value) -> Option<&Value> {
    let inner = node.as_object()?.values().find(|value| value.is_object())?;
    inner.get("span")
}
