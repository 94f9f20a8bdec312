//! JSON patches (RFC 6902), as far as kustomizations change a value with them: `add`, `replace` and `remove`.

use crate::yaml_path::text;
use serde_yaml::Value;

/// Applies `operations` to `target`; false, with what came before applied, if one of them is not understood or has no place.
pub(super) fn apply(target: &mut Value, operations: &Value) -> bool {
    operations.as_sequence().is_some_and(|all| all.iter().all(|one| operate(target, one).is_some()))
}

fn operate(target: &mut Value, operation: &Value) -> Option<()> {
    let pointer = text(operation, &["path"])?.strip_prefix('/')?;
    let steps: Vec<String> =
        pointer.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
    let (last, above) = steps.split_last()?;
    let parent = above.iter().try_fold(target, |value, step| match value {
        Value::Sequence(items) => items.get_mut(step.parse::<usize>().ok()?),
        _ => value.get_mut(step.as_str()),
    })?;
    let value = operation.get("value").cloned();
    match (text(operation, &["op"])?, parent) {
        ("replace", Value::Sequence(items)) => *items.get_mut(last.parse::<usize>().ok()?)? = value?,
        ("replace", parent) => *parent.get_mut(last.as_str())? = value?,
        ("add", Value::Sequence(items)) if last == "-" => items.push(value?),
        ("add", Value::Sequence(items)) => {
            let at = last.parse::<usize>().ok().filter(|at| *at <= items.len())?;
            items.insert(at, value?);
        }
        ("add", Value::Mapping(entries)) => {
            entries.insert(last.as_str().into(), value?);
        }
        ("remove", Value::Sequence(items)) => {
            let at = last.parse::<usize>().ok().filter(|at| *at < items.len())?;
            items.remove(at);
        }
        ("remove", Value::Mapping(entries)) => {
            entries.remove(last.as_str())?;
        }
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_what_it_points_at() {
        for (patch, expected) in [
            ("[{op: replace, path: /a/0/b, value: 2}]", Some("{a: [{b: 2}], c: 1}")),
            ("[{op: add, path: /a/-, value: 2}]", Some("{a: [{b: 1}, 2], c: 1}")),
            ("[{op: add, path: /a/0, value: 2}]", Some("{a: [2, {b: 1}], c: 1}")),
            ("[{op: add, path: /x~1y, value: 2}]", Some("{a: [{b: 1}], c: 1, x/y: 2}")),
            ("[{op: remove, path: /c}, {op: remove, path: /a/0}]", Some("{a: []}")),
            ("[{op: replace, path: /x, value: 2}]", None),
            ("[{op: remove, path: /a/1}]", None),
            ("[{op: test, path: /c, value: 1}]", None),
            ("{op: remove, path: /c}", None),
        ] {
            let mut target: Value = serde_yaml::from_str("{a: [{b: 1}], c: 1}").unwrap();
            let done = apply(&mut target, &serde_yaml::from_str(patch).unwrap());
            assert_eq!(done, expected.is_some(), "{patch}");
            if let Some(expected) = expected {
                assert_eq!(target, serde_yaml::from_str::<Value>(expected).unwrap(), "{patch}");
            }
        }
    }
}
