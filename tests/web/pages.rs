//! Tests of `GET /tables/{table}`: pages of rows.

use serde_json::{Value, json};

use crate::common::TestResult;
use crate::common::client::Client;
use crate::program::{page, program};

/// Returns all rows, read page by page, and the number of pages.
fn all(client: &Client, first: &str) -> (Vec<Value>, usize) {
    let (mut rows, mut pages, mut path) = (Vec::new(), 0, first.to_owned());
    loop {
        let page = client.get(&path).expect(200);
        rows.extend(page["rows"].as_array().unwrap().iter().cloned());
        pages += 1;
        match &page["next_page"] {
            Value::String(next) => path = next.clone(),
            _ => return (rows, pages),
        }
    }
}

fn keys(rows: &[Value]) -> Vec<Value> {
    rows.iter().map(|row| row["key"].clone()).collect()
}

#[tokio::test]
async fn pages_go_through_all_partitions_in_key_order() -> TestResult {
    let (running, clients) = program().visited(2, 101).await?;
    let expected: Vec<Value> = (0..101).map(|number| json!(page(number))).collect();
    for client in &clients {
        for limit in [1, 7, 100, 101, 10_000] {
            let (rows, pages) = all(client, &format!("/tables/pages?limit={limit}"));
            assert_eq!(keys(&rows), expected, "limit {limit}");
            assert_eq!(pages, 101_usize.div_ceil(limit));
        }
    }
    let first = clients[0].get("/tables/pages").expect(200);
    assert_eq!((first["rows"].as_array().unwrap().len(), &first["next"]), (100, &json!("page-0100")));
    assert_eq!(first["positions"].as_array().unwrap().len(), 4);
    let second = clients[0].get("/tables/pages?from=page-0100").expect(200);
    assert_eq!((keys(second["rows"].as_array().unwrap()), &second["next"]), (vec![json!("page-0100")], &json!(null)));
    running.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_page_may_begin_anywhere_and_be_of_a_prefix() -> TestResult {
    let (running, clients) = program().visited(1, 30).await?;
    let client = &clients[0];
    let (rows, _) = all(client, "/tables/pages?prefix=page-001&limit=3");
    assert_eq!(keys(&rows), (10..20).map(|number| json!(page(number))).collect::<Vec<_>>());
    let (rows, _) = all(client, "/tables/pages?prefix=page-001&from=page-0015&limit=2");
    assert_eq!(keys(&rows), (15..20).map(|number| json!(page(number))).collect::<Vec<_>>());
    for none in ["prefix=page-001&from=page-0020", "prefix=zzz", "from=zzz"] {
        let page = client.get(&format!("/tables/pages?{none}")).expect(200);
        assert_eq!((&page["rows"], &page["next"]), (&json!([]), &json!(null)), "{none}");
    }
    // If `from` is before the prefix, the page begins with the prefix.
    let (rows, _) = all(client, "/tables/pages?prefix=page-002&from=a");
    assert_eq!(rows.len(), 10);
    assert!(client.get("/tables/pages?limit=0").error(400).contains("from 1 to 10000"));
    assert!(client.get("/tables/pages?limit=10001").error(400).contains("from 1 to 10000"));
    assert!(client.get("/tables/nope").error(404).contains("no table `nope`"));
    running.stop().await?;
    Ok(())
}

#[tokio::test]
async fn integers_and_bytes_come_in_their_own_order() -> TestResult {
    let (running, clients) = program().start(1).await?;
    let client = &clients[0];
    for number in [10, -3, 2, 0, -20, 100] {
        client.put(&format!("/tables/numbers/{number}?wait=5000"), "\"n\"").expect(200);
    }
    let (rows, _) = all(client, "/tables/numbers?limit=2");
    assert_eq!(keys(&rows), [-20, -3, 0, 2, 10, 100].map(|number| json!(number)));
    let (rows, _) = all(client, "/tables/numbers?from=-3&limit=4");
    assert_eq!(rows.len(), 5);
    assert!(client.get("/tables/numbers?prefix=1").error(400).contains("keys that are text"));
    assert!(client.get("/tables/numbers?from=x").error(400).contains("i32"));
    for key in ["%00", "%FF", "a%2F", "%C3%28"] {
        client.put(&format!("/tables/raw/{key}?wait=5000"), "1").expect(200);
    }
    let (rows, _) = all(client, "/tables/raw?limit=1");
    assert_eq!(keys(&rows), [json!("\0"), json!("a/"), json!([0xC3, 0x28]), json!([0xFF])]);
    running.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_partition_local_table_shows_each_partitions_row() -> TestResult {
    let (running, clients) = program().visited(2, 60).await?;
    let client = &clients[1];
    for limit in 1..6 {
        let (rows, _) = all(client, &format!("/tables/here?limit={limit}"));
        let partitions: Vec<&Value> = rows.iter().map(|row| &row["partition"]).collect();
        assert_eq!(partitions, [&json!(0), &json!(1), &json!(2), &json!(3)], "limit {limit}");
        assert_eq!(rows.iter().map(|row| row["value"].as_u64().unwrap()).sum::<u64>(), 60);
    }
    let (rows, _) = all(client, "/tables/here?partition=2");
    assert_eq!((rows.len(), &rows[0]["partition"]), (1, &json!(2)));
    running.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_global_table_is_paged_from_the_workers_copy() -> TestResult {
    let (running, clients) = program().start(2).await?;
    for number in 0..25 {
        clients[0].post(&format!("/tables/totals/{}?wait=5000", page(number)), "1").expect(200);
    }
    let inbox = clients[0].post("/tables/totals/last?wait=5000", "1").expect(200);
    clients[1].get(&format!("/tables/totals/last?inbox={}&wait=5000", inbox["offset"])).expect(200);
    let (rows, pages) = all(&clients[0], "/tables/totals?prefix=page&limit=10");
    assert_eq!((rows.len(), pages), (25, 3));
    let home = |row: &Value| {
        clients[0].get(&format!("/tables/totals/{}", row["key"].as_str().unwrap())).json()["partition"].clone()
    };
    assert!(rows.iter().all(|row| row["partition"] == home(row)));
    assert!(clients[0].get("/tables/totals?partition=1").error(400).contains("leave out ?partition="));
    running.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_page_ends_at_16_mib_and_the_next_ones_have_the_rest() -> TestResult {
    let (running, clients) = program().start(1).await?;
    let client = &clients[0];
    // The rows are so large that a page of 16 MiB has fewer rows than each of the limits allows.
    let large = |number: i32| format!("{number:06}").repeat(150_000 - 100 * number as usize);
    for number in 0..40 {
        client.put(&format!("/tables/numbers/{number}?wait=10000"), &format!("\"{}\"", large(number))).expect(200);
    }
    for first in ["/tables/numbers?limit=10000", "/tables/numbers?limit=25"] {
        let (mut path, mut seen, mut pages) = (Some(first.to_owned()), 0, 0);
        while let Some(next) = path {
            let answer = client.get(&next);
            assert!(answer.text.len() <= (16 << 20) + (1 << 16), "{} bytes", answer.text.len());
            assert_eq!(answer.header("content-type"), "application/json");
            let page = answer.expect(200);
            for row in page["rows"].as_array().unwrap() {
                assert_eq!((&row["key"], &row["value"]), (&json!(seen), &json!(large(seen))));
                seen += 1;
            }
            assert_eq!(page["positions"].as_array().unwrap().len(), 4);
            path = page["next_page"].as_str().map(str::to_owned);
            pages += 1;
        }
        assert_eq!((seen, pages), (40, 3), "{first}");
    }
    running.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_page_that_nobody_reads_holds_up_nothing() -> TestResult {
    use std::io::Write;

    let (running, clients) = program().start(1).await?;
    for number in 0..30 {
        clients[0]
            .put(&format!("/tables/numbers/{number}?wait=10000"), &format!("\"{}\"", "x".repeat(900_000)))
            .expect(200);
    }
    let unread: Vec<std::net::TcpStream> = (0..20)
        .map(|_| {
            let mut stream = std::net::TcpStream::connect(running.web_addresses()[0])?;
            stream.write_all(b"GET /tables/numbers?limit=10000 HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
            Ok(stream)
        })
        .collect::<std::io::Result<_>>()?;
    for number in 0..30 {
        clients[0].get("/healthz").expect(200);
        clients[0].get(&format!("/tables/pages/{number}")).error(404);
    }
    drop(unread);
    running.stop().await?;
    Ok(())
}
