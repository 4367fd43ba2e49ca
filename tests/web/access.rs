//! Tests of who may ask a worker for what: tokens and their roles, sessions of browsers, hosts, and
//! pages of other sites.

use std::net::SocketAddr;

use marlowe::axum::http::HeaderMap;
use marlowe::axum::{Router, routing::get};
use marlowe::config::WebToken;
use marlowe::web::Caller;
use marlowe::{Config, Running};

use crate::common::TestResult;
use crate::common::address::any_port;
use crate::common::client::{Answer, Client};
use crate::common::worker;
use crate::program::{Program, program};

async fn start(program: Program, config: Config) -> TestResult<(Running, Client)> {
    let running = worker::start(program.app, config.web(any_port())).await?;
    let client = Client::of(&running);
    Ok((running, client))
}

/// Returns a program with a route that tells who asks.
fn who() -> Program {
    let mut program = program();
    program.app.web(|_| {
        let who = async |caller: Caller| format!("{:?} {}", caller.role, caller.name.as_deref().unwrap_or("nobody"));
        let secrets = async |headers: HeaderMap| {
            let said =
                |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("none").to_owned();
            format!("{}, {}", said("authorization"), said("cookie"))
        };
        Router::new().route("/who", get(who).post(who)).route("/secrets", get(secrets))
    });
    program
}

fn tokens() -> Config {
    Config::default().web_token(WebToken::write("open-sesame").named("ada")).web_token("read:look-around")
}

fn with(client: &Client, token: &str, method: &str, path: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    client.ask(method, path, &[("authorization", &bearer)], if method == "POST" { "1" } else { "" })
}

#[tokio::test]
async fn a_request_needs_a_token_whose_role_suffices() -> TestResult {
    let (running, client) = start(who(), tokens()).await?;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(client.get(path).status, 200, "{path}");
    }
    for path in ["/", "/tables", "/tables/pages", "/tables/pages/home", "/metrics", "/topology", "/who", "/nowhere"] {
        for refused in [client.get(path), with(&client, "open-sesam", "GET", path)] {
            assert!(refused.error(401).contains("--web-token"), "{path}: {}", refused.text);
            assert!(refused.header("www-authenticate").starts_with("Bearer"));
        }
        let allowed = with(&client, "look-around", "GET", path).status;
        assert!(
            allowed == 200 || path.ends_with("home") && allowed == 404 || path == "/nowhere" && allowed == 404,
            "{path}"
        );
    }
    client.post("/tables/pages/home", "1").error(401);
    client.post("/topics/visits", r#"{"key":"k","value":1}"#).error(401);
    for (method, path) in [("POST", "/tables/pages/home"), ("DELETE", "/tables/pages/home"), ("POST", "/who")] {
        let refused = with(&client, "look-around", method, path);
        assert!(refused.error(403).contains("may only read"), "{}", refused.text);
    }
    with(&client, "open-sesame", "POST", "/tables/pages/home?wait=5000").expect(200);
    assert_eq!(with(&client, "look-around", "GET", "/tables/pages/home").expect(200)["value"], 1);
    assert_eq!(with(&client, "open-sesame", "GET", "/who").text, "Write ada");
    assert_eq!(with(&client, "look-around", "GET", "/who").text, "Read nobody");
    assert_eq!(with(&client, "look-around", "GET", "/secrets").text, "none, none");
    // Only another worker may say on whose behalf it forwards a request.
    let forged = [("marlowe-hop", "1 1"), ("marlowe-caller", "write root"), ("marlowe-signed", "0 x 0 x x")];
    client.ask("GET", "/who", &forged, "").error(401);
    client.send("/cluster/v1/read", b"x").error(401);
    running.stop().await?;
    Ok(())
}

