#![doc = include_str!("../README.md")]

mod admin;
mod adoption;
mod cluster;
mod conditions;
mod control;
mod decide;
mod desk;
mod found;
mod health;
mod lease;
mod lists;
mod look;
mod objects;
mod observed;
mod refusal;
mod resource;
mod step;
mod window;

use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use antiphon_process::admin::{AdminServer, MetricsPage};
use antiphon_process::config_file::AdminSection;
use antiphon_process::logging::{self, Crates, LogFilter, LogLevel};
use antiphon_process::metrics::Program;
use antiphon_process::requests;
use antiphon_process::signals::stop_requested;
use antiphon_wire::IdentityKey;
use clap::{Args, Parser, Subcommand};
use kube::{Client, Config, CustomResourceExt as _};

use crate::control::Control;
use crate::objects::{Outer, Plan};
use crate::resource::{MixNetwork, MixNetworkSpec};

/// Time that the API server may take to link, and to answer.
const LINK_WITHIN: Duration = Duration::from_secs(5);
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// Crates that a filter for logs may name.
const CRATES: Crates = &["antiphon_operator", "antiphon_process", "kube_client"];

/// Look after MixNetwork resources in Kubernetes: install, scale and upgrade an operator's shards.
#[derive(Debug, Parser)]
#[command(
    name = "antiphon-operator",
    version,
    long_about = "\
Look after MixNetwork resources in Kubernetes: install, scale and upgrade an operator's shards.

It goes by the configuration that kubectl would go by, or by its pod's account. docs/src/kubernetes.md says \
how to use it.

  antiphon-operator run --namespace antiphon
  antiphon-operator definition | kubectl apply --filename -"
)]
struct Cli {
    /// What to log to standard error: a level, or levels by module such as antiphon_operator=debug,info
    #[arg(long, global = true, value_name = "FILTER", default_value = "info", value_parser = filter)]
    log: LogFilter,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Look after resources until SIGTERM or SIGINT
    Run(RunArguments),
    /// Print the definition of the resource, as JSON
    Definition,
    /// Print the objects for a specification, which is read as JSON from standard input
    Render(RenderArguments),
}

#[derive(Debug, Args)]
struct RunArguments {
    /// The namespace whose resources are looked after; all without it
    #[arg(long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// The name by which this controller holds the Lease: its pod's
    #[arg(long, value_name = "NAME", default_value = "antiphon-operator")]
    name: String,
    /// The TCP address of the admin server, with /live, /ready, /metrics, /status and /log-level; none without it
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<SocketAddr>,
}

#[derive(Debug, Args)]
struct RenderArguments {
    /// The resource's name
    #[arg(long, value_name = "NAME", default_value = "mix")]
    name: String,
    /// The public key of a coordinator that runs here, in the order of their pods
    #[arg(long = "coordinator", value_name = "PUBKEY")]
    coordinators: Vec<IdentityKey>,
    /// For loadBalancer: the address or name of a load balancer, in the order of the shards, for other shards
    #[arg(long = "peers", value_name = "HOST")]
    peers: Vec<String>,
    /// For loadBalancer: the same for clients
    #[arg(long = "clients", value_name = "HOST")]
    clients: Vec<String>,
    /// A kind of a Prometheus operator that the cluster knows: ServiceMonitor or PrometheusRule
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<String>,
}

fn filter(text: &str) -> Result<LogFilter, String> {
    LogFilter::parse(text, CRATES)
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let log_level = logging::init(cli.log.clone(), CRATES, false);
    let outcome = match &cli.command {
        Command::Run(arguments) => run(arguments, log_level),
        Command::Definition => print(&MixNetwork::crd()),
        Command::Render(arguments) => render(arguments),
    };
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    // Whether anybody reads it makes no difference.
    let _ = writeln!(io::stderr(), "error: {error}");
    ExitCode::FAILURE
}

fn run(arguments: &RunArguments, log_level: LogLevel) -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut stop = std::pin::pin!(stop_requested()?);
        let mut config = Config::infer().await?;
        config.connect_timeout = Some(LINK_WITHIN);
        config.read_timeout = Some(ANSWER_WITHIN);
        // The loop asks again by itself. Asked again below it, minutes would pass in which the Lease runs out and nobody says
        // that the API server is away.
        config.default_retry = false;
        let client = Client::try_from(config)?;
        let mut control = Control::new(client, arguments.namespace.clone(), arguments.name.clone());
        if let Some(listen) = arguments.admin {
            look_after_me(listen, &control, log_level).await?;
        }
        tokio::select! {
            () = control.run() => Err("the controller stood still".into()),
            () = &mut stop => {
                control.stop().await;
                Ok(())
            }
        }
    })
}

/// Serves the controller's own admin pages until the runtime ends.
async fn look_after_me(
    listen: SocketAddr,
    control: &Control,
    log_level: LogLevel,
) -> Result<(), Box<dyn Error>> {
    let metrics = MetricsPage::install(Program::Controller)?;
    let server = AdminServer::bind(AdminSection { listen, show: None }, metrics).await?;
    let (asker, asked) = requests::channel();
    tokio::spawn(control.desk().answer(asked));
    // They end with the runtime, as the process does.
    drop(server.serve(control.desk().readiness(), log_level, asker));
    Ok(())
}

fn render(arguments: &RenderArguments) -> Result<(), Box<dyn Error>> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    let spec: MixNetworkSpec = serde_json::from_str(&text)?;
    let RenderArguments { name, coordinators, peers, clients, kinds } = arguments;
    let both = peers.iter().zip(clients).map(|(peers, clients)| Outer {
        peers: vec![peers.clone()],
        clients: vec![clients.clone()],
    });
    let outer = (0..).zip(both).collect();
    let kinds = &kinds.iter().cloned().collect();
    let (spec, replicas) = (&spec, spec.shards);
    let plan = Plan { name, spec, coordinators, replicas, outer: &outer, kinds };
    print(&objects::objects(&plan))
}

fn print(value: &impl serde::Serialize) -> Result<(), Box<dyn Error>> {
    let mut out = io::stdout();
    serde_json::to_writer_pretty(&mut out, value)?;
    out.write_all(b"\n")?;
    Ok(())
}
