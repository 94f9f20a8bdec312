use super::*;
use proptest::prelude::*;

fn done(edited: Edited) -> String {
    edited.unwrap().to_string()
}

const SECRET: &str = "\
# käse ☃ 🦀
---
apiVersion: v1
kind: Secret  # of two

metadata:
    # who
    name: \"gitläb\" # ☃
    'namespace': 'it''s'   # own
    annotations: {}  # none yet
    labels:

type: kubernetes.io/dockercfg
data:
    .dockercfg: >-  # folded
        ZHVt
        bXk=


    # tail of data
# end ☃
";

#[test]
fn refuses_an_edit_after_which_kubectl_reads_the_file_no_more() {
    // Behind a plain value, the tab is a blank; behind quotes it is not.
    assert_eq!(set("a: one\n \t\n", &["b"], "1").unwrap_err(), BEYOND);
    assert_eq!(done(set("a: one\n \n", &["b"], "1")), "a: one\nb: \"1\"\n \n");
}

#[test]
fn reads_scalars_decoded() {
    let document = Document::parse(SECRET).unwrap();
    assert_eq!(document.scalar(&["metadata", "name"]), Some("gitläb"));
    assert_eq!(document.scalar(&["metadata", "namespace"]), Some("it's"));
    assert_eq!(document.scalar(&["data", ".dockercfg"]), Some("ZHVt bXk="));
    for path in [&["metadata"] as &[&str], &["metadata", "labels"], &["metadata", "x"], &["kind", "x"], &[]] {
        assert_eq!(document.scalar(path), None, "{path:?}");
    }
}

#[test]
fn sets_values_of_every_style_in_their_place() {
    for (path, value, old, new) in [
        (&["kind"] as &[&str], "x y", "Secret  #", "x y  #"),
        (&["metadata", "name"], "öl", "\"gitläb\" #", "\"öl\" #"),
        (&["metadata", "namespace"], "12:30", "'it''s'   #", "\"12:30\"   #"),
        (&["type"], "", "kubernetes.io/dockercfg", "\"\""),
        (
            &["data", ".dockercfg"],
            "eyJh==",
            ">-  # folded\n        ZHVt\n        bXk=\n",
            "eyJh==  # folded\n",
        ),
        (
            &["metadata", "annotations", "a/b"],
            "2027-12-31",
            "annotations: {}  # none yet\n",
            "annotations:  # none yet\n        a/b: \"2027-12-31\"\n",
        ),
        (&["metadata", "labels", "a", "b"], "c", "labels:\n", "labels:\n        a:\n            b: c\n"),
        (&["metadata", "labels"], "c", "labels:\n", "labels: c\n"),
        (&["metadata", "uid"], "u", "labels:\n", "labels:\n    uid: u\n"),
        (&["data", "more"], "m", "bXk=\n", "bXk=\n    more: m\n"),
        (&["x", "true", "b"], "c", "bXk=\n", "bXk=\nx:\n    \"true\":\n        b: c\n"),
    ] {
        assert_eq!(SECRET.matches(old).count(), 1, "{old}");
        assert_eq!(done(set(SECRET, path, value)), SECRET.replace(old, new), "{path:?}");
    }
}

#[test]
fn leaves_the_bytes_of_a_value_that_is_the_same() {
    assert_eq!(done(set(SECRET, &["metadata", "namespace"], "it's")), SECRET);
    assert_eq!(done(set(SECRET, &["data", ".dockercfg"], "ZHVt bXk=")), SECRET);
    assert_eq!(done(rename_key(SECRET, &["type"], "type")), SECRET);
    // What was a number becomes the string that was asked for.
    assert_eq!(done(set("a: 12 # n\n", &["a"], "12")), "a: \"12\" # n\n");
    assert_eq!(done(set("a: null\n", &["a"], "null")), "a: \"null\"\n");
}

