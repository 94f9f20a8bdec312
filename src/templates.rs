//! Template trees and their rendering to a sorted list of files. Pure: no I/O.
//!
//! A tree mirrors the output; `source` defines the meaning of file names. A template with an empty
//! result produces no file.

mod archive;
mod source;

pub use archive::{Archive, Unavailable};

use crate::answers::{Answers, Record};
use crate::context::{Context, Payload};
use crate::error::{Failure, Result};
use crate::secret::Secret;
use crate::yaml_edit;
use include_dir::{Dir, include_dir};
use source::Source;
use tera::{Kwargs, State, Tera, Value};

static EMBEDDED: Dir = include_dir!("$CARGO_MANIFEST_DIR/templates");

/// The directory of secrets: everything below it is stored encrypted.
pub const SECRETS: &str = "secrets/";

/// The template of the record.
const RECORD: &str = "dot_makeinfra.yaml.tera";

/// The template tree of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateSet {
    version: String,
    sources: Vec<Source>,
}

/// A file of the generated repository.
pub struct File {
    /// Path below the top of the repository, with `/`.
    pub path: String,
    /// The kind, which determines the mode and the encryption.
    pub kind: Kind,
    /// The content. Always secret text, because some files are secret.
    pub text: Secret,
    /// The template and its target.
    pub origin: Origin,
}

/// The template of a file and its target, which stay the same if a version changes the file's path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// The template's path in the tree.
    pub template: String,
    /// The component, if the template is rendered for each one.
    pub component: Option<String>,
    /// The environment, if the template is rendered for each one.
    pub environment: Option<String>,
}

impl File {
    /// The size in bytes, which is not secret.
    #[must_use]
    pub fn size(&self) -> usize {
        self.text.expose().len()
    }
}

/// The kind of a file: its mode, and whether git may have its plaintext.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Mode 0666 minus the umask.
    Plain,
    /// Mode 0777 minus the umask.
    Executable,
    /// Mode 0600, and only ciphertext in git.
    Secret,
}

impl TemplateSet {
    /// The tree of this version.
    #[must_use]
    pub fn embedded() -> Self {
        Self::new(env!("CARGO_PKG_VERSION"), texts(&EMBEDDED))
    }

    /// A tree of given files: paths below its top, and texts.
    pub fn new(version: &str, files: impl IntoIterator<Item = (String, String)>) -> Self {
        let sources = files.into_iter().map(|(path, text)| Source { path, text });
        let mut sources: Vec<_> = sources.collect();
        sources.sort_by(|one, other| one.path.cmp(&other.path));
        Self { version: version.to_owned(), sources }
    }

