//! What runs in the cluster.

use super::{ComponentName, HealthPath, Host, ImageRef, Name, Port, Refused, Replicas, Values, given};

/// Pods of a Deployment, if nobody says how many.
pub(super) const REPLICAS: u32 = 2;

/// One workload with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Its name, which everything of it bears.
    pub name: ComponentName,
    /// Its image.
    pub image: ImageRef,
    /// The container's port.
    pub port: u16,
    /// How many pods run.
    pub replicas: u32,
    /// Host of the Ingress; none: no Ingress.
    pub ingress: Option<Host>,
    /// Path of the HTTP probes; none: TCP probes.
    pub health_path: Option<HealthPath>,
    /// What its container asks for and may use.
    pub resources: Resources,
}

/// The `resources` of a container, as lines of YAML. They are no answer: people change them in the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resources {
    lines: Vec<String>,
}

impl Resources {
    /// Those in a manifest; the default where it has none.
    #[must_use]
    pub fn read(value: Option<&serde_yaml::Value>) -> Self {
        let text =
            value.filter(|value| value.is_mapping()).and_then(|value| serde_yaml::to_string(value).ok());
        text.map_or_else(Self::default, |text| Self { lines: text.lines().map(str::to_owned).collect() })
    }

    /// The lines.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.lines
    }
}

impl Default for Resources {
    fn default() -> Self {
        let lines = ["requests:", "  cpu: 50m", "  memory: 64Mi", "limits:", "  memory: 256Mi"];
        Self { lines: lines.map(str::to_owned).to_vec() }
    }
}

impl Component {
    /// What a component's section of a file may say.
    pub const NAMES: [Name; 5] = [Name::Image, Name::Port, Name::Replicas, Name::Ingress, Name::HealthPath];

    /// The component called `name`, with the default for each value that is not there.
    pub(super) fn from_values(
        name: ComponentName,
        image: ImageRef,
        values: &Values,
    ) -> Result<Self, Refused> {
        Ok(Self {
            name,
            image,
            port: given::<Port>(values, Name::Port)?.map_or(8080, |port| port.0),
            replicas: given::<Replicas>(values, Name::Replicas)?.map_or(REPLICAS, |replicas| replicas.0),
            ingress: given(values, Name::Ingress)?,
            health_path: given(values, Name::HealthPath)?,
            resources: Resources::default(),
        })
    }
}