#[test]
fn sets_in_small_documents() {
    for (before, path, value, after) in [
        ("a: 1", &["b"] as &[&str], "x", "a: 1\nb: x"),
        ("a: 1\r\nb: 2\r\n# c\r\n", &["c", "d"], "x", "a: 1\r\nb: 2\r\nc:\r\n  d: x\r\n# c\r\n"),
        ("a: |\r\n  x\r\n  y\r\nb: 2\r\n", &["a"], "z", "a: z\r\nb: 2\r\n"),
        ("a: 1 # c\r\n", &["a"], "x", "a: x # c\r\n"),
        ("\u{feff}a: ä\n", &["a"], "x", "\u{feff}a: x\n"),
        ("--- # doc\na: 1\n...\n# after\n", &["b"], "x", "--- # doc\na: 1\nb: x\n...\n# after\n"),
        ("%YAML 1.2\n---\na: 1\n", &["a"], "x", "%YAML 1.2\n---\na: x\n"),
        ("a: \"x\n  y\" # c\nb: 1\n", &["a"], "z", "a: z # c\nb: 1\n"),
        ("a: x\n  y\n\n  z\nb: 1\n", &["a"], "q", "a: q\nb: 1\n"),
        ("a:\n  x # c\nb: 1\n", &["a"], "z", "a:\n  z # c\nb: 1\n"),
        ("a: # c\n  # d\n  |\n  x\n\n  y\nb: 1\n", &["a"], "z", "a: # c\n  # d\n  z\nb: 1\n"),
        ("a: |2-\n    x\nb: 1\n", &["a"], "z", "a: z\nb: 1\n"),
        ("a: >\n\n\n  x\n\n\nb: 1\n", &["a"], "z", "a: z\n\n\nb: 1\n"),
        ("a: |\nb: 1\n", &["a"], "z", "a: z\nb: 1\n"),
        ("a: | # c\n\n\nb: 1\n", &["a"], "z", "a: z # c\n\n\nb: 1\n"),
        (
            "a:\n  b: |\n    x\n  # tail\nc: 1\n",
            &["a", "d"],
            "z",
            "a:\n  b: |\n    x\n  d: z\n  # tail\nc: 1\n",
        ),
        ("a:\n  b: |+\n    x\n\nc: 1\n", &["a", "d"], "z", "a:\n  b: |+\n    x\n\n  d: z\nc: 1\n"),
        ("a:\n- 1\n-\nb: [x, # c\n  y] # d\n", &["c"], "z", "a:\n- 1\n-\nb: [x, # c\n  y] # d\nc: z\n"),
        ("a:\n- b: {c: d}\n- e:\n", &["c"], "z", "a:\n- b: {c: d}\n- e:\nc: z\n"),
        ("'a' :   1\t# c\n", &["a"], "z", "'a' :   z\t# c\n"),
        ("a: \n", &["a"], "z", "a: z \n"),
        ("a:", &["a", "b"], "z", "a:\n  b: z"),
        ("a: ~ # c\nb: 1\n", &["a", "b"], "z", "a: # c\n  b: z\nb: 1\n"),
        ("a: null\n", &["a", "b"], "z", "a:\n  b: z\n"),
        ("a:\n# c\nb: 1\n", &["a"], "z", "a: z\n# c\nb: 1\n"),
        ("a: 1\n\n# tail\n", &["b"], "#", "a: 1\nb: \"#\"\n\n# tail\n"),
        ("a: 'x''' # '\n", &["a"], "z", "a: z # '\n"),
        ("a: \"x\\\"\" # \"\n", &["a"], "z", "a: z # \"\n"),
        (" a: 1\n b:\n    c: 1\n", &["b", "d", "e"], "z", " a: 1\n b:\n    c: 1\n    d:\n       e: z\n"),
        ("a: 1\nb: 2", &["a"], "multi\nline", "a: \"multi\\nline\"\nb: 2"),
    ] {
        assert_eq!(set(before, path, value).map(|text| text.to_string()), Ok(after.into()), "{before:?}");
    }
}

