//! `--from-gitlab` on a full disk: with each number of free blocks, no token is lost, and repeating
//! the command finishes once there is room.

use super::super::atomic::Disk;
use super::super::faults::disk::{remount, used};
use super::super::faults::some;
use super::deaths::Bed;

const ROOM: &str = "size=64m,nr_inodes=100000";
const BLOCK: u64 = 4096;

fn sweep(bed: Option<Bed>, is_empty: bool) {
    let Some(bed) = bed else { return };
    let work = bed.world.sandbox.work("");
    let Some(_disk) = Disk::mount(&work, &format!("mode=755,{ROOM}")) else { return };
    let work = work.display().to_string();
    let mut ends = [0, 0];
    let mut is_enough = |free: u64| {
        assert!(remount(&work, ROOM));
        bed.reset();
        let (blocks, _) = used(&work);
        assert!(
            (free..free + 64)
                .any(|free| remount(&work, &format!("size={}", (blocks + free).max(1) * BLOCK)))
        );
        let output = bed.run().output();
        // Git needs room to look.
        assert!(remount(&work, ROOM));
        let is_done = output.code == Some(0);
        let made = bed.world.bed.gitlab.log().iter().any(|line| line.starts_with("POST"));
        ends[usize::from(made)] += usize::from(!is_done);
        bed.judge(&format!("{free} free"), Some(&output));
        is_done
    };
    let (mut low, mut high) = (0, 400);
    assert!(is_enough(high));
    while low < high {
        let middle = u64::midpoint(low, high);
        if is_enough(middle) { high = middle } else { low = middle + 1 }
    }
    for free in some((0..high + 3).collect(), 0) {
        is_enough(free);
    }
    // Without room for the journal no token is created; with room, one is.
    for free in [0, 1].into_iter().chain(high.saturating_sub(5)..high) {
        is_enough(free);
    }
    eprintln!(
        "enough with {high} free; without: {} before a token was made, {} after",
        ends[0], ends[1]
    );
    // An empty disk has at least one block, which is enough for the journal.
    assert!(ends[1] > 0 && (ends[0] > 0 || is_empty), "{ends:?}");
}

#[test]
fn rotate() {
    sweep(Bed::rotate(), false);
}

#[test]
fn new() {
    sweep(Bed::new(), true);
}
