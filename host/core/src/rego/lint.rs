//! What a policy may not do, found in its syntax tree before anything of it is evaluated.
//!
//! Calls that are refused are `calls`', patterns and names that are another thing to OPA `patterns`', and rules that would not
//! be found `paths`'. The walk is over the
//! tree as JSON, so that a kind of node that is new to it hides nothing. It deliberately doesn't look for mistakes in logic: that is what a policy's tests are for.

mod calls;
mod functions;
mod paths;
mod patterns;

use std::collections::{BTreeMap, BTreeSet};

use regorus::Engine;
use regorus::unstable::Module as Parsed;
use serde_json::Value;

use super::{Error, Place, bodies, chain};
pub(super) use functions::Functions;

/// The deepest syntax tree that is walked.
const DEPTH_LIMIT: usize = 126;

/// One module: its syntax tree and the names in it.
pub(super) struct Module {
    pub(super) file: String,
    /// `data.reeve.service_account`.
    pub(super) package: String,
    pub(super) tree: Value,
    pub(super) source: String,
}

impl Module {
    /// What is written at a span.
    pub(super) fn text(&self, span: &Value) -> Option<&str> {
        let at = |key| usize::try_from(span.get(key)?.as_u64()?).ok();
        self.source.get(at("start")?..at("end")?)
    }
}

/// A package that denies or warns.
pub(super) struct Package {
    /// `data.reeve.service_account`.
    pub(super) path: String,
    /// The modules that it is made of.
    pub(super) files: Vec<String>,
    /// Which of `deny` and `warn` it has.
    pub(super) sets: BTreeSet<&'static str>,
}

/// The modules that `engine` holds.
pub(super) fn trees(engine: &Engine) -> Result<Vec<Module>, Vec<Error>> {
    let mut engine = engine.clone();
    let modules = engine.get_modules().iter().map(|parsed| tree(parsed));
    let modules: Option<_> = modules.collect();
    modules.ok_or_else(|| vec![unreadable("the policy")])
}

/// A module that was parsed; none when it is nested too deep.
pub(super) fn tree(parsed: &Parsed) -> Option<Module> {
    // Not as the text that regorus makes of it: that is some hundred times as long as the source.
    let tree = serde_json::to_value(parsed).ok()?;
    let tree = Some(tree).filter(|tree| !is_deeper(tree, DEPTH_LIMIT))?;
    let source = &parsed.package.span.source;
    module(tree, source.get_path(), source.get_contents())
}

/// What there is to say of a module without a tree.
pub(super) fn unreadable(file: &str) -> Error {
    refused(file, None, "its syntax tree is nested too deep to be read")
}

fn is_deeper(node: &Value, than: usize) -> bool {
    let Some(than) = than.checked_sub(1) else {
        return node.is_array() || node.is_object();
    };
    match node {
        Value::Array(items) => items.iter().any(|item| is_deeper(item, than)),
        Value::Object(fields) => fields.values().any(|value| is_deeper(value, than)),
        _ => false,
    }
}

/// The calls, patterns, chains and bodies in them that are refused.
pub(super) fn refusals(modules: &[Module]) -> Vec<Error> {
    let mut errors = Vec::from_iter(chain::refusal(modules).or_else(|| bodies::refusal(modules)));
    errors.extend(calls::refusals(modules));
    errors.extend(patterns::refusals(modules));
    errors.extend(paths::refusals(modules));
    errors
}

/// The packages that deny or warn, by their first file; there must be one, and nothing may allow by default.
pub(super) fn policy(
    modules: &[Module],
    data: &serde_json::Map<String, Value>,
) -> Result<Vec<Package>, Vec<Error>> {
    let mut packages: Vec<Package> = Vec::new();
    let mut errors = Vec::new();
    for module in modules {
        let sets = match sets(module, data) {
            Ok(sets) => sets,
            Err(error) => {
                errors.push(error);
                continue;
            }
        };
        match packages.iter_mut().find(|one| one.path == module.package) {
            Some(package) => {
                package.files.push(module.file.clone());
                package.sets.extend(sets);
            }
            None => packages.push(Package {
                path: module.package.clone(),
                files: vec![module.file.clone()],
                sets,
            }),
        }
    }
    packages.retain(|package| !package.sets.is_empty());
    if packages.is_empty() && errors.is_empty() {
        let file = modules.first().map_or("the policy", |module| &module.file);
        let why = "there is no rule: deny contains objection if { … }";
        errors.push(refused(file, None, why));
    }
    told(packages, errors)
}

