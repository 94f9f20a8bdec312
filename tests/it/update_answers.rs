//! `makeinfra update` after an edit of an answer in `.makeinfra.yaml`, and what `check` says about
//! answers.

use super::older::OLDER;
use super::support::{Sandbox, TOKEN};
use super::update::{BASE, DEPLOYMENT, OVERLAY, is_fresh, older, update};
use makeinfra::answers::Record;
use std::fs;

#[test]
fn an_answer_that_is_edited_by_hand_arrives_in_the_files() {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--ingress", "hello.example.com"]).success();
    sandbox.edit(Record::FILE, "port: 8080", "port: 9090");
    sandbox.edit(
        Record::FILE,
        "  pod-security: restricted",
        "  health-path: /healthz\n  pod-security: restricted",
    );
    update(&sandbox, &["--check"]).failure(1).prints(DEPLOYMENT);
    let done = update(&sandbox, &["--yes", "--commit"]).success();
    done.prints("answer       port of hello: 8080 -> 9090")
        .prints("answer       health-path of hello: none -> /healthz");
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
    is_fresh(
        &sandbox,
        &["--ingress", "hello.example.com", "--port", "9090", "--health-path", "/healthz"],
    );
    // An answer that was also changed in the files is for the user to settle.
    sandbox.make(&["set-image", "TAG=3.0.0"]).success();
    sandbox.edit(DEPLOYMENT, "containerPort: 9090", "containerPort: 7070");
    sandbox.commit_all();
    sandbox.edit(Record::FILE, "port: 9090", "port: 6060");
    let output = update(&sandbox, &["--yes"]).failure(1);
    output.says("`answers.port` does not match the files");
    sandbox.edit(Record::FILE, "port: 6060", "prot: 6060");
    update(&sandbox, &["--yes"]).failure(1).says("`answers.prot` is not an answer").says("`port`");
}

#[test]
fn a_committed_answer_is_brought_in_from_the_commit_before() {
    let sandbox = Sandbox::with_hello();
    sandbox.edit(Record::FILE, "port: 8080", "port: 9090");
    sandbox.commit_all();
    update(&sandbox, &["--yes"]).success().prints("Nothing to do");
    update(&sandbox, &["--from", "HEAD^", "--yes", "--commit"]).success();
    is_fresh(&sandbox, &["--port", "9090"]);
    update(&sandbox, &["--from", "nowhere"]).failure(2).says("`--from` must name a commit");
    update(&sandbox, &["--from", TOKEN]).failure(2);
}

#[test]
fn check_tells_of_an_older_version_and_of_answers_that_the_files_do_not_follow() {
    let sandbox = older(&[]);
    let checked = super::check::check(&sandbox, &["--strict"]);
    assert_eq!(
        (checked.code, checked.ids("note").into_iter().collect::<Vec<_>>()),
        (Some(0), vec!["templates-current"])
    );
    assert!(
        checked.messages("templates-current").contains(OLDER)
            && checked.messages("templates-current").contains("(makeinfra update)")
    );
    update(&sandbox, &["--yes", "--commit"]).success();
    let checked = super::check::check(&sandbox, &["--strict"]);
    assert!(
        checked.ids("ok").contains("templates-current")
            && checked.ids("ok").contains("record-followed")
    );
    // An edit that was committed before the update.
    sandbox.edit(Record::FILE, "port: 8080", "port: 9090");
    sandbox.commit_all();
    sandbox.append("README.md", "\nOurs.\n");
    sandbox.commit_all();
    let checked = super::check::check(&sandbox, &[]);
    let said = checked.messages("record-followed");
    assert!(said.contains("do not match `answers.port`"), "{said}");
    let hint = said
        .rsplit_once('(')
        .unwrap()
        .1
        .trim_end()
        .trim_end_matches(')')
        .strip_prefix("makeinfra ")
        .unwrap()
        .to_owned();
    let words: Vec<_> = hint.split(' ').chain(["--yes", "--commit"]).collect();
    sandbox.here(&words).success();
    assert!(sandbox.read(DEPLOYMENT).contains("containerPort: 9090"));
    let checked = super::check::check(&sandbox, &["--strict"]);
    assert!(
        checked.ids("ok").contains("record-followed"),
        "{}",
        checked.messages("record-followed")
    );
    // An edit of the files alone does not matter.
    sandbox.edit(DEPLOYMENT, "containerPort: 9090", "containerPort: 9091");
    sandbox.commit_all();
    assert!(super::check::check(&sandbox, &[]).ids("ok").contains("record-followed"));
}