#[test]
fn removes_a_key_with_its_lines_and_with_parents_that_it_leaves_empty() {
    for (before, path, after) in [
        ("a: 1\nb: 2\n", &["a"] as &[&str], "b: 2\n"),
        ("a: 1\nb: 2", &["b"], "a: 1\n"),
        ("a: 1\n# own\nb: 2 # its\n# next\nc: 3\n", &["b"], "a: 1\n# own\n# next\nc: 3\n"),
        (
            "a: 1\nb:\n  # in\n  - |\n    # text\n    x\n\n\n  # tail\nc: 3\n",
            &["b"],
            "a: 1\n\n\n  # tail\nc: 3\n",
        ),
        ("a: 1\r\nb:\r\n  c: 1\r\n  d: 2\r\n# e\r\n", &["b", "c"], "a: 1\r\nb:\r\n  d: 2\r\n# e\r\n"),
        (
            "a:\n  b: # why\n    # who\n    c: \"x\n      y\" # d\n  e: 1\n",
            &["a", "b", "c"],
            "a:\n    # who\n  e: 1\n",
        ),
        ("a:\n  b:\n    c: x\nd: 1\n", &["a", "b", "c"], "d: 1\n"),
        ("a: {b: 1}\nc: 1\n", &["a"], "c: 1\n"),
        ("a:\nc: 1\n", &["a"], "c: 1\n"),
        ("a:\n- x\n-\nc: 1\n", &["a"], "c: 1\n"),
        ("a: |\n\n\nc: 1\n", &["a"], "\n\nc: 1\n"),
        ("a: |+\n  x\n\n\nc: 1\n", &["a"], "c: 1\n"),
        ("ä: 1\nö: ☃\n🦀: 3\n", &["ö"], "ä: 1\n🦀: 3\n"),
        ("a: 1\n", &["b"], "a: 1\n"),
        ("a: {b: 1}\n", &["a", "c"], "a: {b: 1}\n"),
        ("a: x\n", &["a", "c"], "a: x\n"),
    ] {
        assert_eq!(remove(before, path).map(|text| text.to_string()), Ok(after.into()), "{before:?}");
    }
}

#[test]
fn renames_a_key_in_its_place() {
    let renamed = SECRET.replace(".dockercfg: >-", ".dockerconfigjson: >-");
    assert_eq!(done(rename_key(SECRET, &["data", ".dockercfg"], ".dockerconfigjson")), renamed);
    assert_eq!(done(rename_key("a:\n  'b' : |\n   x\n", &["a", "b"], "true")), "a:\n  \"true\" : |\n   x\n");
    for path in [&["x"] as &[&str], &["a", "x"], &["a", "b", "c"], &[]] {
        assert!(rename_key("a: {b: 1}\nc: 1\n", path, "n").is_err(), "{path:?}");
    }
    assert!(rename_key("a: 1\nb: 2\n", &["a"], "b").is_err());
}

#[test]
fn refuses_what_it_cannot_edit_for_sure() {
    for text in [
        "",
        "# only\n",
        "a\n",
        "- a\n",
        "{a: 1}\n",
        "a: 1\n---\nb: 2\n",
        "a: &x 1\n",
        "b: *x\n",
        "a: !!str 1\n",
        "a: &x 1\nb: *x\n",
        "<<: {a: 1}\n",
        "a: 'x\n",
        "a: 1\na: 2\n",
        "? a\n: 1\n",
        "a: 1\rb: 2\r",
        "a: \"\u{2028}\"\n",
        "b: \u{0}\n",
        "a: {b: 1}\n",
        "a: [1]\n",
        "a:\n  - 1\n",
        "a:\n  b: 1\n  b: 2\n",
        "a:\n  # c\n  {}\n",
        "a: [\n",
        "\ta: 1\n",
        "a: {\n}\n",
        &format!("a: {}{}\n", "[".repeat(70), "]".repeat(70)),
    ] {
        assert!(set(text, &["a", "b"], "x").is_err(), "{text:?}");
    }
    assert!(set("a: 1\n", &[], "x").is_err());
    assert!(set("a:\n  b: 1\n", &["a"], "x").is_err());
    assert!(set("a: {}\n", &["a"], "x").is_err());
    assert!(set("a: 1\n", &["b".repeat(2000).as_str()], "x").is_err());
    assert!(remove("a:\n  b: 1\n", &["a", "b"]).is_err());
    assert!(remove("a: {b: 1, c: 2}\n", &["a", "b"]).is_err());
    assert!(remove("a: 1\n", &[]).is_err());
    // Without its key, the comment would become text.
    assert!(remove("a: |\n  x\nb: 1\n  # c\nd: 1\n", &["b"]).is_err());
}

