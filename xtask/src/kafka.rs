//! The command `cargo xtask kafka`: a cluster that runs until it is stopped.

use clap::{Args, Subcommand};
use kafka_cluster::{Data, Size, Standing, Version};

use crate::TaskResult;

/// An action on the Kafka of this machine.
#[derive(Subcommand)]
pub(crate) enum Kafka {
    /// Start a cluster on the loopback interface, which runs until it is stopped.
    Start(Start),
    /// Stop all running clusters, and remove their data.
    Stop(Stop),
    /// Show which brokers run, on which address, and whether each answers.
    Status(Which),
}

#[derive(Args)]
pub(crate) struct Start {
    /// The number of brokers: 1 or 3.
    #[arg(long, default_value = "1", value_parser = size)]
    brokers: Size,
    /// The version of Kafka, such as 4.4.0, or `oldest` or `newest` of the supported versions
    /// [default: newest].
    #[arg(long)]
    version: Option<Version>,
}

#[derive(Args)]
pub(crate) struct Stop {
    #[command(flatten)]
    which: Which,
    /// Keep the data; the next start continues with it, on the same ports.
    #[arg(long)]
    keep: bool,
}

#[derive(Args)]
pub(crate) struct Which {
    /// Only the cluster with this number of brokers, 1 or 3 [default: both].
    #[arg(long, value_parser = size)]
    brokers: Option<Size>,
}

impl Kafka {
    pub(crate) fn run(&self) -> TaskResult {
        match self {
            Kafka::Start(start) => start.run(),
            Kafka::Stop(stop) => stop.run(),
            Kafka::Status(which) => which.status(),
        }
    }
}

impl Start {
    fn run(&self) -> TaskResult {
        let found = Standing::find(self.brokers).map_err(|error| error.to_string())?;
        if let (Some(standing), Some(wanted)) = (&found, &self.version)
            && standing.version() != wanted
        {
            return Err(format!(
                "there is a cluster of this size with Kafka {}, and not {wanted}: `cargo xtask kafka stop` removes it with its \
                 data",
                standing.version()
            ));
        }
        if let Some(standing) = found.as_ref().filter(|standing| standing.is_running()) {
            println!("it runs already: {}", name(self.brokers, standing));
            tell(standing);
            return Ok(());
        }
        let standing = found.map_or_else(|| self.create(), Ok);
        let mut standing = standing.map_err(|error| error.to_string())?;
        standing.start().map_err(|error| error.to_string())?;
        println!("started: {}", name(self.brokers, &standing));
        tell(&standing);
        Ok(())
    }

    fn create(&self) -> Result<Standing, kafka_cluster::Error> {
        let version = self.version.clone().map_or_else(Version::chosen, Ok)?;
        Standing::new(self.brokers, &version)
    }
}

impl Stop {
    fn run(&self) -> TaskResult {
        let data = if self.keep { Data::Keep } else { Data::Remove };
        let mut found = false;
        for (size, standing) in self.which.clusters()? {
            found = true;
            let name = name(size, &standing);
            standing.stop(data).map_err(|error| error.to_string())?;
            println!("stopped: {name}");
        }
        if !found {
            println!("there is nothing to stop");
        }
        Ok(())
    }
}

impl Which {
    /// Returns the clusters that exist.
    fn clusters(&self) -> TaskResult<Vec<(Size, Standing)>> {
        let sizes = self.brokers.map_or_else(|| vec![Size::One, Size::Three], |size| vec![size]);
        let mut found = Vec::new();
        for size in sizes {
            let standing = Standing::find(size).map_err(|error| error.to_string())?;
            found.extend(standing.map(|standing| (size, standing)));
        }
        Ok(found)
    }

    fn status(&self) -> TaskResult {
        let clusters = self.clusters()?;
        if clusters.is_empty() {
            println!("no cluster: `cargo xtask kafka start` starts one");
        }
        for (size, standing) in clusters {
            println!("{}, in {}", name(size, &standing), standing.folder().display());
            for broker in standing.status() {
                let process = broker.process_id.map_or_else(|| "stopped".into(), |id| format!("process {id}"));
                let ready = match (broker.process_id, broker.ready) {
                    (None, _) => String::new(),
                    (_, Ok(())) => ", answers".into(),
                    (_, Err(reason)) => format!(", does not answer: {reason} (log: {})", broker.log.display()),
                };
                println!("  broker {} on {}: {process}{ready}", broker.id, broker.address);
            }
            tell(&standing);
        }
        Ok(())
    }
}

fn name(size: Size, standing: &Standing) -> String {
    let brokers = match size {
        Size::One => "1 broker",
        Size::Three => "3 brokers",
    };
    format!("Kafka {}, {brokers}", standing.version())
}

fn tell(standing: &Standing) {
    println!("  --broker kafka://{}", standing.bootstrap());
}

fn size(text: &str) -> Result<Size, String> {
    match text {
        "1" => Ok(Size::One),
        "3" => Ok(Size::Three),
        _ => Err("a cluster has 1 or 3 brokers".into()),
    }
}
