//! A long list, told in part.

/// The first `most` of them, and how many more there are: `a, b and 3 more`.
pub fn in_part(all: impl IntoIterator<Item = String>, most: usize, between: &str) -> String {
    let mut all = all.into_iter();
    let named: Vec<String> = all.by_ref().take(most).collect();
    match all.count() {
        0 => named.join(between),
        more => format!("{} and {more} more", named.join(between)),
    }
}
