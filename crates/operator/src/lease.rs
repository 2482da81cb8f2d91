//! Which of several controllers acts: the holder of a Lease. Whoever loses it stops acting and waits.

use antiphon_process::clock::SystemClock;
use antiphon_wire::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff;
use kube::api::{Api, PostParams};
use kube::{Client, ResourceExt as _};

const NAME: &str = "antiphon-operator";
/// Time without a renewal after which another may take over, in milliseconds.
const LASTS_MS: u64 = 15_000;
/// Time after its last renewal for which the holder acts, in milliseconds.
const ACTS_MS: u64 = 10_000;
/// Time between renewals, in milliseconds.
const RENEWED_MS: u64 = 4_000;

/// A controller's claim to the Lease.
pub(crate) struct Claim {
    leases: Api<Lease>,
    me: String,
    renewed: Option<Timestamp>,
    /// The holder, as last read or written.
    holder: Option<String>,
    /// What another holder last wrote, and when that was first seen here: clocks need not agree.
    other: Option<(String, Timestamp)>,
}

impl Claim {
    pub(crate) fn new(client: &Client, me: String) -> Self {
        let leases = Api::default_namespaced(client.clone());
        Self { leases, me, renewed: None, holder: None, other: None }
    }

    /// The time until which this controller may act, without another renewal.
    pub(crate) fn acts_until(&self) -> Option<Timestamp> {
        self.renewed.map(|renewed| renewed.plus_ms(ACTS_MS))
    }

    /// The holder, as last read or written.
    pub(crate) fn holder(&self) -> Option<&str> {
        self.holder.as_deref()
    }

    /// `true` if this controller may act for now.
    pub(crate) fn may_act(&self) -> bool {
        self.acts_until().is_some_and(|until| SystemClock::now() < until)
    }

    /// `true` if it is time to renew the Lease.
    pub(crate) fn is_due(&self) -> bool {
        self.renewed.is_none_or(|renewed| SystemClock::now() >= renewed.plus_ms(RENEWED_MS))
    }

    /// Renews the Lease, or takes it if nobody does any more.
    pub(crate) async fn renew(&mut self) -> Result<(), kube::Error> {
        let now = SystemClock::now();
        let Some(mut lease) = self.leases.get_opt(NAME).await? else {
            let metadata =
                kube::core::ObjectMeta { name: Some(NAME.to_owned()), ..Default::default() };
            let lease = Lease { metadata, spec: Some(self.held(now)) };
            self.leases.create(&PostParams::default(), &lease).await?;
            self.took(now);
            return Ok(());
        };
        let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref());
        if holder.is_some_and(|holder| !holder.is_empty() && holder != self.me) {
            self.renewed = None;
            self.holder = holder.map(str::to_owned);
            let version = lease.resource_version().unwrap_or_default();
            let seen = self.other.take().filter(|(known, _)| *known == version);
            let (version, since) = seen.unwrap_or((version, now));
            self.other = Some((version, since));
            if now < since.plus_ms(LASTS_MS) {
                return Ok(());
            }
        }
        // The version that was read goes with it: of two that take over at once, one fails.
        lease.spec = Some(self.held(now));
        self.leases.replace(NAME, &PostParams::default(), &lease).await?;
        self.took(now);
        Ok(())
    }

    fn took(&mut self, now: Timestamp) {
        self.renewed = Some(now);
        self.holder = Some(self.me.clone());
    }

    /// Gives the Lease back, for another controller to act at once.
    pub(crate) async fn give_back(&mut self) {
        if self.renewed.take().is_none() {
            return;
        }
        if let Ok(mut lease) = self.leases.get(NAME).await {
            lease.spec = Some(LeaseSpec::default());
            // Without it, the other waits until it expires.
            let _ = self.leases.replace(NAME, &PostParams::default(), &lease).await;
        }
    }

    fn held(&self, now: Timestamp) -> LeaseSpec {
        let ms = i64::try_from(now.0).unwrap_or(0);
        LeaseSpec {
            holder_identity: Some(self.me.clone()),
            lease_duration_seconds: Some((LASTS_MS / 1000) as i32),
            renew_time: Some(MicroTime(jiff::Timestamp::from_millisecond(ms).unwrap_or_default())),
            ..LeaseSpec::default()
        }
    }
}
