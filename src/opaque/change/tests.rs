use super::*;
use std::collections::BTreeMap;

const DIR: &str = "secrets/kubernetes";
const KUSTOMIZATION: &str = "secrets/kubernetes/kustomization.yaml";

type Files = BTreeMap<String, Vec<u8>>;

fn fresh() -> Files {
    Files::from([(
        KUSTOMIZATION.to_owned(),
        b"# mine\nresources:\n  - gitlab.secret.yaml\n".to_vec(),
    )])
}

fn planned<T>(files: &Files, plan: impl FnOnce(&Directory) -> T) -> T {
    let read = |path: &str| match files.get(path) {
        Some(bytes) => Content::Bytes(Zeroizing::new(bytes.clone())),
        None => Content::Absent,
    };
    plan(&Directory::open(DIR, "hello", &read).unwrap())
}

fn set(files: &Files, key: &str, value: &[u8]) -> Result<SecretChange, DirectoryFault> {
    let value = Value::new(Zeroizing::new(value.to_vec())).unwrap();
    planned(files, |directory| directory.set("db", &Key::parse(key).unwrap(), &value))
}

fn unset(files: &Files, key: &str) -> SecretChange {
    planned(files, |directory| directory.unset("db", &Key::parse(key).unwrap())).unwrap()
}

/// The files after the first `steps` of a change.
fn after(files: &Files, change: &SecretChange, steps: usize) -> Files {
    let mut files = files.clone();
    for write in change.writes.iter().take(steps) {
        files.insert(write.path.clone(), write.bytes.to_vec());
    }
    for removal in change.removals.iter().take(steps.saturating_sub(change.writes.len())) {
        assert!(files.remove(&removal.path).is_some(), "{}", removal.path);
    }
    files
}

fn whole(files: &Files, change: &SecretChange) -> Files {
    after(files, change, change.writes.len() + change.removals.len())
}

/// What kustomize would generate for the Secret db; `None` if it refuses the files.
fn built(files: &Files) -> Option<BTreeMap<String, Vec<u8>>> {
    let kustomization = std::str::from_utf8(&files[KUSTOMIZATION]).unwrap();
    let kustomization = Kustomization::parse(kustomization).unwrap();
    let mut data = BTreeMap::new();
    let Some(generator) = kustomization.generator("db") else { return Some(data) };
    let file = |path: &String| {
        files.get(&format!("{DIR}/{path}")).expect("no kustomization names a missing file")
    };
    let mut is_right = true;
    for env in &generator.envs {
        for line in String::from_utf8(file(env).clone()).unwrap().lines() {
            let (key, value) = line.split_once('=').unwrap();
            is_right &= data.insert(key.to_owned(), value.as_bytes().to_owned()).is_none();
        }
    }
    for one in &generator.files {
        is_right &= data.insert(one.key.clone(), file(&one.path).clone()).is_none();
    }
    is_right.then_some(data)
}

/// Every change between two values of a key, and its removal, with another key or alone.
fn each(check: impl Fn(&Files, &str, Option<&[u8]>)) {
    let values: [&[u8]; 4] = [b"one", b"two", b"a\nb", b"\xff"];
    for others in [&[][..], &[b"line".as_slice()], &[b"x\ny"], &[b"line", b"x\ny"]] {
        let mut base = fresh();
        for (at, other) in others.iter().enumerate() {
            base = whole(&base, &set(&base, &format!("OTHER{at}"), other).unwrap());
        }
        for before in values.iter().map(|value| Some(*value)).chain([None]) {
            let base =
                before.map_or(base.clone(), |value| whole(&base, &set(&base, "A", value).unwrap()));
            for now in values.iter().map(|value| Some(*value)).chain([None]) {
                check(&base, "A", now);
            }
        }
    }
}

fn change(files: &Files, key: &str, value: Option<&[u8]>) -> SecretChange {
    value.map_or_else(|| unset(files, key), |value| set(files, key, value).unwrap())
}

#[test]
fn a_change_is_what_it_says() {
    each(|files, key, value| {
        let mut wanted = built(files).unwrap();
        let had = wanted.remove(key);
        wanted.extend(value.map(|value| (key.to_owned(), value.to_owned())));
        let change = change(files, key, value);
        let now = whole(files, &change);
        assert_eq!(built(&now).unwrap(), wanted);
        let is_same = had.as_deref() == value;
        assert_eq!(
            matches!(change.effect, Effect::Hold | Effect::Lack),
            is_same,
            "{:?}",
            change.effect
        );
        assert_eq!(now == *files, is_same);
        // Every file that is left is listed in the kustomization.
        let listed = Kustomization::parse(std::str::from_utf8(&now[KUSTOMIZATION]).unwrap())
            .unwrap()
            .files(DIR);
        assert!(
            now.keys().all(|path| path == KUSTOMIZATION || listed.contains(path)),
            "{:?}",
            now.keys()
        );
        if wanted.is_empty() {
            assert_eq!(now, fresh(), "nothing is left of the Secret");
        }
    });
}

