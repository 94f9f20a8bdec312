use super::*;

#[test]
fn items_go_to_the_ends_of_their_lists() {
    let (old, new) = (
        "a:\n  - x\nb:\n  - name: x\n",
        "a:\n  - x\n  - y  # ours\nb:\n  - name: x\n  - name: y\n    tag: \"1\"\n# New.\nc:\n  - z\n",
    );
    for (text, edited) in [
        (old, new),
        // With other indentation, further items, a different order, and no line break at the end.
        (
            "b: # b\n- name: o\n  tag: 1\n\n# a\na:\n- x\n- o",
            "b: # b\n- name: o\n  tag: 1\n- name: y\n  tag: \"1\"\n\n# a\na:\n- x\n- o\n- y  # ours\n# New.\nc:\n  - z",
        ),
        // Existing items are not added again.
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
    // Only what differs between `old` and `new` matters, and a user's value for a new key stays.
    let (old, new) = ("k: 1\nl:\n- x\n", "# k\nj: 1\nk: 1\nl:\n- x\n- y\n");
    for (text, edited) in [
        ("k: 2\nl:\n- x\n", "k: 2\nl:\n- x\n- y\n# k\nj: 1\n"),
        ("l:\n- x\n", "l:\n- x\n- y\n# k\nj: 1\n"),
        ("j: {}\nl:\n- x\n", "j: {}\nl:\n- x\n- y\n"),
    ] {
        assert_eq!(add(text, old, new).as_deref().map(String::as_str), Ok(edited), "{text}");
    }
}

#[test]
fn what_is_no_addition_or_has_no_place_is_refused() {
    let (old, new) =
        ("a:\n  - x\nb:\n  - name: x\n", "a:\n  - x\n  - y\nb:\n  - name: x\n  - name: y\n");
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
    for changed in ["a:\n  - y\nb:\n  - name: x\n", "a:\n  - x\n", "a:\n  - x\nb: 1\n"] {
        assert!(add(old, old, changed).is_err(), "{changed}");
    }
}

#[test]
fn the_order_of_keys_and_items_in_the_root_means_nothing() {
    let old = "a:\n  - x\nb:\n  - name: x\n";
    assert!(same("a: [x, y]\n", "a:\n- y\n- x\n") && !same("a: [x, y]\n", "a: [x, z]\n"));
    assert!(!same("a: [x]\n", "a: [x, y]\n") && !same("a: {b: 1, c: 2}\n", "a: {c: 2, b: 1}\n"));
    assert!(
        same(old, "b: [{name: x}]\na: [x]\n") && !same(old, "a: [x]\nb: []\n") && !same(old, "{")
    );
}
