//! Tests of `GET /tables/...` and of changes over HTTP, on any process.

use std::io::{Read, Write};

use serde_json::{Value, json};

use crate::common::client::Client;
use crate::program::program;
use crate::scene::{Cluster, TestResult, drain, stop};

#[tokio::test]
async fn every_process_answers_for_every_row_and_for_pages_of_all() -> TestResult {
    let cluster = Cluster::new().await;
    let mut processes = cluster.processes(3, "web", cluster.calm()).await;
    let program = program("web");
    let visits = processes[0].open(program.visits);
    for number in 0..60u64 {
        visits.send(&format!("page-{number:03}"), &number).await?;
    }
    drain(&mut processes[0]).await?;
    let mut answers: Vec<Value> = Vec::new();
    for running in &processes {
        let client = Client::of(running);
        for number in 0..60u64 {
            let row = client.get(&format!("/tables/pages/page-{number:03}")).expect(200);
            assert_eq!((&row["key"], &row["value"]), (&json!(format!("page-{number:03}")), &json!(number)));
            assert!(row["position"]["changelog"].as_u64().unwrap() > 0, "{row}");
        }
        assert!(client.get("/tables/pages/absent").error(404).contains("has no row \"absent\""));
        let page = client.get("/tables/pages?limit=25&from=page-010").expect(200);
        let keys: Vec<&str> = page["rows"].as_array().unwrap().iter().map(|row| row["key"].as_str().unwrap()).collect();
        assert!(keys.iter().copied().eq((10..35).map(|number| format!("page-{number:03}")).collect::<Vec<_>>()));
        assert_eq!(page["positions"].as_array().unwrap().len(), 6);
        let next = client.get(page["next_page"].as_str().unwrap()).expect(200);
        assert_eq!(next["rows"][0]["key"], "page-035");
        answers.push(page);
        let seen =
            |partition| client.get(&format!("/tables/here/seen?partition={partition}")).expect(200)["value"].clone();
        assert_eq!((0..6).map(|partition| seen(partition).as_u64().unwrap()).sum::<u64>(), 60);
        let tables = client.get("/tables").expect(200);
        let rows = |name: &str| {
            let table = tables.as_array().unwrap().iter().find(|table| table["name"] == name).unwrap();
            table["rows"].clone()
        };
        assert_eq!((rows("pages"), rows("here"), rows("squares")), (json!(60), json!(6), json!(0)));
        assert!(client.get("/").text.contains(">60<"));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "they all say the same");
    for running in processes {
        stop(running).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_change_sent_to_one_process_can_be_waited_for_on_another() -> TestResult {
    let cluster = Cluster::new().await;
    let processes = cluster.processes(3, "changes", cluster.calm()).await;
    let clients: Vec<_> = processes.iter().map(Client::of).collect();
    for number in 0..30usize {
        let (here, there) = (&clients[number % 3], &clients[(number + 1) % 3]);
        let path = format!("/tables/squares/{number}");
        let sent = here.post(&format!("{path}?wait=10000"), "7").expect(200);
        let at = &sent["position"]["changelog"];
        assert_eq!(there.get(&format!("{path}?at={at}&wait=5000")).expect(200)["value"], 7);
        let put = here.put(&path, "8").expect(202);
        let row = there.get(&format!("{path}?inbox={}&wait=10000", put["offset"])).expect(200);
        assert_eq!(row["value"], 8);
        there.delete(&format!("{path}?wait=10000")).expect(200);
        here.get(&path).error(404);
    }
    // If a position does not come in time, the process that was asked says so, and says how far the
    // owner is.
    for number in 0..6usize {
        let late = clients[number % 3].get(&format!("/tables/squares/{number}?at=100000&wait=30"));
        assert!(late.error(503).contains("has not reached the wanted position"), "{}", late.text);
        assert_eq!(late.header("retry-after"), "1");
        assert!(late.json()["position"]["changelog"].is_u64(), "{}", late.text);
    }
    for running in processes {
        stop(running).await?;
    }
    Ok(())
}

/// Returns a question as another worker sends it: how many rows does partition `partition` of
/// `table` have?
pub(crate) fn how_many(table: &str, partition: u32, generation: u64) -> Vec<u8> {
    let nothing = None::<u64>;
    postcard::to_stdvec(&(table, partition, generation, nothing, nothing, 0u64, nothing, 2u32)).unwrap()
}

#[tokio::test]
async fn a_worker_asked_by_another_answers_itself_or_refuses() -> TestResult {
    let cluster = Cluster::new().await;
    let processes = cluster.processes(2, "asked", cluster.calm()).await;
    let clients: Vec<_> = processes.iter().map(Client::of).collect();
    let places = clients[0].get("/tables").json()[0]["where"].clone();
    for partition in 0..6u32 {
        let owner = format!("http://{}", processes[0].web_addresses()[0]);
        let is_first = places[partition as usize]["web"] == owner;
        let (owner, other) = if is_first { (&clients[0], &clients[1]) } else { (&clients[1], &clients[0]) };
        assert_eq!(owner.send("/cluster/v1/read", &how_many("pages", partition, 0)).status, 200);
        // The worker does not ask the owner itself, so questions cannot go in circles.
        let refused = other.send("/cluster/v1/read", &how_many("pages", partition, 0));
        assert!(refused.error(421).contains("is not with worker"), "{}", refused.text);
        assert_eq!(refused.json()["generation"], json!(null));
        // A worker that is asked about a later generation than its own says when it took the shard.
        let superseded = owner.send("/cluster/v1/read", &how_many("pages", partition, u64::MAX));
        superseded.error(421);
        assert!(superseded.json()["generation"].is_u64(), "{}", superseded.text);
    }
    assert!(clients[0].send("/cluster/v1/read", b"\xff").error(400).contains("the same version"));
    clients[0].send("/cluster/v1/read", &how_many("nothing", 0, 0)).error(421);
    // A question that would wait forever waits only as long as any question may, so it does no
    // harm.
    let nothing = None::<u64>;
    let ever = postcard::to_stdvec(&("pages", 0u32, 0u64, Some(u64::MAX), nothing, u64::MAX, nothing, 3u32)).unwrap();
    for running in &processes {
        let mut stream = std::net::TcpStream::connect(running.web_addresses()[0])?;
        write!(stream, "POST /cluster/v1/read HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n", ever.len())?;
        stream.write_all(&ever)?;
        stream.set_read_timeout(Some(std::time::Duration::from_millis(700)))?;
        let (mut answer, mut some) = (String::new(), [0; 4096]);
        if let Ok(count) = stream.read(&mut some) {
            answer = String::from_utf8_lossy(&some[..count]).into_owned();
        }
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 421"), "{answer}");
    }
    for running in processes {
        stop(running).await?;
    }
    Ok(())
}
