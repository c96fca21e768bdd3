//! The functions that policies call: regorus' own within bounds, and those of OPA's that it lacks.
//!
//! regorus looks at the time between two steps and not inside a function, and nowhere at memory. So each function that
//! makes a value (or does more than read its arguments once) is put behind an extension of the same name, which regorus
//! asks first: `cost` says beforehand what the call may take, a call that takes too much is an error, and so is a
//! question whose calls take too much together. It deliberately leaves those alone that only read: their time follows
//! from the input's size, and the timer stands between them.

mod cost;
mod failure;
mod format;
mod glob;
mod json;
mod lookup;
mod net;
mod number;
mod order;
mod path;
mod pattern;
mod query;
mod quote;
mod subset;
mod template;
mod text;
mod units;
mod version;
mod wide;

use std::cell::Cell;
use std::num::NonZeroU32;

use regorus::unstable::{BUILTINS, BuiltinFcn, Expr, Ref, Source, Span};
use regorus::utils::limits::PolicyLengthConfig;
use regorus::{Engine, Value};

use cost::Kind;

/// What all calls of one question may take together, in bytes as `cost` counts them.
const BUDGET: u64 = 256 << 20;
/// The longest line of a module.
pub(super) const COLUMNS: NonZeroU32 = NonZeroU32::new(16 << 10).expect("because that is not zero");
/// By these words an error is known that stands for too much of it.
pub(super) const TOO_MUCH: &str = "too much for one question";
/// In front of what OPA does and we do not.
const UNDONE: &str = "not done here: ";

/// A function of our own.
type Own = fn(&[Value]) -> Result<Value, Refusal>;

/// What OPA has and regorus has not, or has otherwise: name, number of arguments, function.
const OWN: [(&str, u8, Own); 55] = [
    ("array.flatten", 1, text::flatten),
    ("count", 1, text::members),
    ("crypto.sha256", 1, text::sha256),
    ("div", 2, number::over),
    ("format_int", 2, number::format),
    ("glob.match", 3, glob::is_match),
    ("glob.quote_meta", 1, glob::quoted),
    ("indexof", 2, text::index_of),
    ("indexof_n", 2, text::index_of_all),
    ("json.filter", 2, path::filter),
    ("json.is_valid", 1, json::is_valid),
    ("json.marshal", 1, json::marshal),
    ("json.marshal_with_options", 2, json::marshal_with_options),
    ("json.remove", 2, path::remove),
    ("json.unmarshal", 1, json::unmarshal),
    ("lower", 1, text::lower),
    ("max", 1, order::max),
    ("min", 1, order::min),
    ("minus", 2, number::minus),
    ("mul", 2, number::times),
    ("net.cidr_contains", 2, net::contains),
    ("net.cidr_contains_matches", 2, net::contains_matches),
    ("net.cidr_expand", 1, net::expand),
    ("net.cidr_intersects", 2, net::intersects),
    ("net.cidr_is_valid", 1, net::is_valid),
    ("net.cidr_merge", 1, net::merge),
    ("numbers.range", 2, text::range),
    ("numbers.range_step", 3, text::range_step),
    ("object.subset", 2, subset::is_subset),
    ("plus", 2, number::plus),
    ("product", 1, number::product),
    ("regex.find_all_string_submatch_n", 3, pattern::find_groups),
    ("regex.find_n", 3, pattern::find),
    ("regex.is_valid", 1, pattern::is_valid),
    ("regex.match", 2, pattern::is_match),
    ("regex.replace", 3, pattern::replace),
    ("regex.split", 2, pattern::split),
    ("regex.template_match", 4, pattern::template),
    ("semver.compare", 2, version::compare),
    ("semver.is_valid", 1, version::is_valid),
    ("sort", 1, order::sort),
    ("sprintf", 2, format::sprintf),
    ("strings.count", 2, text::count),
    ("strings.render_template", 2, template::render),
    ("strings.replace_n", 2, text::replace_n),
    ("strings.split_n", 3, text::split_n),
    ("sum", 1, number::sum),
    ("to_number", 1, number::read),
    ("units.parse", 1, units::parse),
    ("units.parse_bytes", 1, units::parse_bytes),
    ("upper", 1, text::upper),
    ("urlquery.decode", 1, query::decode),
    ("urlquery.decode_object", 1, query::decode_object),
    ("urlquery.encode", 1, query::encode),
    ("urlquery.encode_object", 1, query::encode_object),
];

