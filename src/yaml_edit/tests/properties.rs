use super::*;
use proptest::prelude::*;

/// A block mapping, as lines, and the paths of its scalars.
#[derive(Debug, Clone)]
struct Lines(Vec<String>, Vec<Vec<String>>);

/// Values, with lines below the key indented by two spaces or more.
fn value() -> impl Strategy<Value = (String, Vec<String>)> {
    let inline = "(x|ä ☃|\"q: # \\\\\" x\"|'it''s # 1'|12|~|\\[a, b\\]|x y)";
    let comment = "( # c ☃|  #|)";
    prop_oneof![
        (inline, comment).prop_map(|(value, comment)| (format!(" {value}{comment}"), vec![])),
        comment.prop_map(|comment| (comment, vec!["  next".into()])),
        ("( \\|| >-| \\|\\+)", comment).prop_map(|(header, comment)| (
            header + &comment,
            vec!["  # text".into(), String::new(), "  ü".into()]
        )),
        Just((" \"two".to_owned(), vec!["  lines\" # \"".to_owned()])),
        Just((" two".to_owned(), vec![String::new(), "  lines # c".to_owned()])),
    ]
}

fn between() -> impl Strategy<Value = Vec<String>> {
    prop_oneof![3 => Just(vec![]), 1 => Just(vec!["# own ☃".to_owned()]), 1 => Just(vec![String::new()]),
        1 => Just(vec![String::new(), "# two".into()])]
}

fn mapping() -> impl Strategy<Value = Lines> {
    let keys = || prop::sample::subsequence(vec!["a", "b'", "ç", "d.e/f", "true"], 1..=4);
    let quoted = |key: &str| if key.is_ascii() { key.to_owned() } else { format!("\"{key}\"") };
    let leaf =
        (keys(), prop::collection::vec((between(), value()), 4)).prop_map(move |(keys, values)| {
            let mut lines = Vec::new();
            let mut paths = Vec::new();
            for (key, (before, (first, more))) in keys.into_iter().zip(values) {
                lines.extend(before);
                lines.push(format!("{}:{first}", quoted(key)));
                lines.extend(more);
                paths.push(vec![key.to_owned()]);
            }
            Lines(lines, paths)
        });
    leaf.prop_recursive(2, 12, 3, move |inner| {
        (keys(), prop::collection::vec((between(), inner), 4)).prop_map(|(keys, children)| {
            let mut lines = Vec::new();
            let mut paths = Vec::new();
            for (key, (before, Lines(inner, below))) in keys.into_iter().zip(children) {
                lines.extend(before);
                lines.push(format!("{key}:"));
                lines.extend(
                    inner
                        .into_iter()
                        .map(|line| if line.is_empty() { line } else { format!("  {line}") }),
                );
                paths.extend(below.into_iter().map(|path| [vec![key.to_owned()], path].concat()));
            }
            Lines(lines, paths)
        })
    })
}

fn model(text: &str) -> serde_yaml::Value {
    serde_yaml::from_str(text).unwrap()
}

/// `model` with the value at `path` replaced, or removed along with the parents that this empties.
fn expected(
    mut model: serde_yaml::Value,
    path: &[String],
    value: Option<&str>,
) -> serde_yaml::Value {
    let map = model.as_mapping_mut().unwrap();
    let key = serde_yaml::Value::from(path[0].clone());
    // A plain `true` is not a string; all other keys are.
    let key = if map.contains_key(&key) { key } else { serde_yaml::Value::Bool(true) };
    match (path, value) {
        ([_], Some(value)) => drop(map.insert(key, value.into())),
        ([_], None) => drop(map.shift_remove(&key)),
        (path, value) => {
            let inner = expected(map[&key].clone(), &path[1..], value);
            if inner.as_mapping().is_some_and(serde_yaml::Mapping::is_empty) {
                map.shift_remove(&key);
            } else {
                map.insert(key, inner);
            }
        }
    }
    model
}

/// Whether `text` contains all of `lines`, in this order.
fn are_in(lines: &[&str], text: &str) -> bool {
    let mut all = text.lines();
    lines.iter().all(|line| all.any(|found| found == *line))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn edits_change_nothing_else(
        Lines(lines, paths) in mapping(),
        pick in any::<prop::sample::Index>(),
        crlf: bool,
        end: bool,
    ) {
        let newline = if crlf { "\r\n" } else { "\n" };
        let mut text = lines.join(newline);
        if end {
            text += newline;
        }
        let before = model(&text);
        let path = pick.get(&paths);
        let keys: Vec<&str> = path.iter().map(String::as_str).collect();
        let is_list = Document::parse(&text).unwrap().root.at(&keys).unwrap().scalar().is_none();
        match set(&text, &keys, "new: value") {
            Ok(edited) => {
                prop_assert_eq!(model(&edited), expected(before.clone(), path, Some("new: value")));
                let comments: Vec<&str> = text.lines().filter(|line| line.trim() == "# own ☃").collect();
                prop_assert!(are_in(&comments, &edited), "{}", *edited);
            }
            Err(_) => prop_assert!(is_list),
        }
        if let Ok(edited) = remove(&text, &keys) {
            prop_assert_eq!(model(&edited), expected(before, path, None));
            let kept: Vec<&str> = edited.lines().collect();
            prop_assert!(are_in(&kept, &text));
        }
        let mut added = keys.clone();
        *added.last_mut().unwrap() = "added";
        if let Ok(edited) = set(&text, &added, "12") {
            let kept: Vec<&str> = text.lines().collect();
            prop_assert!(are_in(&kept, &edited), "{}", *edited);
            prop_assert_eq!(edited.lines().count(), text.lines().count() + 1);
            let document = Document::parse(&edited).unwrap();
            prop_assert_eq!(document.scalar(&added), Some("12"));
        } else {
            // The document ends with a block scalar and lacks the line break that the new line
            // needs.
            prop_assert!(!end);
        }
    }

    #[test]
    fn never_panics(text in "([-?:,\\[\\]{}#&*!|>'\"%@ab ä\n\t\r\\\\]|  |: |\n  ){0,40}", key in "[ab]") {
        let deep = [key.as_str(), "b"];
        let sets = [set(&text, &deep, "x"), set(&text, &deep[..1], "x"), add(&text, "a:\n- 1\n", "a:\n- 1\n- 2\nb: [1]\n")];
        for edited in sets.into_iter().chain([remove(&text, &deep), rename_key(&text, &deep, "z")]).flatten() {
            prop_assert!(Document::parse(&edited).is_ok());
        }
    }
}
