//! OPA's `sprintf`, which is Go's: flags, widths, precisions, places of arguments, and what Go says of a wrong one.
//!
//! Here a format is read; `verb` prints one argument. As in OPA an argument is a whole number, a decimal or a text, and
//! what is none of these is the text that Rego has for it. Columns are bounded, because a format is a text like any other.

mod verb;

use regorus::Value;

use super::{Refusal, number, quote};
use verb::{Argument, Spec};

/// The widest column, and the most decimals.
const WIDTH: usize = 1_000;
/// The largest width that Go takes from an argument.
const GOS_WIDTH: i64 = 1_000_000;

/// A format with its arguments in it.
pub(super) fn sprintf(arguments: &[Value]) -> Result<Value, Refusal> {
    let [Value::String(format), Value::Array(items)] = arguments else {
        return Err(Refusal::Argument(1, "a string, or 2 no array"));
    };
    let mut printer = Printer {
        rest: format,
        arguments: items.iter().map(argument).collect(),
        next: 0,
        made: String::with_capacity(format.len()),
        is_reordered: false,
        is_there: true,
    };
    while let Some((before, after)) = printer.rest.split_once('%') {
        printer.made.push_str(before);
        printer.rest = after;
        printer.directive()?;
    }
    printer.made.push_str(printer.rest);
    printer.extra()?;
    Ok(Value::from(printer.made))
}

/// A value as Rego writes it.
pub(super) fn term(value: &Value) -> String {
    let mut made = String::new();
    write_term(value, &mut made);
    made
}

struct Printer<'a> {
    rest: &'a str,
    arguments: Vec<Argument<'a>>,
    /// The argument that is next.
    next: usize,
    made: String,
    /// Whether any argument was asked for by its place.
    is_reordered: bool,
    /// Whether there is one at the place that the directive says.
    is_there: bool,
}

