//! Requests to agents from timers, web handlers and other programs, which wait for the answer.

use std::sync::Arc;
use std::time::Duration;

use marlowe::agent::{AnsweringAgent, AskClient, AskError};
use marlowe::axum::{Json, Router, extract::Path, extract::State, routing::get};
use marlowe::broker::Partitioner;
use marlowe::client::Client;
use marlowe::{App, Running, Table};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::common::address::any_port;
use crate::common::client::Client as Browser;
use crate::common::metrics::Metrics;
use crate::scene::{LONGEST, Scene, TestResult, eventually, key_where, start, stop, within};

/// An agent that answers with a count and the value it was asked with.
type Counting = AnsweringAgent<String, u64, (u64, u64)>;

/// Declares an agent that counts how often each key was asked for. It answers with the count and
/// the value of the question.
pub(crate) fn counting(app: &mut App) -> (Counting, Table<String, u64>) {
    let questions = app.topic::<String, u64>("questions");
    let counts = app.table::<String, u64>("counts");
    let count = app.agent("count", questions).with(counts).each_event(async |counts, question| {
        let count = counts.get(&question.key).unwrap_or_default() + 1;
        counts.insert(question.key, count);
        Ok((count, question.value))
    });
    (count.answers(), counts)
}

/// Returns the sum of the metric `name` over all workers.
fn counted(running: &Running, name: &str) -> u64 {
    let clients = running.web_addresses().into_iter().map(Browser::new);
    clients.map(|client| Metrics::of(&client).get(name) as u64).sum()
}

/// Returns two keys, one of partition 0 and one of partition 1.
fn keys_apart() -> [String; 2] {
    [0, 1].map(|wanted| key_where("key", |key| Partitioner::default().partition(key, 2).get() == wanted))
}