#[tokio::test]
async fn without_tokens_everyone_may_change_unless_read_only() -> TestResult {
    let (running, client) = start(who(), Config::default()).await?;
    assert_eq!(client.get("/who").text, "Write nobody");
    assert_eq!(with(&client, "its-own", "GET", "/secrets").text, "Bearer its-own, none");
    assert_eq!(client.get("/login").status, 404, "the path is the program's");
    running.stop().await?;
    for config in [Config::default().web_read_only(), tokens().web_read_only()] {
        let (running, client) = start(who(), config).await?;
        let refused = with(&client, "open-sesame", "POST", "/tables/pages/home");
        assert!(refused.error(403).contains("--web-read-only"), "{}", refused.text);
        with(&client, "open-sesame", "POST", "/topics/visits").error(403);
        assert!(with(&client, "open-sesame", "GET", "/who").text.starts_with("Read"));
        running.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_browser_logs_in_and_out() -> TestResult {
    let (running, client) = start(who(), tokens()).await?;
    let own = format!("http://{}", running.web_addresses()[0]);
    let browser = |method: &str, path: &str, cookie: &str, body: &str| {
        let form = ("content-type", "application/x-www-form-urlencoded");
        let headers = [("accept", "text/html"), ("cookie", cookie), ("origin", own.as_str()), form];
        client.ask_once(method, path, &headers, body)
    };
    let page = browser("GET", "/tables?x=%22", "", "");
    assert_eq!(page.status, 401);
    assert!(
        page.text.contains("<form method=\"post\" action=\"/login\">") && page.text.contains("value=\"/tables?x=%22\"")
    );
    assert!(!page.text.contains("{{") && !page.text.contains("http"), "nothing comes from elsewhere");
    let policy = page.header("content-security-policy").to_owned();
    assert!(policy.contains("default-src 'none'") && policy.contains("form-action 'self'"), "{policy}");
    assert!(policy.contains("style-src 'sha256-") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(browser("GET", "/login", "", "").status, 200);

    let wrong = browser("POST", "/login", "", "token=open&to=%2F");
    assert!(
        wrong.status == 401
            && wrong.text.contains("does not know this token")
            && !wrong.headers.contains_key("set-cookie")
    );
    let in_again = browser("POST", "/login", "", "token=open-sesame&to=%2Fwho");
    assert_eq!((in_again.status, in_again.header("location")), (303, "/who"));
    assert_eq!(browser("POST", "/login", "", "token=open-sesame&to=%2F%2Fevil.example").header("location"), "/");
    let said = in_again.header("set-cookie").to_owned();
    assert!(said.contains("; HttpOnly; SameSite=Strict") && !said.contains("sesame"), "{said}");
    let cookie = said.split(';').next().unwrap_or_default();
    assert_eq!(browser("GET", "/who", cookie, "").text, "Write ada");
    assert_eq!(browser("GET", "/secrets", &format!("{cookie}; own=1"), "").text, "none, own=1");
    let index = browser("GET", "/", cookie, "");
    assert!(index.status == 200 && index.text.contains("action=\"/logout\""), "{}", index.text);
    assert_eq!(browser("POST", "/tables/pages/home", cookie, "1").status, 202);
    // A cookie of the role `read` allows no change, and a cookie that was altered is refused.
    let reads = browser("POST", "/login", "", "token=look-around").header("set-cookie").to_owned();
    assert_eq!(browser("POST", "/tables/pages/home", reads.split(';').next().unwrap_or_default(), "1").status, 403);
    assert_eq!(browser("GET", "/who", &format!("{cookie}0"), "").status, 401);
    // A page of another site cannot use the cookie.
    let other = [("cookie", cookie), ("origin", "http://evil.example")];
    client.ask("POST", "/tables/pages/home", &other, "1").error(403);

    let out = browser("POST", "/logout", cookie, "");
    assert_eq!((out.status, out.header("location")), (303, "/"));
    assert!(out.header("set-cookie").contains("Max-Age=0"));
    running.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_host_that_is_not_the_workers_is_refused() -> TestResult {
    let config = Config::default().web_host("Worker.Example").advertise("http://advertised.example:80");
    let (running, client) = start(program(), config).await?;
    let ask = |host: &str| client.ask("GET", "/tables", &[("host", host)], "");
    for host in ["localhost", "127.0.0.1:1", "[::1]", "worker.example:80", "ADVERTISED.example"] {
        assert_eq!(ask(host).status, 200, "{host}");
    }
    for host in ["evil.example", "0.0.0.0:6066", "worker.example.evil.example"] {
        let error = ask(host).error(403);
        assert!(error.contains(host) && error.contains("--web-host"), "{error}");
    }
    client
        .ask("POST", "/tables/pages/home", &[("host", "evil.example"), ("origin", "http://evil.example")], "1")
        .error(403);
    assert_eq!(client.get("/tables/pages").expect(200)["rows"], serde_json::json!([]));
    running.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_change_that_a_browser_sends_for_another_site_is_refused() -> TestResult {
    let (running, client) = start(program(), Config::default()).await?;
    let change = |site: &str| client.ask("POST", "/tables/pages/home?wait=5000", &[("sec-fetch-site", site)], "1");
    assert!(change("cross-site").error(403).contains("another site"));
    assert!(change("same-site").error(403).contains("another site"));
    change("same-origin").expect(200);
    change("none").expect(200);
    assert_eq!(client.ask("GET", "/tables/pages/home", &[("sec-fetch-site", "cross-site")], "").status, 200, "a link");
    running.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_worker_on_a_public_address_needs_a_token_or_web_open() -> TestResult {
    let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let error = program().app.start(Config::default().web(everywhere)).await.err().map(|error| error.to_string());
    let error = error.unwrap_or_default();
    for way in ["0.0.0.0:0", "--web-token", "MARLOWE_WEB_TOKEN", "--web 127.0.0.1:6066", "--web-open"] {
        assert!(error.contains(way), "{way}: {error}");
    }
    for config in [Config::default().web_open(), tokens()] {
        let has_tokens = !config.web_tokens.is_empty();
        let running = worker::start(program().app, config.web(everywhere)).await?;
        let port = running.web_addresses()[0].port();
        let client = Client::new(SocketAddr::from(([127, 0, 0, 1], port)));
        let answer = client.ask("GET", "/tables", &[("host", "worker.example")], "");
        assert_eq!(answer.status, if has_tokens { 401 } else { 200 });
        running.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn bad_tokens_and_a_missing_cluster_token_are_refused() {
    for token in ["", "open sesame", "sesäme", "read:"] {
        let error =
            program().app.start(Config::default().web(any_port()).web_token(token)).await.err().unwrap().to_string();
        assert!(error.contains("web token") && !error.contains("sesame"), "{error}");
    }
    for config in [tokens().workers(2), tokens().advertise("http://localhost"), tokens().standby_replicas(1)] {
        let error = program().app.start(config.web(any_port())).await.err().unwrap().to_string();
        assert!(error.contains("--cluster-token") && error.contains("MARLOWE_CLUSTER_TOKEN"), "{error}");
    }
}

#[tokio::test]
async fn every_answer_tells_browsers_what_it_may_do() -> TestResult {
    let mut program = program();
    program.app.web(|_| {
        let own =
            async || ([("content-security-policy", "frame-ancestors *"), ("x-content-type-options", "own")], "own");
        Router::new().route("/plain", get(async || "plain")).route("/own", get(own))
    });
    let (running, client) = start(program, Config::default()).await?;
    for path in ["/", "/tables", "/tables/nope/x", "/metrics", "/healthz", "/plain", "/nowhere"] {
        let answer = client.get(path);
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
    }
    assert!(client.get("/tables").header("content-security-policy").contains("default-src 'none'"));
    let index = client.get("/").header("content-security-policy").to_owned();
    assert!(index.contains("script-src 'sha256-") && !index.contains("unsafe"), "{index}");
    let own = client.get("/own");
    assert_eq!(
        (own.header("content-security-policy"), own.header("x-content-type-options")),
        ("frame-ancestors *", "own")
    );
    assert!(!own.headers.contains_key("x-frame-options"));
    running.stop().await?;
    Ok(())
}
