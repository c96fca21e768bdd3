//! OPA's order of values, in `sort`, `max` and `min`: to it an object is less than a set, to regorus more.
//!
//! Where there are not both, regorus' own order is OPA's. It deliberately doesn't change `<` and its like, nor in which
//! order a set is walked: those are the language's and not a function's.

use regorus::Value;

use super::Refusal;

/// What a value costs that is put in another order, in bytes.
const ONE: u64 = 96;

/// The members in order.
pub(super) fn sort(arguments: &[Value]) -> Result<Value, Refusal> {
    let members = sorted(arguments)?;
    Ok(Value::from(
        members.into_iter().cloned().collect::<Vec<_>>(),
    ))
}

/// The greatest member; nothing of none.
pub(super) fn max(arguments: &[Value]) -> Result<Value, Refusal> {
    let members = sorted(arguments)?;
    Ok(members
        .last()
        .map_or(Value::Undefined, |one| (*one).clone()))
}

/// The least member; nothing of none.
pub(super) fn min(arguments: &[Value]) -> Result<Value, Refusal> {
    let members = sorted(arguments)?;
    Ok(members
        .first()
        .map_or(Value::Undefined, |one| (*one).clone()))
}

/// A value as it is compared: the variants are in OPA's order.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Rank<'a> {
    Plain(&'a Value),
    Array(Vec<Self>),
    Object(Vec<(Self, Self)>),
    Set(Vec<Self>),
}

/// Which of the two that are ordered otherwise there are.
#[derive(Default)]
struct Seen {
    object: bool,
    set: bool,
}

fn sorted(arguments: &[Value]) -> Result<Vec<&Value>, Refusal> {
    let mut members: Vec<&Value> = match arguments {
        [Value::Array(items)] => items.iter().collect(),
        [Value::Set(items)] => items.iter().collect(),
        _ => return Err(Refusal::Argument(1, "an array or a set")),
    };
    let mut seen = Seen::default();
    members.iter().for_each(|member| seen.look(member));
    if !(seen.object && seen.set) {
        members.sort();
        return Ok(members);
    }
    let ranked = members.into_iter().map(|one| Ok((rank(one)?, one)));
    let mut ranked = ranked.collect::<Result<Vec<_>, Refusal>>()?;
    ranked.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(ranked.into_iter().map(|(_, one)| one).collect())
}

impl Seen {
    fn look(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.look(item)),
            Value::Set(items) => {
                self.set = true;
                items.iter().for_each(|item| self.look(item));
            }
            Value::Object(fields) => {
                self.object = true;
                for (key, one) in fields.iter() {
                    self.look(key);
                    self.look(one);
                }
            }
            _ => {}
        }
    }
}

fn rank(value: &Value) -> Result<Rank<'_>, Refusal> {
    super::spend(ONE)?;
    Ok(match value {
        Value::Array(items) => Rank::Array(items.iter().map(rank).collect::<Result<_, _>>()?),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, one)| Ok((rank(key)?, rank(one)?)));
            let mut fields = fields.collect::<Result<Vec<_>, Refusal>>()?;
            fields.sort();
            Rank::Object(fields)
        }
        Value::Set(items) => {
            let mut items = items.iter().map(rank).collect::<Result<Vec<_>, _>>()?;
            items.sort();
            Rank::Set(items)
        }
        plain => Rank::Plain(plain),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn an_object_is_less_than_a_set_wherever_they_lie() {
        super::super::begin();
        let value = |json: &str| Value::from_json_str(json).unwrap();
        let set = |items: &[Value]| Value::from(items.iter().cloned().collect::<BTreeSet<_>>());
        let (one, object) = (set(&[1_u64.into()]), value(r#"{"a": 1}"#));
        let mixed = Value::from(vec![
            one.clone(),
            object.clone(),
            value("[1]"),
            value("null"),
        ]);
        let want = Value::from(vec![
            value("null"),
            value("[1]"),
            object.clone(),
            one.clone(),
        ]);
        assert_eq!(sort(std::slice::from_ref(&mixed)).unwrap(), want);
        assert_eq!(max(std::slice::from_ref(&mixed)).unwrap(), one);
        assert_eq!(min(&[mixed]).unwrap(), Value::Null);
        // By the least of each: the object, and the set.
        let (both, alone) = (set(&[one.clone(), object]), set(&[one]));
        let nested = Value::from(vec![alone.clone(), both.clone()]);
        assert_eq!(sort(&[nested]).unwrap(), Value::from(vec![both, alone]));
        assert_eq!(max(&[value("[]")]).unwrap(), Value::Undefined);
        assert_eq!(min(&[value("[2, 1]")]).unwrap(), Value::from(1_u64));
        assert!(sort(&[value("{}")]).is_err());
    }
}