#[tokio::test]
async fn each_ask_gets_one_answer_to_its_own_request() -> TestResult {
    // With one partition, the same shard answers both workers.
    for (partitions, at_least_once) in [(1, false), (8, false), (8, true)] {
        let scene = Scene::new().await;
        let mut app = App::new("own");
        app.partitions(partitions);
        if at_least_once {
            app.at_least_once();
        }
        let (count, counts) = counting(&mut app);
        let running = start(app, scene.config().workers(2)).await?;
        let askers = [running.open_on(0, count), running.open_on(1, count)];
        let asks = (0..200).map(|number| {
            let asker = &askers[number as usize % 2];
            async move { asker.ask(&format!("key-{}", number % 7), &number).await.map(|(_, told)| (number, told)) }
        });
        for (number, told) in within(futures_util::future::try_join_all(asks)).await? {
            assert_eq!(number, told);
        }
        let counts = running.open(counts.view());
        eventually("each was handled", async || {
            counts.iter().await.unwrap().into_iter().map(|(_, count)| count).sum::<u64>() == 200
        })
        .await;
        assert_eq!(scene.records("own-replies").await.len(), 200);
        stop(running).await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_answer_comes_when_its_changes_are_committed() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("committed");
    let (count, counts) = counting(&mut app);
    let running = scene.start(app).await?;
    let (count, counts) = running.open((count, counts.view()));
    for number in 1..=20 {
        let key = format!("key-{number}");
        assert_eq!(within(count.ask(&key, &number)).await?, (1, number));
        // The lane's view shows the commit a moment after the broker has it.
        eventually("the row is there", async || counts.get(&key).await.unwrap() == Some(1)).await;
    }
    stop(running).await?;
    Ok(())
}

/// Declares an agent that holds up a question of partition 0 until it has handled as many others as
/// the question's value says. `gate` counts them.
fn one_waits(app: &mut App, gate: &watch::Sender<u64>) -> AnsweringAgent<String, u64, u64> {
    let questions = app.topic::<String, u64>("questions").partitions(2);
    let gate = gate.clone();
    let agent = app.agent("wait", questions).each_event(async move |(), question| {
        if question.partition.get() == 0 {
            let _ = gate.subscribe().wait_for(|handled| *handled >= question.value).await;
        } else {
            gate.send_modify(|handled| *handled += 1);
        }
        Ok(question.value)
    });
    agent.answers()
}

#[tokio::test]
async fn join_gives_all_answers_in_the_order_of_the_requests() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("join");
    let gate = watch::Sender::new(0);
    let agent = one_waits(&mut app, &gate);
    let running = scene.start(app).await?;
    let [waits, other] = keys_apart();
    // The first request is answered after the others were handled.
    let requests = (0..40).map(|number| if number == 0 { (waits.clone(), 39) } else { (other.clone(), number) });
    let answers = within(running.open(agent).join(requests)).await?;
    assert_eq!(answers, [39].into_iter().chain(1..40).collect::<Vec<_>>());
    // These are more requests than can be in flight at a time. Faust's `join` gives up above a
    // thousand.
    let many = within(running.open(agent).join((0..3000).map(|number| (other.clone(), number)))).await?;
    assert!(many.into_iter().eq(0..3000));
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn map_gives_the_answers_as_they_come() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("map");
    let gate = watch::Sender::new(0);
    let agent = one_waits(&mut app, &gate);
    let running = scene.start(app).await?;
    let [waits, other] = keys_apart();
    let requests: Vec<_> =
        (0..10).map(|number| (if number == 0 { &waits } else { &other }.clone(), 100 + number)).collect();
    let mut replies = running.open(agent).map(requests);
    let mut came = Vec::new();
    while let Some((key, reply)) = within(replies.next()).await {
        came.push((key, reply?));
        if came.len() == 9 {
            // The first request may be answered only now.
            gate.send_replace(100);
        }
    }
    let wanted = (101..110).map(|number| (other.clone(), number)).chain([(waits, 100)]);
    assert!(came.iter().cloned().eq(wanted), "{came:?}");
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn an_ask_ends_at_its_deadline_and_late_answers_are_counted() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("late");
    let gate = watch::Sender::new(0);
    let agent = one_waits(&mut app, &gate);
    let config = scene.config().web(any_port());
    let running = start(app, config).await?;
    let [waits, other] = keys_apart();
    let agent = running.open(agent);
    assert_eq!(within(agent.ask(&other, &1)).await?, 1);
    let late = within(agent.clone().within(Duration::from_millis(150)).ask(&waits, &7)).await.unwrap_err();
    assert!(matches!(&late, AskError::TimedOut { request: Some(_), .. }), "{late}");
    for part in ["agent `wait`", "150ms", "questions[0]@0", "handled once", "dropped"] {
        assert!(late.to_string().contains(part), "no {part}: {late}");
    }
    // A request whose handle was dropped does not wait for its answer either.
    drop(agent.ask_nowait(&waits, &7).await?);
    assert_eq!(counted(&running, "marlowe_replies_late_total"), 0);
    gate.send_replace(7);
    assert_eq!(within(agent.ask(&waits, &7)).await?, 7);
    eventually("they are counted", async || counted(&running, "marlowe_replies_late_total") == 2).await;
    assert_eq!(counted(&running, "marlowe_asks_timed_out_total"), 1);
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn an_answer_may_be_fetched_later() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("later");
    let (count, _) = counting(&mut app);
    let running = scene.start(app).await?;
    let count = running.open(count);
    let mut pending = Vec::new();
    for number in 0..5 {
        pending.push(within(count.ask_nowait(&"one".to_owned(), &number)).await?);
    }
    assert!(pending.iter().all(|reply| &*reply.sent().topic == "questions"));
    for (number, reply) in pending.into_iter().enumerate().rev() {
        assert_eq!(within(reply.into_future()).await?, (number as u64 + 1, number as u64));
    }
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn an_ask_that_cannot_be_handled_fails_at_once_with_the_reason() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("failing");
    let odd = |number: u64| if number.is_multiple_of(2) { Ok(number) } else { Err("an odd number".into()) };
    let letters = app.topic::<String, u64>("letters");
    let numbers = app.topic::<String, u64>("skipping").filter(|number| *number < 100);
    let skips = app.agent("skip", numbers).retries(0).skip().each(async move |(), number| odd(number)).answers();
    let numbers = app.topic::<String, u64>("lettering");
    let sends = app.agent("letter", numbers).retries(0).dead_letter(letters).concurrency(4);
    let sends = sends.each(async move |(), number| odd(number)).answers();
    let running = scene.start(app).await?;
    let key = "key".to_owned();
    for agent in [running.open(skips), running.open(sends)] {
        let agent = agent.within(LONGEST);
        assert_eq!(within(agent.ask(&key, &2)).await?, 2);
        let failed = within(agent.ask(&key, &3)).await.unwrap_err();
        assert!(matches!(&failed, AskError::Failed { reason, .. } if reason == "an odd number"), "{failed}");
    }
    let unseen = within(running.open(skips).ask(&key, &100)).await.unwrap_err();
    assert!(unseen.to_string().contains("a filter of the agent's stream drops it"), "{unseen}");
    // A dead letter asks no agent, and says why it was sent.
    let letters = scene.records("letters").await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].header("marlowe-error"), Some("an odd number"));
    assert!(
        ["marlowe-asks", "marlowe-reply-to", "marlowe-correlation"]
            .iter()
            .all(|name| letters[0].header(name).is_none())
    );
    // A program in another language asks with a value that is not a number.
    let asks: [(&str, &[u8]); 3] =
        [("marlowe-asks", b"skip"), ("marlowe-reply-to", b"failing-replies/5"), ("marlowe-correlation", b"theirs")];
    scene.produce_with("skipping", 0, Some(b"key"), Some(b"\"two\""), &asks).await;
    eventually("it is answered", async || {
        let replies = scene.records("failing-replies").await;
        let theirs = replies.iter().find(|reply| reply.header("marlowe-correlation") == Some("theirs"));
        theirs.is_some_and(|reply| {
            reply.partition == 5 && reply.value.is_none() && reply.header("marlowe-error").is_some()
        })
    })
    .await;
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn timers_web_handlers_and_other_programs_ask() -> TestResult {
    async fn answer(State(count): State<AskClient<String, u64, (u64, u64)>>, Path(key): Path<String>) -> Json<u64> {
        Json(count.ask(&key, &0).await.map_or(0, |(count, _)| count))
    }

    let scene = Scene::new().await;
    let build = || {
        let mut app = App::new("everywhere");
        let (count, counts) = counting(&mut app);
        (app, count, counts)
    };
    let (mut app, count, counts) = build();
    let told = Arc::new(Mutex::new(None));
    let tell = told.clone();
    app.timer("ask", Duration::from_millis(5)).on_leader().with(count).run(async move |count| {
        let (count, told) = count.ask(&"timer".to_owned(), &5).await?;
        *tell.lock() = Some((count, told));
        Ok(())
    });
    app.web(move |state| Router::new().route("/ask/{key}", get(answer)).with_state(state.open(count)));
    let running = start(app, scene.config().web(any_port()).workers(2)).await?;
    eventually("the timer asked twice", async || told.lock().is_some_and(|(count, told)| count >= 2 && told == 5))
        .await;

    let browsers: Vec<Browser> = running.web_addresses().into_iter().map(Browser::new).collect();
    for (number, browser) in [0, 1, 0, 1].into_iter().enumerate() {
        assert_eq!(browsers[browser].get("/ask/web").json(), number as u64 + 1);
    }

    let (app, count, other_counts) = build();
    let client = Client::connect(&app, scene.config()).await?;
    let (ask, view, inbox) = client.open((count, other_counts.view(), other_counts.inbox()));
    assert_eq!(within(ask.ask(&"client".to_owned(), &8)).await?, (1, 8));
    // The client can also send and read.
    within(ask.cast(&"client".to_owned(), &8)).await?;
    assert_eq!(within(ask.ask(&"client".to_owned(), &9)).await?, (3, 9));
    let sent = inbox.send("client", 40).await?;
    within(view.wait_for(&sent)).await?;
    assert_eq!(within(view.get("client")).await?, Some(40));
    assert_eq!(running.open(counts.view()).get("client").await?, Some(40));
    drop(client);
    let gone = within(ask.ask(&"client".to_owned(), &1)).await.unwrap_err();
    assert!(matches!(gone, AskError::Stopped { .. }), "{gone}");
    stop(running).await?;
    Ok(())
}