/// A block mapping, as lines, and the paths of its scalars.
#[derive(Debug, Clone)]
struct Lines(Vec<String>, Vec<Vec<String>>);

/// Values with their lines below the key's, from two spaces on.
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
    let leaf = (keys(), prop::collection::vec((between(), value()), 4)).prop_map(move |(keys, values)| {
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
                    inner.into_iter().map(|line| if line.is_empty() { line } else { format!("  {line}") }),
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

/// `model` with what is at `path` replaced, or taken away with the parents that this leaves empty.
fn expected(mut model: serde_yaml::Value, path: &[String], value: Option<&str>) -> serde_yaml::Value {
    let map = model.as_mapping_mut().unwrap();
    let key = serde_yaml::Value::from(path[0].clone());
    // A plain `true` is no string; the other keys are.
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

/// Whether all of `lines` are in `text`, in this order.
#[test]
fn items_go_to_the_ends_of_their_lists() {
    let (old, new) = (
        "a:\n  - x\nb:\n  - name: x\n",
        "a:\n  - x\n  - y  # ours\nb:\n  - name: x\n  - name: y\n    tag: \"1\"\n# New.\nc:\n  - z\n",
    );
    for (text, edited) in [
        (old, new),
        // At another indentation, with items of others, in another order, without a line break at the end.
        (
            "b: # b\n- name: o\n  tag: 1\n\n# a\na:\n- x\n- o",
            "b: # b\n- name: o\n  tag: 1\n- name: y\n  tag: \"1\"\n\n# a\na:\n- x\n- o\n- y  # ours\n# New.\nc:\n  - z",
        ),
        // What is there already is not there twice.
        (
            "a:\n  - y\nb:\n  - {name: y, tag: \"1\"}\nc: [z]\n",
            "a:\n  - y\nb:\n  - {name: y, tag: \"1\"}\nc: [z]\n",
        ),
        (
            "a:\r\n    - x\r\nb:\r\n    - 1\r\nc:\r\n    - 1\r\n",
            "a:\r\n    - x\r\n    - y  # ours\r\nb:\r\n    - 1\r\n    - name: y\r\n      tag: \"1\"\r\nc:\r\n    - 1\r\n    - z\r\n",
        ),
    ] {
        assert_eq!(add(text, old, new).as_deref().map(String::as_str), Ok(edited), "{text}");
    }
    for text in [
        "a:\n  - x\n",
        "a:\nb:\n  - x\n",
        "a: [x]\nb:\n  - x\n",
        "a: x\nb:\n  - x\n",
        "a:\n  - &x x\nb:\n  - x\n",
        "a:\n  - x\nb:\n  - x\n---\n",
        "a:\n  - x\na:\n  - x\nb:\n  - x\n",
    ] {
        assert!(add(text, old, new).is_err(), "{text}");
    }
    // What is no addition is none.
    for changed in ["a:\n  - y\nb:\n  - name: x\n", "a:\n  - x\n", "a:\n  - x\nb: 1\n"] {
        assert!(add(old, old, changed).is_err(), "{changed}");
    }
    assert!(same(old, "b: [{name: x}]\na: [x]\n") && !same(old, "a: [x]\nb: []\n") && !same(old, "{"));
}

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
            // A block scalar as the last thing, without a line break that the new line needs.
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
