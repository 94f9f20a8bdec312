//! Edge cases that the random tests may miss.

use super::super::meaning::ExpectedMeaning;
use super::*;

#[test]
fn what_looks_like_a_comment_in_a_scalar_is_none() {
    let [base, ours] = ["k: 1\na: \"x # y\"\n", "k: 1\na: 'x # y'\nu: 1\n"];
    assert_eq!(merged(base, ours, "k: 1\n"), "k: 1\nu: 1\n");
}

#[test]
fn comments_of_ours_and_in_another_form_stay() {
    for (base, ours, theirs, expected) in [
        ("a: 1 # one\n", "a: 1 # mine\nu: 1\n", "a: 1 # two\n", "a: 1 # mine\nu: 1\n"),
        (
            "a: # old\n  b: 1\n",
            "a: # old\n  b: 1\nu: 1\n",
            "a: {b: 1} # new\n",
            "a: # old\n  b: 1\nu: 1\n",
        ),
    ] {
        assert_eq!(merged(base, ours, theirs), expected, "{ours}");
    }
}

#[test]
fn a_comment_above_a_blank_line_belongs_to_no_key() {
    let base = "a: 1\n# c\n\nb: 1\nd: 1\n";
    let merged = merged(base, &format!("{base}u: 1\n"), "a: 1\n# c\n\nd: 1\n");
    assert_eq!(merged, "a: 1\n# c\n\nd: 1\nu: 1\n");
}

#[test]
fn the_end_of_a_file_without_a_line_break_stays() {
    for (base, ours, theirs, expected) in [
        ("a: 1\n", "a: 1\nu: 1", "a: 1\n# t\n", "a: 1\nu: 1"),
        ("a: 1\n# t", "a: 2\n# t", "a: 1\nb: 1\n# t\n", "a: 2\nb: 1\n# t"),
    ] {
        assert_eq!(merged(base, ours, theirs), expected, "{ours}");
    }
}

#[test]
fn items_come_into_a_list_that_ours_has_in_another_order() {
    let list =
        |names: &[&str]| names.iter().map(|name| format!("  - name: {name}\n")).collect::<String>();
    let env = |names: &[&str]| format!("env:\n{}", list(names));
    assert_eq!(
        merged(&env(&["a", "b"]), &env(&["b", "a"]), &env(&["a", "b", "c"])),
        env(&["b", "c", "a"])
    );
}

#[test]
fn what_has_no_identity_makes_its_list_one_value() {
    for (list, odd) in [
        ("files: -", "- |-\n  b"),
        ("files: -", "-"),
        ("files: -", "- ~"),
        ("patches: - path:", "- path:\n  target: {kind: A, name: x}"),
        ("patches: - path:", "- path: []\n  target: {kind: A, name: x}"),
        ("patches: - path:", "- target: {kind: A, name: []}"),
        ("env: - name:", "- value: x"),
        ("env: - name:", "- name:\n  value: x"),
    ] {
        let (list, lead) = list.split_once(": ").unwrap();
        let text = |items: &[&str]| format!("{list}:\n{}\nk: 1\n", items.join("\n"));
        let [one, other] = ["a", "c"].map(|name| format!("{lead} {name}"));
        let [base, ours, theirs] = [&[one.as_str()][..], &[&one, odd], &[&one, &other]].map(text);
        assert_eq!(merged(&base, &ours, &theirs), format!("conflict: {list}"), "{odd}");
    }
}

/// No merge is known to produce a wrong text, so the check is tested directly.
#[test]
fn a_merged_text_has_to_mean_what_was_merged() {
    let node = |text: &str| super::super::super::tree::parse(text).unwrap();
    let (one, two) = (node("1"), node("2"));
    let map = || {
        ExpectedMeaning::Map(vec![
            ("a", ExpectedMeaning::As(&one)),
            ("b", ExpectedMeaning::As(&two)),
        ])
    };
    assert!(map().is(&node("a: 1\nb: 2")));
    for text in
        ["a: 1\nb: 3", "a: 1\nc: 2", "b: 2\na: 1", "a: 1", "a: 1\nb: 2\nc: 3", "[1, 2]", "1"]
    {
        assert!(!map().is(&node(text)), "{text}");
    }
    let list = || ExpectedMeaning::List(vec![ExpectedMeaning::As(&one), ExpectedMeaning::As(&two)]);
    assert!(list().is(&node("[1, 2]")));
    for text in ["[1, 3]", "[2, 1]", "[1]", "[1, 2, 3]", "a: 1\nb: 2"] {
        assert!(!list().is(&node(text)), "{text}");
    }
}

#[test]
fn a_comment_that_stands_apart_above_a_removed_key_is_there_once() {
    let base = "a: 1\n\n# detached\n\nb: 2\n";
    for (theirs, expected) in [
        ("a: 1\n\n# detached\n", "a: 9\n\n# detached\n\n"),
        ("a: 1\n\n# detached\n\n# new\n", "a: 9\n\n# detached\n\n\n\n# new\n"),
        ("a: 1\n", "a: 9\n\n# detached\n\n"),
    ] {
        assert_eq!(merged(base, "a: 9\n\n# detached\n\nb: 2\n", theirs), expected, "{theirs:?}");
    }
}
