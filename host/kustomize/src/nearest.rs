//! The name that somebody may have meant.

/// More letters than these are another word.
const FAR: usize = 3;

/// The one of `known` that is most like `name`, whatever the case; None if none is much like it.
///
/// ```
/// assert_eq!(reeve_kustomize::nearest("resource", ["resources", "patches"]), Some("resources"));
/// assert_eq!(reeve_kustomize::nearest("x", ["resources", "patches"]), None);
/// ```
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let all = known
        .into_iter()
        .map(|known| (distance(name, known), known));
    all.min()
        .filter(|(far, _)| *far <= FAR)
        .map(|(_, known)| known)
}

/// How many letters must change to make `b` of `a`.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (at, x) in a.to_lowercase().chars().take(64).enumerate() {
        let mut next = vec![at + 1];
        for ((y, before), above) in b.iter().zip(&row).zip(row.iter().skip(1)) {
            let left = next.last().copied().unwrap_or_default();
            let same = before + usize::from(x != *y);
            next.push(same.min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
