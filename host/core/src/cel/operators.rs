//! Operators: arithmetic that never overflows, comparison across numbers, and looking into lists and maps.

use std::cmp::Ordering;
use std::rc::Rc;

use serde_json::Value;

use super::Error;
use super::eval::{Scope, truth};
use super::time;
use super::value::Val;

/// Those that do not look at all that they are given.
pub(super) fn is_lazy(name: &str) -> bool {
    matches!(name, "_?_:_" | "_&&_" | "_||_" | "@not_strictly_false")
}

/// Whether there is such an operator.
pub(super) fn has(name: &str, args: usize) -> bool {
    match name {
        "_?_:_" => args == 3,
        "!_" | "-_" | "@not_strictly_false" => args == 1,
        "_&&_" | "_||_" | "_+_" | "_-_" | "_*_" | "_/_" | "_%_" | "_==_" | "_!=_" | "_<_"
        | "_<=_" | "_>_" | "_>=_" | "_[_]" | "_[?_]" | "_?._" | "@in" => args == 2,
        _ => false,
    }
}

/// What it comes to; None: it is no operator.
pub(super) fn apply<'v>(
    scope: &mut Scope<'_, 'v>,
    name: &str,
    args: &[Val<'v>],
) -> Option<Result<Val<'v>, Error>> {
    Some(match (name, args) {
        ("!_", [one]) => truth(one.clone()).map(|is| Val::Bool(!is)),
        ("-_", [one]) => negated(one),
        ("_==_", [one, other]) => equal(scope, one, other).map(Val::Bool),
        ("_!=_", [one, other]) => equal(scope, one, other).map(|is| Val::Bool(!is)),
        ("_<_", [one, other]) => ordered(scope, one, other, Ordering::is_lt),
        ("_<=_", [one, other]) => ordered(scope, one, other, Ordering::is_le),
        ("_>_", [one, other]) => ordered(scope, one, other, Ordering::is_gt),
        ("_>=_", [one, other]) => ordered(scope, one, other, Ordering::is_ge),
        ("_+_", [one, other]) => added(scope, one, other),
        ("_-_" | "_*_" | "_/_" | "_%_", [one, other]) => calculated(name, one, other),
        ("_[_]", [of, at]) => index(of, at).and_then(|found| {
            found.ok_or_else(|| Error::Failed("no such key, or an index out of bounds".to_owned()))
        }),
        ("_[?_]" | "_?._", [of, at]) => index(of, at).map(|found| Val::Maybe(found.map(Rc::new))),
        ("@in", [one, all]) => within(scope, one, all),
        _ => return None,
    })
}

fn mismatch<T>(name: &str, one: &Val<'_>, other: &Val<'_>) -> Result<T, Error> {
    let name = name.trim_matches('_');
    let (one, other) = (one.kind(), other.kind());
    Err(Error::Failed(format!(
        "'{name}' cannot be done with {one} and {other}"
    )))
}

fn negated<'v>(one: &Val<'v>) -> Result<Val<'v>, Error> {
    match one {
        Val::Int(number) => number.checked_neg().map(Val::Int).ok_or_else(overflow),
        Val::Double(number) => Ok(Val::Double(-number)),
        other => Err(Error::Failed(format!("{} has no negative", other.kind()))),
    }
}

fn overflow() -> Error {
    Error::Failed("a number becomes too large, or is divided by zero".to_owned())
}

fn added<'v>(scope: &mut Scope<'_, 'v>, one: &Val<'v>, other: &Val<'v>) -> Result<Val<'v>, Error> {
    match (one, other) {
        (Val::Text(a), Val::Text(b)) => {
            scope.pay((a.len() + b.len()) / 16 + 1)?;
            Ok(Val::text([&**a, &**b].concat()))
        }
        _ if one.is_list() && other.is_list() => {
            let (a, b) = (
                one.size().unwrap_or_default(),
                other.size().unwrap_or_default(),
            );
            scope.pay(a + b)?;
            let mut all = one.items()?;
            all.extend(other.items()?);
            Ok(Val::List(Rc::new(all)))
        }
        _ => calculated("_+_", one, other),
    }
}

fn double(number: i64) -> f64 {
    number as f64
}

fn calculated<'v>(name: &str, one: &Val<'v>, other: &Val<'v>) -> Result<Val<'v>, Error> {
    if let Some(reckoned) = time::reckoned(name, one, other) {
        return reckoned;
    }
    match (one, other) {
        (Val::Int(a), Val::Int(b)) => {
            let made = match name {
                "_+_" => a.checked_add(*b),
                "_-_" => a.checked_sub(*b),
                "_*_" => a.checked_mul(*b),
                "_/_" => a.checked_div(*b),
                _ => a.checked_rem(*b),
            };
            made.map(Val::Int).ok_or_else(overflow)
        }
        (Val::Double(a), Val::Double(b)) => reckoned(name, *a, *b),
        (Val::Double(a), Val::Int(b)) => reckoned(name, *a, double(*b)),
        (Val::Int(a), Val::Double(b)) => reckoned(name, double(*a), *b),
        _ => mismatch(name, one, other),
    }
}

