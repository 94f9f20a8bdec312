//! Fills the values of a finding into the words of its cause. Pure.

use super::layer::Layer;
use super::link::registry_of;
use super::pull_signs::PullMeaning;
use super::vendor::{OTHER, Vendor};

/// The values of a finding for the braces in a cause's words; empty if unknown.
#[derive(Default, Clone)]
pub(super) struct Fill {
    pub(super) namespace: String,
    pub(super) workload: String,
    pub(super) pod: String,
    pub(super) container: String,
    pub(super) image: String,
    pub(super) code: String,
    pub(super) age: String,
    /// The host that was contacted.
    pub(super) host: String,
    /// The role of that host.
    pub(super) role: &'static str,
    /// The name server.
    pub(super) resolver: String,
    /// The vendor of the registry.
    pub(super) vendor: Option<&'static Vendor>,
}

impl Fill {
    /// Adds what was contacted for `image`.
    pub(super) fn of_pull(self, meaning: &PullMeaning, image: &str) -> Self {
        let registry = registry_of(image);
        let asked = meaning.speaker.host.clone();
        let role = match meaning.layer {
            Some(Layer::Storage) if meaning.speaker.is_own => Layer::Registry,
            Some(layer @ (Layer::Storage | Layer::TokenService | Layer::Mirror | Layer::Proxy)) => {
                layer
            }
            _ => Layer::Registry,
        };
        let host = match (asked, role) {
            (Some(host), _) => host,
            (None, Layer::Registry | Layer::Proxy) if !image.is_empty() => registry,
            (None, _) => String::new(),
        };
        let resolver = meaning.speaker.resolver.clone().unwrap_or_default();
        Self { image: image.to_owned(), host, role: role.noun(), resolver, ..self }
    }

    /// Adds the vendor's words for a credential.
    pub(super) fn of_vendor(self, vendor: &'static Vendor) -> Self {
        Self { vendor: Some(vendor), ..self }
    }

    /// Clears the values that are `bad`.
    pub(super) fn without(&self, bad: impl Fn(&str) -> bool) -> Self {
        let kept =
            |value: &String| Some(value.clone()).filter(|value| !bad(value)).unwrap_or_default();
        Self {
            namespace: kept(&self.namespace),
            workload: kept(&self.workload),
            pod: kept(&self.pod),
            container: kept(&self.container),
            image: kept(&self.image),
            code: kept(&self.code),
            age: kept(&self.age),
            host: kept(&self.host),
            resolver: kept(&self.resolver),
            ..*self
        }
    }

    /// `words` with the known values in place of braces, limited to those that are safe to paste
    /// into a shell.
    pub(super) fn fills(&self, words: &str) -> String {
        let role = if self.role.is_empty() { Layer::Registry.noun() } else { self.role };
        let vendor = self.vendor.unwrap_or(&OTHER);
        // An unknown host must not leave a gap. Neither must a proxy's, since the host is not the
        // proxy.
        let server = if is_plain(&self.host) && self.role != Layer::Proxy.noun() {
            format!("{role} `{}`", self.host)
        } else {
            role.to_owned()
        };
        let resolver = if is_plain(&self.resolver.replace(['[', ']'], "")) {
            format!(" `{}`", self.resolver)
        } else {
            String::new()
        };
        let words = words.replace("{server}", &server).replace(" {resolver}", &resolver);
        let words =
            words.replace("{token}", vendor.token).replace("{credential}", vendor.credential);
        let words = words.replace("{elsewhere}", vendor.elsewhere);
        let fields = [
            ("{namespace}", &self.namespace, "NAMESPACE"),
            ("{workload}", &self.workload, "NAME"),
            ("{pod}", &self.pod, "POD"),
            ("{container}", &self.container, "CONTAINER"),
            ("{image}", &self.image, "IMAGE"),
            ("{host}", &self.host, "HOST"),
            ("{code}", &self.code, "?"),
            ("{age}", &self.age, "?"),
        ];
        fields.iter().fold(words, |words, (brace, value, unknown)| {
            let value = if is_plain(value) { value } else { *unknown };
            words.replace(brace, value)
        })
    }
}

/// Whether a name is valid: text from a file could be anything.
pub(super) fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._/:@ ".contains(c);
    !name.is_empty() && name.len() <= 300 && !name.starts_with('-') && name.chars().all(plain)
}
