//! A disk that is really full, with each number of free blocks and of free inodes up to what the
//! command needs.

use super::super::atomic::Disk;
use super::{Bed, CASES, Found, some};
use std::process::Command;

/// The block size of a tmpfs.
const BLOCK: u64 = 4096;
/// More than any of the commands needs.
const MOST: u64 = 600;

/// The blocks and inodes in use on a file system.
pub fn used(dir: &str) -> (u64, u64) {
    let output = Command::new("stat").args(["-f", "-c", "%b %f %c %d", dir]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let numbers: Vec<u64> = text.split_whitespace().map(|word| word.parse().unwrap()).collect();
    (numbers[0] - numbers[1], numbers[2] - numbers[3])
}

/// Remounts with other limits. `false` if less than what is in use, which the kernel counts
/// slightly differently.
pub fn remount(dir: &str, options: &str) -> bool {
    let mount =
        Command::new("mount").args(["-o", &format!("remount,{options}"), dir]).output().unwrap();
    mount.status.success()
}

/// Runs each command on a disk with the room that `options` derives from a count, from none to
/// enough.
fn sweep(options: fn(used: (u64, u64), free: u64) -> String, first: usize) {
    for (number, case) in CASES.iter().enumerate() {
        let bed = Bed::new(case);
        let work = bed.sandbox.work("");
        let Some(_disk) = Disk::mount(&work, "mode=755,size=64m,nr_inodes=100000") else { return };
        let work = work.display().to_string();
        let is_enough = |free: u64| {
            assert!(remount(&work, "size=64m,nr_inodes=100000"));
            bed.reset();
            let used = used(&work);
            assert!((free..free + 64).any(|free| remount(&work, &options(used, free))));
            let output = bed.again().output();
            let found = bed.found();
            // Git needs room to look, and the next run to finish.
            assert!(remount(&work, "size=64m,nr_inodes=100000"));
            bed.judge(&format!("{free} free: {}", options((0, 0), free)), &output);
            output.code == Some(0) && found == Found::Done
        };
        // A binary search first finds the required count.
        let (mut low, mut high) = (0, MOST);
        assert!(is_enough(high), "{}", case.name);
        while low < high {
            let middle = low.midpoint(high);
            if is_enough(middle) { high = middle } else { low = middle + 1 }
        }
        for free in some((0..high + 3).collect(), first + number) {
            is_enough(free);
        }
        eprintln!("{}: enough with {high} free", case.name);
    }
}

#[test]
fn a_disk_without_blocks() {
    // For a tmpfs, size 0 means unlimited.
    sweep(|(blocks, _), free| format!("size={}", (blocks + free).max(1) * BLOCK), 0);
}

#[test]
fn a_disk_without_inodes() {
    sweep(|(_, inodes), free| format!("nr_inodes={}", inodes + free), 5);
}
