//! Every branch of a kernel path that bears a mark is driven by programs: the list of marks is read off the source. And
//! every path has a file that is named after it, or after what it does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use pagewalk_engine::Schedule;
use pagewalk_kernel::{Call, Kernel, Prot, Task};
use pagewalk_pagecache::ReleasePolicy;

use crate::common::{Setup, call, fork, load, map, page, pages, process, store};
use crate::file_common::{map_file, open, transfer};
use crate::file_stress::stress_watched;
use crate::pressure::{
    orphans_are_reclaimed, pages_move_while_they_go, shared_memory_goes_to_swap, swap_is_full,
    swapoff_finds_no_memory, swapoff_is_in_the_way, swapoff_meets_exit, swapped_pages_find_no_memory,
};

/// The source files of a package, by their path from its `src`.
fn sources(package: &str) -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(package).join("src");
    let mut found = BTreeMap::new();
    walk(&root, &root, &mut found);
    found
}

fn walk(root: &Path, directory: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(directory).expect("the sources") {
        let path: PathBuf = entry.expect("an entry").path();
        if path.is_dir() {
            walk(root, &path, found);
        } else {
            let name = path.strip_prefix(root).expect("inside").to_string_lossy().replace('\\', "/");
            found.insert(name, fs::read_to_string(&path).expect("a source file"));
        }
    }
}