#[test]
fn check_tells_of_an_answer_that_was_edited_and_not_applied() {
    let sandbox = Sandbox::with_hello();
    sandbox.edit(Record::FILE, "port: 8080", "port: 9090");
    let checked = super::check::check(&sandbox, &[]);
    assert_eq!((checked.code, checked.warnings()), (Some(0), vec!["record-followed"]));
    let said = checked.messages("record-followed");
    assert!(
        said.contains("`answers.port` was edited") && said.contains("(makeinfra update)"),
        "{said}"
    );
    assert_eq!(update(&sandbox, &["--check"]).output().code, Some(1));
    // Committed or not, once the files follow.
    update(&sandbox, &["--yes"]).success();
    assert!(super::check::check(&sandbox, &["--strict"]).ids("ok").contains("record-followed"));
    // Also if there is only HEAD to compare with.
    sandbox.edit(Record::FILE, "port: 9090", "port: 9091");
    let said = super::check::check(&sandbox, &[]).messages("record-followed");
    assert!(!said.contains("the files match"), "{said}");
}

#[test]
fn check_finds_a_component_that_a_merge_has_left_out() {
    let sandbox = Sandbox::with_hello();
    sandbox.git(&["switch", "-qc", "other"]).success();
    sandbox.agreed(&["add", "mailer", "--port", "none", "--commit"]).success();
    sandbox.git(&["switch", "-q", "-"]).success();
    sandbox.agreed(&["add", "worker", "--port", "none", "--commit"]).success();
    assert_ne!(sandbox.git(&["merge", "-q", "other"]).output().code, Some(0));
    // Everything as in the repository, except for the record.
    sandbox.git(&["checkout", "-q", "--ours", "."]).success();
    let record = sandbox.read(Record::FILE);
    let (head, worker) = record.split_once("    worker:\n").unwrap();
    let mailer = format!("    mailer:\n{worker}");
    sandbox.put(Record::FILE, &format!("{head}{mailer}    worker:\n{worker}"));
    sandbox.git(&["add", "-A"]).success();
    sandbox.git(&["commit", "-qm", "Merge"]).success();
    let said = super::check::check(&sandbox, &[]).messages("record-followed");
    assert!(
        said.contains("`answers.components.mailer` (makeinfra update --from HEAD^1)"),
        "{said}"
    );
    sandbox.here(&["update", "--from", "HEAD^1", "--yes", "--commit"]).success();
    assert!(sandbox.read(BASE).contains("mailer-deployment.yaml"));
    sandbox.is_sound();
    let checked = super::check::check(&sandbox, &["--strict"]);
    assert!(
        checked.ids("ok").contains("record-followed"),
        "{}",
        checked.messages("record-followed")
    );
}

/// A repository with two environments, and an edit of its record.
fn with_answer(args: &[&str], from: &str, to: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&[&["--env", "staging", "--env", "production"], args].concat()).success();
    sandbox.edit(Record::FILE, from, to);
    sandbox
}

#[test]
fn a_tag_that_was_set_survives_another_name_and_is_not_replaced_unasked() {
    let image = "image: registry.gitlab.com/group/hello:1.0.0";
    let sandbox = Sandbox::new();
    sandbox.new_hello(&[]).success();
    sandbox.make(&["set-image", "TAG=1.5.0"]).success();
    sandbox.commit_all();
    sandbox.edit(Record::FILE, image, "image: registry.gitlab.com/elsewhere/hello:1.0.0");
    update(&sandbox, &["--yes", "--commit"]).success();
    let overlay = sandbox.read(OVERLAY);
    assert!(
        overlay.contains("elsewhere/hello\n") && overlay.contains("newTag: \"1.5.0\""),
        "{overlay}"
    );
    sandbox.edit(Record::FILE, "hello:1.0.0", "hello:3.0.0");
    update(&sandbox, &["--yes"]).failure(1).says("`answers.image` does not match the files");
    assert!(sandbox.read(OVERLAY).contains("1.5.0"));
}

#[test]
fn the_edited_record_is_in_the_commit_whatever_it_looks_like() {
    for (from, to) in [
        ("  port: 8080\n", "  port: 9090  # ops\n"),
        ("  pod-security:", "  # Ours.\n  health-path: /h\n  pod-security:"),
        (
            "  environments:\n",
            "  components:\n    worker: {port: null, args: [work, --queue=mail]}\n  environments:\n",
        ),
    ] {
        let sandbox = with_answer(&[], from, to);
        update(&sandbox, &["--yes", "--commit"]).success();
        assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "", "{to}");
        assert!(sandbox.read(Record::FILE).contains(to), "{to}");
        sandbox.is_sound();
    }
    // A file that was edited after it was written is not committed, and neither is the record.
    let sandbox = with_answer(&[], "port: 8080", "port: 9090");
    update(&sandbox, &["--yes"]).success();
    sandbox.edit(DEPLOYMENT, "cpu: 50m", "cpu: 90m");
    update(&sandbox, &["--yes", "--commit"])
        .failure(1)
        .says("cannot commit `kubernetes/base/deployment.yaml`");
}

