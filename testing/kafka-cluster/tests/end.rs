//! A test that brokers end with the process that started them, also when it is killed and drops
//! nothing.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use kafka_cluster::{Broker, Cluster, ClusterConfig};

/// Starts a cluster, and waits until the other test kills this process. It is no test itself.
#[test]
#[ignore = "the process that the other test kills"]
#[allow(clippy::disallowed_methods, reason = "waits to be killed, in real time")]
fn holder() {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    let cluster =
        CLUSTER.get_or_init(|| Cluster::start(ClusterConfig::one()).unwrap_or_else(|error| panic!("{error}")));
    let broker = cluster.broker(1);
    println!("\nprocess {} in {}", broker.process_id().expect("it runs"), folder(broker));
    std::thread::sleep(Duration::from_secs(60));
}

/// Returns the folder of the cluster.
fn folder(broker: &Broker) -> String {
    let folder = broker.data().ancestors().nth(2).map(Path::to_path_buf);
    folder.expect("cluster/broker/data").display().to_string()
}

#[test]
#[allow(clippy::disallowed_methods, reason = "waits for real processes")]
fn a_killed_process_takes_its_brokers_along() {
    let this = std::env::current_exe().expect("a test program");
    let mut holder = Command::new(this);
    holder.args(["--ignored", "--exact", "holder", "--nocapture"]).stdout(Stdio::piped());
    let mut holder = holder.spawn().expect("starts");
    let mut lines = BufReader::new(holder.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let line = lines.find(|line| line.starts_with("process ")).unwrap_or_default();
    let (process, folder) = line
        .strip_prefix("process ")
        .and_then(|rest| rest.split_once(" in "))
        .unwrap_or_else(|| panic!("the holder says the process: {line:?}"));
    let runs = || {
        let command = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains(folder)
    };
    assert!(runs());

    holder.kill().expect("kills");
    holder.wait().expect("waits");
    let until = Instant::now() + Duration::from_secs(20);
    while runs() {
        assert!(Instant::now() < until, "broker {process} is still there");
        std::thread::sleep(Duration::from_millis(20));
    }

    // The next cluster that starts removes the folder that the killed process left.
    assert!(Path::new(folder).exists());
    let next = Cluster::start(ClusterConfig::one()).unwrap_or_else(|error| panic!("{error}"));
    assert!(!Path::new(folder).exists());
    let own = self::folder(next.broker(1));
    assert!(Path::new(&own).exists());
    drop(next);
    assert!(!Path::new(&own).exists());
}
