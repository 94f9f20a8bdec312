//! Edited generated repositories, and repositories before an adoption: the files from which changes
//! and adoptions are planned.

use super::manifests::WORDS;
use super::{files, fuzz, is_sample, parts, quotes_no_token};
use makeinfra::answers::{Answer, ProjectName, Record, Values};
use makeinfra::change::{
    AdoptionRequest, Files, WorkTreeFile, adopt, answers_in, labelled_project, named_files,
};
use makeinfra::templates::TemplateSet;
use std::collections::BTreeSet;
use zeroize::Zeroizing;

/// The generated files that contain answers and that users edit.
const EDITED: [&str; 5] = [
    "kubernetes/base/deployment.yaml",
    "kubernetes/overlays/production/kustomization.yaml",
    "kubernetes/overlays/production/environment.mk",
    "kubernetes/base/ingress.yaml",
    "kubernetes/overlays/production/namespace.yaml",
];

const FOREIGN: [&str; 6] = [
    "kustomization.yaml",
    "base/kustomization.yaml",
    "base/one.yaml",
    "overlays/live/kustomization.yaml",
    "overlays/live/patch.yaml",
    "base/secret.yaml",
];

fn tree(paths: &[&str], parts: &[&str]) -> Files {
    let mut files = Files::default();
    for (path, text) in paths.iter().zip(parts) {
        let content = Ok(Zeroizing::new(text.as_bytes().to_vec()));
        files.insert(
            (*path).to_owned(),
            WorkTreeFile { content, executable: false, ignored: false },
        );
    }
    files
}

#[test]
fn the_answers_of_edited_files_make_a_record_that_can_be_read() {
    let text = |path: &str| String::from_utf8(files(&[path]).remove(0)).unwrap();
    let record = Record::parse(text("examples/hello-infra/.makeinfra.yaml")).unwrap();
    let templates = TemplateSet::embedded();
    let words = [
        "replicas: 3\n",
        "NAMESPACE := b\n",
        "CONTEXT := eu/live\n",
        "PROTECT := yes\n",
        "SECRETS := secrets/x\n",
        "newTag: \"2\"\n",
        "host: other.example.com\n",
        "containerPort: 0\n",
        "tls:\n",
        "args: [\"a\"]\n",
        "$(X)",
        "digest: sha256:00\n",
        "livenessProbe:\n",
    ];
    fuzz("edited-repository", &[&words[..], &WORDS].concat(), Vec::new(), |bytes| {
        let Some(parts) = parts(bytes) else { return };
        let current = answers_in(&tree(&EDITED, &parts), &record);
        // Rendering takes longer than everything else.
        if is_sample(bytes, 64) {
            let written = templates.record(&current.answers).unwrap();
            let again = Record::parse(written.clone()).unwrap();
            assert_eq!(templates.record(&again.answers).unwrap(), written);
        }
    });
}

#[test]
fn a_repository_is_adopted_or_refused_without_a_quote() {
    let templates = vec![TemplateSet::embedded()];
    fuzz("adopt", &WORDS, Vec::new(), |bytes| {
        let Some(parts) = parts(bytes) else { return };
        let files = tree(&FOREIGN, &parts);
        let _ = (labelled_project(&files), named_files(&files, &[]));
        // It renders all templates.
        if !is_sample(bytes, 256) {
            return;
        }
        let request = AdoptionRequest {
            project: ProjectName::parse("hello").unwrap(),
            values: Values::new(),
            manifests: Vec::new(),
            taken: BTreeSet::new(),
            tracked: FOREIGN.map(str::to_owned).into(),
            missing: Files::default(),
            is_covered: false,
            has_script: false,
            earlier: None,
            templates: templates.clone(),
        };
        match adopt(&files, &request) {
            Ok(adoption) => {
                let record =
                    adoption.plan.steps.iter().find(|step| step.path == Record::FILE).unwrap();
                let text = String::from_utf8(record.after.as_ref().unwrap().to_vec()).unwrap();
                assert_eq!(Record::parse(text).unwrap().answers, adoption.answers);
            }
            Err(error) => quotes_no_token(&makeinfra::error::explain(&error)),
        }
    });
}