#[test]
fn what_an_update_cannot_change_is_told_with_what_can() {
    for (from, to, said, hint) in [
        (
            "secret-type: dockercfg",
            "secret-type: dockerconfigjson",
            "`answers.secret-type`",
            "makeinfra rotate --secret-type dockerconfigjson",
        ),
        (
            "  registry: registry.gitlab.com\n",
            "  registry: registry.gitlab.com/group\n",
            "`answers.registry`",
            "makeinfra rotate --registry registry.gitlab.com/group",
        ),
        (
            "secret-name: gitlab",
            "secret-name: pull",
            "`answers.secret-name`",
            "git diff HEAD -- .makeinfra.yaml",
        ),
        ("project: hello", "project: other", "`answers.project`", "makeinfra new"),
        (
            "    staging:\n",
            "    stage:\n",
            "`answers.environments.stage`",
            "makeinfra env add stage",
        ),
        (
            "secrets: secrets/kubernetes/staging",
            "secrets: secrets/kubernetes/other",
            "`answers.environments.staging.secrets`",
            "git diff",
        ),
        (
            "template: default",
            "template: mine",
            "`template` must be `default`",
            "${EDITOR:-vi} .makeinfra.yaml",
        ),
    ] {
        let sandbox = with_answer(&[], from, to);
        let before = sandbox.tree();
        update(&sandbox, &["--yes"]).failure(1).says(said).says(&format!("hint: {hint}"));
        assert_eq!(sandbox.tree(), before);
    }
    // Without a commit, there is nothing to start from.
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--no-commit"]).success();
    update(&sandbox, &["--yes"]).failure(1).says("HEAD has no readable `.makeinfra.yaml`");
}

#[test]
fn an_answer_that_was_committed_alone_is_warned_of() {
    let sandbox = with_answer(&[], "port: 8080", "port: 9090");
    sandbox.commit_all();
    update(&sandbox, &["--yes"])
        .success()
        .says("do not match `answers.port`: makeinfra update --from HEAD^1");
    update(&sandbox, &["--check"]).failure(1);
    // After it is done, the hint is not to commit everything.
    let sandbox = Sandbox::with_hello();
    let done = update(&sandbox, &["--yes"]).success();
    assert!(!done.stdout.contains("git add"), "{}", done.stdout);
}

#[test]
fn a_conflict_in_a_file_that_moves_leaves_both() {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&[]).success();
    sandbox.edit(DEPLOYMENT, "cpu: 50m", "cpu: 80m");
    sandbox.edit(DEPLOYMENT, "replicas: 2", "replicas: 2 # ours");
    sandbox.commit_all();
    let record = sandbox.read(Record::FILE);
    let lines = record
        .lines()
        .filter(|line| !line.starts_with("  port:") && !line.starts_with("  replicas:"));
    let record: String = lines.map(|line| format!("{line}\n")).collect();
    let record = record
        .replace("  registry:", "  workload: cronjob\n  schedule: \"0 3 * * *\"\n  registry:");
    sandbox.put(Record::FILE, &record);
    sandbox.commit_all();
    let output = update(&sandbox, &["--from", "HEAD^", "--yes"]).failure(12);
    output
        .says("now generated as `kubernetes/base/cronjob.yaml`")
        .says("hint: makeinfra update --from 'HEAD^' --conflicts");
    let output = update(&sandbox, &["--from", "HEAD^", "--conflicts"]).failure(12);
    output.prints("git rm -- kubernetes/base/deployment.yaml");
    assert!(sandbox.hello("kubernetes/base/cronjob.yaml").exists());
    sandbox.git(&["rm", "-q", DEPLOYMENT]).success();
    sandbox.git(&["-c", "core.editor=true", "cherry-pick", "--continue"]).success();
    sandbox.is_sound();
}

#[test]
fn a_patch_is_not_the_object_that_it_is_for() {
    let sandbox = older(&[]);
    sandbox.put(
        "kubernetes/overlays/production/service-patch.yaml",
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: hello\nspec:\n  type: NodePort\n",
    );
    sandbox.git(&["rm", "-q", "kubernetes/base/service.yaml"]).success();
    sandbox.edit(BASE, "  - service.yaml\n", "");
    sandbox.commit_all();
    let patch = sandbox.read("kubernetes/overlays/production/service-patch.yaml");
    let done = update(&sandbox, &["--yes", "--commit"]).success();
    assert!(!done.stdout.contains("is updated at its new path"), "{}", done.stdout);
    assert_eq!(sandbox.read("kubernetes/overlays/production/service-patch.yaml"), patch);
}

