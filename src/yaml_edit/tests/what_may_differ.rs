//! Every edit is parsed again and refused if it changed anything else. No edit is known to fail
//! this check, so the check is tested directly.

use super::super::additions::is_right;
use super::super::graft::is_grafted;
use super::super::lists::{is_grown, is_same_but, is_shrunk, items};
use super::super::tree::parse;
use super::super::{is_removed, is_set};
use super::*;

fn node(text: &str) -> Node {
    parse(text).unwrap()
}

#[test]
fn one_value_may_be_set_with_its_missing_parents() {
    let is_set = |before: &str, after: &str| is_set(&node(before), &node(after), &["a", "b"], "x");
    assert!(is_set("a: {c: 1, b: y}", "a: {c: 1, b: x}"));
    assert!(is_set("a: {c: 1}", "a: {c: 1, b: x}"));
    assert!(is_set("k: 1", "k: 1\na: {b: x}"));
    for (before, after) in [
        ("a: {c: 1}", "a: {c: 1}"),
        ("a: {c: 1}", "a: {c: 1, b: z}"),
        ("a: {c: 1}", "a: {c: 2, b: x}"),
        ("a: {c: 1}", "a: {d: 1, b: x}"),
        ("a: {c: 1}", "a: {c: '1', b: x}"),
        ("a: {c: 1}", "a: {c: 1, b: x, d: 1}"),
        ("a: {c: 1}", "a: {b: x}"),
        ("a: {b: y, c: 1}", "a: {c: 1, b: x}"),
        ("a: {c: [1, 2]}", "a: {c: [1], b: x}"),
        ("a: {c: [1]}", "a: {c: [2], b: x}"),
        ("a: {c: {d: 1, e: 2}}", "a: {c: {d: 1}, b: x}"),
        ("a: {c: {d: 1}}", "a: {c: [d], b: x}"),
        ("k: 1", "k: 2\na: {b: x}"),
        ("k: 1", "a: {b: x}"),
        ("k: 1", "k: 1\na: {b: x, c: 1}"),
        ("k: 1\na: {b: y}\nl: 1", "k: 1\nl: 1\na: {b: x}"),
    ] {
        assert!(!is_set(before, after), "{before} to {after}");
    }
}

#[test]
fn one_key_may_be_removed_with_the_parents_that_it_leaves_empty() {
    let is_removed =
        |before: &str, after: &str| is_removed(&node(before), &node(after), &["a", "b"]);
    assert!(is_removed("a: {b: x, c: 1}", "a: {c: 1}"));
    assert!(is_removed("a: {b: x}\nk: 1", "k: 1"));
    assert!(is_removed("k: 1", "k: 1"));
    for (before, after) in [
        ("a: {b: x, c: 1}", "a: {b: x, c: 1}"),
        ("a: {b: x, c: 1}", "a: {c: 2}"),
        ("a: {b: x, c: 1}\nk: 1", "k: 1"),
        ("a: {c: 1}\nk: 1", "k: 1"),
        ("a: {b: x}\nk: 1", "k: 2"),
        ("a: {b: x}\nk: 1", "a: {b: x}\nk: 2"),
    ] {
        assert!(!is_removed(before, after), "{before} to {after}");
    }
}

#[test]
fn one_key_may_be_renamed() {
    let before = node("a: {b: 1, c: 2}\nk: {b: 3}");
    let is_renamed = |after: &str| before.is_renamed(&node(after), &["a", "b"], "new");
    assert!(is_renamed("a: {new: 1, c: 2}\nk: {b: 3}"));
    for after in [
        "a: {b: 1, c: 2}\nk: {b: 3}",
        "a: {new: 2, c: 2}\nk: {b: 3}",
        "a: {new: 1, c: 3}\nk: {b: 3}",
        "a: {new: 1, d: 2}\nk: {b: 3}",
        "a: {new: 1}\nk: {b: 3}",
        "a: {new: 1, c: 2, d: 3}\nk: {b: 3}",
        "x: {new: 1, c: 2}\nk: {b: 3}",
        "a: {new: 1, c: 2}\nk: {new: 3}",
        "a: {new: 1, c: 2}",
    ] {
        assert!(!is_renamed(after), "{after}");
    }
    assert!(!node("a: 1").is_renamed(&node("12: 1"), &["a"], "12"), "a number");
}

#[test]
fn one_entry_may_be_grafted() {
    let value = node("c: 1");
    let is_grafted = |after: &str| is_grafted(&node("k: 1"), &node(after), &["a", "b"], &value);
    assert!(is_grafted("k: 1\na: {b: {c: 1}}"));
    for after in
        ["k: 1", "k: 1\na: {b: {c: 2}}", "k: 2\na: {b: {c: 1}}", "k: 1\na: {b: {c: 1}, d: 1}"]
    {
        assert!(!is_grafted(after), "{after}");
    }
}