#[test]
fn a_change_that_stops_anywhere_builds_the_old_or_the_new_or_nothing_and_can_be_made_again() {
    each(|files, key, value| {
        let change = change(files, key, value);
        let done = whole(files, &change);
        for steps in 0..change.writes.len() + change.removals.len() {
            let half = after(files, &change, steps);
            if let Some(data) = built(&half) {
                let known = [built(files).unwrap(), built(&done).unwrap()];
                assert!(known.contains(&data), "{steps} steps");
            }
            let again = self::change(&half, key, value);
            assert_eq!(whole(&half, &again), done, "{steps} steps");
        }
    });
}

#[test]
fn an_env_file_that_was_written_by_hand_is_taken_in_with_its_keys() {
    let mut files = fresh();
    files.insert("secrets/kubernetes/db.env".into(), b"# mine\nB=2\n".to_vec());
    let change = set(&files, "A", b"1").unwrap();
    assert_eq!(change.effect, Effect::Create);
    let now = whole(&files, &change);
    assert_eq!(now["secrets/kubernetes/db.env"], b"# mine\nB=2\nA=1\n");
    assert_eq!(whole(&now, &unset(&now, "B"))["secrets/kubernetes/db.env"], b"# mine\nA=1\n");
}

#[test]
fn what_people_named_otherwise_is_changed_where_it_is() {
    let mut files = fresh();
    let text = "resources: []\nsecretGenerator:\n  - name: db\n    envs:\n      - own.env\n    files:\n      - CERT=certs/a.pem\n";
    files.insert(KUSTOMIZATION.into(), text.into());
    files.insert("secrets/kubernetes/own.env".into(), b"A=1\n".to_vec());
    files.insert("secrets/kubernetes/certs/a.pem".into(), b"x\n".to_vec());
    for (key, value, path) in
        [("A", &b"2"[..], "own.env"), ("NEW", b"3", "own.env"), ("CERT", b"y\n", "certs/a.pem")]
    {
        let change = set(&files, key, value).unwrap();
        assert_eq!(change.place, format!("{DIR}/{path}"));
        assert_eq!(change.writes.len(), 1, "{key}: the kustomization stays");
    }
}

#[test]
fn all_values_together_have_a_mebibyte_at_most() {
    let mut files = fresh();
    for key in ["A", "B"] {
        files = whole(&files, &set(&files, key, &vec![b'x'; MAX_SIZE / 2]).unwrap());
    }
    let fault = set(&files, "C", b"x").err().unwrap();
    assert!(fault.why.contains("1048576 bytes"), "{}", fault.why);
    assert!(set(&files, "B", &vec![b'y'; MAX_SIZE / 2]).is_ok());
}

#[test]
fn a_key_that_the_secret_would_have_twice_is_refused() {
    for (sources, value, is_refused) in [
        ("    envs:\n      - db.env\n      - db.env\n", "new", true),
        ("    envs:\n      - db.env\n    files:\n      - A=db.d/A\n      - A=a\n", "a\nb", true),
        ("    envs:\n      - db.env\n    files:\n      - A=db.d/A\n", "new", false),
        ("    envs:\n      - db.env\n      - other.env\n", "new", false),
    ] {
        let mut files = fresh();
        let text = format!("secretGenerator:\n  - name: db\n{sources}");
        files.insert(KUSTOMIZATION.to_owned(), text.into_bytes());
        for (path, text) in
            [("db.env", "A=1\nB=2\n"), ("other.env", "A=3\n"), ("db.d/A", "x\ny"), ("a", "")]
        {
            files.insert(format!("{DIR}/{path}"), text.into());
        }
        match set(&files, "A", value.as_bytes()) {
            Err(fault) => {
                assert!(is_refused && fault.why.contains("A twice"), "{sources}{}", fault.why);
            }
            Ok(change) => {
                assert!(!is_refused, "{sources}");
                let built = built(&whole(&files, &change)).unwrap();
                assert_eq!(built["A"], value.as_bytes(), "{sources}");
            }
        }
    }
}