#[test]
fn objects_that_were_put_into_one_file_are_named() {
    let sandbox = older(&[]);
    let both = sandbox.read(DEPLOYMENT) + &sandbox.read("kubernetes/base/service.yaml");
    sandbox.git(&["rm", "-q", DEPLOYMENT, "kubernetes/base/service.yaml"]).success();
    sandbox.put("kubernetes/base/all.yaml", &both);
    sandbox.edit(BASE, "  - deployment.yaml\n  - service.yaml\n", "  - all.yaml\n");
    sandbox.commit_all();
    update(&sandbox, &["--yes", "--commit"]).success().prints(
        "changes of `kubernetes/base/deployment.yaml` are not applied to `kubernetes/base/all.yaml`",
    );
    assert_eq!(sandbox.read("kubernetes/base/all.yaml"), both);
}

#[test]
fn an_answer_that_files_cannot_tell_is_neither_followed_nor_not() {
    let sandbox = with_answer(&[], "  pod-security:", "  service-account: true\n  pod-security:");
    update(&sandbox, &["--yes", "--commit"]).success();
    let checked = super::check::check(&sandbox, &["--strict"]);
    assert_eq!((checked.code, checked.messages("record-followed").as_str()), (Some(0), ""));
    update(&sandbox, &["--check"]).success();
}

#[test]
fn how_an_environment_is_deployed_does_not_follow_the_number_of_the_others() {
    let manual = "when: manual";
    let sandbox = Sandbox::with_hello();
    assert!(sandbox.read(".gitlab/production.yml").contains(manual));
    sandbox.here(&["env", "add", "staging", "--commit", "--yes"]).success();
    update(&sandbox, &["--from", "HEAD^", "--yes"]).success();
    assert!(sandbox.read(".gitlab/production.yml").contains(manual));
    // The reverse.
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--env", "staging", "--env", "qa"]).success();
    assert!(!sandbox.read(".gitlab/qa.yml").contains(manual));
    sandbox.here(&["env", "remove", "staging", "--commit", "--yes"]).success();
    update(&sandbox, &["--from", "HEAD^", "--yes"]).success();
    assert!(!sandbox.read(".gitlab/qa.yml").contains(manual));
}

#[test]
fn what_another_command_has_not_committed_is_committed_whole() {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--env", "staging", "--env", "qa"]).success();
    let typed = |hint: &str| sandbox.run("sh", &["-c", hint]).cwd(sandbox.hello("")).success();
    let hint = |output: &super::support::Output| {
        output.stderr.lines().find_map(|line| line.strip_prefix("hint: ")).unwrap().to_owned()
    };
    // An update does not handle the Secrets of an environment.
    for (change, hinted) in [("add", "test"), ("remove", "staging")] {
        sandbox.here(&["env", change, hinted, "--yes"]).success();
        let refused = update(&sandbox, &["--yes"]).failure(1);
        let hint = hint(&refused);
        assert_eq!(hint, format!("makeinfra env {change} {hinted} --commit"));
        let words: Vec<_> = hint.split(' ').skip(1).chain(["--yes"]).collect();
        sandbox.here(&words).success();
        assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
    }
    sandbox.here(&["add", "worker", "--port", "none", "--yes"]).success();
    let json = update(&sandbox, &["--yes", "--json"]).success().json();
    typed(json["next"][0].as_str().unwrap());
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
}

#[test]
fn what_is_recorded_as_public_stays_so() {
    let list = "\npublic:\n  # The proxy.\n  - docker.io/library/nginx\n";
    let is_kept = |sandbox: &Sandbox| {
        let text = sandbox.read(Record::FILE);
        assert!(text.contains(list), "{text}");
        let record = Record::parse(text).unwrap();
        assert!(record.answers.main().is_public());
        assert_eq!(
            record.public.iter().map(String::as_str).collect::<Vec<_>>(),
            ["docker.io/library/nginx"]
        );
        sandbox.here(&["update", "--check"]).success();
    };
    let sandbox = older(&["--public"]);
    sandbox.append(Record::FILE, list);
    sandbox.commit_all();
    update(&sandbox, &["--yes", "--commit"]).success();
    is_kept(&sandbox);
    sandbox.edit(Record::FILE, "port: 8080", "port: 9090");
    update(&sandbox, &["--yes", "--commit"]).success();
    is_kept(&sandbox);
    // A deleted record is taken from the history.
    fs::remove_file(sandbox.hello(Record::FILE)).unwrap();
    sandbox.commit_all();
    sandbox.adopt(&["--yes", "--commit"]).success();
    is_kept(&sandbox);
    sandbox.adopt(&["--yes", "--commit"]).success().prints("Nothing to do");
    is_kept(&sandbox);
}
