//! Trees of JSON values as leaves with paths.

use serde_json::Value;

/// Every leaf by its path, as `tlb.l1d[0].entries`. The objects of a list have their names, as `kernel.syscalls[brk].count`, or else numbers;
/// any other list is a leaf; an empty list is none.
#[must_use]
pub fn leaves(tree: Value) -> Vec<(String, Value)> {
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
            let named = NAMES.iter().find_map(|field| names(&items, field));
            let keys = named.unwrap_or_else(|| (0..items.len()).map(|index| index.to_string()).collect());
            for (key, item) in keys.into_iter().zip(items) {
                flatten(format!("{path}[{key}]"), item, flat);
            }
        }
        value => flat.push((path, value)),
    }
}

/// Fields by which the objects of a list are told apart.
const NAMES: [&str; 4] = ["name", "kind", "level", "class"];

/// What a field says of every object, if they all have it and no two agree.
fn names(items: &[Value], field: &str) -> Option<Vec<String>> {
    let names: Vec<String> =
        items.iter().map(|item| Some(item[field].as_str()?.to_owned())).collect::<Option<_>>()?;
    let all_differ = names.iter().enumerate().all(|(index, name)| !names[..index].contains(name));
    all_differ.then_some(names)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_of_a_list_have_their_names_or_else_numbers() {
        let tree = json!({"a": [{"name": "x", "n": 1}, {"name": "y", "n": 2}], "b": [{"kind": "k"}, {"kind": "k"}], "c": [1], "d": []});
        let paths: Vec<String> = leaves(tree).into_iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["a[x].n", "a[x].name", "a[y].n", "a[y].name", "b[0].kind", "b[1].kind", "c"]);
    }
}
