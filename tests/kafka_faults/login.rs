//! Tests of a cluster that requires a login.

use std::time::Duration;

use kafka_cluster::ClusterConfig;
use marlowe::broker::BrokerError;
use marlowe::kafka::{KafkaBroker, KafkaConfig};

use crate::common::example::example;
use crate::common::process::Process;
use crate::feeder::Feeder;
use crate::scene::{Scene, cluster, stop, within};

const RIGHT: &str = "the-right-password";
const WRONG: &str = "not-the-right-password";

#[tokio::test]
async fn a_refused_login_is_reported_at_once_and_without_the_password() {
    let cluster = cluster(ClusterConfig::one().sasl_plain("ada", RIGHT)).await;
    let config = |password: &str| {
        let config = KafkaConfig::new(cluster.bootstrap()).patience(Duration::from_secs(3600));
        let config = config.set("security.protocol", "SASL_PLAINTEXT").set("sasl.mechanism", "PLAIN");
        config.set("sasl.username", "ada").set("sasl.password", password)
    };
    // The patience is only for brokers that are away, and this one is there.
    let refused = within(KafkaBroker::connect(config(WRONG))).await.err().unwrap();
    assert!(matches!(refused, BrokerError::Refused { .. }), "{refused:?}");
    for text in [refused.to_string(), format!("{refused:?}"), format!("{:?}", config(WRONG))] {
        assert!(!text.contains(WRONG), "{text}");
    }

    let broker = format!("kafka://{}", cluster.bootstrap());
    let settings = ["security.protocol=SASL_PLAINTEXT", "sasl.mechanism=PLAIN", "sasl.username=ada"];
    let arguments = settings.iter().flat_map(|setting| ["--kafka", setting]);
    let mut arguments: Vec<&str> = arguments.chain(["--broker", &broker, "--web", "off", "--log", "trace"]).collect();
    let run = |arguments: &[&str], password: &str| {
        let mut command = example("cli_demo");
        Process::start(command.args(arguments).env("MARLOWE_KAFKA_SASL_PASSWORD", password)).unwrap()
    };
    let mut refused = run(&arguments, WRONG);
    assert_eq!(refused.end().await.code(), Some(1));
    let said = refused.said();
    let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("error:")).collect();
    assert!(errors.len() == 1 && errors[0].contains("refuses") && errors[0].contains("password"), "{errors:?}");
    assert!(!said.contains(WRONG), "{said}");

    arguments.push("--drain");
    let mut accepted = run(&arguments, RIGHT);
    assert_eq!(accepted.end().await.code(), Some(0), "{}", accepted.said());
    assert!(!accepted.said().contains(RIGHT));

    let scene = Scene::at(config(RIGHT)).await;
    let program = scene.program();
    let mut worker = scene.start(&program).await;
    let feeder = Feeder::start(&scene.broker, &program.events(), 400);
    feeder.more(200).await;
    let fed = feeder.stop().await;
    scene.check(&program, fed, &mut worker).await;
    stop(worker).await;
}
