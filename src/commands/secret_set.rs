//! `makeinfra secret set`: one value of a Secret other than the pull secret, and nothing else changed.

use super::encrypted::{self, Errand};
use super::{missing, next_steps, print_json, short, sweep};
use crate::answers::{Answer, DnsLabel, Environment, Record, Workload};
use crate::cli::{SecretSet as Options, no_argument_for_a_value};
use crate::context::Context;
use crate::credentials::OpaqueSource as Source;
use crate::error::{Failure, Result};
use crate::files::{self, Leftover, Replacement};
use crate::interrupt::Interrupts;
use crate::opaque::{Key, Manifest, Value};
use crate::pull_secret::begins_like_a_token;
use crate::repo::Repo;
use crate::secret::Secret;
use crate::ui::{self, Ui};
use serde_json::json;
use std::path::PathBuf;

/// How its errors speak of it.
const SET: Errand = Errand { verb: "change", command: "makeinfra secret set NAME KEY" };

/// What is to be set, and the repository as it is.
struct Found {
    name: DnsLabel,
    key: Key,
    repo: Repo,
    record: Record,
    /// The place of the environment among all.
    place: usize,
    /// The Secret's file, below the top of the repository and in full.
    path: String,
    file: PathBuf,
    /// Its plain text; none where there is no such file yet.
    text: Option<Secret>,
    /// Whether HEAD holds another Secret than the file; nobody knows where the key is missing.
    uncommitted: bool,
}

/// What the value makes of the file.
struct Plan {
    /// The new file; none if it holds the value already.
    text: Option<Secret>,
    /// Whether a variable of a container can have the value.
    is_variable: bool,
}

/// Runs the command.
pub fn run(options: &Options, ui: &mut Ui) -> Result<()> {
    let source = match &options.from_file {
        Some(file) => Source::File(file.clone()),
        None if options.stdin => Source::Stdin,
        None => Source::Prompt,
    };
    let mut found = find(options)?;
    let _lock = if options.run.dry_run { None } else { found.repo.lock()? };
    found.check()?;
    let Found { repo, path, text, .. } = &found;
    repo.check_protected(path)?;
    if text.is_none() && repo.has_in_head(path) {
        return Err(found
            .refused("it is in HEAD, with keys that a new file would not have, and not in the work tree")
            .hint(format!("{} checkout HEAD -- {path}, then the same again", encrypted::typed_at(repo).1))
            .into());
    }
    let stake = "those values; change them where they are used";
    found.uncommitted = encrypted::check_head(repo, path, text.as_ref(), options.commit, stake, ui)?;
    sweep(&found.file, Leftover::File, options.run.dry_run, ui);
    let asks = matches!(source, Source::Prompt);
    if options.run.dry_run && asks {
        return print_dry_run(options, &found, None, ui);
    }
    if asks && !ui.can_ask() {
        let example = "makeinfra secret set NAME KEY --from-file FILE";
        return Err(missing(&["the value: --stdin or --from-file FILE".to_owned()], example));
    }
    let value = source.read(&format!("Value of {} in Secret {}", found.key.as_str(), found.name), ui)?;
    let plan = found.plan(&value)?;
    if options.run.dry_run {
        return print_dry_run(options, &found, Some(&plan), ui);
    }
    let commit = write(options, &found, &plan)?;
    print_outcome(options, &found, &plan, commit.as_deref(), ui)
}

/// Finds the repository and reads what it has.
fn find(options: &Options) -> Result<Found> {
    let bad = |name: &str, rule: &str| no_argument_for_a_value(&format!("`{name}` {rule}"));
    if begins_like_a_token(&options.name) {
        return Err(bad("NAME", "must be the name of a Secret; this begins like a token").into());
    }
    let name = DnsLabel::parse(&options.name).map_err(|rule| bad("NAME", rule))?;
    let key = Key::parse(&options.key).map_err(|rule| bad("KEY", rule))?;
    if files::existing_directory(&options.repo).is_none() {
        return Err(bad("REPO", "must be a directory that exists").into());
    }
    let repo = Repo::find(&options.repo, "secret set NAME KEY")?;
    let root = repo.root();
    let record = encrypted::read(SET, Record::FILE, &root.join(Record::FILE))?.ok_or_else(|| {
        Failure::failed(format!("`{}` is no repository of makeinfra's", root.display()))
            .because(format!("it has no `{}`", Record::FILE))
            .hint("makeinfra new PROJECT")
    })?;
    let record = Record::parse(record.expose().to_owned())?;
    if name == record.answers.secret_name {
        return Err(Failure::usage(format!("`{name}` is the pull secret"))
            .because("it holds the deploy token, and nothing else")
            .hint("makeinfra rotate, or another NAME")
            .into());
    }
    let place = place(options.env.as_deref(), &record)?;
    let path = environment(&record, place).secret_file(&name);
    let file = root.join(&path);
    let text = encrypted::read(SET, &path, &file)?;
    Ok(Found { name, key, repo, record, place, path, file, text, uncommitted: false })
}

