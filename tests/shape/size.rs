//! No file over 500 production lines, no function over 60.

use syn::spanned::Spanned as _;
use syn::visit::Visit;

use crate::source;

const FILE_CAP: usize = 500;
const FUNCTION_CAP: usize = 60;

#[test]
fn no_file_is_longer_than_one_room() {
    let long: Vec<String> = source::all()
        .iter()
        .map(|path| (source::shown(path), source::production_lines(&source::text(path))))
        .filter(|(_, lines)| *lines > FILE_CAP)
        .map(|(path, lines)| format!("{path}: {lines} lines"))
        .collect();
    assert!(long.is_empty(), "split these (cap {FILE_CAP}):\n{}", long.join("\n"));
}

#[test]
fn no_function_is_longer_than_a_screen() {
    let mut long = Vec::new();
    for path in source::all() {
        let file = syn::parse_file(&source::text(&path))
            .unwrap_or_else(|why| panic!("{}: {why}", source::shown(&path)));
        let mut finder = Finder { long: Vec::new() };
        finder.visit_file(&file);
        long.extend(
            finder.long.into_iter().map(|(name, n)| format!("{} {name}: {n} lines", source::shown(&path))),
        );
    }
    assert!(long.is_empty(), "split these (cap {FUNCTION_CAP}):\n{}", long.join("\n"));
}

/// Collects the functions over the cap; those inside `#[cfg(test)]` count too: a test is read more
/// often than it is written.
struct Finder {
    long: Vec<(String, usize)>,
}

impl Finder {
    fn weigh(&mut self, name: &syn::Ident, block: &syn::Block) {
        let span = block.span();
        let lines = span.end().line.saturating_sub(span.start().line) + 1;
        if lines > FUNCTION_CAP {
            self.long.push((name.to_string(), lines));
        }
    }
}

impl<'ast> Visit<'ast> for Finder {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.weigh(&item.sig.ident, &item.block);
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.weigh(&item.sig.ident, &item.block);
        syn::visit::visit_impl_item_fn(self, item);
    }
}
