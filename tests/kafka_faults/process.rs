//! A worker in a process of its own, for tests that freeze it or kill it.

use std::io::Read;
use std::net::SocketAddr;
use std::time::Duration;

use marlowe::Config;
use marlowe::kafka::KafkaConfig;
use rustix::process::Signal;
use tokio::sync::mpsc;

use crate::common::address::any_port;
use crate::dialog::{Dialog, ignored_test};
use crate::program::Program;
use crate::scene::{Scene, log, within};

// Environment variables that tell the process what to run.
const APP: &str = "MARLOWE_FAULTS_APP";
const BROKERS: &str = "MARLOWE_FAULTS_BROKERS";
const INSTANCE: &str = "MARLOWE_FAULTS_INSTANCE";
const SESSION: &str = "MARLOWE_FAULTS_SESSION";
const COMMIT: &str = "MARLOWE_FAULTS_COMMIT";
const FOLDER: &str = "MARLOWE_FAULTS_FOLDER";

/// A worker of a scene's program in a process of its own, which is killed when this is dropped.
pub(crate) struct Worker {
    /// The process stops when it hears something from here, and ends when this closes.
    dialog: Dialog,
    pub(crate) address: SocketAddr,
}

impl Worker {
    /// Starts a worker with these settings, and waits until the shards that it has got are open.
    pub(crate) async fn start(scene: &Scene, config: &Config) -> Self {
        let mut command = ignored_test("process::a_worker");
        command.env(APP, &scene.app).env(BROKERS, &scene.kafka.brokers);
        command.env(SESSION, config.session_timeout.as_millis().to_string());
        command.env(COMMIT, config.commit_interval.as_millis().to_string());
        for (name, value) in &scene.kafka.settings {
            command.env(format!("MARLOWE_KAFKA_{}", name.to_uppercase().replace('.', "_")), value);
        }
        if let Some(instance) = &config.instance {
            command.env(INSTANCE, instance);
        }
        if let Some(folder) = &config.data_dir {
            command.env(FOLDER, folder);
        }
        let mut worker = Self { dialog: Dialog::start(&mut command), address: any_port() };
        worker.address = worker.says("ready").await.parse().unwrap();
        worker
    }

    /// Waits until the worker says `what`, and returns the rest of that line.
    async fn says(&mut self, what: &str) -> String {
        within(async {
            while let Some(line) = self.dialog.line().await {
                assert!(what == "failed" || !line.starts_with("failed "), "the worker {line}");
                if let Some((_, rest)) = line.split_once(&format!("{what} ")) {
                    return rest.to_owned();
                }
            }
            panic!("the worker ended without a word of `{what}`")
        })
        .await
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.dialog.signal(signal);
    }

    /// Asks the worker to stop, and waits until it has.
    pub(crate) async fn stop(mut self) {
        self.dialog.say("stop");
        self.says("stopped").await;
    }
}

/// Runs the worker that tests start as a process. This is no test.
#[test]
#[ignore = "the worker that tests start as a process"]
fn a_worker() {
    let Ok(app) = std::env::var(APP) else { return };
    let setting = |name: &str| std::env::var(name).ok();
    let millis = |name: &str| Duration::from_millis(setting(name).unwrap().parse().unwrap());
    log();
    let kafka = KafkaConfig::new(setting(BROKERS).unwrap()).read_environment().unwrap();
    let mut config = Config::default().kafka(kafka).web(any_port()).lanes(1);
    (config.session_timeout, config.commit_interval) = (millis(SESSION), millis(COMMIT));
    (config.instance, config.data_dir) = (setting(INSTANCE), setting(FOLDER).map(Into::into));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (order, mut ordered) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let mut heard = [0; 1];
        match std::io::stdin().read(&mut heard) {
            Ok(1) => order.send(()).unwrap_or_default(),
            // The process that started this one is gone.
            _ => std::process::exit(3),
        }
    });
    runtime.block_on(async {
        let mut running = Program::new(&app).app().start(config).await.unwrap();
        if let Err(error) = running.ready().await {
            println!("\nfailed {error}");
            return;
        }
        println!("\nready {}", running.web_addresses()[0]);
        let stop = async { ordered.recv().await.unwrap_or_default() };
        match running.run_until(stop).await {
            Ok(()) => println!("\nstopped well"),
            Err(error) => println!("\nfailed {error}"),
        }
    });
}
