//! What is told of objects that others have changed. Fields are told by their paths, never by their values.

use crate::drift::Fought;
use crate::inventory::ObjectId;
use crate::list;

/// How many objects are named, and how many fields of each.
const NAMED: usize = 20;
const FIELDS: usize = 10;

/// An object that is not as it was applied.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Drifted {
    /// Which object.
    pub id: ObjectId,
    /// The fields that are another, as far as they are told; none: it is gone.
    pub fields: Vec<String>,
}

/// What is told of objects that stay as others made them.
pub fn words(drifted: &[Drifted]) -> String {
    let one = |one: &Drifted| {
        let mut shown: Vec<&str> = one.fields.iter().take(FIELDS).map(String::as_str).collect();
        if one.fields.len() > FIELDS {
            shown.push("more");
        }
        let what = match shown.is_empty() {
            true => "deleted".to_owned(),
            false => shown.join(", "),
        };
        format!("{} ({what})", one.id.subject())
    };
    let named = list::in_part(drifted.iter().map(one), NAMED, "; ");
    format!("others have changed what was applied, and it stays so: {named}")
}

/// What is told when somebody changes an object again and again.
pub fn fought(id: &ObjectId, fight: &Fought) -> String {
    let who = fight.by.as_deref().unwrap_or("somebody");
    format!(
        "{who} has changed {} {} times, each within minutes of the one before; from now on it is put right more seldom: \
         leave the field to one of the two, with spec.ignore or by taking it out of git",
        id.subject(),
        fight.times
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drifted(id: &str, fields: &[&str]) -> Drifted {
        Drifted {
            id: id.parse().unwrap(),
            fields: fields.iter().map(|field| (*field).to_owned()).collect(),
        }
    }

    #[test]
    fn what_stays_as_others_made_it_is_told_by_its_fields() {
        let told = words(&[
            drifted("acme_a__ConfigMap", &["data.k", "data.l"]),
            drifted("acme_b__Service", &[]),
        ]);
        assert_eq!(
            told,
            "others have changed what was applied, and it stays so: ConfigMap/acme/a (data.k, data.l); \
             Service/acme/b (deleted)"
        );
        let many: Vec<String> = (0..30).map(|at| format!("f{at}")).collect();
        let one = Drifted {
            fields: many,
            ..drifted("acme_a__ConfigMap", &[])
        };
        let told = words(&vec![one; 25]);
        assert!(told.contains("f9, more)") && told.ends_with(" and 5 more"));
    }

    #[test]
    fn whoever_fights_is_named() {
        let id: ObjectId = "acme_web_apps_Deployment".parse().unwrap();
        let by = Some("scaler".to_owned());
        let told = fought(&id, &Fought { times: 5, by });
        assert!(told.starts_with("scaler has changed Deployment/acme/web 5 times, "));
        let told = fought(&id, &Fought { times: 5, by: None });
        assert!(told.starts_with("somebody has changed "));
    }
}
