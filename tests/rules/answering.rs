//! Answers of agents: which agent answers, where answers go, and what is left of them after a
//! crash.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use marlowe::App;
use marlowe::agent::AskError;
use marlowe::client::Client;
use marlowe_broker::Cleanup;
use tokio::sync::watch;

use crate::asking::counting;
use crate::scene::{LONGEST, Scene, TestResult, drain, eventually, start, stop, within};
use crate::stage::CRASHES;

#[tokio::test]
async fn only_the_asked_agent_answers_and_its_sends_ask_nobody() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("named");
    let questions = app.topic::<String, u64>("questions");
    let (doubles, secrets) = (app.topic::<String, u64>("doubles"), app.topic::<String, u64>("secrets"));
    let double = app.agent("double", questions).each(async |(), number| Ok(2 * number)).answers().sink(doubles);
    // These two also answer. One reads the same topic as `double`, the other reads its sink.
    app.agent("same-topic", questions).each(async |(), _| Ok(0u64)).answers();
    app.agent("behind", doubles).each(async |(), _| Ok(1u64)).answers();
    app.agent("silent", secrets).each(async |(), _| Ok(2u64));
    let mut running = scene.start(app).await?;
    assert_eq!(within(running.open(double).ask(&"key".to_owned(), &21)).await?, 42);
    drain(&mut running).await?;
    assert_eq!(scene.values("named-replies").await, ["42"]);
    assert!(scene.records("doubles").await[0].headers.is_empty());
    // Answers go only to partitions of the replies topic, whatever a request names. An agent that
    // does not answer sends nothing there.
    for (topic, agent, reply_to) in [
        ("questions", "double", "secrets"),
        ("questions", "double", "secrets/0"),
        ("questions", "double", "named-replies/99"),
        ("secrets", "silent", "named-replies/0"),
    ] {
        let headers: [(&str, &[u8]); 3] = [
            ("marlowe-asks", agent.as_bytes()),
            ("marlowe-reply-to", reply_to.as_bytes()),
            ("marlowe-correlation", b"theirs"),
        ];
        scene.produce_with(topic, 0, Some(b"key"), Some(b"3"), &headers).await;
    }
    drain(&mut running).await?;
    assert_eq!(scene.values("named-replies").await, ["42"]);
    assert_eq!((scene.values("doubles").await.len(), scene.values("secrets").await.len()), (4, 1));
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn an_app_that_answers_has_a_replies_topic_of_short_retention() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("asked");
    counting(&mut app);
    let mut other = App::new("unasked");
    let numbers = other.topic::<String, u64>("numbers");
    other.agent("double", numbers).each(async |(), number| Ok(2 * number));
    for app in [app, other] {
        stop(scene.start(app).await?).await?;
    }
    let replies = scene.broker.topic("asked-replies").await?.unwrap();
    assert_eq!(replies.cleanup, Cleanup::Delete { retention: Some(Duration::from_secs(3600)) });
    assert!(scene.broker.topic("unasked-replies").await?.is_none());
    Ok(())
}

