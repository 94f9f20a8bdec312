//! Second proof: the environment's cluster has the new token, and none of its other Secrets has the
//! old one. Only reads.

use super::super::Options;
use super::old::SupersededToken;
use super::proof::{Proof, ProvedEnvironment};
use crate::advice::Advice;
use crate::answers::{Answer, ContextName};
use crate::cluster::{ClusterAnswer, Kubectl, KubectlError, KubectlFailure};
use crate::commands::scope::Scoped;
use crate::commands::target::Target;
use crate::error::{Failure, Result, printable};
use crate::inspection::Inspection;
use crate::pull_secret::{Inspected, SecretDiff};
use crate::ui::Ui;
use serde::Deserialize;
use serde_json::value::RawValue;

const OWN: &str = "cluster";
const OTHERS: &str = "other-secrets";

/// Asks the cluster of each tenant that is checked. Returns the proofs of each, in order.
pub(super) fn prove(
    options: &Options,
    inspection: &Inspection,
    tenants: &[ProvedEnvironment],
    old_tokens: &[SupersededToken],
    ui: &Ui,
) -> Result<Vec<Vec<Proof>>> {
    let known: Vec<_> = tenants.iter().map(|tenant| tenant.environment.name.clone()).collect();
    let contexts = Scoped::read("--context", &options.finish.context, |name| known.contains(name))?;
    for text in contexts.common.iter().chain(contexts.own.iter().map(|(_, text)| text)) {
        ContextName::parse(text).map_err(|rule| {
            Failure::usage(format!("`--context` {rule}"))
                .hint(format!("--context {}", ContextName::EXAMPLE))
        })?;
    }
    let mut all: Vec<Vec<Proof>> = tenants.iter().map(|_| Vec::new()).collect();
    for (place, tenant) in tenants.iter().enumerate().filter(|(_, tenant)| tenant.is_chosen) {
        let name = tenant.environment.name.as_str();
        if tenant.is_vouched_for {
            let message = format!("cluster not asked: `--deployed {name}` vouches for it");
            all[place].push(Proof::unchecked(OWN, message));
            continue;
        }
        let typed = contexts.of(&tenant.environment.name).or(contexts.common.as_ref());
        let target = Target {
            command: "rotate --finish",
            env: Some(name),
            context: typed.map(String::as_str),
            namespace: None,
            repository: Some(inspection),
        };
        let Some(context) = target.named_context()? else {
            let given =
                tenant.choice.as_ref().map_or("NAME".to_owned(), |choice| format!("{choice}=NAME"));
            return Err(Failure::failed(format!(
                "no kubectl context configured for {name}; nothing was deleted"
            ))
            .because("the current context may belong to another cluster, so it proves nothing")
            .hint(format!(
                "--context {given}, or --deployed {name} if you know that it is deployed"
            ))
            .into());
        };
        let listed: Vec<_> = old_tokens.iter().filter(|old| old.listed.contains(&place)).collect();
        let waiting = ui.wait("contacting the cluster", 1);
        let proofs = ask(&target, tenant, &listed, &context)?;
        drop(waiting);
        all[place] = proofs;
    }
    Ok(all)
}

fn ask(
    target: &Target,
    tenant: &ProvedEnvironment,
    old_tokens: &[&SupersededToken],
    context: &str,
) -> Result<Vec<Proof>> {
    let (kubectl, namespace) = (target.kubectl()?, tenant.environment.namespace.as_str());
    let place = format!("namespace {namespace} of context {context}");
    let own = match kubectl.secrets(std::slice::from_ref(&tenant.name), namespace) {
        Ok(answer) => compare(tenant, &answer, &place),
        Err(failure) => unanswered(tenant, failure, &place),
    };
    Ok(vec![own, search(&kubectl, tenant, old_tokens, context, &place)])
}

/// Compares the Secret in the cluster with that in the file.
fn compare(tenant: &ProvedEnvironment, answer: &ClusterAnswer, place: &str) -> Proof {
    let deploy = || Advice::make("deploy").for_env(tenant.choice.as_ref());
    let file = Inspected::of_text(tenant.text.expose());
    let there = objects(&answer.json)
        .into_iter()
        .flatten()
        .find_map(|object| Inspected::of_json(serde_json::from_str(object.get()).ok()?));
    let name = &tenant.name;
    match (file, there) {
        (Some(file), Some(there)) => match file.compare(&there) {
            SecretDiff::Same => {
                Proof::ok(OWN, format!("Secret {name} in {place} contains the new token"))
            }
            SecretDiff::OtherData | SecretDiff::OtherType => Proof::no(
                OWN,
                format!("Secret {name} in {place} differs from `{}`", tenant.path),
                deploy(),
            ),
        },
        (_, None) => {
            Proof::no(OWN, format!("pull secret {name} does not exist in {place}"), deploy())
        }
        (None, _) => {
            let hint = Advice::makeinfra("check");
            Proof::unknown(OWN, format!("`{}` is not a pull secret", tenant.path), hint)
        }
    }
}