/// Which of `deny` and `warn` a module has, if everything in it is named as it may be.
fn sets(
    module: &Module,
    data: &serde_json::Map<String, Value>,
) -> Result<BTreeSet<&'static str>, Error> {
    let refused = |span, why: &str| refused(&module.file, span, why);
    let within = may_be_a_package(module, data).map_err(|why| refused(None, &why))?;
    let mut found = BTreeSet::new();
    for rule in rules(module) {
        if let Some(default) = rule.get("Default") {
            let name = default.get("refr").and_then(dotted).unwrap_or_default();
            let allows = default.pointer("/value/Bool/value") == Some(&Value::Bool(true));
            if set(root(&name)).is_some() || allows {
                let why =
                    "a policy only denies: no default for deny, and nothing is true by default";
                return Err(refused(default.get("span"), why));
            }
        }
        let Some(head) = rule.pointer("/Spec/head") else {
            continue;
        };
        let Some((name, shape, span)) = head_of(head) else {
            let span = rule.pointer("/Spec/span");
            return Err(refused(span, "a rule without a name"));
        };
        if within.is_some_and(|data| data.contains_key(root(&name))) {
            let why = format!(
                "{}.{} is data of a file as well",
                module.package,
                root(&name)
            );
            return Err(refused(span, &why));
        }
        if let Some(set) = set(root(&name)) {
            if name != set || shape != "Set" {
                let why = format!("{set} must be a set: {set} contains objection if {{ … }}");
                return Err(refused(span, &why));
            }
            found.insert(set);
        }
    }
    Ok(found)
}

/// Where a module's first `deny` or `warn` stands.
pub(super) fn first_set(module: &Module) -> Option<Place> {
    let heads = rules(module)
        .iter()
        .filter_map(|rule| head_of(rule.pointer("/Spec/head")?));
    let mut sets = heads.filter(|(name, ..)| set(name).is_some());
    let (_, _, span) = sets.next()?;
    Some(place(&module.file, span))
}

fn set(name: &str) -> Option<&'static str> {
    ["deny", "warn"].into_iter().find(|set| *set == name)
}

/// The data that lie at a package's path, unless nothing may be there.
fn may_be_a_package<'a>(
    module: &Module,
    data: &'a serde_json::Map<String, Value>,
) -> Result<Option<&'a serde_json::Map<String, Value>>, String> {
    let mut within = Some(data);
    for (depth, part) in module.package.split('.').skip(1).enumerate() {
        let is_plain = part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let is_ours = depth == 0 && [super::PARAMETERS, super::ANSWERS].contains(&part);
        if !is_plain || is_ours {
            return Err(format!("a package may not be called {}", module.package));
        }
        within = match within.and_then(|data| data.get(part)) {
            None => None,
            Some(Value::Object(inner)) => Some(inner),
            Some(_) => return Err(format!("{} is data of a file as well", module.package)),
        };
    }
    Ok(within)
}

/// The lines of a module on which there is something to evaluate.
pub(super) fn lines(module: &Module) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    for rule in rules(module) {
        let head = rule.pointer("/Spec/head").and_then(Value::as_object);
        for head in head.into_iter().flat_map(|head| head.values()) {
            add_lines(head.pointer("/assign/value"), &mut found);
            add_lines(head.get("key"), &mut found);
        }
        let bodies = rule.pointer("/Spec/bodies").and_then(Value::as_array);
        for body in bodies.into_iter().flatten() {
            add_lines(body.pointer("/query/stmts"), &mut found);
        }
        add_lines(rule.pointer("/Default/value"), &mut found);
    }
    found
}

fn add_lines(node: Option<&Value>, found: &mut BTreeSet<u32>) {
    match node {
        Some(Value::Array(items)) => items.iter().for_each(|item| add_lines(Some(item), found)),
        Some(Value::Object(fields)) => {
            let line = fields.get("span").and_then(|span| span.get("line"));
            let line = line.and_then(Value::as_u64);
            found.extend(line.and_then(|line| u32::try_from(line).ok()));
            fields
                .values()
                .for_each(|value| add_lines(Some(value), found));
        }
        _ => {}
    }
}