#[test]
fn every_marked_branch_of_the_kernel_is_driven() {
    let texts = sources("sim/kernel");
    let marks = texts.values().flat_map(|text| text.split(".mark(\"").skip(1));
    let all: BTreeSet<&str> = marks.filter_map(|rest| rest.split('"').next()).collect();
    assert!(all.len() >= 20, "the marks are found: {all:?}");
    let mut idle = all;
    type Program = fn(u64) -> Vec<(&'static str, u64)>;
    let programs: [Program; 12] = [
        |seed| stress_watched(seed, seed % 2 == 0).1,
        buffers_stay,
        faults_meet_truncation,
        writes_meet,
        swap_is_full,
        orphans_are_reclaimed,
        pages_move_while_they_go,
        swapoff_meets_exit,
        shared_memory_goes_to_swap,
        swapoff_finds_no_memory,
        swapoff_is_in_the_way,
        swapped_pages_find_no_memory,
    ];
    // What programs at random take long to meet is met by a few operations on purpose.
    for seed in 1_000..1_400 {
        for (name, _) in programs.iter().flat_map(|program| program(seed)) {
            idle.remove(name);
        }
        if idle.is_empty() {
            return;
        }
    }
    panic!("marked branches that no program drives: {idle:?}");
}

/// Runs two tasks of one machine at once; yields the marks taken.
fn together(seed: u64, build: impl FnOnce(&Rc<Kernel>)) -> Vec<(&'static str, u64)> {
    let setup = Setup { cpus: 3, schedule: Schedule::Random, seed, ..Setup::default() };
    let kernel = setup.run(|kernel| {
        kernel.engine.watch_marks();
        build(kernel);
    });
    kernel.engine.marks()
}

/// The file system keeps the buffers of a clean page.
fn buffers_stay(seed: u64) -> Vec<(&'static str, u64)> {
    together(seed, |kernel| {
        let file = open(kernel, "/a", 2);
        process(kernel, 0, 1, async move |task: &Task| {
            call(task, Call::Write { file: Rc::clone(&file), transfer: transfer(0, pages(1), None) })
                .await
                .expect("right");
            call(task, Call::Fsync { file: Rc::clone(&file) }).await.expect("right");
            file.inode().mapping.release.set(ReleasePolicy::Never);
            call(task, Call::DropCaches).await.expect("right");
            file.inode().mapping.release.set(ReleasePolicy::Clean);
        });
    })
}

/// Pages are mapped, dropped and truncated all at once.
fn faults_meet_truncation(seed: u64) -> Vec<(&'static str, u64)> {
    together(seed, |kernel| {
        let file = open(kernel, "/a", 2);
        for number in 0..3 {
            let file = Rc::clone(&file);
            process(kernel, number, u32::from(number) + 1, async move |task: &Task| {
                map_file(task, &file, (0, 2), 0, Prot::RW, true).await;
                for round in 0..6 {
                    match number {
                        0 => drop(
                            call(task, Call::PunchHole { file: Rc::clone(&file), offset: 0, len: pages(2) })
                                .await,
                        ),
                        1 if round % 4 > 0 => drop(
                            call(task, Call::Invalidate { file: Rc::clone(&file), offset: 0, len: pages(2) })
                                .await,
                        ),
                        1 => drop(call(task, Call::DropCaches).await),
                        _ => _ = load(task, page(round % 2)).await,
                    }
                }
            });
        }
    })
}

/// Parent and child store to the page they share, at once.
fn writes_meet(seed: u64) -> Vec<(&'static str, u64)> {
    together(seed, |kernel| {
        process(kernel, 0, 1, async |task: &Task| {
            map(task, 0, 1).await;
            assert!(store(task, page(0)).await);
            for child in 1..3_u16 {
                fork(task, child, u32::from(child) + 1, async |task: &Task| {
                    assert!(store(task, page(0)).await);
                })
                .await;
            }
            assert!(store(task, page(0)).await);
        });
    })
}

/// Each path and its room: the file in which its steps are.
const ROOMS: &[(&str, &str, &str)] = &[
    ("lock_page", "pagecache", "page_lock.rs"),
    ("unlock_page", "pagecache", "page_lock.rs"),
    ("find_get_page", "pagecache", "find_get_page.rs"),
    ("find_lock_page", "pagecache", "find_lock_page.rs"),
    ("find_get_pages", "pagecache", "find_get_pages.rs"),
    ("add_to_page_cache", "pagecache", "add_to_page_cache.rs"),
    ("add_to_page_cache_locked", "pagecache", "add_to_page_cache.rs"),
    ("remove_from_page_cache", "pagecache", "remove_from_page_cache.rs"),
    ("__remove_mapping", "pagecache", "remove_mapping.rs"),
    ("remove_mapping", "pagecache", "remove_mapping.rs"),
    ("page_freeze_refs", "pagecache", "freeze.rs"),
    ("truncate_complete_page", "sim/kernel", "fs/truncate.rs"),
    ("truncate_inode_pages_range", "sim/kernel", "fs/truncate.rs"),
    ("vmtruncate", "sim/kernel", "fs/truncate.rs"),
    ("invalidate_mapping_pages", "sim/kernel", "fs/invalidate.rs"),
    ("invalidate_inode_pages2_range", "sim/kernel", "fs/invalidate.rs"),
    ("invalidate_complete_page2", "pagecache", "invalidate_complete_page2.rs"),
    ("unmap_mapping_range", "sim/kernel", "paths/unmap_mapping.rs"),
    ("get_swap_page", "swap", "get_swap_page.rs"),
    ("swap_duplicate", "swap", "swap_map.rs"),
    ("swap_info_get", "swap", "swap_map.rs"),
    ("swap_entry_free", "swap", "swap_map.rs"),
    ("swap_free", "swap", "swap_map.rs"),
    ("page_swapcount", "swap", "swap_map.rs"),
    ("vm_swap_full", "swap", "swap_map.rs"),
    ("add_to_swap_cache", "swap", "add_to_swap_cache.rs"),
    ("add_to_swap", "swap", "add_to_swap_cache.rs"),
    ("delete_from_swap_cache", "swap", "delete_from_swap_cache.rs"),
    ("free_swap_and_cache", "swap", "free_swap_and_cache.rs"),
    ("remove_exclusive_swap_page", "swap", "remove_exclusive_swap_page.rs"),
    ("try_to_free_swap", "swap", "remove_exclusive_swap_page.rs"),
    ("read_swap_cache_async", "sim/kernel", "swap/swapin.rs"),
    ("swapin_readahead", "sim/kernel", "swap/swapin.rs"),
    ("valid_swaphandles", "swap", "swap_map.rs"),
    ("handle_pte_fault", "sim/kernel", "paths/fault.rs"),
    ("do_swap_page", "sim/kernel", "paths/swap_fault.rs"),
    ("can_share_swap_page", "sim/kernel", "paths/swap_fault.rs"),
    ("do_wp_page", "sim/kernel", "paths/copy_on_write.rs"),
    ("do_anonymous_page", "sim/kernel", "paths/fault.rs"),
    ("filemap_fault", "sim/kernel", "paths/filemap_fault.rs"),
    ("do_fault", "sim/kernel", "paths/file_fault.rs"),
    ("do_linear_fault", "sim/kernel", "paths/file_fault.rs"),
    ("shmem_getpage", "sim/kernel", "shmem/getpage.rs"),
    ("zap_pte_range", "sim/kernel", "paths/zap.rs"),
    ("zap_page_range", "sim/kernel", "paths/zap.rs"),
    ("free_pgtables", "sim/kernel", "mm/pgtable.rs"),
    ("do_fork", "sim/kernel", "paths/fork.rs"),
    ("copy_one_pte", "sim/kernel", "paths/fork.rs"),
    ("lru_cache_add", "sim/pages", "pagevec.rs"),
    ("release_pages", "sim/pages", "pagevec.rs"),
    ("isolate_lru_pages", "sim/pages", "pagevec.rs"),
    ("putback_lru_pages", "sim/pages", "pagevec.rs"),
    ("activate_page", "sim/pages", "pagevec.rs"),
    ("put_page", "sim/pages", "page_alloc.rs"),
    ("mark_page_accessed", "sim/kernel", "fs/mark_page_accessed.rs"),
    ("shrink_page_list", "sim/kernel", "vmscan/shrink_page_list.rs"),
    ("page_referenced", "sim/kernel", "paths/page_referenced.rs"),
    ("try_to_unmap", "sim/kernel", "paths/try_to_unmap.rs"),
    ("set_page_dirty", "sim/kernel", "fs/writeback.rs"),
    ("set_page_dirty_nobuffers", "pagecache", "dirty.rs"),
    ("clear_page_dirty_for_io", "sim/kernel", "fs/writeback.rs"),
    ("page_mkclean", "sim/kernel", "paths/page_mkclean.rs"),
    ("write_cache_pages", "sim/kernel", "fs/writeback.rs"),
    ("balance_dirty_pages", "sim/kernel", "fs/balance_dirty.rs"),
    ("pageout", "sim/kernel", "vmscan/pageout.rs"),
    ("swap_writepage", "sim/kernel", "swap/page_io.rs"),
    ("shmem_writepage", "sim/kernel", "shmem/writepage.rs"),
    ("end_page_writeback", "pagecache", "writeback.rs"),
    ("alloc_pages_slowpath", "sim/kernel", "mm/page_alloc.rs"),
    ("wakeup_kswapd", "sim/kernel", "vmscan/kswapd.rs"),
    ("balance_pgdat", "sim/kernel", "vmscan/kswapd.rs"),
    ("shrink_zone", "sim/kernel", "vmscan/shrink_zone.rs"),
    ("try_to_free_pages", "sim/kernel", "vmscan/direct.rs"),
    ("unmap_and_move", "sim/kernel", "migrate/unmap_and_move.rs"),
    ("migrate_page_move_mapping", "pagecache", "migrate_page_move_mapping.rs"),
    ("remove_migration_ptes", "sim/kernel", "migrate/remove_migration_ptes.rs"),
    ("migration_entry_wait", "sim/kernel", "migrate/migration_entry_wait.rs"),
    ("compact_zone", "sim/kernel", "migrate/compaction.rs"),
    ("do_swapoff", "sim/kernel", "swap/swapoff.rs"),
    ("try_to_unuse", "sim/kernel", "swap/swapoff.rs"),
    ("shmem_unuse", "sim/kernel", "shmem/unuse.rs"),
    ("do_page_cache_readahead", "sim/kernel", "fs/readahead.rs"),
    ("ondemand_readahead", "sim/kernel", "fs/readahead.rs"),
    ("get_user_pages", "sim/kernel", "paths/user_pages.rs"),
    ("flush_tlb_others", "mmu", "shootdown.rs"),
    ("flush_tlb_page", "sim/kernel", "tlb.rs"),
];

#[test]
fn every_path_has_its_room() {
    let packages =
        ["mmu", "sim/pages", "pagecache", "swap", "sim/kernel"].map(|package| (package, sources(package)));
    for (path, package, file) in ROOMS {
        let (_, texts) = packages.iter().find(|(name, _)| name == package).expect("a package");
        let text = texts.get(*file).unwrap_or_else(|| panic!("{package}/src/{file} is there"));
        let defined = [format!("fn {path}("), format!("fn {path}<")];
        assert!(
            defined.iter().any(|text_of| text.contains(text_of)),
            "{path} is not in {package}/src/{file}"
        );
    }
}
