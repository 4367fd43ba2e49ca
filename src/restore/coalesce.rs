//! Coalescing of questions: many callers ask one by one, and one request answers all of them.

use parking_lot::Mutex;
use tokio::sync::oneshot::{self, error::TryRecvError};

/// A place where questions are coalesced. Questions that come while a request is under way wait for
/// the next request, which asks all of them.
pub(crate) struct Gathering<Q, A> {
    waiting: Mutex<Vec<(Q, oneshot::Sender<A>)>>,
    /// The caller that holds this asks for all that wait.
    turn: tokio::sync::Mutex<()>,
}

impl<Q, A> Default for Gathering<Q, A> {
    fn default() -> Self {
        Self { waiting: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }
}

impl<Q: Clone, A> Gathering<Q, A> {
    /// Returns the answer to `question`. `ask` answers several questions, in their order.
    ///
    /// If a request for several callers fails, or the caller that makes it goes away, each of these
    /// callers asks by itself. So the caller with the faulty question gets the error, and the
    /// others get their answers.
    pub(crate) async fn ask<E>(&self, question: Q, ask: impl AsyncFn(&[Q]) -> Result<Vec<A>, E>) -> Result<A, E>
    where
        A: Default,
    {
        let (answer, mut answered) = oneshot::channel();
        self.waiting.lock().push((question.clone(), answer));
        let answer = tokio::select! {
            biased;
            answer = &mut answered => answer.ok(),
            _turn = self.turn.lock() => match answered.try_recv() {
                // The caller that had the turn before asked this question too, just now.
                Ok(answer) => Some(answer),
                Err(TryRecvError::Closed) => None,
                Err(TryRecvError::Empty) => {
                    let waiting = std::mem::take(&mut *self.waiting.lock());
                    let (questions, answers): (Vec<Q>, Vec<_>) = waiting.into_iter().unzip();
                    match ask(&questions).await {
                        // Some of the callers may have gone away.
                        Ok(found) => answers.into_iter().zip(found).for_each(|(answer, found)| drop(answer.send(found))),
                        Err(error) if questions.len() == 1 => return Err(error),
                        Err(_) => drop(answers),
                    }
                    answered.try_recv().ok()
                }
            },
        };
        match answer {
            Some(answer) => Ok(answer),
            None => Ok(ask(std::slice::from_ref(&question)).await?.into_iter().next().unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::time::Duration;

    use futures_util::FutureExt;
    use futures_util::future::join_all;

    use super::Gathering;

    /// A service that doubles numbers slowly, and notes what it was asked. It cannot double 13.
    #[derive(Default)]
    struct Doubler {
        gathering: Gathering<u32, u32>,
        asked: RefCell<Vec<Vec<u32>>>,
    }

    impl Doubler {
        async fn double(&self, number: u32) -> Result<u32, &'static str> {
            let ask = async |numbers: &[u32]| {
                self.asked.borrow_mut().push(numbers.to_vec());
                tokio::time::sleep(Duration::from_millis(10)).await;
                if numbers.contains(&13) {
                    return Err("unlucky");
                }
                Ok(numbers.iter().map(|number| number * 2).collect())
            };
            self.gathering.ask(number, ask).await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn questions_during_a_request_are_asked_together() {
        let doubler = Doubler::default();
        let doubled = join_all((100..200).map(|number| doubler.double(number))).await;
        assert_eq!(doubled, (100..200).map(|number| Ok(number * 2)).collect::<Vec<_>>());
        // All callers wait by the time the first one makes its request.
        let asked = doubler.asked.take();
        assert!(asked.len() <= 2, "{asked:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_is_asked_after_it_came() {
        let doubler = Doubler::default();
        let late = async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            doubler.double(2).await
        };
        assert_eq!(tokio::join!(doubler.double(1), late), (Ok(2), Ok(4)));
        assert_eq!(doubler.asked.take(), [vec![1], vec![2]]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_that_fails_spoils_nothing_for_others() {
        let doubler = Doubler::default();
        let doubled = join_all([12, 13, 14].map(|number| doubler.double(number))).await;
        assert_eq!(doubled, [Ok(24), Err("unlucky"), Ok(28)]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_caller_that_asks_for_all_may_go_away() {
        let doubler = Doubler::default();
        let mut first = Box::pin(doubler.double(1));
        let others = async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            tokio::join!(doubler.double(2), doubler.double(3))
        };
        let gone = async {
            // It has the turn, and is asking only its own question.
            let _ = tokio::time::timeout(Duration::from_millis(5), &mut first).await;
            drop(first);
        };
        let ((), others) = tokio::join!(gone, others);
        assert_eq!(others, (Ok(4), Ok(6)));
        assert_eq!(doubler.asked.take(), [vec![1], vec![2, 3]]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_left_alone_asks_its_question_itself() {
        let doubler = Doubler::default();
        let held = doubler.gathering.turn.lock().await;
        let mut first = Box::pin(doubler.double(1));
        let mut second = Box::pin(doubler.double(2));
        assert_eq!(((&mut first).now_or_never(), (&mut second).now_or_never()), (None, None));
        drop(held);
        assert_eq!((&mut first).now_or_never(), None);
        assert_eq!(doubler.asked.borrow().as_slice(), [vec![1, 2]]);
        drop(first);
        assert_eq!(second.await, Ok(4));
    }
}
