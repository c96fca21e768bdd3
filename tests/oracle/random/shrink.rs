//! Makes a case small that fails: parts are left out as long as it still does.

use super::case::Case;
use super::yaml::Yaml;

/// The smallest case found in which `fails` holds; `case` is one.
pub(super) fn shrink(mut case: Case, fails: &dyn Fn(&Case) -> bool) -> Case {
    loop {
        let size = parts(&case);
        let mut at = 0;
        while at < parts(&case) {
            let smaller = without(&case, at);
            if fails(&smaller) {
                case = smaller;
            } else {
                at += 1;
            }
        }
        if parts(&case) == size {
            return case;
        }
    }
}

/// How many parts there are: files, documents and everything in them.
fn parts(case: &Case) -> usize {
    let files = case.files.iter();
    files
        .map(|(_, documents)| 1 + documents.iter().map(|d| 1 + inner(d)).sum::<usize>())
        .sum()
}

fn inner(of: &Yaml) -> usize {
    match of {
        Yaml::Plain(_) | Yaml::Block(..) => 0,
        Yaml::Inline(items) | Yaml::List(items) => items.iter().map(|item| 1 + inner(item)).sum(),
        Yaml::Map(entries) => entries.iter().map(|(_, value)| 1 + inner(value)).sum(),
        Yaml::Flow(of) => inner(of),
    }
}

/// The case without its part number `at`, counted from outside to inside.
fn without(case: &Case, mut at: usize) -> Case {
    let mut case = case.clone();
    for file in 0..case.files.len() {
        if at == 0 {
            case.files.remove(file);
            return case;
        }
        at -= 1;
        let Some((_, documents)) = case.files.get_mut(file) else {
            break;
        };
        for index in 0..documents.len() {
            if at == 0 {
                documents.remove(index);
                return case;
            }
            at -= 1;
            if let Some(document) = documents.get_mut(index)
                && cut(document, &mut at)
            {
                return case;
            }
        }
    }
    case
}

/// Leaves the part number `at` out, if it is in here.
fn cut(of: &mut Yaml, at: &mut usize) -> bool {
    for index in 0..of.len() {
        if *at == 0 {
            of.remove(index);
            return true;
        }
        *at -= 1;
        if of.part(index).is_some_and(|part| cut(part, at)) {
            return true;
        }
    }
    false
}
