use super::super::*;
use super::versions::versions;
use proptest::prelude::*;
use serde_yaml::{Mapping, Value as Model};

fn model(text: &str) -> Model {
    normal("", serde_yaml::from_str(text).unwrap())
}

/// The items of sets, sorted.
fn normal(key: &str, model: Model) -> Model {
    match model {
        Model::Mapping(map) => Model::Mapping(
            map.into_iter()
                .map(|(key, value)| (key.clone(), normal(key.as_str().unwrap(), value)))
                .collect(),
        ),
        Model::Sequence(items) => {
            let mut items: Vec<_> = items.into_iter().map(|item| normal("", item)).collect();
            if matches!(key, "resources" | "files") {
                items.sort_by_key(|item| item.as_str().map(str::to_owned));
            }
            Model::Sequence(items)
        }
        other => other,
    }
}

struct Conflict;

/// The textbook three-way merge of models. Items come in any order.
fn textbook(
    key: &str,
    base: Option<&Model>,
    ours: Option<&Model>,
    theirs: Option<&Model>,
) -> Result<Option<Model>, Conflict> {
    if ours == theirs || base == theirs {
        return Ok(ours.cloned());
    }
    if base == ours {
        return Ok(theirs.cloned());
    }
    let (Some(one), Some(other)) = (ours, theirs) else { return Err(Conflict) };
    let is_list = one.is_sequence();
    if is_list != other.is_sequence() {
        return Err(Conflict);
    }
    let base = base.filter(|base| base.is_sequence() == is_list && (is_list || base.is_mapping()));
    let keyed = |model: Option<&Model>| {
        model.map_or(Ok(Mapping::new()), |model| by_identity(key, model).ok_or(Conflict))
    };
    let [base, ours, theirs] = [keyed(base)?, keyed(ours)?, keyed(theirs)?];
    let mut merged = Mapping::new();
    for (name, _) in base.iter().chain(&ours).chain(&theirs) {
        let inner = if is_list { "" } else { name.as_str().unwrap() };
        if let Some(value) = textbook(inner, base.get(name), ours.get(name), theirs.get(name))? {
            merged.insert(name.clone(), value);
        }
    }
    Ok(Some(if is_list {
        Model::Sequence(merged.into_iter().map(|(_, value)| value).collect())
    } else {
        Model::Mapping(merged)
    }))
}

fn by_identity(key: &str, model: &Model) -> Option<Mapping> {
    match model {
        Model::Mapping(map) => Some(map.clone()),
        Model::Sequence(items) => items
            .iter()
            .map(|item| match key {
                "resources" | "files" => Some((item.clone(), item.clone())),
                "labels" => Some((Model::Null, item.clone())),
                _ => Some((item.get("name").or(item.get("mountPath"))?.clone(), item.clone())),
            })
            .collect(),
        _ => None,
    }
}

/// `model` with every list sorted.
fn sorted(model: Model) -> Model {
    match model {
        Model::Mapping(map) => {
            map.into_iter().map(|(key, value)| (key, sorted(value))).collect::<Mapping>().into()
        }
        Model::Sequence(items) => {
            let mut items: Vec<_> = items.into_iter().map(sorted).collect();
            items.sort_by_key(|item| {
                item.get("name")
                    .or(item.get("mountPath"))
                    .unwrap_or(item)
                    .as_str()
                    .map(str::to_owned)
            });
            Model::Sequence(items)
        }
        other => other,
    }
}

/// The merge without the short cuts for equal versions.
fn in_full(base: &str, ours: &str, theirs: &str) -> Result<Merged, Refusal> {
    let [old, own, new] = [base, ours, theirs].map(|text| Document::parse(text).unwrap());
    by_meaning(ours, &old, &own, &new)
}

fn clean(merged: Result<Merged, Refusal>) -> Result<String, TestCaseError> {
    match merged {
        Ok(Merged::Clean(text)) => Ok(text.to_string()),
        Ok(Merged::Conflict(paths)) => Err(TestCaseError::fail(format!("conflict: {paths:?}"))),
        Err(refusal) => Err(TestCaseError::fail(refusal)),
    }
}

/// The lines of `ours` that are not in base, without the template's comments at their ends.
fn own_lines<'t>(base: &str, ours: &'t str) -> Vec<&'t str> {
    let known: std::collections::HashSet<_> = base.lines().map(bare).collect();
    ours.lines().map(bare).filter(|line| !line.is_empty() && !known.contains(line)).collect()
}

/// A comment of ours; otherwise the line up to its comment and without its dash.
fn bare(line: &str) -> &str {
    let comment = line.find("# my ").or(line.trim_start().starts_with('#').then_some(0));
    let bare = comment.map_or_else(|| line.split("  # ").next().unwrap(), |at| &line[at..]).trim();
    bare.strip_prefix("- ").unwrap_or(bare)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn an_unedited_file_becomes_what_theirs_is((base, ours, theirs, _) in versions()) {
        prop_assert_eq!(model(&clean(in_full(&base, &base, &theirs))?), model(&theirs));
        prop_assert_eq!(model(&clean(in_full(&base, &base, &ours))?), model(&ours));
        prop_assert_eq!(clean(three_way(&base, &base, &theirs))?, theirs);
    }

    #[test]
    fn a_file_stays_that_theirs_did_not_change_or_changed_alike((base, ours, theirs, _) in versions()) {
        for merge in [three_way, in_full] {
            prop_assert_eq!(&clean(merge(&base, &ours, &base))?, &ours);
            prop_assert_eq!(&clean(merge(&base, &ours, &ours))?, &ours);
            prop_assert_eq!(&clean(merge(&theirs, &ours, &theirs))?, &ours);
        }
    }

    #[test]
    fn both_changes_are_in_the_result((base, ours, theirs, is_special) in versions()) {
        let [old, own, new] = [&base, &ours, &theirs].map(|text| model(text));
        let expected = textbook("", Some(&old), Some(&own), Some(&new)).ok().flatten();
        match three_way(&base, &ours, &theirs) {
            Ok(Merged::Clean(text)) => {
                prop_assert_eq!(Some(sorted(model(&text))), expected.map(sorted));
                prop_assert_eq!(text.contains('\r'), ours.contains('\r'));
                let mut found = text.lines().map(bare);
                for line in own_lines(&base, &ours) {
                    prop_assert!(found.any(|one| one == line), "{line}\nin {}", *text);
                }
            }
            Ok(Merged::Conflict(paths)) => {
                prop_assert!(is_special || expected.is_none(), "{paths:?}");
                prop_assert!(paths.iter().all(|path| !path.is_empty()));
            }
            // Keys and items for a collection that ours has as `{}` or `[]`.
            Err(refusal) => prop_assert!(refusal == FLOW && (ours.contains("{}") || ours.contains("[]")), "{refusal}"),
        }
    }

    #[test]
    fn never_panics(texts in prop::array::uniform3("(a|b|name|- |: |\n|\n  |  |#|c|[|]|\\{|\\}|\\||\"|é|\r\n){0,24}")) {
        let [base, ours, theirs] = texts.map(|text| format!("k: v\n{text}\n"));
        let _ = three_way(&base, &ours, &theirs);
        let _ = three_way("k: v\n", &ours, &theirs);
    }
}