fn told<T>(found: T, errors: Vec<Error>) -> Result<T, Vec<Error>> {
    if errors.is_empty() {
        Ok(found)
    } else {
        Err(errors)
    }
}

/// Package and name of each `test_*` rule in `file`.
pub(super) fn tests(modules: &[Module], file: &str) -> Result<Vec<(String, String)>, Error> {
    let mut found = Vec::new();
    let mut known = BTreeSet::new();
    for module in modules.iter().filter(|module| module.file == file) {
        let heads = rules(module)
            .iter()
            .filter_map(|rule| rule.pointer("/Spec/head"));
        for (name, _, _) in heads.filter_map(head_of) {
            if name.starts_with("test_") && known.insert(name.clone()) {
                found.push((module.package.clone(), name));
            }
        }
    }
    if found.is_empty() {
        return Err(refused(
            file,
            None,
            "there is no rule whose name begins with test_",
        ));
    }
    Ok(found)
}

fn module(tree: Value, file: &str, source: &str) -> Option<Module> {
    Some(Module {
        file: file.to_owned(),
        package: format!("data.{}", dotted(tree.pointer("/package/refr")?)?),
        source: source.to_owned(),
        tree,
    })
}

pub(super) fn rules(module: &Module) -> &[Value] {
    module
        .tree
        .get("rules")
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The first parts of the rules' names, by package.
pub(super) fn roots(modules: &[Module]) -> BTreeMap<&str, BTreeSet<String>> {
    let mut found: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for module in modules {
        let own = found.entry(module.package.as_str()).or_default();
        own.extend(rules(module).iter().filter_map(root_of));
    }
    found
}

fn root_of(rule: &Value) -> Option<String> {
    let name = match rule.get("Default") {
        Some(default) => dotted(default.get("refr")?)?,
        None => head_of(rule.pointer("/Spec/head")?)?.0,
    };
    Some(root(&name).to_owned())
}

/// Name, shape (`Compr`, `Set` or `Func`) and span of a rule's head. What a variable names in it is left out, with a dot
/// to tell: `a.` of `a[x]`.
pub(super) fn head_of(head: &Value) -> Option<(String, &str, Option<&Value>)> {
    let (shape, head) = head.as_object()?.iter().next()?;
    let mut refr = head.get("refr")?;
    let span = head.get("span");
    if let Some(name) = dotted(refr) {
        return Some((name, shape.as_str(), span));
    }
    loop {
        refr = refr
            .as_object()?
            .values()
            .find_map(|node| node.get("refr"))?;
        if let Some(name) = dotted(refr) {
            return Some((format!("{name}."), shape.as_str(), span));
        }
    }
}

/// The plain path that a reference is: `http.send`, also when written `http["send"]`.
pub(super) fn dotted(node: &Value) -> Option<String> {
    let (shape, node) = node
        .as_object()?
        .iter()
        .find(|(_, value)| value.is_object())?;
    match shape.as_str() {
        "Var" => Some(node.get("value")?.as_str()?.to_owned()),
        "RefDot" => {
            let field = node.get("field")?.as_array()?.last()?.as_str()?;
            Some(format!("{}.{field}", dotted(node.get("refr")?)?))
        }
        "RefBrack" => {
            let index = node.get("index")?;
            let key = index
                .pointer("/String/value")
                .or_else(|| index.pointer("/RawString/value"))?;
            Some(format!("{}.{}", dotted(node.get("refr")?)?, key.as_str()?))
        }
        _ => None,
    }
}

pub(super) fn root(path: &str) -> &str {
    path.split('.').next().unwrap_or(path)
}

/// Where a reference begins: regorus gives the span of its last part.
pub(super) fn span_of(node: &Value) -> Option<&Value> {
    let inner = node.as_object()?.values().find(|value| value.is_object())?;
    match inner.get("refr") {
        Some(root) => span_of(root),
        None => inner.get("span"),
    }
}

fn refused(file: &str, span: Option<&Value>, why: &str) -> Error {
    Error::Compile {
        place: place(file, span),
        why: why.to_owned(),
    }
}

pub(super) fn place(file: &str, span: Option<&Value>) -> Place {
    let number = |key| {
        span.and_then(|span| span.get(key))
            .and_then(Value::as_u64)
            .unwrap_or(0)
    };
    Place {
        file: file.to_owned(),
        line: number("line"),
        column: number("col"),
    }
}
