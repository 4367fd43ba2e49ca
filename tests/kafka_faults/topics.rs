//! Tests of topics that change while a program reads them.

use kafka_cluster::Size;
use marlowe::RunError;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;

use crate::common::example::example;
use crate::common::process::Process;
use crate::feeder::Feeder;
use crate::program::PARTITIONS;
use crate::scene::{Scene, crash, eventually, meanwhile, stop, within};

/// Returns a client for changes to a cluster that no program of Marlowe makes.
pub(crate) fn admin(scene: &Scene) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", &scene.kafka.brokers).create().unwrap()
}

#[tokio::test]
async fn a_topic_deleted_while_it_is_read_is_named_and_no_event_lost() {
    let scene = Scene::shared().await;
    let program = scene.program().with_passing();
    let mut worker = scene.start(&program).await;
    let feeder = Feeder::start(&scene.broker, &program.events(), 300);
    meanwhile(&mut [&mut worker], feeder.more(300)).await;
    scene.broker.delete_topic(&program.passing()).await.unwrap();
    let told = within(worker.failed()).await.to_string();
    assert!(told.contains(&format!("no topic `{}`", program.passing())), "{told}");
    crash(worker).await;

    // The next start creates the topic again.
    let mut worker = scene.start(&program).await;
    meanwhile(&mut [&mut worker], feeder.more(300)).await;
    let fed = feeder.stop().await;
    scene.check(&program, fed, &mut worker).await;
    stop(worker).await;
}

#[tokio::test]
async fn added_partitions_are_reported_only_at_the_next_start() {
    let scene = Scene::shared().await;
    let program = scene.program();
    let mut worker = scene.start(&program).await;
    let feeder = Feeder::start(&scene.broker, &program.events(), 300);
    meanwhile(&mut [&mut worker], feeder.more(300)).await;
    let more = PARTITIONS as usize + 2;
    let (admin, events) = (admin(&scene), program.events());
    let added = admin.create_partitions(&[NewPartitions::new(&events, more)], &AdminOptions::new()).await;
    added.unwrap().remove(0).unwrap();
    // This is longer than librdkafka takes to learn of the new partitions.
    meanwhile(&mut [&mut worker], feeder.more(300 * 5)).await;
    let handled = async || program.handled() >= feeder.fed();
    meanwhile(&mut [&mut worker], eventually("it catches up", handled)).await;
    let fed = feeder.stop().await;
    scene.check(&program, fed, &mut worker).await;
    stop(worker).await;

    let refused = scene.start_with(&program, scene.config()).await.err().unwrap();
    let told = refused.to_string();
    assert!(matches!(refused, RunError::Topic { .. } | RunError::Topology(_)), "{refused:?}");
    for words in [&format!("{more}"), &PARTITIONS.to_string(), "reset"] {
        assert!(told.contains(words), "{told}");
    }
}

#[tokio::test]
async fn a_send_to_a_missing_topic_names_the_topic() {
    let brokers = tokio::task::spawn_blocking(|| kafka_cluster::shared(Size::One)).await.unwrap().unwrap();
    let broker = format!("kafka://{brokers}");
    let mut command = example("cli_demo");
    let mut run = Process::start(command.args(["send", "wrods", "\"hello\"", "--broker", &broker])).unwrap();
    assert_eq!(run.end().await.code(), Some(2));
    assert!(run.said().contains("`wrods`") && run.said().contains("`words`"), "{}", run.said());

    let scene = Scene::shared().await;
    let program = scene.program();
    let worker = scene.start(&program).await;
    let (_, declared) = program.declare();
    let outputs = worker.open(declared.outputs);
    outputs.send(&"key".to_owned(), &1).await.unwrap();
    scene.broker.delete_topic(&program.outputs()).await.unwrap();
    let told = within(outputs.send(&"key".to_owned(), &2)).await.unwrap_err().to_string();
    assert!(told.contains(&format!("no topic `{}`", program.outputs())), "{told}");
    crash(worker).await;
}