/// Why a function gives no value.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub(super) enum Refusal {
    /// An argument isn't what the function takes.
    #[error("argument {0} is not {1}")]
    Argument(u8, &'static str),
    /// It would take more than there is.
    #[error("it is {TOO_MUCH}")]
    TooMuch,
    /// OPA does it. The words are ours, and hold nothing of a value.
    #[error("{UNDONE}{0}")]
    Undone(&'static str),
}

thread_local! {
    /// What is left for the question that is being asked on this thread.
    static LEFT: Cell<u64> = const { Cell::new(BUDGET) };
}

/// Begins a question: nothing is taken yet.
pub(super) fn begin() {
    LEFT.set(BUDGET);
    failure::begin();
}

pub(super) use failure::{asked_in_vain, told};

/// An engine with all of them.
pub(super) fn engine() -> Engine {
    let mut engine = Engine::new();
    engine.set_policy_length_config(PolicyLengthConfig {
        max_col: COLUMNS,
        ..PolicyLengthConfig::default()
    });
    let twice = "because no name is in one of the two lists twice";
    for (name, arity, function) in OWN {
        let kind = cost::kind(name);
        let extension = move |arguments: Vec<Value>| {
            charge(kind, &arguments)?;
            let made = function(&arguments);
            if let Err(refusal) = made {
                failure::refused(name, refusal, &arguments);
            }
            Ok(made?)
        };
        let added = engine.add_extension(name.to_owned(), arity, Box::new(extension));
        added.expect(twice);
    }
    for (name, (function, arity)) in natives() {
        let caller = Caller::new(name, arity);
        let kind = cost::kind(name);
        let extension = move |arguments: Vec<Value>| {
            charge(kind, &arguments)?;
            let made = function(&caller.span, &caller.places, &arguments, true);
            if let Err(error) = &made {
                failure::failed(name, error.to_string(), &arguments);
            }
            made
        };
        let added = engine.add_extension(name.to_owned(), arity, Box::new(extension));
        added.expect(twice);
    }
    for (name, function) in lookup::WRITTEN {
        let extension = move |arguments: Vec<Value>| Ok(function(&arguments));
        let added = engine.add_extension(name.to_owned(), 2, Box::new(extension));
        added.expect(twice);
    }
    engine
}

pub(super) use lookup::{AFTER, LOOKUP};

/// How many arguments a function takes that only the loader writes.
pub(super) fn written(name: &str) -> Option<u8> {
    [AFTER, LOOKUP].contains(&name).then_some(2)
}

/// Whether a number in a policy is exactly what a double is.
pub(super) fn is_exact(written: &str) -> bool {
    number::is_exact(written)
}

/// What a text that stands in a call of a policy asks for, and is not done: the text is the argument at `place`, from 0.
pub(super) fn undone(name: &str, place: usize, text: &str) -> Option<&'static str> {
    match (name, place) {
        ("regex.replace", 1) => pattern::undone(text),
        ("regex.is_valid" | "regex.replace" | "regex.template_match", _) => None,
        ("strings.render_template", 0) => template::undone(text),
        (name, 0) if name.starts_with("regex.") => pattern::undone(text),
        _ => None,
    }
}

/// How many arguments a function takes; none for one that is not there.
pub(super) fn arity(name: &str) -> Option<u8> {
    own(name).or_else(|| BUILTINS.get(name).map(|(_, arity)| *arity))
}

/// The same for those of our own.
pub(super) fn own(name: &str) -> Option<u8> {
    let own = OWN.iter().find(|(own, ..)| *own == name);
    own.map(|(_, arity, _)| *arity)
}

/// Whether a call can only be written as a value: an extension takes no place to put it as one argument more.
pub(super) fn is_extension(name: &str) -> bool {
    own(name).is_some() || natives().any(|(native, _)| native == name)
}

/// regorus' functions that are called through us.
fn natives() -> impl Iterator<Item = (&'static str, BuiltinFcn)> {
    let ours = |name: &&str| OWN.iter().any(|(own, ..)| own == name);
    let all = BUILTINS.iter().filter(move |(name, _)| !ours(name));
    all.filter(|(name, _)| cost::kind(name).is_some())
        .map(|(name, function)| (*name, *function))
}

fn charge(kind: Option<Kind>, arguments: &[Value]) -> Result<(), Refusal> {
    spend(kind.map_or(Ok(0), |kind| cost::of(kind, arguments))?)
}

/// Takes from what is left for the question.
fn spend(cost: u64) -> Result<(), Refusal> {
    let left = LEFT.get().checked_sub(cost).ok_or(Refusal::TooMuch)?;
    LEFT.set(left);
    Ok(())
}

/// What regorus' functions want beside their arguments: where these stand in a source. That is for their errors, to
/// which regorus adds the true place.
#[derive(Clone)]
struct Caller {
    span: Span,
    places: Vec<Ref<Expr>>,
}

impl Caller {
    fn new(name: &str, arity: u8) -> Self {
        let source = Source::from_contents(name.to_owned(), String::new());
        let span = Span {
            source: source.expect("because nothing is not too long"),
            line: 1,
            col: 1,
            start: 0,
            end: 0,
        };
        let place = Ref::new(Expr::Null {
            span: span.clone(),
            value: Value::Null,
            eidx: 0,
        });
        Self {
            span,
            places: vec![place; usize::from(arity)],
        }
    }
}
