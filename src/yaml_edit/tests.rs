use super::*;

mod additions;
mod properties;
mod what_may_differ;

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
    // After a plain value the tab counts as a blank; after quotes it does not.
    assert_eq!(set("a: one\n \t\n", &["b"], "1").unwrap_err(), BEYOND);
    assert_eq!(done(set("a: one\n \n", &["b"], "1")), "a: one\nb: \"1\"\n \n");
}

#[test]
fn reads_scalars_decoded() {
    let document = Document::parse(SECRET).unwrap();
    assert_eq!(document.scalar(&["metadata", "name"]), Some("gitläb"));
    assert_eq!(document.scalar(&["metadata", "namespace"]), Some("it's"));
    assert_eq!(document.scalar(&["data", ".dockercfg"]), Some("ZHVt bXk="));
    for path in
        [&["metadata"] as &[&str], &["metadata", "labels"], &["metadata", "x"], &["kind", "x"], &[]]
    {
        assert_eq!(document.scalar(path), None, "{path:?}");
    }
    assert_eq!(document.keys(&["data"]), [".dockercfg"]);
    assert_eq!(document.keys(&["kind"]), [""; 0]);
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
        (
            &["metadata", "labels", "a", "b"],
            "c",
            "labels:\n",
            "labels:\n        a:\n            b: c\n",
        ),
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
    // A value that was a number becomes the requested string.
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
        (
            "a:\n- 1\n-\nb: [x, # c\n  y] # d\n",
            &["c"],
            "z",
            "a:\n- 1\n-\nb: [x, # c\n  y] # d\nc: z\n",
        ),
        ("a:\n- b: {c: d}\n- e:\n", &["c"], "z", "a:\n- b: {c: d}\n- e:\nc: z\n"),
        ("'a' :   1\t# c\n", &["a"], "z", "'a' :   z\t# c\n"),
        ("a: \n", &["a"], "z", "a: z \n"),
        ("a:", &["a", "b"], "z", "a:\n  b: z"),
        ("a: ~ # c\nb: 1\n", &["a", "b"], "z", "a: # c\n  b: z\nb: 1\n"),
        ("a: null\n", &["a", "b"], "z", "a:\n  b: z\n"),
        ("a#: {}\n", &["a#", "b"], "z", "a#:\n  b: z\n"),
        ("a:\n# c\nb: 1\n", &["a"], "z", "a: z\n# c\nb: 1\n"),
        ("a: 1\n\n# tail\n", &["b"], "#", "a: 1\nb: \"#\"\n\n# tail\n"),
        ("a: 'x''' # '\n", &["a"], "z", "a: z # '\n"),
        ("a: \"x\\\"\" # \"\n", &["a"], "z", "a: z # \"\n"),
        (
            " a: 1\n b:\n    c: 1\n",
            &["b", "d", "e"],
            "z",
            " a: 1\n b:\n    c: 1\n    d:\n       e: z\n",
        ),
        ("a: 1\nb: 2", &["a"], "multi\nline", "a: \"multi\\nline\"\nb: 2"),
    ] {
        assert_eq!(
            set(before, path, value).map(|text| text.to_string()),
            Ok(after.into()),
            "{before:?}"
        );
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
        (
            "a: 1\r\nb:\r\n  c: 1\r\n  d: 2\r\n# e\r\n",
            &["b", "c"],
            "a: 1\r\nb:\r\n  d: 2\r\n# e\r\n",
        ),
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
        assert_eq!(
            remove(before, path).map(|text| text.to_string()),
            Ok(after.into()),
            "{before:?}"
        );
    }
}

#[test]
fn renames_a_key_in_its_place() {
    let renamed = SECRET.replace(".dockercfg: >-", ".dockerconfigjson: >-");
    assert_eq!(done(rename_key(SECRET, &["data", ".dockercfg"], ".dockerconfigjson")), renamed);
    assert_eq!(
        done(rename_key("a:\n  'b' : |\n   x\n", &["a", "b"], "true")),
        "a:\n  \"true\" : |\n   x\n"
    );
    for path in [&["x"] as &[&str], &["a", "x"], &["a", "b", "c"], &[]] {
        assert!(rename_key("a: {b: 1}\nc: 1\n", path, "n").is_err(), "{path:?}");
    }
    assert!(rename_key("a: 1\nb: 2\n", &["a"], "b").is_err());
}

#[test]
fn refuses_what_readers_of_yaml_do_not_agree_on() {
    for text in ["a: \u{1}\n", "a: \"\u{85}\"\n", "a: \"\u{2029}\"\n", "a: 1\rb: 2\n", "a: 1\n\r"] {
        let refusal = Document::parse(text).err();
        assert_eq!(
            refusal,
            Some("it contains control characters or unusual line breaks"),
            "{text:?}"
        );
    }
    for text in [
        "a: &x 1",
        "a: !t 1",
        "a: &x [1]",
        "a: !!seq [1]",
        "a: &x\n  b: 1",
        "a: !t {b: 1}",
        "a: &x 1\nb: *x",
    ] {
        assert_eq!(
            Document::parse(text).err(),
            Some("it has anchors, aliases or tags"),
            "{text:?}"
        );
    }
    assert!(Document::parse("a: 1\r\nb: \"\t\"\r\n").is_ok());
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
        "a:\n  b: 1\rc: 2\n",
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
    assert_eq!(set("a: {b: 1}\n", &["a", "c"], "x").err(), Some(FLOW));
    assert!(set("a:\n  b: 1\n", &["a"], "x").is_err());
    assert!(set("a: {}\n", &["a"], "x").is_err());
    assert!(set("a: 1\n", &["b".repeat(2000).as_str()], "x").is_err());
    assert!(remove("a:\n  b: 1\n", &["a", "b"]).is_err());
    assert!(remove("a: {b: 1, c: 2}\n", &["a", "b"]).is_err());
    assert!(remove("a: 1\n", &[]).is_err());
    // Without its key, the comment would become part of the text.
    assert!(remove("a: |\n  x\nb: 1\n  # c\nd: 1\n", &["b"]).is_err());
}