/// The environment at `place`, which is one of the record's.
fn environment(record: &Record, place: usize) -> &Environment {
    let environments = &record.answers.environments;
    environments.iter().nth(place).unwrap_or(&environments.first)
}

/// The place of the environment that is meant.
fn place(name: Option<&str>, record: &Record) -> Result<usize> {
    let names = record.answers.environments.iter().map(|one| one.name.as_str());
    let Some(name) = name else {
        if record.answers.environments.rest.is_empty() {
            return Ok(0);
        }
        return Err(Failure::usage("`--env` is required: there are several environments")
            .because(names.collect::<Vec<_>>().join(", "))
            .hint(format!("--env {}", record.answers.environments.first.name))
            .into());
    };
    let mut all = record.answers.environments.iter();
    Ok(all.position(|one| one.is_called(name)).ok_or_else(|| record.no_environment())?)
}

impl Found {
    /// The environment that is meant.
    fn environment(&self) -> &Environment {
        environment(&self.record, self.place)
    }

    /// Fails where no value could be set.
    fn check(&self) -> Result<()> {
        self.manifest().map(drop)
    }

    fn manifest(&self) -> Result<Option<Manifest<'_>>> {
        let namespace = &self.environment().namespace;
        let parse = |text| Manifest::parse(text, &self.name, namespace).map_err(|fault| self.refused(fault));
        Ok(self.text.as_ref().map(Secret::expose).map(parse).transpose()?)
    }

    fn plan(&self, value: &Value) -> Result<Plan> {
        let is_variable = value.is_text() && self.key.is_variable();
        let text = match self.manifest()? {
            Some(manifest) => manifest.set(&self.key, value).map_err(|fault| self.refused(fault))?,
            None => {
                let base64 = value.base64();
                let (name, key) = (self.name.as_str(), self.key.as_str());
                let text = format!(
                    "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\ndata:\n  {key}: {}\n",
                    base64.expose()
                );
                Some(Secret::new(text))
            }
        };
        Ok(Plan { text, is_variable })
    }

    fn refused(&self, fault: &str) -> Failure {
        Failure::failed(format!("cannot change `{}`", self.path))
            .because(fault)
            .hint(format!("mend it by hand: $EDITOR {}", self.path))
    }

    /// What happens to the file, whatever the value.
    fn verb(&self) -> Result<&'static str> {
        Ok(match self.manifest()? {
            None => "create",
            Some(manifest) if manifest.has(&self.key) => "another value for its key",
            Some(_) => "one more key",
        })
    }

    /// How `make` is told the environment.
    fn argument(&self) -> String {
        self.record.answers.make_argument(self.environment())
    }

    fn message(&self) -> String {
        format!("Set {} in Secret {}", self.key.as_str(), self.name)
    }
}

/// Writes the file if it is to change, and commits it if that is wanted. Gives the commit's id.
fn write(options: &Options, found: &Found, plan: &Plan) -> Result<Option<String>> {
    let commits = options.commit && (plan.text.is_some() || found.uncommitted);
    let Some(text) = plan.text.as_ref().or(found.text.as_ref()) else { return Ok(None) };
    if plan.text.is_none() && !commits {
        return Ok(None);
    }
    let interrupts = Interrupts::hold()?;
    let repo = &found.repo;
    let replacement =
        plan.text.as_ref().map(|text| Replacement::prepare(&found.file, text.expose(), 0o600)).transpose()?;
    let mut blobs = Vec::new();
    if commits {
        let cipher = repo.key(&found.path)?.encrypt(text.expose().as_bytes());
        blobs.push(repo.store(&found.path, &cipher)?);
    }
    interrupts.check()?;
    let before = found.text.as_ref().map(Secret::expose);
    encrypted::check_unchanged(SET, &found.path, &found.file, before)?;
    if commits {
        // Once more: a merge may have begun while the value was waited for.
        repo.check_can_commit()?;
    }
    if let Some(replacement) = replacement {
        replacement.publish()?;
    }
    match commits {
        true => encrypted::commit(repo, &blobs, &found.message(), &[&found.path]).map(Some),
        false => Ok(None),
    }
}

