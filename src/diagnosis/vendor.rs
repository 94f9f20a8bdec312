//! Vendors of registries, as far as they can be recognised, and what their credentials are called.
//! A table. Pure.

/// A kind of registry.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Vendor {
    /// Its hosts, or their parent domains.
    hosts: &'static [&'static str],
    /// What is used to sign in to it, as part of a sentence.
    pub(super) token: &'static str,
    /// Like `token`, with the required permission and where to create it.
    pub(super) credential: &'static str,
    /// Why a valid credential may not work for an image.
    pub(super) elsewhere: &'static str,
}

const NO_RIGHT: &str = "it has no permission for this repository";

pub(super) const GITLAB: Vendor = Vendor {
    hosts: &[],
    token: "deploy token",
    elsewhere: "it belongs to another project",
    credential: "deploy token with read_registry in GitLab",
};

/// An unknown vendor: the hosts of Harbor, Nexus, Artifactory and plain registries reveal nothing.
pub(super) const OTHER: Vendor = Vendor {
    hosts: &[],
    token: "credential",
    elsewhere: NO_RIGHT,
    credential: "credential at the registry",
};

const VENDORS: &[Vendor] = &[
    Vendor {
        hosts: &["docker.io"],
        token: "credential",
        elsewhere: NO_RIGHT,
        credential: "access token with the permission Read at Docker Hub",
    },
    Vendor {
        hosts: &["ghcr.io", "docker.pkg.github.com"],
        token: "credential",
        elsewhere: NO_RIGHT,
        credential: "personal access token (classic) with read:packages at GitHub, authorized for \
                     the organization",
    },
    Vendor {
        hosts: &["amazonaws.com", "amazonaws.com.cn"],
        token: "ECR password",
        elsewhere: NO_RIGHT,
        credential: "ECR password, which lasts 12 hours (the nodes' own role lasts)",
    },
    Vendor {
        hosts: &["pkg.dev", "gcr.io"],
        token: "credential",
        elsewhere: NO_RIGHT,
        credential: "key of a service account with the role Artifact Registry Reader (user name \
                     _json_key)",
    },
    Vendor {
        hosts: &["azurecr.io", "azurecr.cn"],
        token: "credential",
        elsewhere: NO_RIGHT,
        credential: "token or service principal with AcrPull at Azure",
    },
    Vendor {
        hosts: &["quay.io"],
        token: "credential",
        elsewhere: NO_RIGHT,
        credential: "robot account with Read on the repository at Quay",
    },
];

/// The vendor of `host`. `shows_gitlab` if something other than the host shows that it is GitLab's.
pub(super) fn of(host: &str, shows_gitlab: bool) -> &'static Vendor {
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host).to_ascii_lowercase();
    let is_its = |name: &str| {
        host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    if let Some(vendor) = VENDORS.iter().find(|vendor| vendor.hosts.iter().any(|name| is_its(name)))
    {
        return vendor;
    }
    let is_named = host.split(['.', '-']).any(|label| label == "gitlab");
    if shows_gitlab || is_named { &GITLAB } else { &OTHER }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_for_gitlab_is_given_where_gitlab_shows() {
        for (host, shows, is) in [
            ("registry.gitlab.com", false, true),
            ("gitlab.example.com:5050", false, true),
            ("registry.example.com", true, true),
            ("registry.example.com", false, false),
            ("ghcr.io", true, false),
            ("docker.io", true, false),
            ("registry-1.docker.io", false, false),
            ("mygitlabs.example.com", false, false),
            ("1.dkr.ecr.eu-west-1.amazonaws.com", true, false),
        ] {
            assert_eq!(of(host, shows) == &GITLAB, is, "{host}");
        }
        assert_eq!(of("evilghcr.io", false), &OTHER);
    }
}