#[test]
fn one_place_in_lists_and_mappings_may_differ() {
    use Step::{Item, Key};
    let path = [Key("a"), Item(1), Key("b")];
    let is_x = |_: Option<&Node>, after: Option<&Node>| after.and_then(Node::scalar) == Some("x");
    let is_right =
        |before: &str, after: &str| is_same_but(&node(before), &node(after), &path, &is_x);
    assert!(is_right("a: [1, {b: y, c: 1}]\nk: 1", "a: [1, {b: x, c: 1}]\nk: 1"));
    assert!(is_right("a: [1, {c: 1}]", "a: [1, {c: 1, b: x}]"));
    for (before, after) in [
        ("a: [1, {b: y}]", "a: [1, {b: z}]"),
        ("a: [1, {b: y}]", "a: [2, {b: x}]"),
        ("a: [1, {b: y}]", "a: [1, {b: x}, 2]"),
        ("a: [1, {b: y}, 2]", "a: [1, {b: x}]"),
        ("a: [1, {b: y, c: 1}]", "a: [1, {b: x, c: 2}]"),
        ("a: [1, {b: y, c: 1}]", "a: [1, {b: x, d: 1}]"),
        ("a: [1, {b: y, c: 1}]", "a: [1, {b: x}]"),
        ("a: [1, {b: y, c: 1}]", "a: [1, {c: 1, b: x}]"),
        ("a: [1, {b: y}]\nk: 1", "a: [1, {b: x}]\nk: 2"),
        ("a: [1, {b: y}]\nk: 1", "k: 1\na: [1, {b: x}]"),
        ("a: [1, {b: y}]", "k: 1"),
    ] {
        assert!(!is_right(before, after), "{before} to {after}");
    }
    // Only the last part of the path may be missing.
    let anything = |_: Option<&Node>, _: Option<&Node>| true;
    let is_same = |path: &[Step]| is_same_but(&node("a: 1"), &node("a: 1"), path, &anything);
    assert!(is_same(&[Key("a")]) && is_same(&[Key("b")]) && !is_same(&[Key("b"), Key("c")]));
}

#[test]
fn items_may_be_added_at_the_end_and_one_be_taken_out() {
    let (x, xy) = (node("[x]"), node("[x, y]"));
    let added = |text: &str| {
        items(&node(text)).iter().map(|item| node(item.scalar().unwrap())).collect::<Vec<_>>()
    };
    for (before, after, new, expected) in [
        (Some(&x), Some(&xy), "[y]", true),
        (None, Some(&xy), "[x, y]", true),
        (Some(&x), Some(&xy), "[z]", false),
        (Some(&x), Some(&xy), "[y, z]", false),
        (Some(&x), Some(&xy), "[]", false),
        (Some(&x), None, "[]", false),
    ] {
        assert_eq!(is_grown(before, after, &added(new)), expected, "{new}");
    }
    let (y, none) = (node("[y]"), node("[]"));
    for (before, after, gone, expected) in [
        (&xy, Some(&y), 0, true),
        (&xy, Some(&x), 1, true),
        (&x, None, 0, true),
        (&x, Some(&none), 0, false),
        (&xy, Some(&y), 1, false),
        (&xy, Some(&xy), 1, false),
        (&xy, None, 1, false),
    ] {
        assert_eq!(is_shrunk(Some(before), after, gone), expected, "{gone}");
    }
}

#[test]
fn lists_of_the_root_may_grow_and_keys_may_come_last() {
    let new = node("l: [x, y]\nn: 1");
    let y = node("y");
    let is_right =
        |before: &str, after: &str| is_right(&node(before), &node(after), &new, &[("l", &y)]);
    assert!(is_right("l: [x]\nk: 1", "l: [x, y]\nk: 1\nn: 1"));
    assert!(is_right("l: [u]", "l: [u, y]"));
    for (before, after) in [
        ("l: [x]", "l: [x]"),
        ("l: [x, z]", "l: [x]"),
        ("l: [x]", "l: [x, z]"),
        ("l: [x]", "l: [x, y, y]"),
        ("l: [x]", "l: [z, y]"),
        ("l: [x]", "m: [x, y]"),
        ("l: 1", "l: 1"),
        ("l: [x]\nk: 1", "l: [x, y]\nk: 2"),
        ("l: [x]\nk: 1", "l: [x, y]\nj: 1"),
        ("l: [x]\nk: 1", "l: [x, y]"),
        ("l: [x]\nk: [z]", "l: [x, y]\nk: [z, z]"),
        ("l: [x]", "l: [x, y]\nn: 2"),
        ("l: [x]", "l: [x, y]\no: 1"),
    ] {
        assert!(!is_right(before, after), "{before} to {after}");
    }
}