/// Shows no size: the value's length would follow from it.
fn print_dry_run(options: &Options, found: &Found, plan: Option<&Plan>, ui: &Ui) -> Result<()> {
    let changed = plan.map(|plan| plan.text.is_some());
    if options.run.json {
        let object = json!({"dry_run": true, "path": found.file.display().to_string(), "changed": changed});
        return print_json(object, ui);
    }
    let note = if changed == Some(false) { "holds this value already" } else { found.verb()? };
    let root = found.repo.root();
    let files = [(found.path.as_str(), format!("{}: {note}", found.key.as_str()))];
    let tree = ui::tree(root.to_string_lossy().trim_end_matches('/'), &files);
    ui.print(&format!("{tree}\nNothing was written: this is a dry run.\n"))
}

fn print_outcome(options: &Options, found: &Found, plan: &Plan, commit: Option<&str>, ui: &Ui) -> Result<()> {
    let steps = steps(found, plan, commit);
    if options.run.json {
        let object = json!({
            "path": found.file.display().to_string(),
            "created": found.text.is_none(),
            "changed": plan.text.is_some(),
            "commit": commit,
            "next": steps.iter().map(|(command, _)| command).collect::<Vec<_>>(),
        });
        return print_json(object, ui);
    }
    let (path, key) = (&found.path, found.key.as_str());
    let steps = next_steps(&steps);
    let done = commit.map(|commit| format!("committed as {}", short(commit)));
    if plan.text.is_none() {
        let done = done.unwrap_or_else(|| "nothing was written".to_owned());
        return ui.print(&format!("{path} holds this value of {key} already; {done}.\n\nNext:\n\n{steps}"));
    }
    let done = done.map_or_else(String::new, |done| format!(", {done}"));
    let usage = if found.text.is_none() { usage(found, plan) } else { String::new() };
    ui.print(&format!("Set {key} in {path}{done}.\n{usage}\nNext:\n\n{steps}"))
}

fn steps(found: &Found, plan: &Plan, commit: Option<&str>) -> Vec<(String, &'static str)> {
    let (make, git) = encrypted::typed_at(&found.repo);
    let stays = found.record.answers.components.iter().any(|one| one.workload == Workload::Deployment);
    let why = match &plan.text {
        Some(_) if !stays => "bring it to the cluster, for the next run",
        Some(_) => "bring it to the cluster, with new pods: they read variables only at their start",
        None => "if the cluster does not have it yet",
    };
    let mut steps = vec![(format!("{make} deploy{}", found.argument()), why)];
    if commit.is_none() && (plan.text.is_some() || found.uncommitted) {
        let (path, message) = (&found.path, found.message());
        steps.push((
            format!("{git} add {path} && {git} commit -m '{message}' -- {path}"),
            "git-crypt encrypts it on the way",
        ));
    }
    steps
}

/// How a container gets the values, for a Secret that no manifest can refer to yet.
fn usage(found: &Found, plan: &Plan) -> String {
    let name = &found.name;
    let answers = &found.record.answers;
    let workload = answers.main().workload;
    let file = format!("{}/{}.yaml", Context::BASE, workload.as_str());
    // The pod of a CronJob stands deeper.
    let pad = "  ".repeat(workload.pod().len() - Workload::Deployment.pod().len());
    if plan.is_variable {
        return format!(
            "\nTo have its keys as variables, the container in {file} needs, beside `image`:\n\n\
             {pad}          envFrom:\n{pad}            - secretRef:\n{pad}                name: {name}\n"
        );
    }
    format!(
        "\nTo have its keys as files, {file} needs, in these two lists:\n\n\
         {pad}          volumeMounts:\n{pad}            - name: {name}\n{pad}              mountPath: /run/secrets/{name}\n\
         {pad}              readOnly: true\n\
         {pad}      volumes:\n{pad}        - name: {name}\n{pad}          secret:\n{pad}            secretName: {name}\n"
    )
}
