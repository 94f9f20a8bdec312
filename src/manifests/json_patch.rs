//! JSON patches (RFC 6902), as kustomize applies them: `replace` may add a missing key.

use crate::yaml_path::text;
use serde_yaml::Value;

/// Applies `operations` to `target`. `false`, with the earlier operations applied, if one of them
/// has no valid path.
pub(super) fn apply(target: &mut Value, operations: &[Value]) -> bool {
    operations.iter().all(|one| operate(target, one).is_some())
}

/// Whether `value` is an operation.
pub(super) fn is_one(value: &Value) -> bool {
    text(value, &["op"]).is_some() && text(value, &["path"]).is_some()
}

fn operate(target: &mut Value, operation: &Value) -> Option<()> {
    let path = steps(text(operation, &["path"])?)?;
    let value = || operation.get("value").cloned();
    match text(operation, &["op"])? {
        "add" => add(target, &path, value()?),
        "replace" => match path.split_last() {
            None => {
                *target = value()?;
                Some(())
            }
            Some((last, above)) => match find(target, above)? {
                Value::Sequence(items) => {
                    *items.get_mut(last.parse::<usize>().ok()?)? = value()?;
                    Some(())
                }
                Value::Mapping(entries) => {
                    entries.insert(last.as_str().into(), value()?);
                    Some(())
                }
                _ => None,
            },
        },
        "remove" => take(target, &path).map(drop),
        "move" => {
            let moved = take(target, &steps(text(operation, &["from"])?)?)?;
            add(target, &path, moved)
        }
        "copy" => {
            let copied = find(target, &steps(text(operation, &["from"])?)?)?.clone();
            add(target, &path, copied)
        }
        "test" => (find(target, &path) == value().as_mut()).then_some(()),
        _ => None,
    }
}

fn steps(pointer: &str) -> Option<Vec<String>> {
    if pointer.is_empty() {
        return Some(Vec::new());
    }
    let pointer = pointer.strip_prefix('/')?;
    Some(pointer.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect())
}

fn find<'v>(target: &'v mut Value, path: &[String]) -> Option<&'v mut Value> {
    path.iter().try_fold(target, |value, step| match value {
        Value::Sequence(items) => items.get_mut(step.parse::<usize>().ok()?),
        _ => value.get_mut(step.as_str()),
    })
}

fn add(target: &mut Value, path: &[String], value: Value) -> Option<()> {
    let Some((last, above)) = path.split_last() else {
        *target = value;
        return Some(());
    };
    match find(target, above)? {
        Value::Sequence(items) if last == "-" => items.push(value),
        Value::Sequence(items) => {
            let at = last.parse::<usize>().ok().filter(|at| *at <= items.len())?;
            items.insert(at, value);
        }
        Value::Mapping(entries) => {
            entries.insert(last.as_str().into(), value);
        }
        _ => return None,
    }
    Some(())
}

fn take(target: &mut Value, path: &[String]) -> Option<Value> {
    let (last, above) = path.split_last()?;
    match find(target, above)? {
        Value::Sequence(items) => {
            let at = last.parse::<usize>().ok().filter(|at| *at < items.len())?;
            Some(items.remove(at))
        }
        Value::Mapping(entries) => entries.remove(last.as_str()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `replace` of a missing key, `move`, `copy`, and `remove` and `add` with a missing path
    /// behave as in `kubectl kustomize` 1.32.
    #[test]
    fn changes_what_it_points_at() {
        for (patch, expected) in [
            ("[{op: replace, path: /a/0/b, value: 2}]", Some("{a: [{b: 2}], c: 1}")),
            ("[{op: add, path: /a/-, value: 2}]", Some("{a: [{b: 1}, 2], c: 1}")),
            ("[{op: add, path: /a/0, value: 2}]", Some("{a: [2, {b: 1}], c: 1}")),
            ("[{op: add, path: /x~1y, value: 2}]", Some("{a: [{b: 1}], c: 1, x/y: 2}")),
            ("[{op: remove, path: /c}, {op: remove, path: /a/0}]", Some("{a: []}")),
            ("[{op: replace, path: /x, value: 2}]", Some("{a: [{b: 1}], c: 1, x: 2}")),
            ("[{op: move, from: /a/0, path: /d}]", Some("{a: [], c: 1, d: {b: 1}}")),
            ("[{op: copy, from: /a/0/b, path: /d}]", Some("{a: [{b: 1}], c: 1, d: 1}")),
            ("[{op: test, path: /c, value: 1}]", Some("{a: [{b: 1}], c: 1}")),
            ("[{op: test, path: /c, value: 2}]", None),
            ("[{op: remove, path: /a/1}]", None),
            ("[{op: remove, path: /x}]", None),
            ("[{op: add, path: /x/y, value: 2}]", None),
            ("[{op: wish, path: /c, value: 1}]", None),
            ("[{op: add, path: c, value: 1}]", None),
        ] {
            let mut target: Value = serde_yaml::from_str("{a: [{b: 1}], c: 1}").unwrap();
            let operations: Vec<Value> = serde_yaml::from_str(patch).unwrap();
            let done = apply(&mut target, &operations);
            assert_eq!(done, expected.is_some(), "{patch}");
            if let Some(expected) = expected {
                assert_eq!(target, serde_yaml::from_str::<Value>(expected).unwrap(), "{patch}");
            }
        }
    }
}
