//! A value that tasks watch. This is tokio's `watch`, but in a simulation it is one that wakes the
//! waiting tasks in the order in which they came. tokio's wakes them in a random order, from a
//! source that cannot be seeded.

#[cfg(not(feature = "sim"))]
pub(crate) use tokio::sync::watch::{Receiver, Sender, channel};

#[cfg(feature = "sim")]
pub(crate) use in_order::{Receiver, Sender, channel};

#[cfg(feature = "sim")]
mod in_order {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

    use parking_lot::{RwLock, RwLockReadGuard};
    use tokio::sync::Notify;

    struct Watched<T> {
        value: RwLock<T>,
        version: AtomicU64,
        senders: AtomicUsize,
        changed: Notify,
    }

    /// A borrow of the value. The value does not change while the borrow exists.
    pub(crate) struct Ref<'a, T>(RwLockReadGuard<'a, T>);

    impl<T> std::ops::Deref for Ref<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            &self.0
        }
    }

    /// The error that no sender is left to change the value.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Closed;

    pub(crate) struct Sender<T>(Arc<Watched<T>>);

    pub(crate) struct Receiver<T> {
        watched: Arc<Watched<T>>,
        seen: u64,
    }

    pub(crate) fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
        let sender = Sender::new(value);
        let receiver = sender.subscribe();
        (sender, receiver)
    }

    impl<T> Sender<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(Arc::new(Watched {
                value: RwLock::new(value),
                version: AtomicU64::new(0),
                senders: AtomicUsize::new(1),
                changed: Notify::new(),
            }))
        }

        pub(crate) fn subscribe(&self) -> Receiver<T> {
            Receiver { watched: self.0.clone(), seen: self.0.version.load(Ordering::Acquire) }
        }

        pub(crate) fn borrow(&self) -> Ref<'_, T> {
            Ref(self.0.value.read())
        }

        pub(crate) fn send_replace(&self, value: T) -> T {
            let mut before = Some(value);
            self.send_modify(|current| before = before.take().map(|value| std::mem::replace(current, value)));
            before.unwrap_or_else(|| unreachable!("it was replaced"))
        }

        pub(crate) fn send_modify(&self, change: impl FnOnce(&mut T)) {
            self.send_if_modified(|value| {
                change(value);
                true
            });
        }

        pub(crate) fn send_if_modified(&self, change: impl FnOnce(&mut T) -> bool) -> bool {
            let mut value = self.0.value.write();
            let changed = change(&mut value);
            if changed {
                self.0.version.fetch_add(1, Ordering::AcqRel);
            }
            drop(value);
            if changed {
                self.0.changed.notify_waiters();
            }
            changed
        }
    }

    impl<T> Clone for Sender<T> {
        fn clone(&self) -> Self {
            self.0.senders.fetch_add(1, Ordering::AcqRel);
            Self(self.0.clone())
        }
    }

    impl<T> Drop for Sender<T> {
        fn drop(&mut self) {
            if self.0.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
                self.0.changed.notify_waiters();
            }
        }
    }

    impl<T: Default> Default for Sender<T> {
        fn default() -> Self {
            Self::new(T::default())
        }
    }

    impl<T: std::fmt::Debug> std::fmt::Debug for Sender<T> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_tuple("Sender").field(&*self.borrow()).finish()
        }
    }

    impl<T> Receiver<T> {
        pub(crate) fn borrow(&self) -> Ref<'_, T> {
            Ref(self.watched.value.read())
        }

        pub(crate) fn borrow_and_update(&mut self) -> Ref<'_, T> {
            let value = self.watched.value.read();
            self.seen = self.watched.version.load(Ordering::Acquire);
            Ref(value)
        }

        pub(crate) fn mark_unchanged(&mut self) {
            self.seen = self.watched.version.load(Ordering::Acquire);
        }

        fn is_closed(&self) -> bool {
            self.watched.senders.load(Ordering::Acquire) == 0
        }

        pub(crate) fn has_changed(&self) -> Result<bool, Closed> {
            match self.is_closed() {
                true => Err(Closed),
                false => Ok(self.watched.version.load(Ordering::Acquire) != self.seen),
            }
        }

        pub(crate) async fn changed(&mut self) -> Result<(), Closed> {
            loop {
                let watched = self.watched.clone();
                let mut changed = std::pin::pin!(watched.changed.notified());
                changed.as_mut().enable();
                let version = watched.version.load(Ordering::Acquire);
                if version != self.seen {
                    self.seen = version;
                    return Ok(());
                }
                if self.is_closed() {
                    return Err(Closed);
                }
                changed.await;
            }
        }

        pub(crate) async fn wait_for(&mut self, mut holds: impl FnMut(&T) -> bool) -> Result<Ref<'_, T>, Closed> {
            loop {
                self.mark_unchanged();
                if holds(&*self.watched.value.read()) {
                    return Ok(Ref(self.watched.value.read()));
                }
                self.changed().await?;
            }
        }
    }

    impl<T> Clone for Receiver<T> {
        fn clone(&self) -> Self {
            Self { watched: self.watched.clone(), seen: self.seen }
        }
    }

    impl<T: std::fmt::Debug> std::fmt::Debug for Receiver<T> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_tuple("Receiver").field(&*self.borrow()).finish()
        }
    }
}
