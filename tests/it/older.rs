//! Repositories of an older version of makeinfra: its templates are this version's with a few
//! edits.

use super::support::Sandbox;
use git2::{ObjectType, Oid};
use makeinfra::answers::Record;
use makeinfra::templates::{Kind, TemplateSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// The version that counts as the older one.
pub const OLDER: &str = "0.2.0-rc.1";

/// What an older template had: a path below `templates/`, a text of today, and what stood in its
/// place.
pub type Edit<'e> = (&'e str, &'e str, &'e str);

/// The older templates.
pub fn templates(edits: &[Edit]) -> TemplateSet {
    let own = TemplateSet::embedded();
    let mut files: Vec<_> =
        own.files().map(|(path, text)| (path.to_owned(), text.to_owned())).collect();
    for (path, now, then) in edits {
        let found = files.iter_mut().find(|(known, _)| known == path);
        match found {
            // A file that the older version did not have.
            Some(_) if now.is_empty() && then.is_empty() => {
                files.retain(|(known, _)| known != path);
            }
            Some((_, text)) => {
                assert!(text.contains(now), "{path} has no {now:?}");
                *text = text.replacen(now, then, 1);
            }
            // One that it alone had.
            None => files.push(((*path).to_owned(), (*then).to_owned())),
        }
    }
    TemplateSet::new(OLDER, files)
}

impl Sandbox {
    /// Makes `templates` released ones.
    pub fn release(&self, templates: &TemplateSet) {
        let mut list = String::new();
        for (path, text) in templates.files() {
            let id = Oid::hash_object(ObjectType::Blob, text.as_bytes()).unwrap();
            self.write(&format!("releases/files/{id}"), text);
            list += &format!("{id} {path}\n");
        }
        self.write(&format!("releases/versions/{}", templates.version()), list);
    }

    /// `hello-infra` as the version with `edits` made it, `args` being those of `new`.
    pub fn older(edits: &[Edit], args: &[&str]) -> Self {
        let sandbox = Self::new();
        sandbox.new_hello(args).success();
        sandbox.make_older(edits);
        sandbox
    }

    /// Makes the repository what the version with `edits` would have made, in the last commit.
    pub fn make_older(&self, edits: &[Edit]) {
        let set = templates(edits);
        self.release(&set);
        let record = Record::parse(self.read(Record::FILE)).unwrap();
        let ours = |files: &makeinfra::templates::File| !files.path.starts_with("secrets/");
        for file in TemplateSet::embedded()
            .render(&record.answers, &[])
            .unwrap()
            .iter()
            .filter(|one| ours(one))
        {
            fs::remove_file(self.hello(&file.path)).unwrap();
        }
        for file in set.render(&record.answers, &[]).unwrap().iter().filter(|one| ours(one)) {
            self.put(&file.path, file.text.expose());
            let mode = if file.kind == Kind::Executable { 0o755 } else { 0o644 };
            fs::set_permissions(self.hello(&file.path), fs::Permissions::from_mode(mode)).unwrap();
        }
        self.git(&["add", "-A"]).success();
        self.git(&["commit", "-q", "--amend", "--no-edit"]).success();
    }
}

#[test]
fn add_and_env_add_use_the_templates_of_the_repository() {
    let edits = [
        ("kubernetes/base/COMPONENT/WORKLOAD.yaml.tera", "spec:\n", "spec: # as it was\n"),
        ("dot_gitlab/ENV.yml.tera", "diff-", "verify-"),
    ];
    let sandbox = Sandbox::older(&edits, &[]);
    let record = sandbox.read(Record::FILE);
    sandbox.agreed(&["add", "worker", "--port", "none", "--commit"]).success();
    sandbox.agreed(&["env", "add", "staging", "--commit"]).success();
    assert!(sandbox.read("kubernetes/base/worker-deployment.yaml").contains("spec: # as it was\n"));
    let jobs = sandbox.read(".gitlab/staging.yml");
    assert!(jobs.contains("verify-staging") && !jobs.contains("\ndiff-staging"), "{jobs}");
    let version = format!("version: {OLDER}\n");
    assert!(record.contains(&version) && sandbox.read(Record::FILE).contains(&version), "{record}");
    // Nothing of it counts as an edit when it goes.
    sandbox.agreed(&["remove", "worker", "--commit"]).success();
    sandbox.agreed(&["env", "remove", "staging", "--commit"]).success();
    sandbox.is_sound();
}
