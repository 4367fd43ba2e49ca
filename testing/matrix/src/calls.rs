//! The agent that answers: its declaration, sending requests to it, and checking the answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use marlowe::agent::{AnsweringAgent, AskClient, AskError};
use marlowe::sim::{Chance, Simulation};
use marlowe::{App, Table, Topic};

use crate::input::{ALWAYS, Input};
use crate::notes::Notes;
use crate::request::{Answer, Ask, AskOutcome, Asked};
use crate::rows::List;
use crate::shape::Shape;
use crate::tries::Tries;

/// The agent that answers, and its table.
#[derive(Clone, Copy)]
pub(crate) struct Calls {
    pub(crate) teller: AnsweringAgent<String, Ask, Answer>,
    pub(crate) accounts: Table<String, List>,
}

impl Calls {
    /// Declares an agent that answers, another one that has answers sent to a topic, and a timer
    /// that asks.
    pub(crate) fn declare(app: &mut App, shape: &Shape, inputs: Topic<String, Input>, notes: &Arc<Notes>) -> Self {
        let requests = app.topic::<String, Ask>("requests");
        let answers = app.topic::<String, Answer>("answers");
        let accounts = app.table::<String, List>("accounts").cache_rows(shape.cache_rows);
        let tries = Tries::default();
        let teller = app.agent("teller", requests).retries(3).backoff(Duration::from_millis(5)).skip();
        let teller = teller.with(accounts).each_event(async move |accounts, request| {
            let Ask { id, fails: times } = request.value;
            let mut list = accounts.get(&request.key).unwrap_or_default();
            list.push(id.clone());
            let place = list.len();
            accounts.insert(request.key, list);
            match tries.fails(&id, times) {
                true => Err("it is to fail".into()),
                false => Ok(Answer { id, place }),
            }
        });
        let teller = teller.answers();
        app.agent("caller", inputs).with(teller.reply_to(answers)).each_event(async |teller, event| {
            let key = format!("c{}", event.value.id % 4);
            teller.send(&key, &Ask { id: format!("e{}", event.value.id), fails: 0 }, &key);
            Ok(())
        });
        let (notes, of_timer) = (notes.clone(), shape.clone());
        app.timer("asks", Duration::from_millis(700)).with(teller).run(async move |teller| {
            if !notes.is_over() {
                call(teller, &notes, &of_timer).await;
            }
            Ok(())
        });
        Self { teller, accounts }
    }
}

/// Sends one or several requests in one of the possible ways, and notes the outcomes.
pub(crate) async fn call(client: AskClient<String, Ask, Answer>, notes: &Notes, shape: &Shape) {
    let number = notes.number();
    let deadline = [20, 300, 3_000, 10_000][(number / 4 % 4) as usize];
    let client = client.within(Duration::from_millis(deadline));
    let how_many = if number % 4 < 2 { 1 } else { 4 };
    let asks: Vec<(String, Ask)> = (0..how_many)
        .map(|_| {
            let number = notes.number();
            let fails = match shape.has_failures.then_some(number % 11) {
                Some(0) => ALWAYS,
                Some(1) => 1,
                _ => 0,
            };
            // Requests that are sent together have different keys, because the key identifies an
            // answer.
            (format!("c{}", number % 4), Ask { id: format!("q{number}"), fails })
        })
        .collect();
    let note = |(key, ask): &(String, Ask), outcome| {
        notes.has_asked(&ask.id, Asked { key: key.clone(), fails: ask.fails, outcome });
    };
    asks.iter().for_each(|ask| note(ask, AskOutcome::InDoubt));
    let known = |asked: &(String, Ask), answer: Result<Answer, AskError>| match answer {
        Ok(Answer { id, place }) => {
            assert_eq!(id, asked.1.id, "the answer to another request");
            note(asked, AskOutcome::Answered(place));
        }
        Err(AskError::Failed { .. }) => note(asked, AskOutcome::Failed),
        Err(AskError::Codec { source, .. }) => panic!("an answer is not one: {source}"),
        Err(_) => {}
    };
    match number % 4 {
        0 => known(&asks[0], client.ask(&asks[0].0, &asks[0].1).await),
        1 => match client.ask_nowait(&asks[0].0, &asks[0].1).await {
            Ok(pending) => known(&asks[0], pending.await),
            Err(error) => known(&asks[0], Err(error)),
        },
        2 => {
            let mut replies = client.map(asks.clone());
            let mut waited: BTreeMap<String, (String, Ask)> =
                asks.into_iter().map(|ask| (ask.0.clone(), ask)).collect();
            while let Some((key, answer)) = replies.next().await {
                let asked = waited.remove(&key).unwrap_or_else(|| panic!("`{key}` was answered twice, or not asked"));
                known(&asked, answer);
            }
            assert!(waited.is_empty(), "neither answered nor given up: {waited:?}");
        }
        // `join` returns all answers or none. Without them, nothing is known of any request.
        _ => {
            if let Ok(answers) = client.join(asks.clone()).await {
                assert_eq!(answers.len(), asks.len());
                asks.iter().zip(answers).for_each(|(asked, answer)| known(asked, Ok(answer)));
            }
        }
    }
}

