//! A flood of callers without a sound token cannot fill the disk, and does not go unseen.

use crate::support::world::of_kind;
use crate::support::{Client, World, path};

#[tokio::test]
async fn a_flood_of_strangers_is_counted_and_not_recorded_one_by_one() {
    let mut world = World::new().await;
    // The default is twenty a second; the clock stands still.
    for _ in 0..25 {
        let answer = world.send(Client::get(&path(".wav"))).await;
        assert_eq!(answer.status, 401);
    }
    world.clock.set("2026-11-23T12:00:01Z".parse().unwrap());
    assert_eq!(world.send(Client::get(&path(".wav"))).await.status, 401);
    assert!(world.standin.seen().is_empty());
    let entries = world.entries().await;
    let refusals = of_kind(&entries, "refusal");
    assert_eq!(refusals.len(), 21);
    let unrecorded: u64 = refusals.iter().filter_map(|r| r["unrecorded"].as_u64()).sum();
    assert_eq!(unrecorded, 5);
    assert_eq!(refusals.last().unwrap()["unrecorded"], 5);
}
