//! A device's times, against what its description says.

use pagewalk_swap::{Device, DeviceSpec};
use proptest::prelude::*;

fn device(channels: u16, seek: u64) -> Device {
    Device::new(DeviceSpec { channels, latency: 1_000, seek, page: 10, synchronous: false })
}

#[test]
fn requests_wait_for_a_channel_and_share_the_link() {
    let device = device(2, 0);
    assert_eq!(device.schedule(0, (0, 1), 1), 1_010);
    assert_eq!(device.schedule(0, (0, 9), 1), 1_020, "beside the first, but after it over the link");
    assert_eq!(device.schedule(0, (0, 5), 1), 2_020, "when the first channel is free again");
    assert_eq!(device.schedule(5_000, (0, 7), 4), 6_040, "nobody is before it");
}

#[test]
fn a_request_that_follows_the_last_one_does_not_seek() {
    let device = device(1, 500);
    assert_eq!(device.schedule(0, (0, 1), 2), 1_520);
    assert_eq!(device.schedule(2_000, (0, 3), 1), 3_010, "where the head is");
    assert_eq!(device.schedule(4_000, (0, 3), 1), 5_510, "behind the head");
    assert_eq!(device.schedule(6_000, (1, 4), 1), 7_510, "of another area");
}

#[test]
fn compressed_memory_takes_the_time_of_who_asks_and_has_no_queue() {
    let spec = DeviceSpec { channels: 1, latency: 100, seek: 7, page: 10, synchronous: true };
    let device = Device::new(spec);
    assert_eq!([0, 0, 0].map(|now| device.schedule(now, (0, 1), 1)), [110; 3]);
}

proptest! {
    /// Each request takes its latency and its pages, no sooner than it is made; the link moves one page at a time; and no more than
    /// `channels` requests are under way at once.
    #[test]
    fn no_request_is_faster_than_the_device(
        channels in 1..5u16,
        requests in prop::collection::vec((0..3_000u64, 0..64u64, 1..9u64), 1..60),
    ) {
        let device = device(channels, 300);
        let mut now = 0;
        let mut done: Vec<(u64, u64, u64)> = Vec::new(); // made, over the link, ended
        for (pause, place, pages) in requests {
            now += pause;
            let end = device.schedule(now, (0, place), pages);
            prop_assert!(end >= now + 1_000 + 10 * pages);
            let begin = end - 10 * pages;
            prop_assert!(done.iter().all(|&(_, before, ended)| begin >= ended || end <= before), "the link");
            let earliest = begin - 1_000;
            // Who began before this one's latency began and ended after it.
            let beside = done.iter().filter(|&&(_, before, ended)| before - 1_000 <= earliest && ended > earliest);
            prop_assert!(beside.count() < usize::from(channels) || begin > earliest + 1_000, "{done:?}, then {end}");
            done.push((now, begin, end));
        }
    }
}