impl Printer<'_> {
    /// What stands behind a percent sign.
    fn directive(&mut self) -> Result<(), Refusal> {
        let mut spec = self.flags();
        self.is_there = true;
        let mut was_place = self.place();
        if self.eat("*") {
            let width = self.asked_width("%!(BADWIDTH)")?;
            spec.width = width.map(|(width, _)| width);
            if width.is_some_and(|(_, is_negative)| is_negative) {
                spec.minus = true;
                spec.zero = false;
            }
            was_place = false;
        } else {
            spec.width = self.digits()?;
            self.is_there &= !(was_place && spec.width.is_some());
        }
        // A point at the very end is the verb.
        if self.rest.len() > 1 && self.eat(".") {
            self.is_there &= !was_place;
            was_place = self.place();
            if self.eat("*") {
                let precision = self.asked_width("")?;
                spec.precision = match precision {
                    Some((precision, false)) => Some(precision),
                    _ => None,
                };
                if spec.precision.is_none() {
                    self.made.push_str("%!(BADPREC)");
                }
                was_place = false;
            } else {
                spec.precision = Some(self.digits()?.unwrap_or(0));
            }
        }
        if !was_place {
            self.place();
        }
        let Some(verb) = self.rest.chars().next() else {
            self.made.push_str("%!(NOVERB)");
            return Ok(());
        };
        self.rest = self.rest.get(verb.len_utf8()..).unwrap_or_default();
        self.verb(spec, verb)
    }

    fn verb(&mut self, mut spec: Spec, verb: char) -> Result<(), Refusal> {
        if verb == '%' {
            self.made.push('%');
            return Ok(());
        }
        if !self.is_there {
            self.made.push_str(&format!("%!{verb}(BADINDEX)"));
            return Ok(());
        }
        let Some(argument) = self.arguments.get(self.next) else {
            self.made.push_str(&format!("%!{verb}(MISSING)"));
            return Ok(());
        };
        // To Go the second is the first, and then says that it is wrong.
        if matches!(verb, 'v' | 'w') {
            spec.is_go = std::mem::take(&mut spec.sharp);
            spec.is_plus = std::mem::take(&mut spec.plus);
        }
        verb::print(&mut self.made, spec, argument, verb)?;
        self.next += 1;
        Ok(())
    }

    /// What is left over, unless arguments were asked for by their places.
    fn extra(&mut self) -> Result<(), Refusal> {
        let left = self.arguments.get(self.next..).unwrap_or_default();
        if self.is_reordered || left.is_empty() {
            return Ok(());
        }
        self.made.push_str("%!(EXTRA ");
        for (at, argument) in left.iter().enumerate() {
            if at > 0 {
                self.made.push_str(", ");
            }
            self.made.push_str(argument.type_name());
            self.made.push('=');
            verb::print(&mut self.made, Spec::default(), argument, 'v')?;
        }
        self.made.push(')');
        Ok(())
    }

    fn eat(&mut self, what: &str) -> bool {
        let rest = self.rest.strip_prefix(what);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn flags(&mut self) -> Spec {
        let mut spec = Spec::default();
        loop {
            let flag = match self.rest.chars().next() {
                Some('#') => &mut spec.sharp,
                Some('0') => &mut spec.zero,
                Some('+') => &mut spec.plus,
                Some('-') => &mut spec.minus,
                Some(' ') => &mut spec.space,
                _ => return spec,
            };
            *flag = true;
            self.rest = self.rest.get(1..).unwrap_or_default();
        }
    }

    /// `[2]`, which says which argument is next. Whether something of the form was there.
    fn place(&mut self) -> bool {
        let Some(rest) = self.rest.strip_prefix('[') else {
            return false;
        };
        self.is_reordered = true;
        let Some((number, after)) = rest.split_once(']') else {
            self.is_there = false;
            self.rest = rest;
            return false;
        };
        self.rest = after;
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        if number.is_empty() || !digits {
            self.is_there = false;
            return false;
        }
        let place = number
            .parse()
            .ok()
            .and_then(|place: usize| place.checked_sub(1));
        match place.filter(|place| *place < self.arguments.len()) {
            Some(place) => self.next = place,
            None => self.is_there = false,
        }
        true
    }

    fn digits(&mut self) -> Result<Option<usize>, Refusal> {
        let is_digit = |c: char| c.is_ascii_digit();
        let end = self.rest.find(|c| !is_digit(c)).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at_checked(end).unwrap_or_default();
        self.rest = rest;
        if digits.is_empty() {
            return Ok(None);
        }
        let width = digits.parse().ok().filter(|width| *width <= WIDTH);
        width.map(Some).ok_or(Refusal::TooMuch)
    }

    /// The next argument as a width, and whether it is below zero; `bad` is told where it is none.
    fn asked_width(&mut self, bad: &str) -> Result<Option<(usize, bool)>, Refusal> {
        let argument = self.arguments.get(self.next);
        self.next += usize::from(argument.is_some());
        let width = match argument {
            Some(Argument::Whole(width)) if width.abs_diff(0) <= GOS_WIDTH.unsigned_abs() => width,
            _ => {
                self.made.push_str(bad);
                return Ok(None);
            }
        };
        let wide = usize::try_from(width.unsigned_abs());
        match wide.ok().filter(|wide| *wide <= WIDTH) {
            Some(wide) => Ok(Some((wide, *width < 0))),
            None => Err(Refusal::TooMuch),
        }
    }
}

fn argument(value: &Value) -> Argument<'_> {
    match value {
        Value::String(text) => Argument::Text(text.as_ref().into()),
        Value::Number(number) if number::is_double(value) => match number.as_f64() {
            Some(double) => Argument::Double(double),
            None => Argument::Text(number::text(value).into()),
        },
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Argument::Whole(whole),
            None => Argument::Large(value),
        },
        other => Argument::Text(term(other).into()),
    }
}

fn write_term(value: &Value, made: &mut String) {
    match value {
        Value::String(text) => made.push_str(&quote::quoted(text, '"', false)),
        Value::Number(_) => made.push_str(&number::text(value)),
        Value::Array(items) => listed(made, '[', items.iter(), ']'),
        Value::Set(items) if items.is_empty() => made.push_str("set()"),
        Value::Set(items) => listed(made, '{', items.iter(), '}'),
        Value::Object(fields) => {
            made.push('{');
            for (at, (key, value)) in fields.iter_sorted().enumerate() {
                if at > 0 {
                    made.push_str(", ");
                }
                write_term(key, made);
                made.push_str(": ");
                write_term(value, made);
            }
            made.push('}');
        }
        other => made.push_str(&other.to_string()),
    }
}

fn listed<'a>(made: &mut String, open: char, items: impl Iterator<Item = &'a Value>, close: char) {
    made.push(open);
    for (at, item) in items.enumerate() {
        if at > 0 {
            made.push_str(", ");
        }
        write_term(item, made);
    }
    made.push(close);
}

#[cfg(test)]
mod tests;
