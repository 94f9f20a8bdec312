use super::*;

#[test]
fn a_key_is_one_that_kubernetes_takes() {
    for good in ["PASSWORD", "tls.key", "a-b_c.1", "1", ".hidden", &"k".repeat(253)] {
        assert!(Key::parse(good).is_ok(), "{good}");
    }
    for bad in ["", "a b", "a/b", "a=b", "ä", ".", "..", "..a", "a\n", "gldt-Ab1", &"k".repeat(254)]
    {
        assert!(Key::parse(bad).is_err(), "{bad}");
    }
    for (key, is) in [("A_1", true), ("_", true), ("1A", false), ("a.b", false), ("a-b", false)] {
        assert_eq!(Key::parse(key).unwrap().is_variable(), is, "{key}");
    }
}

#[test]
fn a_value_has_a_mebibyte_at_most() {
    assert!(Value::check(&vec![0; MAX_SIZE]).is_ok());
    assert!(Value::check(&vec![0; MAX_SIZE + 1]).is_err() && Value::check(b"").is_err());
}