fn reckoned<'v>(name: &str, a: f64, b: f64) -> Result<Val<'v>, Error> {
    Ok(Val::Double(match name {
        "_+_" => a + b,
        "_-_" => a - b,
        "_*_" => a * b,
        "_/_" => a / b,
        _ => return Err(Error::Failed("'%' cannot be done with a double".to_owned())),
    }))
}

fn ordered<'v>(
    scope: &mut Scope<'_, 'v>,
    one: &Val<'v>,
    other: &Val<'v>,
    is: impl Fn(Ordering) -> bool,
) -> Result<Val<'v>, Error> {
    let order = match (one, other) {
        (Val::Int(a), Val::Int(b)) => Some(a.cmp(b)),
        (Val::Double(a), Val::Double(b)) => a.partial_cmp(b),
        (Val::Double(a), Val::Int(b)) => a.partial_cmp(&double(*b)),
        (Val::Int(a), Val::Double(b)) => double(*a).partial_cmp(b),
        (Val::Bool(a), Val::Bool(b)) => Some(a.cmp(b)),
        (Val::Time(a), Val::Time(b)) => Some(a.cmp(b)),
        (Val::Span(a), Val::Span(b)) => Some(a.cmp(b)),
        (Val::Text(a), Val::Text(b)) => {
            scope.pay(a.len().min(b.len()) / 16 + 1)?;
            Some((**a).cmp(&**b))
        }
        _ => return mismatch("comparison", one, other),
    };
    Ok(Val::Bool(order.is_some_and(is)))
}

/// Whether both are the same; of different kinds they are not, but for numbers.
pub(super) fn equal<'v>(
    scope: &mut Scope<'_, 'v>,
    one: &Val<'v>,
    other: &Val<'v>,
) -> Result<bool, Error> {
    scope.pay(1)?;
    Ok(match (one, other) {
        (Val::Null, Val::Null) | (Val::Maybe(None), Val::Maybe(None)) => true,
        (Val::Bool(a), Val::Bool(b)) => a == b,
        (Val::Int(a), Val::Int(b)) | (Val::Span(a), Val::Span(b)) => a == b,
        (Val::Time(a), Val::Time(b)) => a == b,
        (Val::Double(a), Val::Double(b)) => a.partial_cmp(b) == Some(Ordering::Equal),
        (Val::Int(a), Val::Double(b)) | (Val::Double(b), Val::Int(a)) => {
            double(*a).partial_cmp(b) == Some(Ordering::Equal)
        }
        (Val::Text(a), Val::Text(b)) => {
            scope.pay(a.len().min(b.len()) / 16)?;
            **a == **b
        }
        (Val::Maybe(Some(a)), Val::Maybe(Some(b))) => equal(scope, a, b)?,
        _ if one.is_list() && other.is_list() && one.size() == other.size() => {
            scope.pay(one.size().unwrap_or_default())?;
            for (a, b) in one.items()?.iter().zip(&other.items()?) {
                if !equal(scope, a, b)? {
                    return Ok(false);
                }
            }
            true
        }
        _ if one.is_map() && other.is_map() && one.size() == other.size() => {
            scope.pay(one.size().unwrap_or_default())?;
            for key in one.items()? {
                let Val::Text(key) = key else { continue };
                let same = match (one.field(&key)?, other.field(&key)?) {
                    (Some(a), Some(b)) => equal(scope, &a, &b)?,
                    _ => false,
                };
                if !same {
                    return Ok(false);
                }
            }
            true
        }
        _ => false,
    })
}

/// The element of a list, or the value of a map; None: there is none.
fn index<'v>(of: &Val<'v>, at: &Val<'v>) -> Result<Option<Val<'v>>, Error> {
    let place = |at: &i64| usize::try_from(*at).ok();
    match (of, at) {
        (Val::Maybe(None), _) => Ok(None),
        (Val::Maybe(Some(inner)), _) => index(inner, at),
        (Val::Shown(Value::Array(list)), Val::Int(at)) => {
            Ok(place(at).and_then(|at| list.get(at)).map(Val::of))
        }
        (Val::List(list), Val::Int(at)) => Ok(place(at).and_then(|at| list.get(at)).cloned()),
        (Val::Shown(Value::Object(_)) | Val::Map(_), Val::Text(key)) => of.field(key),
        _ => mismatch("[]", of, at),
    }
}

fn within<'v>(scope: &mut Scope<'_, 'v>, one: &Val<'v>, all: &Val<'v>) -> Result<Val<'v>, Error> {
    if all.is_map() {
        let Val::Text(key) = one else {
            return Ok(Val::Bool(false));
        };
        scope.pay(1)?;
        return Ok(Val::Bool(all.field(key)?.is_some()));
    }
    if !all.is_list() {
        return mismatch("in", one, all);
    }
    scope.pay(all.size().unwrap_or_default())?;
    for item in all.items()? {
        if equal(scope, one, &item)? {
            return Ok(Val::Bool(true));
        }
    }
    Ok(Val::Bool(false))
}
