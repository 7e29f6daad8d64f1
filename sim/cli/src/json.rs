//! Trees of JSON values as leaves with paths.

use serde_json::Value;

/// Every leaf by its path, as `tlb.l1d[0].entries`. A list of objects is numbered; any other list is a leaf; an empty list is none.
pub(crate) fn leaves(tree: Value) -> Vec<(String, Value)> {
    let mut flat = Vec::new();
    flatten(String::new(), tree, &mut flat);
    flat
}

fn flatten(path: String, value: Value, flat: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                let inner = if path.is_empty() { field } else { format!("{path}.{field}") };
                flatten(inner, value, flat);
            }
        }
        Value::Array(items) if items.iter().all(Value::is_object) => {
            for (index, item) in items.into_iter().enumerate() {
                flatten(format!("{path}[{index}]"), item, flat);
            }
        }
        value => flat.push((path, value)),
    }
}