/// Sends requests from outside and on workers until the disturbance is over.
pub(crate) async fn keep_asking(sim: &Simulation, shape: &Shape, calls: Calls, notes: &Notes, until: Duration) {
    let chance = Chance::of_seed(shape.seed ^ 0xa5c);
    while sim.elapsed() < until {
        let number = chance.number(0..2 * shape.workers as u64) as usize;
        let here = (number < shape.workers).then(|| sim.open_on(number, calls.teller)).flatten();
        call(here.unwrap_or_else(|| sim.open(calls.teller)), notes, shape).await;
        sim.elapse(chance.time(Duration::from_millis(1)..Duration::from_millis(400))).await;
    }
}

/// Checks that each request was handled as often as it may be, and that each answer matches its
/// request as it was handled.
pub(crate) fn check(
    shape: &Shape,
    asked: &BTreeMap<String, Asked>,
    sent: BTreeSet<String>,
    accounts: &BTreeMap<String, List>,
    answers: &[(String, Answer)],
) {
    for (id, Asked { key, fails, outcome }) in asked {
        let row = accounts.get(key).map_or(&[][..], Vec::as_slice);
        let times = row.iter().filter(|found| *found == id).count();
        assert!(times <= 1, "request {id} was handled {times} times: {row:?}");
        match outcome {
            AskOutcome::Answered(place) => {
                assert_eq!(row.get(place - 1), Some(id), "request {id} was answered with place {place} of {row:?}");
                assert!(*fails < ALWAYS, "request {id} fails always, and was answered");
            }
            AskOutcome::Failed => assert_eq!((times, *fails), (0, ALWAYS), "request {id} was passed over"),
            AskOutcome::InDoubt => assert!(times == 0 || *fails < ALWAYS, "request {id} failed, and left something"),
        }
    }
    let of_events: Vec<&String> = accounts.values().flatten().filter(|id| !asked.contains_key(*id)).collect();
    let handled: BTreeSet<String> = of_events.iter().map(|id| id.to_string()).collect();
    assert_eq!(handled, sent, "the requests of events");
    assert!(!shape.exactly_once || of_events.len() == sent.len(), "a request of an event was handled twice");
    let answered: BTreeSet<String> = answers.iter().map(|(_, answer)| answer.id.clone()).collect();
    assert_eq!(answered, sent, "the answers to requests of events");
    assert!(!shape.exactly_once || answers.len() == sent.len(), "a request of an event was answered twice");
    for (key, Answer { id, place }) in answers {
        let row = accounts.get(key).map_or(&[][..], Vec::as_slice);
        assert_eq!(row.get(place - 1), Some(id), "the request of an event was answered with place {place} of {row:?}");
    }
}
