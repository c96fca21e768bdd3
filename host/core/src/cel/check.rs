//! Everything that can be wrong with an expression before it is shown anything.
//!
//! A function that there is not, a name that nothing has, a kind of expression that health needs none of. What it
//! deliberately doesn't: know types; what an object holds is only known when it is there.

use ::cel::IdedExpr;
use ::cel::common::ast::{EntryExpr, Expr};

use super::functions;
use super::operators;

/// What is wrong, and in which part.
pub(super) struct Wrong {
    pub(super) id: u64,
    pub(super) why: String,
}

pub(super) fn check(tree: &IdedExpr, variables: Option<&[&str]>) -> Result<(), Wrong> {
    let mut names: Vec<String> = Vec::new();
    walk(tree, variables, &mut names)
}

fn walk(expr: &IdedExpr, variables: Option<&[&str]>, names: &mut Vec<String>) -> Result<(), Wrong> {
    let wrong = |why: String| Wrong { id: expr.id, why };
    match &expr.expr {
        Expr::Unspecified => Err(wrong("it is empty".to_owned())),
        Expr::Literal(_) => Ok(()),
        Expr::Ident(name) => {
            let bound = names.iter().any(|known| known == name);
            let known = bound || variables.is_none_or(|all| all.contains(&name.as_str()));
            match known {
                true => Ok(()),
                false => Err(wrong(format!("undeclared reference to '{name}'"))),
            }
        }
        Expr::Select(select) => walk(&select.operand, variables, names),
        Expr::List(list) => list
            .elements
            .iter()
            .try_for_each(|one| walk(one, variables, names)),
        Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
            EntryExpr::MapEntry(entry) => {
                walk(&entry.key, variables, names)?;
                walk(&entry.value, variables, names)
            }
            EntryExpr::StructField(_) => Err(wrong("a map has keys and values".to_owned())),
        }),
        Expr::Struct(_) => Err(wrong("there are no types to make objects of".to_owned())),
        Expr::Call(call) => {
            let (name, args) = (call.func_name.as_str(), call.args.len());
            let known = match call.target {
                Some(_) => functions::has_method(name, args),
                None => operators::has(name, args) || functions::has(name, args),
            };
            if !known {
                return Err(wrong(format!(
                    "there is no function '{name}' of {args} arguments"
                )));
            }
            if let Some(target) = &call.target {
                walk(target, variables, names)?;
            }
            call.args
                .iter()
                .try_for_each(|one| walk(one, variables, names))
        }
        Expr::Comprehension(of) => {
            walk(&of.iter_range, variables, names)?;
            walk(&of.accu_init, variables, names)?;
            let before = names.len();
            names.extend([of.iter_var.clone(), of.accu_var.clone()]);
            names.extend(of.iter_var2.clone());
            let parts = [&of.loop_cond, &of.loop_step, &of.result];
            let told = parts
                .into_iter()
                .try_for_each(|part| walk(part, variables, names));
            names.truncate(before);
            told
        }
    }
}
