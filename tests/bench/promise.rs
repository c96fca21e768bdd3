//! Promises that a measurement fails by: the table is printed first, and the program ends with an error.
//!
//! Only for what is promised whatever the machine does beside it. What else has a goal says it in its table, and is judged by who
//! reads that. No test asks for a time: where others run at once it would fail for what they do.

use anyhow::ensure;

/// An error if that many `unit`s are more than were promised, or no number at all.
pub(crate) fn held(what: &str, measured: f64, promised: f64, unit: &str) -> anyhow::Result<()> {
    ensure!(
        measured <= promised,
        "promised is {what} in at most {promised:.2}{unit}, and it took {measured:.2}{unit}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_longer_than_was_promised_fails_and_so_does_what_was_not_measured() {
        for (measured, want) in [
            (19.9, true),
            (20.0, true),
            (20.01, false),
            (f64::NAN, false),
        ] {
            let told = held("onboarding", measured, 20.0, " s");
            assert_eq!(told.is_ok(), want, "{measured}: {told:?}");
        }
        let why = held("onboarding", 30.5, 20.0, " s")
            .unwrap_err()
            .to_string();
        assert_eq!(
            why,
            "promised is onboarding in at most 20.00 s, and it took 30.50 s"
        );
    }
}
