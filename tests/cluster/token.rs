//! Tests of the address at which workers say that they are found, and of the secret that they
//! share.

use std::time::Duration;

use marlowe::Running;
use marlowe::broker::Timestamp;
use marlowe::table::ViewError;
use marlowe_broker::{Header, NewRecord, Partition, TopicPartition};

use crate::common::client::Client;
use crate::program::{PARTITIONS, program, settle};
use crate::scene::{Cluster, TestResult, eventually, start, stop};
use crate::signature::Signature;
use crate::web::how_many;

const READ: &str = "/cluster/v1/read";

#[tokio::test]
async fn workers_with_one_token_answer_each_other_and_refuse_others() -> TestResult {
    let cluster = Cluster::new().await;
    let config = || cluster.calm().cluster_token("sesame");
    let processes = cluster.processes(2, "token", config()).await;
    let views: Vec<_> = processes.iter().map(|running| running.open(program("token").squares.view())).collect();
    for number in 0..30u64 {
        for view in &views {
            assert_eq!(view.get(number).await?, None);
        }
    }
    for (at, running) in processes.iter().enumerate() {
        let client = Client::of(running);
        let question = how_many("squares", 0, 0);
        let refused = |headers: &[(&str, &str)], body: &[u8], reason: &str| {
            let refused = client.send_with(READ, headers, body);
            assert!(refused.error(401).contains(reason), "{headers:?}: {}", refused.text);
        };
        refused(&[], &question, "cluster token");
        refused(&[("authorization", "Bearer sesame")], &question, "cluster token");
        let right = Signature {
            token: "sesame",
            method: "POST",
            path: READ,
            headers: &[],
            body: &question,
            millis_ago: 0,
            number: 0,
        };
        let says = |signature: Signature<'_>, of: &Running| ("marlowe-signed", signature.to(of));
        let wrong: [(Signature<'_>, &Running, &str); 7] = [
            (Signature { token: "sesam", ..right }, running, "--cluster-token"),
            (Signature { method: "GET", ..right }, running, "--cluster-token"),
            (Signature { path: "/cluster/v1", ..right }, running, "--cluster-token"),
            (Signature { headers: &[("marlowe-hop", "0 0")], ..right }, running, "--cluster-token"),
            (right, &processes[1 - at], "for another URL"),
            (Signature { millis_ago: 60_000, ..right }, running, "clocks"),
            (Signature { millis_ago: -60_000, ..right }, running, "clocks"),
        ];
        for (signature, of, reason) in wrong {
            let (name, value) = says(signature, of);
            refused(&[(name, &value)], &question, reason);
        }
        let (name, value) = says(right, running);
        let answer = client.send_with(READ, &[(name, &value)], &question);
        assert!([200, 421].contains(&answer.status), "{}", answer.text);
        // A request that somebody overheard and sends again is refused.
        refused(&[(name, &value)], &question, "received before");
        let (name, value) = says(Signature { number: 1, ..right }, running);
        refused(&[(name, &value)], &how_many("squares", 1, 0), "body is not the one");
        refused(&[(name, "")], &question, "not understood");
        // Requests that need no token are still answered.
        client.get("/tables/squares?limit=1").expect(200);
        assert!(!client.get("/").text.contains("sesame") && !client.get("/metrics").text.contains("sesame"));
    }
    for running in processes {
        stop(running).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_worker_with_another_token_is_refused_and_told_what_to_do() -> TestResult {
    let cluster = Cluster::new().await;
    let first = start(program("wrong").app, cluster.calm().cluster_token("right")).await?;
    let second = start(program("wrong").app, cluster.calm().cluster_token("wrong")).await?;
    let view = second.open(program("wrong").squares.view()).within(Duration::from_millis(200));
    let mut refused = None;
    eventually("it asks for something that the first has", async || {
        for number in 0..40u64 {
            match view.get(number).await {
                Ok(value) => assert_eq!(value, None),
                Err(error) if error.to_string().contains("not signed") => refused = Some(error),
                Err(_) => {}
            }
        }
        refused.is_some()
    })
    .await;
    match refused {
        Some(error @ ViewError::Unavailable { .. }) => {
            let text = error.to_string();
            assert!(text.contains("table `squares`") && text.contains("--cluster-token"), "{text}");
            assert!(!text.contains("right") && !text.contains("wrong"), "{text}");
        }
        other => panic!("{other:?}"),
    }
    let client = Client::of(&second);
    let answers: Vec<_> = (0..40).map(|number| client.get(&format!("/tables/squares/{number}?wait=100"))).collect();
    assert!(
        answers.iter().any(|answer| answer.status == 503 && answer.text.contains("--cluster-token")),
        "{answers:?}"
    );
    stop(second).await?;
    stop(first).await?;
    Ok(())
}

#[tokio::test]
async fn an_invalid_token_is_refused_at_the_start_and_not_shown() {
    for token in ["", "open sesame", "sesäme"] {
        let config = Cluster::new().await.config().cluster_token(token);
        assert!(!format!("{config:?}").contains("sesa"));
        let error = program("refused").app.start(config).await.err().unwrap().to_string();
        assert!(error.contains("cluster token") && !error.contains("sesa") && !error.contains("sesä"), "{error}");
    }
}

#[tokio::test]
async fn workers_are_found_at_the_address_they_advertise() -> TestResult {
    let cluster = Cluster::new().await;
    let first = start(program("found").app, cluster.calm()).await?;
    let second = start(program("found").app, cluster.calm().advertise("http://localhost")).await?;
    let port = second.web_addresses()[0].port();
    let place = format!("http://localhost:{port}");
    let view = first.open(program("found").squares.view());
    eventually("it is known where the second is", async || {
        Client::of(&first).get("/tables").text.matches(&place).count() >= PARTITIONS as usize
    })
    .await;
    for number in 0..30u64 {
        assert_eq!(view.get(number).await?, None);
    }
    stop(second).await?;
    settle(std::slice::from_ref(&first)).await;
    stop(first).await?;
    let error = program("found").app.start(cluster.config().advertise("https://h:1")).await.err().unwrap().to_string();
    assert!(error.contains("https://h:1") && error.contains("http://HOST:PORT"), "{error}");
    let without = cluster.config().without_web().advertise("http://h:1");
    let error = program("found").app.start(without).await.err().unwrap().to_string();
    assert!(error.contains("--web"), "{error}");
    Ok(())
}

/// Forges records that claim all shards in the highest generation that there can be.
#[tokio::test]
async fn a_forged_record_takes_no_reads_over() -> TestResult {
    let cluster = Cluster::new().await;
    let running = start(program("forged").app, cluster.calm().cluster_token("sesame")).await?;
    let view = running.open(program("forged").squares.view());
    let claims: Vec<_> = (0..PARTITIONS)
        .map(|partition| serde_json::json!({ "partition": partition, "generation": u64::MAX, "open": true }))
        .collect();
    let forged = serde_json::json!({
        "process": "elsewhere",
        "url": "http://127.0.0.1:9",
        "started": 0,
        "silent_after": u64::MAX,
        "shards": { "squares": claims, "numbers": claims },
    });
    let mut producer = cluster.broker.producer()?;
    let to = producer.destination(&TopicPartition::new("forged-workers", Partition::new(0)))?;
    let value = forged.to_string();
    for signature in [None, Some(&[7; 32][..])] {
        let headers: Vec<_> =
            signature.map(|value| Header { name: "marlowe-signature", value: Some(value) }).into_iter().collect();
        let record = NewRecord {
            timestamp: Timestamp::from_millis(1),
            key: Some(b"mallory"),
            value: Some(value.as_bytes()),
            headers: &headers,
        };
        producer.send(to, record)?;
    }
    producer.flush().await?;
    for _ in 0..20 {
        for number in 0..20u64 {
            assert_eq!(view.get(number).await?, None);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop(running).await?;
    Ok(())
}
