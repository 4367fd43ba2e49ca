//! Dead letters must not lead back to the topic that they came from.

use marlowe::topology::TopologyError;
use marlowe::{App, Topic};

use crate::scene::{Scene, TestResult, stop};

type Numbers = Topic<String, u64>;

fn numbers<const N: usize>(app: &mut App, names: [&str; N]) -> [Numbers; N] {
    names.map(|name| app.topic::<String, u64>(name))
}

fn agent(app: &mut App, name: &str, reads: Numbers, dead_letters: Numbers) {
    app.agent(name, reads).dead_letter(dead_letters).each(async |(), _| Ok(()));
}

/// Returns the circle for which the program is refused, and the text of the error.
fn circle(app: &App) -> (Vec<String>, String) {
    match app.topology() {
        Err(error @ TopologyError::DeadLetterCircle { .. }) => {
            let text = error.to_string();
            let TopologyError::DeadLetterCircle { circle } = error else { unreachable!() };
            (circle, text)
        }
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("it is not refused"),
    }
}

#[tokio::test]
async fn n2_3_dead_letters_into_an_agents_own_input_are_refused() {
    let mut app = App::new("own");
    let [orders] = numbers(&mut app, ["orders"]);
    agent(&mut app, "ship", orders, orders);
    let (circle, text) = circle(&app);
    assert_eq!(circle, ["agent `ship` reads `orders` and sends what fails to `orders`"]);
    assert!(text.contains("forever") && text.contains(".skip()") && text.contains("handler sends them back"), "{text}");
    let Err(refused) = Scene::new().await.start(app).await else { panic!("it started") };
    assert_eq!(refused.to_string(), text);
}

#[tokio::test]
async fn n2_3_circles_through_several_agents_are_refused() {
    let mut app = App::new("two");
    let [first, second, elsewhere] = numbers(&mut app, ["first", "second", "elsewhere"]);
    agent(&mut app, "bystander", first, elsewhere);
    agent(&mut app, "a", first, second);
    agent(&mut app, "b", second, first);
    let (two, _) = circle(&app);
    assert_eq!(
        two,
        [
            "agent `a` reads `first` and sends what fails to `second`",
            "agent `b` reads `second` and sends what fails to `first`"
        ]
    );

    let mut app = App::new("three");
    let [first, second, third, way_in] = numbers(&mut app, ["first", "second", "third", "way-in"]);
    agent(&mut app, "in", way_in, first);
    agent(&mut app, "a", first, second);
    agent(&mut app, "b", second, third);
    app.agent("c", third).dead_letter(second).stream(async |(), mut values| {
        while values.next().await.is_some() {}
        Ok(())
    });
    let (three, _) = circle(&app);
    assert_eq!(three.len(), 2, "the way in is no part of it: {three:?}");
    assert!(three[0].contains("`b`") && three[1].contains("`c`"), "{three:?}");
}

#[tokio::test]
async fn n2_3_circles_through_a_group_by_are_refused() {
    let mut app = App::new("grouped");
    let [orders] = numbers(&mut app, ["orders"]);
    app.agent("count", orders.group_by(|order| *order)).dead_letter(orders).each(async |(), _| Ok(()));
    let (back, _) = circle(&app);
    assert!(back[0].contains("agent `count` reads `grouped-count-repartition`"), "{back:?}");
    assert!(back[1].contains("group_by") && back[1].contains("sends it on to `grouped-count-repartition`"), "{back:?}");

    // A group_by fails by the policy of the agent that declared it first, here `one`. So the circle
    // of `two` leads through the records that the group_by sends on.
    let mut app = App::new("shared");
    let [orders, dead] = numbers(&mut app, ["orders", "dead"]);
    app.agent("one", orders.group_by(|order| *order).named("by-number")).dead_letter(dead).each(async |(), _| Ok(()));
    app.agent("two", orders.group_by(|order| *order).named("by-number")).dead_letter(orders).each(async |(), _| Ok(()));
    let (back, _) = circle(&app);
    assert!(back[0].contains("agent `two`"), "{back:?}");

    // The circle may also begin with an event that fails in a group_by, here in a chain of two.
    let mut app = App::new("chain");
    let [orders, payments] = numbers(&mut app, ["orders", "payments"]);
    let twice = orders.group_by(|order| order / 2).group_by(|order| *order);
    app.agent("count", twice).dead_letter(payments).each(async |(), _| Ok(()));
    agent(&mut app, "pay", payments, orders);
    assert_eq!(circle(&app).0.iter().filter(|step| step.contains("agent `pay`")).count(), 1);
}

#[tokio::test]
async fn n2_3_circles_through_an_inbox_are_refused() {
    let mut app = App::new("boxes");
    let changes = app.topic::<String, u64>("boxes-stock-inbox");
    let [dead] = numbers(&mut app, ["dead"]);
    app.table::<String, u64>("stock").inbox_dead_letter(dead);
    agent(&mut app, "again", dead, changes);
    let (back, _) = circle(&app);
    assert!(
        back.iter().any(|step| step.contains("`stock-inbox` applies the changes in `boxes-stock-inbox`")),
        "{back:?}"
    );
    assert!(back.iter().any(|step| step.contains("agent `again`")), "{back:?}");
}

#[tokio::test]
async fn n2_3_a_queue_for_later_attempts_is_no_circle() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("later");
    let [orders, failed, broken] = numbers(&mut app, ["orders", "failed", "broken"]);
    let done = app.topic::<String, u64>("done");
    // The first attempt of each order fails. A handler sends the second attempt, and could have
    // stopped there.
    let tries = app.table::<String, u64>("tries");
    app.agent("try", orders)
        .with(tries.view())
        .retries(0)
        .dead_letter(failed)
        .each_event(async |tries, order| {
            tries.get(&order.key).await?.ok_or("not yet")?;
            Ok(order.value)
        })
        .sink(done);
    app.agent("later", failed).with((orders, tries)).dead_letter(broken).each_event(async |(orders, tries), event| {
        tries.update(event.key.clone(), |tries| *tries += 1);
        orders.send(&event.key, &event.value);
        Ok(())
    });
    // Two agents that send their dead letters to one topic without readers form no circle either.
    agent(&mut app, "other", orders, broken);
    let mut running = scene.start(app).await?;
    running.open(orders).send(&"k".to_owned(), &7).await?;
    crate::scene::drain(&mut running).await?;
    stop(running).await?;
    assert_eq!(scene.values("done").await, ["7"]);
    Ok(())
}
