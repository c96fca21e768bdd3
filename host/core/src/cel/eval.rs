//! One evaluation: names, the purse, and every kind of expression.
//!
//! Whoever does work pays first. What operators and functions do is next door.

use std::rc::Rc;

use ::cel::IdedExpr;
use ::cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, SelectExpr};

use super::value::Val;
use super::{Error, functions, operators};

/// What is bound, innermost last, and what is left to spend.
pub(super) struct Scope<'s, 'v> {
    names: Vec<(&'s str, Val<'v>)>,
    left: u64,
}

impl<'s, 'v> Scope<'s, 'v> {
    pub(super) fn new(names: Vec<(&'s str, Val<'v>)>, purse: u64) -> Self {
        Self { names, left: purse }
    }

    /// Takes the price of some work from the purse.
    pub(super) fn pay(&mut self, price: usize) -> Result<(), Error> {
        let price = u64::try_from(price).unwrap_or(u64::MAX);
        self.left = self.left.checked_sub(price).ok_or(Error::Spent)?;
        Ok(())
    }

    /// What has not been spent.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    pub(super) fn eval(&mut self, expr: &'s IdedExpr) -> Result<Val<'v>, Error> {
        self.pay(1)?;
        match &expr.expr {
            Expr::Unspecified | Expr::Struct(_) => Err(Error::Failed("it is empty".to_owned())),
            Expr::Literal(literal) => self.literal(literal),
            Expr::Ident(name) => self.name(name),
            Expr::Select(select) => self.select(select),
            Expr::List(list) => {
                let each = list.elements.iter().map(|one| self.eval(one));
                Ok(Val::List(Rc::new(each.collect::<Result<_, _>>()?)))
            }
            Expr::Map(map) => {
                let mut made = Vec::with_capacity(map.entries.len());
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else {
                        continue;
                    };
                    let key = match self.eval(&entry.key)? {
                        Val::Text(text) => text,
                        other => {
                            let why = format!("{} cannot be the key of a map", other.kind());
                            return Err(Error::Failed(why));
                        }
                    };
                    made.push((key, self.eval(&entry.value)?));
                }
                Ok(Val::Map(Rc::new(made)))
            }
            Expr::Call(call) => self.call(call),
            Expr::Comprehension(of) => self.comprehend(of),
        }
    }

    fn literal(&mut self, literal: &LiteralValue) -> Result<Val<'v>, Error> {
        Ok(match literal {
            LiteralValue::Boolean(is) => Val::Bool(**is),
            LiteralValue::Int(number) => Val::Int(**number),
            LiteralValue::UInt(number) => match i64::try_from(**number) {
                Ok(number) => Val::Int(number),
                Err(_) => return Err(Error::Failed("a number is too large".to_owned())),
            },
            LiteralValue::Double(number) => Val::Double(**number),
            LiteralValue::Null => Val::Null,
            LiteralValue::String(text) => {
                let text: &str = text;
                self.pay(text.len() / 16)?;
                Val::text(text)
            }
            LiteralValue::Bytes(_) => {
                return Err(Error::Failed("bytes are not supported".to_owned()));
            }
        })
    }

    fn name(&mut self, name: &str) -> Result<Val<'v>, Error> {
        let found = self.names.iter().rev().find(|(known, _)| *known == name);
        match found {
            Some((_, Val::Failed(why))) => Err((**why).clone()),
            Some((_, value)) => Ok(value.clone()),
            None => Err(Error::Failed(format!("no such attribute: {name}"))),
        }
    }

    fn select(&mut self, select: &'s SelectExpr) -> Result<Val<'v>, Error> {
        let of = self.eval(&select.operand)?;
        let field = of.field(&select.field)?;
        match (select.test, &of, field) {
            (true, _, field) => Ok(Val::Bool(field.is_some())),
            (false, Val::Maybe(_), field) => Ok(Val::Maybe(field.map(Rc::new))),
            (false, _, Some(value)) => Ok(value),
            (false, _, None) => Err(Error::Failed(format!("no such key: {}", select.field))),
        }
    }

    fn call(&mut self, call: &'s CallExpr) -> Result<Val<'v>, Error> {
        if let Some(target) = &call.target {
            let target = self.eval(target)?;
            let args = self.all(&call.args)?;
            return functions::method(self, &call.func_name, &target, &args);
        }
        if let [first, rest @ ..] = call.args.as_slice()
            && operators::is_lazy(&call.func_name)
        {
            return self.lazy(&call.func_name, first, rest);
        }
        let args = self.all(&call.args)?;
        match operators::apply(self, &call.func_name, &args) {
            Some(done) => done,
            None => functions::call(self, &call.func_name, &args),
        }
    }

    fn all(&mut self, args: &'s [IdedExpr]) -> Result<Vec<Val<'v>>, Error> {
        args.iter().map(|one| self.eval(one)).collect()
    }

    /// The operators that do not look at all that they are given.
    fn lazy(
        &mut self,
        name: &str,
        first: &'s IdedExpr,
        rest: &'s [IdedExpr],
    ) -> Result<Val<'v>, Error> {
        match (name, rest) {
            ("_?_:_", [then, otherwise]) => match truth(self.eval(first)?)? {
                true => self.eval(then),
                false => self.eval(otherwise),
            },
            // Either side alone may decide, whatever is wrong with the other.
            ("_&&_", [second]) => self.either(first, second, false),
            ("_||_", [second]) => self.either(first, second, true),
            // As long as it may still come true: what failed may be made good by what follows.
            _ => match self.eval(first) {
                Ok(Val::Bool(false)) => Ok(Val::Bool(false)),
                Err(Error::Spent) => Err(Error::Spent),
                Ok(_) | Err(_) => Ok(Val::Bool(true)),
            },
        }
    }

    fn either(
        &mut self,
        first: &'s IdedExpr,
        second: &'s IdedExpr,
        decides: bool,
    ) -> Result<Val<'v>, Error> {
        let one = self.eval(first).and_then(truth);
        match one {
            Ok(is) if is == decides => return Ok(Val::Bool(decides)),
            Err(Error::Spent) => return Err(Error::Spent),
            Ok(_) | Err(_) => {}
        }
        let other = self.eval(second).and_then(truth)?;
        match other == decides {
            true => Ok(Val::Bool(decides)),
            false => one.map(|_| Val::Bool(!decides)),
        }
    }

    fn comprehend(&mut self, of: &'s ComprehensionExpr) -> Result<Val<'v>, Error> {
        let range = self.eval(&of.iter_range)?;
        self.pay(range.size().unwrap_or_default())?;
        let items = range.items()?;
        let mut made = self.eval(&of.accu_init);
        let depth = self.names.len();
        for (at, item) in items.into_iter().enumerate() {
            if let Some(second) = &of.iter_var2 {
                let value = match range.is_map() {
                    true => range.field(text_of(&item))?.unwrap_or(Val::Null),
                    false => item.clone(),
                };
                self.names.push((second, value));
                let first = if range.is_map() {
                    item
                } else {
                    super::value::int(at)
                };
                self.names.push((&of.iter_var, first));
            } else {
                self.names.push((&of.iter_var, item));
            }
            self.names.push((&of.accu_var, kept(made)));
            let more = self.eval(&of.loop_cond).and_then(truth);
            let step = match &more {
                Ok(true) => Some(self.eval(&of.loop_step)),
                Ok(false) => None,
                Err(why) => Some(Err(why.clone())),
            };
            made = match step {
                Some(Err(Error::Spent)) => return Err(Error::Spent),
                Some(next) => next,
                None => self.name(&of.accu_var),
            };
            self.names.truncate(depth);
            if more == Ok(false) {
                break;
            }
        }
        self.names.push((&of.accu_var, kept(made)));
        let result = self.eval(&of.result);
        self.names.truncate(depth);
        result
    }
}

/// A step that failed may be made good by a later one, so it is kept as what it came to.
fn kept(made: Result<Val<'_>, Error>) -> Val<'_> {
    made.unwrap_or_else(|why| Val::Failed(Rc::new(why)))
}

fn text_of<'a>(value: &'a Val<'_>) -> &'a str {
    match value {
        Val::Text(text) => text,
        _ => "",
    }
}

pub(super) fn truth(value: Val<'_>) -> Result<bool, Error> {
    match value {
        Val::Bool(is) => Ok(is),
        other => Err(Error::Failed(format!(
            "{} is neither true nor false",
            other.kind()
        ))),
    }
}
