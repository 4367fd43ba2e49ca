//! Tests of the program's own routes, which the worker that owns a request's key answers.

use std::time::Duration;

use marlowe::axum::extract::{Path, Request, State};
use marlowe::axum::http::{HeaderMap, HeaderName, StatusCode};
use marlowe::axum::response::{IntoResponse, Response};
use marlowe::axum::routing::{any, get};
use marlowe::axum::{Json, Router};
use marlowe::table::TableView;
use marlowe::web::{Forwarded, WebState};
use marlowe::{App, Running};
use serde_json::{Value, json};

use crate::common::client::Client;
use crate::program::{Program, crash_an_owner, owners, program, settle};
use crate::scene::{Cluster, TestResult, drain, eventually, start, stop};
use crate::signature::Signature;

const TENANT: HeaderName = HeaderName::from_static("x-tenant");

#[derive(Clone)]
struct Here {
    worker: String,
    pages: TableView<String, u64>,
}

/// Answers with the whole request and the name of the worker.
async fn echo(State(here): State<Here>, request: Request) -> Json<Value> {
    let (parts, body) = request.into_parts();
    let body = marlowe::axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let headers: Vec<(String, String)> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    Json(json!({
        "worker": here.worker,
        "method": parts.method.as_str(),
        "uri": parts.uri.to_string(),
        "headers": headers,
        "body": String::from_utf8_lossy(&body),
    }))
}

