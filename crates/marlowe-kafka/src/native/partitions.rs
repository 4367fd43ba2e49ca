//! Lists of partitions with offsets, as librdkafka takes and returns them.

use std::ffi::CStr;

use rdkafka::{Offset, TopicPartitionList, bindings as sys};

/// A partition, and a place in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) topic: String,
    pub(crate) partition: u32,
    /// An offset, or a question: a time in milliseconds, or one of librdkafka's logical offsets.
    pub(crate) offset: i64,
    pub(crate) note: String,
    pub(crate) error: Option<super::Code>,
}

impl Place {
    pub(crate) fn new(topic: &str, partition: u32, offset: i64) -> Self {
        Self { topic: topic.to_owned(), partition, offset, note: String::new(), error: None }
    }
}

/// A list of partitions, in librdkafka's memory.
pub(crate) struct Places(TopicPartitionList);

impl Places {
    pub(crate) const EARLIEST: i64 = -2;
    pub(crate) const LATEST: i64 = -1;

    pub(crate) fn of(places: &[Place]) -> Self {
        let mut list = TopicPartitionList::with_capacity(places.len());
        for place in places {
            let mut element = list.add_partition(&place.topic, place.partition as i32);
            // This fails only for offsets that have no raw form.
            let _ = element.set_offset(Offset::from_raw(place.offset));
            if !place.note.is_empty() {
                element.set_metadata(&place.note);
            }
        }
        Self(list)
    }

    pub(super) fn as_ptr(&self) -> *mut sys::rd_kafka_topic_partition_list_t {
        self.0.ptr()
    }

    /// Returns the places of the list, with what librdkafka has written into it.
    pub(crate) fn places(&self) -> Vec<Place> {
        // SAFETY: `self` owns the list.
        unsafe { Self::read(self.as_ptr()) }
    }

    /// Reads the places of a list. A null pointer is an empty list.
    ///
    /// # Safety
    /// `list` is null, or a list that nothing changes meanwhile.
    pub(super) unsafe fn read(list: *const sys::rd_kafka_topic_partition_list_t) -> Vec<Place> {
        if list.is_null() {
            return Vec::new();
        }
        // SAFETY: by this function's condition; the list holds `cnt` elements.
        unsafe {
            let elements =
                if (*list).cnt > 0 { std::slice::from_raw_parts((*list).elems, (*list).cnt as usize) } else { &[] };
            let read = |element: &sys::rd_kafka_topic_partition_t| Place {
                topic: CStr::from_ptr(element.topic).to_string_lossy().into_owned(),
                partition: element.partition as u32,
                offset: element.offset,
                note: if element.metadata.is_null() || element.metadata_size == 0 {
                    String::new()
                } else {
                    let bytes = std::slice::from_raw_parts(element.metadata.cast::<u8>(), element.metadata_size);
                    String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned()
                },
                error: Some(super::Code(element.err)).filter(|code| *code != super::Code::NONE),
            };
            elements.iter().map(read).collect()
        }
    }
}
