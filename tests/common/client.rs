//! A client of a worker's web server.

use std::net::SocketAddr;

use marlowe::Running;
use serde_json::Value;

use super::wait::LONGEST;

/// A client of one worker's web server. A request that takes too long panics.
#[derive(Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    agent: ureq::Agent,
}

/// The answer of the server.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: ureq::http::HeaderMap,
    pub(crate) text: String,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(LONGEST));
        Self { address, agent: config.build().into() }
    }

    /// Returns a client of the first worker of `running`.
    pub(crate) fn of(running: &Running) -> Self {
        Self::new(running.web_addresses()[0])
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "")
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        self.ask("POST", path, &[], body)
    }

    pub(crate) fn put(&self, path: &str, body: &str) -> Answer {
        self.ask("PUT", path, &[], body)
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.ask("DELETE", path, &[], "")
    }

    /// Sends a request, and does not follow a redirect.
    pub(crate) fn ask_once(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(LONGEST));
        let agent = config.max_redirects(0).build().into();
        Self { address: self.address, agent }.ask(method, path, headers, body)
    }

    /// Sends a request on a thread that may block, so that other requests of the test go on
    /// meanwhile.
    pub(crate) async fn ask_meanwhile(&self, method: &'static str, path: &str, body: &str) -> Answer {
        let (client, path, body) = (self.clone(), path.to_owned(), body.to_owned());
        tokio::task::spawn_blocking(move || client.ask(method, &path, &[], &body)).await.unwrap()
    }

    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = if body.is_empty() {
            self.agent.run(request.body(()).unwrap())
        } else {
            self.agent.run(request.body(body.to_owned()).unwrap())
        };
        Answer::read(answer.unwrap_or_else(|error| panic!("{method} {path}: {error}")))
    }

    /// Posts bytes that are not text.
    pub(crate) fn send(&self, path: &str, body: &[u8]) -> Answer {
        self.send_with(path, &[], body)
    }

    /// Posts bytes that are not text, with headers.
    pub(crate) fn send_with(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request = self.agent.post(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send(body);
        Answer::read(answer.unwrap_or_else(|error| panic!("POST {path}: {error}")))
    }
}

impl Answer {
    fn read(mut answer: ureq::http::Response<ureq::Body>) -> Self {
        Self {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            text: String::from_utf8_lossy(&answer.body_mut().with_config().limit(64 << 20).read_to_vec().unwrap())
                .into_owned(),
        }
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// Returns the JSON of an answer that must have the status `status`.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json()
    }

    /// Returns the error of an answer that must have the status `status`.
    #[track_caller]
    pub(crate) fn error(&self, status: u16) -> String {
        let error = self.expect(status)["error"].clone();
        error.as_str().unwrap_or_else(|| panic!("no error: {}", self.text)).to_owned()
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        match self.headers.get(name) {
            Some(value) => value.to_str().unwrap(),
            None => panic!("no {name} in {:?}", self.headers),
        }
    }
}
