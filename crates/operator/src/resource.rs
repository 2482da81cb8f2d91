//! The custom resource: what an operator asks for, and what is told of it.

mod spec;
mod status;

pub(crate) use spec::{
    Autoscale, Coordinator, Exposure, ExposureType, Family, JoinedCoordinator, MixNetwork,
    MixNetworkSpec, OwnCoordinator, Requirements, Resources, State,
};
pub(crate) use status::{Condition, ListTold, MixNetworkStatus, ShardTold};

#[cfg(test)]
mod tests {
    use kube::CustomResourceExt as _;

    use super::*;

    /// The largest definition that clients apply: they note all of it at the object.
    const MOST_BYTES: usize = 200 << 10;

    #[test]
    fn the_chart_holds_the_definition_of_these_types() {
        let chart =
            include_str!("../../../k8s/chart/antiphon-definitions/templates/mixnetworks.yaml");
        assert!(chart.len() < MOST_BYTES);
        let chart: serde_json::Value = serde_json::from_str(chart).unwrap();
        let same = chart == serde_json::to_value(MixNetwork::crd()).unwrap();
        assert!(
            same,
            "antiphon-operator definition >k8s/chart/antiphon-definitions/templates/mixnetworks.yaml"
        );
    }
}
