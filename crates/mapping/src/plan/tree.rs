//! The shape of a document: paths of members as a tree.

use crate::errors::ProfileError;

/// A member of the document.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) key: String,
    pub(crate) child: Child,
}

#[derive(Debug)]
pub(crate) enum Child {
    /// The index of the leaf.
    Leaf(usize),
    Object(Vec<Node>),
}

/// Builds the tree of paths. Each path has the pointer into the profile that errors name.
pub(super) fn build(paths: &[(String, Vec<String>)]) -> Result<Vec<Node>, ProfileError> {
    let mut nodes = Vec::new();
    for (leaf, (pointer, path)) in paths.iter().enumerate() {
        insert(&mut nodes, path, leaf).ok_or_else(|| {
            ProfileError::new(pointer, format!("expected a path of its own: {} is also another member", path.join(".")))
        })?;
    }
    Ok(nodes)
}

fn insert(nodes: &mut Vec<Node>, path: &[String], leaf: usize) -> Option<()> {
    let (key, rest) = path.split_first()?;
    let place = nodes.iter().position(|node| node.key == *key);
    match (rest, place) {
        ([], None) => nodes.push(Node { key: key.clone(), child: Child::Leaf(leaf) }),
        ([], Some(_)) => return None,
        (rest, place) => {
            let at = place.unwrap_or_else(|| {
                nodes.push(Node { key: key.clone(), child: Child::Object(Vec::new()) });
                nodes.len() - 1
            });
            match nodes.get_mut(at).map(|node| &mut node.child) {
                Some(Child::Object(children)) => insert(children, rest, leaf)?,
                _ => return None,
            }
        }
    }
    Some(())
}