#[tokio::test]
async fn a_stream_answers_when_it_has_acknowledged() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("streams");
    let numbers = app.topic::<String, u64>("numbers").partitions(1);
    let sums = app.table::<String, u64>("sums");
    let add = app.agent("add", numbers).with(sums).stream(async |sums, mut numbers| {
        loop {
            for number in numbers.take(8, Duration::from_millis(2)).await {
                sums.update("sum", |sum| *sum += number);
            }
        }
    });
    let add = add.answers();
    let running = scene.start(app).await?;
    let answers = within(running.open(add).join((1..=100).map(|number| ("sum".to_owned(), number)))).await?;
    assert_eq!(answers.len(), 100);
    eventually("it is there", async || running.open(sums.view()).get("sum").await.unwrap() == Some(5050)).await;
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn an_agent_has_the_answer_sent_to_a_topic_in_its_transaction() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("relay");
    let (orders, answers) = (app.topic::<u64, String>("orders"), app.topic::<u64, (u64, u64)>("answers"));
    let (count, _) = counting(&mut app);
    app.agent("order", orders).skip().retries(0).with(count.reply_to(answers)).each_event(async |count, order| {
        count.send(&order.value, &order.key, &order.key);
        if order.value == "nothing" { Err("an order of nothing".into()) } else { Ok(()) }
    });
    let mut running = scene.start(app).await?;
    let outside = running.open(count.reply_to(answers));
    for order in 0..10 {
        running.open(orders).send(&order, &(if order == 4 { "nothing" } else { "tea" }).to_owned()).await?;
    }
    outside.send(&"tea".to_owned(), &77, &99).await?;
    drain(&mut running).await?;
    let mut keys: Vec<u64> = Vec::new();
    let mut counts = BTreeSet::new();
    for answer in scene.records("answers").await {
        let key: u64 = answer.key.unwrap().parse()?;
        let (count, told): (u64, u64) = serde_json::from_str(&answer.value.unwrap())?;
        assert_eq!(told, if key == 99 { 77 } else { key });
        assert!(answer.headers.is_empty(), "{:?}", answer.headers);
        keys.push(key);
        counts.insert(count);
    }
    keys.sort_unstable();
    assert_eq!(keys, [0, 1, 2, 3, 5, 6, 7, 8, 9, 99]);
    assert!(counts.into_iter().eq(1..=10), "each was handled once, and the failed order asked nobody");
    assert!(scene.records("relay-replies").await.is_empty());
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn requests_during_crashes_are_done_once_and_answered() -> TestResult {
    let scene = Scene::new().await;
    let build = || {
        let mut app = App::new("crashing");
        app.partitions(4);
        let (count, counts) = counting(&mut app);
        (app, count, counts)
    };
    let (app, count, _) = build();
    let client = Client::connect(&app, scene.config()).await?;
    let count = client.open(count).within(LONGEST);
    let (asked, stopped) = (Arc::new(AtomicU64::new(0)), watch::Sender::new(false));
    let asks = (0..4).map(|lane| {
        let (count, asked, stopped) = (count.clone(), asked.clone(), stopped.subscribe());
        tokio::spawn(async move {
            let mut answers = Vec::new();
            while !*stopped.borrow() {
                asked.fetch_add(1, Ordering::Relaxed);
                answers.push(count.ask(&"key".to_owned(), &lane).await?);
            }
            Ok::<_, AskError>(answers)
        })
    });
    let asks: Vec<_> = asks.collect();
    // Each crash happens in the middle of some request.
    let mut at_last = 0;
    for _ in 0..CRASHES.min(8) {
        let (app, _, _) = build();
        let running = app.start(scene.config_for_crashes()).await?;
        eventually("something was asked", async || asked.load(Ordering::Relaxed) > at_last + 4).await;
        at_last = asked.load(Ordering::Relaxed);
        drop(running);
    }
    let (app, _, counts) = build();
    let running = start(app, scene.config_for_crashes()).await?;
    stopped.send_replace(true);
    let mut answers = Vec::new();
    for ask in asks {
        answers.extend(within(ask).await??.into_iter().map(|(count, _)| count));
    }
    answers.sort_unstable();
    assert!(answers.iter().copied().eq(1..=asked.load(Ordering::Relaxed)), "each request counted once: {answers:?}");
    let counts = running.open(counts.view());
    eventually("it is there", async || counts.get("key").await.unwrap() == answers.last().copied()).await;
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn a_crash_of_the_asker_loses_the_answer_and_not_the_request() -> TestResult {
    let scene = Scene::new().await;
    let build = || {
        let mut app = App::new("gone");
        let (count, counts) = counting(&mut app);
        (app, count, counts)
    };
    let (app, count, _) = build();
    // The worker does not commit before it crashes.
    let running = start(app, scene.config_for_crashes().fixed_commit_interval(Duration::from_secs(3600))).await?;
    let pending = within(running.open(count).ask_nowait(&"key".to_owned(), &1)).await?;
    drop(running);
    let lost = within(pending.into_future()).await.unwrap_err();
    assert!(matches!(&lost, AskError::Stopped { request: Some(_), .. }), "{lost}");
    let (app, count, counts) = build();
    let mut running = start(app, scene.config_for_crashes()).await?;
    drain(&mut running).await?;
    assert_eq!(running.open(counts.view()).get("key").await?, Some(1));
    assert_eq!(
        within(running.open(count).ask(&"key".to_owned(), &1)).await?,
        (2, 1),
        "nobody takes up the lost answer"
    );
    stop(running).await?;
    Ok(())
}
