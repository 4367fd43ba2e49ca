//! Tests of `GET /tables` and `GET /tables/{table}/{key}`.

use serde_json::json;

use crate::common::TestResult;
use crate::program::{page, program};

#[tokio::test]
async fn every_worker_answers_for_every_key() -> TestResult {
    let (running, clients) = program().visited(2, 40).await?;
    for client in &clients {
        for number in 0..40 {
            let row = client.get(&format!("/tables/pages/{}", page(number))).expect(200);
            assert_eq!(row["key"], json!(page(number)));
            assert_eq!(row["value"], json!(number));
            assert!(row["partition"].as_u64().unwrap() < 4);
            assert!(row["position"]["changelog"].as_u64().unwrap() > 0, "{row}");
        }
        let total = client.get("/tables/totals/visits").expect(200);
        assert_eq!(total["value"], json!(40), "the copy is current after a drain");
        assert!(total["position"]["inbox"].as_u64().unwrap() > 0, "{total}");
    }
    running.stop().await?;
    Ok(())
}

#[tokio::test]
async fn the_list_says_where_each_table_is() -> TestResult {
    let (running, clients) = program().visited(2, 20).await?;
    let webs: Vec<String> = running.web_addresses().iter().map(|address| format!("http://{address}")).collect();
    let tables = clients[0].get("/tables").expect(200);
    let names: Vec<&str> = tables.as_array().unwrap().iter().map(|table| table["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["pages", "totals", "here", "numbers", "pairs", "raw"]);
    let pages = &tables[0];
    assert_eq!((&pages["kind"], &pages["partitions"], &pages["rows"]), (&json!("table"), &json!(4), &json!(20)));
    assert_eq!(pages["inbox"], "web-test-pages-inbox");
    assert_eq!(tables[1]["kind"], "global");
    assert_eq!((&tables[2]["partition_local"], &tables[2]["inbox"]), (&json!(true), &json!(null)));
    let places = pages["where"].as_array().unwrap();
    assert_eq!(places.len(), 4);
    for web in &webs {
        assert!(places.iter().any(|place| place["web"] == **web), "{web} has none of {places:?}");
    }
    running.stop().await?;
    Ok(())
}

#[tokio::test]
async fn keys_are_read_as_the_table_writes_them() -> TestResult {
    let (running, clients) = program().start(1).await?;
    let client = &clients[0];
    for (path, key, value) in [
        ("/tables/numbers/-7", json!(-7), json!("minus seven")),
        ("/tables/pairs/%5B%22a%2Fb%22%2C%203%5D", json!(["a/b", 3]), json!([1, 2])),
        ("/tables/pages/%2Fhome", json!("/home"), json!(1)),
        ("/tables/pages/a%20b%2Bc%25%C3%BC", json!("a b+c%ü"), json!(2)),
        ("/tables/pages/", json!(""), json!(3)),
        ("/tables/raw/%FF%00x", json!([255, 0, 120]), json!(4)),
    ] {
        client.post(&format!("{path}?wait=5000"), &value.to_string()).expect(200);
        let row = client.get(path).expect(200);
        assert_eq!((&row["key"], &row["value"]), (&key, &value), "{path}");
    }
    // A path may have slashes as they are, and may write a number in another way. The key is the
    // same.
    assert_eq!(client.get("/tables/pages//home").expect(200)["key"], "/home");
    assert_eq!(client.get("/tables/pairs/%5B%22a%2Fb%22,3%5D").expect(200)["value"], json!([1, 2]));
    client.post("/tables/numbers/0012?wait=5000", "\"twelve\"").expect(200);
    assert_eq!(client.get("/tables/numbers/12").expect(200)["value"], "twelve");
    running.stop().await?;
    Ok(())
}

#[tokio::test]
async fn an_answer_that_is_no_row_says_why() -> TestResult {
    let (running, clients) = program().visited(1, 5).await?;
    let client = &clients[0];
    let error = client.get("/tables/nope/x").error(404);
    assert!(error.contains("no table `nope`") && error.contains("`pages`, `totals`"), "{error}");
    let answer = client.get("/tables/pages/absent");
    assert!(answer.error(404).contains("has no row \"absent\""), "{}", answer.text);
    assert!(answer.json()["position"]["changelog"].is_u64() && answer.json()["partition"].is_u64(), "{}", answer.text);
    assert_eq!(client.get("/tables/totals/absent").status, 404);
    let error = client.get("/tables/numbers/seven").error(400);
    assert!(error.contains("table `numbers`") && error.contains("a key of type i32"), "{error}");
    assert!(client.get("/tables/pairs/a").error(400).contains("(String, u32)"));
    assert!(client.get("/tables/pages/%FF").error(400).contains("UTF-8"));
    assert!(client.get("/tables/pages/x?wiat=5").error(400).contains("`?wiat=` is not known"));
    assert!(client.get("/tables/pages/x?wait=-5").error(400).contains("whole number"));
    assert!(client.get("/tables/pages/x?wait=10001").error(400).contains("at most 10000"));
    running.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_row_of_a_partition_local_table_needs_its_partition() -> TestResult {
    let (running, clients) = program().visited(1, 40).await?;
    let client = &clients[0];
    assert!(client.get("/tables/here/seen").error(400).contains("choose one with ?partition="));
    assert!(client.get("/tables/here/seen?partition=4").error(400).contains("4 partitions"));
    let seen = |partition| {
        let row = client.get(&format!("/tables/here/seen?partition={partition}")).expect(200);
        assert_eq!(row["partition"], json!(partition));
        row["value"].as_u64().unwrap()
    };
    assert_eq!((0..4).map(seen).sum::<u64>(), 40);
    // In other tables the key determines the partition.
    let home = client.get("/tables/pages/page-0001").expect(200)["partition"].as_u64().unwrap();
    assert_eq!(client.get(&format!("/tables/pages/page-0001?partition={home}")).status, 200);
    let elsewhere = client.get(&format!("/tables/pages/page-0001?partition={}", (home + 1) % 4));
    assert!(elsewhere.error(400).contains(&format!("is partition {home}")));
    running.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_read_waits_for_the_position_it_wants() -> TestResult {
    let (running, clients) = program().visited(1, 5).await?;
    let client = &clients[0];
    let row = client.get("/tables/pages/page-0001").expect(200);
    let at = row["position"]["changelog"].as_u64().unwrap();
    assert_eq!(client.get(&format!("/tables/pages/page-0001?at={at}")).status, 200);
    let late = client.get(&format!("/tables/pages/page-0001?at={}&wait=50", at + 1000));
    assert!(late.error(503).contains("has not reached the wanted position"), "{}", late.text);
    assert_eq!(late.header("retry-after"), "1");
    for table in ["numbers/1", "totals/visits"] {
        let body = if table == "numbers/1" { "\"one\"" } else { "100" };
        let sent = client.post(&format!("/tables/{table}"), body).expect(202);
        let row = client.get(&format!("/tables/{table}?inbox={}&wait=10000", sent["offset"])).expect(200);
        assert_eq!(row["value"], if table == "numbers/1" { json!("one") } else { json!(105) });
    }
    running.stop().await?;
    Ok(())
}
