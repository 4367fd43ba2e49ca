//! Tests of a broker that is not there: at the start, for a while, or for good.

use std::time::Duration;

use kafka_cluster::ClusterConfig;
use marlowe::kafka::KafkaConfig;

use crate::common::example::example;
use crate::common::process::Process;
use crate::feeder::Feeder;
use crate::scene::{Scene, cluster, crash, eventually, meanwhile, pause, stop, to, within};

#[tokio::test]
async fn a_broker_may_come_late_or_pause_but_not_stay_away() {
    let cluster = cluster(ClusterConfig::one()).await;
    to(&cluster, |cluster| cluster.broker(1).stop()).await;
    let broker = format!("kafka://{}", cluster.bootstrap());

    // The broker does not come.
    let run = |arguments: &[&str]| {
        let mut command = example("cli_demo");
        Process::start(command.args(["--broker", &broker, "--web", "off"]).args(arguments)).unwrap()
    };
    let mut impatient = run(&["--broker-patience", "2"]);
    assert_eq!(impatient.end().await.code(), Some(1));
    let said = impatient.said();
    let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("error:")).collect();
    assert!(errors.len() == 1 && errors[0].contains(&cluster.bootstrap()) && errors[0].contains("waited 2s"), "{said}");

    // The broker comes late.
    let mut patient = run(&[]);
    patient.says(&format!("waiting for {broker}")).await;
    to(&cluster, |cluster| cluster.broker(1).start()).await;
    patient.says("ready after").await;
    assert!(patient.stop().await.success(), "{}", patient.said());

    // The broker goes for a while: it is stopped, it is killed, and it stands still for longer than
    // a transaction may take.
    let kafka = KafkaConfig::new(cluster.bootstrap()).set("transaction.timeout.ms", "3000");
    let scene = Scene::at(kafka.patience(Duration::from_secs(90))).await;
    let program = scene.program();
    let mut worker = scene.start(&program).await;
    let feeder = Feeder::start(&scene.broker, &program.events(), 300);
    feeder.more(200).await;
    to(&cluster, |cluster| cluster.broker(1).stop()).await;
    pause(1000).await;
    to(&cluster, |cluster| cluster.broker(1).start()).await;
    meanwhile(&mut [&mut worker], feeder.more(200)).await;
    to(&cluster, |cluster| cluster.broker(1).kill()).await;
    pause(1000).await;
    to(&cluster, |cluster| cluster.broker(1).start()).await;
    meanwhile(&mut [&mut worker], feeder.more(200)).await;
    to(&cluster, |cluster| cluster.broker(1).pause()).await;
    pause(5000).await;
    to(&cluster, |cluster| cluster.broker(1).resume()).await;
    meanwhile(&mut [&mut worker], feeder.more(200)).await;
    let handled = async || program.handled() >= feeder.fed();
    meanwhile(&mut [&mut worker], eventually("it catches up", handled)).await;
    let fed = feeder.stop().await;
    scene.check(&program, fed, &mut worker).await;
    stop(worker).await;

    // The broker goes for good.
    let scene = Scene::at(KafkaConfig::new(cluster.bootstrap()).patience(Duration::from_secs(4))).await;
    let program = scene.program();
    let mut worker = scene.start(&program).await;
    let feeder = Feeder::start(&scene.broker, &program.events(), 300);
    feeder.more(200).await;
    feeder.stop().await;
    to(&cluster, |cluster| cluster.broker(1).kill()).await;
    let told = within(worker.failed()).await.to_string();
    assert!(told.contains("not reachable") && told.contains(&cluster.bootstrap()), "{told}");
    crash(worker).await;
}

#[tokio::test]
async fn n5_an_idle_worker_is_told_that_its_brokers_stay_away() {
    let cluster = cluster(ClusterConfig::one()).await;
    let scene = Scene::at(KafkaConfig::new(cluster.bootstrap()).patience(Duration::from_secs(4))).await;
    let program = scene.program();
    let mut worker = scene.start(&program).await;
    let feeder = Feeder::start(&scene.broker, &program.events(), 300);
    feeder.more(50).await;
    let fed = feeder.stop().await;
    eventually("all is handled", async || program.handled() >= fed).await;
    // This is many times as long as a commit takes.
    pause(3000).await;
    to(&cluster, |cluster| cluster.broker(1).kill()).await;
    let told = within(worker.failed()).await.to_string();
    assert!(told.contains("not reachable") && told.contains(&cluster.bootstrap()), "{told}");
    crash(worker).await;
}
