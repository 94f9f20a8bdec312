//! Looks up values in parsed YAML documents. Pure.

use serde_yaml::Value;

/// The value at `path`, in which numbers are list indices.
#[must_use]
pub fn at<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, step| match value {
        Value::Sequence(items) => items.get(step.parse::<usize>().ok()?),
        _ => value.get(*step),
    })
}

/// The string at `path`.
#[must_use]
pub fn text<'v>(value: &'v Value, path: &[&str]) -> Option<&'v str> {
    at(value, path)?.as_str()
}

/// The items of the list `key`; empty if it is not a list.
pub fn list<'v>(value: &'v Value, key: &str) -> impl DoubleEndedIterator<Item = &'v Value> {
    value.get(key).and_then(Value::as_sequence).into_iter().flatten()
}

/// The `kind`.
#[must_use]
pub fn kind(value: &Value) -> Option<&str> {
    text(value, &["kind"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_keys_and_places_in_lists() {
        let value: Value =
            serde_yaml::from_str("kind: A\nspec: {rules: [{host: a}, {host: b}]}\n").unwrap();
        assert_eq!(text(&value, &["spec", "rules", "1", "host"]), Some("b"));
        assert_eq!(text(&value, &["spec", "rules", "2", "host"]), None);
        assert_eq!(text(&value, &["spec", "rules", "host"]), None);
        assert_eq!((kind(&value), text(&value, &["spec"])), (Some("A"), None));
        assert_eq!(list(at(&value, &["spec"]).unwrap(), "rules").count(), 2);
        assert_eq!(list(&value, "kind").chain(list(&value, "none")).count(), 0);
    }
}
