//! What Kustomizations have, as trees: grown by looking at the cluster, and drawn for people.

use std::collections::BTreeSet;

use reeve_api::kustomization::Kustomization;
use reeve_api::name::NamespacedName;
use reeve_core::health::Seen;
use reeve_core::inventory::Entry;
use reeve_core::spec::Spec;
use reeve_core::tree::{DEPTH, Leaf, Tree, known};

use crate::cli::text::table;
use crate::cli::ui::CommandError;
use crate::cluster::{Cluster, Onlooker};

/// The tree of one Kustomization.
pub(super) async fn grow(
    cluster: &Cluster,
    id: &NamespacedName,
    object: &Kustomization,
) -> Result<Tree, CommandError> {
    branch(cluster, id, object, &BTreeSet::new()).await
}

/// With the Kustomizations above it, none of which is followed again: one may have itself.
async fn branch(
    cluster: &Cluster,
    id: &NamespacedName,
    object: &Kustomization,
    above: &BTreeSet<NamespacedName>,
) -> Result<Tree, CommandError> {
    let known = known(object)
        .map_err(|why| CommandError::of(&format!("status.inventory of {id} is of no use"), &why))?;
    let mut above = above.clone();
    above.insert(id.clone());
    let entries = known.iter().filter_map(|one| one.entry()).collect();
    let there = at(object);
    let mut looks = look(cluster, id, object, entries).await.into_iter();
    let mut leaves = Vec::with_capacity(known.len());
    for one in known {
        let seen = match one.entry() {
            Some(_) => looks.next().unwrap_or(Seen::NotFound),
            None => Seen::NotFound,
        };
        let nested = one
            .kustomization()
            .filter(|id| there.is_none() && above.len() < DEPTH && !above.contains(id));
        let below = match nested {
            Some(id) => below(cluster, &id, &above).await?,
            None => None,
        };
        leaves.push(one.seen(&seen, below));
    }
    Ok(Tree::of(id, object, leaves))
}

/// On which other cluster its objects are.
fn at(object: &Kustomization) -> Option<&str> {
    object.status.as_ref()?.inventory_cluster.as_deref()
}

/// What the objects are now, on the cluster where they are.
async fn look(
    cluster: &Cluster,
    id: &NamespacedName,
    object: &Kustomization,
    entries: Vec<Entry>,
) -> Vec<Seen> {
    let Some(at) = at(object) else {
        return cluster.onlooker(id, false).look(entries).await;
    };
    match there(cluster, object, at).await {
        Ok(there) => there.look(entries).await,
        Err(why) => {
            let unknown = Seen::Unknown(format!("on the cluster at {at}: {why}"));
            vec![unknown; entries.len()]
        }
    }
}

async fn there(cluster: &Cluster, object: &Kustomization, at: &str) -> Result<Onlooker, String> {
    let spec = Spec::parse(object).map_err(|why| why.to_string())?;
    let there = cluster.onlooker_at(&spec, at).await;
    there.map_err(|why| why.to_string())
}

/// The tree below; None where it is not to be read.
async fn below(
    cluster: &Cluster,
    id: &NamespacedName,
    above: &BTreeSet<NamespacedName>,
) -> Result<Option<Tree>, CommandError> {
    let (namespace, name) = (id.namespace.as_str(), id.name.as_str());
    match cluster.one::<Kustomization>(Some(namespace), name).await {
        Ok(Some(object)) => Box::pin(branch(cluster, id, &object, above))
            .await
            .map(Some),
        // Its line says so already.
        Ok(None) | Err(_) => Ok(None),
    }
}

/// The trees, for people.
pub(super) fn drawn(trees: &[Tree]) -> String {
    let mut out = String::new();
    for tree in trees {
        if !out.is_empty() {
            out.push('\n');
        }
        let mut rows = vec![root(tree)];
        draw(tree, "", &mut rows);
        out.push_str(&table(&rows));
    }
    out
}

fn root(tree: &Tree) -> [String; 4] {
    let ready = match tree.ready.as_str() {
        "True" => "Ready".to_owned(),
        "False" => format!("NotReady: {}", tree.message),
        _ => format!("Unknown: {}", tree.message),
    };
    let asked = if tree.reconcile_requested {
        " (a reconcile is asked for)"
    } else {
        ""
    };
    [
        format!("Kustomization/{}", tree.kustomization),
        String::new(),
        format!("{ready}{asked}"),
        tree.revision.clone().unwrap_or_default(),
    ]
}

fn draw(tree: &Tree, before: &str, rows: &mut Vec<[String; 4]>) {
    let mut leaves = tree.objects.iter().peekable();
    while let Some(leaf) = leaves.next() {
        let (own, below) = match leaves.peek() {
            Some(_) => ("├── ", "│   "),
            None => ("└── ", "    "),
        };
        rows.push(line(leaf, &format!("{before}{own}")));
        if let Some(tree) = &leaf.tree {
            draw(tree, &format!("{before}{below}"), rows);
        }
    }
}

fn line(leaf: &Leaf, before: &str) -> [String; 4] {
    let health = match leaf.health.message.as_str() {
        "" => leaf.health.status.to_owned(),
        message => format!("{}: {message}", leaf.health.status),
    };
    // Of what was deleted it is no news that it is not there.
    let health = match leaf.api_version {
        Some(_) => health,
        None => String::new(),
    };
    [
        format!("{before}{}", leaf.object),
        leaf.action.to_owned(),
        health,
        leaf.fields.join(", "),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use reeve_core::tree::Health;

    fn leaf(object: &str, action: &'static str, tree: Option<Tree>) -> Leaf {
        Leaf {
            object: object.to_owned(),
            api_version: (action != "deleted").then(|| "v1".to_owned()),
            action,
            fields: match action {
                "configured" => vec!["data.colour".to_owned()],
                _ => Vec::new(),
            },
            health: Health {
                status: "Current",
                message: String::new(),
            },
            tree: tree.map(Box::new),
        }
    }

    fn tree(name: &str, objects: Vec<Leaf>) -> Tree {
        Tree {
            kustomization: name.to_owned(),
            ready: "True".to_owned(),
            message: String::new(),
            revision: Some("main@sha1:1".to_owned()),
            reconcile_requested: false,
            objects,
        }
    }

    #[test]
    fn a_tree_is_drawn_with_what_is_below_it_under_its_own_line() {
        let below = tree("acme/db", vec![leaf("Service/acme/db", "created", None)]);
        let web = tree(
            "acme/web",
            vec![
                leaf("ConfigMap/acme/settings", "configured", None),
                leaf("Kustomization/acme/db", "unchanged", Some(below)),
                leaf("ConfigMap/acme/old", "deleted", None),
            ],
        );
        let want = "\
Kustomization/acme/web                   Ready    main@sha1:1
├── ConfigMap/acme/settings  configured  Current  data.colour
├── Kustomization/acme/db    unchanged   Current
│   └── Service/acme/db      created     Current
└── ConfigMap/acme/old       deleted
";
        assert_eq!(drawn(&[web]), want);
    }
}