/// Answers with a row as this process has it, and with the name of the worker.
async fn row(State(here): State<Here>, Path(page): Path<String>) -> Response {
    match here.pages.get(&page).await {
        Ok(value) => Json(json!({ "worker": here.worker, "value": value })).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn teapot(headers: HeaderMap) -> Response {
    let headers = [("x-seen", headers.len().to_string()), ("x-own", "kept".to_owned())];
    (StatusCode::MISDIRECTED_REQUEST, headers, "the handler's own").into_response()
}

fn routes(program: &mut Program) {
    let pages = program.pages;
    program.app.web(move |worker: WebState| {
        let to_owner = worker.owner_of(pages).within(Duration::from_secs(20));
        let hasty = worker.owner_of(pages).within(Duration::from_millis(400));
        // The worker that owns a row reads it without waiting.
        let here = Here {
            worker: worker.worker().to_owned(),
            pages: worker.open(pages.view()).within(Duration::from_millis(1)),
        };
        let one = to_owner.clone();
        let by_hand = async move |State(here): State<Here>, request: Request| -> Response {
            match one.forward("by-hand", request).await {
                Forwarded::Here(_) => here.worker.into_response(),
                Forwarded::Elsewhere(response) => response,
            }
        };
        let echoes = Router::new().route("/{key}/more", any(echo)).route_layer(to_owner.clone().by_path("key"));
        Router::new()
            .nest("/echo", echoes)
            .route("/rows/{page}", get(row).route_layer(to_owner.clone().by_path("page")))
            .route("/hasty/{page}", get(row).route_layer(hasty.by_path("page")))
            .route("/query", any(echo).layer(to_owner.clone().by_query("page")))
            .route("/teapot/{key}", any(teapot).layer(to_owner.clone().by_path("key")))
            .route("/tenant/{key}", any(echo).layer(to_owner.clone().headers([TENANT]).by_path("key")))
            .route("/small/{key}", any(echo).layer(to_owner.clone().body_limit(10).by_path("key")))
            .route("/mistaken/{key}", any(echo).layer(to_owner.by_path("page")))
            .route("/by-hand", get(by_hand))
            .with_state(here)
    });
}

async fn processes(number: usize, name: &str, config: marlowe::Config) -> Vec<Running> {
    let mut processes = Vec::new();
    for _ in 0..number {
        let mut program = program(name);
        routes(&mut program);
        processes.push(start(program.app, config.clone()).await.unwrap());
        settle(&processes).await;
    }
    processes
}

fn worker(client: &Client) -> String {
    client.get("/readyz").json()["worker"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_request_and_its_answer_are_forwarded_unchanged() -> TestResult {
    let cluster = Cluster::new().await;
    let mut processes = processes(3, "forward", cluster.calm().cluster_token("sesame")).await;
    let clients: Vec<_> = processes.iter().map(Client::of).collect();
    for number in 0..12 {
        let path = format!("/echo/page%2F{number}%20x/more?a=1&b=%26&a=2");
        let headers = [("authorization", "Bearer mine"), ("cookie", "a=b"), ("x-many", "1"), ("x-many", "2")];
        let answers: Vec<Value> = clients
            .iter()
            .map(|client| client.ask("PATCH", &path, &headers, &format!("body {number}")).expect(200))
            .collect();
        for answer in &answers {
            assert_eq!(answer["worker"], answers[0]["worker"], "one worker has the key, whoever is asked");
            assert_eq!((&answer["method"], &answer["body"]), (&json!("PATCH"), &json!(format!("body {number}"))));
            // A nested route sees only the part of the path below it.
            assert_eq!(answer["uri"], path.strip_prefix("/echo").unwrap());
            let said = answer["headers"].as_array().unwrap();
            for (name, value) in headers {
                assert!(said.contains(&json!([name, value])), "{name}: {value} is not in {said:?}");
            }
            assert!(!said.iter().any(|header| header[0].as_str().unwrap().starts_with("marlowe")), "{said:?}");
        }
    }
    for client in &clients {
        let answer = client.ask("DELETE", "/query?page=some+page&x=1", &[], "");
        assert_eq!(answer.expect(200)["uri"], "/query?page=some+page&x=1");
        assert!(client.get("/query?pages=1").error(400).contains("`?page=` is missing"));
        let teapot = client.get("/teapot/x");
        assert_eq!((teapot.status, teapot.text.as_str()), (421, "the handler's own"));
        assert_eq!(teapot.header("x-own"), "kept");
        assert_eq!(client.ask("HEAD", "/rows/page-1", &[], "").status, 200);
        assert!(client.get("/mistaken/x").error(500).contains("no parameter `page`"));
    }
    let by_hand: Vec<String> = clients.iter().map(|client| client.get("/by-hand").text).collect();
    assert!(by_hand.iter().all(|worker| *worker == by_hand[0]) && !by_hand[0].is_empty(), "{by_hand:?}");
    // Only a body that is forwarded is limited. At the owner the handler decides.
    let statuses: Vec<u16> =
        clients.iter().map(|client| client.ask("PUT", "/small/x", &[], "0123456789abc").status).collect();
    assert_eq!((statuses.iter().filter(|status| **status == 413).count(), statuses.iter().sum::<u16>()), (2, 1026));
    // Each row is read on the worker that owns it.
    let visits = processes[0].open(program("forward").visits);
    for number in 0..40u64 {
        visits.send(&format!("page-{number}"), &number).await?;
    }
    drain(&mut processes[0]).await?;
    for client in processes.iter().map(Client::of) {
        for number in 0..40u64 {
            assert_eq!(client.get(&format!("/rows/page-{number}")).expect(200)["value"], number);
        }
    }
    for running in processes {
        stop(running).await?;
    }
    Ok(())
}

/// Forwards without a cluster token. Then nothing proves that the worker that claims the key really
/// owns it, so secrets must not be sent to it.
#[tokio::test]
async fn without_a_token_only_necessary_headers_are_forwarded() -> TestResult {
    let cluster = Cluster::new().await;
    let processes = processes(2, "sparing", cluster.calm()).await;
    let clients: Vec<_> = processes.iter().map(Client::of).collect();
    let owner = clients[0].get("/echo/k/more").expect(200)["worker"].clone();
    let at = usize::from(worker(&clients[0]) != owner);
    let headers = [
        ("authorization", "Bearer mine"),
        ("cookie", "a=b"),
        ("x-tenant", "7"),
        ("x-other", "8"),
        ("accept-language", "de"),
        ("content-type", "text/x-own"),
    ];
    let said = |number: usize, path: &str| -> Vec<&str> {
        let answer = clients[number].ask("PUT", path, &headers, "body").expect(200);
        assert_eq!((&answer["worker"], &answer["body"]), (&owner, &json!("body")));
        let said = answer["headers"].as_array().unwrap().clone();
        headers.into_iter().filter(|(name, value)| said.contains(&json!([name, value]))).map(|(name, _)| name).collect()
    };
    let all: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    assert_eq!(said(at, "/echo/k/more"), all, "it is not forwarded");
    assert_eq!(said(1 - at, "/echo/k/more"), ["accept-language", "content-type"]);
    assert_eq!(said(1 - at, "/tenant/k"), ["x-tenant", "accept-language", "content-type"]);
    for running in processes {
        stop(running).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_request_is_forwarded_once_and_a_wrong_worker_says_so() -> TestResult {
    let cluster = Cluster::new().await;
    let processes = processes(2, "once", cluster.calm().cluster_token("sesame")).await;
    let clients: Vec<_> = processes.iter().map(Client::of).collect();
    let owner = clients[0].get("/echo/k/more").expect(200)["worker"].clone();
    let at = usize::from(worker(&clients[0]) != owner);
    let owner = &clients[at];
    let forward = |worker: usize, number: u8, token: &str, hop: &str, callers: [&str; 2]| {
        let [caller, signed_caller] = callers;
        let (kind, path) = (("content-type", "text/plain"), "/echo/k/more");
        let signed = [kind, ("marlowe-caller", signed_caller), ("marlowe-hop", hop)];
        let signature =
            Signature { token, method: "POST", path, headers: &signed, body: b"body", millis_ago: 0, number };
        let signature = signature.to(&processes[worker]);
        let said = [kind, ("marlowe-hop", hop), ("marlowe-caller", caller), ("marlowe-signed", &signature)];
        clients[worker].ask("POST", path, &said, "body")
    };
    let ada = ["write ada"; 2];
    let refused = forward(1 - at, 0, "sesame", "0 0", ada);
    refused.error(421);
    assert_eq!(refused.header("marlowe-misdirected"), "1");
    forward(at, 0, "sesame", "0 0", ada).expect(200);
    assert!(forward(at, 0, "sesame", "0 0", ada).error(401).contains("received before"));
    // A worker has lost a shard if the asker knows of an owner in a later generation.
    let newer = format!("{} 0", u64::MAX);
    forward(at, 1, "sesame", &newer, ada).error(421);
    assert!(forward(at, 2, "sesam", "0 0", ada).error(401).contains("--cluster-token"));
    assert!(forward(at, 2, "sesame", "0 0", ["write ada", "read ada"]).error(401).contains("--cluster-token"));
    assert!(owner.ask("POST", "/echo/k/more", &[("marlowe-hop", "0 0")], "body").error(401).contains("cluster token"));
    for running in processes {
        stop(running).await?;
    }
    Ok(())
}

#[tokio::test]
async fn requests_for_a_key_without_an_owner_wait_and_then_get_503() -> TestResult {
    let cluster = Cluster::new().await;
    let mut config = cluster.config();
    config.session_timeout = Duration::from_secs(3);
    let mut processes = processes(3, "come-back", config).await;
    crash_an_owner("pages", &mut processes);
    let clients: Vec<_> = processes.iter().map(Client::of).collect();
    let keys: Vec<String> = (0..40).map(|number| format!("page-{number}")).collect();
    let told: Vec<_> = keys.iter().map(|key| clients[0].get(&format!("/hasty/{key}"))).collect();
    let refused = told.iter().find(|answer| answer.status != 200).expect("some keys were the crashed one's");
    assert!(refused.error(503).contains("no worker has it open"), "{}", refused.text);
    assert_eq!(refused.header("retry-after"), "1");
    for key in &keys {
        clients[1].get(&format!("/rows/{key}")).expect(200);
    }
    let own: Vec<String> = processes.iter().map(|running| format!("http://{}", running.web_addresses()[0])).collect();
    eventually("the others have all", async || owners(&clients[0]) == own.iter().cloned().collect()).await;
    for key in &keys {
        let workers: Vec<Value> =
            clients.iter().map(|client| client.get(&format!("/rows/{key}")).expect(200)["worker"].clone()).collect();
        assert_eq!(workers[0], workers[1]);
    }
    for running in processes {
        stop(running).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_shards_move_every_request_is_answered_by_an_owner() -> TestResult {
    let cluster = Cluster::new().await;
    let mut processes = processes(2, "on-the-move", cluster.calm()).await;
    let clients: Vec<_> = processes.iter().map(Client::of).collect();
    let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut asking = Vec::new();
    for (number, client) in clients.into_iter().enumerate() {
        let done = done.clone();
        asking.push(tokio::task::spawn_blocking(move || {
            let mut asked = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                // A handler that runs on a worker without the key fails, because it does not wait
                // for rows.
                let answer = client.get(&format!("/rows/page-{}", (asked + number) % 24));
                let retried =
                    answer.status == 500 && client.get(&format!("/rows/page-{}", (asked + number) % 24)).status == 200;
                assert!(answer.status == 200 || retried, "{}", answer.text);
                asked += 1;
            }
            asked
        }));
    }
    for _ in 0..3 {
        let mut third = program("on-the-move");
        routes(&mut third);
        processes.push(start(third.app, cluster.calm()).await?);
        settle(&processes).await;
        stop(processes.pop().unwrap()).await?;
        settle(&processes).await;
    }
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    for asking in asking {
        assert!(asking.await? > 24);
    }
    for running in processes {
        stop(running).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_route_by_a_table_without_owners_is_refused() {
    let mut app = App::new("no-owner");
    let here = app.table::<String, u64>("here").partition_local();
    app.web(move |worker| {
        Router::new().route("/{key}", get(async || "x")).route_layer(worker.owner_of(here).by_path("key"))
    });
    let error = app.start(Cluster::new().await.config()).await.err().unwrap().to_string();
    assert!(error.contains("table `here`") && error.contains("no owner to route to"), "{error}");
}