/// The command to use if a cluster gives no answer.
fn vouch(tenant: &ProvedEnvironment) -> Advice {
    let vouch = Advice::makeinfra("rotate")
        .with(format!("--finish --deployed {}", tenant.environment.name));
    vouch.why("if you know that it is deployed")
}

/// The proof for a cluster that gave no answer.
fn unanswered(tenant: &ProvedEnvironment, (error, reason): KubectlFailure, place: &str) -> Proof {
    let (vouch, reason) = (vouch(tenant), printable(&reason));
    match error {
        KubectlError::NoContext => {
            let message = format!("kubectl does not have this context: {reason}");
            Proof::no(OWN, message, Advice::at_top("kubectl config get-contexts"))
        }
        KubectlError::Forbidden => Proof::unknown(
            OWN,
            format!("you are not allowed to read Secret {} in {place}", tenant.name),
            vouch,
        ),
        _ => Proof::unknown(OWN, format!("cannot reach {place}: {reason}"), vouch),
    }
}

/// Searches all Secrets that may be listed for the old tokens.
fn search(
    kubectl: &Kubectl,
    tenant: &ProvedEnvironment,
    old_tokens: &[&SupersededToken],
    context: &str,
    place: &str,
) -> Proof {
    let namespace = tenant.environment.namespace.as_str();
    let unknown: Vec<_> = old_tokens
        .iter()
        .filter(|old| old.credentials.is_none())
        .map(|old| old.what.id().to_string())
        .collect();
    let unsearched = if unknown.is_empty() {
        String::new()
    } else {
        format!(
            "; not searched for {}: no commit of this clone contains the value",
            unknown.join(", ")
        )
    };
    let unlisted = |(_, reason): KubectlFailure| {
        let message =
            format!("cannot list the Secrets of context {context}: {}", printable(&reason));
        Proof::unknown(OTHERS, message, vouch(tenant))
    };
    let (answer, scope, more) = match kubectl.all_secrets(None) {
        Ok(answer) => (answer, "all namespaces".to_owned(), ""),
        Err((KubectlError::Forbidden, _)) => match kubectl.all_secrets(Some(namespace)) {
            Ok(answer) => (
                answer,
                place.to_owned(),
                "; you are not allowed to list those of other namespaces",
            ),
            // A missing permission to list is reported but does not block anything.
            Err((KubectlError::Forbidden, _)) => {
                let message = format!(
                    "other Secrets were not searched: you are not allowed to list those of {place}"
                );
                return Proof::unchecked(OTHERS, message);
            }
            Err(failure) => return unlisted(failure),
        },
        // The Secrets may be listed, so one of them may have the token.
        Err(failure) => return unlisted(failure),
    };
    let Some(objects) = objects(&answer.json) else {
        let message = format!("the answer for the Secrets of context {context} is not a list");
        return Proof::unknown(OTHERS, message, vouch(tenant));
    };
    let mut holding: Vec<String> = Vec::new();
    for object in &objects {
        let Named { metadata } = serde_json::from_str(object.get()).unwrap_or_default();
        let is_own = metadata.name == tenant.name && metadata.namespace == namespace;
        let traced = old_tokens.iter().filter_map(|old| old.credentials.as_ref());
        if !is_own && traced.into_iter().any(|known| known.traces.are_in(object.get().as_bytes())) {
            holding.push(format!("{}/{}", metadata.namespace, metadata.name));
        }
    }
    if holding.is_empty() {
        let others = objects.len().saturating_sub(1);
        let message = format!(
            "no other Secret contains the old token ({others} searched in \
             {scope}){more}{unsearched}"
        );
        return if more.is_empty() && unsearched.is_empty() {
            Proof::ok(OTHERS, message)
        } else {
            Proof::unchecked(OTHERS, message)
        };
    }
    let names: Vec<_> = holding.iter().map(|name| printable(name)).collect();
    Proof::no(
        OTHERS,
        format!("still contain the old token: {}{more}{unsearched}", names.join(", ")),
        "give these Secrets the new token or delete them, then repeat the command",
    )
}

#[derive(Default, Deserialize)]
struct Named {
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    name: String,
    #[serde(default)]
    namespace: String,
}

#[derive(Deserialize)]
struct List<'j> {
    #[serde(borrow)]
    items: Option<Vec<&'j RawValue>>,
}

/// The objects of an answer: the items of a list, or the single object; `None` if it is neither.
fn objects(json: &[u8]) -> Option<Vec<&RawValue>> {
    let list: List = serde_json::from_slice(json).ok()?;
    list.items.or_else(|| serde_json::from_slice(json).ok().map(|one| vec![one]))
}