    /// The version.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The paths and texts of its files, sorted by path.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.sources.iter().map(|source| (source.path.as_str(), source.text.as_str()))
    }

    /// Renders the whole tree, sorted by path. An environment without a payload gets no pull
    /// secret.
    pub fn render(&self, answers: &Answers, payloads: &[Option<Payload>]) -> Result<Vec<File>> {
        self.render_some(&self.sources.iter().collect::<Vec<_>>(), answers, payloads)
    }

    /// Renders the record alone.
    pub fn record(&self, answers: &Answers) -> Result<String> {
        let sources: Vec<_> = self.sources.iter().filter(|source| source.path == RECORD).collect();
        let files = self.render_some(&sources, answers, &[])?;
        let record = files.iter().find(|file| file.path == Record::FILE);
        Ok(record.map(|file| file.text.expose().to_owned()).unwrap_or_default())
    }

    /// Renders the pull secret of the environment with the index `place` alone.
    pub fn render_secret(&self, answers: &Answers, place: usize, payload: Payload) -> Result<File> {
        let sources: Vec<_> =
            self.sources.iter().filter(|source| source.is_pull_secret()).collect();
        let missing = || {
            Failure::failed(format!("version {} has no template for the pull secret", self.version))
        };
        let payloads: Vec<_> = (0..=place).map(|at| (at == place).then_some(payload)).collect();
        Ok(self.render_some(&sources, answers, &payloads)?.pop().ok_or_else(missing)?)
    }

    fn render_some(
        &self,
        sources: &[&Source],
        answers: &Answers,
        payloads: &[Option<Payload>],
    ) -> Result<Vec<File>> {
        let context = Context::new(answers, &self.version);
        let tera = tera(sources)?;
        let mut open = variables(&context)?;
        let components = with_values(context.components(), &open, "components");
        let environments = with_values(context.environments(), &open, "environments");
        let mut files = Vec::with_capacity(sources.len());
        for source in sources {
            let components =
                if source.is_per_component() { &*components } else { &components[..1] };
            let environments =
                if source.is_per_environment() { &*environments } else { &environments[..1] };
            for (component, component_value) in components {
                open.insert_value("component", component_value.clone());
                for (place, (environment, environment_value)) in environments.iter().enumerate() {
                    open.insert_value("environment", environment_value.clone());
                    let payload = payloads.get(place).copied().flatten();
                    open.insert("has_token", &payload.is_some());
                    let text = match (source.is_pull_secret(), payload) {
                        (true, None) => continue,
                        // Tera's errors quote values, so those about the Secret are dropped.
                        (true, Some(payload)) => tera
                            .render(&source.path, &with_payload(&open, &payload))
                            .map_err(|_| ours(&source.path, ""))?,
                        (false, _) if source.is_template() => tera
                            .render(&source.path, &open)
                            .map_err(|error| ours(&source.path, &error.to_string()))?,
                        (false, _) => source.text.clone(),
                    };
                    if !text.trim().is_empty() {
                        let (path, kind) = source.target(component, environment);
                        let origin = source.origin(component, environment);
                        files.push(File { path, kind, text: Secret::new(text), origin });
                    }
                }
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }
}

/// The variables of the pull secret's template.
fn with_payload(open: &tera::Context, payload: &Payload) -> tera::Context {
    let mut context = open.clone();
    context.insert("payload", payload.base64);
    context.insert("expires_at", &payload.expires_at);
    context.insert("token", &payload.token.map(ToString::to_string));
    context.insert("token_owner", &payload.token_owner);
    context.insert("token_repositories", &payload.token_repositories);
    context
}

/// The texts of an embedded directory, by path.
fn texts(dir: &'static Dir) -> Vec<(String, String)> {
    let here = dir.files().filter_map(|file| {
        Some((file.path().to_str()?.to_owned(), file.contents_utf8()?.to_owned()))
    });
    here.chain(dir.dirs().flat_map(texts)).collect()
}

/// One instance for all templates, so that each is parsed once.
fn tera(sources: &[&Source]) -> Result<Tera> {
    let mut tera = Tera::new();
    tera.autoescape_on(Vec::<&str>::new());
    // Tera looks up filters while a template is added.
    tera.register_filter("yaml", |text: &str, _: Kwargs, _: &State| yaml_edit::scalar(text));
    tera.register_filter("column", |text: &str, options: Kwargs, _: &State| {
        let width = options.must_get::<usize>("width")?;
        // A text that is too wide is still followed by blanks.
        Ok::<_, tera::Error>(format!("{text:width$}{}", if text.len() < width { "" } else { "  " }))
    });
    let templates = sources.iter().filter(|source| source.is_template());
    tera.add_raw_templates(templates.map(|source| (source.path.as_str(), source.text.as_str())))
        .map_err(|error| ours("*.tera", &error.to_string()))?;
    Ok(tera)
}

/// Each of `items` with its value in the list `name` of `context`, which all files share.
fn with_values<'c, T>(items: &'c [T], context: &tera::Context, name: &str) -> Vec<(&'c T, Value)> {
    let values = context.get(name).and_then(Value::as_array).unwrap_or_default();
    items.iter().zip(values.iter().cloned()).collect()
}

fn variables(context: &Context) -> Result<tera::Context> {
    Ok(tera::Context::from_serialize(context)
        .map_err(|_| ours("the context of all templates", ""))?)
}

/// A failure in a template, which is makeinfra's fault.
fn ours(template: &str, cause: &str) -> Failure {
    Failure::failed(format!("cannot render `{template}`: this is a bug in makeinfra"))
        .because(cause)
}
